package worker_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/worker"
)

// atLeast is what a waiter wants.
func atLeast(n int) func(int) bool { return func(v int) bool { return v >= n } }

func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker.Waiters[int]
		w.Wake("nobody waits", 1)
		three, five := w.Listen("a", atLeast(3)), w.Listen("a", atLeast(5))
		other := w.Listen("b", atLeast(0))
		require.Equal(t, 3, w.Len())
		require.True(t, w.Waiting("a"))
		require.False(t, w.Waiting("c"))

		w.Wake("a", 2)
		require.Equal(t, 3, w.Len())
		w.Wake("a", 4)
		<-three.Done()
		v, err := three.Wait(t.Context(), nil, 0, 0)
		require.NoError(t, err)
		require.Equal(t, 4, v)
		w.Wake("a", 6)
		v, err = three.Wait(t.Context(), nil, 0, 0)
		require.NoError(t, err)
		require.Equal(t, 4, v, "the first that it wanted")
		v, err = five.Wait(t.Context(), nil, 0, 0)
		require.NoError(t, err)
		require.Equal(t, 6, v)
		require.False(t, w.Waiting("a"))

		five.Stop()
		other.Stop()
		other.Stop()
		w.Wake("b", 1)
		require.Zero(t, w.Len())
		select {
		case <-other.Done():
			t.Error("it was stopped")
		default:
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tired := errors.New("tired")
		poll := func(context.Context) (int, bool, error) { return 0, true, nil }
		for _, poll := range []worker.PollFunc[int]{nil, poll} {
			var w worker.Waiters[int]
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, tired)
			begun := time.Now()
			_, err := w.Wait(ctx, "a", atLeast(1), poll, 0, time.Second)
			cancel()
			require.ErrorIs(t, err, tired)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, time.Minute, time.Since(begun))
			require.Zero(t, w.Len(), "nothing is left behind")
		}
	})
}

func TestWaitPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker.Waiters[int]
		begun := time.Now()
		var polls []time.Duration
		poll := func(context.Context) (int, bool, error) {
			polls = append(polls, time.Since(begun))
			return len(polls), len(polls)%2 == 1, nil // the even ones bring no news
		}
		neighbour := w.Listen("a", atLeast(5))
		v, err := w.Wait(t.Context(), "a", atLeast(6), poll, 0, 500*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, 7, v)
		var want []time.Duration
		for _, ms := range []time.Duration{0, 50, 150, 350, 750, 1250, 1750} {
			want = append(want, ms*time.Millisecond)
		}
		require.Equal(t, want, polls)
		v, err = neighbour.Wait(t.Context(), nil, 0, 0)
		require.NoError(t, err)
		require.Equal(t, 5, v, "a poll is for all that wait for the key")
		require.Zero(t, w.Len())
	})
}

func TestWaitPollsAtAFixedPauseAtTheShortest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker.Waiters[int]
		begun, polls := time.Now(), 0
		_, err := w.Wait(t.Context(), "a", atLeast(5), func(context.Context) (int, bool, error) { polls++; return polls, true, nil }, 0, 0)
		require.NoError(t, err)
		require.Equal(t, 200*time.Millisecond, time.Since(begun))
	})
}

func TestWaitPollsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker.Waiters[int]
		begun := time.Now()
		var polls []time.Duration
		_, err := w.Wait(t.Context(), "a", atLeast(3), func(context.Context) (int, bool, error) {
			polls = append(polls, time.Since(begun))
			return len(polls), true, nil
		}, 2*time.Second, 3*time.Second)
		require.NoError(t, err)
		require.Equal(t, []time.Duration{2 * time.Second, 5 * time.Second, 8 * time.Second}, polls)
	})
}

func TestWaitStopsPollingWhenItIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker.Waiters[int]
		polls := 0
		time.AfterFunc(time.Second, func() { w.Wake("a", 7) })
		begun := time.Now()
		v, err := w.Wait(t.Context(), "a", atLeast(1), func(context.Context) (int, bool, error) { polls++; return 0, false, nil }, 0, time.Hour)
		require.NoError(t, err)
		require.Equal(t, 7, v)
		require.Equal(t, time.Second, time.Since(begun))
		require.Equal(t, 5, polls) // 0, 50, 150, 350, 750 ms
		time.Sleep(time.Hour)
		require.Equal(t, 5, polls)
	})
}

// A poll that hangs is no reason to wait longer than the value takes.
func TestWaitCancelsThePollUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker.Waiters[int]
		hangs := func(ctx context.Context) (int, bool, error) {
			<-ctx.Done()
			return 0, false, ctx.Err()
		}
		time.AfterFunc(time.Second, func() { w.Wake("a", 7) })
		begun := time.Now()
		v, err := w.Wait(t.Context(), "a", atLeast(1), hangs, 0, time.Second)
		require.NoError(t, err)
		require.Equal(t, 7, v)
		require.Equal(t, time.Second, time.Since(begun))

		tired := errors.New("tired")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, tired)
		defer cancel()
		_, err = w.Wait(ctx, "a", atLeast(1), hangs, 0, time.Second)
		require.ErrorIs(t, err, tired, "not the poll's own error")
	})
}

func TestWaitEndsWithAPollThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker.Waiters[int]
		down := errors.New("down")
		_, err := w.Wait(t.Context(), "a", atLeast(1), func(context.Context) (int, bool, error) { return 5, true, down }, 0, time.Second)
		require.ErrorIs(t, err, down)
		require.Zero(t, w.Len())
		v, err := w.Wait(t.Context(), "a", atLeast(1), func(context.Context) (int, bool, error) {
			w.Wake("a", 3)
			return 0, false, down
		}, 0, time.Second)
		require.NoError(t, err, "it had what it wanted")
		require.Equal(t, 3, v)
	})
}

// Whatever happens at the same time, each waiter ends, and none is left behind.
func TestWaitUnderLoad(t *testing.T) {
	var w worker.Waiters[int]
	ctx, cancel := context.WithCancel(t.Context())
	var all, wakers sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			for i := range 20 {
				key := []string{"a", "b"}[i%2]
				if n%5 == 0 {
					w.Listen(key, atLeast(1)).Stop()
					continue
				}
				if v, err := w.Wait(ctx, key, atLeast(n), nil, 0, 0); err != nil || v < n {
					t.Errorf("%d, %v", v, err)
				}
			}
		})
	}
	for range 2 {
		wakers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				w.Wake("a", i%60)
				w.Wake("b", i%70)
			}
		})
	}
	all.Wait()
	cancel()
	wakers.Wait()
	require.Zero(t, w.Len())
}
