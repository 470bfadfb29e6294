package handovertest

import (
	"context"
	"testing/synctest"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/testhook"
)

// settleTime is how long Settle waits outside of a bubble.
const settleTime = 30 * time.Second

// drainer is what Settle asks of an attached handler that works on after its answers.
type drainer interface {
	Drain(context.Context) error
}

// Drain waits until a Handover has nothing under way in this process: no hook, callback or call that
// could be made now is left. What waits for its time, such as a retry, does not count. The error is
// ctx's. Settle does it for a Handover that is attached; OnSettle has it done for one that stands
// behind a handler of the host's.
func Drain(ctx context.Context, h *handover.Handover) error { return testhook.Drain(ctx, h) }

// Settle returns when nothing happens any more. In a testing/synctest bubble that is
// synctest.Wait, so time does not advance: what waits for a later moment still waits. Elsewhere it
// is when no call or hook is under way, the fake's own retries and delays included, and what was
// attached has drained, as a Handover does, a type that embeds one, or a handler with a method Drain(context.Context) error;
// what that means to try again later is not waited for. After 30 s Settle gives up and reports a violation.
func (c *Crisp) Settle() {
	if waitInBubble() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	for {
		seen, err := c.awaitIdle(ctx)
		if err == nil {
			err = c.drain(ctx)
		}
		if err != nil {
			c.violated("did not settle: %v", err)
			return
		}
		if c.idleSince(seen) {
			return
		}
	}
}

// OnSettle has Settle wait for drain too, for work that is hidden from it behind another handler
// or another process.
func (c *Crisp) OnSettle(drain func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drains = append(c.drains, drain)
}

// Idle says whether no call, hook or delayed piece of work is under way, retries included.
func (c *Crisp) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy == 0
}

// Await returns nil once done returns true. It asks at once, and again after each change in Crisp;
// done may ask the fake anything. The error is ctx's.
func (c *Crisp) Await(ctx context.Context, done func() bool) error {
	for {
		c.mu.Lock()
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waitInBubble waits as synctest.Wait does and returns true, or returns false where there is no
// bubble.
func waitInBubble() (inside bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != "goroutine is not in a bubble" {
				panic(p)
			}
			inside = false
		}
	}()
	synctest.Wait()
	return true
}

// awaitIdle waits until nothing is under way, and returns how much had happened until then.
func (c *Crisp) awaitIdle(ctx context.Context) (activity int, err error) {
	err = c.Await(ctx, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		activity = c.activity
		return c.busy == 0
	})
	return activity, err
}

// drain asks everything that can drain to do so.
func (c *Crisp) drain(ctx context.Context) error {
	c.mu.Lock()
	drains := append([]func(context.Context) error(nil), c.drains...)
	for _, r := range c.receivers {
		if d, ok := r.handler.(drainer); ok {
			drains = append(drains, d.Drain)
		} else {
			drains = append(drains, func(ctx context.Context) error { return testhook.Drain(ctx, r.handler) })
		}
	}
	c.mu.Unlock()
	for _, drain := range drains {
		if err := drain(ctx); err != nil {
			return err
		}
	}
	return nil
}

// idleSince says whether nothing happened since activity was read.
func (c *Crisp) idleSince(activity int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy == 0 && c.activity == activity
}

// wake tells Await that something changed. The caller holds the lock.
func (c *Crisp) wake() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// begin counts a piece of work. The caller holds the lock, and calls end when it is done.
func (c *Crisp) begin() {
	c.busy++
	c.activity++
}

// end counts a piece of work as done. The caller holds the lock.
func (c *Crisp) end() {
	c.busy--
	c.wake()
}

// spawn runs fn in a goroutine that Close waits for, after d; not at all once the fake is closed.
// The caller holds the lock; fn does not.
func (c *Crisp) spawn(d time.Duration, fn func()) {
	if c.closed {
		return
	}
	c.begin()
	c.work.Go(func() {
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.end()
		}()
		if c.sleep(c.ctx, d) == nil {
			fn()
		}
	})
}

// sleep waits for d, or returns the error of the context that ends first.
func (c *Crisp) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}
