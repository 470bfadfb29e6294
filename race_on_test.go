//go:build race

package handover_test

// raced is true when the race detector watches.
const raced = true
