package scenarios

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

// lateWord is a store whose caller hears late of one save, after those that others make meanwhile.
type lateWord struct {
	handover.Store
	next atomic.Bool
}

func (s *lateWord) Save(ctx context.Context, r handover.Record) (int64, error) {
	late := s.next.CompareAndSwap(true, false)
	version, err := s.Store.Save(ctx, r)
	if late {
		time.Sleep(300 * time.Millisecond)
	}
	return version, err
}

// TestASaveThatIsToldLate has a message of the user saved, and heard of only after a later save:
// whoever waits since then is not told how things were before.
func TestASaveThatIsToldLate(t *testing.T) {
	for name, row := range map[string]struct {
		slow string // the call to Crisp that takes long
		open bool   // a handover runs
		test func(r *rig.Rig, turn handover.Turn)
	}{
		"Reply": {handovertest.RouteSend, true, func(r *rig.Rig, _ handover.Turn) {
			require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
			turn, err := r.Receive(handover.Incoming{Text: "bot?"})
			require.NoError(r.T, err)
			require.NoError(r.T, r.H.Reply(r.T.Context(), turn, func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Second):
					return nil
				}
			}), "nobody took over")
		}},
		"Start": {handovertest.RouteCreate, false, func(r *rig.Rig, turn handover.Turn) {
			outcome, err := r.H.Start(r.T.Context(), turn, handover.Request{})
			require.NoError(r.T, err)
			require.Equal(r.T, handover.OutcomeOpened, outcome)
		}},
		"Receive": {handovertest.RouteSend, true, func(r *rig.Rig, _ handover.Turn) {
			_, err := r.Receive(handover.Incoming{Text: "and this"})
			require.NoError(r.T, err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			store := new(lateWord)
			rig.Bubble(t, rig.Options{Config: func(r *rig.Rig, c *handover.Config) { store.Store, c.Store = r.Store, store }}, func(r *rig.Rig) {
				turn, err := r.Receive(handover.Incoming{Text: "help"})
				require.NoError(t, err)
				if row.open {
					_, err = r.H.Start(r.T.Context(), turn, handover.Request{})
					require.NoError(t, err)
				}
				r.Crisp.Settle()
				r.Crisp.Fail(2, handovertest.Fault{Route: row.slow, Delay: 2 * time.Second})
				store.next.Store(true)
				heard := make(chan struct{})
				go func() {
					defer close(heard)
					_, _ = r.H.Receive(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "late", Text: "please"})
				}()
				time.Sleep(10 * time.Millisecond)
				row.test(r, turn)
				<-heard
			})
		})
	}
}

// deafStore is a store of which one Load is never answered.
type deafStore struct {
	handover.Store
	loads atomic.Int64 // that still answer
	hang  atomic.Int64 // that then do not
}

func (s *deafStore) Load(ctx context.Context, key string) (handover.Record, error) {
	if !strings.HasPrefix(key, "website/") && s.loads.Add(-1) < 0 && s.hang.Add(-1) >= 0 {
		<-ctx.Done()
		return handover.Record{}, ctx.Err()
	}
	return s.Store.Load(ctx, key)
}

// A message whose Receive waits on a store that does not answer is taken all the same, and the caller
// is told in time, whatever its own context allows.
func TestAWaitIsNoLongerThanTheStoreMayTake(t *testing.T) {
	store := new(deafStore)
	rig.Bubble(t, rig.Options{Config: func(r *rig.Rig, c *handover.Config) { store.Store, c.Store = r.Store, store }}, func(r *rig.Rig) {
		conv := r.Opened()
		mend := r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteSend, Status: 500})
		store.loads.Store(1)
		store.hang.Store(1000) // the wait and the work
		time.AfterFunc(24*time.Second, func() { store.hang.Store(0) })
		begun := time.Now()
		_, err := r.H.Receive(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "hi", Text: "hi"})
		require.Error(t, err)
		require.Equal(t, 25*time.Second, time.Since(begun), "a pause, and 20 s for the store")
		mend()
		r.After(time.Minute)
		require.Contains(t, rig.UserTexts(conv), "hi")
	})
}
