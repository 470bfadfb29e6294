package worker

import (
	"cmp"
	"context"
	"maps"
	"sync"
)

// Job is work to do for one record.
type Job struct {
	// Key names the record.
	Key string
	// Lane is the direction of the work, such as "in" or "out". Each lane has workers and a queue of
	// its own, so that one direction never waits for the other. A pool has a few lanes, always the same:
	// they are never forgotten.
	Lane string
	// Class is where the work comes from, such as a channel. Classes share a lane fairly.
	Class string
	// Known is what the caller knows of the record, for the work to begin with. It is nil when the job was
	// asked for more than once: it may be old then.
	Known any
}

// PoolOptions set a pool's bounds.
type PoolOptions struct {
	// Workers is how many jobs of one class may run in a lane at once. 0 is 32. A quarter more, one at
	// least, are there for other classes: a job of theirs runs at once while this class holds all that
	// it may. So a lane never runs more than Workers and a quarter.
	Workers int
	// Queue is how many jobs of one class may wait in a lane. 0 is 10,000. A quarter more are there for
	// other classes.
	Queue int
	// Apart are lanes with a number of workers of their own, such as for work that takes minutes, and the
	// number. Pool.Full does not count them.
	Apart map[string]int
	// Panicked hears of a job whose work panicked, with the stack. The job counts as done.
	Panicked func(j Job, stack string)
}

// Pool runs jobs on goroutines that end when there is nothing to do. No two jobs with the same key
// and lane run at a time.
//
// In each lane, a free worker goes to the class that has the fewest; among equals, classes take turns.
// A class that is alone may have all of PoolOptions.Workers. The more of a lane's workers are taken,
// the fewer one class may have: the last free ones are for classes that have few or none. So 400 jobs of a
// class whose calls all hang do not delay the first job of another class at all, and many jobs of another
// class get half of the workers as soon as the hanging ones give them back.
//
// A pool cannot stop work that hangs: work must be bounded in time, see [Call].
type Pool struct {
	work     func(Job)
	panicked func(Job, string)
	workers  int
	queue    int
	apart    map[string]int

	mu     sync.Mutex
	lanes  map[string]*lane
	tasks  map[slot]*task // that wait or run
	closed bool
	idle   chan struct{} // closes when there is nothing to do; nil while nobody waits for that
}

// slot is what only one task may hold at a time.
type slot struct{ key, lane string }

// NewPool returns a pool that runs work for each job.
func NewPool(work func(Job), o PoolOptions) *Pool {
	p := &Pool{
		work: work, panicked: o.Panicked, workers: o.Workers, queue: o.Queue, apart: maps.Clone(o.Apart),
		lanes: make(map[string]*lane), tasks: make(map[slot]*task),
	}
	if p.workers <= 0 {
		p.workers = 32
	}
	if p.queue <= 0 {
		p.queue = 10_000
	}
	return p
}

// Nudge has the job run soon, and reports whether it will. A job that waits already runs once; one
// that runs at this moment runs once more afterwards. It is false when too many wait, or after Close:
// the record must be found again by other means.
func (p *Pool) Nudge(j Job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	s := slot{j.Key, j.Lane}
	if t := p.tasks[s]; t != nil {
		j.Known, t.job.Known = nil, nil
		if t.running {
			t.again, t.next = true, j
		}
		return true
	}
	l := p.lane(j.Lane)
	if !l.takes(j.Class) {
		return false
	}
	t := &task{job: j}
	p.tasks[s] = t
	l.push(t)
	p.start(l)
	return true
}

// lane returns the one with this name. The caller holds the lock.
func (p *Pool) lane(name string) *lane {
	l := p.lanes[name]
	if l == nil {
		l = newLane(cmp.Or(p.apart[name], p.workers), p.queue)
		p.lanes[name] = l
	}
	return l
}

// Place is a worker that waits for its job. Until then the job counts as one that runs.
type Place struct {
	pool *Pool
	lane *lane
	task *task // nil once the place was used or given back
}

// Reserve returns a place for a job that is about to be ready, or nil if it could not run at once. Call Run or Release.
func (p *Pool) Reserve(j Job) *Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := slot{j.Key, j.Lane}
	l, t := p.lane(j.Lane), &task{job: j}
	if p.closed || p.tasks[s] != nil || !l.begin(t) {
		return nil
	}
	p.tasks[s] = t
	return &Place{p, l, t}
}

// Run runs the job, also after Close.
func (r *Place) Run(known any) {
	t, p := r.task, r.pool
	r.task = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	j := t.job
	j.Known = known
	go p.run(r.lane, t, j)
}

// Release gives the place back, unless it was used. A job that was asked for meanwhile runs then.
func (r *Place) Release() {
	if r == nil || r.task == nil {
		return
	}
	t := r.task
	r.task = nil
	r.pool.done(r.lane, t)
}

// Runs reports whether a job with this key and lane runs at this moment.
func (p *Pool) Runs(key, lane string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tasks[slot{key, lane}]
	return t != nil && t.running
}

// start gives free workers to those whose turn it is. The caller holds the lock.
func (p *Pool) start(l *lane) {
	for t := l.next(); t != nil; t = l.next() {
		go p.run(l, t, t.job)
	}
}

// run does one job on a goroutine of its own. It ends well too when the work panics or ends the
// goroutine, as the testing package does.
func (p *Pool) run(l *lane, t *task, j Job) {
	defer p.done(l, t)
	deepen()
	Guard(func(stack string) {
		if p.panicked != nil {
			p.panicked(j, stack)
		}
	}, func() { p.work(j) })
}

// deepen has the stack of a new goroutine grow once, while little is on it. Else it would be copied at each doubling.
//
//go:noinline
func deepen() {
	var room [deep]byte
	use(room[:])
}

// deep is the room on the stack that work is given at first.
const deep = 16 << 10

//go:noinline
func use([]byte) {}

// done gives the worker of a task back.
func (p *Pool) done(l *lane, t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.release(t)
	if t.again {
		t.job, t.again = t.next, false
		l.push(t)
	} else {
		delete(p.tasks, slot{t.job.Key, t.job.Lane})
	}
	p.start(l)
	if len(p.tasks) == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// Accepts reports whether the pool is for more work: it is neither closed nor full.
func (p *Pool) Accepts() bool { return !p.Closed() && !p.Full() }

// Full reports whether PoolOptions.Queue jobs or more wait in a lane, of whatever class, but for those
// apart. It is the
// time to refuse work that somebody else will bring again.
func (p *Pool) Full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, l := range p.lanes {
		if p.apart[name] == 0 && l.full() {
			return true
		}
	}
	return false
}

// Close takes no more jobs. Those that wait or run go on; Drain waits for them.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// Closed reports whether Close was called.
func (p *Pool) Closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// Drain waits until no job waits or runs. At the end of ctx it returns Ended of that.
func (p *Pool) Drain(ctx context.Context) error {
	p.mu.Lock()
	if len(p.tasks) == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	p.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return Ended(ctx)
	}
}

// LaneStats say how much a lane has to do.
type LaneStats struct {
	Queued  int // jobs that wait
	Running int // jobs that run
	Classes int // sources of either
}

// Stats returns how much each lane that was ever used has to do.
func (p *Pool) Stats() map[string]LaneStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[string]LaneStats, len(p.lanes))
	for name, l := range p.lanes {
		all[name] = LaneStats{Queued: l.queued, Running: l.running, Classes: len(l.classes)}
	}
	return all
}
