package handover

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/httpbody"
	"github.com/crisphandover/handover/internal/keys"
	"github.com/crisphandover/handover/internal/pace"
	"github.com/crisphandover/handover/internal/website"
	"github.com/crisphandover/handover/internal/worker"
)

// stepTimeout bounds one step of the work on a record, a read of many pages included, but for the time of a
// callback in it.
const stepTimeout = time.Minute

// engine does the work on records: it has them loaded, changed and saved, and says who works when. What a
// host calls is in Handover.
type engine struct {
	*records
	sites      sites
	host       *host
	crisp      *crispCalls
	process    string    // names this process in claims
	began      time.Time // by this process's clock
	pool       *worker.Pool
	given      sync.Map // records that the store gave with a claim, by key
	waiters    worker.Waiters[*record]
	answers    *worker.Bulkhead // of Config.Answer
	failing    worker.Pushback  // records that cannot be worked on
	foreign    worker.Pushback  // records that another process may be able to work on
	unsaved    worker.Pushback  // records at which the store failed
	reads      keys.Counter     // of Crisp's log that this process makes
	unanswered worker.Pushback  // whether it was said of late that messages wait for Config.Answer
	polls      atomic.Int64     // when this process may poll again, in Unix ns
	polled     atomic.Int64     // when it last did, in Unix ns by the store's clock
	watching   atomic.Bool      // the store tells of other processes' saves
	typing     pace.Signs       // what agents were told of who is typing
	signs      worker.Latest    // of who is typing, that are to be told
	bodies     *httpbody.Reader // reads those of hooks
	refusals   refusals         // of hooks
}

func newEngine(cfg *Config) *engine {
	store := newStorage(cfg.Store, cfg.Logger)
	host := newHost(cfg)
	process := newID()
	sites := newSites(cfg, store, process, host.tell)
	h := &engine{
		records: &records{cfg: cfg, store: store, old: &oldLogs{store, cfg.Logger}, recent: keys.NewShelf[*record](recentBytes, recentFor)},
		sites:   sites, host: host, crisp: &crispCalls{cfg: cfg, sites: sites, host: host, clock: &store.clock},
		process: process, began: store.process(), typing: pace.Signs{Every: typingEvery}, bodies: httpbody.New(hookBounds), refusals: refusals{logger: cfg.Logger},
		failing: worker.Pushback{Size: 1 << 16}, foreign: worker.Pushback{Most: claims.TTL}, unsaved: worker.Pushback{Most: claims.TTL}, unanswered: worker.Pushback{First: time.Hour},
	}
	h.pool = worker.NewPool(h.work, worker.PoolOptions{Workers: cfg.Limits.Workers, Queue: cfg.Limits.Queue, Panicked: h.panicked, Apart: map[string]int{
		string(toBot): cfg.Limits.Answers, laneAgentTyping: signsAtOnce, laneUserTyping: signsAtOnce,
	}})
	h.prepare, h.saved, h.told, h.unsure, h.stopped = h.claim, h.changed, sites.told, h.retrySoon, h.pool.Closed
	h.overdue = claims.Overdue{Load: store.version, Now: store.now, Say: h.nobodyRuns}
	h.answers = worker.NewBulkhead(worker.BulkheadOptions{Grace: cfg.Timeouts.Reply})
	return h
}

// claim takes the claim for this process while there is something to do, and gives it up after. A
// process that takes no more work leaves it to the others, but for what it is at. A message that waits for the
// bot needs no claim: it may wait long for its turn among others, and who works on the rest must not.
func (h *engine) claim(key string, rec *record) {
	c, now := &rec.Claim, rec.env.now
	mine := c.Holder == h.process
	if mine {
		h.dropLost(key, rec)
	}
	rec.env.answers = h.cfg.Answer != nil && h.pool.Accepts()
	reads := mine && h.reads.Any(key)
	switch {
	case !h.hooks.NoClaim && c.HeldByOther(h.process, now):
	case (reads || rec.busy()) && (h.pool.Accepts() || mine && (rec.planner().working() || !h.pool.Closed())):
		if !mine && !rec.env.stepping { // before a step was planned that was done
			rec.planner().orphaned()
		}
		c.Take(h.process, now)
		if h.launch(key, rec); !reads && !rec.busy() { // the marks were all
			c.Release()
		}
	default:
		c.Release()
	}
	rec.env.mine = c.Holder == h.process
}

// launch is what begins towards Crisp with a save, so that beginning it needs no save of its own.
type launch struct {
	effect int64         // its number
	marks  *marks        // in place of an effect
	place  *worker.Place // of the work that carries it out
}

