package systemtest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/testhook"
)

const (
	replicas = 3
	kills    = 3
	// patience is the longest that a run may take, in fake time. One that holds its promises ends
	// by itself, in a fraction of it.
	patience = time.Hour
	// aftermath is how long is watched, in fake time, what happens once all is over: hooks that
	// come late or twice, retries, catch-up.
	aftermath = 10 * time.Minute
)

// chaosOptions say what to run.
type chaosOptions struct {
	seed          uint64
	conversations int
	messages      int // of each side, in each conversation
	hard          hard
	managed       bool // some bots are wired through Handle
	rough         bool // more goes wrong

	// What is taken away from the library, to see that it is missed.
	hooks testhook.Hooks
}

// world is one run: everything that lies outside of the replicas.
type world struct {
	o       chaosOptions
	crisp   *handovertest.Crisp
	network http.RoundTripper
	store   handover.Store
	refuses *refusals
	ctx     context.Context // ends when the run does
	begun   time.Time
	work    sync.WaitGroup
	chats   []*chat
	byConv  map[handover.Conversation]*chat
	taken   map[string]time.Time // when the hook of a message was first answered 200, by Message.ID; under the lock

	board
	replicas []*replica // those that are there to be called; a dead one until it is replaced
	killed   []*replica
	failed   map[string]int // what went wrong outside of Crisp
	traps    map[string]int // what agents did that must not mislead the library
	progress int            // messages that either side got rid of
	hooked   map[int64]bool // fingerprints of messages that nothing but their hook tells of
}

// board guards what several goroutines change, and tells those who wait for a change.
type board struct {
	mu    sync.Mutex
	moved chan struct{} // closed at the next change; nil when nobody waits
}

// change does something under the lock.
func (b *board) change(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	do()
	if b.moved != nil {
		close(b.moved)
		b.moved = nil
	}
}

// await waits until ok, which is asked under the lock. It is false when ctx ends first.
func (b *board) await(ctx context.Context, ok func() bool) bool {
	for {
		b.mu.Lock()
		if ok() {
			b.mu.Unlock()
			return true
		}
		if b.moved == nil {
			b.moved = make(chan struct{})
		}
		moved := b.moved
		b.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// runChaos runs it all in fake time and returns what came of it.
func runChaos(t *testing.T, o chaosOptions) (v verdict) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		w := &world{
			o: o, ctx: ctx, begun: time.Now(), store: new(handover.MemoryStore), byConv: make(map[handover.Conversation]*chat),
			failed: make(map[string]int), traps: make(map[string]int), hooked: make(map[int64]bool), taken: make(map[string]time.Time),
		}
		w.crisp = handovertest.NewCrisp(t, w.options())
		w.refuses = &refusals{w: w, next: w.crisp.Client().Transport, chats: make(map[string]*chat)}
		w.network = w.refuses
		calls := w.crisp.Tally()
		w.crisp.SetFaults(w.callFault)
		w.crisp.SetHookFaults(w.hookFault)
		for i := range o.conversations {
			c := newChat(w, i)
			w.chats, w.byConv[c.conv] = append(w.chats, c), c
		}
		for i := range replicas {
			w.replicas = append(w.replicas, w.newReplica(i))
		}
		w.live()
		cancel()
		w.stop()
		v = w.judge()
		v.calls, v.early = calls.Count(""), calls.Early()
	})
	return v
}

// options are those of Crisp.
func (w *world) options() handovertest.Options {
	o := handovertest.Options{Seed: w.o.seed, CacheFor: 3 * time.Second}
	if w.o.hard[skewedCrisp] {
		o.Skew = w.skew()
		w.suffers(skewedCrisp)
	}
	if w.o.hard[logLag] {
		o.LogLag = 2 * time.Second
		w.suffers(logLag)
	}
	return o
}

// skew is by how much Crisp's clock is ahead.
func (w *world) skew() time.Duration {
	if !w.o.hard[skewedCrisp] {
		return 0
	}
	return between(-20*time.Minute, 20*time.Minute, w.o.seed, "clock of Crisp")
}

