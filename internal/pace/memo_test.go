package pace_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/pace"
)

func TestMemoUsesAnAnswerAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, asked := pace.NewMemo[int](time.Second), 0
		fault := errors.New("down")
		ask := func(context.Context) (int, error) { asked++; return asked, fault }
		for _, want := range []int{1, 1, 2} {
			got, err := m.Get(t.Context(), ask)
			require.Equal(t, want, got)
			require.ErrorIs(t, err, fault)
			time.Sleep(600 * time.Millisecond)
		}
	})
}

func TestMemoLetsOneCallerAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, asked := pace.NewMemo[int](time.Second), 0
		got := make(chan int)
		for range 3 {
			go func() {
				v, _ := m.Get(t.Context(), func(context.Context) (int, error) {
					asked++
					time.Sleep(time.Hour)
					return 7, nil
				})
				got <- v
			}()
		}
		synctest.Wait()
		gone, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := m.Get(gone, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded, "who leaves does not wait")
		for range 3 {
			require.Equal(t, 7, <-got)
		}
		require.Equal(t, 1, asked)
	})
}

// An answer after the end of the caller's context may only say that it ended, and a panic says nothing.
func TestMemoForgetsWhatNobodyWaitedFor(t *testing.T) {
	m := pace.NewMemo[int](time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := m.Get(ctx, func(ctx context.Context) (int, error) { cancel(); return 0, ctx.Err() })
	require.ErrorIs(t, err, context.Canceled)
	require.Panics(t, func() { _, _ = m.Get(t.Context(), func(context.Context) (int, error) { panic("asked") }) })
	v, err := m.Get(t.Context(), func(context.Context) (int, error) { return 1, nil })
	require.NoError(t, err)
	require.Equal(t, 1, v)
}
