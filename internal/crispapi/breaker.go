package crispapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/times"
)

const (
	// breakAfter is how many failures in a row open a breaker that one failure does not open.
	breakAfter = 8
	// troubledOps is how many operations must fail, without a success of any between, until all calls
	// stop: one that always fails stops alone, however often it is called.
	troubledOps = 2
	// spreadAfter is in how many conversations an operation must be refused, without a success
	// between, until it counts as refused in all.
	spreadAfter = 3
	// probeWait is what callers wait for the one call that tries whether things are better.
	probeWait = 2 * time.Second
	// quotaWait is the least time that calls stop for when the quota is used up: Crisp's own import
	// tool waits that long.
	quotaWait = time.Minute
	// MaxWait bounds each time that calls stop for.
	MaxWait = time.Hour
	// maxCircuits bounds what is remembered of single conversations.
	maxCircuits = 1024
)

// pauses are how long calls stop for at first, and at most, as it doubles.
var pauses = map[Class][2]time.Duration{
	Soon:   {5 * time.Second, time.Minute},
	Later:  {2 * time.Second, 5 * time.Minute},
	Person: {time.Minute, time.Hour},
}

// target is what a call is about.
type target struct {
	op      string
	session string // empty: no conversation
}

// scope names what a circuit stands for: all calls of a website, those of one operation, or those of
// one operation about one conversation.
type scope target

// scopes are the circuits that a call goes through, the widest first.
func (t target) scopes() []scope {
	all := []scope{{}, {op: t.op}}
	if t.session != "" {
		all = append(all, scope(t))
	}
	return all
}

// circuit is the breaker of one scope. It is open while until is set: from the failure that opened it
// until a call that tried succeeds.
type circuit struct {
	cause   *Error
	until   time.Time       // no call before
	told    time.Time       // Crisp told that no call is to be made before
	pause   time.Duration   // the last
	probing bool            // one call tries now
	by      string          // the conversation whose call failed last
	fails   int             // in a row, while it is closed
	failing map[string]bool // while it is closed: the conversations in which the operation fails, or the website's operations that fail
}

func (c *circuit) open() bool { return c != nil && !c.until.IsZero() }

// wait is how long a call about that conversation has to wait; 0 if it may try. The conversation whose
// call failed last lets others try first: it may be the only odd one.
func (c *circuit) wait(s scope, session string, now time.Time) time.Duration {
	wait := c.until.Sub(now)
	if s.session == "" && session != "" && session == c.by {
		wait += probeWait
	}
	if wait <= 0 && c.probing {
		wait = probeWait
	}
	return max(wait, 0)
}

// failsIn notes a part that fails and returns how many do.
func (c *circuit) failsIn(part string) int {
	if c.failing == nil {
		c.failing = make(map[string]bool)
	}
	c.failing[part] = true
	return len(c.failing)
}

// breaker decides which calls to a website are made. It is not safe for concurrent use.
type breaker struct {
	circuits map[scope]*circuit
	lastTry  time.Time
	answered bool // Crisp has answered a call of this process
}

func newBreaker() *breaker { return &breaker{circuits: make(map[scope]*circuit)} }

// admit returns why a call is not made now, or nil. probes are the circuits for which it tries whether
// things are better. Each call that is admitted must be settled or abandoned.
func (b *breaker) admit(t target, now time.Time) (probes []scope, held *Error) {
	if len(b.circuits) == 0 { // all goes well
		return nil, nil
	}
	for _, s := range t.scopes() {
		c := b.circuits[s]
		if !c.open() {
			continue
		}
		if wait := c.wait(s, t.session, now); wait > 0 {
			return nil, &Error{Op: t.op, StatusCode: c.cause.StatusCode, Reason: c.cause.Reason, Held: true, Narrow: s.op != "", Wait: wait}
		}
		probes = append(probes, s)
	}
	for _, s := range probes {
		b.circuits[s].probing = true
	}
	return probes, nil
}

// waitLast is how long a last try has to wait though a circuit is open; 0 if it may be made now, and takes its turn.
func (b *breaker) waitLast(t target, now time.Time) (wait time.Duration) {
	for _, s := range t.scopes() {
		if c := b.circuits[s]; c.open() {
			wait = max(wait, c.told.Sub(now))
		}
	}
	if wait = max(wait, b.lastTry.Add(probeWait).Sub(now)); wait == 0 {
		b.lastTry = now
	}
	return wait
}

// abandon forgets a call that was not answered because its caller left.
func (b *breaker) abandon(probes []scope) {
	for _, s := range probes {
		if c := b.circuits[s]; c != nil {
			c.probing = false
		}
	}
}

