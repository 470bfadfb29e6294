package handover_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// resolves ends the handover and has it resolved in Crisp.
func resolves(r *rig.Rig) {
	r.T.Helper()
	require.NoError(r.T, r.H.End(context.Background(), r.Conv, handover.EndOptions{Resolve: true}))
}

// The hook of our own resolve may be lost. An agent's resolve half a minute later, of a conversation
// that was reopened, is not its echo.
func TestAnAgentsResolveIsNotTakenForOurs(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		var lost atomic.Bool
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Drop: i.Event == "session:set_state" && lost.CompareAndSwap(false, true)}
		})
		resolves(r)
		r.After(5 * time.Second)
		require.True(t, lost.Load())
		ann := conv.Operator("Ann")
		ann.Reopen()
		r.After(time.Second)
		ann.Say("One more thing")
		r.After(5 * time.Second)
		require.Equal(t, handover.StateActive, r.Session().State)
		r.After(15 * time.Second)
		ann.Resolve()
		r.After(5 * time.Second)
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

// A resolve that did not pass yet is not for the handover that begins meanwhile, nor in its way.
func TestAResolveThatFailsClosesNoNewHandover(t *testing.T) {
	says := func(_ *rig.Rig, conv *handovertest.Conversation) { conv.Operator("Ann").Say("One more thing") }
	asks := func(r *rig.Rig, _ *handovertest.Conversation) { r.Opened() }
	adopts := func(r *rig.Rig, conv *handovertest.Conversation) {
		require.Equal(r.T, handover.OutcomeOpened, r.Asks(handover.Request{CrispID: conv.ID()}))
	}
	down := handovertest.Fault{Route: handovertest.RoutePatchState, Status: 503}
	forbidden := handovertest.Fault{Route: handovertest.RoutePatchState, Status: 403, Reason: "token_scope_forbidden"}
	for name, tt := range map[string]struct {
		times  int
		fault  handovertest.Fault
		begins func(*rig.Rig, *handovertest.Conversation)
		reopen time.Duration
	}{
		"an agent takes over":                 {3, down, says, 0},
		"the user asks again":                 {3, down, asks, 0},
		"the host adopts it":                  {3, down, adopts, 0},
		"the user asks again, without scopes": {100, forbidden, asks, 0},
		"in a conversation of its own":        {100, forbidden, asks, -1},
	} {
		t.Run(name, func(t *testing.T) {
			config := func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Reopen = tt.reopen }
			rig.Bubble(t, rig.Options{Config: config}, func(r *rig.Rig) {
				conv := r.Opened()
				r.Crisp.Fail(tt.times, tt.fault)
				resolves(r)
				r.After(time.Second / 2)
				tt.begins(r, conv)
				r.After(5 * time.Minute)
				require.NotEqual(t, "resolved", conv.State())
				require.NotEqual(t, handover.StateBot, r.Session().State)
			})
		})
	}
}

// Nor is it for the message of a turn that came too late: the agents must see it.
func TestAResolveThatFailsHidesNoMessage(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "my question"})
		require.NoError(t, err)
		conv := r.Opened()
		r.Crisp.Fail(2, handovertest.Fault{Route: handovertest.RoutePatchState, Status: 503})
		resolves(r)
		r.After(time.Second / 2)
		require.ErrorIs(t, r.Reply(turn, "too late"), handover.ErrNotYourTurn)
		r.After(time.Minute)
		require.Contains(t, rig.UserTexts(conv), "my question")
		require.Equal(t, "pending", conv.State())
	})
}

// What the user wrote before the end is in Crisp before the resolve: it would open the conversation
// again.
func TestAResolveComesAfterTheLastWords(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Say("hi")
		r.After(time.Second)
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: 502})
		go func() {
			_, _ = r.H.Receive(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "last", Text: "last words"})
		}()
		r.After(time.Second / 2)
		resolves(r)
		r.After(5 * time.Minute)
		require.Contains(t, rig.UserTexts(conv), "last words")
		require.Equal(t, "resolved", conv.State())
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

