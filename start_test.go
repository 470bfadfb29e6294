package handover_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestStartOutcomes(t *testing.T) {
	none := func(*rig.Rig, *handover.Config) {}
	for name, tt := range map[string]struct {
		crisp  handovertest.Options
		config func(*rig.Rig, *handover.Config)
		before func(*rig.Rig)
		want   handover.Outcome
		saw    string
	}{
		"an agent is there":           {handovertest.Options{}, none, nil, handover.OutcomeOpened, "system: A person will be with you soon. You can already describe your question. [Back to the bot]"},
		"nobody is there":             {handovertest.Options{Away: true}, none, nil, handover.OutcomeNobodyThere, ""},
		"the source is allowed":       {handovertest.Options{}, func(_ *rig.Rig, c *handover.Config) { c.Sources = []string{"telegram", "webchat"} }, nil, handover.OutcomeOpened, ""},
		"the source is not allowed":   {handovertest.Options{}, func(_ *rig.Rig, c *handover.Config) { c.Sources = []string{"telegram"} }, nil, handover.OutcomeNotAllowed, "system: I am sorry, nobody can be reached on this channel."},
		"unknown presence is tried":   {handovertest.Options{}, none, func(r *rig.Rig) { r.Crisp.Availability("weird") }, handover.OutcomeOpened, ""},
		"unknown presence is refused": {handovertest.Options{}, func(_ *rig.Rig, c *handover.Config) { c.Policy.RefuseUnknown = true }, func(r *rig.Rig) { r.Crisp.Availability("weird") }, handover.OutcomeNobodyThere, ""},
		"presence cannot be asked": {handovertest.Options{}, none, func(r *rig.Rig) {
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteAvailability, Status: 500})
		}, handover.OutcomeOpened, ""},
		"the host has the last word": {handovertest.Options{}, func(_ *rig.Rig, c *handover.Config) { c.Presence = presence(handover.PresenceAway) }, nil, handover.OutcomeNobodyThere, ""},
		"the host knows better":      {handovertest.Options{Away: true}, func(_ *rig.Rig, c *handover.Config) { c.Presence = presence(handover.PresenceOnline) }, nil, handover.OutcomeOpened, ""},
		"Crisp refuses to open": {handovertest.Options{}, none, func(r *rig.Rig) {
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteCreate, Status: 400, Reason: "invalid_data"})
		}, handover.OutcomeOpenFailed, "system: I am sorry, I could not reach anybody. You are talking with the bot again."},
		"Crisp is down past Open":    {handovertest.Options{}, none, func(r *rig.Rig) { r.Crisp.Fail(100, handovertest.Fault{Route: handovertest.RouteCreate, Status: 503}) }, handover.OutcomeOpenFailed, "system: I am sorry, I could not reach anybody. You are talking with the bot again."},
		"Crisp is down for a moment": {handovertest.Options{}, none, func(r *rig.Rig) { r.Crisp.Fail(2, handovertest.Fault{Route: handovertest.RouteCreate, Status: 503}) }, handover.OutcomeOpened, ""},
		"the first message is refused": {handovertest.Options{}, none, func(r *rig.Rig) {
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: 400, Reason: "invalid_data"})
		}, handover.OutcomeOpenFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Crisp: tt.crisp, Config: tt.config}, func(r *rig.Rig) {
				if tt.before != nil {
					tt.before(r)
				}
				require.Equal(t, tt.want, r.Asks(handover.Request{}))
				saw := r.Saw()
				require.NotEmpty(t, saw, "the user is told in every outcome")
				if tt.saw != "" {
					require.Contains(t, saw, tt.saw)
				}
				bot := tt.want != handover.OutcomeOpened
				require.Equal(t, bot, r.Says("and now?").Bot)
			})
		})
	}
}

func presence(p handover.Presence) func(context.Context, handover.Session, handover.Presence) handover.Presence {
	return func(context.Context, handover.Session, handover.Presence) handover.Presence { return p }
}