// launch begins, with the save, what is to be done towards Crisp, if nobody is at that and a worker is free. The place is taken
// before the save: from the save on nobody may take the effect for one that was lost.
func (h *engine) launch(key string, rec *record) {
	e, _ := rec.ToCrisp.ready(rec.env.now)
	if e == nil || e.Running != 0 || rec.env.attending == toCrisp {
		return
	}
	aside := e.Kind == kindMark && e.Since.IsZero()
	if !aside && (e.Kind.repeatable() || !rec.env.free) {
		return
	}
	place := h.pool.Reserve(jobOf(key, toCrisp))
	switch {
	case place == nil:
	case aside:
		rec.env.launch = &launch{marks: rec.takeMarks(e), place: place}
	default:
		e.begin(rec.env.now)
		rec.env.launch = &launch{effect: e.N, place: place}
	}
}

// run has it carried out, now that the record is saved.
func (l *launch) run(k known) {
	k.launched, k.marks = l.effect, l.marks
	l.place.Run(k)
}

// cancel gives the place back if the record was not saved.
func (l *launch) cancel() {
	if l != nil {
		l.place.Release()
	}
}

// dropLost makes ready again what this process seems to be at and is not: the save that began it was stored, and
// the store said that it had failed.
func (h *engine) dropLost(key string, rec *record) {
	for _, dir := range []direction{toUser, toCrisp} {
		if dir != rec.env.attending && !h.pool.Runs(key, string(dir)) {
			rec.queue(dir).recover()
		}
	}
}

// retrySoon has a record worked on again, after a pause, at which the store failed. A save that failed may have been stored,
// with a claim of this process and nobody at work: it would wait until the claim ends. While the store goes on to fail
// the pauses grow, and then polls find what is due.
func (h *engine) retrySoon(key string) {
	if strings.HasPrefix(key, websitePrefix) || strings.HasPrefix(key, oldLogPrefix) || h.unsaved.Left(key) > 0 {
		return // it is no conversation's, or is to be worked on already
	}
	pause := h.unsaved.Failed(key)
	if pause >= claims.TTL {
		return
	}
	time.AfterFunc(pause, func() {
		for _, dir := range []direction{toUser, toCrisp, toBot} {
			h.pool.Nudge(jobOf(key, dir))
		}
	})
}

// attendance is the work on one conversation in one direction.
type attendance struct {
	h    *engine
	key  string
	dir  direction
	must bool    // the record is saved whatever comes of it
	done *result // of the last step; nil: there was none
	next *step   // nil: nothing is left to do now

	launched int64 // the effect that began with a save; 0: none, or it is done
}

// attend brings one conversation up to date in one direction: it reads what is new in Crisp's log,
// carries out effects and lets deadlines pass. A hook, a deadline, a restart all end up here. It
// returns when nothing is left to do now, or another process is at it. A record that the store gave with
// its claim is saved whatever comes of it, which ends the store's hiding.
func (h *engine) attend(ctx context.Context, dir direction, k known) error {
	a := &attendance{h: h, key: k.key, dir: dir, must: k.claimed, launched: k.launched}
	for steps := 0; ; steps++ {
		rest := steps >= maxSteps && !h.pool.Closed()
		rec, err := a.plan(ctx, k, rest)
		if err != nil {
			return err
		}
		if rest {
			h.pool.Nudge(jobOf(k.key, dir)) // behind the others that wait
		}
		if a.next == nil {
			return nil
		}
		a.done = h.do(ctx, k.key, rec, a.next)
		k = known{key: k.key, saved: rec}
	}
}

// maxSteps is after how many steps the work on one conversation lets the others have their turn.
const maxSteps = 8

// plan writes down what the last step brought, and decides on the next one, unless the work is to rest. Where nothing
// is saved at the end, the other direction is nudged all the same: other processes left to this one what they took in.
func (a *attendance) plan(ctx context.Context, k known, rest bool) (*record, error) {
	var e *env // of the update; the record belongs to others if nothing is left to do
	update := a.h.update
	if a.done != nil { // what was done must not be forgotten
		update = a.h.persist
	}
	rec, err := update(ctx, k, func(rec *record) error {
		e = rec.env
		return a.change(rec, rest)
	})
	if err != nil {
		return rec, err
	}
	a.must = false
	if a.next == nil && !e.saved() { // changed does it after a save
		a.h.nudge(a.key, rec)
	}
	return rec, nil
}

// change is what plan changes in the record. What was stored already, though a save seemed to fail, is not written
// down again.
func (a *attendance) change(rec *record, rest bool) error {
	h := a.h
	a.next = nil
	if !rec.env.stored {
		return errKeep
	}
	if e := rec.queue(a.dir).effect(a.launched); e != nil {
		a.next, a.launched = &step{effect: e}, 0
		return errKeep
	}
	other := !h.hooks.NoClaim && rec.Claim.HeldByOther(h.process, rec.env.now)
	if other && (a.done == nil || !a.done.certain()) {
		return keepUnless(a.must)
	}
	changed := a.must
	switch {
	case a.done != nil && !rec.Settled.has(a.dir, a.done):
		changed = rec.absorb(a.dir, *a.done) || changed
	case !other:
		rec.planner().recover(h.process, a.dir)
		h.dropLost(a.key, rec) // the save that began it may be the one that is repeated now
	}
	if other || rest {
		return keepUnless(changed)
	}
	if rec.Claim.Holder != h.process {
		rec.planner().orphaned()
	}
	rec.env.attending = a.dir
	plan := rec.planner()
	a.next = plan.next(a.dir)
	changed = changed || plan.changed
	rec.env.stepping, rec.env.free = a.next != nil, a.next == nil
	return keepUnless(changed || rec.expired() || plan.mustSave(h.process, a.next))
}