// A resolve that failed and was given up for a takeover has no echo: the next one is the agent's.
func TestAFailedResolveHasNoEcho(t *testing.T) {
	for _, status := range []int{403, 503} { // after 429 nothing is read, either, until both are tried again
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			conv := r.Opened()
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RoutePatchState, Status: status})
			resolves(r)
			r.After(time.Second / 2)
			ann := conv.Operator("Ann")
			ann.Say("Wait, I have it")
			r.After(8 * time.Second)
			ann.Resolve()
			r.After(time.Second)
			require.Equal(t, handover.StateBot, r.Session().State)
			require.Equal(t, handover.EndResolved, r.Ends()[1].Reason)
		})
	}
}

// A follow-up that is to be opened in a conversation that is gone must not vanish without a word.
func TestAFollowUpInAGoneConversationIsSaidToHaveFailed(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Resolve()
		r.After(time.Second)
		r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: true} })
		conv.Remove()
		r.Crisp.Away()
		r.After(time.Minute)
		require.Equal(t, handover.OutcomeNobodyThere, r.Asks(handover.Request{User: handover.UserData{Email: "a@example.com"}}))
		r.Saw()
		r.Says(email)
		r.After(time.Minute)
		require.Equal(t, []string{"system: I am sorry, I could not reach anybody. You are talking with the bot again."}, r.Saw())
	})
}

// Reads may be older than the conversation: while its metas are merged, only what changes it tells
// that it is gone.
func TestMetasThatAStaleReadDoesNotFind(t *testing.T) {
	reopens := func(t *testing.T, before func(*rig.Rig, *handovertest.Conversation), want handover.Outcome) {
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			conv := r.Opened()
			conv.Operator("Ann").Resolve()
			r.After(time.Second)
			before(r, conv)
			require.Equal(t, want, r.Asks(handover.Request{Segments: []string{"again"}}))
			if want != handover.OutcomeOpened {
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}), "in a new conversation")
			}
		})
	}
	t.Run("it is there", func(t *testing.T) {
		reopens(t, func(r *rig.Rig, _ *handovertest.Conversation) {
			for _, route := range []string{handovertest.RouteMeta, handovertest.RouteConversation} {
				r.Crisp.Fail(1, handovertest.Fault{Route: route, Status: 404})
			}
		}, handover.OutcomeOpened)
	})
	t.Run("it is gone", func(t *testing.T) {
		reopens(t, func(r *rig.Rig, conv *handovertest.Conversation) {
			r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: true} })
			conv.Remove()
		}, handover.OutcomeOpenFailed)
	})
}

// What is gone, or blocked, is looked at no more, whatever was still to be looked up about it.
func TestAConversationThatIsOverCostsNoReads(t *testing.T) {
	removes := func(conv *handovertest.Conversation) { conv.Remove() }
	blocks := func(conv *handovertest.Conversation) { conv.Block(true) }
	for name, tt := range map[string]struct {
		ended bool // before an agent resolves it, of which only reads tell
		over  func(*handovertest.Conversation)
	}{
		"removed":                  {false, removes},
		"blocked":                  {false, blocks},
		"removed after a handover": {true, removes},
		"blocked after a handover": {true, blocks},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.OftenListed, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				r.After(time.Minute)
				r.WithoutStateHooks()
				r.Crisp.SetFaults(func(handovertest.CallInfo) handovertest.Fault {
					return handovertest.Fault{Delay: 100 * time.Millisecond}
				})
				if tt.ended {
					require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
					r.After(time.Minute)
					ann.Resolve()
					r.After(10 * time.Second)
				}
				tt.over(conv)
				r.After(3 * time.Minute)
				require.Len(t, r.Ends(), 1)
				calls := conv.CountCalls("")
				r.After(3 * time.Minute)
				require.Equal(t, calls, conv.CountCalls(""))
			})
		})
	}
}