func TestStartTwiceOpensOneConversation(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		outcomes := make(chan handover.Outcome, 50)
		var all sync.WaitGroup
		for range cap(outcomes) {
			all.Go(func() {
				outcome, err := r.H.Start(context.Background(), turn, handover.Request{})
				require.NoError(t, err)
				outcomes <- outcome
			})
		}
		all.Wait()
		close(outcomes)
		count := map[handover.Outcome]int{}
		for o := range outcomes {
			count[o]++
		}
		require.Equal(t, map[handover.Outcome]int{handover.OutcomeOpened: 1, handover.OutcomeAlreadyOpen: 49}, count)
		require.Len(t, r.Crisp.Conversations(), 1)
		require.Len(t, r.Saw(), 1)
		require.Equal(t, 1, r.Crisp.CountCalls(handovertest.RouteAvailability), "a burst of requests asks once")
	})
}

func TestAvailabilityIsAskedAgainAfterTheCache(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		for range 5 {
			p, err := r.H.Available(context.Background(), r.Conv)
			require.NoError(t, err)
			require.Equal(t, handover.PresenceOnline, p)
		}
		require.Equal(t, 1, r.Crisp.CountCalls(handovertest.RouteAvailability))
		r.Crisp.Away()
		r.After(11 * time.Second)
		p, err := r.H.Available(context.Background(), r.Conv)
		require.NoError(t, err)
		require.Equal(t, handover.PresenceAway, p)
	})
}

func TestStartWithAStaleTurn(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		old, err := r.Receive(handover.Incoming{Text: "first"})
		require.NoError(t, err)
		conv := r.Opened()
		outcome, err := r.H.Start(context.Background(), old, handover.Request{})
		require.NoError(t, err)
		require.Equal(t, handover.OutcomeAlreadyOpen, outcome)
		conv.Operator("Ann").Resolve()
		r.Crisp.Settle()
		_, err = r.H.Start(context.Background(), old, handover.Request{})
		require.ErrorIs(t, err, handover.ErrNotYourTurn)
	})
}

// The turn of a conversation that nobody knew holds until its owner changes, as any other does.
func TestTurnOfANewConversationHolds(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn := r.Session().Turn()
		sends := func() error {
			return r.H.Reply(context.Background(), turn, func(context.Context) error { return nil })
		}
		require.NoError(t, sends())
		require.NoError(t, sends())
		r.Crisp.Away()
		outcome, err := r.H.Start(context.Background(), turn, handover.Request{})
		require.NoError(t, err)
		require.Equal(t, handover.OutcomeNobodyThere, outcome)
		r.Crisp.Online()
		r.After(11 * time.Second)
		outcome, err = r.H.Start(context.Background(), turn, handover.Request{})
		require.NoError(t, err)
		require.Equal(t, handover.OutcomeOpened, outcome)
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		require.ErrorIs(t, sends(), handover.ErrNotYourTurn)
	})
}

// A bot that asks for a human, instead of answering, may come too late: a human has the conversation
// already, or had it. They get the message that the bot has not answered, once.
func TestStartWithAStaleTurnPassesItsMessageOn(t *testing.T) {
	for name, gone := range map[string]bool{"a human has it": false, "a human had it": true} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
				r.After(time.Second)
				turn, err := r.Receive(handover.Incoming{Text: "I want my money back"})
				require.NoError(t, err)
				ann := conv.Operator("Ann")
				ann.Say("One more thing")
				r.Crisp.Settle()
				if gone {
					ann.Resolve()
					r.After(time.Second)
				}
				for range 2 {
					outcome, err := r.H.Start(context.Background(), turn, handover.Request{})
					if gone {
						require.ErrorIs(t, err, handover.ErrNotYourTurn)
					} else {
						require.NoError(t, err)
						require.Equal(t, handover.OutcomeAlreadyOpen, outcome)
					}
					r.After(time.Second)
				}
				require.Equal(t, []string{"I want my money back"}, rig.UserTexts(conv)[1:], "once, after the opening message")
			})
		})
	}
}

func TestStartEndsItsWaitWithItsContext(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(3, handovertest.Fault{Route: handovertest.RouteCreate, Status: 503})
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
		defer cancel()
		outcome, err := r.H.Start(ctx, turn, handover.Request{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, handover.OutcomeOpening, outcome)
		r.After(20 * time.Second)
		require.Equal(t, handover.StateWaiting, r.Session().State, "the opening goes on without the caller")
	})
}

