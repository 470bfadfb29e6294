package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The errors of Call that are not the callback's own.
var (
	// ErrAbandoned is returned for a callback that did not return in time. It may still be running, and
	// what it does may still take effect. The error also wraps the cause of the end of its context.
	ErrAbandoned = errors.New("the callback did not return in time and was abandoned")
	// ErrPanicked is returned for a callback that panicked.
	ErrPanicked = errors.New("the callback panicked")
	// ErrExited is returned for a callback that ended its goroutine, with runtime.Goexit.
	ErrExited = errors.New("the callback ended its goroutine")
	// ErrCrowded is returned, without a call, when too many abandoned callbacks are still running.
	ErrCrowded = errors.New("too many callbacks that were abandoned are still running: make them heed their context")
)

// BulkheadOptions set a bulkhead's bounds.
type BulkheadOptions struct {
	// Abandoned is how many abandoned callbacks of one class may run at a time before calls of that
	// class are refused. 0 is 1,000. A quarter more are there for other classes. Calls that are under way
	// when the bound is reached may go beyond it.
	Abandoned int
	// Grace is how long a callback has to return after its context has ended. 0 is a second.
	Grace time.Duration
	// Panicked gets the stack of a callback that panicked, also of one that was abandoned before.
	Panicked func(stack string)
}

// Bulkhead keeps callbacks that hang or panic from doing harm to those who call them. Use it with Call.
type Bulkhead struct {
	share    share
	grace    time.Duration
	panicked func(string)

	mu      sync.Mutex
	left    map[string]int // abandoned callbacks that run, by class
	allLeft int
}

// NewBulkhead returns a bulkhead.
func NewBulkhead(o BulkheadOptions) *Bulkhead {
	if o.Abandoned <= 0 {
		o.Abandoned = 1000
	}
	if o.Grace <= 0 {
		o.Grace = time.Second
	}
	return &Bulkhead{share: newShare(o.Abandoned), grace: o.Grace, panicked: o.Panicked, left: make(map[string]int)}
}

// Abandoned returns how many abandoned callbacks are still running.
func (b *Bulkhead) Abandoned() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.allLeft
}

// Call runs f on a goroutine of its own, and returns what it returned. The context of f ends with
// limit, or with ctx; then f has BulkheadOptions.Grace to return. If it does not, it is abandoned: Call
// returns ErrAbandoned, and what f returns later is dropped. So Call takes limit and grace at the
// longest.
//
// f must hand its results back by returning them: after it was abandoned, a variable that it shares
// with the caller would be written while the caller reads it. A context that has ended already makes
// no call; its cause is returned. class is where the callback comes from, such as a channel: the
// bound on abandoned callbacks is shared fairly between classes.
func Call[T any](ctx context.Context, b *Bulkhead, class string, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	var none, result T
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	if !b.admits(class) {
		return none, ErrCrowded
	}
	c, err := &call{class: class, done: make(chan struct{})}, ErrExited
	go func() {
		defer b.end(c)
		if !Guard(b.panicked, func() { result, err = f(ctx) }) {
			err = ErrPanicked
		}
	}()
	select {
	case <-c.done:
		return result, err
	case <-ctx.Done():
	}
	grace := time.NewTimer(b.grace)
	defer grace.Stop()
	select {
	case <-c.done:
		return result, err
	case <-grace.C:
	}
	if b.abandon(c) {
		return none, fmt.Errorf("%w: %w", ErrAbandoned, context.Cause(ctx))
	}
	return result, err // it returned at the last moment
}

// call is a callback under way.
type call struct {
	class string
	over  bool          // it returned, panicked or ended its goroutine
	left  bool          // nobody waits for it
	done  chan struct{} // closes when over is set
}

// admits reports whether a callback of a class may be called.
func (b *Bulkhead) admits(class string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.share.grants(b.left[class], b.allLeft)
}

// abandon notes that nobody waits for a call any more; false if it is over.
func (b *Bulkhead) abandon(c *call) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.over {
		return false
	}
	c.left = true
	b.left[c.class]++
	b.allLeft++
	return true
}

// end notes that a call is over.
func (b *Bulkhead) end(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.over = true
	close(c.done)
	if !c.left {
		return
	}
	b.allLeft--
	if b.left[c.class]--; b.left[c.class] == 0 {
		delete(b.left, c.class)
	}
}
