package handover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// ended is a rig whose handover was resolved, and whose agent opened the conversation in Crisp again, so
// that they can take over.
func ended(t *testing.T, o rig.Options, test func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator)) {
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.Saw()
		ann.Reopen()
		r.Crisp.Settle()
		test(r, conv, ann)
	})
}

func TestReplyReturnsWhatSendReturns(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "hello"})
		require.NoError(t, err)
		require.ErrorIs(t, r.H.Reply(context.Background(), turn, func(context.Context) error { return rig.ErrChannelDown }), rig.ErrChannelDown)
		require.Error(t, r.H.Reply(context.Background(), turn, func(context.Context) error { panic("a bug") }))
		again, err := r.Receive(handover.Incoming{ID: "m1", Text: "hello"})
		require.NoError(t, err)
		require.True(t, again.Bot, "not answered yet")
		require.NoError(t, r.Reply(turn, "hi"))
	})
}

// The first message of a user whom the bot greets stores the conversation, and takes it from nobody.
func TestReplyIsNotCutShortByTheFirstMessage(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		done := make(chan error)
		go func() {
			done <- r.H.Reply(context.Background(), r.Session().Turn(), func(ctx context.Context) error {
				select {
				case <-ctx.Done():
				case <-time.After(time.Minute):
				}
				return ctx.Err()
			})
		}()
		time.Sleep(time.Second)
		turn, err := r.Receive(handover.Incoming{Text: "hello"})
		require.NoError(t, err)
		require.True(t, turn.Bot)
		require.NoError(t, <-done)
	})
}

// A send that ends its goroutine, as a test does that fails, speaks no more: what waits for it goes on.
func TestReplyWhoseSendEndsItsGoroutine(t *testing.T) {
	rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Away: true}}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = r.H.Reply(context.Background(), turn, func(context.Context) error { runtime.Goexit(); return nil })
		}()
		<-done
		outcome, err := r.H.Start(context.Background(), turn, handover.Request{})
		require.NoError(t, err)
		require.Equal(t, handover.OutcomeNobodyThere, outcome)
		require.NotEmpty(t, r.Saw())
	})
}

func TestReplyIsRefusedAndTheAgentGetsTheMessage(t *testing.T) {
	ended(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		turn, err := r.Receive(handover.Incoming{Text: "a question for the bot"})
		require.NoError(t, err)
		ann.Say("one more thing")
		r.Crisp.Settle()
		require.ErrorIs(t, r.Reply(turn, "the bot's answer"), handover.ErrNotYourTurn)
		require.NotContains(t, r.Saw(), "bot: the bot's answer")
		require.Equal(t, "a question for the bot", rig.UserTexts(conv)[len(rig.UserTexts(conv))-1])
		require.ErrorIs(t, r.Reply(turn, "again"), handover.ErrNotYourTurn)
		r.Crisp.Settle()
		require.Len(t, rig.UserTexts(conv), 2, "passed on once")
	})
}

// A turn that is void goes to the agent only if a human had the conversation since; else the user is
// told, for nobody is left who could answer.
func TestReplyThatNobodyCanAnswerAnyMore(t *testing.T) {
	for name, between := range map[string]func(r *rig.Rig){
		"muted and un-muted": func(r *rig.Rig) {
			require.NoError(r.T, r.H.Mute(r.T.Context(), r.Session().Turn()))
			require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
		},
		"an opening that failed": func(r *rig.Rig) {
			r.After(2 * time.Hour) // the first Crisp conversation is not used again
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteCreate, Status: 403, Reason: "not_allowed"})
			require.Equal(r.T, handover.OutcomeOpenFailed, r.Asks(handover.Request{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			ended(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
				m := handover.Incoming{ID: "slow", Text: "a question for the bot"}
				turn, err := r.Receive(m)
				require.NoError(t, err)
				between(r)
				r.Saw()
				require.ErrorIs(t, r.Reply(turn, "the bot's answer"), handover.ErrNotYourTurn)
				require.Equal(t, []string{"system: I am sorry, your last message could not be sent. Please send it again."}, r.Saw())
				require.NotContains(t, rig.UserTexts(conv), m.Text, "no human had it since")
				again, err := r.Receive(m)
				require.NoError(t, err)
				require.False(t, again.Bot)
			})
		})
	}
}

