package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/exactjson"
	"github.com/crisphandover/handover/internal/httpbody"
	"github.com/crisphandover/handover/internal/keys"
	"github.com/crisphandover/handover/internal/pace"
	"github.com/crisphandover/handover/internal/testhook"
	"github.com/crisphandover/handover/internal/times"
	"github.com/crisphandover/handover/internal/worker"
)

// errKeep returned by a change saves nothing; update then returns the record as it is.
var errKeep = errors.New("handover: nothing to save")

const (
	// stepTimeout bounds one step of the work on a record, a read of many pages included, but for the time of a
	// callback in it.
	stepTimeout = time.Minute
	// keepResult is how long the result of a step is kept for a store that fails.
	keepResult = 2 * time.Minute
)

// engine does the work on records: it has them loaded, changed and saved, and says who works when. What a
// host calls is in Handover.
type engine struct {
	cfg      *Config
	store    *storage
	sites    sites
	host     *host
	crisp    *crispCalls
	old      *oldLogs
	process  string    // names this process in claims
	began    time.Time // by this process's clock
	pool     *worker.Pool
	given    sync.Map             // records that the store gave with a claim, by key
	recent   *keys.Shelf[*record] // as they were saved here: who loads that version again need not decode it
	waiters  worker.Waiters[*record]
	answers  *worker.Bulkhead // of Config.Answer
	failing  worker.Pushback  // records that cannot be worked on
	foreign  worker.Pushback  // records that another process may be able to work on
	polls    atomic.Int64     // when this process may poll again, in Unix ns
	polled   atomic.Int64     // when it last did, in Unix ns by the store's clock
	overdue  claims.Overdue
	watching atomic.Bool      // the store tells of other processes' saves
	speaking keys.Counter     // the bot's messages under way in this process
	typing   pace.Signs       // what agents were told of who is typing
	signs    signs            // of who is typing, that are to be told
	bodies   *httpbody.Reader // reads those of hooks
	refusals refusals         // of hooks
	hooks    testhook.Hooks   // zero but in tests of this module
}

func newEngine(cfg *Config) *engine {
	store := newStorage(cfg.Store, cfg.Logger)
	host := newHost(cfg)
	process := newID()
	sites := newSites(cfg, store, process, host.tell)
	h := &engine{
		cfg: cfg, store: store, sites: sites, host: host,
		crisp: &crispCalls{cfg: cfg, sites: sites, host: host, clock: &store.clock}, old: &oldLogs{store, cfg.Logger},
		process: process, began: store.process(), recent: keys.NewShelf[*record](recentBytes, recentFor), typing: pace.Signs{Every: typingEvery}, bodies: httpbody.New(hookBounds), refusals: refusals{logger: cfg.Logger},
		failing: worker.Pushback{Size: 1 << 16}, foreign: worker.Pushback{Most: claims.TTL},
	}
	h.pool = worker.NewPool(h.work, worker.PoolOptions{Workers: cfg.Limits.Workers, Queue: cfg.Limits.Queue, Panicked: h.panicked, Apart: map[string]int{
		string(toBot): cfg.Limits.Answers, laneAgentTyping: signsAtOnce, laneUserTyping: signsAtOnce,
	}})
	h.overdue = claims.Overdue{Load: store.version, Now: store.now, Say: h.nobodyRuns}
	h.answers = worker.NewBulkhead(worker.BulkheadOptions{Panicked: host.panicked, Grace: cfg.Timeouts.Reply})
	return h
}

// known is what a caller of update knows of a record: its key at the least.
type known struct {
	key          string
	conversation Conversation // of a record that may not be stored yet
	// record is the record as the store gave it, and saved as an update returned it, which nobody else may
	// use. Neither need be the newest.
	record  Record
	saved   *record
	claimed bool // the store gave the record with its claim
	reading bool // nothing is to be saved
}

