package handover

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

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
	if h.pool.Closed() {
		return ErrShutdown
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for _, s := range h.sites {
		s.refused.Store(true) // catch up with what was missed while nobody ran
	}
	go h.watch(ctx)
	for {
		h.poll(ctx)
		h.housekeeping(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// watch hears from the store of what other processes saved, where the store can tell.
func (h *engine) watch(ctx context.Context) {
	w, ok := h.cfg.Store.(Watcher)
	if !ok {
		return
	}
	for attempt := 1; ctx.Err() == nil; attempt++ {
		begun := time.Now()
		err := w.Watch(ctx, func(key string) {
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
		h.cfg.Logger.Warn("handover: the store failed", "why", "watch", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(delay(attempt)):
		}
	}
}

// wake shows a record that another process saved to those who wait for it here.
func (h *engine) wake(key string) {
	if rec, err := h.load(context.Background(), key, Conversation{}); err == nil {
		h.waiters.Wake(key, rec)
	}
}

// housekeeping does what concerns whole websites.
func (h *engine) housekeeping(ctx context.Context) {
	var err error
	for _, s := range h.sites {
		if s.refused.CompareAndSwap(true, false) {
			if fault := s.catchUpSoon(ctx); fault != nil {
				s.refused.Store(true)
				err = fault
			}
		}
		err = errors.Join(err, s.account(ctx))
	}
	if err != nil && ctx.Err() == nil {
		h.cfg.Logger.Warn("handover: the store failed", "why", "website")
	}
}

// poll claims what is due, and gives it to the workers.
func (h *engine) poll(ctx context.Context) {
	for !h.pool.Full() && !h.pool.Closed() {
		asking, cancel := context.WithTimeout(ctx, storeTimeout)
		due, err := h.cfg.Store.Claim(asking, pollLimit, claimTTL)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				h.cfg.Logger.Warn("handover: the store failed", "why", "claim")
			}
			return
		}
		for _, r := range due {
			h.clock.follow(r.Now)
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if _, err := h.cfg.Store.Save(ctx, r); err != nil && !errors.Is(err, ErrConflict) { // a conflict ends the hiding as well
		h.cfg.Logger.Warn("handover: the store failed", "why", "claim")
	}
}

// errForeign is for a record of a website that this process is not set up for. Another one may be.
var errForeign = errors.New("handover: the conversation's website is neither Config.WebsiteID nor among Config.Websites")

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
	if j.Lane == laneWake {
		h.wake(j.Key)
		return
	}
	ctx := context.Background()
	if j.Lane == string(toBot) {
		h.worked(ctx, j.Key, h.answer(ctx, j.Key))
		return
	}
	var k known
	if r, ok := h.given.LoadAndDelete(j.Key); ok {
		k = known{record: r.(Record), claimed: true}
	} else if r, ok := j.Known.(Record); ok {
		k.record = r
	}
	name, old := strings.CutPrefix(j.Key, oldLogPrefix)
	name, whole := strings.CutPrefix(name, websitePrefix)
	website, _, _ := strings.Cut(name, "/")
	s, err := h.sites[website], error(nil)
	switch {
	case s == nil:
		err = errForeign
	case whole:
		err = h.catchUp(ctx, s)
	case old:
		err = h.tidyOld(ctx, j.Key)
	default:
		err = h.attend(ctx, j.Key, direction(j.Lane), k)
	}
	h.worked(ctx, j.Key, err)
	if s != nil && s.account(ctx) != nil {
		h.cfg.Logger.Warn("handover: the store failed", "why", "website")
	}
}

// worked notes how a job went. A record that cannot be read is put off ever longer; one that another
// process may be able to work on only until that has had its chance.
func (h *engine) worked(ctx context.Context, key string, err error) {
	switch {
	case err == nil:
		h.failing.Succeeded(key)
	case errors.Is(err, errForeign), errors.Is(err, errLaterVersion):
		h.putOff(ctx, key, &h.foreign, err)
	case storeFailed(err):
		h.cfg.Logger.Warn("handover: a conversation waits for its next attempt", "error", err)
	default:
		h.putOff(ctx, key, &h.failing, err)
	}
}

// panicked puts off the record whose work panicked.
func (h *engine) panicked(j worker.Job, stack string) {
	h.cfg.Logger.Error("handover: the work on a conversation panicked", "key", j.Key, "stack", stack)
	h.putOff(context.Background(), j.Key, &h.failing, nil)
}

// putOff makes a record due later, ever later the more often it fails, and leaves it as it is.
func (h *engine) putOff(ctx context.Context, key string, by *worker.Pushback, why error) {
	pause := by.Failed(key)
	if why != nil && (by != &h.foreign || pause < claimTTL) {
		h.cfg.Logger.Error("handover: a record cannot be worked on", "key", key, "again", pause, "error", why)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for range 3 {
		r, err := h.cfg.Store.Load(ctx, key)
		if err != nil || r.Version == 0 {
			break
		}
		h.clock.follow(r.Now)
		r.Due = h.clock.now().Add(pause)
		if _, err = h.cfg.Store.Save(ctx, r); !errors.Is(err, ErrConflict) {
			break
		}
	}
}

// changed wakes those who wait for this conversation, tells the host what happened, and nudges a
// worker when there is something to do now.
func (h *engine) changed(key string, rec *record) {
	h.waiters.Wake(key, rec)
	h.tell(rec.env.activity)
	rec.env.activity = nil
	if rec.env.version != 0 && rec.wants(toBot) { // whoever has the claim: an answer has its own place in the record
		h.pool.Nudge(jobOf(key, toBot))
	}
	if rec.env.version == 0 || !h.hooks.NoClaim && rec.Claim.Holder != h.process {
		return
	}
	for _, dir := range []direction{toUser, toCrisp} {
		if dir != rec.env.attending && rec.wants(dir) {
			j := jobOf(key, dir)
			j.Known = rec.env.record
			h.pool.Nudge(j)
		}
	}
}

// accepts reports whether this process takes more work.
func (h *engine) accepts() bool { return !h.pool.Closed() && !h.pool.Full() }

// Drain waits until this process has nothing under way: no hook, callback or call that could be
// made now is left. What waits for its time, such as a retry, does not count. Tests use it.
func (h *Handover) Drain(ctx context.Context) error { return h.pool.Drain(ctx) }

// Shutdown stops taking work, hooks and messages, and waits until what is under way is done, or
// for ctx, whose error it returns. What is left is in the store, for another process or the next
// start. It may be called again.
func (h *Handover) Shutdown(ctx context.Context) error {
	h.pool.Close()
	return h.pool.Drain(ctx)
}

// clock tells the store's time. Replicas compare their deadlines by it, so that a replica whose own
// clock is wrong does no harm. A store without a clock of its own leaves it with the process's time.
type clock struct {
	ahead atomic.Int64  // of the process's clock, in ns
	skew  time.Duration // for tests: how wrong the process's clock is
}

func (c *clock) process() time.Time { return time.Now().Add(c.skew) }

// now is the store's time, without a monotonic reading: as a record gives it back.
func (c *clock) now() time.Time {
	return c.process().Add(time.Duration(c.ahead.Load())).Round(0)
}

// follow takes the time that the store gave with a record which was just read; zero for none.
func (c *clock) follow(store time.Time) {
	if !store.IsZero() {
		c.ahead.Store(int64(store.Sub(c.process())))
	}
}
