package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// perishable is the world of one process, which can die: from then on nothing of it comes through.
type perishable struct {
	handover.Store
	transport http.RoundTripper
	dead      atomic.Bool
	away      *atomic.Bool // the store is, for all
}

var errPerished = errors.New("this process is dead")

func (m *perishable) fault() error {
	switch {
	case m.dead.Load():
		return errPerished
	case m.away != nil && m.away.Load():
		return rig.ErrStoreDown
	}
	return nil
}

func (m *perishable) Load(ctx context.Context, key string) (handover.Record, error) {
	if err := m.fault(); err != nil {
		return handover.Record{}, err
	}
	return m.Store.Load(ctx, key)
}

func (m *perishable) Find(ctx context.Context, id string) (handover.Record, error) {
	if err := m.fault(); err != nil {
		return handover.Record{}, err
	}
	return m.Store.Find(ctx, id)
}

func (m *perishable) Save(ctx context.Context, r handover.Record) (int64, error) {
	if err := m.fault(); err != nil {
		return 0, err
	}
	return m.Store.Save(ctx, r)
}

func (m *perishable) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	if err := m.fault(); err != nil {
		return nil, err
	}
	return m.Store.Claim(ctx, limit, ttl)
}

func (m *perishable) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.dead.Load() {
		return nil, errPerished
	}
	resp, err := m.transport.RoundTrip(r)
	if m.dead.Load() {
		return nil, errPerished
	}
	return resp, err
}

// config puts a process into the world. Its Deliver never returns once it is dead.
func (m *perishable) config(r *rig.Rig, c *handover.Config) {
	if m.Store == nil {
		m.Store = r.Store
	}
	m.transport = c.HTTPClient.Transport
	c.Store, c.HTTPClient = m, &http.Client{Transport: m}
	c.Deliver = func(ctx context.Context, s handover.Session, msg handover.Message) (string, error) {
		if !m.dead.Load() {
			return r.Deliver(ctx, s, msg)
		}
		<-ctx.Done()
		return "", errPerished
	}
}

// startProcess starts a process that can die.
func startProcess(r *rig.Rig, away *atomic.Bool, store handover.Store, more ...func(*handover.Config)) (*handover.Handover, *perishable) {
	m := &perishable{Store: store, away: away}
	return r.Replica(rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		m.config(r, c)
		for _, change := range more {
			change(c)
		}
	}}), m
}

// The work of a process that dies goes on in time, whatever the number of those that live.
func TestTakeoverAfterADeath(t *testing.T) {
	for _, replicas := range []int{1, 10, 40} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			m := new(perishable)
			rig.Bubble(t, rig.Options{Config: m.config}, func(r *rig.Rig) {
				conv := r.Opened()
				r.Fails(func(msg handover.Message) error {
					if msg.Content.Text == "hello" && msg.Attempt == 1 {
						m.dead.Store(true) // while it shows the message
						return errPerished
					}
					return nil
				})
				conv.Operator("Ann").Say("hello")
				r.Crisp.Settle()
				require.True(r.T, m.dead.Load())
				begun := time.Now()
				for range replicas {
					r.Replica(rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Store = r.Store }})
				}
				for len(r.AgentLines()) == 0 && time.Since(begun) < 5*time.Minute {
					time.Sleep(100 * time.Millisecond)
				}
				t.Logf("%d replicas: taken over after %v", replicas, time.Since(begun))
				require.LessOrEqual(r.T, time.Since(begun), 45*time.Second)
				require.Equal(r.T, []string{"agent Ann: hello"}, r.AgentLines())
			})
		})
	}
}

