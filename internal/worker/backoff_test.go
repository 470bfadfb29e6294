package worker_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/worker"
)

func TestBackoff(t *testing.T) {
	for _, row := range []struct {
		first, most time.Duration
		n           int
		want        time.Duration
	}{
		{time.Second, time.Hour, -1, 0},
		{time.Second, time.Hour, 0, 0},
		{time.Second, time.Hour, 1, time.Second},
		{time.Second, time.Hour, 2, 2 * time.Second},
		{time.Second, time.Hour, 12, 2048 * time.Second},
		{time.Second, time.Hour, 13, time.Hour},
		{time.Second, time.Hour, math.MaxInt, time.Hour},
		{time.Second, math.MaxInt64, math.MaxInt, math.MaxInt64},
		{time.Second, 3 * time.Second, 3, 3 * time.Second},
		{time.Minute, time.Second, 1, time.Second},
		{0, time.Second, 3, 0},
	} {
		require.Equal(t, row.want, worker.Backoff(row.first, row.most, row.n), "%+v", row)
	}
}

func TestJitter(t *testing.T) {
	different := make(map[time.Duration]bool)
	for range 1000 {
		d := worker.Jitter(time.Minute)
		require.GreaterOrEqual(t, d, time.Minute)
		require.Less(t, d, 75*time.Second)
		different[d] = true
	}
	require.Greater(t, len(different), 900)
	for _, d := range []time.Duration{-time.Second, 0, 1, 3} {
		require.Equal(t, d, worker.Jitter(d))
	}
}
