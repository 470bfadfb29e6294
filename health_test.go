package handover_test

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

func TestHealth(t *testing.T) {
	store := handovertest.NewBrittleStore(nil)
	rig.Bubble(t, rig.Options{Still: true, Config: func(_ *rig.Rig, c *handover.Config) { c.Store = store }}, func(r *rig.Rig) {
		calls := len(r.Crisp.Calls())
		h := r.H.Health()
		require.False(t, h.Running)
		require.Zero(t, h.LastPoll)
		require.Equal(t, handover.StoreHealth{}, h.Store)
		require.Equal(t, r.Crisp.WebsiteID(), h.Websites[0].ID)
		require.Zero(t, h.Websites[0].CaughtUp)
		require.Zero(t, h.Websites[0].Lag)
		require.Len(t, r.Crisp.Calls(), calls, "it costs no call")

		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.H.Run(ctx) }()
		_, ann := r.Greeted()
		r.After(10 * time.Minute)
		h = r.H.Health()
		require.True(t, h.Running)
		require.WithinDuration(t, h.At, h.LastPoll, 2*time.Second)
		w := h.Websites[0]
		require.WithinDuration(t, h.At.Add(-10*time.Minute), w.LastHook, time.Second)
		require.Less(t, h.At.Sub(w.CaughtUp), w.CatchUpEvery+time.Minute)
		require.Less(t, w.Lag, time.Minute)
		require.Zero(t, h.Queues["to_user"])
		require.Contains(t, h.Queues, "to_user")

		store.Break()
		begun := time.Now()
		r.After(5 * time.Second)
		h = r.H.Health()
		require.True(t, h.Store.Failing)
		require.WithinDuration(t, begun, h.Store.FailingSince, 2*time.Second)
		require.Positive(t, h.Store.Fails)
		require.Equal(t, "claim", h.Store.LastFaultAt)
		require.Less(t, h.LastPoll, h.Store.LastFault)
		store.Mend()
		r.After(2 * time.Second)
		require.False(t, r.H.Health().Store.Failing)
		require.NotZero(t, r.H.Health().Store.LastFault)

		ann.Say("goodbye")
		r.Crisp.Settle()
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
		require.NoError(t, r.H.Shutdown(context.Background()))
		h = r.H.Health()
		require.False(t, h.Running)
		require.True(t, h.ShutDown)
	})
	require.True(t, new(handover.Handover).Health().ShutDown)
}

// What one replica learns of a website the others know soon.
func TestHealthOfReplicas(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		other := r.Replica(rig.Options{})
		r.After(30 * time.Minute)
		for _, h := range []*handover.Handover{r.H, other} {
			health := h.Health()
			require.Less(t, health.Websites[0].Lag, 2*time.Minute)
		}
	})
}

func TestHealthWhileCrispIsNotCalled(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		require.False(t, r.H.Health().Websites[0].Held)
		r.Crisp.SetFaults(func(handovertest.CallInfo) handovertest.Fault {
			return handovertest.Fault{Status: http.StatusUnauthorized}
		})
		ann.Say("hello")
		r.After(time.Minute)
		w := r.H.Health().Websites[0]
		require.True(t, w.Held)
		require.Equal(t, http.StatusUnauthorized, w.HeldStatus)
		require.False(t, w.HeldUntil.IsZero())
	})
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.SetFaults(func(c handovertest.CallInfo) handovertest.Fault {
			if c.Route == handovertest.RouteList {
				return handovertest.Fault{Status: http.StatusForbidden}
			}
			return handovertest.Fault{}
		})
		r.After(10 * time.Minute)
		w := r.H.Health().Websites[0]
		require.False(t, w.Held)
		require.Equal(t, []string{"list conversations"}, w.HeldCalls)
		require.Zero(t, w.CaughtUp)
		require.InDelta(t, 10*time.Minute-w.CatchUpEvery, w.Lag, float64(time.Second))
	})
}
