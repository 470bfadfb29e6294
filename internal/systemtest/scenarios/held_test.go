package scenarios

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestAMessageIsNotLostBehindOneThatIsHeld(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(2 * time.Second)
		var held atomic.Bool
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) (f handovertest.HookFault) {
			if i.Event == "message:received" && held.CompareAndSwap(false, true) {
				f.Delay = 9500 * time.Millisecond
			}
			return f
		})
		r.Lags(time.Minute)
		ann.Say("one")
		ann.Say("two")
		r.After(40 * time.Second)
		require.Equal(t, []string{"agent Ann (late): one", "agent Ann (late): two"}, r.Saw())
	})
}

func TestAResolvedStateIsNotLostBehindAMessageThatIsHeld(t *testing.T) {
	rig.Active(t, rig.OftenListed, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(time.Minute)
		r.WithoutStateHooks()
		r.Lags(6 * time.Second)
		ann.Say("bye")
		ann.Resolve()
		r.After(5 * time.Minute)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Contains(t, r.Saw(), "agent Ann: bye")
	})
}

func TestAMessageThatIsHeldCostsFewReads(t *testing.T) {
	rig.Active(t, rig.OftenListed, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(time.Minute)
		r.WithoutStateHooks()
		ann.Resolve()
		r.After(58 * time.Second) // in two seconds it is asked once more whether it is resolved
		reads := r.Lags(9 * time.Second)
		ann.Say("one more thing")
		r.After(9 * time.Second)
		require.Less(t, reads.Load(), int64(10))
		r.After(5 * time.Minute)
		require.Contains(t, r.Saw(), "agent Ann: one more thing")
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

// A deadline waits for a message that its hook shows and the log does not: the message could change it.
func TestADeadlineWaitsForAMessageThatIsHeld(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.After(10*time.Minute - 5*time.Second)
		r.Saw()
		r.Lags(9 * time.Second)
		conv.Operator("Ann").Say("I am here")
		r.After(time.Minute)
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: I am here"}, r.Saw())
		require.Empty(t, r.Ends())
	})
}

// What the list of conversations tells of may be no message: no stream of it puts a deadline off.
func TestADeadlineDoesNotWaitForEverNewChanges(t *testing.T) {
	rig.Bubble(t, rig.OftenListed, func(r *rig.Rig) {
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
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.After(10*time.Minute - 5*time.Second)
		r.Saw()
		r.Crisp.SetFaults(func(handovertest.CallInfo) handovertest.Fault { return handovertest.Fault{Status: 503} })
		r.After(10 * time.Second)
		r.Lags(9 * time.Second)
		conv.Operator("Ann").Say("I am here")
		r.After(time.Minute)
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: I am here"}, r.Saw())
		require.Empty(t, r.Ends())
	})
}