func TestApplyTheConnectorsOutput(t *testing.T) {
	for name, tt := range map[string]struct {
		out  handover.BotOutput
		away bool
		want handover.Outcome
		in   handover.State
	}{
		"nothing":                 {handover.BotOutput{}, false, "", handover.StateBot},
		"muted":                   {handover.BotOutput{Muted: true}, false, "", handover.StateMuted},
		"muted and need_help":     {handover.BotOutput{Muted: true, NeedHelp: true, Category: "Customer"}, false, handover.OutcomeOpened, handover.StateWaiting},
		"need_help alone":         {handover.BotOutput{NeedHelp: true, Category: "Customer"}, false, handover.OutcomeOpened, handover.StateWaiting},
		"need_help, nobody there": {handover.BotOutput{Muted: true, NeedHelp: true}, true, handover.OutcomeNobodyThere, handover.StateBot},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Away: tt.away}}, func(r *rig.Rig) {
				turn, err := r.Receive(handover.Incoming{Text: "hm"})
				require.NoError(t, err)
				got, err := r.H.Apply(context.Background(), turn, tt.out, handover.Request{Segments: []string{"vip"}})
				require.NoError(t, err)
				require.Equal(t, tt.want, got)
				r.Crisp.Settle()
				require.Equal(t, tt.in, r.Session().State)
				if tt.want == handover.OutcomeOpened {
					require.Equal(t, []string{"Customer", "vip"}, r.Crisp.Last().Segments())
				}
			})
		})
	}
}

func TestMute(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn := r.Says("be quiet")
		require.NoError(t, r.H.Mute(context.Background(), turn))
		require.Equal(t, handover.StateMuted, r.Session().State)
		r.Saw()
		for i := range 25 {
			require.False(t, r.Says(fmt.Sprint("kept ", i)).Bot)
		}
		require.Empty(t, r.Saw())
		require.ErrorIs(t, r.Reply(turn, "late"), handover.ErrNotYourTurn)

		outcome, err := r.H.Start(context.Background(), turn, handover.Request{})
		require.NoError(t, err, "the turn that muted may ask for a human")
		require.Equal(t, handover.OutcomeOpened, outcome)
		r.Crisp.Settle()
		texts := rig.UserTexts(r.Crisp.Last())
		require.Len(t, texts, 21, "the last 20 go along, behind the opening message")
		require.Equal(t, "kept 5", texts[1])
		require.Equal(t, "kept 24", texts[20])
	})
}

func TestMuteEnds(t *testing.T) {
	for name, end := range map[string]func(*rig.Rig){
		"by End": func(r *rig.Rig) {
			require.NoError(r.T, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		},
		"by Timeouts.Max": func(r *rig.Rig) { r.After(25 * time.Hour) },
		"when nobody is there": func(r *rig.Rig) {
			r.Crisp.Away()
			outcome, err := r.H.Start(context.Background(), r.Session().Turn(), handover.Request{})
			require.NoError(r.T, err)
			require.Equal(r.T, handover.OutcomeNobodyThere, outcome)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				require.NoError(t, r.H.Mute(context.Background(), r.Says("hush")))
				end(r)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.True(t, r.Says("hello again").Bot)
				require.Empty(t, r.Ends(), "a mute is no handover")
			})
		})
	}
}

func TestEndByTheHost(t *testing.T) {
	for name, tt := range map[string]struct {
		o       handover.EndOptions
		reason  handover.EndReason
		note    string
		resolve string
	}{
		"by default":       {handover.EndOptions{}, handover.EndHostEnded, "The user is talking with the bot again.", "pending"},
		"the user left":    {handover.EndOptions{UserLeft: true}, handover.EndUserLeft, "The user is talking with the bot again.", "pending"},
		"with words":       {handover.EndOptions{Note: "closed the app"}, handover.EndHostEnded, "closed the app", "pending"},
		"resolved as well": {handover.EndOptions{Resolve: true}, handover.EndHostEnded, "The user is talking with the bot again.", "resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				require.NoError(t, r.H.End(context.Background(), r.Conv, tt.o))
				require.NoError(t, r.H.End(context.Background(), r.Conv, tt.o), "idempotent")
				r.After(time.Minute)
				require.Len(t, r.Ends(), 1)
				require.Equal(t, tt.reason, r.Ends()[0].Reason)
				require.Equal(t, tt.resolve, conv.State())
				last := conv.Messages()[len(conv.Messages())-1]
				require.Equal(t, "note", last.Type)
				require.Equal(t, tt.note, last.Content)
				require.True(t, r.Says("hello").Bot)
			})
		})
	}
}