// locate returns what is known of a conversation's record, without a load if possible. A conversation
// that names no website began on what Config.WebsiteID was then, and stays there as long as that is among
// Config.Websites. To look there costs a load for each of them, but only for conversations that are not
// known.
func (h *engine) locate(ctx context.Context, c Conversation) (known, error) {
	k := known{key: h.cfg.key(c), conversation: c}
	if c.WebsiteID != "" || len(h.cfg.Websites) == 0 {
		return k, nil
	}
	for _, website := range append([]string{h.cfg.WebsiteID}, h.cfg.Websites...) {
		r, err := h.store.load(ctx, website+"/"+c.path())
		if err != nil {
			return known{}, err
		}
		if r.Version != 0 && (website == h.cfg.WebsiteID || r.namesNoWebsite()) {
			k.key, k.record = r.Key, r
			return k, nil
		}
	}
	return k, nil
}

// namesNoWebsite reports whether the conversation of a stored record leaves its website to the
// configuration.
func (r *Record) namesNoWebsite() bool {
	var rec struct {
		Conversation Conversation `json:"conversation"`
	}
	return json.Unmarshal(r.Data, &rec, recordJSON) == nil && rec.Conversation.WebsiteID == ""
}

// loadOf returns the record of a conversation for reading.
func (h *engine) loadOf(ctx context.Context, c Conversation) (*record, error) {
	k, err := h.locate(ctx, c)
	if err != nil {
		return nil, err
	}
	return h.load(ctx, k)
}

// load returns a record for reading.
func (h *engine) load(ctx context.Context, k known) (*record, error) {
	k.reading = true
	return h.update(ctx, k, func(*record) error { return errKeep })
}

// update applies change to a record, saves it, and returns what was saved. It loads the record unless k
// has it, and after a save that another writer was faster than: then it applies change again. change does
// no I/O. A panic on the way is a fault of the record: it is logged, and nothing is saved.
func (h *engine) update(ctx context.Context, k known, change func(*record) error) (rec *record, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for conflicts := 0; ; conflicts++ {
		err = errPanicked
		worker.Guard(func(stack string) {
			h.cfg.Logger.Error("handover: the work on a conversation panicked", "key", k.key, "stack", stack)
		}, func() { rec, err = h.tryUpdate(ctx, k, change) })
		if err == nil {
			return rec, nil
		}
		if !errors.Is(err, ErrConflict) {
			return nil, err
		}
		if err := onceMore(ctx, conflicts); err != nil {
			return nil, err
		}
		k.record, k.saved = Record{}, nil
	}
}

// tryUpdate is one attempt of an update.
func (h *engine) tryUpdate(ctx context.Context, k known, change func(*record) error) (*record, error) {
	rec, err := h.open(ctx, k)
	if err != nil {
		return nil, err
	}
	if err := change(rec); errors.Is(err, errKeep) {
		return rec, nil
	} else if err != nil {
		return nil, err
	}
	rec.handOn()
	saved, err := h.save(ctx, k.key, rec)
	if saved {
		h.changed(k.key, rec)
	}
	return rec, err
}

// open returns the record for a change.
func (h *engine) open(ctx context.Context, k known) (*record, error) {
	e := &env{cfg: h.cfg, speaking: h.speaking.Any(k.key), trustHooks: h.hooks.NoLog}
	if rec := k.saved; rec != nil && rec.env.version != 0 {
		e.now = times.Later(h.store.now(), rec.env.now) // the store's clock goes back a little at times
		e.stored, e.version, e.before = true, rec.env.version, rec.awaited()
		rec.env = e
		return rec, nil
	}
	r := k.record
	if r.Version == 0 {
		var err error
		if r, err = h.store.load(ctx, k.key); err != nil {
			return nil, err
		}
	}
	e.now, e.stored, e.version = h.store.now(), r.Version != 0, r.Version
	rec := h.recall(k, r)
	if rec == nil {
		var err error
		if rec, err = decodeRecord(r, k.key, k.conversation, e.now); err != nil {
			return nil, err
		}
	}
	rec.env = e
	rec.mend()
	e.before = rec.awaited()
	return rec, nil
}

