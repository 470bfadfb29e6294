package handover_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/internal/testhook"
)

func TestHandle(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		r.Handles("hello")
		require.Equal(t, []string{"bot: You said: hello"}, r.Saw())
		r.Handles("I want a human")
		require.Equal(t, []string{
			"bot: You said: I want a human",
			"system: A person will be with you soon. You can already describe your question. [Back to the bot]",
		}, r.Saw())
		require.Equal(t, []string{"Customer"}, r.Crisp.Last().Segments())
		r.Handles("my parcel is lost")
		r.Crisp.Settle()
		require.Equal(t, "my parcel is lost", rig.UserTexts(r.Crisp.Last())[1])
		ann := r.Crisp.Last().Operator("Ann")
		ann.Say("Hello")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: Hello"}, r.Saw())
		ann.Resolve()
		r.Saw()
		r.Handles("thanks")
		require.Equal(t, []string{"bot: You said: thanks"}, r.Saw())
		require.Equal(t, []string{"m1 #1", "m2 #1", "m4 #1"}, b.Attempts())
		require.Equal(t, 3, r.Count(handover.ActivityAnswered))
	})
}

func TestHandleRefusesWhatItCannotTake(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		require.ErrorIs(t, r.TryHandle(handover.Incoming{Text: "hello"}), handover.ErrNoAnswer)
	})
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		require.ErrorIs(t, r.TryHandle(handover.Incoming{ID: "x"}), handover.ErrBadMessage)
		require.NoError(t, r.TryHandle(handover.Incoming{ID: "x", Text: "one"}))
		require.NoError(t, r.TryHandle(handover.Incoming{ID: "x", Text: "one"}))
		require.ErrorIs(t, r.TryHandle(handover.Incoming{ID: "x", Text: "two"}), handover.ErrIDReused)
		r.Crisp.Settle() // the answer is written down
		r.Store.Fails(true)
		require.ErrorIs(t, r.TryHandle(handover.Incoming{Text: "three"}), rig.ErrStoreDown)
		r.Store.Fails(false)
		r.Crisp.Settle()
		turn, err := r.Receive(handover.Incoming{ID: "x", Text: "one"})
		require.NoError(t, err)
		require.Equal(t, handover.WhyRepeat, turn.Why)
		require.Equal(t, []string{"x #1"}, b.Attempts())
		require.NoError(t, r.H.Shutdown(context.Background()))
		require.ErrorIs(t, r.TryHandle(handover.Incoming{Text: "four"}), handover.ErrShutdown)
	})
}

// Repeats during an answer of 30 s, on one replica and on three: one answer.
func TestHandleRepeatedWhileTheBotAnswers(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " replicas"), func(t *testing.T) {
			var o rig.Options
			rig.Managed(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { o.Config = func(_ *rig.Rig, x *handover.Config) { *x = *c } }}, func(r *rig.Rig, b *rig.Brain) {
				b.Think = rig.Takes(30 * time.Second)
				all := []*handover.Handover{r.H}
				for range n - 1 {
					all = append(all, r.Replica(o))
				}
				for i := range 20 {
					require.NoError(t, all[i%n].Handle(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "m1", Text: "hello"}))
					r.After(2 * time.Second)
				}
				require.Equal(t, []string{"bot: You said: hello"}, r.Saw())
				require.Equal(t, []string{"m1 #1"}, b.Attempts())
			})
		})
	}
}

// One answer at a time, in the order of the messages, whatever replica has them.
func TestHandleAnswersInOrder(t *testing.T) {
	var o rig.Options
	rig.Managed(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { o.Config = func(_ *rig.Rig, x *handover.Config) { *x = *c } }}, func(r *rig.Rig, b *rig.Brain) {
		b.Think = rig.Takes(3 * time.Second)
		all := []*handover.Handover{r.H, r.Replica(o), r.Replica(o)}
		var want []string
		for i := range 10 {
			text := fmt.Sprint("message ", i)
			require.NoError(t, all[i%3].Handle(context.Background(), handover.Incoming{Conversation: r.Conv, ID: text, Text: text}))
			want = append(want, "bot: You said: "+text)
		}
		r.After(5 * time.Minute)
		require.Equal(t, want, r.Saw())
		require.Equal(t, 1, b.Most())
	})
}

