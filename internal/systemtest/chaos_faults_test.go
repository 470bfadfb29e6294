package systemtest

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"github.com/crisphandover/handover/handovertest"
)

// maxStreak is how many faults may come in a row for one kind of call about one conversation. It is
// below every budget of retries: giving up has tests of its own.
const maxStreak = 3

// odds are the chances of faults, of which at most one happens.
type odds []struct {
	fault  string
	chance float64
}

// What goes wrong. Crisp's answers of class 5 are 10 % in all: one in four of them comes from a
// gateway, behind which the work is done all the same.
var (
	callOdds = odds{
		{"5xx", 0.075}, {"gateway", 0.025}, {"cut before", 0.05}, {"cut after", 0.05},
		{"cut body", 0.01}, {"refused", 0.01}, {"stale", 0.1}, {"echo first", 0.05},
	}
	// hollowOdds are answers that only seem to be good ones; of half of them the work was done.
	hollowOdds = odds{{"hollow", 0.02}, {"hollow, done", 0.02}}
	// roughOdds come besides callOdds, and roughHookOdds besides hookOdds, in a small run that is to meet what
	// a large one meets: most are about calls that were carried out without an answer.
	roughOdds     = odds{{"cut after", 0.2}, {"gateway", 0.1}}
	roughHookOdds = odds{{"dropped", 0.3}}
	hookOdds      = odds{{"dropped", 0.1}, {"twice", 0.05}, {"delayed", 0.1}, {"swapped", 0.1}}
	callbackOdds  = odds{{"fails before", 0.05}, {"fails after", 0.05}}
	hungOdds      = odds{{"hangs before", 0.01}, {"hangs after", 0.01}}
	panicOdds     = odds{{"panics before", 0.01}, {"panics after", 0.01}}
)

// A burst of 429 takes all calls of the website for up to burstLength, in each burstSpan: Crisp counts
// what a website does, and not what a conversation does.
const (
	burstSpan   = 10 * time.Second
	burstLength = 1500 * time.Millisecond
	burstWait   = time.Second // Retry-After
)

// draw is the fault with this ordinal, "" for none. It depends on its arguments alone.
func (o odds) draw(seed uint64, who, kind string, ordinal int) string {
	x := fraction(seed, who, kind, ordinal)
	for _, f := range o {
		if x -= f.chance; x < 0 {
			return f.fault
		}
	}
	return ""
}

// hollowBodies are the bodies of answers that only seem to be good ones.
var hollowBodies = []string{handovertest.BodyError, handovertest.BodyEmpty, handovertest.BodyHTML}

// drawCall is draw for a call to Crisp.
func (w *world) drawCall(who, route string, ordinal int) string {
	all := callOdds
	if w.o.hard[hollowSuccess] {
		all = append(all[:len(all):len(all)], hollowOdds...)
	}
	if w.o.rough {
		all = append(all[:len(all):len(all)], roughOdds...)
	}
	return all.draw(w.o.seed, who, route, ordinal)
}

// capped is what draw says, but nothing after maxStreak faults in a row.
func capped(ordinal int, draw func(ordinal int) string) string {
	for n := 1; n <= maxStreak; n++ {
		if ordinal < n || draw(ordinal-n) == "" {
			return draw(ordinal)
		}
	}
	return ""
}

// fraction returns a number from 0 to 1 that depends on its arguments alone.
func fraction(seed uint64, parts ...any) float64 {
	return float64(handovertest.Hash(seed, parts...)>>11) / (1 << 53)
}

// tick is what durations are rounded to: what happens at the same moment runs at the same time.
const tick = 25 * time.Millisecond

// between returns a duration that depends on its arguments alone.
func between(low, high time.Duration, seed uint64, parts ...any) time.Duration {
	return (low + time.Duration(fraction(seed, parts...)*float64(high-low))).Round(tick)
}

// callFault decides what goes wrong with a call to Crisp. Every call takes its time, before its
// work is done and after.
func (w *world) callFault(i handovertest.CallInfo) handovertest.Fault {
	if f, limited := w.limited(); limited {
		return f
	}
	seed, who := w.o.seed, cmp.Or(i.Nickname, strconv.Itoa(i.Conversation))
	f := handovertest.Fault{
		Delay:       between(5*time.Millisecond, 150*time.Millisecond, seed, who, i.Route, i.Ordinal, "there"),
		DelayAnswer: between(5*time.Millisecond, 100*time.Millisecond, seed, who, i.Route, i.Ordinal, "back"),
	}
	switch fault := capped(i.Ordinal, func(n int) string { return w.drawCall(who, i.Route, n) }); fault {
	case "5xx":
		f.Status = []int{500, 502, 503}[i.Ordinal%3]
	case "gateway":
		f.Status, f.LateCommit = http.StatusGatewayTimeout, 2*time.Second
	case "cut before":
		f.CutBefore = true
	case "cut after":
		f.CutAfter = true
	case "cut body":
		f.CutBody = true
	case "refused":
		f.Refuse = true
	case "stale":
		f.Stale = between(time.Second, 5*time.Second, seed, who, i.Route, i.Ordinal, "stale")
	case "echo first":
		f.EchoFirst = true
	case "hollow", "hollow, done":
		w.suffers(hollowSuccess)
		f.Status, f.Body, f.Commit = http.StatusOK, hollowBodies[i.Ordinal%len(hollowBodies)], fault == "hollow, done"
	}
	return f
}

// hookFault decides what goes wrong with a hook.
func (w *world) hookFault(i handovertest.HookInfo) (f handovertest.HookFault) {
	seed, who, all := w.o.seed, cmp.Or(i.Nickname, strconv.Itoa(i.Conversation)), hookOdds
	if w.o.rough {
		all = append(all[:len(all):len(all)], roughHookOdds...)
	}
	switch capped(i.Ordinal, func(n int) string { return all.draw(seed, who, i.Event, n) }) {
	case "dropped":
		f.Drop = w.mayDrop(who, i)
	case "twice":
		f.Twice = true
	case "delayed":
		f.Delay = between(time.Second, 8*time.Second, seed, who, i.Event, i.Ordinal, "late")
	case "swapped":
		f.Swap = true
	}
	if w.hits(oddHookTimes, 0.1, who, i.Event, i.Ordinal) {
		w.suffers(oddHookTimes)
		f.Rewrite = handovertest.WithoutTime
		if handovertest.Chance(0.5, seed, who, i.Event, i.Ordinal, "seconds") {
			f.Rewrite = handovertest.TimeInSeconds
		}
	}
	return f
}

// callbackFault decides what a callback of the host's does "before" its work or "after" it, and in
// its place: it fails, hangs or panics.
func (w *world) callbackFault(who, callback string, ordinal int) string {
	all := callbackOdds
	if w.o.hard[hungCallbacks] {
		all = append(all[:len(all):len(all)], hungOdds...)
	}
	if w.o.hard[panics] {
		all = append(all[:len(all):len(all)], panicOdds...)
	}
	return capped(ordinal, func(n int) string { return all.draw(w.o.seed, who, callback, n) })
}
