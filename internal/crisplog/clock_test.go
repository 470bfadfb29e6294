package crisplog

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCrispsClockIsKnownFromOurOwnMessages(t *testing.T) {
	var l Log
	require.Zero(t, l.CrispTime(now))
	at, ok := l.Plausible(now.Add(47*time.Hour).UnixMilli(), now)
	require.True(t, ok, "nothing is known of Crisp's clock")
	require.Equal(t, now.Add(47*time.Hour).UnixMilli(), at)
	at, ok = l.Plausible(now.Add(49*time.Hour).UnixMilli(), now)
	require.False(t, ok)
	require.Equal(t, now.UnixMilli(), at)

	ahead := time.Hour
	post := func(fp int64, took, ahead time.Duration) (news bool) {
		e := l.Ours(fp)
		_, echoed := l.Echoed(e, now.Add(ahead).UnixMilli(), now)
		return l.Sent(fp, now.Add(-took/2), now.Add(took/2)) || echoed
	}
	require.True(t, post(1, 2*time.Second, ahead))
	require.Equal(t, ahead.Milliseconds(), l.Ahead)
	require.False(t, post(2, 4*time.Second, ahead+time.Second), "a slower call tells less")
	require.True(t, post(3, time.Second, ahead+time.Millisecond), "a quicker one more")
	require.True(t, post(4, 4*time.Second, 2*ahead), "the clock was set")
	require.False(t, post(5, 0, 49*time.Hour), "that cannot be")
	require.False(t, l.Sent(6, now, now), "no message of ours")

	crisp := l.CrispTime(now)
	require.InDelta(t, now.Add(2*ahead).UnixMilli(), crisp, 50*3600e3)
	at, ok = l.Plausible(now.Add(2*ahead+aheadSlack).UnixMilli(), now)
	require.True(t, ok)
	require.Equal(t, now.Add(2*ahead+aheadSlack).UnixMilli(), at)
	_, ok = l.Plausible(now.Add(2*ahead+aheadSlack+time.Millisecond).UnixMilli(), now)
	require.False(t, ok)
}

func TestAfter(t *testing.T) {
	ours := time.UnixMilli(1_000_000)
	for _, c := range []struct {
		clock Clock
		at    int64
		after bool
	}{
		{Clock{}, 1_000_100, false},
		{Clock{}, 1_000_101, true},
		{Clock{Ahead: 5000, Within: 300, Sampled: true}, 1_005_400, false},
		{Clock{Ahead: 5000, Within: 300, Sampled: true}, 1_005_401, true},
		{Clock{Ahead: -5000, Sampled: true}, 995_100, false},
		{Clock{Ahead: -5000, Sampled: true}, 995_101, true},
	} {
		require.Equal(t, c.after, c.clock.After(c.at, ours), "%+v", c)
	}
}
