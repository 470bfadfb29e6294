package webchat

import (
	"sync"
	"time"
)

// buckets count what each session does. Each holds as many drops as may be done in a minute, and gets one back
// every so often.
type buckets struct {
	mu    sync.Mutex
	all   map[string]bucket
	swept time.Time // when those that are full went last
}

type bucket struct {
	drops float64
	rate  int
	at    time.Time
}

// maxBuckets is how many there are at the most; with half as many those that are full go, once a minute. What has
// none is not allowed then.
const maxBuckets = 200_000

// allow reports whether it may be done once more, at most rate times a minute.
func (b *buckets) allow(what string, rate int) bool {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[string]bucket{}
	}
	one, ok := b.all[what]
	if !ok {
		if len(b.all) >= maxBuckets/2 && now.Sub(b.swept) > time.Minute {
			b.forget(now)
		}
		if len(b.all) >= maxBuckets {
			return false
		}
		one = bucket{drops: float64(rate), rate: rate, at: now}
	}
	one = one.filled(now)
	allowed := one.drops >= 1
	if allowed {
		one.drops--
	}
	b.all[what] = one
	return allowed
}

// filled is the bucket at a later time.
func (b bucket) filled(now time.Time) bucket {
	b.drops = min(float64(b.rate), b.drops+now.Sub(b.at).Minutes()*float64(b.rate))
	b.at = now
	return b
}

// forget drops those that are full: they are as new ones. The caller holds the lock.
func (b *buckets) forget(now time.Time) {
	b.swept = now
	for what, one := range b.all {
		if one.filled(now).drops >= float64(one.rate) {
			delete(b.all, what)
		}
	}
}