// What agents write in an adopted conversation is for the user once our opening message is there,
// however late that is seen.
func TestAnAdoptedConversationWhoseOpeningIsSeenLate(t *testing.T) {
	adopted := func(t *testing.T, o rig.Options, faults handovertest.HookFault, test func(r *rig.Rig, conv *handovertest.Conversation)) {
		rig.Bubble(t, o, func(r *rig.Rig) {
			conv := r.Opened()
			conv.Operator("Ann").Say("old words")
			r.After(time.Minute)
			require.NoError(t, r.H.Forget(context.Background(), r.Conv))
			r.Crisp.SetHookFaults(func(i handovertest.HookInfo) (f handovertest.HookFault) {
				if i.Event == "message:send" {
					f = faults
				}
				return f
			})
			r.Lags(30 * time.Second)
			require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{CrispID: conv.ID()}))
			r.Saw()
			test(r, conv)
		})
	}
	t.Run("after an agent's message", func(t *testing.T) {
		adopted(t, rig.Options{}, handovertest.HookFault{Drop: true}, func(r *rig.Rig, conv *handovertest.Conversation) {
			conv.Operator("Ann").Say("new words")
			r.After(15 * time.Minute)
			require.Equal(t, []string{"agent Ann: new words"}, r.AgentLines())
			require.Equal(t, handover.StateActive, r.Session().State)
		})
	})
	t.Run("after the end", func(t *testing.T) {
		adopted(t, rig.Options{}, handovertest.HookFault{Delay: 2 * time.Second}, func(r *rig.Rig, conv *handovertest.Conversation) {
			require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
			r.After(time.Minute)
			conv.Operator("Ann").Say("new words")
			r.After(time.Minute)
			require.Equal(t, []string{"agent Ann: new words"}, r.AgentLines())
			require.Equal(t, handover.StateActive, r.Session().State)
		})
	})
	t.Run("after the end, and after catch-up has looked", func(t *testing.T) {
		adopted(t, rig.OftenListed, handovertest.HookFault{Delay: 29 * time.Second}, func(r *rig.Rig, conv *handovertest.Conversation) {
			require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
			conv.Operator("Ann").Say("new words")
			r.After(2 * time.Minute)
			require.Equal(t, []string{"agent Ann: new words"}, r.AgentLines())
			require.Equal(t, handover.StateActive, r.Session().State)
		})
	})
}

// An agent resolves while a handover opens in their conversation, and the opening fails: what they still write
// there is shown, and is no takeover.
func TestAResolveDuringAnOpeningThatFails(t *testing.T) {
	for name, kind := range map[string]handovertest.HookKind{"a plugin's hooks": handovertest.PluginHooks, "a website's hooks": handovertest.WebsiteHooks} {
		t.Run(name, func(t *testing.T) {
			o := rig.Options{Crisp: handovertest.Options{Hooks: kind}, Config: func(r *rig.Rig, c *handover.Config) {
				c.Webhook.URLKeys = r.HookKeys()
			}}
			ended(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				r.After(time.Minute)
				r.Saw()
				opens := func() {
					r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteSend, Status: 404, For: time.Minute})
					turn, err := r.Receive(handover.Incoming{Text: "me again"})
					require.NoError(t, err)
					go func() { _, _ = r.H.Start(context.Background(), turn, handover.Request{}) }()
					r.After(10 * time.Second)
					require.Equal(t, handover.StateOpening, r.Session().State)
				}
				opens()
				ann.Resolve()
				r.After(2 * time.Minute)
				require.Equal(t, handover.EndOpenFailed, r.Ends()[1].Reason)
				r.Saw()
				ann.Say("goodbye")
				r.After(time.Minute)
				require.Equal(t, []string{"agent Ann: goodbye"}, rig.AgentsIn(r.Saw()))
				require.Equal(t, handover.StateBot, r.Session().State)
				ann.Reopen()
				ann.Say("one more thing")
				r.After(time.Minute)
				require.Equal(t, handover.StateActive, r.Session().State)
			})
		})
	}
}

