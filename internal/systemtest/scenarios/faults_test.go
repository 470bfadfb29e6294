package scenarios

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/internal/testmain"
)

// A message without words that the channel cannot show is given up, and the agents are told.
func TestAMessageWithoutWordsThatCannotBeShown(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.NoAgentText = `{"attachment":{"type":"image","payload":{"attachment_id":"12345"}}}`
	}}
	o.Crisp.Away = true
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Fails(func(m handover.Message) error {
			if m.Content.Attachment != nil {
				return fmt.Errorf("no images here: %w", errors.ErrUnsupported)
			}
			return nil
		})
		require.Equal(r.T, handover.OutcomeNobodyThere, r.Asks(handover.Request{}))
		r.After(time.Minute)
		require.Equal(r.T, 1, r.Count(handover.ActivityGivenUp))
		require.Zero(r.T, kindsOfFault(r, "panicked"))
		require.True(r.T, r.Says("the bot goes on").Bot)
	})
}

// kindsOfFault counts the faults that were told for this reason.
func kindsOfFault(r *rig.Rig, why string) (n int) {
	for _, a := range r.Activities() {
		if a.Kind == handover.ActivityFault && a.Why == why {
			n++
		}
	}
	return n
}

// panicky is a store, and a transport, that panics now and then.
type panicky struct {
	handover.Store
	transport http.RoundTripper
	store     atomic.Int64 // how many of the next calls panic
	network   atomic.Int64
}

func (p *panicky) Load(ctx context.Context, key string) (handover.Record, error) {
	p.strike(&p.store)
	return p.Store.Load(ctx, key)
}

func (p *panicky) Find(ctx context.Context, id string) (handover.Record, error) {
	p.strike(&p.store)
	return p.Store.Find(ctx, id)
}

func (p *panicky) Save(ctx context.Context, r handover.Record) (int64, error) {
	p.strike(&p.store)
	return p.Store.Save(ctx, r)
}

func (p *panicky) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	p.strike(&p.store)
	return p.Store.Claim(ctx, limit, ttl)
}

func (p *panicky) Watch(ctx context.Context, changed func(string)) error {
	panic("words of a user")
}

func (p *panicky) RoundTrip(r *http.Request) (*http.Response, error) {
	p.strike(&p.network)
	return p.transport.RoundTrip(r)
}

func (p *panicky) strike(n *atomic.Int64) {
	if n.Add(-1) >= 0 {
		panic("words of a user")
	}
}

// Whatever of the host's panics: no process ends, the log has the stack and nothing private, and
// nothing is lost.
func TestPanicsOfTheStoreAndTheNetwork(t *testing.T) {
	for name, strike := range map[string]func(p *panicky){
		"store":   func(p *panicky) { p.store.Store(3) },
		"network": func(p *panicky) { p.network.Store(3) },
	} {
		t.Run(name, func(t *testing.T) {
			var p panicky
			var log rig.Log
			o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
				p.Store, p.transport = r.Store, c.HTTPClient.Transport
				c.Store, c.HTTPClient = &p, &http.Client{Transport: &p}
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			}}
			rig.Bubble(t, o, func(r *rig.Rig) {
				conv := r.Opened()
				ann := conv.Operator("Ann")
				ann.Say("one")
				strike(&p)
				ann.Say("two")
				r.After(time.Minute)
				strike(&p)
				turn, err := r.Receive(handover.Incoming{ID: "hi", Text: "hi"})
				for range 5 { // the channel repeats it
					if err == nil {
						break
					}
					r.After(10 * time.Second)
					turn, err = r.Receive(handover.Incoming{ID: "hi", Text: "hi"})
				}
				require.NoError(r.T, err)
				require.False(r.T, turn.Bot)
				strike(&p)
				ann.Say("three")
				ann.Resolve()
				r.After(10 * time.Minute)
				require.Equal(r.T, []string{"agent Ann: one", "agent Ann: two", "agent Ann: three"}, rig.Unlate(r.AgentLines()))
				require.Contains(r.T, rig.UserTexts(conv), "hi")
				require.Len(r.T, r.Ends(), 1)
				words := log.Take()
				require.Contains(r.T, words, "faults_test.go", "the stack")
				require.NotContains(r.T, words, "words of a user")
			})
		})
	}
}

// A Deliver that never returns and ignores its context, for more conversations than there are workers,
// holds up nobody else.
func TestDeliveriesThatNeverReturn(t *testing.T) {
	never := make(chan struct{})
	var log rig.Log
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		never = make(chan struct{})
		c.Limits.CreatesPerMinute = -1
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if m.Content.Text == "hang" && m.Attempt == 1 {
				<-never
				return "", rig.ErrChannelDown
			}
			return r.Deliver(ctx, s, m)
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		defer close(never)
		all := r.Crowd(70)
		for _, conv := range all[:69] {
			conv.Operator("Ann").Say("hang")
		}
		r.After(time.Second)
		all[69].Operator("Ann").Say("quick")
		r.After(25 * time.Second) // two rounds of workers
		require.Contains(r.T, r.AgentLines(), "agent Ann: quick")
		r.After(2 * time.Minute)
		require.Len(r.T, r.AgentLines(), 70, "each is tried again")
		require.Equal(r.T, 69, kindsOfFault(r, "abandoned"))
		require.Contains(r.T, log.Take(), "why=abandoned")
	})
}

