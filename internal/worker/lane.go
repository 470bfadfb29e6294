package worker

import "container/list"

// lane holds the jobs of one direction: those that wait, by class, and how many run. It decides which
// is next, and runs none.
type lane struct {
	workers, room   share // of running and of waiting jobs
	running, queued int
	classes         map[string]*class
	turns           list.List // the classes with waiting jobs; the first had its turn longest ago
}

// class holds the jobs of one source. It exists while it has any.
type class struct {
	name    string
	running int
	queue   []*task
}

// task is a job that waits or runs.
type task struct {
	job     Job
	class   *class // nil while it waits
	running bool
	again   bool // it was nudged while it ran
	next    Job  // what to run then
}

func newLane(workers, queue int) *lane {
	return &lane{workers: newShare(workers), room: newShare(queue), classes: make(map[string]*class)}
}

// full reports whether as many jobs wait as are meant to. A few more of other classes are taken.
func (l *lane) full() bool { return l.queued >= l.room.most }

// takes reports whether another job of a class may wait.
func (l *lane) takes(name string) bool {
	held := 0
	if c := l.classes[name]; c != nil {
		held = len(c.queue)
	}
	return l.room.grants(held, l.queued)
}

// class returns the one with this name.
func (l *lane) class(name string) *class {
	c := l.classes[name]
	if c == nil {
		c = &class{name: name}
		l.classes[name] = c
	}
	return c
}

// push lets a task wait behind the others of its class.
func (l *lane) push(t *task) {
	c := l.class(t.job.Class)
	if len(c.queue) == 0 {
		l.turns.PushBack(c)
	}
	c.queue = append(c.queue, t)
	l.queued++
}

// next takes the task out that gets a worker now, or returns nil.
func (l *lane) next() *task {
	e := l.poorest()
	if e == nil {
		return nil
	}
	c := e.Value.(*class)
	if !l.workers.grants(c.running, l.running) {
		return nil // nor may any other class, which holds as many or more
	}
	t := c.queue[0]
	c.queue[0] = nil
	c.queue = c.queue[1:]
	l.queued--
	if len(c.queue) > 0 {
		l.turns.MoveToBack(e)
	} else {
		l.turns.Remove(e)
	}
	l.give(c, t)
	return t
}

// give gives a worker to a task.
func (l *lane) give(c *class, t *task) {
	c.running++
	l.running++
	t.class, t.running = c, true
}

// begin gives a worker to a task that need not wait, and reports whether it got one.
func (l *lane) begin(t *task) bool {
	running := 0
	if c := l.classes[t.job.Class]; c != nil {
		running = c.running
	}
	if l.queued > 0 || !l.workers.grants(running, l.running) {
		return false
	}
	l.give(l.class(t.job.Class), t)
	return true
}

// poorest returns the class with waiting jobs that has the fewest workers; of several, the one that had
// its turn longest ago. The search is short: not more classes than there are workers have any.
func (l *lane) poorest() (least *list.Element) {
	for e := l.turns.Front(); e != nil; e = e.Next() {
		n := e.Value.(*class).running
		if n == 0 {
			return e
		}
		if least == nil || n < least.Value.(*class).running {
			least = e
		}
	}
	return least
}

// release gives the worker of a task back.
func (l *lane) release(t *task) {
	c := t.class
	t.class, t.running = nil, false
	c.running--
	l.running--
	if c.running == 0 && len(c.queue) == 0 {
		delete(l.classes, c.name)
	}
}
