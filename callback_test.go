package handover_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

func TestStartInsideOnEnd(t *testing.T) {
	again := true
	o := options{config: func(r *rig, c *handover.Config) {
		again = true
		c.OnEnd = func(ctx context.Context, s handover.Session, sum handover.Summary) error {
			require.Equal(r.t, handover.StateBot, s.State, "the end is saved before")
			if again {
				again = false
				outcome, err := r.h.Start(ctx, s.Turn(), handover.Request{Resume: "second"})
				require.NoError(r.t, err)
				require.Equal(r.t, handover.Opening, outcome, "it does not wait on a callback's context")
			}
			return r.onEnd(ctx, s, sum)
		}
	}}
	active(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.after(time.Second)
		require.Equal(t, handover.StateWaiting, r.session().State)
		require.Equal(t, "second", r.session().Resume)
		ann.Resolve()
		r.after(time.Second)
		require.Equal(t, handover.StateBot, r.session().State)
		require.Len(t, r.allEnds(), 2)
		require.NotEqual(t, r.allEnds()[0].HandoverID, r.allEnds()[1].HandoverID)
	})
}

func TestMuteInsideSendEndsTheReply(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		turn, err := r.receive(handover.Incoming{Text: "hush"})
		require.NoError(t, err)
		require.NoError(t, r.h.Reply(r.t.Context(), turn, func(ctx context.Context) error {
			require.NoError(t, r.h.Mute(ctx, turn))
			require.Error(t, ctx.Err())
			return nil
		}))
		require.Equal(t, handover.StateMuted, r.session().State)
		require.False(t, r.says("hello?").Bot)
	})
}

func TestMuteInsideDeliver(t *testing.T) {
	o := options{crisp: handovertest.Options{Away: true}, config: func(r *rig, c *handover.Config) {
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			require.NoError(r.t, r.h.Mute(ctx, s.Turn()))
			return r.deliver(ctx, s, m)
		}
	}}
	bubble(t, o, func(r *rig) {
		require.Equal(t, handover.NobodyThere, r.asks(handover.Request{}))
		require.Len(t, r.saw(), 1)
		require.Equal(t, handover.StateMuted, r.session().State)
		require.NoError(t, r.h.End(r.t.Context(), r.conv, handover.EndOptions{}))
		require.Equal(t, handover.StateBot, r.session().State)
	})
}

func TestEndAndSessionInsideSend(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		turn, err := r.receive(handover.Incoming{Text: "hello"})
		require.NoError(t, err)
		require.NoError(t, r.h.Reply(r.t.Context(), turn, func(ctx context.Context) error {
			s, err := r.h.Session(ctx, r.conv)
			require.NoError(t, err)
			require.Equal(t, handover.StateBot, s.State)
			require.NoError(t, r.h.End(ctx, r.conv, handover.EndOptions{}))
			_, err = r.receiveWith(ctx, "inner")
			require.ErrorIs(t, err, handover.ErrReentrant)
			return nil
		}))
	})
}

// receiveWith is Receive of a text, on a context.
func (r *rig) receiveWith(ctx context.Context, text string) (handover.Turn, error) {
	return r.h.Receive(ctx, handover.Incoming{Conversation: r.conv, ID: text, Text: text})
}

func TestCallbacksMayTalkAboutOtherConversations(t *testing.T) {
	other := handover.Conversation{ID: "another one"}
	var told error
	o := options{config: func(r *rig, c *handover.Config) {
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if m.From == handover.FromAgent {
				turn, err := r.h.Receive(ctx, handover.Incoming{Conversation: other, ID: "x", Text: m.Content.Text})
				if err == nil {
					err = r.h.Reply(ctx, turn, func(context.Context) error { return nil })
				}
				told = err
			}
			return r.deliver(ctx, s, m)
		}
	}}
	active(t, o, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		require.NoError(t, told)
		ann.Say("bye")
		require.Equal(t, []string{"agent Ann: bye"}, r.saw())
	})
}

func TestCallbacksAreBoundedInTime(t *testing.T) {
	var waited time.Duration
	first := true
	o := options{config: func(r *rig, c *handover.Config) {
		first = true
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if first && m.From == handover.FromAgent {
				first = false
				begun := time.Now()
				<-ctx.Done()
				waited = time.Since(begun)
				return "", ctx.Err()
			}
			return r.deliver(ctx, s, m)
		}
	}}
	bubble(t, o, func(r *rig) {
		r.opened().Operator("Ann").Say("hello")
		r.after(time.Minute)
		require.Equal(t, 10*time.Second, waited)
		require.Equal(t, []string{"agent Ann: hello"}, agentsIn(r.saw()))
		require.Equal(t, 2, r.last().Attempt)
	})
}

