package worker

import "sync"

// Latest has tasks done by a pool of which only the newest counts: for each key and lane one waits, and a newer one
// takes its place. The zero Latest has none.
type Latest struct {
	mu    sync.Mutex
	tasks map[slot]func()
}

// Put has the task done soon, in place of one that waits for the same key and lane. It is dropped when the pool takes no
// more.
func (l *Latest) Put(p *Pool, j Job, task func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !p.Nudge(j) {
		return
	}
	if l.tasks == nil {
		l.tasks = make(map[slot]func())
	}
	l.tasks[slot{j.Key, j.Lane}] = task
}

// Do does the task that waits for the key and lane of a job, if there is one. The pool's work calls it.
func (l *Latest) Do(j Job) {
	l.mu.Lock()
	task := l.tasks[slot{j.Key, j.Lane}]
	delete(l.tasks, slot{j.Key, j.Lane})
	l.mu.Unlock()
	if task != nil {
		task()
	}
}