func TestEndGuardsItsHandover(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Opened()
		first := r.Session().HandoverID
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{HandoverID: first}))
		r.Opened()
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{HandoverID: first}))
		require.Equal(t, handover.StateWaiting, r.Session().State, "a late End does not end the next handover")
	})
}

func TestEndGuardsItsEpoch(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		require.NoError(t, r.H.Mute(context.Background(), r.Says("hello")))
		muted := status(r).Epoch
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Epoch: muted}))
		require.Equal(t, handover.StateBot, r.Session().State)
		r.Greeted()
		require.ErrorIs(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Epoch: muted}), handover.ErrNotYourTurn)
		require.Equal(t, handover.StateActive, r.Session().State)
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Epoch: r.Session().Epoch}))
		require.Equal(t, handover.StateBot, r.Session().State)
		in(r, "webchat", "unknown")
		require.ErrorIs(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Epoch: 1}), handover.ErrNotYourTurn)
	})
}

func TestEndWhileOpeningResolvesTheHalfMadeConversation(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(2, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
		defer cancel()
		outcome, _ := r.H.Start(ctx, turn, handover.Request{})
		require.Equal(t, handover.OutcomeOpening, outcome)
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		r.After(time.Minute)
		require.Equal(t, "resolved", r.Crisp.Last().State())
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Len(t, r.Ends(), 1)
	})
}

// The handover is over before Crisp has said which conversation it made: nobody would ever close that.
func TestTheEndComesWhileTheConversationIsMade(t *testing.T) {
	for name, end := range map[string]func(r *rig.Rig){
		"by the host":     func(r *rig.Rig) { require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{})) },
		"the user leaves": func(r *rig.Rig) { _, _ = r.Receive(handover.Incoming{Payload: "handover:leave"}) },
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				r.OpensSlowly(handover.Request{}, handovertest.RouteCreate)
				end(r)
				r.After(time.Minute)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Len(t, r.Ends(), 1)
				require.Equal(t, "resolved", r.Crisp.Last().State())
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}), "the next handover is not disturbed")
			})
		})
	}
}

func TestHandedOverAgain(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Resolve()
		r.Crisp.Settle()
		r.Saw()
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Segments: []string{"again"}}))
		require.Len(t, r.Crisp.Conversations(), 1, "soon after its end the same Crisp conversation is used")
		require.Equal(t, handover.StateWaiting, r.Session().State)
		conv.Operator("Ann").Say("me again")
		require.Contains(t, r.Saw(), "agent Ann: me again")
		conv.Operator("Ann").Resolve()
		r.Crisp.Settle()
		require.Len(t, r.Ends(), 2)
		require.NotEqual(t, r.Ends()[0].HandoverID, r.Ends()[1].HandoverID)
		require.Len(t, r.Ends()[1].Messages, 1, "the second handover's own messages")

		r.After(2 * time.Hour)
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		require.Len(t, r.Crisp.Conversations(), 2, "later ones open a new one")
	})
}

func TestALateResolvedDoesNotEndTheNextHandover(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			if i.Event == "session:set_state" {
				return handovertest.HookFault{Delay: 5 * time.Second, Twice: true}
			}
			return handovertest.HookFault{}
		})
		conv.Operator("Ann").Resolve()
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		r.After(time.Minute)
		require.Equal(t, handover.StateWaiting, r.Session().State)
		require.Len(t, r.Ends(), 1)
	})
}

// An agent may open the conversation again that the host ended: the echo of the resolve that the host
// asked for must not end that, however late it comes.
func TestOurOwnResolveDoesNotEndATakeover(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		ann := conv.Operator("Ann")
		r.After(time.Minute)
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Delay: 2 * time.Second, Twice: i.Event == "session:set_state"}
		})
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Resolve: true}))
		r.After(time.Second)
		ann.Reopen()
		ann.Say("I am here")
		r.After(time.Minute)
		require.Equal(t, handover.StateActive, r.Session().State)
		require.Len(t, r.Ends(), 1)
		r.Says("good")
		ann.Resolve()
		r.After(time.Minute)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Equal(t, handover.EndResolved, r.Ends()[1].Reason)
	})
}

