package scenarios

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

// The store fails while a process shuts down whose callback has just shown a message. Nobody died: the process notes it once
// the store works again, and the next process does not show it again.
func TestShutdownNotesWhatWasDone(t *testing.T) {
	rig.Bubble(t, rig.Options{Config: rig.Slowly(3*time.Second, nil)}, func(r *rig.Rig) {
		ann := r.Opened().Operator("Ann")
		r.After(time.Minute)
		ann.Say("Which one?")
		time.Sleep(4 * time.Second) // 3 s of it the user is told that Ann has come
		require.Empty(t, r.AgentLines(), "it is on its way")
		r.Store.Fails(true)
		time.AfterFunc(10*time.Second, func() { r.Store.Fails(false) })
		require.NoError(t, r.H.Shutdown(r.T.Context()))
		require.Equal(t, []string{"agent Ann: Which one?"}, r.AgentLines())
		r.H = r.Replica(rig.Options{})
		r.After(5 * time.Minute)
		require.Equal(t, []string{"agent Ann: Which one?"}, r.AgentLines())
		require.Equal(t, handover.StateActive, r.Session().State)
	})
}

// cutOff is a store that cannot be reached at times.
type cutOff struct {
	handover.Store
	off atomic.Bool
}

func (s *cutOff) Load(ctx context.Context, key string) (handover.Record, error) {
	if s.off.Load() {
		return handover.Record{}, rig.ErrStoreDown
	}
	return s.Store.Load(ctx, key)
}

func (s *cutOff) Save(ctx context.Context, r handover.Record) (int64, error) {
	if s.off.Load() {
		return 0, rig.ErrStoreDown
	}
	return s.Store.Save(ctx, r)
}

// A process finds that Crisp does not have a message, and cannot say so: it is cut off from the store. Another one posts the
// message meanwhile, and does not hear whether Crisp has it. What the first one found does not count any more.
func TestAResultOfAnOlderAttempt(t *testing.T) {
	store := new(cutOff)
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		if store.Store == nil {
			store.Store, c.Store = r.Store, store
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.After(time.Minute)
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: http.StatusGatewayTimeout})
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteMessages, DelayAnswer: time.Second, Match: func(handovertest.CallInfo) bool {
			store.off.Store(true)
			return true
		}})
		ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
		defer cancel()
		_, err := r.H.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: "m", Text: "is it plugged in?"})
		require.ErrorIs(r.T, err, context.DeadlineExceeded)
		for i := 0; i < 60 && !store.off.Load(); i++ {
			time.Sleep(time.Second)
		}
		r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: true} })
		r.Replica(o)
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, CutAfter: true})
		for i := 0; i < 90 && len(rig.UserTexts(conv)) == 1; i++ {
			time.Sleep(time.Second)
		}
		store.off.Store(false)
		r.After(2 * time.Minute)
		require.Equal(r.T, []string{"Hi, this user need your help.", "is it plugged in?"}, rig.UserTexts(conv))
	})
}
