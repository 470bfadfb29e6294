package handover_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestRunReturnsTheErrorAndTheCauseOfItsEnd(t *testing.T) {
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		reason := errors.New("the host restarts")
		ctx, cancel := context.WithCancelCause(r.T.Context())
		done := make(chan error)
		go func() { done <- r.H.Run(ctx) }()
		time.Sleep(3 * time.Second)
		cancel(reason)
		err := <-done
		require.ErrorIs(t, err, reason)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestWithoutRunNoDeadlinePasses(t *testing.T) {
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		r.Opened()
		r.After(time.Hour)
		require.Equal(t, handover.StateWaiting, r.Session().State)
		r.Replica(rig.Options{})
		r.After(2 * time.Second)
		require.Equal(t, handover.StateBot, r.Session().State, "what is due is attended by whoever runs")
		require.Equal(t, handover.EndClaimTimeout, r.Ends()[0].Reason)
	})
}

func TestRestart(t *testing.T) {
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Saw()
		r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
		conv.Operator("Ann").Say("before the restart")
		r.After(time.Second)
		require.NoError(t, r.H.Shutdown(r.T.Context()))
		conv.Operator("Ann").Say("during the restart")
		r.After(10 * time.Second)
		r.Fails(nil)
		require.Empty(t, r.Saw())
		r.H = r.Replica(rig.Options{})
		r.After(5 * time.Minute)
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: before the restart", "agent Ann: during the restart"}, r.Saw())
		r.Says("and I can answer")
		require.Equal(t, "and I can answer", rig.UserTexts(conv)[1])
		conv.Operator("Ann").Resolve()
		r.Crisp.Settle()
		require.Len(t, r.Ends(), 1)
	})
}

// silent is a store that at times gives no answer, for as long as its caller waits.
type silent struct {
	handover.Store
	claim, find, save atomic.Bool // the next one
}

func (s *silent) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	if s.claim.CompareAndSwap(true, false) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Claim(ctx, limit, ttl)
}

func (s *silent) Find(ctx context.Context, id string) (handover.Record, error) {
	if s.find.CompareAndSwap(true, false) {
		<-ctx.Done()
		return handover.Record{}, ctx.Err()
	}
	return s.Store.Find(ctx, id)
}

func (s *silent) Save(ctx context.Context, r handover.Record) (int64, error) {
	if strings.HasPrefix(r.Key, "website/") && s.save.CompareAndSwap(true, false) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return s.Store.Save(ctx, r)
}

// A store that answers no more, as over a dead connection, stops neither the deadlines nor catch-up.
func TestAStoreThatGivesNoAnswer(t *testing.T) {
	for name, next := range map[string]func(*silent) *atomic.Bool{
		"Due":  func(s *silent) *atomic.Bool { return &s.claim },
		"Find": func(s *silent) *atomic.Bool { return &s.find },
		"Save": func(s *silent) *atomic.Bool { return &s.save },
	} {
		t.Run(name, func(t *testing.T) {
			store := new(silent)
			o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) { store.Store, c.Store = r.Store, store }}
			rig.Bubble(t, o, func(r *rig.Rig) {
				conv := r.Opened()
				r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: true} })
				conv.Operator("Ann").Say("Hello")
				next(store).Store(true)
				r.After(8 * time.Minute)
				require.False(t, next(store).Load())
				require.Contains(t, r.Saw(), "agent Ann: Hello")
				require.Equal(t, handover.StateActive, r.Session().State)
				r.After(4 * time.Hour)
				require.Equal(t, handover.StateBot, r.Session().State)
			})
		})
	}
}

func TestShutdownDrains(t *testing.T) {
	rig.Bubble(t, rig.Options{Config: rig.Slowly(5*time.Second, nil)}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		_, err = r.H.Start(r.T.Context(), turn, handover.Request{})
		require.NoError(t, err)
		r.Crisp.Settle() // the text for the user is on its way

		ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, r.H.Shutdown(ctx), context.DeadlineExceeded)
		require.Empty(t, r.Lines())
		begun := time.Now()
		require.NoError(t, r.H.Shutdown(r.T.Context()), "it may be called again")
		require.Equal(t, 4*time.Second, time.Since(begun))
		require.Len(t, r.Lines(), 1, "what was begun is done")

		_, err = r.Receive(handover.Incoming{Text: "anybody?"})
		require.ErrorIs(t, err, handover.ErrShutdown)
		require.NoError(t, r.H.Shutdown(r.T.Context()))
		require.ErrorIs(t, r.H.Run(r.T.Context()), handover.ErrShutdown)
		r.H = r.Replica(rig.Options{})
		require.False(t, r.Says("anybody?").Bot, "the channel repeats it to another process")
	})
}

