package handover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
	"github.com/crisphandover/handover/internal/worker"
)

const (
	// pollEvery is how often Run asks the store what is due.
	pollEvery = time.Second
	// pollLimit is how many records are claimed at once.
	pollLimit = 64
)

// Run works on every conversation that is due: deadlines, retries, what a crashed process left.
// Run it on at least one replica; any number may. It returns when ctx ends, with ctx's error; work
// that was begun goes on until Shutdown. After Shutdown it returns ErrShutdown at once.
func (h *Handover) Run(ctx context.Context) error {
	if err := h.made(); err != nil {
		return err
	}
	if h.pool.Closed() {
		return ErrShutdown
	}
	defer h.overdue.Begin()()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for _, s := range h.sites {
		s.HooksMissed() // what came while nobody ran
	}
	go h.watch(ctx)
	for {
		h.poll(ctx)
		h.housekeeping(ctx)
		select {
		case <-ctx.Done():
			return worker.Ended(ctx)
		case <-tick.C:
		}
	}
}

// nobodyRuns says that something was due and nobody worked on it.
func (h *engine) nobodyRuns(key string) {
	h.cfg.Logger.Warn("handover: something has been due for a while, and nobody works on it: call go h.Run(ctx), on one replica at least. "+
		"Without it no deadline passes, and nothing is tried again", "key", key)
	h.host.tell(Activity{Kind: ActivityFault, Effect: "run", Why: "missing", At: time.Now()})
}

// watch hears from the store of what other processes saved, where the store can tell.
func (h *engine) watch(ctx context.Context) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		begun := time.Now()
		err := h.store.watch(ctx, func(key string) {
			h.watching.Store(true)
			if h.waiters.Waiting(key) {
				h.pool.Nudge(wakeJob(key))
			}
		})
		h.watching.Store(false)
		if ctx.Err() != nil || errors.Is(err, errors.ErrUnsupported) {
			return
		}
		if time.Since(begun) > time.Minute {
			attempt = 1
		}
		h.cfg.Logger.Warn("handover: the store does not tell of changes any more, and is asked to again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(times.Backoff(attempt)):
		}
	}
}

// wake shows a record that another process saved to those who wait for it here.
func (h *engine) wake(key string) {
	if rec, err := h.load(context.Background(), known{key: key}); err == nil {
		h.waiters.Wake(key, rec)
	}
}

// housekeeping does what concerns whole websites. What the store fails at is done next time.
func (h *engine) housekeeping(ctx context.Context) {
	for _, s := range h.sites {
		_ = s.CatchUpSoon(ctx)
		_ = s.Account(ctx)
		_ = s.Refresh(ctx)
	}
}

// poll claims what is due, and gives it to the workers.
func (h *engine) poll(ctx context.Context) {
	h.recent.Expire()
	if time.Now().UnixNano() < h.polls.Load() {
		return // others first
	}
	for !h.pool.Full() && !h.pool.Closed() {
		due, err := h.store.claim(ctx, pollLimit, claims.TTL)
		if err != nil {
			return
		}
		h.polled.Store(h.store.now().UnixNano())
		for _, r := range due {
			h.given.Store(r.Key, r)
			if !h.pool.Nudge(jobOf(r.Key, toUser)) {
				h.given.Delete(r.Key)
				h.giveBack(ctx, r)
			}
		}
		if len(due) < pollLimit {
			return
		}
	}
}

// giveBack lets the store give a record that was claimed to others: this process cannot take it now.
func (h *engine) giveBack(ctx context.Context, r Record) {
	_, _ = h.store.save(context.WithoutCancel(ctx), r) // a conflict ends the hiding as well
}

// errForeign is for a record of a website that this process is not set up for. Another one may be.
var errForeign = errors.New("handover: the record's website is neither Config.WebsiteID nor among Config.Websites: " +
	"name it there, or keep the records of another Crisp account in a store of their own")

// errForeignSite is errForeign for the record of a website itself.
var errForeignSite = fmt.Errorf("%w (this is the record of a website itself, not of a conversation)", errForeign)