// A store that is away for seconds costs no result and no claim: nothing is done twice.
func TestAStoreThatIsAwayForSeconds(t *testing.T) {
	for _, away := range []time.Duration{time.Second, 5 * time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			var gone atomic.Bool
			m := &perishable{away: &gone}
			rig.Bubble(t, rig.Options{Config: m.config}, func(r *rig.Rig) {
				startProcess(r, &gone, r.Store)
				conv := r.Opened()
				ann := conv.Operator("Ann")
				ann.Say("first")
				r.After(time.Minute)
				tried := map[string]int{}
				r.Fails(func(m handover.Message) error {
					tried[m.Content.Text]++
					if m.Content.Text == "hello" {
						gone.Store(true)
						time.AfterFunc(away, func() { gone.Store(false) })
					}
					return nil
				})
				begun := time.Now()
				ann.Say("hello")
				ann.Say("and on")
				for !slices.Contains(r.AgentLines(), "agent Ann: and on") && time.Since(begun) < time.Minute {
					time.Sleep(100 * time.Millisecond)
				}
				t.Logf("goes on after %v", time.Since(begun))
				require.LessOrEqual(r.T, time.Since(begun), away+12*time.Second)
				r.After(5 * time.Minute)
				require.Equal(r.T, map[string]int{"hello": 1, "and on": 1}, tried, "no result is lost")
				require.Equal(r.T, []string{"agent Ann: first", "agent Ann: hello", "agent Ann: and on"}, rig.Unlate(r.AgentLines()))
			})
		})
	}
}

// What is due is loaded by the claim itself, and by one process only.
func TestWhatADueRecordCosts(t *testing.T) {
	const records, replicas = 300, 10
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		var store rig.Counted
		store.Store = &r.Store.MemoryStore
		for i := range replicas {
			h, _ := startProcess(r, nil, &store, func(c *handover.Config) {
				c.Limits.CreatesPerMinute, c.Limits.DailyCalls = -1, 10 // catch-up looks at others
				c.Timeouts.Claim, c.Timeouts.Remind = 4*time.Hour, 20*time.Minute
			})
			if i == 0 {
				r.H = h
			}
		}
		for i := range records {
			r.Conv.ID = fmt.Sprint("user ", i)
			r.Opened()
		}
		r.After(time.Minute)
		for _, what := range []string{"reminded", "reminded again"} {
			store.Reset()
			r.Saw()
			r.After(20 * time.Minute)
			require.Len(r.T, r.Saw(), records)
			claimed, loads, conflicts := store.Claimed.Load(), store.Loads.Load(), store.Conflicts.Load()
			t.Logf("%d records %s by %d replicas: %d claimed, %d loads, %d saves, %d conflicts", records, what, replicas, claimed, loads, store.Saves.Load(), conflicts)
			require.GreaterOrEqual(r.T, claimed, int64(records))
			require.LessOrEqual(r.T, float64(loads), 1.5*float64(claimed))
			require.LessOrEqual(r.T, conflicts, int64(records/20))
		}
	})
}

// Idle conversations cost nothing, also after a restart with other deadlines: the store is asked what
// is due, and that is all.
func TestIdleConversationsCostNothing(t *testing.T) {
	records := 10_000
	if testmain.Raced() {
		t.Log("1,000 instead of 10,000: more would have no goroutines besides")
		records = 1_000
	}
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		r.H = r.Replica(rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Store, c.Timeouts.Late = r.Store, time.Hour }})
		ann := r.Opened().Operator("Ann")
		ann.Say("hello")
		ann.Resolve()
		r.After(time.Minute)
		rec := r.Record()
		_, session, _ := strings.Cut(rec.CrispIDs[0], "/")
		require.NoError(r.T, r.H.Shutdown(r.T.Context()))
		for i := range records {
			one := rec
			id, crisp := fmt.Sprintf("idle-%d", i), fmt.Sprintf("session_%08d-0000-4000-8000-000000000000", i)
			one.Version, one.Key = 0, r.Crisp.WebsiteID()+"/webchat/"+id
			one.CrispIDs = []string{r.Crisp.WebsiteID() + "/" + crisp}
			one.Data = []byte(strings.NewReplacer(`"id":"user-1"`, fmt.Sprintf(`"id":%q`, id), session, crisp).Replace(string(rec.Data)))
			_, err := r.Store.Save(r.T.Context(), one)
			require.NoError(r.T, err)
		}
		time.Sleep(2 * time.Hour) // all are past the late window
		var store rig.Counted
		store.Store = &r.Store.MemoryStore
		for range 3 {
			startProcess(r, nil, &store, func(c *handover.Config) {
				c.Timeouts.Late, c.Timeouts.Max = 30*24*time.Hour, 30*24*time.Hour
				c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
			})
		}
		r.After(5 * time.Minute)
		t.Logf("after the change: %d claimed, %d loads, %d saves", store.Claimed.Load(), store.Loads.Load(), store.Saves.Load())
		require.LessOrEqual(r.T, store.Claimed.Load(), int64(records+10))
		store.Reset()
		r.After(10 * time.Minute)
		t.Logf("in 10 minutes: %d claims, %d claimed, %d loads, %d saves", store.Claims.Load(), store.Claimed.Load(), store.Loads.Load(), store.Saves.Load())
		require.Zero(r.T, store.Claimed.Load()+store.Saves.Load())
		require.LessOrEqual(r.T, store.Loads.Load(), int64(10), "catch-up looks at the one that is in Crisp's list")
	})
}