func TestOnEndIsRepeatedUntilItIsHeard(t *testing.T) {
	var ids []string
	o := options{config: func(r *rig, c *handover.Config) {
		ids = nil
		c.OnEnd = func(ctx context.Context, s handover.Session, sum handover.Summary) error {
			switch ids = append(ids, sum.HandoverID); len(ids) {
			case 1:
				return errors.New("the host's database is down")
			case 2:
				panic("a bug")
			}
			return r.onEnd(ctx, s, sum)
		}
	}}
	active(t, o, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		id := r.session().HandoverID
		ann.Resolve()
		require.Equal(t, []string{"system: This conversation was closed. You are talking with the bot again."}, r.saw())
		require.True(t, r.says("the bot speaks at once").Bot)
		r.after(time.Minute)
		require.Equal(t, []string{id, id, id}, ids)
		require.Len(t, r.allEnds(), 1)
		r.after(time.Hour)
		require.Len(t, ids, 3)
	})
}

func TestAFailingOnEndHoldsNothingUp(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) {
		c.OnEnd = func(context.Context, handover.Session, handover.Summary) error { return errors.New("never") }
	}}
	active(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.after(time.Minute)
		r.saw()
		require.Equal(t, handover.Opened, r.asks(handover.Request{}))
		ann.Say("hello again")
		require.Equal(t, []string{"agent Ann: hello again"}, agentsIn(r.saw()))
	})
}

func TestTextsThatPanic(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) {
		c.Texts = func(handover.Session) handover.Texts { panic("a bug") }
	}}
	bubble(t, o, func(r *rig) {
		conv := r.opened()
		require.Equal(t, []string{"Hi, this user need your help."}, userTexts(conv), "the default texts stand in")
		require.NotEmpty(t, r.saw())
	})
}

// TestWhereACallbackPanicked has a bug in the host's code, which the log leads to.
func TestWhereACallbackPanicked(t *testing.T) {
	var logged bytes.Buffer
	o := options{config: func(_ *rig, c *handover.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		c.Presence = func(context.Context, handover.Session, handover.Presence) handover.Presence {
			return buggyPresence("words of a user")
		}
	}}
	bubble(t, o, func(r *rig) {
		_, err := r.h.Available(r.t.Context(), r.conv)
		require.NoError(r.t, err)
		require.Contains(r.t, logged.String(), "buggyPresence")
		require.NotContains(r.t, logged.String(), "words of a user")
	})
}

func buggyPresence(words string) handover.Presence { panic(words) }

func TestObserveThatPanics(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) {
		c.Observe = func(context.Context, handover.Activity) { panic("a bug") }
	}}
	active(t, o, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("all goes on")
		ann.Resolve()
		require.Equal(t, []string{"agent Ann: all goes on", "system: This conversation was closed. You are talking with the bot again."}, r.saw())
		require.Len(t, r.allEnds(), 1)
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
			o := options{config: func(_ *rig, c *handover.Config) {
				c.Revise = func(context.Context, handover.Session, handover.Revision) error { tries++; return tt.revise() }
			}}
			active(t, o, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
				fp := ann.Say("at five")
				r.saw()
				ann.Edit(fp, "at six")
				r.after(10 * time.Minute)
				require.Equal(t, tt.saw, r.saw())
				ann.Remove(fp)
				ann.Say("and on")
				r.after(10 * time.Minute)
				require.Equal(t, []string{"agent Ann: and on"}, r.saw(), "nothing is held up for ever")
				require.Equal(t, name == "panics", tries > 2)
			})
		})
	}
}

func TestUserAwayWithAnEmailInCrisp(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		require.Equal(t, handover.Opened, r.asks(handover.Request{User: handover.UserData{Email: "a@example.com"}}))
		conv := r.crisp.Last()
		r.saw()
		r.fails(func(m handover.Message) error { return handover.ErrUserAway })
		fp := conv.Operator("Ann").Say("are you there?")
		r.after(5 * time.Minute)
		r.fails(nil)
		m, _ := conv.Message(fp)
		require.Empty(t, m.Read+m.Delivered, "not marked: the mail follows up")
		require.Len(t, r.crisp.Mails(), 1)
		r.says("back again")
		require.Empty(t, agentsIn(r.saw()), "it was mailed")
		require.Equal(t, handover.StateActive, r.session().State)
	})
}

