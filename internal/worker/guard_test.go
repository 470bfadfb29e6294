package worker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/worker"
)

func TestGuard(t *testing.T) {
	var stacks []string
	report := func(stack string) { stacks = append(stacks, stack) }
	require.True(t, worker.Guard(report, func() {}))
	require.Empty(t, stacks)
	require.False(t, worker.Guard(report, func() { buggy("words of a user") }))
	require.Len(t, stacks, 1)
	require.Contains(t, stacks[0], "buggy")
	require.NotContains(t, stacks[0], "words of a user")
	require.False(t, worker.Guard(report, func() { panic(nil) }))
	require.Len(t, stacks, 2)
	require.False(t, worker.Guard(nil, func() { buggy("x") }), "nobody needs to hear of it")
	require.False(t, worker.Guard(func(string) { panic("a logger's bug") }, func() { buggy("x") }))
}

//go:noinline
func buggy(words string) { panic(words) }
