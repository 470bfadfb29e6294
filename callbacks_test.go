package handover_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestStartInsideOnEnd(t *testing.T) {
	again := true
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		again = true
		c.OnEnd = func(ctx context.Context, s handover.Session, sum handover.Summary) error {
			require.Equal(r.T, handover.StateBot, s.State, "the end is saved before")
			if again {
				again = false
				outcome, err := r.H.Start(ctx, s.Turn(), handover.Request{Resume: "second"})
				require.NoError(r.T, err)
				require.Equal(r.T, handover.OutcomeOpening, outcome, "it does not wait on a callback's context")
			}
			return r.OnEnd(ctx, s, sum)
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.After(time.Second)
		require.Equal(t, handover.StateWaiting, r.Session().State)
		require.Equal(t, "second", r.Session().Resume)
		ann.Resolve()
		r.After(time.Second)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Len(t, r.Ends(), 2)
		require.NotEqual(t, r.Ends()[0].HandoverID, r.Ends()[1].HandoverID)
	})
}

func TestMuteInsideSendEndsTheReply(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "hush"})
		require.NoError(t, err)
		require.NoError(t, r.H.Reply(r.T.Context(), turn, func(ctx context.Context) error {
			require.NoError(t, r.H.Mute(ctx, turn))
			require.Error(t, ctx.Err())
			return nil
		}))
		require.Equal(t, handover.StateMuted, r.Session().State)
		require.False(t, r.Says("hello?").Bot)
	})
}

func TestMuteInsideDeliver(t *testing.T) {
	o := rig.Options{Crisp: handovertest.Options{Away: true}, Config: func(r *rig.Rig, c *handover.Config) {
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			require.NoError(r.T, r.H.Mute(ctx, s.Turn()))
			return r.Deliver(ctx, s, m)
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeNobodyThere, r.Asks(handover.Request{}))
		require.Len(t, r.Saw(), 1)
		require.Equal(t, handover.StateMuted, r.Session().State)
		require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

func TestEndAndSessionInsideSend(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "hello"})
		require.NoError(t, err)
		require.NoError(t, r.H.Reply(r.T.Context(), turn, func(ctx context.Context) error {
			s, err := r.H.Session(ctx, r.Conv)
			require.NoError(t, err)
			require.Equal(t, handover.StateBot, s.State)
			require.NoError(t, r.H.End(ctx, r.Conv, handover.EndOptions{}))
			_, err = receiveWith(r, ctx, "inner")
			require.ErrorIs(t, err, handover.ErrReentrant)
			return nil
		}))
	})
}

// receiveWith is Receive of a text, on a context.
func receiveWith(r *rig.Rig, ctx context.Context, text string) (handover.Turn, error) {
	return r.H.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: text, Text: text})
}

func TestCallbacksMayTalkAboutOtherConversations(t *testing.T) {
	other := handover.Conversation{ID: "another one"}
	var told error
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if m.From == handover.FromAgent {
				turn, err := r.H.Receive(ctx, handover.Incoming{Conversation: other, ID: "x", Text: m.Content.Text})
				if err == nil {
					err = r.H.Reply(ctx, turn, func(context.Context) error { return nil })
				}
				told = err
			}
			return r.Deliver(ctx, s, m)
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		require.NoError(t, told)
		ann.Say("bye")
		require.Equal(t, []string{"agent Ann: bye"}, r.Saw())
	})
}

func TestCallbacksAreBoundedInTime(t *testing.T) {
	var waited time.Duration
	first := true
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		first = true
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if first && m.From == handover.FromAgent {
				first = false
				begun := time.Now()
				<-ctx.Done()
				waited = time.Since(begun)
				return "", ctx.Err()
			}
			return r.Deliver(ctx, s, m)
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Opened().Operator("Ann").Say("hello")
		r.After(time.Minute)
		require.Equal(t, 10*time.Second, waited)
		require.Equal(t, []string{"agent Ann: hello"}, rig.AgentsIn(r.Saw()))
		require.Equal(t, 2, r.Last().Attempt)
	})
}

