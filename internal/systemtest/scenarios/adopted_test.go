package scenarios

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestAdoptedConversationKeepsWhatItHas(t *testing.T) {
	for name, echo := range map[string]bool{"with the opening's echo": true, "without it": false} {
		t.Run(name, func(t *testing.T) { adopted(t, echo) })
	}
}

func adopted(t *testing.T, echo bool) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Say("long before")
		old := conv.Operator("Ann").Say("before")
		r.Crisp.Settle()
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
		r.Saw()
		r.Conv.ID = "user-2"
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Drop: !echo && i.Event == "message:send"}
		})
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{CrispID: conv.ID(), Segments: []string{"new"}, User: handover.UserData{Data: map[string]any{"plan": "pro"}}}))
		require.Len(t, r.Crisp.Conversations(), 1)
		conv.Operator("Ann").Edit(old, "before, edited")
		conv.Operator("Ann").Remove(old)
		r.After(time.Minute)
		require.Empty(t, rig.AgentsIn(r.Saw()), "what was written before stays unshown, edits of it too")
		require.Equal(t, handover.StateWaiting, r.Session().State)
		r.Says("hello")
		conv.Operator("Ann").Say("after")
		require.Equal(t, []string{"agent Ann: after"}, rig.AgentsIn(r.Saw()))
		conv.Operator("Ann").Resolve()
		r.Crisp.Settle()
		require.Len(t, r.Ends()[0].Messages, 2)
	})
}

func TestAdoptedConversationGoesOnWhenItsOpeningIsAbandoned(t *testing.T) {
	for name, again := range map[string]bool{"at once": false, "when it is used again": true} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
				req := handover.Request{CrispID: conv.ID()}
				if again {
					require.Equal(t, handover.OutcomeOpened, r.Asks(req))
					require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
					req.CrispID = ""
				}
				r.OpensSlowly(req, handovertest.RouteMeta)
				require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
				r.After(time.Minute)
				ends := r.Ends()
				require.Equal(t, handover.EndHostEnded, ends[len(ends)-1].Reason)
				require.NotEqual(t, "resolved", conv.State(), "it is not the library's")
			})
		})
	}
}

// An opening message that passes although its opening was abandoned may be answered.
func TestAdoptedConversationWhoseOpeningPassesAfterTheEnd(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Say("old words")
		r.After(time.Minute)
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
		r.OpensSlowly(handover.Request{CrispID: conv.ID()}, handovertest.RouteSend)
		require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
		r.After(time.Minute)
		require.Len(t, rig.UserTexts(conv), 2)
		r.Saw()
		conv.Operator("Ann").Say("new words")
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: new words"}, r.AgentLines())
	})
}

func TestAdoptedConversationThatIsTaken(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Conv.ID = "user-2"
		turn, err := r.Receive(handover.Incoming{Text: "me too"})
		require.NoError(t, err)
		_, err = r.H.Start(r.T.Context(), turn, handover.Request{CrispID: conv.ID()})
		require.ErrorIs(t, err, handover.ErrTaken)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.NoError(t, r.Reply(turn, "sorry"))
		require.Len(t, rig.UserTexts(conv), 1)
	})
}

// faultsOf are the faults that the host was told.
func faultsOf(r *rig.Rig) (faults []error) {
	for _, a := range r.Activities() {
		if a.Kind == handover.ActivityFault {
			faults = append(faults, a.Err)
		}
	}
	return faults
}