// do carries out a step, and renews the claim while that takes long.
func (h *engine) do(ctx context.Context, key string, rec *record, s *step) *result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout+h.cfg.Timeouts.Callback)
	defer cancel()
	ctx = withPurpose(ctx, rec.purpose(s)) // before the timer, which uses ctx from a goroutine of its own
	renewed := make(chan struct{})
	timer := time.AfterFunc(claims.RenewEvery, func() {
		defer close(renewed)
		h.renew(ctx, key)
	})
	defer func() {
		cancel()
		if !timer.Stop() {
			<-renewed
		}
	}()
	if s.read == nil {
		r := h.carryOut(ctx, rec, s.effect)
		r.token = s.effect.Running
		return &r
	}
	defer h.reads.Begin(key)() // nothing in the record may say so: a deadline alone may want the read
	begun := h.store.now()
	within := ctx
	if !s.read.Until.IsZero() { // a message in hand is not to wait for a read that hangs
		var end context.CancelFunc
		within, end = context.WithTimeout(ctx, max(s.read.Until.Sub(begun), callTimeout))
		defer end()
	}
	n := &crisplog.Reading{Of: s.read, Blind: true}
	if !s.read.Blind {
		n = h.crisp.read(within, rec, s.read)
	}
	n.Begun = begun
	return &result{token: rand.Uint32() | 1, begun: begun, read: h.old.addTo(within, rec, n)}
}

// carryOut does an effect. It changes nothing but the world.
func (h *engine) carryOut(ctx context.Context, rec *record, e *effect) result {
	r := result{effect: e.N, begun: h.store.now()}
	switch e.Kind {
	case kindDeliver:
		r.id, r.err = h.host.deliver(ctx, rec, e)
	case kindRevise:
		r.err = h.host.revise(ctx, rec, e)
	case kindText:
		r.id, r.err = h.host.sayText(ctx, rec, e)
	case kindOnEnd:
		r = h.host.onEnd(ctx, rec, e, r, h.crisp.humanPart)
	default:
		r = h.crisp.run(ctx, rec, e, r)
	}
	return r
}

// Marks show agents that the user got their messages. They are not worth a save of their own: the save that notes
// that a message was shown leaves them out of the record, and they are made after it. Where that fails, or no worker
// is free at once, they are stored, and tried like other effects. What a process that dies has not marked stays unmarked.

// marks are made without being stored.
type marks struct {
	about Activity // what their calls are made for
	crisp string
	fps   []int64
}

// mark makes marks. If it fails, they are stored as an effect that was tried once.
func (h *engine) mark(ctx context.Context, site *website.Site, key string, m *marks) {
	calls, cancel := context.WithTimeout(withPurpose(ctx, m.about), stepTimeout)
	defer cancel()
	r := result{err: h.crisp.mark(calls, site.API, m.crisp, m.fps)}
	if r.err == nil {
		return
	}
	e := effect{Kind: kindMark, Crisp: m.crisp, FPs: m.fps}
	rec, err := h.persist(ctx, known{key: key, reading: true}, func(*record) error { return errKeep })
	if err != nil {
		return
	}
	r = h.crisp.failed(calls, rec, &e, r)
	if api := apiError(r.err); api != nil && api.NeedsPerson() && !api.Held {
		return // it is not worth waiting for that
	}
	_, _ = h.persist(ctx, known{key: key}, func(rec *record) error {
		if rec.Sessions.ByID(m.crisp) == nil || rec.ToCrisp.marks(m.crisp, m.fps) { // a save that failed may have been stored
			return errKeep
		}
		e := rec.push(&rec.ToCrisp, e)
		e.begin(rec.env.now)
		r.effect, r.token = e.N, e.Running
		rec.settle(&rec.ToCrisp, r)
		return nil
	})
}

// renew keeps this process's claim on a record until ctx ends.
func (h *engine) renew(ctx context.Context, key string) {
	for {
		_, _ = h.update(ctx, known{key: key}, func(rec *record) error {
			if rec.Claim.Holder != h.process {
				return errKeep
			}
			rec.Claim.Take(h.process, rec.env.now)
			return nil
		})
		select {
		case <-ctx.Done():
			return
		case <-time.After(claims.RenewEvery):
		}
	}
}

// certain reports whether the result holds even if another process works on the record by now.
func (r *result) certain() bool {
	return r.read == nil && r.err == nil && !r.missing && r.retry.IsZero()
}