// SDKs start a goroutine for each update. With the channel's own numbers the order is the channel's.
func TestHandleInGoroutines(t *testing.T) {
	const messages = 100
	for run := range 5 {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
				race := func(from int) (texts []string) {
					var all sync.WaitGroup
					for i := range messages {
						text := fmt.Sprintf("message %d", from+i)
						texts = append(texts, text)
						all.Go(func() {
							require.NoError(t, r.TryHandle(handover.Incoming{ID: text, Text: text, Seq: int64(from + i)}))
						})
					}
					all.Wait()
					r.After(time.Minute)
					return texts
				}
				for i, text := range race(1000) {
					require.Equal(t, "bot: You said: "+text, r.Lines()[i])
				}
				r.Handles("a human, please")
				r.Crisp.Settle()
				texts := race(2000)
				require.Equal(t, texts, rig.UserTexts(r.Crisp.Last())[1:])
				require.Equal(t, 1, b.Most())
			})
		})
	}
}

// A takeover ends the context; what the bot did not answer goes to the agent, in order.
func TestHandleEndsAtATakeover(t *testing.T) {
	for _, answers := range []bool{false, true} {
		t.Run(fmt.Sprint("the bot answers all the same ", answers), func(t *testing.T) {
			rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
				r.Handles("I want a human")
				r.Crisp.Settle()
				conv := r.Crisp.Last()
				ann := conv.Operator("Ann")
				ann.Say("Hello")
				r.Crisp.Settle()
				ann.Resolve()
				r.After(time.Minute)
				r.Saw()

				var cause error
				b.Think = func(ctx context.Context, _ handover.Turn, _ handover.Incoming) (*handover.Request, error) {
					<-ctx.Done()
					if cause = context.Cause(ctx); answers {
						return &handover.Request{}, nil
					}
					return nil, cause
				}
				r.Handles("and now?")
				r.Handles("hello?")
				r.Crisp.Settle()
				ann.Reopen()
				ann.Say("one moment")
				r.After(2 * time.Second)
				require.ErrorIs(t, cause, handover.ErrNotYourTurn)
				require.Contains(t, r.Saw(), "agent Ann: one moment")
				got := rig.UserTexts(conv)[1:]
				if answers {
					require.Equal(t, []string{"hello?"}, got)
				} else {
					require.Equal(t, []string{"and now?", "hello?"}, got)
				}
				require.Equal(t, []string{"m1 #1", "m2 #1"}, b.Attempts())
				require.Len(t, r.Crisp.Conversations(), 1, "nobody asks again for a human who is there")
			})
		})
	}
}

// A failed answer is repeated with growing pauses, and then a human is asked for.
func TestHandleGivesUp(t *testing.T) {
	hangs := func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
		time.Sleep(time.Hour)
		return nil, nil
	}
	for name, think := range map[string]func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error){
		"an error": func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			return nil, errors.New("no model")
		},
		"a panic": func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) { panic("no model") },
		"a hang":  hangs,
	} {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", nobody there ", away), func(t *testing.T) {
				rig.Managed(t, rig.Options{Crisp: handovertest.Options{Away: away}}, func(r *rig.Rig, b *rig.Brain) {
					b.Think = think
					r.Handles("hello")
					r.Handles("are you there?")
					r.After(10 * time.Minute)
					require.Empty(t, r.Saw())
					require.Greater(t, len(b.Turns()), 1)
					require.Less(t, len(b.Turns()), 16)
					require.Equal(t, len(b.Turns()), b.Turns()[len(b.Turns())-1].Attempt)
					b.Thinks(func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
						if t.MessageID == "m1" {
							return think(ctx, t, m)
						}
						return nil, nil
					})
					r.After(13 * time.Minute)
					require.Equal(t, 1, r.Count(handover.ActivityGivenUp))
					defer time.Sleep(time.Hour) // those that hang return
					if away {
						require.Equal(t, []string{
							"system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]",
							"bot: You said: are you there?",
						}, r.Saw())
						return
					}
					require.Contains(t, r.Saw()[0], "system: A person will be with you soon.")
					require.Equal(t, []string{"hello", "are you there?"}, rig.UserTexts(r.Crisp.Last())[1:])
					require.Contains(t, everything(r), "The bot could not answer the user.")
				})
			})
		}
	}
}

// A bot whose user cannot be reached is not called again, and nobody is asked for.
func TestHandleUserAway(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		b.Think = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			return &handover.Request{}, fmt.Errorf("blocked: %w", handover.ErrUserAway)
		}
		r.Handles("hello")
		r.After(time.Hour)
		require.Empty(t, r.Crisp.Conversations())
		require.Len(t, b.Turns(), 1)
	})
}

