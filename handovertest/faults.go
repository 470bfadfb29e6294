package handovertest

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault is what goes wrong with one call. The zero Fault is nothing. Fields combine where that
// makes sense, such as a Delay before a Status.
type Fault struct {
	// Route is the route that Fail waits for: one of the Route constants, only its method
	// ("POST"), or "" for every route. SetFaults ignores it.
	Route string
	// Conversation, if set, is the one that the call has to be about. SetFaults ignores it.
	Conversation *Conversation
	// Match, if set, has to agree as well. SetFaults ignores it. It must not call the fake.
	Match func(CallInfo) bool
	// For is how long Fail waits for calls; 0: until it is used up. SetFaults ignores it.
	For time.Duration

	// Status is answered instead of doing the work, with Reason and Header, and with Body instead
	// of Crisp's envelope if set. NoBody answers no body at all. A status of 200 with one of the
	// Body constants is a call that seems to have gone well.
	Status int
	Reason string
	Body   string
	NoBody bool
	Header http.Header
	// Commit does the work before Status is answered.
	Commit bool
	// RetryAfter adds the header Retry-After to Status: in seconds, or as an HTTP date by Crisp's
	// clock if RetryDate is set. Crisp documents no such header.
	RetryAfter time.Duration
	RetryDate  bool

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

// Always lets Fail go on for good, or as long as Fault.For says.
const Always = -1

// Bodies of answers that are not as Crisp documents them, for Fault.Body.
const (
	// BodyError says in an envelope that the call failed, whatever the status says. One source has
	// seen it with 200.
	BodyError = `{"error":true,"reason":"server_error","data":{}}`
	// BodyEmpty has no envelope.
	BodyEmpty = `{}`
	// BodyList has a list as its data, where an empty object might be meant.
	BodyList = `{"error":false,"reason":"resolved","data":[]}`
	// BodyNull has no data.
	BodyNull = `{"error":false,"reason":"resolved","data":null}`
	// BodyOther has data of a shape that nothing in Crisp has.
	BodyOther = `{"error":false,"reason":"resolved","data":{"result":{"status":"ok"}}}`
	// BodyHTML is a page that a proxy answers.
	BodyHTML = `<!DOCTYPE html><html><body><h1>Just a moment</h1></body></html>`
)

// CallInfo says which call it is.
type CallInfo struct {
	Method, Route string
	// WebsiteID is the website that was called.
	WebsiteID string
	// Type and From are those of the message that RouteSend posts: "text" or "note", "user" or
	// "operator"; "" of other routes.
	Type, From string
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
	// Rewrite, if set, returns the body that is sent and signed instead, such as WithoutTime does.
	Rewrite func(body []byte) []byte
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
	// Type and Fingerprint are those of the message that message:send and message:received bring.
	Type        string
	Fingerprint int64
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
	left  int       // calls; below 0: any number
	until time.Time // zero: for good
	fault Fault
}

// waits says whether the fault is for a call at this time.
func (f *failing) waits(info CallInfo, now time.Time) bool {
	about := f.fault.Conversation
	return !f.over(now) && matches(f.fault.Route, info.Route) &&
		(about == nil || about.number == info.Conversation) &&
		(f.fault.Match == nil || f.fault.Match(info))
}

// over says whether the fault is used up.
func (f *failing) over(now time.Time) bool {
	return f.left == 0 || !f.until.IsZero() && !now.Before(f.until)
}

// Fail lets the fault happen to the next n calls that it matches, Always to all of them. Several
// Fails wait side by side; the oldest that matches is used. They come before SetFaults. The
// function that it returns takes this one back, as a person does who mends something.
func (c *Crisp) Fail(n int, f Fault) (mend func()) {
	if !known(f.Route) {
		c.violated("Fail: there is no route %q", f.Route)
	}
	waiting := &failing{left: n, fault: f}
	if f.For > 0 {
		waiting.until = time.Now().Add(f.For)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing = append(c.failing, waiting)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failing = slices.DeleteFunc(slices.Clone(c.failing), func(f *failing) bool { return f == waiting })
	}
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
	decide, now := c.faults, time.Now()
	c.failing = slices.DeleteFunc(c.failing, func(f *failing) bool { return f.over(now) })
	for _, f := range c.failing {
		if f.waits(info, now) {
			f.left = max(f.left-1, Always)
			c.countFault(f.fault)
			c.mu.Unlock()
			return f.fault
		}
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
