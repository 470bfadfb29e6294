package handover

import (
	"sync/atomic"
	"time"
)

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