// jobOf is the work on one direction of a record. Its class is the channel: no channel that hangs
// delays another one.
func jobOf(key string, dir direction) worker.Job {
	_, rest, _ := strings.Cut(key, "/")
	source, _, _ := strings.Cut(rest, "/")
	return worker.Job{Key: key, Lane: string(dir), Class: source}
}

// wakeJob loads a record for those who wait for it.
func wakeJob(key string) worker.Job {
	j := jobOf(key, toUser)
	j.Lane = laneWake
	return j
}

// work runs a job. A website's record has one direction only.
func (h *engine) work(j worker.Job) {
	switch j.Lane {
	case laneWake:
		h.wake(j.Key)
		return
	case laneAgentTyping, laneUserTyping:
		h.signs.Do(j)
		return
	}
	ctx := context.Background()
	if j.Lane == string(toBot) {
		h.worked(ctx, j.Key, h.answer(ctx, j.Key))
		return
	}
	k, ok := j.Known.(known)
	if !ok {
		k.key = j.Key
	}
	if k.launched == 0 && k.marks == nil {
		if r, ok := h.given.LoadAndDelete(j.Key); ok {
			k = known{key: j.Key, record: r.(Record), claimed: true}
		}
	}
	name, old := strings.CutPrefix(j.Key, oldLogPrefix)
	name, whole := strings.CutPrefix(name, websitePrefix)
	website, _, _ := strings.Cut(name, "/")
	s, err := h.sites[website], error(nil)
	switch {
	case s == nil && whole:
		err = errForeignSite
	case s == nil:
		err = errForeign
	case whole:
		err = s.CatchUp(ctx, func(ctx context.Context, c crispapi.Conversation, at int64) error {
			return h.listed(ctx, website, c, at)
		})
	case k.marks != nil:
		h.mark(ctx, s, k.key, k.marks)
	case old:
		err = h.old.tidy(ctx, j.Key, func(ctx context.Context, key string) (*record, error) { return h.load(ctx, known{key: key}) })
	default:
		err = h.attend(ctx, direction(j.Lane), k)
	}
	h.worked(ctx, j.Key, err)
	if s != nil {
		_ = s.Account(ctx) // or next time
	}
}

// worked notes how a job went. A record that cannot be read is put off ever longer; one that another
// process may be able to work on only until that has had its chance.
func (h *engine) worked(ctx context.Context, key string, err error) {
	switch {
	case err == nil:
		h.failing.Succeeded(key)
	case errors.Is(err, errForeign), errors.Is(err, errLaterVersion):
		h.offer(ctx, key, err)
	case errors.As(err, new(*storeError)): // the log has it
		h.retrySoon(key)
	case storeFailed(err):
		level := slog.LevelWarn
		if api := apiError(err); api != nil && api.NeedsPerson() {
			level = slog.LevelError
		}
		h.cfg.Logger.Log(ctx, level, "handover: the work on a record waits for its next attempt", "key", key, "error", err)
	default:
		h.putOff(ctx, key, h.failing.Failed(key), err)
	}
}

// offer leaves a record that this process cannot work on to others: it stays due, and this process leaves them
// the next poll. If it is claimed here again nonetheless, it is put off for claims.TTL at most.
func (h *engine) offer(ctx context.Context, key string, why error) {
	if pause := h.foreign.Left(key); pause > 0 {
		h.putOff(ctx, key, pause, nil)
		return
	}
	if h.foreign.Failed(key) == claims.TTL {
		why = nil // it was said
	}
	h.polls.Store(time.Now().Add(2 * pollEvery).UnixNano())
	h.putOff(ctx, key, 0, why)
}

// panicked puts off the record whose work panicked.
func (h *engine) panicked(j worker.Job, stack string) {
	h.cfg.Logger.Error("handover: the work on a conversation panicked", "key", j.Key, "stack", stack)
	h.putOff(context.Background(), j.Key, h.failing.Failed(j.Key), nil)
}

// putOff makes a record due after a pause, and leaves it as it is.
func (h *engine) putOff(ctx context.Context, key string, pause time.Duration, why error) {
	if why != nil {
		h.cfg.Logger.Error("handover: a record cannot be worked on", "key", key, "error", why)
	}
	_ = h.store.change(ctx, key, func(r *Record) error {
		if r.Version == 0 {
			return errKeep
		}
		r.Due = h.store.now().Add(pause)
		return nil
	})
}

