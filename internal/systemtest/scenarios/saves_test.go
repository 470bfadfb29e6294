package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// TestSavesOfAMessage counts the saves that docs/architecture.md tells of.
func TestSavesOfAMessage(t *testing.T) {
	for _, tt := range []struct {
		name        string
		policy      handover.Policy
		agent, user int64
	}{
		{"with marks", handover.Policy{}, 3, 2},
		{"without marks", handover.Policy{NoMarks: true}, 3, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var store *rig.Counted
			config := func(r *rig.Rig, c *handover.Config) {
				store = &rig.Counted{Store: c.Store}
				c.Store, c.Policy = store, tt.policy
			}
			rig.Active(t, rig.Options{Config: config}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				r.Crisp.Settle()
				store.Saves.Store(0)
				ann.Say("I look for it")
				r.Crisp.Settle()
				require.Equal(t, tt.agent, store.Saves.Swap(0), "a message of an agent")

				held := conv.HoldHooks() // the echo comes later
				turn, err := r.Receive(handover.Incoming{Text: "thank you"})
				require.NoError(t, err)
				require.False(t, turn.Bot)
				require.Equal(t, tt.user, store.Saves.Load(), "a message of the user")
				held.Release()
			})
		})
	}
}