// What Reply and a mute leave to the agents has nobody who waits for it: when it cannot pass, the
// user is told.
func TestPassedOnMessagesThatAreLostAreTold(t *testing.T) {
	sorry := "system: I am sorry, your last message could not be sent. Please send it again."
	t.Run("by a refused Reply", func(t *testing.T) {
		ended(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			turn, err := r.Receive(handover.Incoming{ID: "slow", Text: "a question for the bot"})
			require.NoError(t, err)
			ann.Say("one more thing")
			r.Saw()
			r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
			require.ErrorIs(t, r.Reply(turn, "the bot's answer"), handover.ErrNotYourTurn)
			r.After(5 * time.Minute)
			require.Equal(t, handover.EndRelayFailed, r.Ends()[1].Reason)
			require.Equal(t, []string{"slow"}, r.Ends()[1].Unsent)
			require.Contains(t, r.Saw(), sorry)
		})
	})
	t.Run("while muted", func(t *testing.T) {
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			turn := r.Says("be quiet")
			require.NoError(t, r.H.Mute(r.T.Context(), turn))
			r.Says("kept")
			r.Saw()
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteCreate, Status: 403, Reason: "not_allowed"})
			outcome, err := r.H.Start(r.T.Context(), turn, handover.Request{})
			require.NoError(t, err)
			require.Equal(t, handover.OutcomeOpenFailed, outcome)
			require.Contains(t, r.Saw(), sorry)
			require.Equal(t, []string{"m2"}, r.Ends()[0].Unsent)
		})
	})
}

// A message that is handed to the agents after their handover has ended is none of those that it lost.
func TestUnsentAfterTheEnd(t *testing.T) {
	told := 0
	flaky := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		c.OnEnd = func(ctx context.Context, s handover.Session, sum handover.Summary) error {
			if told++; told == 2 { // of the second handover
				return rig.ErrChannelDown
			}
			return r.OnEnd(ctx, s, sum)
		}
	}}
	ended(t, flaky, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		turn, err := r.Receive(handover.Incoming{ID: "slow", Text: "a question for the bot"})
		require.NoError(t, err)
		ann.Say("one more thing")
		r.Crisp.Settle()
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteSend, Status: 404, For: time.Minute})
		require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
		require.ErrorIs(t, r.Reply(turn, "the bot's answer"), handover.ErrNotYourTurn)
		r.After(2 * time.Minute)
		require.Contains(t, r.Saw(), "system: "+handover.DefaultTexts().NotSent)
		require.Len(t, r.Ends(), 2)
		require.Empty(t, r.Ends()[1].Unsent)
	})
}

func TestReplyIsCutShortByATakeover(t *testing.T) {
	ended(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		turn, err := r.Receive(handover.Incoming{Text: "tell me a story"})
		require.NoError(t, err)
		speaking, done := make(chan struct{}), make(chan error)
		go func() {
			done <- r.H.Reply(context.Background(), turn, func(ctx context.Context) error {
				close(speaking)
				<-ctx.Done()
				require.ErrorIs(t, context.Cause(ctx), handover.ErrNotYourTurn)
				time.Sleep(3 * time.Second) // slow to stop
				require.Empty(t, r.Lines(), "what the agent wrote waits for the reply")
				return ctx.Err()
			})
		}()
		<-speaking
		require.Equal(t, handover.StateBot, r.Session().State)
		other, err := r.Receive(handover.Incoming{Text: "meanwhile"})
		require.NoError(t, err, "messages are taken while the bot streams")
		require.True(t, other.Bot)
		ann.Say("let me")
		require.ErrorIs(t, <-done, handover.ErrNotYourTurn)
		r.After(2 * time.Second)
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: let me"}, r.Saw())
		require.Equal(t, "tell me a story", rig.UserTexts(conv)[1])
	})
}

// deafReply has the bot speak for an hour in a send that ignores its context.
func deafReply(r *rig.Rig) (done chan error) {
	turn, err := r.Receive(handover.Incoming{Text: "hm"})
	require.NoError(r.T, err)
	done = make(chan error)
	go func() {
		done <- r.H.Reply(context.Background(), turn, func(context.Context) error { time.Sleep(time.Hour); return nil })
	}()
	r.After(time.Second)
	return done
}