// However many records cannot be read, a good one is worked on at once, and they become ever rarer.
func TestStuckRecordsStarveNobody(t *testing.T) {
	if testmain.Raced() {
		t.Skip("it runs tens of thousands of hooks or records, without goroutines that other tests lack: too slow with the race detector")
	}
	const records, queue = 2_000, 1_000 // more than may wait for a worker
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		r.H = r.Replica(rig.Options{})
		conv := r.Opened()
		r.After(time.Minute)
		require.NoError(r.T, r.H.Shutdown(r.T.Context()))
		for i := range records {
			_, err := r.Store.Save(r.T.Context(), handover.Record{Key: fmt.Sprintf("%s/webchat/bad-%d", r.Crisp.WebsiteID(), i), Due: time.Now().Add(-time.Hour), Data: []byte("rubbish")})
			require.NoError(r.T, err)
		}
		var store rig.Counted
		store.Store = &r.Store.MemoryStore
		r.H, _ = startProcess(r, nil, &store, func(c *handover.Config) { c.Limits.Queue = queue })
		r.After(5 * time.Second)
		begun := time.Now()
		conv.Operator("Ann").Say("hello")
		r.Crisp.Settle()
		require.Zero(r.T, time.Since(begun))
		require.Contains(r.T, r.AgentLines(), "agent Ann: hello")
		r.After(10 * time.Minute)
		store.Reset()
		r.After(10 * time.Minute)
		t.Logf("%d records that cannot be read: %d loads in 10 minutes", records, store.Loads.Load())
		require.Less(r.T, store.Loads.Load(), int64(2*records))
		require.False(r.T, r.Says("thank you").Bot)
	})
}

// A channel's time that cannot be is set right: the message is taken.
func TestOddTimesOfIncoming(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		for i, at := range []time.Time{{}, time.Unix(-1, 0), time.Date(30000, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Add(24 * time.Hour)} {
			_, err := r.Receive(handover.Incoming{Text: fmt.Sprint("at ", i), At: at})
			require.NoError(r.T, err)
			require.Contains(r.T, rig.UserTexts(conv), fmt.Sprint("at ", i))
		}
		ann.Resolve()
		r.After(time.Minute)
		turn, err := r.Receive(handover.Incoming{Text: "bot?", At: time.Date(30000, 1, 1, 0, 0, 0, 0, time.UTC)})
		require.NoError(r.T, err)
		require.True(r.T, turn.Bot)
	})
}

