package handover_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/testhook"
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
		return errStoreDown
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
func (m *perishable) config(r *rig, c *handover.Config) {
	if m.Store == nil {
		m.Store = r.store
	}
	m.transport = c.HTTPClient.Transport
	c.Store, c.HTTPClient = m, &http.Client{Transport: m}
	c.Deliver = func(ctx context.Context, s handover.Session, msg handover.Message) (string, error) {
		if !m.dead.Load() {
			return r.deliver(ctx, s, msg)
		}
		<-ctx.Done()
		return "", errPerished
	}
}

// startProcess starts a process that can die.
func (r *rig) startProcess(away *atomic.Bool, store handover.Store, more ...func(*handover.Config)) (*handover.Handover, *perishable) {
	m := &perishable{Store: store, away: away}
	return r.replica(options{config: func(r *rig, c *handover.Config) {
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
			bubble(t, options{config: m.config}, func(r *rig) {
				conv := r.opened()
				r.fails(func(msg handover.Message) error {
					if msg.Content.Text == "hello" && msg.Attempt == 1 {
						m.dead.Store(true) // while it shows the message
						return errPerished
					}
					return nil
				})
				conv.Operator("Ann").Say("hello")
				r.crisp.Settle()
				require.True(r.t, m.dead.Load())
				begun := time.Now()
				for range replicas {
					r.replica(options{config: func(_ *rig, c *handover.Config) { c.Store = r.store }})
				}
				for len(r.agentLines()) == 0 && time.Since(begun) < 5*time.Minute {
					time.Sleep(100 * time.Millisecond)
				}
				t.Logf("%d replicas: taken over after %v", replicas, time.Since(begun))
				require.LessOrEqual(r.t, time.Since(begun), 45*time.Second)
				require.Equal(r.t, []string{"agent Ann: hello"}, r.agentLines())
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
			bubble(t, options{config: m.config}, func(r *rig) {
				r.startProcess(&gone, r.store)
				conv := r.opened()
				ann := conv.Operator("Ann")
				ann.Say("first")
				r.after(time.Minute)
				tried := map[string]int{}
				r.fails(func(m handover.Message) error {
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
				for !slices.Contains(r.agentLines(), "agent Ann: and on") && time.Since(begun) < time.Minute {
					time.Sleep(100 * time.Millisecond)
				}
				t.Logf("goes on after %v", time.Since(begun))
				require.LessOrEqual(r.t, time.Since(begun), away+12*time.Second)
				r.after(5 * time.Minute)
				require.Equal(r.t, map[string]int{"hello": 1, "and on": 1}, tried, "no result is lost")
				require.Equal(r.t, []string{"agent Ann: first", "agent Ann: hello", "agent Ann: and on"}, unlate(r.agentLines()))
			})
		})
	}
}

// What is due is loaded by the claim itself, and by one process only.
func TestWhatADueRecordCosts(t *testing.T) {
	const records, replicas = 300, 10
	bubble(t, options{still: true}, func(r *rig) {
		var store counted
		store.Store = &r.store.MemoryStore
		for i := range replicas {
			h, _ := r.startProcess(nil, &store, func(c *handover.Config) {
				c.Limits.CreatesPerMinute, c.Limits.DailyCalls = -1, 10 // catch-up looks at others
				c.Timeouts.Claim, c.Timeouts.Remind = 4*time.Hour, 20*time.Minute
			})
			if i == 0 {
				r.h = h
			}
		}
		for i := range records {
			r.conv.ID = fmt.Sprint("user ", i)
			r.opened()
		}
		r.after(time.Minute)
		for _, what := range []string{"reminded", "reminded again"} {
			store.reset()
			r.saw()
			r.after(20 * time.Minute)
			require.Len(r.t, r.saw(), records)
			claimed, loads, conflicts := store.claimed.Load(), store.loads.Load(), store.conflicts.Load()
			t.Logf("%d records %s by %d replicas: %d claimed, %d loads, %d saves, %d conflicts", records, what, replicas, claimed, loads, store.saves.Load(), conflicts)
			require.GreaterOrEqual(r.t, claimed, int64(records))
			require.LessOrEqual(r.t, float64(loads), 1.5*float64(claimed))
			require.LessOrEqual(r.t, conflicts, int64(records/20))
		}
	})
}

// Idle conversations cost nothing, also after a restart with other deadlines: the store is asked what
// is due, and that is all.
func TestIdleConversationsCostNothing(t *testing.T) {
	const records = 10_000
	bubble(t, options{still: true}, func(r *rig) {
		r.h = r.replica(options{config: func(_ *rig, c *handover.Config) { c.Store, c.Timeouts.Late = r.store, time.Hour }})
		ann := r.opened().Operator("Ann")
		ann.Say("hello")
		ann.Resolve()
		r.after(time.Minute)
		rec := r.record()
		_, session, _ := strings.Cut(rec.CrispIDs[0], "/")
		require.NoError(r.t, r.h.Shutdown(r.t.Context()))
		for i := range records {
			one := rec
			id, crisp := fmt.Sprintf("idle-%d", i), fmt.Sprintf("session_%08d-0000-4000-8000-000000000000", i)
			one.Version, one.Key = 0, r.crisp.WebsiteID()+"/webchat/"+id
			one.CrispIDs = []string{r.crisp.WebsiteID() + "/" + crisp}
			one.Data = []byte(strings.NewReplacer(`"id":"user-1"`, fmt.Sprintf(`"id":%q`, id), session, crisp).Replace(string(rec.Data)))
			_, err := r.store.Save(r.t.Context(), one)
			require.NoError(r.t, err)
		}
		time.Sleep(2 * time.Hour) // all are past the late window
		var store counted
		store.Store = &r.store.MemoryStore
		for range 3 {
			r.startProcess(nil, &store, func(c *handover.Config) {
				c.Timeouts.Late, c.Timeouts.Max = 30*24*time.Hour, 30*24*time.Hour
				c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
			})
		}
		r.after(5 * time.Minute)
		t.Logf("after the change: %d claimed, %d loads, %d saves", store.claimed.Load(), store.loads.Load(), store.saves.Load())
		require.LessOrEqual(r.t, store.claimed.Load(), int64(records+10))
		store.reset()
		r.after(10 * time.Minute)
		t.Logf("in 10 minutes: %d claims, %d claimed, %d loads, %d saves", store.claims.Load(), store.claimed.Load(), store.loads.Load(), store.saves.Load())
		require.Zero(r.t, store.claimed.Load()+store.saves.Load())
		require.LessOrEqual(r.t, store.loads.Load(), int64(10), "catch-up looks at the one that is in Crisp's list")
	})
}

// However many records cannot be read, a good one is worked on at once, and they become ever rarer.
func TestStuckRecordsStarveNobody(t *testing.T) {
	if testmain.Raced() {
		t.Skip("it runs tens of thousands of hooks or records, without goroutines that other tests lack: too slow with the race detector")
	}
	const records = 20_000
	bubble(t, options{still: true}, func(r *rig) {
		r.h = r.replica(options{})
		conv := r.opened()
		r.after(time.Minute)
		require.NoError(r.t, r.h.Shutdown(r.t.Context()))
		for i := range records {
			_, err := r.store.Save(r.t.Context(), handover.Record{Key: fmt.Sprintf("%s/webchat/bad-%d", r.crisp.WebsiteID(), i), Due: time.Now().Add(-time.Hour), Data: []byte("rubbish")})
			require.NoError(r.t, err)
		}
		var store counted
		store.Store = &r.store.MemoryStore
		r.h, _ = r.startProcess(nil, &store)
		r.after(5 * time.Second)
		begun := time.Now()
		conv.Operator("Ann").Say("hello")
		r.crisp.Settle()
		require.Zero(r.t, time.Since(begun))
		require.Contains(r.t, r.agentLines(), "agent Ann: hello")
		r.after(10 * time.Minute)
		store.reset()
		r.after(10 * time.Minute)
		t.Logf("%d records that cannot be read: %d loads in 10 minutes", records, store.loads.Load())
		require.Less(r.t, store.loads.Load(), int64(2*records))
		require.False(r.t, r.says("thank you").Bot)
	})
}

// wallClock is a store with a clock of its own.
type wallClock struct{ handover.Store }

func (s wallClock) Load(ctx context.Context, key string) (handover.Record, error) {
	r, err := s.Store.Load(ctx, key)
	r.Now = time.Now()
	return r, err
}

func (s wallClock) Find(ctx context.Context, id string) (handover.Record, error) {
	r, err := s.Store.Find(ctx, id)
	r.Now = time.Now()
	return r, err
}

func (s wallClock) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	all, err := s.Store.Claim(ctx, limit, ttl)
	for i := range all {
		all[i].Now = time.Now()
	}
	return all, err
}

// Clocks of processes that differ by an hour change no deadline: those are by the store's clock.
func TestClocksThatDiffer(t *testing.T) {
	bubble(t, options{still: true}, func(r *rig) {
		var all []*handover.Handover
		for _, skew := range []time.Duration{time.Hour, -time.Hour, 0} {
			cfg := r.config()
			cfg.Store = wallClock{r.store}
			h, err := handover.New(cfg)
			require.NoError(r.t, err)
			testhook.Set(h, testhook.Hooks{Skew: skew})
			detach := r.crisp.Attach(h)
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() { _ = h.Run(ctx) })
			r.t.Cleanup(func() { cancel(); running.Wait(); detach(); _ = h.Shutdown(context.Background()) })
			all = append(all, h)
		}
		for i, h := range all {
			r.h, r.conv.ID = h, fmt.Sprint("user ", i)
			begun := time.Now()
			conv := r.opened()
			require.Zero(r.t, time.Since(begun))
			r.after(9 * time.Minute)
			require.Equal(r.t, handover.StateWaiting, r.session().State)
			conv.Operator("Ann").Say("hello")
			for j := range all {
				r.h = all[j]
				begun = time.Now()
				require.False(r.t, r.says("and me?").Bot)
				require.Less(r.t, time.Since(begun), time.Second)
			}
			r.after(100 * time.Minute)
			require.Equal(r.t, handover.StateActive, r.session().State)
			conv.Operator("Ann").Resolve()
			r.after(time.Minute)
			require.Equal(r.t, handover.StateBot, r.session().State)

			r.conv.ID += " alone"
			r.opened()
			begun = time.Now()
			for r.session().State == handover.StateWaiting {
				r.after(time.Second)
			}
			require.InDelta(r.t, 600, time.Since(begun).Seconds(), 5)
		}
		require.Len(r.t, r.allEnds(), 6)
	})
}

// A channel's time that cannot be is set right: the message is taken.
func TestOddTimesOfIncoming(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		for i, at := range []time.Time{{}, time.Unix(-1, 0), time.Date(30000, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Add(24 * time.Hour)} {
			_, err := r.receive(handover.Incoming{Text: fmt.Sprint("at ", i), At: at})
			require.NoError(r.t, err)
			require.Contains(r.t, userTexts(conv), fmt.Sprint("at ", i))
		}
		ann.Resolve()
		r.after(time.Minute)
		turn, err := r.receive(handover.Incoming{Text: "bot?", At: time.Date(30000, 1, 1, 0, 0, 0, 0, time.UTC)})
		require.NoError(r.t, err)
		require.True(r.t, turn.Bot)
	})
}

// The process dies in which a Receive waits, and the handover ends before Crisp has the message: the
// user is told, and OnEnd as well.
func TestTheProcessOfAReceiveDies(t *testing.T) {
	for name, dies := range map[string]bool{"it dies": true, "it lives": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, options{still: true}, func(r *rig) {
				first, m := r.startProcess(nil, r.store)
				second, _ := r.startProcess(nil, r.store)
				r.h = second
				conv := r.opened()
				conv.Operator("Ann").Say("hello")
				r.after(time.Minute)
				r.saw()
				r.crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Refuse: true})
				heard := make(chan handover.Turn, 1)
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
					defer cancel()
					turn, _ := first.Receive(ctx, handover.Incoming{Conversation: r.conv, ID: "lost", Text: "please"})
					heard <- turn
				}()
				time.Sleep(25 * time.Second)
				m.dead.Store(dies)
				time.Sleep(time.Second)
				require.NoError(r.t, second.End(r.t.Context(), r.conv, handover.EndOptions{}))
				r.after(2 * time.Minute)
				lines := strings.Join(r.saw(), "\n")
				require.Len(r.t, r.allEnds(), 1)
				if dies {
					require.Contains(r.t, lines, handover.DefaultTexts().NotSent)
					require.Equal(r.t, []string{"lost"}, r.allEnds()[0].Unsent)
					<-heard
					return
				}
				require.NotContains(r.t, lines, handover.DefaultTexts().NotSent)
				require.Empty(r.t, r.allEnds()[0].Unsent)
				require.True(r.t, (<-heard).Bot)
			})
		})
	}
}