// A bot that speaks when its process is told to end may still ask for a human: another process opens
// the handover.
func TestStartAfterShutdown(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		require.NoError(t, r.H.Shutdown(r.T.Context()))
		require.NoError(t, r.H.Reply(r.T.Context(), turn, func(context.Context) error { return nil }))
		outcome, err := r.H.Start(r.T.Context(), turn, handover.Request{})
		require.Equal(t, handover.OutcomeOpening, outcome)
		require.ErrorIs(t, err, handover.ErrShutdown)
		r.H = r.Replica(rig.Options{})
		r.After(2 * time.Second)
		require.Equal(t, handover.StateWaiting, r.Session().State)
	})
}

func TestShutdownOfWhatNeverRan(t *testing.T) {
	h, err := handover.New(goodConfig())
	require.NoError(t, err)
	require.NoError(t, handovertest.Drain(t.Context(), h))
	require.NoError(t, h.Shutdown(t.Context()))
	require.NoError(t, h.Shutdown(t.Context()))
}

func TestDrain(t *testing.T) {
	rig.Bubble(t, rig.Options{Config: rig.Slowly(5*time.Second, nil)}, func(r *rig.Rig) {
		r.Opened()
		ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, handovertest.Drain(ctx, r.H), context.DeadlineExceeded)
		require.NoError(t, handovertest.Drain(r.T.Context(), r.H))
		require.Len(t, r.Lines(), 1)
		require.False(t, r.Says("it goes on").Bot)
	})
}

func TestConversationsRunInParallelUpToLimitsWorkers(t *testing.T) {
	for workers, want := range map[int]time.Duration{0: time.Second, 4: 3 * time.Second, 1: 12 * time.Second} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			var most atomic.Int64
			o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
				rig.Slowly(time.Second, &most)(r, c)
				c.Limits.Workers = workers
				c.Texts = func(handover.Session) handover.Texts { return handover.Texts{} }
			}}
			rig.Bubble(t, o, func(r *rig.Rig) {
				all := r.Crowd(12)
				most.Store(0)
				for _, conv := range all {
					conv.Operator("Ann").Say("hello")
				}
				time.Sleep(want)
				synctest.Wait()
				require.Len(t, r.Lines(), 12)
				if workers > 0 {
					require.EqualValues(t, workers, most.Load())
				}
			})
		})
	}
}

func TestASlowChannelNeverDelaysTheUser(t *testing.T) {
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		rig.Slowly(9*time.Second, nil)(r, c)
		c.Limits.Workers = 1
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		for i := range 10 {
			conv.Operator("Ann").Say(fmt.Sprint(i))
		}
		r.Crisp.Settle()
		begun := time.Now()
		for i := range 10 {
			require.False(t, r.Says(fmt.Sprint("user ", i)).Bot)
		}
		require.Zero(t, time.Since(begun))
		require.Len(t, rig.UserTexts(conv), 11)
		r.After(2 * time.Minute)
		require.Len(t, r.AgentLines(), 10)
	})
}

func TestAFullQueueOfDeliveriesNeverDelaysTheUser(t *testing.T) {
	blocked := make(chan struct{})
	var stuck atomic.Bool
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		blocked = make(chan struct{})
		c.Limits.Workers, c.Limits.Queue = 1, 1
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if stuck.Load() {
				<-blocked
			}
			return r.Deliver(ctx, s, m)
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		all := r.Crowd(2)
		stuck.Store(true)
		for _, conv := range all {
			conv.Operator("Ann").Say("hello")
			r.Crisp.Settle()
		}
		ctx, cancel := context.WithTimeout(r.T.Context(), 5*time.Second)
		defer cancel()
		_, err := receiveWith(r, ctx, "quick")
		close(blocked)
		require.NoError(t, err)
	})
}

