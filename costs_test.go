package handover_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// TestCostsInCalls counts the calls of each action, and finds the same numbers in README.md.
func TestCostsInCalls(t *testing.T) {
	costs := map[string]int{}
	bubble(t, options{}, func(r *rig) {
		last := 0
		cost := func() int {
			r.crisp.Settle()
			all := r.crisp.CountCalls("")
			defer func() { last = all }()
			return all - last
		}
		r.says("hello")
		require.Zero(t, cost(), "the bot's own talk")
		_, err := r.h.Available(context.Background(), r.conv)
		require.NoError(t, err)
		costs["ask who is there"] = cost()
		r.asks(handover.Request{Segments: []string{"Customer"}, User: handover.UserData{Email: "a@example.com"}})
		costs["open"] = cost()
		ann := r.crisp.Last().Operator("Ann")
		r.says("my parcel is late")
		costs["message of the user"] = cost()
		said := ann.Say("I look for it")
		costs["message of an agent"] = cost()
		ann.Note("not for the user")
		costs["note or edit by an agent"] = cost()
		ann.Edit(said, "I look for your parcel")
		require.Equal(t, costs["note or edit by an agent"], cost())
		ann.Picker("Which one?", "the blue", "the red")
		require.Equal(t, costs["message of an agent"], cost())
		r.says("the red")
		costs["answer to a picker"] = cost()
		ann.Resolve()
		costs["resolved by an agent"] = cost()
		r.asks(handover.Request{Segments: []string{"Customer"}})
		costs["open again soon after"] = cost()
		require.NoError(t, r.h.End(context.Background(), r.conv, handover.EndOptions{}))
		costs["ended by the host"] = cost()
	})
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for action, n := range costs {
		row := fmt.Sprintf("\n| %s | %d |", action, n)
		require.True(t, strings.Contains(string(readme), row), "README.md must have %q", row)
	}
}

func TestCostsOfAMessageByPolicy(t *testing.T) {
	for name, tt := range map[string]struct {
		policy handover.Policy
		calls  int
	}{
		"by default":    {handover.Policy{}, 3},
		"without marks": {handover.Policy{NoMarks: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, options{config: func(_ *rig, c *handover.Config) { c.Policy = tt.policy }}, func(r *rig) {
				conv := r.opened()
				before := r.crisp.CountCalls("")
				conv.Operator("Ann").Say("I look for it")
				r.crisp.Settle()
				require.Equal(t, tt.calls, r.crisp.CountCalls("")-before)
			})
		})
	}
}
