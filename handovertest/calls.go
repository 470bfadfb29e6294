package handovertest

import (
	"slices"
	"time"
)

// Call is a call of the REST API that was answered, or cut.
type Call struct {
	CallInfo
	Status int // 0: cut, or the caller left
	At     time.Time
	// Early is true of a call that came before the time that the Retry-After of an earlier answer
	// for the same website named.
	Early bool
}

// callKey is what calls are counted by.
type callKey struct {
	route        string
	conversation int
	website      string
	status       int
	early        bool
}

// Calls returns the newest 20,000 calls that found their route, in the order of their end.
func (c *Crisp) Calls() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// CountCalls returns how many calls of a route there were: one of the Route constants, only its
// method ("POST"), or "" for all.
func (c *Crisp) CountCalls(route string) int {
	return c.countCalls(route, func(int) bool { return true })
}

// CountCalls is Crisp.CountCalls for calls about this conversation.
func (v *Conversation) CountCalls(route string) int {
	return v.crisp.countCalls(route, func(n int) bool { return n == v.number })
}

func (c *Crisp) countCalls(route string, wanted func(conversation int) bool) int {
	if !known(route) {
		c.violated("CountCalls: there is no route %q", route)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	for key, n := range c.callCount {
		if matches(route, key.route) && wanted(key.conversation) {
			total += n
		}
	}
	return total
}

// recordCall adds a call to the record.
func (c *Crisp) recordCall(call Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = keep(append(c.calls, call))
	c.callCount[callKey{call.Route, call.Conversation, call.WebsiteID, call.Status, call.Early}]++
	c.wake()
}
