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

// The answer to a post and its hook come in either order: both tell Crisp's clock.
func TestCrispsClockIsKnownFromAPostAndItsEcho(t *testing.T) {
	at := time.UnixMilli
	const base, ahead = 1_800_000_000_000, 3_600_000
	for name, order := range map[string][]string{"answer first": {"sent", "echo"}, "hook first": {"echo", "sent"}} {
		t.Run(name, func(t *testing.T) {
			var l Log
			ours := func(fp int64) *Entry {
				l.Ours(fp)
				return l.Entry(fp)
			}
			e := ours(7)
			for _, step := range order {
				if step == "sent" {
					l.Sent(7, at(base), at(base+200))
				} else {
					l.Echoed(e, base+100+ahead, at(base+200))
				}
			}
			require.True(t, l.Sampled)
			require.EqualValues(t, ahead, l.Ahead)

			l.Echoed(ours(8), base+10_000+ahead+4000, at(base+10_000))
			l.Sent(8, at(base+10_000), at(base+20_000))
			require.EqualValues(t, ahead, l.Ahead, "a slow call tells less than a fast one")

			l.Echoed(ours(9), base+30_100, at(base+30_000))
			l.Sent(9, at(base+30_000), at(base+30_200))
			require.EqualValues(t, 0, l.Ahead, "a clock was set")

			l.Echoed(ours(10), base+40_000-ahead, at(base+40_000))
			l.Sent(10, at(base+40_000), at(base+40_000))
			require.EqualValues(t, -ahead, l.Ahead, "and set back")
			_, ok := l.Plausible(base+40_000, at(base+40_000))
			require.False(t, ok, "an hour ahead of Crisp's clock")
		})
	}
}

func TestClockTold(t *testing.T) {
	ours := time.UnixMilli(1_000_000)
	c := ClockTold(-time.Minute)
	require.True(t, c.Sampled)
	require.False(t, c.After(1_000_000-60_000+2_000, ours), "the answer told its time to the second")
	require.True(t, c.After(1_000_000-60_000+3_101, ours))
	require.Zero(t, ClockTold(maxAhead+1))
	require.Zero(t, ClockTold(-maxAhead-1))
}
