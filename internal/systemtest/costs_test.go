package systemtest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// TestCostsInCalls counts the calls of each action, and finds the same numbers in docs/costs.md.
func TestCostsInCalls(t *testing.T) {
	costs := map[string]int{}
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		last := 0
		cost := func() int {
			r.Crisp.Settle()
			all := r.Crisp.CountCalls("")
			defer func() { last = all }()
			return all - last
		}
		r.Says("hello")
		require.Zero(t, cost(), "the bot's own talk")
		_, err := r.H.Available(context.Background(), r.Conv)
		require.NoError(t, err)
		costs["ask who is there"] = cost()
		r.Asks(handover.Request{Segments: []string{"Customer"}, User: handover.UserData{Email: "a@example.com"}})
		costs["open"] = cost()
		ann := r.Crisp.Last().Operator("Ann")
		r.Says("my parcel is late")
		costs["message of the user"] = cost()
		edit := handover.Incoming{Conversation: r.Conv, ID: fmt.Sprintf("m%d", r.Sent), Text: "my parcel is too late"}
		edit.Edits = edit.ID
		_, err = r.Receive(edit)
		require.NoError(t, err)
		costs["edit by the user"] = cost()
		said := ann.Say("I look for it")
		costs["message of an agent"] = cost()
		ann.Note("not for the user")
		costs["note or edit by an agent"] = cost()
		ann.Edit(said, "I look for your parcel")
		require.Equal(t, costs["note or edit by an agent"], cost())
		ann.Picker("Which one?", "the blue", "the red")
		require.Equal(t, costs["message of an agent"], cost())
		r.Says("the red")
		costs["answer to a picker"] = cost()
		ann.Resolve()
		costs["resolved by an agent"] = cost()
		r.Asks(handover.Request{Segments: []string{"Customer"}})
		costs["open again soon after"] = cost()
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		costs["ended by the host"] = cost()
	})
	for action, n := range costs {
		inDocs(t, action, n)
	}
}

// inDocs finds a row of the table of costs.
func inDocs(t *testing.T, action string, calls int) {
	doc, err := os.ReadFile("../../docs/costs.md")
	require.NoError(t, err)
	row := fmt.Sprintf("\n| %s | %d |", action, calls)
	require.True(t, strings.Contains(string(doc), row), "docs/costs.md must have %q", row)
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
			rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy = tt.policy }}, func(r *rig.Rig) {
				conv := r.Opened()
				r.After(time.Minute) // what Run does at its start is done
				calls := r.Crisp.Tally()
				conv.Operator("Ann").Say("I look for it")
				r.Crisp.Settle()
				require.Equal(t, tt.calls, calls.Count(""), "%v", calls.Routes())
			})
		})
	}
}

// TestCostsOverTime counts the calls of what goes on for a while, with all hooks, without catch-up's
// share, and finds the same numbers in docs/costs.md.
func TestCostsOverTime(t *testing.T) {
	pairs := func(n int, every time.Duration) func(r *rig.Rig, ann *handovertest.Operator) {
		return func(r *rig.Rig, ann *handovertest.Operator) {
			for i := range n {
				r.Says(fmt.Sprint("question ", i))
				time.Sleep(every / 2)
				ann.Say(fmt.Sprint("answer ", i))
				r.After(every / 2)
			}
		}
	}
	for _, tt := range []struct {
		row    string
		calls  int // per
		per    int
		happen func(r *rig.Rig, ann *handovertest.Operator)
	}{
		{"a message each way, every 5 s", 4, 60, pairs(60, 5*time.Second)},
		{"a message each way, every minute", 4, 60, pairs(60, time.Minute)},
		{"a message each way, in a talk of 1,000", 4, 500, pairs(500, 5*time.Second)},
		{"an assignment", 0, 1, func(r *rig.Rig, ann *handovertest.Operator) { ann.Assign(); r.After(time.Minute) }},
	} {
		t.Run(tt.row, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				ann := r.Opened().Operator("Ann")
				ann.Say("hello")
				r.After(time.Minute)
				tally := r.Crisp.Tally()
				tt.happen(r, ann)
				calls := tally.Count("") - tally.Count(handovertest.RouteList)
				t.Logf("%s: %.2f calls (%v)", tt.row, float64(calls)/float64(tt.per), tally.Routes())
				require.LessOrEqual(t, calls, tt.calls*tt.per+tally.Count(handovertest.RouteList), "and one where catch-up finds that the user wrote last")
				inDocs(t, tt.row, tt.calls)
			})
		})
	}
}

func TestCostsOfWaitingInVain(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Opened()
		tally := r.Crisp.Tally()
		r.After(15 * time.Minute)
		require.Equal(t, handover.StateBot, r.Session().State)
		calls := tally.Count("") - tally.Count(handovertest.RouteList)
		t.Logf("waiting in vain: %d calls (%v)", calls, tally.Routes())
		inDocs(t, "waiting in vain", calls)
	})
}
