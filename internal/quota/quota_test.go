package quota_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/quota"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// rows are the talks of the table in docs/scale.md.
var rows = []struct {
	name string
	talk quota.Talk
}{
	{"2 messages each way", quota.Talk{User: 2, Agent: 2}},
	{"5 messages each way", quota.Talk{User: 5, Agent: 5}},
	{"10 messages each way", quota.Talk{User: 10, Agent: 10}},
	{"10 messages each way, with a note", quota.Talk{User: 10, Agent: 10, Note: true}},
	{"10 messages each way, `Policy.NoMarks`", quota.Talk{User: 10, Agent: 10, NoMarks: true}},
	{"30 messages each way", quota.Talk{User: 30, Agent: 30}},
	{"30 messages each way, `Policy.NoMarks`", quota.Talk{User: 30, Agent: 30, NoMarks: true}},
}

// TestCallsOfATalk has the library do each talk on the fake, and counts.
func TestCallsOfATalk(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			policy := func(_ *rig.Rig, c *handover.Config) { c.Policy.NoMarks = row.talk.NoMarks }
			rig.Bubble(t, rig.Options{Config: policy}, func(r *rig.Rig) {
				r.Says("hello")
				r.After(time.Minute) // what Run does at its start is done
				_, err := r.H.Available(r.T.Context(), r.Conv)
				require.NoError(t, err)
				r.Crisp.Settle()
				calls := r.Crisp.Tally()
				request := handover.Request{User: handover.UserData{Email: "a@example.com"}}
				if row.talk.Note {
					request.Note = "The parcel is late."
				}
				r.Asks(request)
				r.Crisp.Settle()
				ann := r.Crisp.Last().Operator("Ann")
				for i := range max(row.talk.User, row.talk.Agent) {
					if i < row.talk.User {
						r.Says(fmt.Sprint("question ", i))
						r.Crisp.Settle()
					}
					if i < row.talk.Agent {
						ann.Say(fmt.Sprint("answer ", i))
						r.Crisp.Settle()
					}
				}
				ann.Resolve()
				r.Crisp.Settle()
				require.Equal(t, row.talk.Calls(), calls.Count(""), "%v", calls.Routes())
			})
		})
	}
}

// TestTable finds the table in docs/scale.md.
func TestTable(t *testing.T) {
	doc, err := os.ReadFile("../../docs/scale.md")
	require.NoError(t, err)
	for _, row := range rows {
		require.Contains(t, string(doc), fmt.Sprintf("\n| %s | %d | %d | %d | %d |\n", row.name, row.talk.Calls(),
			row.talk.Talks(quota.Plugin), row.talk.Talks(quota.Website), row.talk.Needs(1_000)))
	}
}

func TestNeeds(t *testing.T) {
	talk := quota.Talk{User: 10, Agent: 10}
	needs := talk.Needs(1_000)
	require.GreaterOrEqual(t, talk.Talks(needs), 1_000)
	require.Less(t, talk.Talks(needs-talk.Calls()*2), 1_000)
}
