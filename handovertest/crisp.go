package handovertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// kept is how many calls, hooks and lines the fake remembers. Counts stay exact beyond it.
const kept = 20_000

// Crisp is a fake Crisp. It is an http.Handler for the REST API below /v1/. All methods may be
// called at the same time.
type Crisp struct {
	options Options
	secret  string
	hookKey string
	key     string // of the token
	pluginID,
	identifier string
	store *BrittleStore // of Config
	tb    testing.TB    // nil outside of tests

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu            sync.Mutex
	closed        bool
	random        *rand.Rand
	conversations []*Conversation
	bySession     map[string]*Conversation
	operators     []*person
	availability  string
	since         int64
	sent          int   // messages accepted over REST
	posted        int   // messages, whoever wrote them
	news          int   // changes of conversations
	newest        int64 // the time of the newest of those changes
	server        *http.Server
	serverURL     string
	cache         map[string]cached

	receivers  []*receiver
	attached   bool     // somebody was attached at some time
	acted      bool     // an operator did something
	configured bool     // Config was called
	running    []func() // stop what Run started
	choose     func(HookInfo, int) int
	queues     map[*Conversation]*queue // the key nil is the website's own queue

	failing    []*failing
	faults     func(CallInfo) Fault
	hookFaults func(HookInfo) HookFault
	ordinals   map[ordinalKey]int
	faultCount map[string]int

	spent      []window             // of Options.Quotas
	retryAt    map[string]time.Time // by website: when the last Retry-After ends
	calls      []Call
	callCount  map[callKey]int
	hooks      []HookCall
	hookCount  map[string]int // those answered 2xx, by event
	record     []string
	violations []string

	busy     int           // calls, hooks and later work under way
	activity int           // grows with each call and hook
	changed  chan struct{} // closed at the next change; nil when nobody waits
	drains   []func(context.Context) error
}

// person is an operator of the website.
type person struct{ id, name, avatar string }

// New returns a fake Crisp for a program. Close ends it. Without a Seed its ids, token and secrets are random:
// whoever reaches the program cannot compute them.
func New(o Options) *Crisp {
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	return newCrisp(o)
}

// newCrisp returns a fake with the ids that its Seed decides.
func newCrisp(o Options) *Crisp {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	c := &Crisp{
		options:    o,
		ctx:        ctx,
		cancel:     cancel,
		random:     rand.New(rand.NewPCG(o.Seed, 0xc415b)),
		bySession:  map[string]*Conversation{},
		queues:     map[*Conversation]*queue{},
		ordinals:   map[ordinalKey]int{},
		faultCount: map[string]int{},
		spent:      make([]window, len(o.Quotas)),
		retryAt:    map[string]time.Time{},
		callCount:  map[callKey]int{},
		hookCount:  map[string]int{},
		cache:      map[string]cached{},
		store:      NewBrittleStore(nil),

		availability: "online",
	}
	c.identifier = c.newUUID()
	c.pluginID = c.newUUID()
	c.key = c.newHex(64)
	c.secret = c.newHex(32)
	c.hookKey = c.newHex(24)
	c.since = c.now()
	if o.Away {
		c.availability = "away"
	}
	for _, name := range o.Operators {
		c.person(name)
	}
	return c
}

// NewCrisp returns a fake Crisp that is closed when the test ends. Violations fail the test, and a
// failed test logs what happened in Crisp.
func NewCrisp(t testing.TB, o Options) *Crisp {
	t.Helper()
	c := newCrisp(o)
	c.tb = t
	t.Cleanup(func() {
		c.Close()
		if t.Failed() {
			t.Logf("handovertest: what happened in Crisp:\n%s", strings.Join(c.Record(), "\n"))
		}
	})
	return c
}

// Close stops what Run started, ends every goroutine of the fake and waits for them. Hooks that were not
// sent are dropped; later calls are refused.
func (c *Crisp) Close() {
	c.stopAll()
	c.noteIdle()
	c.mu.Lock()
	c.closed = true
	server := c.server
	c.mu.Unlock()
	c.cancel()
	if server != nil {
		_ = server.Close()
	}
	c.work.Wait()
}

// WebsiteID returns the id of the website.
func (c *Crisp) WebsiteID() string { return c.options.WebsiteID }

// Tier returns the tier that the token has.
func (c *Crisp) Tier() string { return c.options.Tier }

// Token returns the identifier and the key that the REST API asks for.
func (c *Crisp) Token() (identifier, key string) { return c.identifier, c.key }

// Secret returns the secret that plugin hooks are signed with.
func (c *Crisp) Secret() string { return c.secret }

// HookKey returns the key that website hooks carry as ?key=.
func (c *Crisp) HookKey() string { return c.hookKey }

