package handover

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/times"
)

func TestTimeoutsAreKept(t *testing.T) {
	given := Timeouts{Open: 1500 * time.Millisecond, Claim: -1, Late: times.MaxSpan}
	require.NoError(t, given.prepare())
	stored, err := json.Marshal(keptTimeouts{given}, recordJSON)
	require.NoError(t, err)
	require.Equal(t, `"1500000000ns 120 300 900 10 21600 120 -1ns 180 7200 86400 604800 3600 -1ns 315360000"`, string(stored))
	var got keptTimeouts
	require.NoError(t, json.Unmarshal(stored, &got, recordJSON))
	require.Equal(t, given, got.Timeouts)

	got = keptTimeouts{}
	require.NoError(t, json.Unmarshal([]byte(`"9223372036854775807 x 300"`), &got, recordJSON))
	require.Equal(t, Timeouts{Answer: 5 * time.Minute}, got.Timeouts, "the rest is mended")
	require.Error(t, json.Unmarshal([]byte(`{"open":1}`), &got, recordJSON))
}
