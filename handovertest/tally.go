package handovertest

import (
	"maps"
	"time"
)

// Tally counts the calls of a span of time, at no cost but that of a few numbers: Crisp.Calls keeps
// only the newest.
type Tally struct {
	crisp  *Crisp
	start  time.Time
	before map[callKey]int
	end    time.Time       // zero: the span goes on
	after  map[callKey]int // once it ended
}

// Tally starts to count. Calls count when they end.
func (c *Crisp) Tally() *Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Tally{crisp: c, start: time.Now(), before: maps.Clone(c.callCount)}
}

// Stop ends the span. Later calls do not count.
func (t *Tally) Stop() {
	t.crisp.mu.Lock()
	defer t.crisp.mu.Unlock()
	if t.end.IsZero() {
		t.end, t.after = time.Now(), maps.Clone(t.crisp.callCount)
	}
}

// Count returns how many calls of a route there were: one of the Route constants, only its method
// ("POST"), or "" for all.
func (t *Tally) Count(route string) int {
	if !known(route) {
		t.crisp.violated("Tally.Count: there is no route %q", route)
	}
	return t.sum(func(k callKey) bool { return matches(route, k.route) })
}

// About is Count for calls about one conversation; nil: those about none.
func (t *Tally) About(v *Conversation, route string) int {
	if !known(route) {
		t.crisp.violated("Tally.About: there is no route %q", route)
	}
	number := -1
	if v != nil {
		number = v.number
	}
	return t.sum(func(k callKey) bool { return matches(route, k.route) && k.conversation == number })
}

// PerDay is Count as a rate, by the time that passed, fake time included. It is 0 while none has.
func (t *Tally) PerDay(route string) float64 {
	n := t.Count(route)
	t.crisp.mu.Lock()
	end := t.end
	t.crisp.mu.Unlock()
	if end.IsZero() {
		end = time.Now()
	}
	if passed := end.Sub(t.start); passed > 0 {
		return float64(n) * float64(24*time.Hour) / float64(passed)
	}
	return 0
}

// Status returns how many calls were answered with this status; 0: those that were cut.
func (t *Tally) Status(status int) int {
	return t.sum(func(k callKey) bool { return k.status == status })
}

// Early returns how many calls came before the time that the Retry-After of an earlier answer for
// the same website named.
func (t *Tally) Early() int {
	return t.sum(func(k callKey) bool { return k.early })
}

// Routes returns how many calls there were, by route.
func (t *Tally) Routes() map[string]int {
	out := map[string]int{}
	t.each(func(k callKey, n int) { out[k.route] += n })
	return out
}

// Conversations returns how many calls there were, by the number of the conversation; -1: about
// none.
func (t *Tally) Conversations() map[int]int {
	out := map[int]int{}
	t.each(func(k callKey, n int) { out[k.conversation] += n })
	return out
}

// Websites returns how many calls there were, by website.
func (t *Tally) Websites() map[string]int {
	out := map[string]int{}
	t.each(func(k callKey, n int) { out[k.website] += n })
	return out
}

func (t *Tally) sum(wanted func(callKey) bool) int {
	total := 0
	t.each(func(k callKey, n int) {
		if wanted(k) {
			total += n
		}
	})
	return total
}

// each calls fn for each kind of call that happened in the span.
func (t *Tally) each(fn func(k callKey, n int)) {
	t.crisp.mu.Lock()
	defer t.crisp.mu.Unlock()
	counts := t.after
	if counts == nil {
		counts = t.crisp.callCount
	}
	for k, n := range counts {
		if n -= t.before[k]; n > 0 {
			fn(k, n)
		}
	}
}