// The process dies in which a Receive waits, and the handover ends before Crisp has the message: the
// user is told, and OnEnd as well.
func TestTheProcessOfAReceiveDies(t *testing.T) {
	for name, dies := range map[string]bool{"it dies": true, "it lives": false} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
				first, m := startProcess(r, nil, r.Store)
				second, _ := startProcess(r, nil, r.Store)
				r.H = second
				conv := r.Opened()
				conv.Operator("Ann").Say("hello")
				r.After(time.Minute)
				r.Saw()
				r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Refuse: true})
				heard := make(chan handover.Turn, 1)
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
					defer cancel()
					turn, _ := first.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: "lost", Text: "please"})
					heard <- turn
				}()
				time.Sleep(25 * time.Second)
				m.dead.Store(dies)
				time.Sleep(time.Second)
				require.NoError(r.T, second.End(r.T.Context(), r.Conv, handover.EndOptions{}))
				r.After(2 * time.Minute)
				lines := strings.Join(r.Saw(), "\n")
				require.Len(r.T, r.Ends(), 1)
				if dies {
					require.Contains(r.T, lines, handover.DefaultTexts().NotSent)
					require.Equal(r.T, []string{"lost"}, r.Ends()[0].Unsent)
					<-heard
					return
				}
				require.NotContains(r.T, lines, handover.DefaultTexts().NotSent)
				require.Empty(r.T, r.Ends()[0].Unsent)
				require.True(r.T, (<-heard).Bot)
			})
		})
	}
}

// Who waits on one process is told at once of what another one does, and hardly loads anything.
func TestWaitersOfOtherProcessesAreWoken(t *testing.T) {
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		var mine rig.Counted
		mine.Store = &r.Store.MemoryStore
		waits := r.Replica(rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Store = &mine }})
		works := r.Replica(rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Store = r.Store }})
		r.After(time.Second)

		// Reply: the bot speaks for long, and costs nothing until somebody takes over.
		turn, err := waits.Receive(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: "1", Text: "hi"})
		require.NoError(r.T, err)
		mine.Reset()
		var cut time.Time
		done := make(chan error)
		go func() {
			done <- waits.Reply(r.T.Context(), turn, func(ctx context.Context) error { <-ctx.Done(); cut = time.Now(); return ctx.Err() })
		}()
		time.Sleep(100 * time.Second)
		require.LessOrEqual(r.T, mine.Loads.Load(), int64(1), "no polling")
		s, err := works.Session(r.T.Context(), r.Conv)
		require.NoError(r.T, err)
		asked := time.Now()
		outcome, err := works.Start(r.T.Context(), s.Turn(), handover.Request{})
		require.NoError(r.T, err)
		require.Equal(r.T, handover.OutcomeOpened, outcome)
		require.ErrorIs(r.T, <-done, handover.ErrNotYourTurn)
		require.Zero(r.T, cut.Sub(asked))

		// Receive: another process passes the message on.
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Delay: 3 * time.Second})
		mine.Reset()
		begun := time.Now()
		_, err = waits.Receive(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: "2", Text: "please"})
		require.NoError(r.T, err)
		require.Equal(r.T, 3*time.Second, time.Since(begun))
		t.Logf("Receive: %d loads", mine.Loads.Load())
		require.LessOrEqual(r.T, mine.Loads.Load(), int64(5), "polling would take ten")
	})
}

// While one process posts a message of the user, another one hears of it by its echo, and takes in what
// an agent writes. The first has nothing to write down then, and still does what is left to do.
func TestWhatAnotherProcessTookInIsDone(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		ann := r.Opened().Operator("Ann")
		r.Replica(rig.Options{})
		r.After(time.Minute)
		r.Crisp.SetChooser(func(_ handovertest.HookInfo, n int) int { return n - 1 }) // hooks go to the second
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, DelayAnswer: 3 * time.Second})
		require.False(r.T, r.Says("are you there?").Bot)
		ann.Say("yes")
		time.Sleep(5 * time.Second)
		require.Equal(r.T, []string{"agent Ann: yes"}, r.AgentLines())
	})
}

// A process whose Run is missing works on what it takes in.
func TestAProcessWithoutRun(t *testing.T) {
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		conv := r.Opened()
		ann := conv.Operator("Ann")
		ann.Say("hello")
		require.Contains(r.T, r.Saw(), "agent Ann: hello")
		require.False(r.T, r.Says("hi").Bot)
		require.Contains(r.T, rig.UserTexts(conv), "hi")
		ann.Resolve()
		r.Crisp.Settle()
		require.Len(r.T, r.Ends(), 1)
		require.True(r.T, r.Says("bot?").Bot)
	})
}

