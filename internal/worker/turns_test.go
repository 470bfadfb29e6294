package worker_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/worker"
)

func TestTurnsAreTakenOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns worker.Turns
		var all sync.WaitGroup
		var inside atomic.Int64
		begun := time.Now()
		for range 10 {
			all.Go(func() {
				pass, err := turns.Take(t.Context(), "a")
				if err != nil {
					t.Errorf("Take: %v", err)
					return
				}
				defer pass()
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d have the turn", n)
				}
				time.Sleep(time.Second)
				inside.Add(-1)
			})
		}
		synctest.Wait()
		pass, err := turns.Take(t.Context(), "b")
		require.NoError(t, err, "another key has a turn of its own")
		pass()
		require.Zero(t, time.Since(begun))
		all.Wait()
		require.Equal(t, 10*time.Second, time.Since(begun))
	})
}

func TestTurnIsWaitedForUntilTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns worker.Turns
		pass, err := turns.Take(t.Context(), "a")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = turns.Take(ctx, "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		pass()
		pass() // does nothing
		pass, err = turns.Take(t.Context(), "a")
		require.NoError(t, err)
		pass()
	})
}