// A conversation that is forgotten while something is under way stays forgotten.
func TestForgetWhileSomethingIsUnderWay(t *testing.T) {
	forget := func(r *rig) { require.NoError(r.t, r.h.Forget(context.Background(), r.conv)) }
	for name, during := range map[string]func(r *rig, conv *handovertest.Conversation){
		"Reply, with a Crisp session": func(r *rig, conv *handovertest.Conversation) {
			require.NoError(r.t, r.h.End(r.t.Context(), r.conv, handover.EndOptions{}))
			turn, err := r.receive(handover.Incoming{Text: "bot?"})
			require.NoError(r.t, err)
			require.NoError(r.t, r.h.Reply(r.t.Context(), turn, func(context.Context) error { forget(r); return nil }))
		},
		"Reply, without": func(r *rig, _ *handovertest.Conversation) {
			r.conv.ID = "somebody else"
			turn, err := r.receive(handover.Incoming{Text: "bot?"})
			require.NoError(r.t, err)
			require.NoError(r.t, r.h.Reply(r.t.Context(), turn, func(context.Context) error { forget(r); return nil }))
		},
		"Receive": func(r *rig, _ *handovertest.Conversation) {
			r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Delay: 5 * time.Second})
			time.AfterFunc(time.Second, func() { forget(r) })
			_, err := r.receive(handover.Incoming{Text: "hi"})
			require.ErrorContains(r.t, err, "forgotten")
		},
		"Deliver": func(r *rig, conv *handovertest.Conversation) {
			r.fails(func(handover.Message) error { forget(r); return nil })
			conv.Operator("Ann").Say("hello")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, options{}, func(r *rig) {
				conv := r.opened()
				r.after(time.Minute)
				during(r, conv)
				r.after(time.Minute)
				require.Zero(r.t, r.record().Version)
			})
		})
	}
}

