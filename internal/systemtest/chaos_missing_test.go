package systemtest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/systemtest/settings"
	"github.com/crisphandover/handover/internal/testmain"
)

// TestMissingParts takes away, one after the other, what keeps the promises. With all of them the
// seed passes; without any one of them the same seed fails, each time in the way that the part is
// there to prevent. It is TestChaos in small, without hardships, and not part of its name, so that its two minutes are
// its own.
func TestMissingParts(t *testing.T) {
	if testmain.Raced() {
		t.Skip("with -race it takes minutes, and runs nothing that TestChaos does not")
	}
	t.Parallel()
	for _, row := range []struct {
		missing string
		without func(*chaosOptions)
		fails   func(verdict) int
	}{
		{"nothing", func(*chaosOptions) {}, nil},
		{
			"the look-up before repeats",
			func(o *chaosOptions) { o.hooks.NoLookUp = true },
			func(v verdict) int { return v.doubled },
		},
		{
			"the reading of the log",
			func(o *chaosOptions) { o.hooks.NoLog = true },
			func(v verdict) int { return v.reordered },
		},
		{
			"the claim",
			func(o *chaosOptions) { o.hooks.NoClaim = true },
			func(v verdict) int { return v.doubled },
		},
	} {
		t.Run(row.missing, func(t *testing.T) {
			// Most posts are settled by their echo or a look before they would be looked up: one
			// message in 250 is doubled without the look-up, and one in 30 where it is rough.
			o := chaosOptions{seed: settings.ChaosSeed.Get(t, 1), conversations: 30, messages: 10, rough: true}
			row.without(&o)
			v := runChaos(t, o)
			fmt.Printf("without %s: %s\n", row.missing, v)
			if row.fails == nil {
				v.late = 0 // they are few in a run of full size alone
				require.Zero(t, v.bad(), "%q", v.wrong)
				return
			}
			require.Positive(t, row.fails(v), "the test does not miss %s", row.missing)
		})
	}
}
