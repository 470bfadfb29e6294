package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if settings := os.Getenv(asBot); settings != "" { // startBot started this test program
		if err := serveBot(settings); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestLoad drives a bot at a rate that it may hold, and at one beyond: what was answered 200 is delivered, once and in
// order, with few conversations as with many.
func TestLoad(t *testing.T) {
	for _, conversations := range []int{20, 1_000} {
		t.Run(fmt.Sprint("conversations=", conversations), func(t *testing.T) {
			steps, err := run(t.Context(), plan{conversations: conversations, rates: []int{100, 2_000}, lasts: 500 * time.Millisecond}, os.Stderr)
			require.NoError(t, err)
			require.Len(t, steps, 2)
			for _, s := range steps {
				require.Zero(t, s.failed, s.rate)
				require.Positive(t, s.answered)
				require.Positive(t, s.p99)
				require.Positive(t, s.memory)
			}
		})
	}
	t.Run("by hand", func(t *testing.T) {
		steps, err := run(t.Context(), plan{conversations: 100, rates: []int{200}, lasts: 500 * time.Millisecond, hand: true}, os.Stderr)
		require.NoError(t, err)
		require.Zero(t, steps[0].refused+steps[0].failed)
	})
}

func TestWhatWasDeliveredIsCompared(t *testing.T) {
	const session = "session_36ba3566-0000-4790-afc8-000000000001"
	d := &driver{taken: [][]int{{1, 3}}}
	require.NoError(t, d.compare(map[string][]int{session: {1, 2, 3}}), "what was refused may be there")
	require.ErrorContains(t, d.compare(map[string][]int{session: {1, 2}}), "message 3 was answered 200 and not delivered")
	require.ErrorContains(t, d.compare(map[string][]int{session: {3, 1}}), "out of order")
	require.ErrorContains(t, d.compare(map[string][]int{session: {1, 3, 3}}), "twice")
	require.ErrorContains(t, d.compare(nil), "not delivered")
}
