package pace_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/pace"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func TestWindowGivesPlacesInARow(t *testing.T) {
	w := pace.Window{Span: time.Minute, Limit: 2, Ahead: 3 * time.Minute}
	var taken []time.Time
	var at []time.Duration
	for range 8 {
		left, place, ok := w.Place(taken, noon)
		require.True(t, ok)
		require.LessOrEqual(t, len(left), 2, "no more is remembered than counts")
		taken, at = left, append(at, place.Sub(noon))
	}
	require.Equal(t, []time.Duration{0, 0, time.Minute, time.Minute, 2 * time.Minute, 2 * time.Minute, 3 * time.Minute, 3 * time.Minute}, at)

	left, again, ok := w.Place(taken, noon)
	require.False(t, ok, "further ahead there are none")
	require.Equal(t, noon.Add(time.Minute), again)
	require.Equal(t, taken, left)
}

func TestWindowForgets(t *testing.T) {
	w := pace.Window{Span: time.Minute, Limit: 1, Ahead: time.Minute}
	for name, taken := range map[string]time.Time{
		"what is over":         noon.Add(-time.Minute),
		"what no clock can be": noon.Add(2 * time.Minute),
	} {
		left, at, ok := w.Place([]time.Time{taken}, noon)
		require.True(t, ok, name)
		require.Equal(t, noon, at, name)
		require.Equal(t, []time.Time{noon}, left, name)
	}
}
