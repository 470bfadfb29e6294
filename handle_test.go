package handover_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	systemrig "github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/internal/testhook"
)

// brain is a bot behind Config.Answer: it says "You said: …", and asks for a human when the user does.
type brain struct {
	r *rig

	mu    sync.Mutex
	turns []handover.Turn
	now   int // answers under way
	most  int
	// think stands in front of an answer; it may take its time, fail or ask by itself.
	think func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error)
	// after stands behind the bot's words.
	after func(ctx context.Context) error
}

func (b *brain) answer(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
	b.mu.Lock()
	b.turns = append(b.turns, t)
	b.now++
	b.most = max(b.most, b.now)
	think := b.think
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now--
	}()
	if think != nil {
		if r, err := think(ctx, t, m); r != nil || err != nil {
			return r, err
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b.r.Spoke("You said: " + m.Text)
	if b.after != nil {
		if err := b.after(ctx); err != nil {
			return nil, err
		}
	}
	if strings.Contains(m.Text, "human") {
		return &handover.Request{Segments: []string{"Customer"}}, nil
	}
	return nil, nil
}

// attempts are those of the calls so far, by the message's id.
func (b *brain) attempts() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.turns {
		all = append(all, fmt.Sprintf("%s #%d", t.MessageID, t.Attempt))
	}
	return all
}

// managed runs a test with a bot behind Config.Answer.
func managed(t *testing.T, o options, test func(r *rig, b *brain)) {
	t.Helper()
	b := &brain{}
	config := o.config
	o.config = func(r *rig, c *handover.Config) {
		b.r, c.Answer = r, b.answer
		if config != nil {
			config(r, c)
		}
	}
	bubble(t, o, func(r *rig) { test(r, b) })
}

// handles gives the library a message with a new id.
func (r *rig) handles(text string) {
	r.T.Helper()
	require.NoError(r.T, r.tryHandle(handover.Incoming{Text: text}))
}

func (r *rig) tryHandle(m handover.Incoming) error {
	m.Conversation = r.Conv
	if m.ID == "" {
		r.Sent++
		m.ID = fmt.Sprintf("m%d", r.Sent)
	}
	return r.H.Handle(context.Background(), m)
}

func TestHandle(t *testing.T) {
	managed(t, options{}, func(r *rig, b *brain) {
		r.handles("hello")
		require.Equal(t, []string{"bot: You said: hello"}, r.Saw())
		r.handles("I want a human")
		require.Equal(t, []string{
			"bot: You said: I want a human",
			"system: A person will be with you soon. You can already describe your question. [Back to the bot]",
		}, r.Saw())
		require.Equal(t, []string{"Customer"}, r.Crisp.Last().Segments())
		r.handles("my parcel is lost")
		r.Crisp.Settle()
		require.Equal(t, "my parcel is lost", systemrig.UserTexts(r.Crisp.Last())[1])
		ann := r.Crisp.Last().Operator("Ann")
		ann.Say("Hello")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: Hello"}, r.Saw())
		ann.Resolve()
		r.Saw()
		r.handles("thanks")
		require.Equal(t, []string{"bot: You said: thanks"}, r.Saw())
		require.Equal(t, []string{"m1 #1", "m2 #1", "m4 #1"}, b.attempts())
		require.Equal(t, 3, r.Count(handover.ActivityAnswered))
	})
}

func TestHandleRefusesWhatItCannotTake(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		require.ErrorIs(t, r.tryHandle(handover.Incoming{Text: "hello"}), handover.ErrNoAnswer)
	})
	managed(t, options{}, func(r *rig, b *brain) {
		require.ErrorIs(t, r.tryHandle(handover.Incoming{ID: "x"}), handover.ErrBadMessage)
		require.NoError(t, r.tryHandle(handover.Incoming{ID: "x", Text: "one"}))
		require.NoError(t, r.tryHandle(handover.Incoming{ID: "x", Text: "one"}))
		require.ErrorIs(t, r.tryHandle(handover.Incoming{ID: "x", Text: "two"}), handover.ErrIDReused)
		r.Crisp.Settle() // the answer is written down
		r.Store.Fails(true)
		require.ErrorIs(t, r.tryHandle(handover.Incoming{Text: "three"}), errStoreDown)
		r.Store.Fails(false)
		r.Crisp.Settle()
		turn, err := r.Receive(handover.Incoming{ID: "x", Text: "one"})
		require.NoError(t, err)
		require.Equal(t, handover.WhyRepeat, turn.Why)
		require.Equal(t, []string{"x #1"}, b.attempts())
		require.NoError(t, r.H.Shutdown(context.Background()))
		require.ErrorIs(t, r.tryHandle(handover.Incoming{Text: "four"}), handover.ErrShutdown)
	})
}

