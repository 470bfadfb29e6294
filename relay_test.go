package handover_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// An outage that is over before Timeouts.Relay has passed ends no handover, however long the pauses have become.
func TestAnOutageThatEndsInTimeEndsNoHandover(t *testing.T) {
	for _, status := range []int{429, 420, 500, 502, 401, 403} {
		for _, outage := range []time.Duration{61 * time.Second, 75 * time.Second, 90 * time.Second, 105 * time.Second} {
			t.Run(fmt.Sprint(status, " for ", outage), func(t *testing.T) {
				active(t, options{}, func(r *rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
					r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: status, For: outage})
					_, err := r.Receive(handover.Incoming{Conversation: r.Conv, ID: "7", Text: "still there?"})
					require.NoError(t, err)
					r.After(5 * time.Minute)
					require.Equal(t, handover.StateActive, r.Session().State)
					require.Equal(t, []string{"still there?"}, texts(conv))
				})
			})
		}
	}
}

// Where Crisp tells how long to wait, nothing is called before, and the handover ends if that is too long.
func TestATimeThatCrispToldIsWaitedFor(t *testing.T) {
	active(t, options{}, func(r *rig, _ *handovertest.Conversation, _ *handovertest.Operator) {
		r.After(time.Minute)
		r.Crisp.Fail(1, handovertest.Fault{Status: 429, RetryAfter: 10 * time.Minute})
		calls := len(r.Crisp.Calls())
		go func() { _, _ = r.Receive(handover.Incoming{Conversation: r.Conv, ID: "7", Text: "still there?"}) }()
		r.After(9 * time.Minute)
		require.LessOrEqual(t, len(r.Crisp.Calls()), calls+1)
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

// A token that is mended is noticed within its pause, however many messages were tried for the last time meanwhile.
func TestLastTriesOfManyUsersHoldNobodyBack(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		var users []handover.Conversation
		for i := range 8 {
			users = append(users, handover.Conversation{Source: "chat", ID: fmt.Sprint("user-", i)})
			r.Conv = users[i]
			r.Greeted()
		}
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: 401, For: 150 * time.Second})
		for i, c := range users {
			go func() {
				_, _ = r.H.Receive(r.T.Context(), handover.Incoming{Conversation: c, ID: fmt.Sprint("last-", i), Text: "still there?"})
			}()
			r.After(2 * time.Second)
		}
		r.After(5 * time.Minute)
		r.Conv = handover.Conversation{Source: "chat", ID: "another"}
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
	})
}
