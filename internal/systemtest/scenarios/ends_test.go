package scenarios

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestResolvedBeforeTheLastMessage(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			if i.Event == "message:received" {
				return handovertest.HookFault{Delay: 3 * time.Second}
			}
			return handovertest.HookFault{}
		})
		ann.Say("bye")
		ann.Resolve()
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: bye", "system: This conversation was closed. You are talking with the bot again."}, r.Saw())
	})
}

func TestLateMessageAfterTheEnd(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("nearly done")
		ann.Resolve()
		r.Crisp.Settle()
		r.Saw()
		ann.SayLate("what I wrote just before", 5*time.Second)
		require.Equal(t, []string{"agent Ann (late): what I wrote just before"}, r.Saw())
		require.Equal(t, handover.StateBot, r.Session().State, "older than the end: no takeover")
		r.After(time.Minute)
		ann.Reopen()
		ann.Say("one more thing")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: one more thing"}, r.Saw())
		require.Equal(t, handover.StateActive, r.Session().State, "newer than the end: takeover")
		require.False(t, r.Says("yes?").Bot)
	})
}

func TestTakeoverCanBeOff(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.NoTakeover = true }}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.Crisp.Settle()
		r.Saw()
		ann.Say("one more thing")
		require.Equal(t, []string{"agent Ann: one more thing"}, r.Saw())
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

func TestReopenedNeverMutes(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.Crisp.Settle()
		ann.Reopen()
		conv.UserByEmail("an answer by mail")
		r.After(time.Minute)
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

func TestRemovedAndBlocked(t *testing.T) {
	for reason, act := range map[handover.EndReason]func(*handovertest.Conversation){
		handover.EndRemoved: func(c *handovertest.Conversation) { c.Remove() },
		handover.EndBlocked: func(c *handovertest.Conversation) { c.Block(true) },
	} {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			act(conv)
			r.After(time.Minute)
			require.Equal(t, handover.StateBot, r.Session().State)
			require.Equal(t, reason, r.Ends()[0].Reason)
			require.True(t, r.Says("hello").Bot)
			require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		})
	}
}

// What an agent wrote before the conversation was removed is shown, from its hook, though the log is
// gone. Nobody takes over there.
func TestRemovedBeforeTheMessageWasRead(t *testing.T) {
	for _, name := range []string{"read"} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
				r.Saw()
				r.Crisp.SetFaults(func(i handovertest.CallInfo) handovertest.Fault {
					return handovertest.Fault{Refuse: i.Route == handovertest.RouteSend}
				})
				turn, err := r.Receive(handover.Incoming{Text: "help"})
				require.NoError(t, err)
				go func() {
					_, _ = r.H.Start(context.Background(), turn, handover.Request{})
				}()
				r.After(time.Second)
				conv.Operator("Ann").Say("I am here")
				conv.Remove()
				r.After(time.Minute)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Equal(t, []string{"system: I am sorry, I could not reach anybody. You are talking with the bot again.", "agent Ann (late): I am here"}, r.Saw())
				require.Len(t, r.Ends(), 2)
			})
		})
	}
}

// TestConversationThatReadsDoNotFind has reads that say that the conversation is not there, as those
// do that are older than it. One alone ends nothing; they count when they go on for a minute.
func TestConversationThatReadsDoNotFind(t *testing.T) {
	missing := func(r *rig.Rig, n int) {
		for _, route := range []string{handovertest.RouteMessages, handovertest.RouteConversation} {
			r.Crisp.Fail(n, handovertest.Fault{Route: route, Status: http.StatusNotFound})
		}
	}
	t.Run("once", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			note := ann.Note("to myself")
			r.Crisp.Settle()
			missing(r, 1)
			ann.Edit(note, "to myself, edited")
			r.Crisp.Settle()
			ann.Say("still there")
			r.After(5 * time.Second)
			require.Equal(t, handover.StateActive, r.Session().State)
			require.Equal(t, []string{"agent Ann: still there"}, r.Saw())
		})
	})
	t.Run("for good", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			note := ann.Note("to myself")
			r.Crisp.Settle()
			missing(r, 1000)
			ann.Edit(note, "to myself, edited")
			r.After(50 * time.Second)
			require.Equal(t, handover.StateActive, r.Session().State)
			r.After(time.Minute)
			require.Equal(t, handover.EndRemoved, r.Ends()[0].Reason)
		})
	})
	t.Run("while a post is looked up", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, CutBefore: true})
			missing(r, 1)
			require.False(t, r.Says("are you there?").Bot)
			require.Equal(t, handover.StateActive, r.Session().State)
			require.Equal(t, "are you there?", conv.Messages()[len(conv.Messages())-1].Text())
		})
	})
}

func TestClaimOnAssign(t *testing.T) {
	for _, on := range []bool{false, true} {
		rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.ClaimOnAssign = on }}, func(r *rig.Rig) {
			conv := r.Opened()
			conv.Operator("Ann").Assign()
			r.Crisp.Settle()
			require.Equal(t, on, r.Session().State == handover.StateActive)
		})
	}
}