// Who waits on one process is told at once of what another one does, and hardly loads anything.
func TestWaitersOfOtherProcessesAreWoken(t *testing.T) {
	bubble(t, options{still: true}, func(r *rig) {
		var mine counted
		mine.Store = &r.store.MemoryStore
		waits := r.replica(options{config: func(_ *rig, c *handover.Config) { c.Store = &mine }})
		works := r.replica(options{config: func(_ *rig, c *handover.Config) { c.Store = r.store }})
		r.after(time.Second)

		// Reply: the bot speaks for long, and costs nothing until somebody takes over.
		turn, err := waits.Receive(r.t.Context(), handover.Incoming{Conversation: r.conv, ID: "1", Text: "hi"})
		require.NoError(r.t, err)
		mine.reset()
		var cut time.Time
		done := make(chan error)
		go func() {
			done <- waits.Reply(r.t.Context(), turn, func(ctx context.Context) error { <-ctx.Done(); cut = time.Now(); return ctx.Err() })
		}()
		time.Sleep(100 * time.Second)
		require.LessOrEqual(r.t, mine.loads.Load(), int64(1), "no polling")
		s, err := works.Session(r.t.Context(), r.conv)
		require.NoError(r.t, err)
		asked := time.Now()
		outcome, err := works.Start(r.t.Context(), s.Turn(), handover.Request{})
		require.NoError(r.t, err)
		require.Equal(r.t, handover.Opened, outcome)
		require.ErrorIs(r.t, <-done, handover.ErrNotYourTurn)
		require.Zero(r.t, cut.Sub(asked))

		// Receive: another process passes the message on.
		r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Delay: 3 * time.Second})
		mine.reset()
		begun := time.Now()
		_, err = waits.Receive(r.t.Context(), handover.Incoming{Conversation: r.conv, ID: "2", Text: "please"})
		require.NoError(r.t, err)
		require.Equal(r.t, 3*time.Second, time.Since(begun))
		t.Logf("Receive: %d loads", mine.loads.Load())
		require.LessOrEqual(r.t, mine.loads.Load(), int64(5), "polling would take ten")
	})
}