func TestReplyThatIgnoresItsContextEndsAfterTimeoutsReply(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Reply = 20 * time.Second }}
	ended(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		done := deafReply(r)
		ann.Say("let me")
		r.After(15 * time.Second)
		require.Empty(t, r.Saw())
		r.After(10 * time.Second)
		require.Contains(t, r.Saw(), "agent Ann: let me")
		require.NoError(t, <-done, "what was sent was sent")
	})
}

func TestReplyAcrossReplicas(t *testing.T) {
	ended(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		turn, err := r.Receive(handover.Incoming{Text: "tell me"})
		require.NoError(t, err)
		wire, err := json.Marshal(turn)
		require.NoError(t, err)
		var there handover.Turn
		require.NoError(t, json.Unmarshal(wire, &there))
		cfg := r.Config()
		worker, err := handover.New(cfg) // gets no hooks and runs nothing
		require.NoError(t, err)
		started := make(chan struct{})
		done := make(chan error)
		go func() {
			done <- worker.Reply(context.Background(), there, func(ctx context.Context) error {
				close(started)
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		<-started
		begin := time.Now()
		ann.Say("let me")
		require.ErrorIs(t, <-done, handover.ErrNotYourTurn)
		require.LessOrEqual(t, time.Since(begin), time.Second)
		r.After(2 * time.Second)
		require.Contains(t, r.Saw(), "agent Ann: let me")
	})
}

func TestReplyWithoutAStoreSendsNothing(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "hello"})
		require.NoError(t, err)
		r.Store.Fails(true)
		require.ErrorIs(t, r.Reply(turn, "hi"), rig.ErrStoreDown)
		r.Store.Fails(false)
		require.Empty(t, r.Saw())
	})
}

// The store fails for seconds when the bot has answered: that is written down all the same, and a repeat is not
// answered again.
func TestAReplyIsWrittenDownWhenTheStoreWorksAgain(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		m := handover.Incoming{Conversation: r.Conv, ID: "7", Text: "hello"}
		turn, err := r.Receive(m)
		require.NoError(t, err)
		require.NoError(t, r.H.Reply(r.T.Context(), turn, func(context.Context) error {
			r.Store.Fails(true)
			time.AfterFunc(5*time.Second, func() { r.Store.Fails(false) })
			return nil
		}))
		r.After(6 * time.Second)
		turn, err = r.Receive(m)
		require.NoError(t, err)
		require.Equal(t, handover.WhyRepeat, turn.Why)
	})
}

func TestStartInsideSendEndsTheReply(t *testing.T) {
	for name, away := range map[string]bool{"agent there": false, "nobody there": true} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Away: away}}, func(r *rig.Rig) {
				turn, err := r.Receive(handover.Incoming{Text: "help"})
				require.NoError(t, err)
				err = r.H.Reply(context.Background(), turn, func(ctx context.Context) error {
					outcome, err := r.H.Start(ctx, turn, handover.Request{})
					require.NoError(t, err)
					require.Equal(t, away, outcome == handover.OutcomeNobodyThere)
					if away {
						require.NoError(t, ctx.Err(), "the bot has the conversation, and goes on")
					} else {
						require.ErrorIs(t, context.Cause(ctx), handover.ErrNotYourTurn)
					}
					return nil
				})
				require.NoError(t, err)
				r.Crisp.Settle()
				require.NotEmpty(t, r.Saw())
				require.Equal(t, away, r.Session().State == handover.StateBot)
			})
		})
	}
}

// lagging is a store that takes a second for the first save of a record with some words in it.
type lagging struct {
	handover.Store
	words []byte
	met   atomic.Bool
	begun chan struct{}
}

func (s *lagging) Save(ctx context.Context, r handover.Record) (int64, error) {
	if bytes.Contains(r.Data, s.words) && s.met.CompareAndSwap(false, true) {
		close(s.begun)
		time.Sleep(time.Second)
	}
	return s.Store.Save(ctx, r)
}