func TestASlowCrispNeverDelaysTheAgent(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, DelayAnswer: 9 * time.Second})
		var all sync.WaitGroup
		all.Go(func() { r.Says("slow") })
		synctest.Wait()
		begun := time.Now()
		ann.Say("quick")
		require.Equal(t, []string{"agent Ann: quick"}, r.Saw())
		require.Zero(t, time.Since(begun))
		all.Wait()
	})
}

func TestTwoReplicasShowEachMessageOnce(t *testing.T) {
	o := rig.Options{Config: rig.Slowly(300*time.Millisecond, nil)}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Replica(o)
		r.Replica(o)
		conv := r.Opened()
		ann := conv.Operator("Ann")
		var want []string
		for i := range 60 {
			ann.Say(fmt.Sprint(i))
			want = append(want, fmt.Sprint("agent Ann: ", i))
			time.Sleep(100 * time.Millisecond)
		}
		r.After(time.Minute)
		require.Equal(t, want, r.AgentLines())
		for _, m := range r.Shown() {
			require.Equal(t, 1, m.Attempt)
		}
	})
}

func TestTwoReplicasNeverTryTheSameAtOnce(t *testing.T) {
	var mu sync.Mutex
	running, tries := 0, map[string][]int{}
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			mu.Lock()
			running++
			require.Equal(r.T, 1, running, "deliveries for one conversation never overlap")
			tries[m.ID] = append(tries[m.ID], m.Attempt)
			mu.Unlock()
			time.Sleep(300 * time.Millisecond)
			mu.Lock()
			running--
			mu.Unlock()
			if m.Attempt == 1 {
				return "", rig.ErrChannelDown
			}
			return r.Deliver(ctx, s, m)
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Replica(o) // both ask for what is due in the same moment
		ann := r.Opened().Operator("Ann")
		for range 5 {
			ann.Say("hello")
		}
		r.After(time.Minute)
		require.Len(t, r.AgentLines(), 5)
		for _, attempts := range tries {
			require.Equal(t, []int{1, 2}, attempts)
		}
	})
}

func TestTwoReplicasKeepTheUsersOrder(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		second := r.Replica(rig.Options{})
		conv := r.Opened()
		want := []string{"Hi, this user need your help."}
		for i := range 40 {
			r.H, second = second, r.H
			text := fmt.Sprint("message ", i)
			require.False(t, r.Says(text).Bot)
			want = append(want, text)
		}
		require.Equal(t, want, rig.UserTexts(conv))
	})
}

// calls are all that a host may call about a conversation, with a context.
var calls = map[string]func(ctx context.Context, r *rig.Rig, turn handover.Turn) error{
	"Receive": func(ctx context.Context, r *rig.Rig, turn handover.Turn) error {
		_, err := r.H.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: "new", Text: "new"})
		return err
	},
	"Reply": func(ctx context.Context, r *rig.Rig, turn handover.Turn) error {
		return r.H.Reply(ctx, turn, func(context.Context) error { r.T.Error("send was called"); return nil })
	},
	"Start": func(ctx context.Context, r *rig.Rig, turn handover.Turn) error {
		_, err := r.H.Start(ctx, turn, handover.Request{})
		return err
	},
	"Apply": func(ctx context.Context, r *rig.Rig, turn handover.Turn) error {
		_, err := r.H.Apply(ctx, turn, handover.BotOutput{NeedHelp: true}, handover.Request{})
		return err
	},
	"Mute": func(ctx context.Context, r *rig.Rig, turn handover.Turn) error { return r.H.Mute(ctx, turn) },
	"Session": func(ctx context.Context, r *rig.Rig, turn handover.Turn) error {
		_, err := r.H.Session(ctx, r.Conv)
		return err
	},
	"Available": func(ctx context.Context, r *rig.Rig, turn handover.Turn) error {
		_, err := r.H.Available(ctx, r.Conv)
		return err
	},
	"Forget": func(ctx context.Context, r *rig.Rig, turn handover.Turn) error { return r.H.Forget(ctx, r.Conv) },
}

