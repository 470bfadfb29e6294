package handover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// pollEvery is how often Run asks the store what is due.
	pollEvery = time.Second
	// A poll takes minPoll conversations, and more while there are more: those that cannot be
	// worked on here must not stand in the way of the others.
	minPoll, maxPoll = 256, 16_384
)

// Run attends every conversation that is due: deadlines, retries, what a crashed process left.
// Run it on at least one replica; any number may. It returns when ctx ends, with ctx's error; work
// that was begun goes on until Shutdown. After Shutdown it returns ErrShutdown at once.
func (h *Handover) Run(ctx context.Context) error {
	if h.pool.closed() {
		return ErrShutdown
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for _, s := range h.sites {
		s.refused.Store(true) // catch up with what was missed while nobody ran
	}
	limit := minPoll
	for {
		limit = h.poll(ctx, limit)
		h.housekeeping(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// housekeeping does what concerns whole websites.
func (h *Handover) housekeeping(ctx context.Context) {
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

// work runs a job; a website's record has one side only.
func (h *Handover) work(j job) {
	ctx, err := context.Background(), error(nil)
	website, whole := strings.CutPrefix(j.key, websitePrefix)
	if !whole {
		website, _, _ = strings.Cut(j.key, "/")
	}
	switch s := h.sites[website]; {
	case s == nil: // of a Handover with other websites on the same store
	case !whole:
		err = h.attend(ctx, j.key, j.side)
	case j.side == sideIn:
		err = h.catchUp(ctx, s)
	}
	if err != nil {
		h.cfg.Logger.Warn("handover: a conversation waits for its next attempt", "error", err)
	}
	if s := h.sites[website]; s != nil && s.account(ctx) != nil {
		h.cfg.Logger.Warn("handover: the store failed", "why", "website")
	}
}

// poll nudges what is due, and returns how much the next poll should take.
func (h *Handover) poll(ctx context.Context, limit int) (next int) {
	limit = max(limit, minPoll)
	asking, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	// Hidden until the next poll: what cannot be worked on here is seen again then.
	due, err := h.cfg.Store.Claim(asking, limit, pollEvery)
	if err != nil {
		if ctx.Err() == nil {
			h.cfg.Logger.Warn("handover: the store failed", "why", "claim")
		}
		return minPoll
	}
	for _, r := range due {
		h.pool.nudge(job{r.Key, sideIn})
		h.pool.nudge(job{r.Key, sideOut})
	}
	if len(due) == limit {
		return min(limit*2, maxPoll)
	}
	return minPoll
}

// changed wakes those who wait for this conversation, tells the host what happened, and nudges a
// worker when there is something to do now.
func (h *Handover) changed(key string, d *data) {
	h.waiters.wake(key, d)
	h.tell(d.env.activity)
	if d.In.Lease.free() && d.wants(sideIn) {
		h.pool.nudge(job{key, sideIn})
	}
	if d.Out.Lease.free() && d.wants(sideOut) {
		h.pool.nudge(job{key, sideOut})
	}
}

// wants reports whether there is something to do now in one direction.
func (d *data) wants(s side) bool {
	if s == sideIn && d.look(d.env.now) != nil {
		return true
	}
	if s == sideIn && len(d.Floors) > 0 {
		return false
	}
	e, _ := d.lane(s).ready(d.env.now)
	return e != nil
}

// job is one direction of one conversation that wants attention.
type job struct {
	key  string
	side side
}

// pool is the workers of this process: for each direction a bounded number of goroutines that end
// when there is nothing to do. A job never runs twice at a time here.
type pool struct {
	work    func(job)
	workers int // for each direction
	queue   int

	mu      sync.Mutex
	waiting map[side][]job
	known   map[job]bool // waiting, or to run again
	running map[job]bool
	busy    map[side]int
	over    bool
	idle    chan struct{} // closed when nothing runs or waits
}

func newPool(workers, queue int, work func(job)) *pool {
	p := &pool{
		work: work, workers: workers, queue: queue,
		waiting: make(map[side][]job), known: make(map[job]bool), running: make(map[job]bool), busy: make(map[side]int),
		idle: make(chan struct{}),
	}
	close(p.idle)
	return p
}

// nudge has the job run soon, once more if it is running. Beyond the bound it is left to the next
// poll: the record says that it is due.
func (p *pool) nudge(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.known[j] || len(p.waiting[j.side]) >= p.queue && !p.running[j] {
		return
	}
	p.known[j] = true
	if p.running[j] {
		return
	}
	p.waiting[j.side] = append(p.waiting[j.side], j)
	if p.busy[j.side] == p.workers {
		return
	}
	if p.busy[sideIn]+p.busy[sideOut] == 0 {
		p.idle = make(chan struct{})
	}
	p.busy[j.side]++
	go p.worker(j.side)
}

// full reports whether no more conversations can wait.
func (p *pool) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting[sideIn]) >= p.queue
}

func (p *pool) closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

func (p *pool) worker(s side) {
	for {
		j, ok := p.take(s)
		if !ok {
			return
		}
		p.work(j)
		p.done(j)
	}
}

func (p *pool) take(s side) (job, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting[s]) == 0 {
		if p.busy[s]--; p.busy[sideIn]+p.busy[sideOut] == 0 {
			close(p.idle)
		}
		return job{}, false
	}
	j := p.waiting[s][0]
	p.waiting[s] = p.waiting[s][1:]
	delete(p.known, j)
	p.running[j] = true
	return j, true
}

func (p *pool) done(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, j)
	if p.known[j] {
		p.waiting[j.side] = append(p.waiting[j.side], j)
	}
}

// drain waits until nothing runs or waits.
func (p *pool) drain(ctx context.Context) error {
	for {
		p.mu.Lock()
		idle, busy := p.idle, p.busy[sideIn]+p.busy[sideOut] > 0
		p.mu.Unlock()
		if !busy {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-idle:
		}
	}
}

// Drain waits until this process has nothing under way: no hook, callback or call that could be
// made now is left. What waits for its time, such as a retry, does not count. Tests use it.
func (h *Handover) Drain(ctx context.Context) error { return h.pool.drain(ctx) }

// Shutdown stops taking work, hooks and messages, and waits until what is under way is done, or
// for ctx, whose error it returns. What is left is in the store, for another process or the next
// start. It may be called again.
func (h *Handover) Shutdown(ctx context.Context) error {
	h.pool.mu.Lock()
	h.pool.over = true
	h.pool.mu.Unlock()
	return h.pool.drain(ctx)
}

// waiters are the calls in this process that wait for changes of conversations.
type waiters struct {
	mu  sync.Mutex
	all map[string]map[*waiter]bool
}

// waiter waits until a conversation is as ok wants it.
type waiter struct {
	ok   func(*data) bool // asked under the lock: it only looks
	done chan struct{}    // closes when ok said yes
}

// listen has ok asked at each change.
func (w *waiters) listen(key string, ok func(*data) bool) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[string]map[*waiter]bool)
	}
	if w.all[key] == nil {
		w.all[key] = make(map[*waiter]bool)
	}
	x := &waiter{ok: ok, done: make(chan struct{})}
	w.all[key][x] = true
	return x
}

