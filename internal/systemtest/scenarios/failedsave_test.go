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
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// failsOnce is a store that says of one save of a conversation that it failed.
type failsOnce struct {
	handover.Store
	left   atomic.Int64 // saves until then; 0: never
	stored bool         // it was stored all the same
}

// Save is the store's.
func (s *failsOnce) Save(ctx context.Context, r handover.Record) (int64, error) {
	if strings.HasPrefix(r.Key, "website/") || s.left.Load() == 0 || s.left.Add(-1) > 0 {
		return s.Store.Save(ctx, r)
	}
	if s.stored {
		if _, err := s.Store.Save(ctx, r); err != nil {
			return 0, err
		}
	}
	return 0, rig.ErrStoreDown
}

// handlesUntilTaken is a channel that repeats a message until Handle takes it.
func handlesUntilTaken(r *rig.Rig, text string) {
	r.Sent++
	m := handover.Incoming{Conversation: r.Conv, ID: fmt.Sprint("m", r.Sent), Text: text}
	for r.H.Handle(context.Background(), m) != nil {
		time.Sleep(100 * time.Millisecond)
	}
}

// One save that fails, wherever it is, and whether it was stored or not, costs seconds, and not the time that a claim of a
// process holds which has died.
func TestAFailedSaveCostsSeconds(t *testing.T) {
	for what, act := range map[string]struct {
		active bool // an agent has the conversation
		do     func(r *rig.Rig) (done func() bool)
	}{
		"the bot answers": {false, func(r *rig.Rig) func() bool {
			handlesUntilTaken(r, "hi")
			return func() bool { return r.Lines() != nil }
		}},
		"a human is asked for": {false, func(r *rig.Rig) func() bool {
			handlesUntilTaken(r, "a human")
			return func() bool { return r.Session().State == handover.StateWaiting && len(r.Lines()) == 2 }
		}},
		"the user writes to the agent": {true, func(r *rig.Rig) func() bool {
			handlesUntilTaken(r, "to the agent")
			return func() bool { return strings.Contains(strings.Join(rig.UserTexts(r.Crisp.Last()), ","), "to the agent") }
		}},
		"the agent writes": {true, func(r *rig.Rig) func() bool {
			r.Crisp.Last().Operator("Ann").Say("to the user")
			return func() bool { return len(r.AgentLines()) == 1 }
		}},
		"the agent resolves": {true, func(r *rig.Rig) func() bool {
			r.Crisp.Last().Operator("Ann").Resolve()
			return func() bool { return len(r.Ends()) == 1 }
		}},
	} {
		for n := int64(1); n <= 8; n++ {
			for _, stored := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, save %d, stored %v", what, n, stored), func(t *testing.T) {
					s := &failsOnce{stored: stored}
					o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
						s.Store, c.Store = r.Store, s
					}}
					rig.Managed(t, o, func(r *rig.Rig, _ *rig.Brain) {
						if act.active {
							handlesUntilTaken(r, "a human")
							r.After(time.Second)
							r.Crisp.Last().Operator("Ann").Say("Hello")
						}
						r.After(10 * time.Second)
						r.Saw()
						begun := time.Now()
						s.left.Store(n)
						done := act.do(r)
						for !done() {
							time.Sleep(100 * time.Millisecond)
							require.Less(r.T, time.Since(begun), 15*time.Second)
						}
					})
				})
			}
		}
	}
}