// After Shutdown nobody else waits for the claims of this process.
func TestShutdownGivesClaimsUp(t *testing.T) {
	o := rig.Options{Config: rig.Slowly(3*time.Second, nil), Still: true}
	rig.Bubble(t, o, func(r *rig.Rig) {
		ann := r.Opened().Operator("Ann")
		r.After(time.Minute)
		for i := range 5 {
			ann.Say(fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		require.NoError(r.T, r.H.Shutdown(r.T.Context()))
		begun := time.Now()
		r.Replica(o)
		other := r.Replica(rig.Options{})
		_ = other
		for len(r.AgentLines()) < 5 && time.Since(begun) < 3*time.Minute {
			time.Sleep(time.Second)
		}
		t.Logf("all are shown %v after", time.Since(begun))
		require.LessOrEqual(r.T, time.Since(begun), 45*time.Second)
		require.Len(r.T, r.AgentLines(), 5)
	})
}

// jumpy is a store whose clock seems to go back after each save, as that of a busy database does: its times
// come with a delay that varies.
type jumpy struct {
	handover.MemoryStore
	ahead atomic.Bool // by 50 ms
	saved atomic.Pointer[func()]
}

func (s *jumpy) now() time.Time {
	if s.ahead.Load() {
		return time.Now().Add(50 * time.Millisecond)
	}
	return time.Now()
}

func (s *jumpy) Load(ctx context.Context, key string) (handover.Record, error) {
	r, err := s.MemoryStore.Load(ctx, key)
	r.Now = s.now()
	return r, err
}

func (s *jumpy) Find(ctx context.Context, crispID string) (handover.Record, error) {
	r, err := s.MemoryStore.Find(ctx, crispID)
	r.Now = s.now()
	return r, err
}

func (s *jumpy) Save(ctx context.Context, r handover.Record) (int64, error) {
	version, err := s.MemoryStore.Save(ctx, r)
	if saved := s.saved.Load(); saved != nil {
		(*saved)()
	}
	return version, err
}

// TestStoreClockThatGoesBack requires that a hook is worked on at once although the store's clock went back a
// little since it was stored.
func TestStoreClockThatGoesBack(t *testing.T) {
	s := new(jumpy)
	rig.Bubble(t, rig.Options{Still: true, Config: func(_ *rig.Rig, c *handover.Config) { c.Store = s }}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Saw()
		s.ahead.Store(true)
		saved := func() {
			if s.ahead.CompareAndSwap(true, false) {
				_, err := r.H.Session(context.Background(), handover.Conversation{Source: "webchat", ID: "another"})
				require.NoError(t, err)
			}
		}
		s.saved.Store(&saved)
		conv.Operator("Ann").Say("Hello")
		r.Crisp.Settle()
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: Hello"}, r.Saw())
	})
}

// The read that a deadline wants is made by one replica, however long it takes and whatever is saved meanwhile: nothing in
// the record says that it is under way.
func TestADeadlinesReadIsMadeOnce(t *testing.T) {
	calls := map[string]int{}
	for name, tt := range map[string]struct {
		replicas int
		writes   bool // the user, during the read
	}{"one": {0, false}, "four": {3, false}, "one, the user writes": {0, true}, "four, the user writes": {3, true}} {
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			for range tt.replicas {
				r.Replica(rig.Options{})
			}
			conv := r.Opened()
			r.After(time.Minute)
			r.Crisp.SetHookFaults(rig.DropHooks)
			r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteList, Status: 500})
			for range 70 {
				conv.Operator("Ann").Note("several pages")
			}
			r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteMessages, Delay: 9 * time.Second})
			before := r.Crisp.CountCalls(handovertest.RouteMessages)
			for r.Crisp.CountCalls(handovertest.RouteMessages) == before {
				r.After(100 * time.Millisecond) // until Timeouts.Remind
			}
			if tt.writes {
				r.Says("still there?")
			}
			r.After(2 * time.Minute)
			require.Len(r.T, r.Saw(), 2)
			calls[name] = r.Crisp.CountCalls(handovertest.RouteMessages) - before
		})
	}
	require.Equal(t, calls["one"], calls["four"])
	require.Equal(t, calls["one, the user writes"], calls["four, the user writes"])
}
