package systemtest

import (
	"time"

	"github.com/crisphandover/handover/handovertest"
)

// hits reports whether a hardship is on and hits this one, of all those that it could, with
// probability p.
func (w *world) hits(h hardship, p float64, parts ...any) bool {
	return w.o.hard[h] && handovertest.Chance(p, w.o.seed, append([]any{string(h)}, parts...)...)
}

// suffers counts that a hardship happened.
func (w *world) suffers(h hardship) { w.count(string(h)) }

// spell is a time within which a hardship lasts.
type spell struct {
	n   int           // counts them
	end time.Duration // since the world began
}

// spellAt finds the spell that is on after this time since the world began: one in each span, from
// low to high long. It depends on its arguments alone.
func spellAt(since, span, low, high time.Duration, seed uint64, what string) (s spell, on bool) {
	s.n = int(since / span)
	lasts := between(low, high, seed, what, "lasts", s.n)
	begins := time.Duration(s.n)*span + between(0, span-lasts, seed, what, "begins", s.n)
	s.end = begins + lasts
	return s, since >= begins && since < s.end
}

// away finds the spell of a store that is away at a time, of 1 to 5 s in each minute.
func (w *world) away(at time.Time) (s spell, on bool) {
	if !w.o.hard[storeAway] {
		return s, false
	}
	return spellAt(at.Sub(w.begun), time.Minute, time.Second, 5*time.Second, w.o.seed, string(storeAway))
}

// limited is the fault of a call in a burst of 429, or while Crisp's quota is used up: 5 to 40 s in each
// two minutes.
func (w *world) limited() (f handovertest.Fault, on bool) {
	since := time.Since(w.begun)
	if w.o.hard[quotaLimits] {
		if s, on := spellAt(since, 2*time.Minute, 5*time.Second, 40*time.Second, w.o.seed, string(quotaLimits)); on {
			w.suffers(quotaLimits)
			return handovertest.Fault{Status: 429, RetryAfter: s.end - since, RetryDate: s.n%2 == 1}, true
		}
	}
	_, on = spellAt(since, burstSpan, 0, burstLength, w.o.seed, "bursts")
	return handovertest.Fault{Status: 429, RetryAfter: burstWait}, on
}

// oddYears are years that no message was written in.
var oddYears = []int{-1, 1, 1601, 1969, 2300, 10_000, 58_000, 292_277_026}

// writtenAt is the time that the channel gives a message of a user's: none, or an odd one.
func (c *chat) writtenAt(id string) (at time.Time) {
	if !c.w.hits(oddUserTimes, 0.1, c.name, id) {
		return at
	}
	c.w.suffers(oddUserTimes)
	n := handovertest.Hash(c.w.o.seed, c.name, id, "year") % uint64(len(oddYears))
	return time.Date(oddYears[n], 2, 3, 4, 5, 6, 7, time.UTC)
}