func TestNoMarks(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) { c.Policy.NoMarks = true }}
	active(t, o, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("seen?")
		r.crisp.Settle()
		require.Zero(t, r.crisp.CountCalls(handovertest.RouteRead)+r.crisp.CountCalls(handovertest.RouteDelivered))
	})
}

func TestMarksOfABurstGoTogether(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		before := r.crisp.CountCalls(handovertest.RouteRead)
		r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteDelivered, DelayAnswer: time.Second})
		var fps []int64
		for range 30 {
			fps = append(fps, ann.Say("x"))
		}
		r.after(time.Minute)
		require.Less(t, r.crisp.CountCalls(handovertest.RouteRead)-before, 10)
		for _, fp := range fps {
			m, _ := conv.Message(fp)
			require.Equal(t, "chat", m.Read)
			require.Equal(t, "chat", m.Delivered)
		}
	})
}

func TestFailingMarksNeverDelayTheUser(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteDelivered, Status: 503})
		ann.Say("seen?")
		r.crisp.Settle()
		begun := time.Now()
		r.says("yes")
		require.Zero(t, time.Since(begun))
		require.Equal(t, "yes", userTexts(conv)[1])
		r.after(time.Hour)
		require.LessOrEqual(t, r.crisp.CountCalls(handovertest.RouteDelivered), 20, "given up in the end")
		require.Equal(t, handover.StateActive, r.session().State)
	})
}

func TestHostMayChangeASystemText(t *testing.T) {
	o := options{config: func(r *rig, c *handover.Config) {
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			defer clear(m.Content.QuickReplies)
			return r.deliver(ctx, s, m)
		}
	}}
	bubble(t, o, func(r *rig) {
		r.opened()
		r.says("Back to the bot") // the title of the way out, as keyboards send it
		require.Equal(t, handover.StateBot, r.session().State)
	})
}

// TestHostMayChangeItsMessage has a Deliver that changes what it was given and fails: the next
// attempt gets the message as it was.
func TestHostMayChangeItsMessage(t *testing.T) {
	var got []handover.Message
	o := options{config: func(r *rig, c *handover.Config) {
		got = nil
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if len(m.Content.QuickReplies) == 0 || m.From != handover.FromAgent {
				return r.deliver(ctx, s, m)
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
	active(t, o, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Picker("Which one?", "red", "blue")
		r.after(5 * time.Second)
		require.Len(t, got, 2)
		require.NotEmpty(t, got[0].Content.QuickReplies[0].Title)
		require.Equal(t, got[0].Content, got[1].Content)
	})
}

// An OnEnd that is heard late is of its own handover, not of the next one as well.
func TestOnEndThatIsHeardLate(t *testing.T) {
	for name, next := range map[string]func(r *rig, ann *handovertest.Operator){
		"the user asks again": func(r *rig, _ *handovertest.Operator) { r.opened() },
		"an agent takes over": func(_ *rig, ann *handovertest.Operator) { ann.Reopen(); ann.Say("One more thing") },
	} {
		t.Run(name, func(t *testing.T) {
			var heard atomic.Bool
			o := options{config: func(r *rig, c *handover.Config) {
				c.OnEnd = func(ctx context.Context, s handover.Session, sum handover.Summary) error {
					if !heard.Load() {
						return errChannelDown
					}
					return r.onEnd(ctx, s, sum)
				}
			}}
			ended(t, o, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
				next(r, ann)
				r.crisp.Settle()
				r.says("of the next one")
				ann.Resolve()
				r.crisp.Settle()
				next(r, ann)
				r.crisp.Settle()
				heard.Store(true)
				r.after(time.Minute)
				require.Len(t, r.allEnds(), 2)
				require.Len(t, r.allEnds()[0].Messages, 1)
				require.Equal(t, "Hello", r.allEnds()[0].Messages[0].Content.Text)
				second := r.allEnds()[1].Messages
				require.Equal(t, "of the next one", second[len(second)-1].Content.Text)
			})
		})
	}
}
