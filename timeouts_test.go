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
	require.Equal(t, `"Open=1.5s Claim=-1ns Late=87600h0m0s"`, string(stored))
	var got keptTimeouts
	require.NoError(t, json.Unmarshal(stored, &got, recordJSON))
	got.complete()
	require.Equal(t, given, got.Timeouts)

	got = keptTimeouts{}
	require.NoError(t, json.Unmarshal([]byte(`"Open=x Other=1s Claim Answer=6m0s"`), &got, recordJSON))
	got.complete()
	require.Equal(t, 6*time.Minute, got.Answer)
	got.Answer = 0
	got.complete()
	require.True(t, got.IsZero(), "the rest is as in the table")
	require.Error(t, json.Unmarshal([]byte(`{"open":1}`), &got, recordJSON))
}