func TestCallsWithACancelledContext(t *testing.T) {
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				turn, err := r.Receive(handover.Incoming{Text: "hello"})
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(r.T.Context())
				cancel()
				r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteCreate, Delay: time.Second}) // something to wait for
				require.ErrorIs(t, call(ctx, r, turn), context.Canceled)
				r.After(time.Minute)
				if name == "Start" || name == "Apply" { // only the wait is the caller's
					require.Equal(t, handover.StateWaiting, r.Session().State)
					return
				}
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Empty(t, r.Saw())
				require.Empty(t, r.Crisp.Conversations())
				require.NoError(t, r.Reply(turn, "the turn still holds"))
				require.Zero(t, r.H.Waiting())
			})
		})
	}
}

func TestCallsAboutTheWebsiteWithACancelledContext(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		ctx, cancel := context.WithCancel(r.T.Context())
		cancel()
		require.ErrorIs(t, r.H.Check(ctx).Err(), context.Canceled)
		r.Says("something to spend")
		require.NoError(t, r.H.Check(r.T.Context()).Err())
		_, err := r.H.Spent(ctx)
		require.ErrorIs(t, err, context.Canceled)
		spent, err := r.H.Spent(r.T.Context())
		require.NoError(t, err)
		require.Positive(t, spent.Calls, "nothing is lost of the count")
		require.ErrorIs(t, r.H.Run(ctx), context.Canceled)
	})
}

func TestCallsWithoutAStore(t *testing.T) {
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				turn, err := r.Receive(handover.Incoming{Text: "hello"})
				require.NoError(t, err)
				r.Store.Fails(true)
				err = call(r.T.Context(), r, turn)
				require.ErrorIs(t, err, rig.ErrStoreDown)
				require.ErrorContains(t, err, "handover: ")
				require.ErrorIs(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}), rig.ErrStoreDown)
				r.After(10 * time.Second)
				r.Store.Fails(false)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Empty(t, r.Saw())
			})
		})
	}
}

func TestCallsAboutNoConversation(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Conv = handover.Conversation{}
		for name, call := range calls {
			require.ErrorIs(t, call(r.T.Context(), r, handover.Turn{}), handover.ErrBadMessage, name)
		}
		require.ErrorIs(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}), handover.ErrBadMessage)
		_, err := r.H.HistoryLink(r.Conv)
		require.ErrorIs(t, err, handover.ErrBadMessage)
	})
}

func TestWaitsAreWokenAndForgotten(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Delay: 3 * time.Second})
		var all sync.WaitGroup
		begun := time.Now()
		for range 20 {
			all.Go(func() {
				_, err := r.H.Receive(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: "same", Text: "hello"})
				require.NoError(t, err)
				require.Equal(t, 3*time.Second, time.Since(begun), "woken at once")
			})
		}
		all.Wait()
		require.Zero(t, r.H.Waiting())
		require.Equal(t, []string{"hello"}, rig.UserTexts(conv)[1:])
	})
}

// A store that fails is said in the log: first, then once a minute, and once when it works again.
func TestAStoreThatFailsIsSaidNowAndThen(t *testing.T) {
	l := new(rig.Log)
	rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = l.Logger() }}, func(r *rig.Rig) {
		r.Opened()
		r.Store.Fails(true)
		for range 10 {
			r.After(time.Minute)
			_, err := r.TrySay("hello")
			require.Error(t, err)
		}
		require.LessOrEqual(t, l.Count("level=WARN"), 11)
		require.GreaterOrEqual(t, l.Count("handover: the store fails: what it is needed for is tried again"), 10)
		require.Zero(t, l.Count("the store works again"))
		r.Store.Fails(false)
		r.After(time.Minute)
		require.Equal(t, 1, l.Count("handover: the store works again"))
		require.LessOrEqual(t, l.Count("level=WARN"), 11)
	})
}

// A caller that leaves says nothing about the store.
func TestACallerThatLeavesIsNoFaultOfTheStore(t *testing.T) {
	l := new(rig.Log)
	rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = l.Logger() }}, func(r *rig.Rig) {
		ctx, cancel := context.WithCancel(r.T.Context())
		cancel()
		_, err := r.H.Session(ctx, r.Conv)
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, l.String())
	})
}
