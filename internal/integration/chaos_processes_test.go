package integration

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/settings"
)

// TestChaosProcesses is the root module's TestChaos in small with what that one cannot have: real
// time, PostgreSQL, and three processes, of which one is killed by SIGKILL in the middle of a
// callback and replaced. They reach the fake Crisp and the users' channel over the loopback
// interface.
//
// Seed, conversations and messages are settings.ChaosSeed (1), settings.ChaosConversations (20) and
// settings.ChaosMessages (10).
func TestChaosProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var people sync.WaitGroup
	for _, c := range w.chats {
		people.Go(func() { c.err = errors.Join(c.err, c.live()) })
	}
	w.killOne(t)
	people.Wait()
	w.crisp.Settle() // hooks that come late or twice
	w.stop(t)
	w.judge(t)
}

const replicas = 3

// world is everything outside of the replicas: Crisp, the channel, the users and the agents.
type world struct {
	ctx      context.Context
	seed     uint64
	messages int
	crisp    *handovertest.Crisp
	settings replicaSettings
	chats    []*chat

	mu        sync.Mutex
	processes []*process
	dead      int // the number of the one that is killed; -1 before
	died      time.Time
	victim    int // the number of the one to be killed in its next callback; -1
	killed    chan error
	failed    int // callbacks
	progress  int // messages that either side got rid of
}

func newWorld(t *testing.T) *world {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	w := &world{
		ctx: ctx, seed: settings.ChaosSeed.Get(t, 1), messages: settings.ChaosMessages.Int(t, 10),
		dead: -1, victim: -1, killed: make(chan error, 1),
	}
	w.crisp = handovertest.NewCrisp(t, handovertest.Options{Seed: w.seed, CacheFor: time.Second})
	require.NoError(t, w.crisp.Listen())
	w.crisp.SetFaults(w.callFault)
	w.crisp.SetHookFaults(w.hookFault)
	for i := range settings.ChaosConversations.Int(t, 20) {
		name := fmt.Sprintf("user-%d", i)
		w.chats = append(w.chats, &chat{w: w, name: name, conv: handover.Conversation{Source: "webchat", ID: name}})
	}
	channel := httptest.NewServer(http.HandlerFunc(w.callback))
	t.Cleanup(channel.Close)

	config := postgresSchema(t, postgresConfig(t), nil)
	postgresStore(t, openPostgres(t, config))
	id, key := w.crisp.Token()
	w.settings = replicaSettings{
		Crisp: w.crisp.URL(), Website: w.crisp.WebsiteID(), Identifier: id, Key: key, Secret: w.crisp.Secret(),
		Postgres: config.ConnString(), Schema: config.RuntimeParams["search_path"], World: channel.URL,
	}
	for range replicas {
		w.processes = append(w.processes, w.start(t))
	}
	return w
}

// start starts a replica and lets hooks go to it.
func (w *world) start(t *testing.T) *process {
	p := startReplica(t, w.settings)
	p.detach = w.crisp.AttachURL(p.url + "/hooks")
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	w.settings.Number++
	return p
}

// killOne kills a replica half-way, in the middle of a callback, and replaces it.
func (w *world) killOne(t *testing.T) {
	half := len(w.chats) * w.messages
	require.NoError(t, w.until(func() bool { return w.progress >= half }))
	i := int(w.seed % replicas)
	w.mu.Lock()
	victim := w.processes[i]
	w.victim = victim.number
	w.mu.Unlock()
	select {
	case err := <-w.killed:
		require.NoError(t, err)
	case <-w.ctx.Done():
		t.Fatal("the replica had no callback to be killed in")
	}
	victim.detach()
	heir := w.start(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.processes[i] = heir
}

// stop stops the replicas that live. They finish what is under way.
func (w *world) stop(t *testing.T) {
	w.crisp.Heal()
	for _, p := range w.processes {
		p.detach()
		require.NoError(t, p.stop())
	}
}

// until waits for a condition, which is asked under the lock.
func (w *world) until(ok func() bool) error {
	for {
		w.mu.Lock()
		fine := ok()
		w.mu.Unlock()
		if fine {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-w.ctx.Done():
			return errors.New("the run took too long")
		}
	}
}

// faulty draws a fault: never two in a row for one kind of thing in one conversation.
func (w *world) faulty(who, kind string, ordinal int, chance float64) bool {
	draw := func(n int) bool { return n >= 0 && handovertest.Chance(chance, w.seed, who, kind, n) }
	return draw(ordinal) && !draw(ordinal-1)
}

// callFault decides what goes wrong with a call to Crisp: one in five, each in its turn.
func (w *world) callFault(i handovertest.CallInfo) (f handovertest.Fault) {
	who := cmp.Or(i.Nickname, strconv.Itoa(i.Conversation))
	f.Delay = time.Duration(handovertest.Hash(w.seed, who, i.Route, i.Ordinal, "time")%20) * time.Millisecond
	if !w.faulty(who, i.Route, i.Ordinal, 0.25) {
		return f
	}
	switch handovertest.Hash(w.seed, who, i.Route, i.Ordinal, "which") % 6 {
	case 0:
		f.Status = http.StatusTooManyRequests
	case 1, 2:
		f.Status = http.StatusBadGateway
	case 3:
		f.CutBefore = true
	case 4:
		f.CutAfter = true
	default:
		f.Stale = 2 * time.Second
	}
	return f
}

// hookFault decides what goes wrong with a hook. That of the end is not dropped: without it, the
// end is only believed when two reads agree that are a minute apart.
func (w *world) hookFault(i handovertest.HookInfo) (f handovertest.HookFault) {
	who := cmp.Or(i.Nickname, strconv.Itoa(i.Conversation))
	if !w.faulty(who, i.Event, i.Ordinal, 0.35) {
		return f
	}
	switch handovertest.Hash(w.seed, who, i.Event, i.Ordinal, "which") % 4 {
	case 0:
		f.Drop = i.Event != "session:set_state"
	case 1:
		f.Twice = true
	case 2:
		f.Delay = time.Second
	default:
		f.Swap = true
	}
	return f
}

// callback is the channel: it shows messages to users, and is told of ends. One in ten calls
// fails, half of them after the work was done.
func (w *world) callback(rw http.ResponseWriter, r *http.Request) {
	var call callbackCall
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.chats[slices.IndexFunc(w.chats, func(c *chat) bool { return c.conv == call.Session.Conversation })]
	n := c.calls
	c.calls++
	fails := w.faulty(c.name, "callback", n, 0.1)
	before := fails && handovertest.Chance(0.5, w.seed, c.name, "before", n)
	if fails {
		w.failed++
	}
	if !before {
		c.saw = append(c.saw, sight{call, r.URL.Path == "/end", fails, time.Now()})
	}
	if call.Replica == w.victim {
		w.dead, w.victim, w.died = w.victim, -1, time.Now()
		at := slices.IndexFunc(w.processes, func(p *process) bool { return p.number == w.dead })
		w.killed <- w.processes[at].kill()
	}
	if fails {
		http.Error(rw, "the channel failed", http.StatusInternalServerError)
	}
}
