package worker

import (
	"cmp"
	"sync"
	"time"
)

// Pushback gives growing pauses to keys that fail, such as records that cannot be read. The zero value
// is ready.
//
// At most Size keys are remembered. When one more fails, the key with the shortest pause is forgotten,
// and the new one goes on with its pause, doubled. So a forgotten key is tried too early rather than
// never, and however many keys fail, they fail Size times in Most in the end, not more often. A key
// that neither failed nor succeeded for Most after the end of its pause is forgotten as well.
type Pushback struct {
	First time.Duration // the first pause; 0 is a second
	Most  time.Duration // the longest pause; 0 is an hour
	Size  int           // how many keys are remembered; 0 is 4,096

	mu      sync.Mutex
	failing map[string]failure
}

// failure is what is remembered of a key that failed.
type failure struct {
	times int
	until time.Time // the end of the pause
}

// Failed notes a failure, and returns how long to leave the key alone.
func (p *Pushback) Failed(key string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	f, known := p.failing[key]
	if known && p.stale(f, now) {
		f = failure{}
	}
	if !known && len(p.failing) >= cmp.Or(p.Size, 4096) {
		f = p.forgetOne(now)
	}
	pause := Backoff(p.first(), p.most(), f.times+1)
	if p.failing == nil {
		p.failing = make(map[string]failure)
	}
	p.failing[key] = failure{times: f.times + 1, until: now.Add(pause)}
	return pause
}

// Succeeded forgets a key's failures.
func (p *Pushback) Succeeded(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.failing, key)
}

// Left returns how long the key is still to be left alone; 0 if it may be tried.
func (p *Pushback) Left(key string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.failing[key]
	if !ok {
		return 0
	}
	return max(0, time.Until(f.until))
}

// Len returns how many keys are remembered.
func (p *Pushback) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.failing)
}

// forgetOne makes room and returns what the new key goes on with: nothing if a key was stale.
func (p *Pushback) forgetOne(now time.Time) failure {
	victim, least := "", failure{}
	for key, f := range p.failing {
		if p.stale(f, now) {
			delete(p.failing, key)
			continue
		}
		if least.times == 0 || cmp.Or(cmp.Compare(f.times, least.times), f.until.Compare(least.until)) < 0 {
			victim, least = key, f
		}
	}
	if len(p.failing) < cmp.Or(p.Size, 4096) {
		return failure{}
	}
	delete(p.failing, victim)
	return least
}

func (p *Pushback) stale(f failure, now time.Time) bool { return now.Sub(f.until) > p.most() }

func (p *Pushback) first() time.Duration { return cmp.Or(p.First, time.Second) }

func (p *Pushback) most() time.Duration { return cmp.Or(p.Most, time.Hour) }