func (w *waiters) unlisten(key string, x *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remove(key, x)
}

// remove is unlisten for callers that hold the lock.
func (w *waiters) remove(key string, x *waiter) {
	delete(w.all[key], x)
	if len(w.all[key]) == 0 {
		delete(w.all, key)
	}
}

// wake shows the conversation to those who wait for it.
func (w *waiters) wake(key string, d *data) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.all[key] {
		if x.ok(d) {
			close(x.done)
			w.remove(key, x)
		}
	}
}

// wait waits until the conversation, of which d is what the caller knows, is as ok wants it.
// Changes by other replicas are seen by looking, at once, after 50 ms, then ever more rarely, to
// twice a second.
func (h *Handover) wait(ctx context.Context, key string, d *data, ok func(*data) bool) error {
	if ok(d) {
		return nil
	}
	epoch, serial := d.Epoch, d.Serial
	x := h.waiters.listen(key, func(d *data) bool {
		// One save may be told of after a later one.
		older := d.Epoch < epoch || d.Epoch == epoch && d.Serial < serial
		return !older && ok(d)
	})
	defer h.waiters.unlisten(key, x)
	seen := d.env.version
	for pause := 50 * time.Millisecond; ; pause = min(pause*2, 500*time.Millisecond) {
		asking, cancel := context.WithTimeout(ctx, storeTimeout)
		r, err := h.cfg.Store.Load(asking, key)
		cancel()
		if err == nil && r.Version != seen {
			seen = r.Version
			if d, err = decodeData(r, Conversation{}, time.Now()); err == nil {
				h.waiters.wake(key, d)
			}
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("handover: load from the store: %w", err)
		}
		select {
		case <-x.done:
			return nil
		default:
		}
		select {
		case <-x.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// watch remembers since when, by our own clock, something looked the same: the clocks of replicas
// are never compared.
type watch struct {
	mu   sync.Mutex
	seen map[string]sighting
}

type sighting struct {
	mark  string
	since time.Time
}

// maxWatched bounds what is remembered; forgetting only makes a takeover later.
const maxWatched = 100_000

// stale reports whether what looked like mark has not changed for ttl.
func (w *watch) stale(what, mark string, ttl time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.seen[what]
	if !ok || s.mark != mark {
		if w.seen == nil || len(w.seen) >= maxWatched {
			w.seen = make(map[string]sighting)
		}
		w.seen[what] = sighting{mark, time.Now()}
		return false
	}
	return time.Since(s.since) >= ttl // and still is when the caller has to ask again, after a conflict
}