// A process whose Run is missing works on what it takes in.
func TestAProcessWithoutRun(t *testing.T) {
	bubble(t, options{still: true}, func(r *rig) {
		conv := r.opened()
		ann := conv.Operator("Ann")
		ann.Say("hello")
		require.Contains(r.t, r.saw(), "agent Ann: hello")
		require.False(r.t, r.says("hi").Bot)
		require.Contains(r.t, userTexts(conv), "hi")
		ann.Resolve()
		r.crisp.Settle()
		require.Len(r.t, r.allEnds(), 1)
		require.True(r.t, r.says("bot?").Bot)
	})
}

// After Shutdown nobody else waits for the claims of this process.
func TestShutdownGivesClaimsUp(t *testing.T) {
	o := options{config: slowly(3*time.Second, nil), still: true}
	bubble(t, o, func(r *rig) {
		ann := r.opened().Operator("Ann")
		r.after(time.Minute)
		for i := range 5 {
			ann.Say(fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		require.NoError(r.t, r.h.Shutdown(r.t.Context()))
		begun := time.Now()
		r.replica(o)
		other := r.replica(options{})
		_ = other
		for len(r.agentLines()) < 5 && time.Since(begun) < 3*time.Minute {
			time.Sleep(time.Second)
		}
		t.Logf("all are shown %v after", time.Since(begun))
		require.LessOrEqual(r.t, time.Since(begun), 45*time.Second)
		require.Len(r.t, r.agentLines(), 5)
	})
}

// A conversation that names no website stays where it began when the default changes, whoever asks.
func TestTheDefaultWebsiteChanges(t *testing.T) {
	const other = "7a3c5e10-6f0b-4d55-9c1e-00000000000b"
	o := options{still: true}
	o.crisp.Websites = []string{other}
	for name, before := range map[string]func(r *rig) *handovertest.Conversation{
		"while the bot answers": func(r *rig) *handovertest.Conversation { r.says("hello"); return nil },
		"while an agent does":   func(r *rig) *handovertest.Conversation { return r.opened() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, o, func(r *rig) {
				first := r.crisp.WebsiteID()
				conv := before(r)
				require.NoError(r.t, r.h.Shutdown(r.t.Context()))
				r.h = r.replica(options{config: func(_ *rig, c *handover.Config) {
					c.Store, c.WebsiteID, c.Websites = r.store, other, []string{first}
				}})
				if conv == nil {
					require.True(r.t, r.says("still there?").Bot)
					conv = r.opened()
				}
				require.Equal(r.t, first, conv.WebsiteID())
				require.Equal(r.t, handover.StateWaiting, r.session().State)
				require.False(r.t, r.says("a human?").Bot)
				require.Contains(r.t, userTexts(conv), "a human?")
				conv.Operator("Ann").Say("hello")
				r.after(time.Minute) // the process that ended refuses the hook
				require.Contains(r.t, unlate(r.saw()), "agent Ann: hello")
				require.NoError(r.t, r.h.Typing(r.t.Context(), r.conv, true))
				_, err := r.h.Available(r.t.Context(), r.conv)
				require.NoError(r.t, err)
				require.NoError(r.t, r.h.End(r.t.Context(), r.conv, handover.EndOptions{}))
				r.after(time.Minute)
				require.Len(r.t, r.allEnds(), 1)
				require.True(r.t, r.says("bot?").Bot)
				require.Equal(r.t, first, r.opened().WebsiteID(), "it goes on where it began")

				r.conv.ID = "new"
				require.True(r.t, r.says("hello").Bot)
				require.Equal(r.t, other, r.opened().WebsiteID())

				r.conv.ID = "user-1"
				require.NoError(r.t, r.h.Forget(r.t.Context(), r.conv))
				require.Equal(r.t, handover.StateBot, r.session().State)
			})
		})
	}
}
