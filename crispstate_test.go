package handover_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// resolves ends the handover and has it resolved in Crisp.
func (r *rig) resolves() {
	r.t.Helper()
	require.NoError(r.t, r.h.End(context.Background(), r.conv, handover.EndOptions{Resolve: true}))
}

// The hook of our own resolve may be lost. An agent's resolve half a minute later, of a conversation
// that was reopened, is not its echo.
func TestAnAgentsResolveIsNotTakenForOurs(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		conv := r.opened()
		lost := true
		r.crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			drop := lost && i.Event == "session:set_state"
			lost = lost && !drop
			return handovertest.HookFault{Drop: drop}
		})
		r.resolves()
		r.after(5 * time.Second)
		require.False(t, lost)
		ann := conv.Operator("Ann")
		ann.Reopen()
		r.after(time.Second)
		ann.Say("One more thing")
		r.after(5 * time.Second)
		require.Equal(t, handover.StateActive, r.session().State)
		r.after(15 * time.Second)
		ann.Resolve()
		r.after(5 * time.Second)
		require.Equal(t, handover.StateBot, r.session().State)
	})
}

// A resolve that did not pass yet is not for the handover that begins meanwhile, nor in its way.
func TestAResolveThatFailsClosesNoNewHandover(t *testing.T) {
	says := func(_ *rig, conv *handovertest.Conversation) { conv.Operator("Ann").Say("One more thing") }
	asks := func(r *rig, _ *handovertest.Conversation) { r.opened() }
	down := handovertest.Fault{Route: handovertest.RoutePatchState, Status: 503}
	forbidden := handovertest.Fault{Route: handovertest.RoutePatchState, Status: 403, Reason: "token_scope_forbidden"}
	for name, tt := range map[string]struct {
		times  int
		fault  handovertest.Fault
		begins func(*rig, *handovertest.Conversation)
		reopen time.Duration
	}{
		"an agent takes over":                 {3, down, says, 0},
		"the user asks again":                 {3, down, asks, 0},
		"the user asks again, without scopes": {100, forbidden, asks, 0},
		"in a conversation of its own":        {100, forbidden, asks, -1},
	} {
		t.Run(name, func(t *testing.T) {
			config := func(_ *rig, c *handover.Config) { c.Timeouts.Reopen = tt.reopen }
			bubble(t, options{config: config}, func(r *rig) {
				conv := r.opened()
				r.crisp.Fail(tt.times, tt.fault)
				r.resolves()
				r.after(time.Second / 2)
				tt.begins(r, conv)
				r.after(5 * time.Minute)
				require.NotEqual(t, "resolved", conv.State())
				require.NotEqual(t, handover.StateBot, r.session().State)
			})
		})
	}
}

// Reads may be older than the conversation: while its metas are merged, only what changes it tells
// that it is gone.
func TestMetasThatAStaleReadDoesNotFind(t *testing.T) {
	reopens := func(t *testing.T, before func(*rig, *handovertest.Conversation), want handover.Outcome) {
		bubble(t, options{}, func(r *rig) {
			conv := r.opened()
			conv.Operator("Ann").Resolve()
			r.after(time.Second)
			before(r, conv)
			require.Equal(t, want, r.asks(handover.Request{Segments: []string{"again"}}))
			if want != handover.Opened {
				require.Equal(t, handover.Opened, r.asks(handover.Request{}), "in a new conversation")
			}
		})
	}
	t.Run("it is there", func(t *testing.T) {
		reopens(t, func(r *rig, _ *handovertest.Conversation) {
			for _, route := range []string{handovertest.RouteMeta, handovertest.RouteConversation} {
				r.crisp.Fail(1, handovertest.Fault{Route: route, Status: 404})
			}
		}, handover.Opened)
	})
	t.Run("it is gone", func(t *testing.T) {
		reopens(t, func(r *rig, conv *handovertest.Conversation) {
			r.crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: true} })
			conv.Remove()
		}, handover.OpenFailed)
	})
}