// With a token that is revoked hooks are taken at their word, and the conversation ends like any other.
// What hooks do not say is sought for Timeouts.Late.
func TestAConversationThatCanNeverBeReadAgain(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Late = time.Hour }}
	for name, more := range map[string]func(r *rig.Rig, ann *handovertest.Operator){
		"":                        func(*rig.Rig, *handovertest.Operator) {},
		", with a hook too large": func(_ *rig.Rig, ann *handovertest.Operator) { ann.Say(strings.Repeat("a", 70_000)) },
		", with an edit of what is not known": func(r *rig.Rig, ann *handovertest.Operator) {
			r.Crisp.SetHookFaults(rig.DropHooks)
			fp := ann.Note("for the team")
			r.Crisp.Settle()
			r.Crisp.SetHookFaults(nil)
			ann.Edit(fp, "for the team alone")
		},
	} {
		t.Run("for good"+name, func(t *testing.T) {
			rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				r.After(time.Minute)
				r.Crisp.SetFaults(func(handovertest.CallInfo) handovertest.Fault { return handovertest.Fault{Status: 401} })
				ann.Say("bye")
				r.Crisp.Settle()
				more(r, ann)
				ann.Resolve()
				r.After(10 * time.Minute)
				require.Equal(t, []string{"agent Ann: bye"}, r.AgentLines())
				require.Equal(t, handover.EndResolved, r.Ends()[0].Reason)
				r.After(time.Hour)
				calls := conv.CountCalls("")
				r.After(time.Hour)
				require.Equal(t, calls, conv.CountCalls(""))
				require.Zero(t, r.Record().Version)
			})
		})
	}
}

// A signed hook that tells of a resolved state, without a time, is taken at its word where the state cannot
// be read, whatever the answer is.
func TestAResolveWhoseStateCannotBeRead(t *testing.T) {
	for name, f := range map[string]handovertest.Fault{
		"403": {Status: 403, Reason: "not_allowed"}, "400": {Status: 400}, "500": {Status: 500},
		"HTML": {Status: 200, Body: handovertest.BodyHTML}, "data of another shape": {Status: 200, Body: handovertest.BodyOther},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
				r.After(10 * time.Second)
				f.Route = handovertest.RouteConversation
				r.Crisp.Fail(handovertest.Always, f)
				r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault {
					return handovertest.HookFault{Rewrite: handovertest.WithoutTime}
				})
				ann.Resolve()
				r.After(3 * time.Minute)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Equal(t, handover.EndResolved, r.Ends()[0].Reason)
			})
		})
	}
}

// Where no read may tell the state, and the hook of the end is lost, the list of conversations is taken at its word,
// unless something was written since.
func TestTheListTellsOfAnEndThatCannotBeRead(t *testing.T) {
	for name, reopened := range map[string]bool{"it ended": false, "the user wrote again": true} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				r.After(time.Minute)
				r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
					return handovertest.HookFault{Drop: i.Event == "session:set_state"}
				})
				r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteConversation, Status: 403, Reason: "not_allowed"})
				ann.Say("that is all")
				ann.Resolve()
				if reopened {
					r.After(time.Minute)
					require.False(t, r.Says("one more thing").Bot)
				}
				r.After(30 * time.Minute)
				if reopened {
					require.Equal(t, handover.StateActive, r.Session().State)
					return
				}
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Equal(t, handover.EndResolved, r.Ends()[0].Reason)
			})
		})
	}
}

// TestAnAnswerFromACacheAndMoreMessages: while Crisp's answer to whether a conversation is open again is older than what was
// written there, Crisp is asked now and then, whatever else was written.
func TestAnAnswerFromACacheAndMoreMessages(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.After(15 * time.Minute)
		r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: true} })
		var reads atomic.Int64
		r.Crisp.SetFaults(func(c handovertest.CallInfo) handovertest.Fault {
			switch c.Route {
			case handovertest.RouteConversation:
				return handovertest.Fault{Stale: 10 * time.Minute}
			case handovertest.RouteMessages:
				if reads.Add(1) > 100 {
					return handovertest.Fault{Delay: time.Second} // else it would go on for ever
				}
			}
			return handovertest.Fault{}
		})
		ann.Reopen()
		ann.Say("one")
		ann.Say("two")
		r.After(20 * time.Minute)
		require.Less(r.T, reads.Load(), int64(30))
		require.Equal(r.T, []string{"agent Ann: one", "agent Ann: two"}, rig.Unlate(r.AgentLines()))
	})
}