// What a save brings that began while the bot spoke, and ends after its reply, is shown at once. Nobody else would
// look again for two minutes.
func TestWhatIsSavedWhileTheBotFallsSilent(t *testing.T) {
	var store *lagging
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		store = &lagging{Store: c.Store, words: []byte(`"text":"waiting"`), begun: make(chan struct{})}
		c.Store = store
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Crisp.SetHookFaults(rig.DropHooks)
		r.After(time.Minute) // the catch-up of the start is over
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		require.NoError(t, r.H.Reply(r.T.Context(), turn, func(ctx context.Context) error {
			_, err := r.H.Start(ctx, turn, handover.Request{})
			<-store.begun
			return err
		}))
		require.Empty(t, r.Saw())
		r.After(time.Second)
		require.Equal(t, []string{"system: A person will be with you soon. You can already describe your question. [Back to the bot]"}, r.Saw())
	})
}

func TestCallsInsideCallbacksNeverDeadlock(t *testing.T) {
	var r *rig.Rig
	calls := func(ctx context.Context) {
		_, err := r.H.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: "inner", Text: "x"})
		require.ErrorIs(t, err, handover.ErrReentrant)
		err = r.H.Reply(ctx, handover.Turn{Conversation: r.Conv}, func(context.Context) error { return nil })
		require.ErrorIs(t, err, handover.ErrReentrant)
		_, err = r.H.Session(ctx, r.Conv)
		require.NoError(t, err)
		_, err = r.H.Start(ctx, handover.Turn{Conversation: r.Conv}, handover.Request{})
		require.True(t, err == nil || errors.Is(err, handover.ErrNotYourTurn))
		require.NoError(t, r.H.End(ctx, r.Conv, handover.EndOptions{}))
	}
	o := rig.Options{Config: func(rr *rig.Rig, c *handover.Config) {
		r = rr
		deliver, onEnd := c.Deliver, c.OnEnd
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			calls(ctx)
			return deliver(ctx, s, m)
		}
		c.OnEnd = func(ctx context.Context, s handover.Session, sum handover.Summary) error {
			calls(ctx)
			return onEnd(ctx, s, sum)
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Asks(handover.Request{})
		r.After(time.Minute)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Len(t, r.Ends(), 1)
	})
}

// crossed is a store in which the save of somebody else comes first, once.
type crossed struct {
	handover.Store
	late *atomic.Bool // the next save comes too late
}

func (s crossed) Save(ctx context.Context, r handover.Record) (int64, error) {
	if s.late.CompareAndSwap(true, false) {
		return 0, handover.ErrConflict
	}
	return s.Store.Save(ctx, r)
}

// A save that is repeated does not make a reply under way last longer.
func TestAReplyThatEndsWhileOthersSave(t *testing.T) {
	var late atomic.Bool
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Timeouts.Reply, c.Store = 20*time.Second, crossed{c.Store, &late}
	}}
	ended(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		done := deafReply(r)
		ann.Say("let me")
		r.After(10 * time.Second)
		late.Store(true)
		r.After(15 * time.Second)
		require.Contains(t, r.Saw(), "agent Ann: let me")
		require.NoError(t, <-done)
	})
}

// There is no bound on what waits in a process: who waits is told, however many do.
func TestManyWait(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		const bots = 4_000
		var under, cut atomic.Int64
		var all sync.WaitGroup
		for i := range bots {
			conv := handover.Conversation{ID: fmt.Sprint("user ", i)}
			all.Go(func() {
				turn, err := r.H.Receive(r.T.Context(), handover.Incoming{Conversation: conv, ID: "1", Text: "hi"})
				require.NoError(r.T, err)
				err = r.H.Reply(r.T.Context(), turn, func(ctx context.Context) error {
					under.Add(1)
					<-ctx.Done()
					return ctx.Err()
				})
				if errors.Is(err, handover.ErrNotYourTurn) {
					cut.Add(1)
				}
			})
		}
		r.After(time.Second)
		require.EqualValues(r.T, bots, under.Load())
		for _, i := range []int{0, bots / 2, bots - 1} {
			s, err := r.H.Session(r.T.Context(), handover.Conversation{ID: fmt.Sprint("user ", i)})
			require.NoError(r.T, err)
			require.NoError(r.T, r.H.Mute(r.T.Context(), s.Turn()))
		}
		r.After(time.Second)
		require.EqualValues(r.T, 3, cut.Load())
		all.Wait() // Timeouts.Reply ends the others
		require.Zero(r.T, r.H.Waiting())
	})
}