func TestOnEndIsRepeatedUntilItIsHeard(t *testing.T) {
	var ids []string
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		ids = nil
		c.OnEnd = func(ctx context.Context, s handover.Session, sum handover.Summary) error {
			switch ids = append(ids, sum.HandoverID); len(ids) {
			case 1:
				return errors.New("the host's database is down")
			case 2:
				panic("a bug")
			}
			return r.OnEnd(ctx, s, sum)
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		id := r.Session().HandoverID
		ann.Resolve()
		require.Equal(t, []string{"system: This conversation was closed. You are talking with the bot again."}, r.Saw())
		require.True(t, r.Says("the bot speaks at once").Bot)
		r.After(time.Minute)
		require.Equal(t, []string{id, id, id}, ids)
		require.Len(t, r.Ends(), 1)
		r.After(time.Hour)
		require.Len(t, ids, 3)
	})
}

func TestAFailingOnEndHoldsNothingUp(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.OnEnd = func(context.Context, handover.Session, handover.Summary) error { return errors.New("never") }
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.After(time.Minute)
		r.Saw()
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		ann.Say("hello again")
		require.Equal(t, []string{"agent Ann: hello again"}, rig.AgentsIn(r.Saw()))
	})
}

func TestTextsThatPanic(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Texts = func(handover.Session) handover.Texts { panic("a bug") }
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		require.Equal(t, []string{"Hi, this user need your help."}, rig.UserTexts(conv), "the default texts stand in")
		require.NotEmpty(t, r.Saw())
	})
}

// TestWhereACallbackPanicked has a bug in the host's code, which the log leads to.
func TestWhereACallbackPanicked(t *testing.T) {
	var logged rig.Log
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Logger = logged.Logger()
		c.Presence = func(context.Context, handover.Session, handover.Presence) handover.Presence {
			return buggyPresence("words of a user")
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		_, err := r.H.Available(r.T.Context(), r.Conv)
		require.NoError(r.T, err)
		require.Contains(r.T, logged.String(), "buggyPresence")
		require.NotContains(r.T, logged.String(), "words of a user")
	})
}

// The log names the host's function that failed, and not its words.
func TestTheLogNamesTheCallbackThatFailed(t *testing.T) {
	l := new(rig.Log)
	once := func(of string) func() error {
		var failed atomic.Bool
		return func() error {
			if failed.CompareAndSwap(false, true) {
				return errors.New("words of a user, from " + of)
			}
			return nil
		}
	}
	answer, deliver, onEnd := once("Answer"), once("Deliver"), once("OnEnd")
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Logger = l.Logger()
		c.Answer = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			return &handover.Request{}, answer()
		}
		c.OnEnd = func(context.Context, handover.Session, handover.Summary) error { return onEnd() }
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Fails(func(handover.Message) error { return deliver() })
		require.NoError(r.T, r.H.Handle(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: "1", Text: "a human"}))
		r.After(time.Minute)
		require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
		r.After(time.Minute)
		for _, name := range []string{"Answer", "Deliver", "OnEnd"} {
			require.Equal(r.T, 1, l.Count("callback="+name+" "), l.String())
		}
		require.Zero(r.T, l.Count("words of a user"))
	})
}

func buggyPresence(words string) handover.Presence { panic(words) }

func TestObserveThatPanics(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Observe = func(context.Context, handover.Activity) { panic("a bug") }
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("all goes on")
		ann.Resolve()
		require.Equal(t, []string{"agent Ann: all goes on", "system: This conversation was closed. You are talking with the bot again."}, r.Saw())
		require.Len(t, r.Ends(), 1)
	})
}