// A resolve of ours may have no echo, where the conversation was resolved already.
func TestAnAgentsResolveSoonAfterOurs(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		ann := conv.Operator("Ann")
		ann.Resolve()
		r.After(time.Second)
		ann.Reopen()
		ann.Say("one more thing")
		r.After(time.Second)
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Resolve: true}))
		r.After(time.Second)
		ann.Reopen()
		ann.Say("and another")
		r.After(time.Second)
		r.Says("tell me")
		ann.Resolve()
		r.After(time.Second)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Len(t, r.Ends(), 3)
	})
}

// What concerns a conversation that is gone is given up at once: it would hold up the next handover.
func TestARemovedConversationHoldsNothingUp(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Drop: i.Event == "session:removed"}
		})
		conv.Remove()
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Resolve: true}))
		r.Crisp.Settle()
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Note: "for the agents"}))
		require.Contains(t, r.Crisp.Last().Transcript(), "operator (note): for the agents")
	})
}

func TestIdleAsksThenEnds(t *testing.T) {
	for name, user := range map[string]handover.UserData{"without an email": {}, "with an email": {Email: "a@example.com"}} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: user}))
				conv := r.Crisp.Last()
				conv.Operator("Ann").Say("Hello")
				r.After(2*time.Hour + 5*time.Minute)
				require.Contains(t, r.Saw(), "system: Are you still there? [Back to the bot]")
				r.Says("yes")
				r.After(2*time.Hour + 5*time.Minute)
				require.Contains(t, r.Saw(), "system: Are you still there? [Back to the bot]")
				r.After(time.Hour)
				require.Equal(t, []string{"system: It has been quiet for a while. You are talking with the bot again."}, r.Saw())
				require.Equal(t, handover.EndIdle, r.Ends()[0].Reason)
				require.Equal(t, user.Email != "", r.Session().FollowUp)
			})
		})
	}
}

func TestWaitingIsReminded(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Saw()
		r.After(7 * time.Minute)
		still := "system: We are still looking for somebody. Thank you for your patience. [Back to the bot]"
		require.Equal(t, []string{still, still}, r.Saw())
		conv.Bot("Hugo").Say("I can help!")
		require.Equal(t, []string{still}, r.Saw(), "another bot answers: the way out is offered")
		conv.Bot("Hugo").Say("Really!")
		require.Empty(t, r.Saw())
	})
}

func TestMaxEndsEveryMute(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Max = 6 * time.Hour }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Say("hello")
		for range 7 {
			r.After(time.Hour)
			conv.Operator("Ann").Say("still here")
		}
		r.Crisp.Settle()
		require.Equal(t, handover.EndMaxAge, r.Ends()[0].Reason)
	})
}

func TestCoolDown(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.CoolDown = 30 * time.Minute }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Opened()
		r.After(11 * time.Minute)
		require.Equal(t, handover.OutcomeTooSoon, r.Asks(handover.Request{}))
		r.After(30 * time.Minute)
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
	})
}

func TestRatingIsAskedOnceWhenAHumanAnswered(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.AskRating = true }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Resolve()
		r.After(time.Minute)
		require.Zero(t, r.Crisp.CountCalls(handovertest.RouteFeedback), "nobody answered")
		conv = r.Opened()
		conv.Operator("Ann").Say("Hello")
		r.Crisp.Settle()
		conv.Operator("Ann").Resolve()
		r.After(time.Minute)
		require.Equal(t, 1, r.Crisp.CountCalls(handovertest.RouteFeedback))
		conv.Rate(5, "thanks")
		r.Crisp.Settle()
		require.Equal(t, 1, r.Count(handover.ActivityRated))
	})
}

func TestTyping(t *testing.T) {
	var seen []handover.AgentTyping
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.AgentTyping = func(_ context.Context, _ handover.Session, ty handover.AgentTyping) { seen = append(seen, ty) }
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Type(true)
		r.Crisp.Settle()
		ann.Type(false)
		r.Crisp.Settle()
		require.Len(t, seen, 2)
		require.Equal(t, "Ann", seen[0].Agent.Name)
		require.Equal(t, []bool{true, false}, []bool{seen[0].On, seen[1].On})
		require.NoError(t, r.H.UserTyping(r.Conv, true))
		r.Crisp.Settle()
		require.Equal(t, 1, r.Crisp.CountCalls(handovertest.RouteCompose))
	})
}

