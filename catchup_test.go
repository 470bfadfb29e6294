package handover_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

func dropHooks(handovertest.HookInfo) handovertest.HookFault {
	return handovertest.HookFault{Drop: true}
}

func TestCatchUpFindsWhatNoHookTold(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.crisp.SetHookFaults(dropHooks)
		ann.Say("one")
		ann.Note("private")
		ann.Say("two")
		r.after(4 * time.Minute)
		require.Equal(t, []string{"agent Ann: one", "agent Ann: two"}, r.saw())
		ann.Resolve()
		r.after(6 * time.Minute)
		require.Equal(t, handover.StateBot, r.session().State)
		require.Equal(t, handover.EndResolved, r.allEnds()[0].Reason)
		r.saw()
		ann.Say("and one more thing")
		r.after(4 * time.Minute)
		require.Contains(t, r.saw(), "agent Ann: and one more thing", "ended conversations are included")
	})
}

func TestCatchUpStaysWithinItsShareOfTheQuota(t *testing.T) {
	t.Parallel()
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		before := r.crisp.CountCalls(handovertest.RouteList)
		r.after(24 * time.Hour)
		require.LessOrEqual(t, r.crisp.CountCalls(handovertest.RouteList)-before, 501)
		spent, err := r.h.Spent(context.Background())
		require.NoError(t, err)
		require.Less(t, spent.Calls, int64(5000))
	})
}

func TestCatchUpAfterOurOwnRefusals(t *testing.T) {
	o := options{crisp: handovertest.Options{HookAttempts: 1}}
	active(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.after(time.Minute)
		r.storeFails(true)
		ann.Say("hello?")
		r.crisp.Settle()
		r.storeFails(false)
		r.after(5 * time.Second)
		require.Equal(t, []string{"agent Ann: hello?"}, r.saw(), "at once, not at the next turn")
	})
}

// The list of conversations may tell of a message that the log does not show yet.
func TestCatchUpOnALogThatLags(t *testing.T) {
	ended(t, oftenListed, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.after(time.Minute)
		r.crisp.SetHookFaults(dropHooks)
		lags(r, 6*time.Second)
		ann.Say("one more thing")
		r.after(time.Minute)
		require.Contains(t, r.saw(), "agent Ann: one more thing")
	})
}

// Another hook meanwhile does not stand in for the second read that a lagging log needs.
func TestCatchUpOnALogThatLagsWhileAHookComes(t *testing.T) {
	ended(t, oftenListed, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.after(time.Minute)
		r.crisp.SetHookFaults(func(i handovertest.HookInfo) (f handovertest.HookFault) {
			if i.Event == "message:received" {
				f.Delay, f.Drop = 4*time.Second, i.Ordinal > 1
			}
			return f
		})
		ann.Note("for the team")
		r.after(1500 * time.Millisecond)
		lags(r, 6*time.Second)
		ann.Say("one more thing")
		r.after(time.Minute)
		require.Contains(t, r.saw(), "agent Ann: one more thing")
	})
}

// A record that nobody can read does not keep the other conversations from being caught up with.
func TestCatchUpPassesARecordThatCannotBeRead(t *testing.T) {
	active(t, oftenListed, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.conv.ID = "another"
		other := r.opened()
		r.after(time.Minute)
		r.saw()
		r.crisp.SetHookFaults(dropHooks)
		ann.Say("hello")
		r.after(time.Millisecond)
		other.Operator("Bob").Say("never read") // the newest change, which is listed first
		r.alter(func([]byte) []byte { return []byte("not JSON") })
		r.after(10 * time.Second)
		require.Contains(t, r.saw(), "agent Ann: hello")
	})
}