// settle learns from a call; e is nil if it succeeded. It sets e.Wait.
func (b *breaker) settle(t target, probes []scope, e *Error, now time.Time) {
	b.answered = b.answered || e == nil || e.StatusCode != 0
	if e == nil && len(b.circuits) == 0 {
		return
	}
	b.abandon(probes)
	extent := OneCall
	if e != nil {
		extent = ruleOf(e).Extent
	}
	if extent == OneTarget && t.session == "" {
		extent = OneKind
	}
	for _, s := range t.scopes() {
		probe := slices.Contains(probes, s)
		switch own := extentOf(s); {
		case extent == Trouble:
			b.trouble(s, t, e, probe, now)
		case extent == own:
			b.trip(s, t, e, probe, now)
		case extent == OneTarget && own == OneKind:
			b.spread(s, t, e, probe, now)
		case extent < own:
			b.close(s, probe)
		}
	}
	if e == nil {
		return
	}
	for _, s := range t.scopes() {
		if c := b.circuits[s]; c.open() {
			e.Wait = max(e.Wait, c.until.Sub(now))
		}
	}
}

// extentOf is which extent of a failure opens the circuit of a scope.
func extentOf(s scope) Extent {
	switch {
	case s.op == "":
		return Everything
	case s.session == "":
		return OneKind
	}
	return OneTarget
}

func (b *breaker) circuit(s scope) *circuit {
	c := b.circuits[s]
	if c == nil {
		b.makeRoom()
		c = &circuit{}
		b.circuits[s] = c
	}
	return c
}

// makeRoom forgets a conversation's circuit, the one that is due first, when there are too many.
func (b *breaker) makeRoom() {
	if len(b.circuits) < maxCircuits {
		return
	}
	var first scope
	for s, c := range b.circuits {
		if s.session != "" && !c.probing && (first == scope{} || c.until.Before(b.circuits[first].until)) {
			first = s
		}
	}
	if first.session != "" {
		delete(b.circuits, first)
	}
}

// trip opens a circuit, or opens it again for twice as long after a call that tried. Failures of
// calls that began before it opened do not add up.
func (b *breaker) trip(s scope, t target, e *Error, probe bool, now time.Time) {
	c, class := b.circuit(s), e.Class()
	first, most := pauses[class][0], pauses[class][1]
	pause := first
	if c.open() && c.cause.Class() == class {
		if pause = c.pause; probe {
			pause = min(max(2*pause, first), most)
		}
	}
	wait := pause
	asked := min(e.RetryAfter, MaxWait)
	if e.StatusCode == http.StatusLocked {
		asked = max(asked, quotaWait)
	}
	if asked > 0 && (asked > pause || !probe) {
		wait = asked
	}
	if until := now.Add(wait); !c.open() || probe || until.After(c.until) {
		*c = circuit{cause: e, until: until, told: c.told, pause: pause, by: t.session, probing: c.probing}
	}
	if e.told() {
		c.told = times.Later(c.told, now.Add(asked)) // which may be sooner than our own pause ends
	}
}

// trouble counts a failure that opens a circuit only when it comes several times in a row. Nothing is
// learnt of the parts while all is in trouble.
func (b *breaker) trouble(s scope, t target, e *Error, probe bool, now time.Time) {
	if (s != scope{}) && b.circuits[scope{}].open() {
		return
	}
	if t.session != "" && s.op != "" && s.session == "" {
		if probe { // else one conversation says nothing about an operation, see spread
			b.trip(s, t, e, true, now)
		}
		return
	}
	c := b.circuit(s)
	if c.open() && !probe {
		return
	}
	c.fails++
	one := s == (scope{}) && c.failsIn(t.op) < troubledOps
	if probe || c.fails >= breakAfter {
		if one && !probe {
			s.op = t.op
		}
		b.trip(s, t, e, probe, now)
		if s.session != "" {
			b.spread(scope{op: s.op}, t, e, false, now)
		}
	}
}

// spread opens an operation for all conversations once it fails in several of them, without a success
// in between.
func (b *breaker) spread(s scope, t target, e *Error, probe bool, now time.Time) {
	c := b.circuit(s)
	if c.open() {
		if probe {
			b.trip(s, t, e, true, now)
		}
		return
	}
	if c.failsIn(t.session) >= spreadAfter {
		b.trip(s, t, e, false, now)
	}
}

// close closes a circuit after a call that shows that it works. A call that began before the circuit
// opened does not close it.
func (b *breaker) close(s scope, probe bool) {
	c := b.circuits[s]
	if c == nil || c.open() && !probe {
		return
	}
	delete(b.circuits, s)
	if (s == scope{}) && c.open() && c.cause.Class() == Soon {
		b.forgetTrouble()
	}
}

// forgetTrouble closes what failed because Crisp failed as a whole.
func (b *breaker) forgetTrouble() {
	for s, c := range b.circuits {
		if !c.open() || c.cause.Class() == Soon {
			delete(b.circuits, s)
		}
	}
}