// live lets all conversations take place, and replicas be killed meanwhile.
func (w *world) live() {
	var people sync.WaitGroup
	for _, c := range w.chats {
		people.Go(c.user)
		people.Go(c.agent)
	}
	killer := make(chan struct{})
	go func() {
		defer close(killer)
		w.kill()
	}()
	people.Wait()
	time.Sleep(aftermath)
	<-killer
}

// count counts what went wrong outside of Crisp.
func (w *world) count(fault string) { w.change(func() { w.failed[fault]++ }) }

// trap counts what an agent did.
func (w *world) trap(kind string) { w.change(func() { w.traps[kind]++ }) }

// sendsHookOf has the hook of a message that is about to be written never be dropped: where the message
// stands in Crisp's log no read looks.
func (w *world) sendsHookOf(fingerprint int64) { w.change(func() { w.hooked[fingerprint] = true }) }

// mayDrop reports whether a hook may be dropped.
func (w *world) mayDrop(who string, i handovertest.HookInfo) (may bool) {
	w.change(func() { may = !w.hooked[i.Fingerprint] })
	return may && (i.Event != "session:set_state" || !w.hidesState(who)) // else nothing tells of the end
}

// proceeded counts a message that arrived at the other side's.
func (w *world) proceeded() { w.change(func() { w.progress++ }) }

// stop ends what still runs, the zombies too.
func (w *world) stop() {
	w.crisp.Heal()
	for _, r := range append(w.replicas, w.killed...) {
		r.detach()
		_ = r.h.Shutdown(context.Background())
		r.cancel()
	}
	w.work.Wait()
}

// kill kills one replica after the other, each at another point of its work, and replaces it.
func (w *world) kill() {
	total := w.expected()
	for n := range kills {
		if !w.await(w.ctx, func() bool { return w.progress >= total*(n+1)/(kills+1) }) {
			return
		}
		i := int(handovertest.Hash(w.o.seed, "victim", n) % replicas)
		point := killPoints[(uint64(n)+handovertest.Hash(w.o.seed, "point"))%uint64(len(killPoints))]
		victim := w.replicas[i]
		victim.arm(point)
		select {
		case <-victim.struck:
		case <-w.ctx.Done():
			return
		}
		victim.detach()
		time.Sleep(between(0, 5*time.Second, w.o.seed, "replaced", n))
		heir := w.newReplica(replicas + n)
		w.change(func() {
			w.replicas[i] = heir
			w.killed = append(w.killed, victim)
		})
	}
}

// expected is how many messages there are to be, of both sides.
func (w *world) expected() (n int) {
	for _, c := range w.chats {
		n += 2 * c.messages
	}
	return n
}

// any is the replica that the load balancer chooses. It may be dead: nobody knows at once.
func (w *world) any(parts ...any) *replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.replicas[handovertest.Hash(w.o.seed, append(parts, "balanced")...)%replicas]
}

func (w *world) chat(c handover.Conversation) *chat { return w.byConv[c] }

// chatOfKey returns whose record it is; nil for that of a website, or an old log.
func (w *world) chatOfKey(key string) *chat {
	source, id, _ := strings.Cut(strings.TrimPrefix(key, w.crisp.WebsiteID()+"/"), "/")
	return w.byConv[handover.Conversation{Source: source, ID: id}]
}

// observe keeps what happened, for the report on a conversation that went wrong.
func (w *world) observe(n int, a handover.Activity) {
	c := w.chat(a.Conversation)
	if c == nil {
		return
	}
	c.note("replica %d: %s", n, describe(a))
	if a.Kind == handover.ActivityNotShown || a.Kind == handover.ActivityWithheld && a.Why != "private" {
		c.change(func() { c.reported++ })
	}
}

func describe(a handover.Activity) string {
	text := string(a.Kind)
	for _, part := range []struct{ name, value string }{
		{"from", string(a.From)}, {"to", string(a.To)}, {"reason", string(a.Reason)}, {"outcome", string(a.Outcome)},
		{"effect", a.Effect}, {"why", a.Why}, {"message", a.MessageID},
	} {
		if part.value != "" {
			text += " " + part.name + "=" + part.value
		}
	}
	if a.Attempt > 0 {
		text += fmt.Sprintf(" attempt=%d", a.Attempt)
	}
	if a.Err != nil {
		text += " error: " + a.Err.Error()
	}
	return text
}