// A store that gave a record to a process which cannot take it gives it to others at once.
func TestAClaimThatCannotBeTaken(t *testing.T) {
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		r.Opened()
		// A process of another website claims all that is due, again and again.
		other := r.Replica(rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.WebsiteID = "7a3c5e10-6f0b-4d55-9c1e-00000000000f" }})
		r.After(time.Hour)
		require.Equal(r.T, handover.StateWaiting, r.Session().State)
		r.Replica(rig.Options{})
		begun := time.Now()
		for r.Session().State != handover.StateBot && time.Since(begun) < 2*time.Minute {
			r.After(time.Second)
		}
		require.LessOrEqual(r.T, time.Since(begun), 40*time.Second)
		require.NoError(r.T, other.Shutdown(r.T.Context()))
	})
}

// What a newer version of the library queued is kept for it. It neither keeps the record busy nor
// holds up others.
func TestAnEffectOfANewerVersion(t *testing.T) {
	var store rig.Counted
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) { store.Store, c.Store = &r.Store.MemoryStore, &store }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		ann := conv.Operator("Ann")
		ann.Say("hello")
		r.After(time.Minute)
		for _, queue := range []string{"to_user", "to_crisp"} {
			r.Alter(func(b []byte) []byte {
				require.NotContains(r.T, string(b), `"`+queue+`":[`, "it is empty")
				return []byte(strings.Replace(string(b), `{`, `{"`+queue+`":[{"n":1,"kind":"teleport","to":"Mars"}],`, 1))
			})
			require.Contains(r.T, string(r.Record().Data), "teleport")
		}
		store.Reset()
		r.After(30 * time.Minute)
		require.LessOrEqual(r.T, store.Saves.Load(), int64(0))
		require.Zero(r.T, store.Claimed.Load())
		require.False(r.T, r.Says("hi").Bot)
		ann.Say("how are you?")
		ann.Resolve()
		r.After(time.Minute)
		require.Contains(r.T, r.Saw(), "agent Ann: how are you?")
		require.Len(r.T, r.Ends(), 1)
		require.Equal(r.T, 2, strings.Count(string(r.Record().Data), `"kind":"teleport","to":"Mars"`), "kept as it is")
		require.NotContains(r.T, string(r.Record().Data), `"claim":{`, "nobody is at it")
	})
}

// Edits that come while Crisp fails neither grow the record without end nor are lost: the newest
// counts.
func TestEditsWhileCrispFails(t *testing.T) {
	if testmain.Raced() {
		t.Skip("it runs tens of thousands of hooks or records, without goroutines that other tests lack: too slow with the race detector")
	}
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		var fps []int64
		for i := range 100 {
			fps = append(fps, ann.Say(fmt.Sprint("message ", i)))
		}
		r.After(time.Minute)
		r.Saw()
		r.Crisp.SetFaults(func(c handovertest.CallInfo) handovertest.Fault {
			return handovertest.Fault{Status: 503}
		})
		long := strings.Repeat("words ", 10_000)
		most := 0
		for i := range 400 {
			require.Equal(r.T, 200, r.Hooked(r.Hook("message:updated", conv.ID(), map[string]any{"fingerprint": fps[i%100], "content": fmt.Sprintf("edit %d %s", i, long)})).Code)
			most = max(most, len(r.Record().Data))
		}
		t.Logf("the record: %d kB", most>>10)
		require.Less(r.T, most, 500<<10)
		for i, fp := range fps {
			ann.Edit(fp, fmt.Sprint("now ", i))
		}
		r.After(time.Minute)
		r.Crisp.SetFaults(nil)
		r.After(5 * time.Minute)
		lines, missing := r.AgentLines(), []int(nil)
		for i := range fps {
			if !slices.Contains(lines, fmt.Sprint("agent Ann: now ", i)) {
				missing = append(missing, i)
			}
		}
		require.Empty(r.T, missing)
	})
}

// Observe and Texts have no error to return, and must return at once. Where they never do, everything goes on.
func TestObserveAndTextsThatHang(t *testing.T) {
	for name, hangs := range map[string]func(c *handover.Config, stuck func()){
		"Observe": func(c *handover.Config, stuck func()) {
			c.Observe = func(context.Context, handover.Activity) { stuck() }
		},
		"Texts": func(c *handover.Config, stuck func()) {
			c.Texts = func(handover.Session) handover.Texts { stuck(); return handover.Texts{} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			var over chan struct{}
			o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
				over = make(chan struct{})
				c.Limits.Workers = 1
				hangs(c, func() { <-over })
			}}
			rig.Bubble(t, o, func(r *rig.Rig) {
				defer close(over)
				conv := r.Opened()
				r.After(5 * time.Minute)
				conv.Operator("Ann").Say("hello")
				r.After(time.Minute)
				require.Equal(t, []string{"agent Ann: hello"}, r.AgentLines())
				require.False(t, r.Says("hello?").Bot)
				conv.Operator("Ann").Resolve()
				r.After(2 * time.Minute)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Len(t, r.Ends(), 1)
			})
		})
	}
}

// stale is a store that never takes a change of a conversation, as one that reads from a copy which lags, and
// that heeds no context.
type stale struct {
	*handover.MemoryStore
	saves atomic.Int64
}

func (s *stale) Save(ctx context.Context, r handover.Record) (int64, error) {
	if !strings.HasPrefix(r.Key, "website/") {
		s.saves.Add(1)
		return 0, handover.ErrConflict
	}
	return s.MemoryStore.Save(ctx, r)
}

func (s *stale) Load(_ context.Context, key string) (handover.Record, error) {
	return s.MemoryStore.Load(context.Background(), key)
}

func TestAStoreThatConflictsEachTime(t *testing.T) {
	store := &stale{MemoryStore: &handover.MemoryStore{}}
	rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Store = store }}, func(r *rig.Rig) {
		begun := time.Now()
		_, err := r.Receive(handover.Incoming{Text: "hello"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, handover.Permanent(err))
		require.LessOrEqual(t, time.Since(begun), time.Minute)
		require.Less(t, store.saves.Load(), int64(1000), "it is not asked without a pause")
	})
}
