package scenarios

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// A handover ends before it is known whether Crisp has a message. If it has not, the bot answers that one before
// those that the user wrote later; if it has, the bot answers only those.
func TestHandleAfterAPostOfUnknownOutcome(t *testing.T) {
	cut, done := handovertest.Fault{Route: handovertest.RouteSend, CutBefore: true}, handovertest.Fault{Route: handovertest.RouteSend, CutAfter: true}
	busy := handovertest.Fault{Route: handovertest.RouteSend, Status: http.StatusTooManyRequests}
	for name, row := range map[string]struct {
		faults []handovertest.Fault
		want   []string
	}{
		"Crisp has it":           {[]handovertest.Fault{done}, []string{"bot: You said: second"}},
		"Crisp gets it after it": {[]handovertest.Fault{cut}, []string{"bot: You said: second"}},
		"it comes back":          {[]handovertest.Fault{cut, busy}, []string{"bot: You said: first", "bot: You said: second"}},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Managed(t, rig.Options{}, func(r *rig.Rig, _ *rig.Brain) {
				r.Handles("I want a human")
				r.Crisp.Settle()
				conv := r.Crisp.Last()
				ann := conv.Operator("Ann")
				ann.Say("Hello")
				r.Saw()
				held := conv.HoldHooks() // the echo of the message would settle it
				for _, f := range row.faults {
					r.Crisp.Fail(1, f)
				}
				r.Handles("first")
				r.Crisp.Settle()
				ann.Resolve()
				n := len(held.Hooks()) - 1
				held.Release(n)
				r.Saw()
				r.Handles("second")
				r.After(3 * time.Minute)
				require.Equal(t, row.want, r.Saw())
				require.Equal(t, len(row.want) == 1, slices.Contains(conv.Transcript(), "user: first"))
			})
		})
	}
}
