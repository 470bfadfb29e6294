package worker

import (
	"context"
	"sync"
	"time"
)

// firstPoll is the pause after the first poll of a waiter that polls at once, and the shortest longest
// pause.
const firstPoll = 50 * time.Millisecond

// Waiters are callers that wait until the value of a key is as they want it. The zero value is ready.
// There is no bound: each waiter belongs to a caller that waits.
type Waiters[V any] struct {
	mu  sync.Mutex
	all map[string]map[*Waiter[V]]bool
}

// Waiter waits for the value of one key.
type Waiter[V any] struct {
	waiters *Waiters[V]
	key     string
	ok      func(V) bool
	stop    func()        // ends the poll that is under way, if there is one
	value   V             // what ok said yes to; set before done closes
	done    chan struct{} // closes when ok said yes
}

// PollFunc asks for the value of a key, for changes that nobody here tells of. news is false if there is
// no new value since the last time. It must return soon after the end of ctx.
type PollFunc[V any] func(ctx context.Context) (value V, news bool, err error)

// Listen has ok asked about each value that Wake shows from now on, until it says yes or Stop is called.
// Whoever listens before the change is asked for cannot miss it. ok is called while other calls on the
// waiters wait: it only looks at the value.
//
// Values may be shown in another order than they came about; an ok for which that matters compares
// versions.
func (w *Waiters[V]) Listen(key string, ok func(V) bool) *Waiter[V] {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[string]map[*Waiter[V]]bool)
	}
	if w.all[key] == nil {
		w.all[key] = make(map[*Waiter[V]]bool)
	}
	x := &Waiter[V]{waiters: w, key: key, ok: ok, done: make(chan struct{})}
	w.all[key][x] = true
	return x
}

// Wake shows a key's value to those who wait for it.
func (w *Waiters[V]) Wake(key string, value V) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.all[key] {
		if !x.ok(value) {
			continue
		}
		x.value = value
		close(x.done)
		if x.stop != nil {
			x.stop()
		}
		w.remove(x)
	}
}

// Wait listens, waits and stops: see Listen and Waiter.Wait.
func (w *Waiters[V]) Wait(ctx context.Context, key string, ok func(V) bool, poll PollFunc[V], first, most time.Duration) (V, error) {
	x := w.Listen(key, ok)
	defer x.Stop()
	return x.Wait(ctx, poll, first, most)
}

// Waiting reports whether anybody waits for a key: whether it is worth while to get its value for
// Wake.
func (w *Waiters[V]) Waiting(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all[key]) > 0
}

// Len returns how many wait.
func (w *Waiters[V]) Len() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, all := range w.all {
		n += len(all)
	}
	return n
}

// remove is Stop for callers that hold the lock.
func (w *Waiters[V]) remove(x *Waiter[V]) {
	delete(w.all[x.key], x)
	if len(w.all[x.key]) == 0 {
		delete(w.all, x.key)
	}
}

// Done returns a channel that closes when ok has said yes.
func (x *Waiter[V]) Done() <-chan struct{} { return x.done }

// Stop ends the listening. Each Listen needs one; after the end it does nothing.
func (x *Waiter[V]) Stop() {
	x.waiters.mu.Lock()
	defer x.waiters.mu.Unlock()
	x.waiters.remove(x)
}

// Wait waits until ok has said yes, and returns the value. It polls after a first pause, and then with
// pauses that double up to most; what a poll brings is shown to all that wait for the key. With a first
// of 0 it polls at once and then after 50 ms. A most below 50 ms is 50 ms. Without a poll it waits for
// Wake alone.
//
// It ends early with the error of a poll, or at the end of ctx with Ended of that. A poll that is
// under way when ok says yes is cancelled.
func (x *Waiter[V]) Wait(ctx context.Context, poll PollFunc[V], first, most time.Duration) (V, error) {
	if poll == nil {
		select {
		case <-x.done:
			return x.value, nil
		case <-ctx.Done():
		}
		return x.last(ctx)
	}
	polling, cancel := context.WithCancel(ctx)
	defer cancel()
	x.cancels(cancel)
	most = max(most, firstPoll)
	for pause := first; ; pause = min(max(pause*2, firstPoll), most) {
		select {
		case <-x.done:
			return x.value, nil
		case <-ctx.Done():
			return x.last(ctx)
		case <-time.After(pause):
		}
		value, news, err := poll(polling)
		if err != nil && polling.Err() == nil {
			return value, err
		}
		if err == nil && news {
			x.waiters.Wake(x.key, value)
		}
	}
}

// last returns, at the end of ctx, the value if ok has said yes by now, else Ended.
func (x *Waiter[V]) last(ctx context.Context) (V, error) {
	select {
	case <-x.done:
		return x.value, nil
	default:
		var none V
		return none, Ended(ctx)
	}
}

// cancels has stop called when ok says yes.
func (x *Waiter[V]) cancels(stop func()) {
	x.waiters.mu.Lock()
	defer x.waiters.mu.Unlock()
	x.stop = stop
}
