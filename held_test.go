package handover_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// lags has reads of the log show, for a time, nothing that is newer than now. It returns how many
// there were.
func lags(r *rig, during time.Duration) (reads *int) {
	reads, begun := new(int), time.Now()
	r.Crisp.SetFaults(func(i handovertest.CallInfo) (f handovertest.Fault) {
		if i.Route == handovertest.RouteMessages && time.Since(begun) < during {
			*reads++
			f.Stale, f.Delay = time.Since(begun)+time.Second, 20*time.Millisecond
		}
		return f
	})
	return reads
}

// withoutStateHooks drops the hooks that tell of states: only the list of conversations tells, which
// oftenListed has read each second.
func withoutStateHooks(r *rig) {
	r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
		return handovertest.HookFault{Drop: i.Event == "session:set_state"}
	})
}

var oftenListed = options{config: func(_ *rig, c *handover.Config) { c.Limits.DailyCalls = 10_000_000 }}

func TestAMessageIsNotLostBehindOneThatIsHeld(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(2 * time.Second)
		first := true
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) (f handovertest.HookFault) {
			if i.Event == "message:received" && first {
				first, f.Delay = false, 9500*time.Millisecond
			}
			return f
		})
		lags(r, time.Minute)
		ann.Say("one")
		ann.Say("two")
		r.After(40 * time.Second)
		require.Equal(t, []string{"agent Ann (late): one", "agent Ann (late): two"}, r.Saw())
	})
}

func TestAResolvedStateIsNotLostBehindAMessageThatIsHeld(t *testing.T) {
	active(t, oftenListed, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(time.Minute)
		withoutStateHooks(r)
		lags(r, 6*time.Second)
		ann.Say("bye")
		ann.Resolve()
		r.After(5 * time.Minute)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Contains(t, r.Saw(), "agent Ann: bye")
	})
}

func TestAMessageThatIsHeldCostsFewReads(t *testing.T) {
	active(t, oftenListed, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(time.Minute)
		withoutStateHooks(r)
		ann.Resolve()
		r.After(58 * time.Second) // in two seconds it is asked once more whether it is resolved
		reads := lags(r, 9*time.Second)
		ann.Say("one more thing")
		r.After(9 * time.Second)
		require.Less(t, *reads, 10)
		r.After(5 * time.Minute)
		require.Contains(t, r.Saw(), "agent Ann: one more thing")
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

// A deadline waits for a message that its hook shows and the log does not: the message could change it.
func TestADeadlineWaitsForAMessageThatIsHeld(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		conv := r.Opened()
		r.After(10*time.Minute - 5*time.Second)
		r.Saw()
		lags(r, 9*time.Second)
		conv.Operator("Ann").Say("I am here")
		r.After(time.Minute)
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: I am here"}, r.Saw())
		require.Empty(t, r.Ends())
	})
}

// What the list of conversations tells of may be no message: no stream of it puts a deadline off.
func TestADeadlineDoesNotWaitForEverNewChanges(t *testing.T) {
	bubble(t, oftenListed, func(r *rig) {
		conv := r.Opened()
		ann := conv.Operator("Ann")
		for begun := time.Now(); time.Since(begun) < 11*time.Minute; r.After(2 * time.Second) {
			ann.Assign()
			ann.Unassign()
		}
		require.Len(t, r.Ends(), 1)
		require.Equal(t, handover.EndClaimTimeout, r.Ends()[0].Reason)
	})
}

// A message counts that comes while the deadline waits for Crisp to be read again.
func TestADeadlineThatWaitsForCrispHearsOfAMessage(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		conv := r.Opened()
		r.After(10*time.Minute - 5*time.Second)
		r.Saw()
		r.Crisp.SetFaults(func(handovertest.CallInfo) handovertest.Fault { return handovertest.Fault{Status: 503} })
		r.After(10 * time.Second)
		lags(r, 9*time.Second)
		conv.Operator("Ann").Say("I am here")
		r.After(time.Minute)
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: I am here"}, r.Saw())
		require.Empty(t, r.Ends())
	})
}