// A tool asks within the answer: it hears the outcome, and the context ends only when the bot has lost the
// conversation.
func TestHandleWithStartInside(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprint("nobody there ", away), func(t *testing.T) {
			rig.Managed(t, rig.Options{Crisp: handovertest.Options{Away: away}}, func(r *rig.Rig, b *rig.Brain) {
				b.Think = func(ctx context.Context, turn handover.Turn, m handover.Incoming) (*handover.Request, error) {
					outcome, err := r.H.Start(ctx, turn, handover.Request{})
					require.NoError(t, err)
					if away {
						require.Equal(t, handover.OutcomeNobodyThere, outcome)
						require.NoError(t, ctx.Err())
						return nil, nil
					}
					require.Equal(t, handover.OutcomeOpening, outcome)
					require.ErrorIs(t, context.Cause(ctx), handover.ErrNotYourTurn)
					return &handover.Request{}, errors.New("cut short")
				}
				r.Handles("help")
				r.After(time.Minute)
				if away {
					require.Equal(t, []string{
						"bot: You said: help",
						"system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]",
					}, r.Saw())
				} else {
					require.Len(t, r.Crisp.Conversations(), 1)
					require.Len(t, rig.UserTexts(r.Crisp.Last()), 1, "the bot has answered it")
				}
				require.Equal(t, []string{"m1 #1"}, b.Attempts())
				want := 0 // it returned an error
				if away {
					want = 1
				}
				require.Equal(t, want, r.Count(handover.ActivityAnswered))
			})
		})
	}
}

// A request that Start would refuse is asked for without what is wrong with it: the bot has spoken already.
func TestHandleWithABadRequest(t *testing.T) {
	var log rig.Log
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) }}
	rig.Managed(t, o, func(r *rig.Rig, b *rig.Brain) {
		b.Think = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			return &handover.Request{Segments: []string{"VIP"}, Inbox: "Sales", NoAgent: []handover.RichMessage{{}}}, nil
		}
		r.Handles("help")
		r.After(time.Minute)
		require.Equal(t, []string{"VIP"}, r.Crisp.Last().Segments())
		require.Equal(t, 1, r.Count(handover.ActivityFault))
		require.Contains(t, log.Take(), `left_out="Inbox, NoAgent"`)
		require.Equal(t, []string{"m1 #1"}, b.Attempts())
	})
}

// Messages that could not be passed on are the bot's again, and get their answers.
func TestHandleAnswersWhatCameBack(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		r.Handles("a human, please")
		r.Crisp.Settle()
		r.Saw()
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: 503})
		r.Handles("one")
		r.Handles("two")
		r.After(10 * time.Minute)
		lines := r.Saw()
		require.Equal(t, []string{"bot: You said: one", "bot: You said: two"}, lines[len(lines)-2:], lines)
		require.Equal(t, handover.EndRelayFailed, r.Ends()[0].Reason)
		require.Empty(t, r.Ends()[0].Unsent)
	})
}

// While the bot is muted nobody is called; the messages go along with the handover that comes.
func TestHandleWhileMuted(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		b.Think = func(ctx context.Context, turn handover.Turn, m handover.Incoming) (*handover.Request, error) {
			require.NoError(t, r.H.Mute(ctx, turn))
			require.ErrorIs(t, context.Cause(ctx), handover.ErrNotYourTurn)
			return nil, nil
		}
		r.Handles("be quiet")
		r.Handles("hello?")
		r.After(time.Minute)
		require.Equal(t, []string{"m1 #1"}, b.Attempts())
		_, err := r.H.Start(context.Background(), handover.Turn{Conversation: r.Conv, Epoch: r.Session().Epoch}, handover.Request{})
		require.NoError(t, err)
		r.Crisp.Settle()
		require.Equal(t, "hello?", rig.UserTexts(r.Crisp.Last())[1])
	})
}

func TestHandleBoundsWhatWaits(t *testing.T) {
	rig.Managed(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Limits.Waiting = 3 }}, func(r *rig.Rig, b *rig.Brain) {
		b.Think = rig.Takes(time.Minute)
		for range 3 {
			r.Handles("hello")
		}
		require.ErrorIs(t, r.TryHandle(handover.Incoming{ID: "x", Text: "hello"}), handover.ErrCrowded)
		r.After(90 * time.Second)
		require.NoError(t, r.TryHandle(handover.Incoming{ID: "x", Text: "hello"}))
		r.After(5 * time.Minute)
		require.Len(t, r.Saw(), 4)
	})
}

