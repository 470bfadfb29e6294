package crispapi

import (
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/times"
)

// State is how long nothing of a website may be called, and why: what a process learnt of the website
// as a whole, to be told to others that call it. The zero State is that all is well.
type State struct {
	Until      time.Time `json:"until,omitzero"`
	Told       time.Time `json:"told,omitzero"`  // Crisp told that nothing is to be called before
	Pause      int64     `json:"pause,omitzero"` // the last pause, in seconds: the next is twice as long
	StatusCode int       `json:"status,omitzero"`
	Reason     string    `json:"reason,omitempty"`
}

// Merge returns the state of two that keeps from calling longer.
func (s State) Merge(other State) State {
	told := times.Later(s.Told, other.Told)
	if other.Until.After(s.Until) {
		s = other
	}
	s.Told = told
	return s
}

// Shift returns the state by another clock, which is ahead by that much.
func (s State) Shift(ahead time.Duration) State {
	if !s.Until.IsZero() {
		s.Until = s.Until.Add(ahead)
	}
	if !s.Told.IsZero() {
		s.Told = s.Told.Add(ahead)
	}
	return s
}

// state returns what the breaker knows of the website as a whole.
func (b *breaker) state() State {
	c := b.circuits[scope{}]
	if !c.open() {
		return State{}
	}
	return State{Until: c.until, Told: c.told, Pause: int64(c.pause / time.Second), StatusCode: c.cause.StatusCode, Reason: c.cause.Reason}
}

// heldOps returns the operations whose own circuits are open.
func (b *breaker) heldOps() (ops []string) {
	for s, c := range b.circuits {
		if s.op != "" && s.session == "" && c.open() {
			ops = append(ops, s.op)
		}
	}
	slices.Sort(ops)
	return ops
}

// mergeSlack is how far two processes may be apart about the same time.
const mergeSlack = time.Second

// merge takes what another process learnt. No state, however odd, keeps from calling for longer than
// an hour. What a person must mend may have been mended by the token of this process: it tries once itself.
func (b *breaker) merge(s State, now time.Time) {
	most := now.Add(MaxWait)
	if s.Until.After(most) {
		s.Until = most
	}
	if s.Told.After(most) {
		s.Told = most
	}
	if c := b.circuit(scope{}); s.Until.After(now) && s.Until.After(c.until.Add(mergeSlack)) {
		pause := time.Duration(min(max(s.Pause, 0), int64(MaxWait/time.Second))) * time.Second
		cause := &Error{StatusCode: s.StatusCode, Reason: s.Reason}
		if !b.answered && cause.Class() == Person {
			s.Until = now
		}
		*c = circuit{cause: cause, until: s.Until, told: s.Told, pause: pause, probing: c.probing}
	}
}
