package settings

import (
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGet(t *testing.T) {
	t.Setenv(ChaosSeed.Name, "") // whatever the whole run has
	require.EqualValues(t, 7, ChaosSeed.Get(t, 7))
	t.Setenv(ChaosSeed.Name, "18446744073709551615")
	require.EqualValues(t, uint64(math.MaxUint64), ChaosSeed.Get(t, 7))
	t.Setenv(ChaosMessages.Name, "30")
	require.Equal(t, 30, ChaosMessages.Int(t, 20))
}

// TestDocumented finds each setting in CONTRIBUTING.md.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../CONTRIBUTING.md")
	require.NoError(t, err)
	for _, s := range All {
		require.Contains(t, string(text), "| `"+s.Name+"` | "+s.What+" |")
	}
}
