package handover_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

func TestAdoptedConversationKeepsWhatItHas(t *testing.T) {
	for name, echo := range map[string]bool{"with the opening's echo": true, "without it": false} {
		t.Run(name, func(t *testing.T) { adopted(t, echo) })
	}
}

func adopted(t *testing.T, echo bool) {
	bubble(t, options{}, func(r *rig) {
		conv := r.opened()
		conv.Operator("Ann").Say("long before")
		old := conv.Operator("Ann").Say("before")
		r.crisp.Settle()
		require.NoError(t, r.h.Forget(r.t.Context(), r.conv))
		r.saw()
		r.conv.ID = "user-2"
		r.crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Drop: !echo && i.Event == "message:send"}
		})
		require.Equal(t, handover.Opened, r.asks(handover.Request{CrispID: conv.ID(), Segments: []string{"new"}, User: handover.UserData{Data: map[string]any{"plan": "pro"}}}))
		require.Len(t, r.crisp.Conversations(), 1)
		conv.Operator("Ann").Edit(old, "before, edited")
		conv.Operator("Ann").Remove(old)
		r.after(time.Minute)
		require.Empty(t, agentsIn(r.saw()), "what was written before stays unshown, edits of it too")
		require.Equal(t, handover.StateWaiting, r.session().State)
		r.says("hello")
		conv.Operator("Ann").Say("after")
		require.Equal(t, []string{"agent Ann: after"}, agentsIn(r.saw()))
		conv.Operator("Ann").Resolve()
		r.crisp.Settle()
		require.Len(t, r.allEnds()[0].Messages, 2)
	})
}

// opensSlowly has the user ask for a human, and the opening wait at a route.
func (r *rig) opensSlowly(req handover.Request, route string) {
	r.t.Helper()
	r.crisp.Fail(1, handovertest.Fault{Route: route, Delay: 5 * time.Second})
	turn, err := r.receive(handover.Incoming{Text: "me again"})
	require.NoError(r.t, err)
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
	defer cancel()
	_, err = r.h.Start(ctx, turn, req)
	require.ErrorIs(r.t, err, context.DeadlineExceeded)
	require.Equal(r.t, handover.StateOpening, r.session().State)
}

func TestAdoptedConversationGoesOnWhenItsOpeningIsAbandoned(t *testing.T) {
	for name, again := range map[string]bool{"at once": false, "when it is used again": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, options{}, func(r *rig) {
				conv := r.opened()
				require.NoError(t, r.h.Forget(r.t.Context(), r.conv))
				req := handover.Request{CrispID: conv.ID()}
				if again {
					require.Equal(t, handover.Opened, r.asks(req))
					require.NoError(t, r.h.End(r.t.Context(), r.conv, handover.EndOptions{}))
					req.CrispID = ""
				}
				r.opensSlowly(req, handovertest.RouteMeta)
				require.NoError(t, r.h.End(r.t.Context(), r.conv, handover.EndOptions{}))
				r.after(time.Minute)
				ends := r.allEnds()
				require.Equal(t, handover.EndHostEnded, ends[len(ends)-1].Reason)
				require.NotEqual(t, "resolved", conv.State(), "it is not the library's")
			})
		})
	}
}

// An opening message that passes although its opening was abandoned may be answered.
func TestAdoptedConversationWhoseOpeningPassesAfterTheEnd(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		conv := r.opened()
		conv.Operator("Ann").Say("old words")
		r.after(time.Minute)
		require.NoError(t, r.h.Forget(r.t.Context(), r.conv))
		r.opensSlowly(handover.Request{CrispID: conv.ID()}, handovertest.RouteSend)
		require.NoError(t, r.h.End(r.t.Context(), r.conv, handover.EndOptions{}))
		r.after(time.Minute)
		require.Len(t, userTexts(conv), 2)
		r.saw()
		conv.Operator("Ann").Say("new words")
		r.after(time.Minute)
		require.Equal(t, []string{"agent Ann: new words"}, r.agentLines())
	})
}

func TestAdoptedConversationThatIsTaken(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		conv := r.opened()
		r.conv.ID = "user-2"
		turn, err := r.receive(handover.Incoming{Text: "me too"})
		require.NoError(t, err)
		_, err = r.h.Start(r.t.Context(), turn, handover.Request{CrispID: conv.ID()})
		require.ErrorIs(t, err, handover.ErrTaken)
		require.Equal(t, handover.StateBot, r.session().State)
		require.NoError(t, r.reply(turn, "sorry"))
		require.Len(t, userTexts(conv), 1)
	})
}

func TestAdoptedConversationThatIsGone(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		require.Equal(t, handover.OpenFailed, r.asks(handover.Request{CrispID: "session_00000000-0000-4000-8000-000000000000"}))
		require.Equal(t, handover.StateBot, r.session().State)
		require.NotEmpty(t, r.saw())
		require.Empty(t, r.crisp.Conversations())
	})
}