// listed puts a hook into the record of a listed conversation, if it is one of ours and may have changed
// since it was last listed. at is 0 if it is not known when it has.
func (h *engine) listed(ctx context.Context, website string, c crispapi.Conversation, at int64) error {
	if !crispapi.ValidSessionID(c.SessionID) {
		return nil
	}
	changed := false
	_, key, err := h.updateFound(ctx, website+"/"+c.SessionID, func(rec *record) error {
		s := rec.Sessions.ByID(c.SessionID)
		if changed = false; !rec.env.stored || s == nil {
			return errKeep
		}
		if at, changed = s.ListedAgain(c, at, rec.Hooks.Listed(s.ID), rec.env.now); !changed {
			return errKeep
		}
		told := crisplog.Hook{
			N: rec.next(), Crisp: s.ID, Got: rec.env.now, Listed: true, At: at,
			State: c.State == crisplog.SaysResolved || c.Blocked || s.State.Resolved,
		}
		if c.State == crisplog.SaysResolved && at != 0 {
			told.Says = crisplog.SaysResolved
		}
		rec.Hooks.Put(told)
		return nil
	})
	if hopeless(err) { // it will not be readable later: the others must not wait
		h.unreadable(ctx, key, err)
		return nil
	}
	if err == nil && changed {
		h.missHooks(h.sites[website])
	}
	return err
}

// unreadable puts a record off that cannot be read, and names it in the log, ever more rarely.
func (h *engine) unreadable(ctx context.Context, key string, err error) {
	if h.failing.Left(key) == 0 {
		h.putOff(ctx, key, h.failing.Failed(key), err)
	}
}

// changed wakes those who wait for this conversation, tells the host what happened, and nudges a
// worker when there is something to do now. A record that is free belongs to others from then on.
func (h *engine) changed(key string, rec *record) {
	h.waiters.Wake(key, rec)
	h.host.tell(rec.env.activity...)
	rec.env.activity = nil
	h.nudge(key, rec)
}

// nudge gives a record to workers of the directions in which there is something to do now. The first gets it as it
// is, if it is free and was saved; if there is none, it is kept for the next change.
func (h *engine) nudge(key string, rec *record) {
	if rec.env.version == 0 {
		return
	}
	if rec.planner().wants(toBot) {
		h.pool.Nudge(jobOf(key, toBot))
	}
	jobs := h.jobs(key, rec)
	free, l, hushed := rec.env.others(), rec.env.launch, rec.env.hushed && rec.planner().wants(toUser)
	if l != nil && l.marks != nil { // they do not need the record
		l.run(known{key: key})
		l = nil
	}
	switch {
	case free && l != nil:
		l.run(known{key: key, saved: rec})
	case l != nil:
		l.run(known{key: key, record: rec.env.record})
	case free && len(jobs) > 0:
		jobs[0].Known = known{key: key, saved: rec}
	case free:
		h.keepRecent(key, rec)
	}
	for _, j := range jobs {
		h.pool.Nudge(j)
	}
	if hushed {
		h.pool.Nudge(jobOf(key, toUser))
	}
}