// A channel whose answers hang takes no answers from another one, and no agent's message waits for them.
func TestHandleIsFairBetweenChannels(t *testing.T) {
	rig.Managed(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Limits.Answers = 8 }}, func(r *rig.Rig, b *rig.Brain) {
		b.Think = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
			if m.Conversation.Source == "hangs" {
				<-ctx.Done()
			}
			return nil, nil
		}
		for i := range 100 {
			require.NoError(t, r.H.Handle(context.Background(), handover.Incoming{Conversation: handover.Conversation{Source: "hangs", ID: fmt.Sprint(i)}, ID: "1", Text: "hello"}))
		}
		synctest.Wait()
		r.Handles("hello")
		require.Equal(t, []string{"bot: You said: hello"}, r.Saw())
	})
}

// An answer whose process cannot reach the store for longer than it may be silent is ended: another process
// may begin.
func TestHandleWithoutAStore(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		b.Think = rig.Takes(2 * time.Minute)
		r.Handles("hello")
		r.After(5 * time.Second)
		r.Store.Fails(true)
		r.After(20 * time.Second)
		r.Store.Fails(false)
		r.After(3 * time.Minute)
		require.Equal(t, []string{"bot: You said: hello"}, r.Saw(), "a short fault does nothing")
		require.Equal(t, []string{"m1 #1"}, b.Attempts())

		r.Handles("and now?")
		r.After(5 * time.Second)
		r.Store.Fails(true)
		r.After(time.Minute)
		r.Store.Fails(false)
		r.After(5 * time.Minute)
		require.Equal(t, []string{"bot: You said: and now?"}, r.Saw())
		require.Equal(t, []string{"m1 #1", "m2 #1", "m2 #2"}, b.Attempts())
	})
}

// A message that Handle takes costs three saves, whatever was said before, and two if the agents get it.
func TestHandleSaves(t *testing.T) {
	var store *rig.Counted
	config := func(r *rig.Rig, c *handover.Config) {
		store = &rig.Counted{Store: c.Store}
		c.Store = store
	}
	rig.Managed(t, rig.Options{Config: config, Still: true}, func(r *rig.Rig, b *rig.Brain) {
		for range 100 {
			store.Saves.Store(0)
			r.Handles("hello")
			r.Crisp.Settle()
			require.EqualValues(t, 3, store.Saves.Load())
		}
		conv, _ := r.Greeted()
		for i := range 3 {
			r.Crisp.Settle()
			store.Saves.Store(0)
			held := conv.HoldHooks() // the echo comes later
			r.Handles("hello, Ann")
			synctest.Wait()
			require.Len(t, texts(conv), i+1)
			require.EqualValues(t, 2, store.Saves.Load())
			held.Release()
		}
	})
}

// What was forgotten while the bot answers stays forgotten.
func TestHandleAndForget(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		b.Think = rig.Takes(30 * time.Second)
		r.Handles("a human, please")
		r.After(5 * time.Second)
		require.NoError(t, r.H.Forget(context.Background(), r.Conv))
		r.After(time.Minute)
		stored, err := r.Store.Load(context.Background(), r.Key())
		require.NoError(t, err)
		require.Zero(t, stored.Version)
		require.Empty(t, r.Crisp.Conversations())
	})
}

// What the library cannot show does not keep the bot from answering.
func TestHandleAnswersWhileTheChannelFails(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		conv := r.Opened()
		r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
		ann := conv.Operator("Ann")
		ann.Say("one")
		ann.Say("two")
		r.After(time.Minute)
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		r.Handles("hello?")
		r.After(2 * time.Minute)
		require.Contains(t, r.Saw(), "bot: You said: hello?")
	})
}

// Outside of a bubble Settle waits for the Handover that is attached, also within a type of the host's.
func TestSettleWaitsForAnEmbeddedHandover(t *testing.T) {
	type host struct{ *handover.Handover }
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		release := make(chan struct{})
		b.Think = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			<-release
			return nil, nil
		}
		r.Handles("hello")
		r.Crisp.Settle()
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		for _, h := range []any{r.H, host{r.H}, &host{r.H}} {
			require.ErrorIs(t, testhook.Drain(ended, h), context.Canceled)
		}
		require.NoError(t, testhook.Drain(ended, "no Handover"))
		close(release)
		require.NoError(t, testhook.Drain(context.Background(), host{r.H}))
	})
}
