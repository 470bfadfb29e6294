package handover_test

import (
	"context"
	"strings"
	"sync"
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