func TestReviseThatPanicsOrCannot(t *testing.T) {
	for name, tt := range map[string]struct {
		revise func() error
		saw    []string
	}{
		"panics":      {func() error { panic("a bug") }, nil},
		"cannot edit": {func() error { return errors.ErrUnsupported }, []string{"agent Ann: at six"}},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
				c.Revise = func(context.Context, handover.Session, handover.Revision) error { tries++; return tt.revise() }
			}}
			rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
				fp := ann.Say("at five")
				r.Saw()
				ann.Edit(fp, "at six")
				r.After(10 * time.Minute)
				require.Equal(t, tt.saw, r.Saw())
				ann.Remove(fp)
				ann.Say("and on")
				r.After(10 * time.Minute)
				require.Equal(t, []string{"agent Ann: and on"}, r.Saw(), "nothing is held up for ever")
				require.Equal(t, name == "panics", tries > 2)
			})
		})
	}
}

func TestUserAwayWithAnEmailInCrisp(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: handover.UserData{Email: "a@example.com"}}))
		conv := r.Crisp.Last()
		r.Saw()
		r.Fails(func(m handover.Message) error { return handover.ErrUserAway })
		fp := conv.Operator("Ann").Say("are you there?")
		r.After(5 * time.Minute)
		r.Fails(nil)
		m, _ := conv.Message(fp)
		require.Empty(t, m.Read+m.Delivered, "not marked: the mail follows up")
		require.Len(t, r.Crisp.Mails(), 1)
		r.Says("back again")
		require.Empty(t, rig.AgentsIn(r.Saw()), "it was mailed")
		require.Equal(t, handover.StateActive, r.Session().State)
	})
}

func TestNoMarks(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.NoMarks = true }}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("seen?")
		r.Crisp.Settle()
		require.Zero(t, r.Crisp.CountCalls(handovertest.RouteRead)+r.Crisp.CountCalls(handovertest.RouteDelivered))
	})
}

func TestMarksOfABurstGoTogether(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		before := r.Crisp.CountCalls(handovertest.RouteRead)
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteDelivered, DelayAnswer: time.Second})
		var fps []int64
		for range 30 {
			fps = append(fps, ann.Say("x"))
		}
		r.After(time.Minute)
		require.Less(t, r.Crisp.CountCalls(handovertest.RouteRead)-before, 10)
		for _, fp := range fps {
			m, _ := conv.Message(fp)
			require.Equal(t, "chat", m.Read)
			require.Equal(t, "chat", m.Delivered)
		}
	})
}

func TestMarksThatFailOnceAreMade(t *testing.T) {
	for name, fault := range map[string]handovertest.Fault{
		"refused": {Status: 503}, "no answer": {CutAfter: true},
	} {
		for _, route := range []string{handovertest.RouteDelivered, handovertest.RouteRead} {
			t.Run(name+", "+route, func(t *testing.T) {
				rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
					fault.Route = route
					r.Crisp.Fail(1, fault)
					fp := ann.Say("seen?")
					r.After(time.Minute)
					m, _ := conv.Message(fp)
					require.Equal(t, []string{"chat", "chat"}, []string{m.Delivered, m.Read})
					require.Equal(t, handover.StateActive, r.Session().State)
					require.NotContains(t, string(r.Record().Data), `"kind":"mark"`)
				})
			})
		}
	}
}

func TestFailingMarksNeverDelayTheUser(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteDelivered, Status: 503})
		ann.Say("seen?")
		r.Crisp.Settle()
		begun := time.Now()
		r.Says("yes")
		require.Zero(t, time.Since(begun))
		require.Equal(t, "yes", rig.UserTexts(conv)[1])
		r.After(time.Hour)
		require.LessOrEqual(t, r.Crisp.CountCalls(handovertest.RouteDelivered), 20, "given up in the end")
		require.Equal(t, handover.StateActive, r.Session().State)
	})
}

