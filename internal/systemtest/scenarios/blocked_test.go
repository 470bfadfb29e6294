package scenarios

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// blockHook is the hook of a block, or of its end, at a time.
func blockHook(r *rig.Rig, conv *handovertest.Conversation, at time.Time, blocked bool) *http.Request {
	return r.Signed(handovertest.HookBody(r.Crisp.WebsiteID(), "session:set_block", at, map[string]any{
		"website_id": r.Crisp.WebsiteID(), "session_id": conv.ID(), "is_blocked": blocked,
	}))
}

// A user was blocked and let in again before they asked once more in the same conversation. The hook of the block comes
// late: it ends nothing, whether our opening message is posted by then or not, and seen or not.
func TestABlockThatWasLiftedBeforeTheUserAsked(t *testing.T) {
	for order, lift := range map[string]string{"the lift is lost": "", "the lift comes first": "before", "the lift comes after": "after"} {
		for _, phase := range []string{"while it opens", "open, its echo is lost", "open"} {
			for was, still := range map[string]bool{"lifted": false, "still blocked": true} {
				if still && lift != "" {
					continue
				}
				t.Run(order+", "+phase+", "+was, func(t *testing.T) {
					rig.Bubble(t, rig.Options{}, func(r *rig.Rig) { blockedBefore(r, lift, phase, still) })
				})
			}
		}
	}
}

func blockedBefore(r *rig.Rig, lift, phase string, still bool) {
	conv, ann := r.Greeted()
	ann.Resolve()
	r.After(time.Minute) // the reads that this brings are over
	r.Crisp.SetHookFaults(rig.DropHooks)
	r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteList, Status: 500})
	blocked := time.Now()
	conv.Block(true)
	time.Sleep(time.Second)
	lifted := time.Now()
	conv.Block(still)
	time.Sleep(5 * time.Second)
	r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
		return handovertest.HookFault{Drop: phase == "open, its echo is lost" && i.Event == "message:send"}
	})
	lets := func(when string) {
		if lift == when {
			require.Equal(r.T, 200, r.Hooked(blockHook(r, conv, lifted, false)).Code)
			r.Crisp.Settle()
		}
	}
	if lets("before"); phase == "while it opens" {
		r.OpensSlowly(handover.Request{}, handovertest.RouteMeta)
	} else {
		require.Equal(r.T, handover.OutcomeOpened, r.Asks(handover.Request{}))
	}
	require.Equal(r.T, conv.ID(), r.Session().CrispID, "the conversation of before goes on")
	require.Equal(r.T, 200, r.Hooked(blockHook(r, conv, blocked, true)).Code)
	lets("after")
	r.After(2 * time.Minute)
	if still {
		require.Equal(r.T, handover.StateBot, r.Session().State)
		require.Equal(r.T, handover.EndBlocked, r.Ends()[1].Reason)
		return
	}
	require.Len(r.T, r.Ends(), 1)
	require.Equal(r.T, handover.StateWaiting, r.Session().State)
	conv.Operator("Ann").Say("Hello again")
	require.Contains(r.T, r.Saw(), "agent Ann: Hello again")
}

// A block in the midst of an opening ends it at once.
func TestABlockWhileItOpens(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv, ann := r.Greeted()
		ann.Resolve()
		r.After(5 * time.Second)
		r.OpensSlowly(handover.Request{}, handovertest.RouteMeta)
		conv.Block(true)
		r.Crisp.Settle()
		require.Equal(r.T, handover.StateBot, r.Session().State)
		require.Equal(r.T, handover.EndBlocked, r.Ends()[1].Reason)
	})
}
