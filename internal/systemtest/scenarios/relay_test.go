package scenarios

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// An outage that is over before Timeouts.Relay has passed ends no handover, however long the pauses have become.
func TestAnOutageThatEndsInTimeEndsNoHandover(t *testing.T) {
	try := func(fault handovertest.Fault) {
		t.Run(fmt.Sprint(fault.Status, " for ", fault.For, ", told to wait ", fault.RetryAfter), func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
				r.Crisp.Fail(handovertest.Always, fault)
				_, err := r.Receive(handover.Incoming{Conversation: r.Conv, ID: "7", Text: "still there?"})
				require.NoError(t, err)
				r.After(5 * time.Minute)
				require.Equal(t, handover.StateActive, r.Session().State)
				require.Equal(t, []string{"still there?"}, rig.UserTexts(conv)[1:])
			})
		})
	}
	for _, outage := range []time.Duration{61 * time.Second, 75 * time.Second, 90 * time.Second, 105 * time.Second} {
		for _, status := range []int{429, 420, 500, 502, 401, 403} {
			try(handovertest.Fault{Status: status, For: outage})
		}
		for _, told := range []time.Duration{time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 25 * time.Second} {
			if outage+told < 119*time.Second { // else what Crisp tells last may be too late
				try(handovertest.Fault{Status: 429, For: outage, RetryAfter: told})
				try(handovertest.Fault{Status: 503, For: outage, RetryAfter: told})
			}
		}
	}
}

// Where Crisp tells how long to wait, nothing is called before, and the handover ends if that is too long.
func TestATimeThatCrispToldIsWaitedFor(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, _ *handovertest.Operator) {
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
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
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

// A message is on its way from the save that takes it in. The process dies at each of its saves, before and after it, or
// hears wrongly that the save has failed: the message and those behind it are in Crisp all the same, once and in order.
func TestARelayedMessageThroughACrash(t *testing.T) {
	for _, how := range []struct {
		name        string
		saves, dies bool
	}{{"dies before", false, true}, {"dies after", true, true}, {"hears that it failed", true, false}} {
		reached := true
		for n := int64(1); reached; n++ {
			t.Run(fmt.Sprintf("%s save %d", how.name, n), func(t *testing.T) {
				p := &killed{saves: how.saves}
				p.left.Store(math.MaxInt64)
				dies(t, p, func(m *dying) {
					conv, _ := m.Greeted()
					m.Crisp.Settle()
					p.left.Store(n)
					for i := range 3 {
						relayed(m, how.dies, handover.Incoming{Conversation: m.Conv, ID: fmt.Sprint("message ", i), Text: fmt.Sprint(i)})
					}
					m.After(2 * time.Minute)
					require.Equal(m.T, []string{"0", "1", "2"}, rig.UserTexts(conv)[1:])
					reached = p.left.Load() <= 0
				})
			})
			require.Less(t, n, int64(100))
		}
	}
}

// relayed has a message received until a process that lives has it in Crisp, as a channel does. A process that does not
// die goes on a moment later.
func relayed(m *dying, dies bool, in handover.Incoming) {
	for range 100 {
		ctx, cancel := context.WithTimeout(m.T.Context(), 20*time.Second)
		turn, err := m.h.Receive(ctx, in)
		cancel()
		if err == nil {
			require.Equal(m.T, handover.WhyHuman, turn.Why)
			return
		}
		if m.p.dead.Load() && !dies {
			m.p.left.Store(math.MinInt64 / 2)
			m.p.dead.Store(false)
		}
		m.passes(2 * time.Second)
	}
	require.Fail(m.T, "it never reached Crisp")
}

// Of messages that come at once none is taken for one that was lost, though each may be begun in the save of another: Crisp's
// log is not asked whether it has them.
func TestMessagesAtOnceAreNotLookedUp(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.Crisp.Settle()
		reads := r.Crisp.CountCalls(handovertest.RouteMessages)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				_, err := r.H.Receive(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: fmt.Sprint("at once ", i), Text: "Are you there?"})
				require.NoError(r.T, err)
			})
		}
		all.Wait()
		synctest.Wait()
		require.Len(r.T, rig.UserTexts(conv)[1:], 20)
		require.Equal(r.T, reads, r.Crisp.CountCalls(handovertest.RouteMessages))
	})
}