// save stores the record in place of the version that it was made from, or deletes it when nothing is
// left to do or to remember.
func (h *engine) save(ctx context.Context, key string, rec *record) (bool, error) {
	version := rec.env.version
	if rec.expired() {
		if version == 0 {
			return false, nil
		}
		if err := h.store.delete(ctx, key, version); err != nil {
			return false, err
		}
		rec.env.version = 0
		h.recent.Remove(key)
		h.overdue.Saved(key, 0, time.Time{})
		_ = h.old.drop(ctx, rec, rec.Sessions) // else tidy does
		return true, nil
	}
	before := slices.Clone(rec.Sessions)
	rec.trim()
	if err := h.old.move(ctx, key, rec); err != nil {
		return false, err
	}
	rec.next() // so that of two saves the later one can be told
	h.claim(key, rec)
	next := Record{Key: key, Version: version, Due: rec.planner().due(), Live: rec.live(), Wake: rec.env.before.over(rec)}
	var err error
	altered := false
	if next.Data, altered, err = rec.encode(); err != nil {
		return false, err
	}
	rec.env.free = rec.env.free && !altered // others are to read what is stored
	for _, s := range rec.Sessions {
		next.CrispIDs = append(next.CrispIDs, rec.Website+"/"+s.ID)
	}
	if rec.env.version, err = h.store.save(ctx, next); err != nil {
		return false, err
	}
	next.Version = rec.env.version
	rec.env.record = next
	h.overdue.Saved(key, next.Version, next.Due)
	gone := slices.DeleteFunc(before, func(s *crisplog.Session) bool { return slices.Contains(rec.Sessions, s) })
	_ = h.old.drop(ctx, rec, gone) // else tidy does
	return true, nil
}

// recordBuffers are what records were last written in: to let each grow anew costs a tenth of a save.
var recordBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBuffer is the most that a buffer may hold to be used again.
const keepBuffer = 256 << 10