// takes has an answer take its time, unless its context ends.
func takes(d time.Duration) func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
	return func(ctx context.Context, _ handover.Turn, _ handover.Incoming) (*handover.Request, error) {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(d):
			return nil, nil
		}
	}
}

// Repeats during an answer of 30 s, on one replica and on three: one answer.
func TestHandleRepeatedWhileTheBotAnswers(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " replicas"), func(t *testing.T) {
			var o options
			managed(t, options{config: func(_ *rig, c *handover.Config) { o.config = func(_ *rig, x *handover.Config) { *x = *c } }}, func(r *rig, b *brain) {
				b.think = takes(30 * time.Second)
				all := []*handover.Handover{r.H}
				for range n - 1 {
					all = append(all, r.replica(o))
				}
				for i := range 20 {
					require.NoError(t, all[i%n].Handle(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "m1", Text: "hello"}))
					r.After(2 * time.Second)
				}
				require.Equal(t, []string{"bot: You said: hello"}, r.Saw())
				require.Equal(t, []string{"m1 #1"}, b.attempts())
			})
		})
	}
}

// One answer at a time, in the order of the messages, whatever replica has them.
func TestHandleAnswersInOrder(t *testing.T) {
	var o options
	managed(t, options{config: func(_ *rig, c *handover.Config) { o.config = func(_ *rig, x *handover.Config) { *x = *c } }}, func(r *rig, b *brain) {
		b.think = takes(3 * time.Second)
		all := []*handover.Handover{r.H, r.replica(o), r.replica(o)}
		var want []string
		for i := range 10 {
			text := fmt.Sprint("message ", i)
			require.NoError(t, all[i%3].Handle(context.Background(), handover.Incoming{Conversation: r.Conv, ID: text, Text: text}))
			want = append(want, "bot: You said: "+text)
		}
		r.After(5 * time.Minute)
		require.Equal(t, want, r.Saw())
		require.Equal(t, 1, b.most)
	})
}

// SDKs start a goroutine for each update. With the channel's own numbers the order is the channel's.
func TestHandleInGoroutines(t *testing.T) {
	const messages = 100
	for run := range 5 {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			managed(t, options{}, func(r *rig, b *brain) {
				race := func(from int) (texts []string) {
					var all sync.WaitGroup
					for i := range messages {
						text := fmt.Sprintf("message %d", from+i)
						texts = append(texts, text)
						all.Go(func() {
							require.NoError(t, r.tryHandle(handover.Incoming{ID: text, Text: text, Seq: int64(from + i)}))
						})
					}
					all.Wait()
					r.After(time.Minute)
					return texts
				}
				for i, text := range race(1000) {
					require.Equal(t, "bot: You said: "+text, r.Lines()[i])
				}
				r.handles("a human, please")
				r.Crisp.Settle()
				texts := race(2000)
				require.Equal(t, texts, systemrig.UserTexts(r.Crisp.Last())[1:])
				require.Equal(t, 1, b.most)
			})
		})
	}
}

// A takeover ends the context; what the bot did not answer goes to the agent, in order.
func TestHandleEndsAtATakeover(t *testing.T) {
	for _, answers := range []bool{false, true} {
		t.Run(fmt.Sprint("the bot answers all the same ", answers), func(t *testing.T) {
			managed(t, options{}, func(r *rig, b *brain) {
				r.handles("I want a human")
				r.Crisp.Settle()
				conv := r.Crisp.Last()
				ann := conv.Operator("Ann")
				ann.Say("Hello")
				r.Crisp.Settle()
				ann.Resolve()
				r.After(time.Minute)
				r.Saw()

				var cause error
				b.think = func(ctx context.Context, _ handover.Turn, _ handover.Incoming) (*handover.Request, error) {
					<-ctx.Done()
					if cause = context.Cause(ctx); answers {
						return &handover.Request{}, nil
					}
					return nil, cause
				}
				r.handles("and now?")
				r.handles("hello?")
				r.Crisp.Settle()
				ann.Reopen()
				ann.Say("one moment")
				r.After(2 * time.Second)
				require.ErrorIs(t, cause, handover.ErrNotYourTurn)
				require.Contains(t, r.Saw(), "agent Ann: one moment")
				got := systemrig.UserTexts(conv)[1:]
				if answers {
					require.Equal(t, []string{"hello?"}, got)
				} else {
					require.Equal(t, []string{"and now?", "hello?"}, got)
				}
				require.Equal(t, []string{"m1 #1", "m2 #1"}, b.attempts())
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
				managed(t, options{crisp: handovertest.Options{Away: away}}, func(r *rig, b *brain) {
					b.think = think
					r.handles("hello")
					r.handles("are you there?")
					r.After(10 * time.Minute)
					require.Empty(t, r.Saw())
					b.mu.Lock()
					require.Greater(t, len(b.turns), 1)
					require.Less(t, len(b.turns), 16)
					require.Equal(t, len(b.turns), b.turns[len(b.turns)-1].Attempt)
					b.think = func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
						if t.MessageID == "m1" {
							return think(ctx, t, m)
						}
						return nil, nil
					}
					b.mu.Unlock()
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
					require.Equal(t, []string{"hello", "are you there?"}, systemrig.UserTexts(r.Crisp.Last())[1:])
					require.Contains(t, r.everything(), "The bot could not answer the user.")
				})
			})
		}
	}
}

