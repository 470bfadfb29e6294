package worker_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/worker"
)

// returns is a callback that returns at once.
func returns(context.Context) (string, error) { return "id", nil }

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := worker.NewBulkhead(worker.BulkheadOptions{})
		id, err := worker.Call(t.Context(), b, "", time.Minute, returns)
		require.NoError(t, err)
		require.Equal(t, "id", id)

		broken := errors.New("broken")
		id, err = worker.Call(t.Context(), b, "", time.Minute, func(context.Context) (string, error) { return "half", broken })
		require.ErrorIs(t, err, broken)
		require.Equal(t, "half", id, "what it returned, with the error")
	})
}

func TestCallPassesTheContextOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		b := worker.NewBulkhead(worker.BulkheadOptions{})
		ctx := context.WithValue(t.Context(), key{}, "value")
		var kept context.Context
		value, err := worker.Call(ctx, b, "", time.Minute, func(ctx context.Context) (any, error) {
			kept = ctx
			end, ok := ctx.Deadline()
			require.True(t, ok)
			require.Equal(t, time.Minute, time.Until(end))
			return ctx.Value(key{}), ctx.Err()
		})
		require.NoError(t, err)
		require.Equal(t, "value", value)
		require.Error(t, kept.Err(), "it ends with the call")
	})
}

// A callback that heeds its context may still say how it went.
func TestCallGivesGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := worker.NewBulkhead(worker.BulkheadOptions{})
		begun := time.Now()
		id, err := worker.Call(t.Context(), b, "", 10*time.Second, func(ctx context.Context) (string, error) {
			<-ctx.Done()
			time.Sleep(999 * time.Millisecond)
			return "shown all the same", nil
		})
		require.NoError(t, err)
		require.Equal(t, "shown all the same", id)
		require.Equal(t, 10_999*time.Millisecond, time.Since(begun))
		require.Zero(t, b.Abandoned())
	})
}

func TestCallAbandonsWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := worker.NewBulkhead(worker.BulkheadOptions{})
		begun, release := time.Now(), make(chan struct{})
		id, err := worker.Call(t.Context(), b, "", 10*time.Second, func(context.Context) (string, error) {
			<-release
			return "too late", nil
		})
		require.ErrorIs(t, err, worker.ErrAbandoned)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, id)
		require.Equal(t, 11*time.Second, time.Since(begun))
		require.Equal(t, 1, b.Abandoned())
		close(release)
		synctest.Wait()
		require.Zero(t, b.Abandoned())
		require.Empty(t, id)
	})
}

func TestCallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := worker.NewBulkhead(worker.BulkheadOptions{})
		takenOver := errors.New("a human took over")
		ctx, cancel := context.WithCancelCause(t.Context())
		release := make(chan struct{})
		time.AfterFunc(time.Second, func() { cancel(takenOver) })
		begun := time.Now()
		_, err := worker.Call(ctx, b, "", time.Minute, func(context.Context) (string, error) { <-release; return "", nil })
		require.ErrorIs(t, err, worker.ErrAbandoned)
		require.ErrorIs(t, err, takenOver)
		require.Equal(t, 2*time.Second, time.Since(begun))
		close(release)

		never := func(context.Context) (string, error) { t.Error("it was called"); return "", nil }
		_, err = worker.Call(ctx, b, "", time.Minute, never)
		require.ErrorIs(t, err, takenOver)
		require.NotErrorIs(t, err, worker.ErrAbandoned)
		_, err = worker.Call(t.Context(), b, "", 0, never)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestCallThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var stacks []string
		b := worker.NewBulkhead(worker.BulkheadOptions{Panicked: func(stack string) {
			mu.Lock()
			defer mu.Unlock()
			stacks = append(stacks, stack)
		}})
		id, err := worker.Call(t.Context(), b, "", time.Second, func(context.Context) (string, error) { buggy("words of a user"); return "id", nil })
		require.ErrorIs(t, err, worker.ErrPanicked)
		require.NotContains(t, err.Error(), "words of a user")
		require.Empty(t, id)
		require.Len(t, stacks, 1)
		require.Contains(t, stacks[0], "buggy")
		require.NotContains(t, stacks[0], "words of a user")

		_, err = worker.Call(t.Context(), b, "", time.Second, func(context.Context) (string, error) {
			time.Sleep(time.Minute)
			panic("late")
		})
		require.ErrorIs(t, err, worker.ErrAbandoned)
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, stacks, 2, "of an abandoned one as well")
		require.Zero(t, b.Abandoned())
	})
}

func TestCallThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := worker.NewBulkhead(worker.BulkheadOptions{})
		begun := time.Now()
		_, err := worker.Call(t.Context(), b, "", time.Second, func(context.Context) (string, error) { runtime.Goexit(); return "", nil })
		require.ErrorIs(t, err, worker.ErrExited)
		require.Zero(t, time.Since(begun))
	})
}

// A channel whose callbacks hang for ever is refused in the end; others are not.
func TestCallBoundsWhatIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := worker.NewBulkhead(worker.BulkheadOptions{Abandoned: 8})
		release := make(chan struct{})
		hang := func(class string) error {
			_, err := worker.Call(t.Context(), b, class, time.Second, func(context.Context) (string, error) { <-release; return "", nil })
			return err
		}
		for range 8 {
			require.ErrorIs(t, hang("hangs"), worker.ErrAbandoned)
		}
		begun := time.Now()
		require.ErrorIs(t, hang("hangs"), worker.ErrCrowded)
		require.Zero(t, time.Since(begun), "it is not called")
		_, err := worker.Call(t.Context(), b, "other", time.Second, returns)
		require.NoError(t, err)
		for range 2 {
			require.ErrorIs(t, hang("other"), worker.ErrAbandoned)
		}
		require.ErrorIs(t, hang("other"), worker.ErrCrowded)
		require.Equal(t, 10, b.Abandoned())
		close(release)
		synctest.Wait()
		require.Zero(t, b.Abandoned())
		require.Zero(t, b.Classes(), "none is remembered")
		_, err = worker.Call(t.Context(), b, "hangs", time.Second, returns)
		require.NoError(t, err)
	})
}

// What returns at the very moment at which it would be abandoned is either heard or abandoned, and
// counted right.
func TestCallAtTheLastMoment(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			b := worker.NewBulkhead(worker.BulkheadOptions{})
			id, err := worker.Call(t.Context(), b, "", time.Second, func(context.Context) (string, error) {
				time.Sleep(2 * time.Second)
				return "id", nil
			})
			require.Equal(t, err == nil, id == "id")
			synctest.Wait()
			require.Zero(t, b.Abandoned())
		})
	}
}
