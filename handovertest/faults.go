package handovertest

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"strings"
	"time"
)

// Fault is what goes wrong with one call. The zero Fault is nothing. Fields combine where that
// makes sense, such as a Delay before a Status.
type Fault struct {
	// Route is the route that Fail waits for: one of the Route constants, only its method
	// ("POST"), or "" for every route. SetFaults ignores it.
	Route string
	// Match, if set, has to agree as well. SetFaults ignores it. It must not call the fake.
	Match func(CallInfo) bool

	// Status is answered instead of doing the work, with Reason and Header, and with Body instead
	// of Crisp's envelope if set. NoBody answers no body at all.
	Status int
	Reason string
	Body   string
	NoBody bool
	Header http.Header

	// Refuse fails the call before anything is sent, as a refused connection does. Over a real
	// socket it is CutBefore.
	Refuse bool
	// CutBefore cuts the connection before the work is done, CutAfter once it is done and before
	// it is answered, CutBody in the middle of the answer. A caller cannot tell the first two
	// apart.
	CutBefore, CutAfter, CutBody bool

	// Delay passes before the work is done, which is not done if the caller leaves meanwhile.
	Delay time.Duration
	// DelayAnswer passes after the work was done.
	DelayAnswer time.Duration
	// LateCommit does the work that long after the call came, whatever the caller hears: after
	// Delay that is Status, or a cut.
	LateCommit time.Duration

	// Stale lets a read answer what was true that long ago.
	Stale time.Duration
	// EchoFirst holds the answer back until the hooks that the call caused were sent.
	EchoFirst bool
}

// CallInfo says which call it is.
type CallInfo struct {
	Method, Route string
	// Conversation is the number of the conversation, -1 where there is none (yet), and Nickname
	// its nickname, which is the same in each run when numbers are not.
	Conversation int
	Nickname     string
	// Ordinal counts, from 0, the calls of this route about this conversation.
	Ordinal int
}

// HookFault is what goes wrong with one hook. The zero HookFault is nothing.
type HookFault struct {
	// Drop never sends the hook.
	Drop bool
	// Twice sends it again although it was answered, as the second attempt.
	Twice bool
	// Delay sends it that much later; others overtake it.
	Delay time.Duration
	// Swap sends it after the next hook of the same conversation, or after 2 s if none comes.
	Swap bool
}

// HookInfo says which hook it is.
type HookInfo struct {
	Event string
	// Conversation and Nickname are as in CallInfo.
	Conversation int
	Nickname     string
	// Ordinal counts, from 0, the hooks of this event about this conversation.
	Ordinal int
	// Attempt is 1 at first.
	Attempt int
}

// ordinalKey is what ordinals are counted by.
type ordinalKey struct {
	conversation int
	kind         string // a route or an event
}

// ordinal returns the next number of that kind. The caller holds the lock.
func (c *Crisp) ordinal(conversation int, kind string) int {
	key := ordinalKey{conversation, kind}
	n := c.ordinals[key]
	c.ordinals[key] = n + 1
	return n
}

// failing is what is left of a Fail.
type failing struct {
	left  int
	fault Fault
}

// Fail lets the fault happen to the next n calls that it matches. Several Fails wait side by side;
// the oldest that matches is used. They come before SetFaults.
func (c *Crisp) Fail(n int, f Fault) {
	if !known(f.Route) {
		c.violated("Fail: there is no route %q", f.Route)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing = append(c.failing, &failing{left: n, fault: f})
}

// Heal takes back what Fail, SetFaults and SetHookFaults said.
func (c *Crisp) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing, c.faults, c.hookFaults = nil, nil, nil
}

// SetFaults asks decide about each call that finds its route. It may be called by several
// goroutines at once; drawing from Chance makes a run repeatable.
func (c *Crisp) SetFaults(decide func(CallInfo) Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = decide
}

// SetHookFaults asks decide about the first attempt of each hook. As SetFaults.
func (c *Crisp) SetHookFaults(decide func(HookInfo) HookFault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hookFaults = decide
}

// FaultCounts returns how often each kind of fault happened: "status 503", "cut before", "hook
// dropped" and so on.
func (c *Crisp) FaultCounts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.faultCount)
}

// faultFor decides what goes wrong with a call.
func (c *Crisp) faultFor(info CallInfo) Fault {
	c.mu.Lock()
	decide := c.faults
	for _, f := range c.failing {
		if f.left == 0 || !matches(f.fault.Route, info.Route) || f.fault.Match != nil && !f.fault.Match(info) {
			continue
		}
		f.left--
		c.countFault(f.fault)
		c.mu.Unlock()
		return f.fault
	}
	c.mu.Unlock()
	if decide == nil {
		return Fault{}
	}
	f := decide(info)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.countFault(f)
	return f
}

// countFault counts each thing that goes wrong. The caller holds the lock.
func (c *Crisp) countFault(f Fault) {
	for kind, happens := range map[string]bool{
		fmt.Sprintf("status %d", f.Status): f.Status != 0,
		"refused":                          f.Refuse,
		"cut before":                       f.CutBefore,
		"cut after":                        f.CutAfter,
		"cut body":                         f.CutBody,
		"delay":                            f.Delay > 0,
		"delayed answer":                   f.DelayAnswer > 0,
		"late commit":                      f.LateCommit > 0,
		"stale":                            f.Stale > 0,
		"echo first":                       f.EchoFirst,
	} {
		if happens {
			c.faultCount[kind]++
		}
	}
}

// matches says whether a route is meant by a pattern: the route, its method, or "".
func matches(pattern, route string) bool {
	method, _, _ := strings.Cut(route, " ")
	return pattern == "" || pattern == route || pattern == method
}

// known says whether matches can be true for a pattern.
func known(pattern string) bool {
	for route := range routes {
		if matches(pattern, route) {
			return true
		}
	}
	return false
}

// Chance draws with probability p, in a way that depends only on the seed and the parts: the same
// in each run.
func Chance(p float64, seed uint64, parts ...any) bool {
	return float64(Hash(seed, parts...)>>11)/(1<<53) < p
}

// Hash returns a number that depends only on the seed and the parts.
func Hash(seed uint64, parts ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d", seed)
	for _, part := range parts {
		fmt.Fprintf(h, "/%v", part)
	}
	// FNV mixes its last bytes badly into the high bits: finish as SplitMix64 does.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
