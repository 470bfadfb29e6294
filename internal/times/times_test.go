package times

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimes(t *testing.T) {
	never := time.Time{}
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	before, after := now.Add(-time.Hour), now.Add(time.Hour)

	require.Equal(t, after, Later(now, after))
	require.Equal(t, after, Later(after, never))
	require.Equal(t, before, Earlier(now, before))
	require.Equal(t, now, Earlier(never, now), "never is no early time")
	require.Equal(t, now, Earlier(now, never))
	require.Zero(t, Earlier(never, never))

	require.Equal(t, before, Past(before, now))
	require.Equal(t, now, Past(after, now))
	require.Zero(t, Past(never, now))
	require.Equal(t, now, Happened(never, now))
	require.Equal(t, now, Happened(time.Unix(-1, 0), now))
	require.Equal(t, before, Happened(before, now))
	require.Equal(t, now, Happened(after, now))

	require.Equal(t, after, Soon(after, now))
	require.Equal(t, before, Soon(before, now))
	require.Zero(t, Soon(now.Add(farAhead+1), now))
}

func TestBackoffGrowsToAMinute(t *testing.T) {
	var got []time.Duration
	for i := range 10 {
		got = append(got, Backoff(i)/time.Second)
	}
	require.Equal(t, []time.Duration{1, 1, 2, 4, 8, 16, 32, 60, 60, 60}, got)
	require.Equal(t, time.Minute, Backoff(1<<40))
}

func TestSpanFault(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "", MaxSpan: "", 10: "write 10*time.Second", time.Millisecond: "write time.Second or more",
		-1: "write time.Second or more", MaxSpan + 1: "more than ten years",
	} {
		fault := SpanFault(d)
		require.Equal(t, want == "", fault == "", d)
		require.Contains(t, fault, want)
	}
}

func TestSpread(t *testing.T) {
	waits := map[time.Duration]bool{}
	for _, name := range []string{"a 1", "a 2", "b 1", "b 2"} {
		wait := Spread(time.Minute, name)
		require.Equal(t, wait, Spread(time.Minute, name))
		require.GreaterOrEqual(t, wait, time.Minute)
		require.Less(t, wait, 75*time.Second)
		waits[wait] = true
	}
	require.Len(t, waits, 4)
}