// The bot has spoken when its request turns out to name another user's conversation, or none: it is not asked again.
func TestAnswerNamesAConversationThatCannotBeUsed(t *testing.T) {
	var answers atomic.Int64
	var taken atomic.Value // what the bot names
	taken.Store("")
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		c.Answer = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			answers.Add(1)
			return &handover.Request{CrispID: taken.Load().(string), Segments: []string{"new"}, User: handover.UserData{Email: "user@shop.example"}}, nil
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		ask := func(user string) {
			r.Conv.ID = user
			require.NoError(r.T, r.H.Handle(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: "of " + user, Text: "a human"}))
			r.After(time.Second)
			require.Equal(r.T, []string{"system: A person will be with you soon. You can already describe your question. [Back to the bot]"}, r.Saw())
		}
		ask("user-1")
		first := r.Crisp.Last().ID()
		taken.Store(first)
		ask("user-2")
		require.EqualValues(r.T, 2, answers.Load())
		require.Len(r.T, faultsOf(r), 1)
		require.ErrorIs(r.T, faultsOf(r)[0], handover.ErrTaken)
		require.NotEqual(r.T, first, r.Session().CrispID)
		require.Equal(r.T, []string{"new"}, r.Crisp.Last().Segments())
		require.Equal(r.T, "user@shop.example", r.Crisp.Last().Meta().Email)

		taken.Store("none of Crisp's")
		ask("user-3")
		require.EqualValues(r.T, 3, answers.Load())
		require.Len(r.T, faultsOf(r), 2)
		require.ErrorContains(r.T, faultsOf(r)[1], "Request.CrispID")
		require.Equal(r.T, "user@shop.example", r.Crisp.Last().Meta().Email, "only the id is left out")
	})
}

// What is wrong with a request of Config.Answer is left out alone, and all of it is told.
func TestAnswerAsksWithFaults(t *testing.T) {
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		c.Limits.Text = 1000
		c.Answer = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			return &handover.Request{
				Note: "why" + strings.Repeat("é", 600), Segments: []string{"good", strings.Repeat("s", 300), "fine"},
				Operator: "Ann", Timeouts: handover.Timeouts{Claim: 5, Idle: time.Hour}, User: handover.UserData{Email: "user@shop.example"},
			}, nil
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		require.NoError(r.T, r.H.Handle(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: "1", Text: "a human"}))
		r.After(time.Second)
		c := r.Crisp.Last()
		require.Equal(r.T, []string{"good", "fine"}, c.Segments())
		require.Equal(r.T, "user@shop.example", c.Meta().Email)
		require.Contains(r.T, strings.Join(rig.Notes(c), ""), "why"+strings.Repeat("é", 498))
		for _, name := range []string{"Request.Note", "Request.Segments[1]", "Request.Operator", "Timeouts.Claim"} {
			require.ErrorContains(r.T, faultsOf(r)[0], name)
		}
	})
}

func TestAdoptedConversationThatIsGone(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeOpenFailed, r.Asks(handover.Request{CrispID: "session_00000000-0000-4000-8000-000000000000"}))
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Equal(t, []string{"system: I am sorry, I could not reach anybody. You are talking with the bot again."}, r.Saw())
		require.Empty(t, r.Crisp.Conversations())
	})
}

// adoptsUnread has user-2 ask for a human in the Crisp conversation of user-1, whose log cannot be read from then on.
// No hook tells of our own messages. A new process does all that comes, if fresh: it has no hint at Crisp's clock.
// The result makes the log readable.
func adoptsUnread(r *rig.Rig, o rig.Options, conv *handovertest.Conversation, fresh bool) (readable func()) {
	r.T.Helper()
	if fresh {
		require.NoError(r.T, r.H.Shutdown(r.T.Context()))
		r.H = r.Replica(o)
	}
	r.Conv.ID = "user-2"
	r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
		return handovertest.HookFault{Drop: i.Event == "message:send"}
	})
	failing := r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteSend, Refuse: true})
	readable = r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteMessages, Status: 500})
	turn, err := r.Receive(handover.Incoming{Text: "me again"})
	require.NoError(r.T, err)
	ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
	defer cancel()
	_, err = r.H.Start(ctx, turn, handover.Request{CrispID: conv.ID()})
	require.ErrorIs(r.T, err, context.DeadlineExceeded)
	r.After(40 * time.Second)
	failing()
	for r.Session().State == handover.StateOpening {
		r.After(time.Second)
	}
	require.Equal(r.T, handover.StateWaiting, r.Session().State)
	return readable
}