// A bot whose user cannot be reached is not called again, and nobody is asked for.
func TestHandleUserAway(t *testing.T) {
	managed(t, options{}, func(r *rig, b *brain) {
		b.think = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			return &handover.Request{}, fmt.Errorf("blocked: %w", handover.ErrUserAway)
		}
		r.handles("hello")
		r.After(time.Hour)
		require.Empty(t, r.Crisp.Conversations())
		b.mu.Lock()
		defer b.mu.Unlock()
		require.Len(t, b.turns, 1)
	})
}

// A tool asks within the answer: it hears the outcome, and the context ends only when the bot has lost the
// conversation.
func TestHandleWithStartInside(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprint("nobody there ", away), func(t *testing.T) {
			managed(t, options{crisp: handovertest.Options{Away: away}}, func(r *rig, b *brain) {
				b.think = func(ctx context.Context, turn handover.Turn, m handover.Incoming) (*handover.Request, error) {
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
				r.handles("help")
				r.After(time.Minute)
				if away {
					require.Equal(t, []string{
						"bot: You said: help",
						"system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]",
					}, r.Saw())
				} else {
					require.Len(t, r.Crisp.Conversations(), 1)
					require.Len(t, systemrig.UserTexts(r.Crisp.Last()), 1, "the bot has answered it")
				}
				require.Equal(t, []string{"m1 #1"}, b.attempts())
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
	managed(t, options{}, func(r *rig, b *brain) {
		b.think = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			return &handover.Request{Segments: []string{"VIP"}, Inbox: "Sales"}, nil
		}
		r.handles("help")
		r.After(time.Minute)
		require.Equal(t, []string{"VIP"}, r.Crisp.Last().Segments())
		require.Equal(t, 1, r.Count(handover.ActivityFault))
		require.Equal(t, []string{"m1 #1"}, b.attempts())
	})
}

// Messages that could not be passed on are the bot's again, and get their answers.
func TestHandleAnswersWhatCameBack(t *testing.T) {
	managed(t, options{}, func(r *rig, b *brain) {
		r.handles("a human, please")
		r.Crisp.Settle()
		r.Saw()
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: 503})
		r.handles("one")
		r.handles("two")
		r.After(10 * time.Minute)
		lines := r.Saw()
		require.Equal(t, []string{"bot: You said: one", "bot: You said: two"}, lines[len(lines)-2:], lines)
		require.Equal(t, handover.EndRelayFailed, r.Ends()[0].Reason)
		require.Empty(t, r.Ends()[0].Unsent)
	})
}

// While the bot is muted nobody is called; the messages go along with the handover that comes.
func TestHandleWhileMuted(t *testing.T) {
	managed(t, options{}, func(r *rig, b *brain) {
		b.think = func(ctx context.Context, turn handover.Turn, m handover.Incoming) (*handover.Request, error) {
			require.NoError(t, r.H.Mute(ctx, turn))
			require.ErrorIs(t, context.Cause(ctx), handover.ErrNotYourTurn)
			return nil, nil
		}
		r.handles("be quiet")
		r.handles("hello?")
		r.After(time.Minute)
		require.Equal(t, []string{"m1 #1"}, b.attempts())
		_, err := r.H.Start(context.Background(), handover.Turn{Conversation: r.Conv, Epoch: r.Session().Epoch}, handover.Request{})
		require.NoError(t, err)
		r.Crisp.Settle()
		require.Equal(t, "hello?", systemrig.UserTexts(r.Crisp.Last())[1])
	})
}

func TestHandleBoundsWhatWaits(t *testing.T) {
	managed(t, options{config: func(_ *rig, c *handover.Config) { c.Limits.Waiting = 3 }}, func(r *rig, b *brain) {
		b.think = takes(time.Minute)
		for range 3 {
			r.handles("hello")
		}
		require.ErrorIs(t, r.tryHandle(handover.Incoming{ID: "x", Text: "hello"}), handover.ErrCrowded)
		r.After(90 * time.Second)
		require.NoError(t, r.tryHandle(handover.Incoming{ID: "x", Text: "hello"}))
		r.After(5 * time.Minute)
		require.Len(t, r.Saw(), 4)
	})
}

// A channel whose answers hang takes no answers from another one, and no agent's message waits for them.
func TestHandleIsFairBetweenChannels(t *testing.T) {
	managed(t, options{config: func(_ *rig, c *handover.Config) { c.Limits.Answers = 8 }}, func(r *rig, b *brain) {
		b.think = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
			if m.Conversation.Source == "hangs" {
				<-ctx.Done()
			}
			return nil, nil
		}
		for i := range 100 {
			require.NoError(t, r.H.Handle(context.Background(), handover.Incoming{Conversation: handover.Conversation{Source: "hangs", ID: fmt.Sprint(i)}, ID: "1", Text: "hello"}))
		}
		synctest.Wait()
		r.handles("hello")
		require.Equal(t, []string{"bot: You said: hello"}, r.Saw())
	})
}