// A Typing that hangs holds up neither the answers to hooks nor the messages.
func TestTypingThatHangs(t *testing.T) {
	release, calls := make(chan struct{}), atomic.Int64{}
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.AgentTyping = func(context.Context, handover.Session, handover.AgentTyping) { calls.Add(1); <-release }
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		release = make(chan struct{}) // of this bubble
		defer close(release)
		for range 50 {
			ann.Type(true)
			r.After(2 * time.Second)
		}
		require.LessOrEqual(t, calls.Load(), int64(20))
		ann.Say("done")
		require.Contains(t, r.Saw(), "agent Ann: done")
	})
}

// An AgentTyping that takes 20 s holds no hook, and hears the newest sign after it.
func TestTypingThatIsSlow(t *testing.T) {
	var seen []bool
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Timeouts.Callback = time.Minute
		c.AgentTyping = func(_ context.Context, _ handover.Session, ty handover.AgentTyping) {
			seen = append(seen, ty.On)
			time.Sleep(20 * time.Second)
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		begun := time.Now()
		for i := range 11 {
			require.Equal(t, 200, r.Hooked(r.Hook("message:compose:receive", conv.ID(), map[string]any{
				"type": []string{"start", "stop"}[i%2], "user": map[string]any{"nickname": "Ann"},
			})).Code)
			time.Sleep(time.Second)
		}
		require.Equal(t, 11*time.Second, time.Since(begun), "no hook was held")
		r.After(time.Minute)
		require.Equal(t, []bool{true, true}, seen)
	})
}

// A UserTyping holds no hook of the channel while Crisp hangs.
func TestUserTypingWhileCrispHangs(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, _ *handovertest.Operator) {
		r.Crisp.SetFaults(func(handovertest.CallInfo) handovertest.Fault { return handovertest.Fault{Delay: 8 * time.Second} })
		begun := time.Now()
		for i := range 10 {
			require.NoError(t, r.H.UserTyping(r.Conv, i%2 == 0))
		}
		require.Equal(t, begun, time.Now())
		require.ErrorIs(t, r.H.UserTyping(handover.Conversation{}, true), handover.ErrBadMessage)
		r.After(time.Minute)
		require.LessOrEqual(t, r.Crisp.CountCalls(handovertest.RouteCompose), 3)
	})
}

// What nobody means to ask for is refused with words, before anything is stored.
func TestRequestsThatAreRefused(t *testing.T) {
	long := strings.Repeat("x", 100_001)
	only := []handover.RichMessage{{Text: "nobody", QuickReplies: []handover.QuickReply{{Title: "E-Mail", Payload: "EMAIL"}}}}
	rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Choices = handover.Choices{Email: "EMAIL", Bot: "BOT"}
		c.NoAgent = []handover.RichMessage{{Text: "nobody", QuickReplies: []handover.QuickReply{{Title: "E-Mail", Payload: "EMAIL"}, {Title: "Bot", Payload: "BOT"}}}}
	}}, func(r *rig.Rig) {
		for want, req := range map[string]handover.Request{
			"Request.Note is longer than Limits.Text, 100000 bytes":   {Note: long},
			"Request.Resume is longer than Limits.Text, 100000 bytes": {Resume: long},
			"Request.Locale is longer than 64 bytes":                  {Locale: long},
			"Request.HistoryURL is longer than 4096 bytes":            {HistoryURL: long},
			"Request.HistoryURL must be an http or https URL":         {HistoryURL: "see the intranet"},
			"Request.HistoryURL must be an http":                      {HistoryURL: "javascript:alert(1)"},
			"Request.Segments has more than 50":                       {Segments: make([]string, 51)},
			"Request.Segments[1] is longer than 256 bytes":            {Segments: []string{"a", long}},
			"Request.NoAgent has more than 20 messages":               {NoAgent: make([]handover.RichMessage, 21)},
			"no message of NoAgent has the payload Choices.Bot":       {NoAgent: only},
		} {
			outcome, err := r.H.Start(context.Background(), r.Session().Turn(), req)
			require.ErrorContains(t, err, want)
			require.Empty(t, outcome)
			require.Equal(t, handover.StateBot, r.Session().State)
		}
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Segments: make([]string, 50)}))
	})
}