func TestHostMayChangeASystemText(t *testing.T) {
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			defer clear(m.Content.QuickReplies)
			return r.Deliver(ctx, s, m)
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Opened()
		r.Says("Back to the bot") // the title of the way out, as keyboards send it
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

// TestHostMayChangeItsMessage has a Deliver that changes what it was given and fails: the next
// attempt gets the message as it was.
func TestHostMayChangeItsMessage(t *testing.T) {
	var got []handover.Message
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		got = nil
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if len(m.Content.QuickReplies) == 0 || m.From != handover.FromAgent {
				return r.Deliver(ctx, s, m)
			}
			got = append(got, m)
			got[len(got)-1].Content.QuickReplies = slices.Clone(m.Content.QuickReplies)
			clear(m.Content.QuickReplies)
			if len(got) == 1 {
				return "", errors.New("the channel is down")
			}
			return "", nil
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Picker("Which one?", "red", "blue")
		r.After(5 * time.Second)
		require.Len(t, got, 2)
		require.NotEmpty(t, got[0].Content.QuickReplies[0].Title)
		require.Equal(t, got[0].Content, got[1].Content)
	})
}

// An OnEnd that is heard late is of its own handover, not of the next one as well.
func TestOnEndThatIsHeardLate(t *testing.T) {
	for name, next := range map[string]func(r *rig.Rig, ann *handovertest.Operator){
		"the user asks again": func(r *rig.Rig, _ *handovertest.Operator) { r.Opened() },
		"an agent takes over": func(_ *rig.Rig, ann *handovertest.Operator) { ann.Reopen(); ann.Say("One more thing") },
	} {
		t.Run(name, func(t *testing.T) {
			var heard atomic.Bool
			o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
				c.OnEnd = func(ctx context.Context, s handover.Session, sum handover.Summary) error {
					if !heard.Load() {
						return rig.ErrChannelDown
					}
					return r.OnEnd(ctx, s, sum)
				}
			}}
			ended(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
				next(r, ann)
				r.Crisp.Settle()
				r.Says("of the next one")
				ann.Resolve()
				r.Crisp.Settle()
				next(r, ann)
				r.Crisp.Settle()
				heard.Store(true)
				r.After(time.Minute)
				require.Len(t, r.Ends(), 2)
				require.Len(t, r.Ends()[0].Messages, 1)
				require.Equal(t, "Hello", r.Ends()[0].Messages[0].Content.Text)
				second := r.Ends()[1].Messages
				require.Equal(t, "of the next one", second[len(second)-1].Content.Text)
			})
		})
	}
}

// Observe is told of a save while others may save: a hook whose save met a conflict does not wait for it.
func TestAnObserverThatIsSlowHoldsUpNoHook(t *testing.T) {
	var late atomic.Bool   // the next save is too late
	var begun atomic.Value // a time.Time
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		c.Store = crossed{c.Store, &late}
		deliver := c.Deliver
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			late.Store(m.From == handover.FromAgent)
			return deliver(ctx, s, m)
		}
		c.Observe = func(_ context.Context, a handover.Activity) {
			if a.Kind == handover.ActivityDelivered && begun.CompareAndSwap(nil, time.Now()) {
				late.Store(true)
				r.Crisp.Last().Operator("Ann").Say("and more")
				time.Sleep(900 * time.Millisecond)
			}
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, _ *handovertest.Operator) {
		taken := func() bool { return r.Crisp.CountHooks("message:received") == 2 }
		require.NoError(r.T, r.Crisp.Await(r.T.Context(), taken))
		require.Zero(r.T, time.Since(begun.Load().(time.Time)))
	})
}

// The log of an outage is short, and says when a person must look.
func TestTheLogOfAnOutage(t *testing.T) {
	var log rig.Log
	rig.Active(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = log.Logger() }}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
		ann.Say("hello")
		r.After(7 * time.Hour)
		r.Fails(nil)
		lines := log.Take()
		faults := strings.Count(lines, `level=WARN msg="handover: fault"`)
		require.GreaterOrEqual(t, faults, 3)
		require.LessOrEqual(t, faults, 40, "of the message, and of some texts")
		require.LessOrEqual(t, strings.Count(lines, "effect=deliver callback=Deliver why=error attempt="), 12)
		require.Contains(t, lines, `level=ERROR msg="handover: given_up"`)
		require.NotContains(t, lines, "hello")
	})
}