// jobs returns what is to be done now, but in the direction that is worked on: the bot's has a place of its own in the
// record, whoever has the claim; the others wait for this process if it has it.
func (h *engine) jobs(key string, rec *record) (jobs []worker.Job) {
	if !h.hooks.NoClaim && rec.Claim.Holder != h.process {
		return nil
	}
	for _, dir := range []direction{toUser, toCrisp} {
		if dir != rec.env.attending && rec.planner().wants(dir) {
			j := jobOf(key, dir)
			j.Known = known{key: key, record: rec.env.record}
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// Shutdown stops taking work, hooks and messages, and waits until what is under way is done, or
// for ctx, whose error it returns. What is left is in the store, for another process or the next
// start. It may be called again. Give ctx a deadline: an answer that is under way may take Timeouts.Answer, and while
// the store fails, what was done is kept for it for some 15 s.
func (h *Handover) Shutdown(ctx context.Context) error {
	if err := h.made(); err != nil {
		return err
	}
	h.overdue.Stop()
	h.pool.Close()
	defer h.recent.Clear()
	return h.pool.Drain(ctx)
}

// Receive, Start and Reply wait for what becomes of a conversation. What this process saves wakes them
// at once, and so does what others save where the store can tell of it. Else they load the record now
// and then.

const (
	pollFirst = 50 * time.Millisecond  // the first pause, where another process may be at work
	pollAway  = 500 * time.Millisecond // the longest pause then
	pollKnown = 5 * time.Second        // each pause, where this process is at work or the store tells
)

// laneWake is the lane of the pool in which records are loaded that another process saved.
const laneWake = "wake"

// listening hears of each save of one record that this process makes, or is told of.
type listening struct {
	h       *engine
	key     string
	works   bool  // what is waited for comes of the work on the record
	version int64 // the newest that was loaded
	waiter  *worker.Waiter[*record]

	mu   sync.Mutex
	ok   func(*record) bool // what is waited for
	said bool               // ok has said yes, and is not asked again
}

// listen prepares to wait until the record is as ok wants it. ok is called while others wait: it only
// looks. begin must be called, and stop after it.
func (h *engine) listen(key string, ok func(*record) bool) *listening {
	return &listening{h: h, key: key, ok: ok}
}

// begin listens from now on. Called at the end of a change to the record, it misses nothing that is
// saved after that change. Whoever changes what ok uses calls stop before.
func (l *listening) begin(rec *record) {
	l.stop()
	l.said = false // of a change that was not saved after all
	epoch, serial := rec.Epoch, rec.Serial
	l.version = rec.env.version
	l.waiter = l.h.waiters.Listen(l.key, func(rec *record) bool {
		// One save may be told of after a later one.
		older := rec.Epoch < epoch || rec.Epoch == epoch && rec.Serial <= serial
		return !older && l.ask(rec)
	})
}

// ask reports whether the record, or one before it, is as it is wanted.
func (l *listening) ask(rec *record) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = l.said || l.ok(rec)
	return l.said
}

// stop ends the listening: ok is not called any more.
func (l *listening) stop() {
	if l.waiter != nil {
		l.waiter.Stop()
	}
}

// wait waits until the record is as it is wanted. rec is what the caller knows of it.
func (l *listening) wait(ctx context.Context, rec *record) error {
	if l.ask(rec) {
		return nil
	}
	return l.from(ctx, rec.env.version, rec.Claim.Holder == l.h.process)
}

// waitOn is wait for who has saved the record, and so has shown it to l, and may not look at it any more.
func (l *listening) waitOn(ctx context.Context, e *env) error {
	l.mu.Lock()
	said := l.said
	l.mu.Unlock()
	if said {
		return nil
	}
	return l.from(ctx, e.version, e.mine)
}

// from waits for what comes after a version. mine says that this process has the claim.
func (l *listening) from(ctx context.Context, version int64, mine bool) error {
	l.version = version
	first, most := pollFirst, pollAway
	if l.h.watching.Load() || l.works && mine {
		first, most = pollKnown, pollKnown
	}
	return l.poll(ctx, first, most)
}

// waitIdly is wait for what hardly ever happens: it costs no loads where the store tells, and few where
// it does not.
func (l *listening) waitIdly(ctx context.Context, rec *record) error {
	if l.ask(rec) {
		return nil
	}
	l.version = rec.env.version
	if l.h.watching.Load() {
		_, err := l.waiter.Wait(ctx, nil, 0, 0)
		return err
	}
	return l.poll(ctx, pollKnown, pollKnown)
}

// poll waits, and loads the record after a first pause, and then with pauses that double up to most.
func (l *listening) poll(ctx context.Context, first, most time.Duration) error {
	_, err := l.waiter.Wait(ctx, l.load, first, most)
	return err
}

// load is a worker.PollFunc.
func (l *listening) load(ctx context.Context) (*record, bool, error) {
	r, err := l.h.store.load(ctx, l.key)
	if err != nil {
		return nil, false, err
	}
	if r.Version == l.version {
		return nil, false, nil
	}
	l.version = r.Version
	rec, err := decodeRecord(r, l.key, Conversation{}, l.h.store.now())
	return rec, err == nil, nil
}