// An answer whose process cannot reach the store for longer than it may be silent is ended: another process
// may begin.
func TestHandleWithoutAStore(t *testing.T) {
	managed(t, options{}, func(r *rig, b *brain) {
		b.think = takes(2 * time.Minute)
		r.handles("hello")
		r.After(5 * time.Second)
		r.Store.Fails(true)
		r.After(20 * time.Second)
		r.Store.Fails(false)
		r.After(3 * time.Minute)
		require.Equal(t, []string{"bot: You said: hello"}, r.Saw(), "a short fault does nothing")
		require.Equal(t, []string{"m1 #1"}, b.attempts())

		r.handles("and now?")
		r.After(5 * time.Second)
		r.Store.Fails(true)
		r.After(time.Minute)
		r.Store.Fails(false)
		r.After(5 * time.Minute)
		require.Equal(t, []string{"bot: You said: and now?"}, r.Saw())
		require.Equal(t, []string{"m1 #1", "m2 #1", "m2 #2"}, b.attempts())
	})
}

// A message that Handle takes costs three saves, whatever was said before, and two if the agents get it.
func TestHandleSaves(t *testing.T) {
	var store *savesOf
	config := func(r *rig, c *handover.Config) {
		store = &savesOf{Store: c.Store, key: r.key}
		c.Store = store
	}
	managed(t, options{config: config, still: true}, func(r *rig, b *brain) {
		for range 100 {
			store.saves.Store(0)
			r.handles("hello")
			r.Crisp.Settle()
			require.EqualValues(t, 3, store.saves.Load())
		}
		conv, _ := r.Greeted()
		for i := range 3 {
			r.Crisp.Settle()
			store.saves.Store(0)
			held := conv.HoldHooks() // the echo comes later
			r.handles("hello, Ann")
			synctest.Wait()
			require.Len(t, texts(conv), i+1)
			require.EqualValues(t, 2, store.saves.Load())
			held.Release()
		}
	})
}

// What was forgotten while the bot answers stays forgotten.
func TestHandleAndForget(t *testing.T) {
	managed(t, options{}, func(r *rig, b *brain) {
		b.think = takes(30 * time.Second)
		r.handles("a human, please")
		r.After(5 * time.Second)
		require.NoError(t, r.H.Forget(context.Background(), r.Conv))
		r.After(time.Minute)
		stored, err := r.Store.Load(context.Background(), r.key())
		require.NoError(t, err)
		require.Zero(t, stored.Version)
		require.Empty(t, r.Crisp.Conversations())
	})
}

// What the library cannot show does not keep the bot from answering.
func TestHandleAnswersWhileTheChannelFails(t *testing.T) {
	managed(t, options{}, func(r *rig, b *brain) {
		conv := r.Opened()
		r.Fails(func(handover.Message) error { return errChannelDown })
		ann := conv.Operator("Ann")
		ann.Say("one")
		ann.Say("two")
		r.After(time.Minute)
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		r.handles("hello?")
		r.After(2 * time.Minute)
		require.Contains(t, r.Saw(), "bot: You said: hello?")
	})
}

// Outside of a bubble Settle waits for the Handover that is attached, also within a type of the host's.
func TestSettleWaitsForAnEmbeddedHandover(t *testing.T) {
	type host struct{ *handover.Handover }
	managed(t, options{}, func(r *rig, b *brain) {
		release := make(chan struct{})
		b.think = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			<-release
			return nil, nil
		}
		r.handles("hello")
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
