package systemtest

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// mortal is a process's store and network, which fail once it is dead.
type mortal struct {
	handover.Store
	network http.RoundTripper
	dead    atomic.Bool
}

func (m *mortal) Save(ctx context.Context, rec handover.Record) (int64, error) {
	if m.dead.Load() {
		return 0, errKilled
	}
	return m.Store.Save(ctx, rec)
}

// RoundTrip dies in the middle of a call.
func (m *mortal) RoundTrip(q *http.Request) (*http.Response, error) {
	resp, err := m.network.RoundTrip(q)
	if q.Method == http.MethodPost {
		m.dead.Store(true)
	}
	if m.dead.Load() {
		return nil, errKilled
	}
	return resp, err
}

// dropHooks has no further hook arrive.
func dropHooks(r *rig.Rig) {
	r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: true} })
}

// The post that a process died in goes on in another one, also while the channel repeats the message
// there all the time.
func TestPostOfADeadProcessGoesOnWhileTheUserWrites(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.After(time.Minute)
		dropHooks(r)
		second := r.Replica(rig.Options{Still: true, Config: func(r *rig.Rig, c *handover.Config) {
			m := &mortal{Store: c.Store, network: c.HTTPClient.Transport}
			c.Store, c.HTTPClient = m, &http.Client{Transport: m}
		}})
		says := func(h *handover.Handover) error {
			ctx, cancel := context.WithTimeout(r.T.Context(), 10*time.Second)
			defer cancel()
			_, err := h.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: "last words", Text: "last words"})
			return err
		}
		require.Error(r.T, says(second))
		begun := time.Now()
		for says(r.H) != nil {
			require.Less(r.T, time.Since(begun), 90*time.Second)
		}
		require.Equal(r.T, 1, len(rig.UserTexts(conv))-1, "the opening message, and the user's once")
	})
}

// An end that catch-up finds is found although the state cannot be read at first.
func TestResolvedIsFoundThoughTheStateCannotBeRead(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Say("hello")
		r.After(time.Minute)
		dropHooks(r)
		r.Crisp.Fail(2, handovertest.Fault{Route: handovertest.RouteConversation, Status: http.StatusServiceUnavailable})
		conv.Operator("Ann").Resolve()
		r.After(10 * time.Minute)
		require.Equal(r.T, handover.StateBot, r.Session().State)
	})
}
