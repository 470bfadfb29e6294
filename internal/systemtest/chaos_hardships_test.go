package systemtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover/handovertest"
)

// hardship is a kind of thing that the world of TestChaos does to the library, besides the faults of
// single calls and hooks. A run counts how often each happened.
type hardship string

// The hardships.
const (
	skewedReplicas  hardship = "skewed replicas"    // the replicas' clocks are wrong, by up to an hour
	skewedCrisp     hardship = "skewed crisp"       // Crisp's clock is wrong, by up to 20 minutes
	oddUserTimes    hardship = "odd user times"     // a channel gives messages years that cannot be
	oddTimes        hardship = "odd times"          // so does Crisp
	oddFingerprints hardship = "odd fingerprints"   // Crisp gives messages numbers that are none
	oddHookTimes    hardship = "odd hook times"     // hooks have no time of their own, or one in seconds
	triggers        hardship = "triggers"           // the chatbox's triggers write, who are nobody
	logLag          hardship = "log lag"            // reads of Crisp's log lag, by seconds
	hollowSuccess   hardship = "hollow successes"   // an answer is 200 and not as Crisp documents it
	quotaLimits     hardship = "quota limits"       // Crisp answers 429 to everything, and says for how long
	refusedSteps    hardship = "refused steps"      // a step that a handover can do without is refused for good
	hungCallbacks   hardship = "hung callbacks"     // a callback never returns, whatever its context says
	panics          hardship = "panics"             // a callback panics
	longTalks       hardship = "long conversations" // some have ten times as many messages
	storeAway       hardship = "store away"         // the store fails or hangs for seconds, for all replicas
	lostSaves       hardship = "lost saves"         // the store saves, and says that it failed
	adoptions       hardship = "adoptions"          // the handover goes on in a conversation that Crisp has
	parts           hardship = "parts"              // texts that are too long for one message
	lateEnds        hardship = "late ends"          // OnEnd fails for minutes
)

// hardships are all there are, and whether the library bears them. TestChaos runs those that it
// bears unless settings.ChaosWith asks for others.
var hardships = map[hardship]bool{
	skewedReplicas:  false,
	skewedCrisp:     false,
	oddUserTimes:    false,
	oddTimes:        false,
	oddFingerprints: false,
	oddHookTimes:    false,
	triggers:        false,
	logLag:          false,
	hollowSuccess:   false,
	quotaLimits:     false,
	refusedSteps:    false,
	hungCallbacks:   false,
	panics:          false,
	longTalks:       false,
	storeAway:       false,
	lostSaves:       false,
	adoptions:       false,
	parts:           false,
	lateEnds:        false,
}

// hard is a set of hardships.
type hard map[hardship]bool

// borne are the hardships that the library bears.
func borne() hard {
	set := maps.Clone(hard(hardships))
	maps.DeleteFunc(set, func(_ hardship, on bool) bool { return !on })
	return set
}

// chosen are the hardships that a setting names: "borne", "all", "none", or names with commas.
func chosen(text string) (set hard, err error) {
	switch text {
	case "borne":
		return borne(), nil
	case "none":
		return nil, nil
	}
	set = make(hard)
	for _, name := range strings.Split(text, ",") {
		h := hardship(strings.TrimSpace(name))
		if _, known := hardships[h]; !known && text != "all" {
			return nil, fmt.Errorf("there is no hardship %q: choose all, none, borne, or of %q", h, slices.Sorted(maps.Keys(hardships)))
		}
		set[h] = true
	}
	if text == "all" {
		set = maps.Clone(hard(hardships))
		for h := range set {
			set[h] = true
		}
	}
	return set, nil
}

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
func spellAt(since, span, low, high time.Duration, seed uint64, what hardship) (s spell, on bool) {
	s.n = int(since / span)
	lasts := between(low, high, seed, string(what), "lasts", s.n)
	begins := time.Duration(s.n)*span + between(0, span-lasts, seed, string(what), "begins", s.n)
	s.end = begins + lasts
	return s, since >= begins && since < s.end
}

// away finds the spell of a store that is away, of 1 to 5 s in each minute.
func (w *world) away() (s spell, on bool) {
	if !w.o.hard[storeAway] {
		return s, false
	}
	return spellAt(time.Since(w.begun), time.Minute, time.Second, 5*time.Second, w.o.seed, storeAway)
}

// limited is the fault of a call while Crisp's quota is used up: 5 to 40 s in each two minutes.
func (w *world) limited() (f handovertest.Fault, on bool) {
	if !w.o.hard[quotaLimits] {
		return f, false
	}
	since := time.Since(w.begun)
	s, on := spellAt(since, 2*time.Minute, 5*time.Second, 40*time.Second, w.o.seed, quotaLimits)
	if !on {
		return f, false
	}
	w.suffers(quotaLimits)
	return handovertest.Fault{Status: 429, RetryAfter: s.end - since, RetryDate: s.n%2 == 1}, true
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