// Conversations returns every conversation that was ever created, oldest first: empty and removed
// ones too.
func (c *Crisp) Conversations() []*Conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.conversations)
}

// Conversation returns the conversation with that number, counted from 0 in the order of their
// creation. There being none ends a test that NewCrisp was given; otherwise the answer is nil.
func (c *Crisp) Conversation(i int) *Conversation {
	all := c.Conversations()
	if i >= 0 && i < len(all) {
		return all[i]
	}
	c.missing("no conversation number %d in Crisp: %d were opened; is a call of Settle missing before? Or was a message sent with an Incoming.Seq, which Handle takes up a quarter of a second later?", i, len(all))
	return nil
}

// Last returns the newest conversation. There being none is as in Conversation.
func (c *Crisp) Last() *Conversation {
	return c.Conversation(max(len(c.Conversations())-1, 0))
}

// ByNickname returns the newest conversation whose metas have this nickname. There being none is
// as in Conversation.
func (c *Crisp) ByNickname(name string) *Conversation {
	all := c.Conversations()
	for _, v := range slices.Backward(all) {
		if v.Meta().Nickname == name {
			return v
		}
	}
	c.missing("no conversation with the nickname %q in Crisp", name)
	return nil
}

// missing ends the test, if there is one. It is for the goroutine of the test.
func (c *Crisp) missing(format string, args ...any) {
	if c.tb != nil {
		c.tb.Helper()
		c.tb.Fatalf("handovertest: "+format, args...)
	}
}

// Online makes somebody available, as operators do by opening Crisp. The names, if any, join the
// team.
func (c *Crisp) Online(names ...string) {
	c.mu.Lock()
	for _, name := range names {
		c.person(name)
	}
	c.mu.Unlock()
	c.Availability("online")
}

// Away makes nobody available.
func (c *Crisp) Away() { c.Availability("away") }

// Availability sets the website's status to any word: those that Crisp is known to use are
// "online" and "away".
func (c *Crisp) Availability(status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.availability == status {
		return
	}
	c.availability = status
	c.since = max(c.now(), c.since+1) // also within one millisecond
	c.note("website: %s", status)
	for _, id := range append([]string{c.options.WebsiteID}, c.options.Websites...) {
		c.push(id, nil, HookInfo{Event: "website:users:available"}, c.since, encode(map[string]any{
			"website_id": id, "available": status == "online",
		}))
	}
}

// Violations returns what the clients did that Crisp refuses, or that no sane client does: calls
// without a tier, of unknown routes, with malformed bodies.
func (c *Crisp) Violations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.violations)
}

// violated records a violation and fails the test. Not for callers that hold the lock.
func (c *Crisp) violated(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	c.violations = keep(append(c.violations, text))
	c.note("violation: %s", text)
	quiet := c.closed || c.tb == nil || c.options.AllowViolations
	c.mu.Unlock()
	if !quiet {
		c.tb.Errorf("handovertest: %s", text)
	}
}

// Record returns what happened in Crisp, one line for each thing, oldest first.
func (c *Crisp) Record() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.record)
}

// note adds a line to the record and wakes who waits for a change. The caller holds the lock.
func (c *Crisp) note(format string, args ...any) {
	c.record = keep(append(c.record, fmt.Sprintf(format, args...)))
	c.wake()
}

// keep returns the newest entries of a record that grew too long.
func keep[T any](all []T) []T {
	if len(all) > kept+kept/4 {
		return slices.Clone(all[len(all)-kept:])
	}
	return all
}

// now returns the time of Crisp's clock, in milliseconds.
func (c *Crisp) now() int64 { return c.clock().UnixMilli() }

// clock returns the time of Crisp's clock.
func (c *Crisp) clock() time.Time { return time.Now().Add(c.options.Skew) }

// person returns the operator with this name, who joins the team if need be. The caller holds the
// lock.
func (c *Crisp) person(name string) *person {
	for _, p := range c.operators {
		if p.name == name {
			return p
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/operator/%s", c.options.Seed, name))
	p := &person{id: uuid(sum[:16]), name: name, avatar: "https://image.crisp.invalid/" + hex.EncodeToString(sum[:4]) + ".png"}
	c.operators = append(c.operators, p)
	return p
}

// newUUID returns a random UUID. The caller holds the lock, or nobody else has c yet.
func (c *Crisp) newUUID() string {
	raw := make([]byte, 16)
	for i := range raw {
		raw[i] = byte(c.random.Uint32())
	}
	return uuid(raw)
}

// newHex returns n random hexadecimal digits. As newUUID.
func (c *Crisp) newHex(n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%08x", c.random.Uint32())
	}
	return b.String()[:n]
}

// uuid makes a version 4 UUID of 16 bytes.
func uuid(raw []byte) string {
	raw = slices.Clone(raw)
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:16])
}