// encode writes the record: what decodeRecord reads. altered says that a text is written as another one, without what
// is no UTF-8, and without NUL, which databases refuse.
func (rec *record) encode() (data []byte, altered bool, err error) {
	buffer := recordBuffers.Get().(*bytes.Buffer)
	if buffer.Cap() <= keepBuffer {
		defer recordBuffers.Put(buffer)
	}
	buffer.Reset()
	if err = json.MarshalWrite(buffer, rec, recordJSON, jsontext.AllowInvalidUTF8(false)); err != nil {
		altered = true
		buffer.Reset()
		err = json.MarshalWrite(buffer, rec, recordJSON)
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", errUnwritable, shapeOf(err))
	}
	written := exactjson.WithoutNUL(buffer.Bytes())
	return bytes.Clone(written), altered || &written[0] != &buffer.Bytes()[0], nil
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
	busy := rec.env.stepping || rec.planner().working() || rec.planner().wants(toUser) || rec.planner().wants(toCrisp)
	rec.env.answers = h.accepts()
	switch {
	case !h.hooks.NoClaim && c.HeldByOther(h.process, now):
	case busy && (h.accepts() || mine && (rec.planner().working() || !h.pool.Closed())):
		if !mine && !rec.env.stepping { // before a step was planned that was done
			rec.planner().orphaned()
		}
		c.Take(h.process, now)
	default:
		c.Release()
	}
	rec.env.mine = c.Holder == h.process
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

// attend brings one conversation up to date in one direction: it reads what is new in Crisp's log,
// carries out effects and lets deadlines pass. A hook, a deadline, a restart all end up here. It
// returns when nothing is left to do now, or another process is at it. A record that the store gave with
// its claim is saved whatever comes of it, which ends the store's hiding. Where nothing is saved at the
// end, the other direction is nudged all the same: other processes left to this one what they took in.
func (h *engine) attend(ctx context.Context, dir direction, k known) error {
	must := k.claimed
	var done *result
	for steps := 0; ; steps++ {
		var next *step
		rest := steps >= maxSteps && !h.pool.Closed()
		rec, err := h.settleAndPlan(ctx, k, dir, done, rest, &must, &next)
		if rest && err == nil {
			h.pool.Nudge(jobOf(k.key, dir)) // behind the others that wait
		}
		if err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		done = h.do(ctx, k.key, rec, next)
		k = known{key: k.key, saved: rec}
	}
}

// maxSteps is after how many steps the work on one conversation lets the others have their turn.
const maxSteps = 8

// settleAndPlan writes down what a step brought, and decides on the next one, unless the work is to rest.
// While the store fails it tries again: what was done must not be forgotten. A save that failed may have been
// stored all the same, with the result: then it is not written down again.
func (h *engine) settleAndPlan(ctx context.Context, k known, dir direction, done *result, rest bool, must *bool, next **step) (*record, error) {
	giveUp := time.Now().Add(keepResult)
	var e *env // of the update; the record belongs to others if nothing is left to do
	for attempt := 1; ; attempt++ {
		rec, err := h.update(ctx, k, func(rec *record) error {
			*next, e = nil, rec.env
			if !rec.env.stored {
				return errKeep
			}
			other := !h.hooks.NoClaim && rec.Claim.HeldByOther(h.process, rec.env.now)
			if other && (done == nil || !done.certain()) {
				return keepUnless(*must)
			}
			changed := *must
			switch {
			case done != nil && !rec.settled(dir, done):
				changed = rec.absorb(dir, *done) || changed
			case !other:
				rec.planner().recover(h.process, dir)
			}
			if other || rest {
				return keepUnless(changed)
			}
			if rec.Claim.Holder != h.process {
				rec.planner().orphaned()
			}
			rec.env.attending = dir
			plan := rec.planner()
			*next = plan.next(dir)
			changed = changed || plan.changed
			rec.env.stepping, rec.env.free = *next != nil, *next == nil
			return keepUnless(changed || rec.expired() || plan.mustSave(h.process, *next))
		})
		if err == nil {
			*must = false
			if *next == nil && !e.saved() { // changed does it after a save
				h.nudge(k.key, rec)
			}
		}
		if err == nil || done == nil || !storeFailed(err) || time.Now().After(giveUp) || h.pool.Closed() {
			return rec, err
		}
		k.record, k.saved = Record{}, nil
		time.Sleep(min(times.Backoff(attempt), 5*time.Second))
	}
}

func keepUnless(save bool) error {
	if save {
		return nil
	}
	return errKeep
}

// errPanicked is returned by an update of a record that made the library panic.
var errPanicked = fmt.Errorf("%w: that panicked: the log has the stack", ErrRecord)

// hopeless reports whether the same update of a record would fail whenever it is tried.
func hopeless(err error) bool {
	return errors.Is(err, errUnreadable) || errors.Is(err, errUnwritable) || errors.Is(err, errPanicked)
}

// storeFailed reports whether an error of an update is the store's.
func storeFailed(err error) bool {
	return !hopeless(err) && !errors.Is(err, errLaterVersion) && !errors.Is(err, ErrTaken)
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
	token := rand.Uint32() | 1
	if s.read == nil {
		r := h.carryOut(ctx, rec, s.effect)
		r.token = token
		return &r
	}
	begun := h.store.now()
	within, end := context.WithCancel(ctx)
	if !s.read.Until.IsZero() { // a message in hand is not to wait for a read that hangs
		end()
		within, end = context.WithTimeout(ctx, max(s.read.Until.Sub(begun), callTimeout))
	}
	defer end()
	n := &crisplog.Reading{Of: s.read, Blind: true}
	if !s.read.Blind {
		n = h.crisp.read(within, rec, s.read)
	}
	n.Begun = begun
	return &result{token: token, begun: begun, read: h.old.addTo(within, rec, n)}
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
