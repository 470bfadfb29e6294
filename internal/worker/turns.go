package worker

import (
	"context"
	"sync"
)

// Turns lets callers go one at a time for each key. The zero value is ready.
type Turns struct {
	mu sync.Mutex
	of map[string]*turn
}

// turn is that of one key, while anybody has it or waits for it.
type turn struct {
	free    chan struct{} // holds a value while nobody has the turn
	callers int
}

// Take waits for the turn of a key until ctx ends. Its caller calls pass, which may be called again, and takes no second
// turn before.
func (t *Turns) Take(ctx context.Context, key string) (pass func(), err error) {
	t.mu.Lock()
	of := t.of[key]
	if of == nil {
		if t.of == nil {
			t.of = make(map[string]*turn)
		}
		of = &turn{free: make(chan struct{}, 1)}
		of.free <- struct{}{}
		t.of[key] = of
	}
	of.callers++
	t.mu.Unlock()

	select {
	case <-of.free:
		return sync.OnceFunc(func() { of.free <- struct{}{}; t.leave(key, of) }), nil
	case <-ctx.Done():
		t.leave(key, of)
		return nil, Ended(ctx)
	}
}

// leave forgets a key that nobody is at any more.
func (t *Turns) leave(key string, of *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if of.callers--; of.callers == 0 {
		delete(t.of, key)
	}
}
