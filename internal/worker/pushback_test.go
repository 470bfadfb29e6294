package worker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/worker"
)

func TestPushback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p worker.Pushback
		require.Zero(t, p.Left("a"))
		want := time.Second
		for range 15 {
			require.Equal(t, want, p.Failed("a"))
			require.Equal(t, want, p.Left("a"))
			require.Zero(t, p.Left("b"))
			time.Sleep(want - time.Nanosecond)
			require.Equal(t, time.Nanosecond, p.Left("a"))
			time.Sleep(time.Nanosecond)
			require.Zero(t, p.Left("a"))
			want = min(2*want, time.Hour)
		}
		p.Succeeded("a")
		p.Succeeded("never failed")
		require.Zero(t, p.Len())
		require.Equal(t, time.Second, p.Failed("a"))
		p.Succeeded("a")
		require.Zero(t, p.Left("a"))
	})
}

func TestPushbackForgetsWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := worker.Pushback{First: time.Minute, Most: 10 * time.Minute, Size: 2}
		p.Failed("a")
		require.Equal(t, 2*time.Minute, p.Failed("a"))
		time.Sleep(12 * time.Minute)
		require.Equal(t, 4*time.Minute, p.Failed("a"), "ten minutes after its pause")
		time.Sleep(14*time.Minute + 1)
		require.Equal(t, time.Minute, p.Failed("a"))

		p.Failed("b")
		time.Sleep(11*time.Minute + 1)
		require.Equal(t, time.Minute, p.Failed("c"), "there is room once the others are forgotten")
		require.Equal(t, 1, p.Len())
	})
}

// However many keys fail, they fail about as often as those that are remembered may.
func TestPushbackIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := worker.Pushback{Size: 3}
		for range 3 {
			p.Failed("chronic")
		}
		p.Failed("a")
		p.Failed("b")
		time.Sleep(time.Second)
		require.Equal(t, 2*time.Second, p.Failed("c"), "it takes the place of the shortest pause")
		require.Equal(t, 3, p.Len())
		require.Equal(t, 3*time.Second, p.Left("chronic"), "the longest is kept")
		require.Zero(t, p.Left("a"))
		require.Equal(t, 2*time.Second, p.Failed("d"), "b's place")
		require.Equal(t, 4*time.Second, p.Failed("e"), "c's, whose pause ends as soon as d's or before")

		tries, end := 0, time.Now().Add(24*time.Hour)
		for key := 0; time.Now().Before(end); key = (key + 1) % 1000 {
			for p.Left(fmt.Sprint(key)) > 0 {
				time.Sleep(time.Second)
			}
			time.Sleep(min(p.Failed(fmt.Sprint(key)), time.Minute))
			tries++
		}
		require.Less(t, tries, 24*60+100)
		require.Equal(t, 3, p.Len())
	})
}

func BenchmarkPushbackFull(b *testing.B) {
	var p worker.Pushback
	for i := 0; b.Loop(); i++ {
		p.Failed(fmt.Sprint(i))
	}
}