// What was written before our opening message stays unshown, and what was written after it is shown within two
// minutes, also where the log cannot be read, Crisp's clock is another one, and hooks are late.
func TestAdoptedConversationThatCannotBeRead(t *testing.T) {
	for clock, skew := range map[string]time.Duration{"same clock": 0, "clock ahead": 20 * time.Minute, "clock behind": -20 * time.Minute} {
		for hook, late := range map[string]time.Duration{"while it opens": 5 * time.Second, "once it is open": 3 * time.Minute} {
			t.Run(clock+", hook "+hook, func(t *testing.T) { adoptedUnread(t, skew, late, false) })
		}
	}
	for clock, skew := range map[string]time.Duration{"same clock": 0, "clock ahead": 20 * time.Minute, "clock behind": -20 * time.Minute} {
		for hook, late := range map[string]time.Duration{"while it opens": 5 * time.Second, "once it is open": 3 * time.Minute} {
			t.Run(clock+", no conversation shows it, hook "+hook, func(t *testing.T) { adoptedUnread(t, skew, late, true) })
		}
	}
}

func adoptedUnread(t *testing.T, skew, late time.Duration, fresh bool) {
	o := rig.Options{Crisp: handovertest.Options{Skew: skew}, Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Open = 10 * time.Minute }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		r.After(time.Minute)
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
		r.Saw()
		r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Delay: late} })
		conv.Operator("Ann").Say("before")
		r.After(time.Second)
		readable := adoptsUnread(r, o, conv, fresh)
		r.After(4 * time.Minute)
		require.Empty(t, r.AgentLines())
		conv.Operator("Ann").Say("after")
		r.After(2 * time.Minute)
		shown := r.AgentLines()
		require.Equal(t, []string{"agent Ann: after"}, shown, "in hand, whatever reads do")
		require.Equal(t, handover.StateActive, r.Session().State)
		readable()
		r.After(10 * time.Minute)
		require.Equal(t, shown, r.AgentLines(), "the log tells nothing new")
	})
}

func TestAdoptedConversation(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Say("old words")
		r.Crisp.Settle()
		crispID := r.Session().CrispID
		require.NoError(t, r.H.Forget(context.Background(), r.Conv))
		r.Conv.ID = "user-2"
		r.Saw()
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{CrispID: crispID}))
		conv.Operator("Ann").Say("new words")
		require.Equal(t, []string{"system: A person will be with you soon. You can already describe your question. [Back to the bot]",
			"system: Ann joined the conversation.", "agent Ann: new words"}, r.Saw())
	})
}

// A long conversation that is adopted costs a page a look until our opening message is found, wherever it
// is by then; none of what is older is shown, and all of what is newer.
func TestALongAdoptedConversation(t *testing.T) {
	for name, newer := range map[string]int{"nothing newer": 0, "a page that is newer": 20, "pages that are newer": 70} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				r.Crisp.SetHookFaults(rig.DropHooks)
				ann := conv.Operator("Ann")
				for i := range 2100 {
					ann.Say(fmt.Sprint("old ", i))
				}
				r.Crisp.Settle()
				require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
				r.Conv.ID = "user-2"
				r.Saw()
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{CrispID: conv.ID()}))
				want := []string{}
				for i := range newer {
					ann.Say(fmt.Sprint("new ", i))
					want = append(want, fmt.Sprint("agent Ann: new ", i))
				}
				r.Crisp.Settle()
				calls := conv.CountCalls("GET")
				r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
					return handovertest.HookFault{Drop: i.Event == "message:send"}
				})
				ann.Say("the last")
				r.After(20 * time.Second)
				require.Equal(t, append(want, "agent Ann: the last"), r.AgentLines())
				require.LessOrEqual(t, conv.CountCalls("GET")-calls, 5+newer/20)
				require.Equal(t, handover.StateActive, r.Session().State)
			})
		})
	}
}
