package handover_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestChaos is many conversations at once while everything goes wrong, in fake time: Crisp fails,
// cuts, lags and lies, hooks come late, twice, swapped or never, Deliver fails, and replicas are
// killed in the middle of work and replaced. Nothing may be lost, doubled or out of order.
//
// What goes wrong depends on the seed alone; when goroutines run does not, so two runs with one
// seed resemble each other, but are not the same.
//
// Settings: HANDOVER_CHAOS_SEED (1), HANDOVER_CHAOS_CONVERSATIONS (200), HANDOVER_CHAOS_MESSAGES
// (20, of each side).
func TestChaos(t *testing.T) {
	t.Parallel()
	o := chaosOptions{
		seed:          setting(t, "HANDOVER_CHAOS_SEED", 1),
		conversations: int(setting(t, "HANDOVER_CHAOS_CONVERSATIONS", 200)),
		messages:      int(setting(t, "HANDOVER_CHAOS_MESSAGES", 20)),
	}
	if testing.Short() {
		o.conversations, o.messages = min(o.conversations, 30), min(o.messages, 10)
	}
	v := runChaos(t, o)
	fmt.Println(v)
	t.Logf("faults: %v; traps: %v; under way when killed: %v", v.faults, v.traps, v.caught)
	if v.bad() > 0 {
		t.Errorf("%s", strings.Join(append(v.wrong, v.story...), "\n"))
	}
	require.Equal(t, 2*o.conversations*o.messages, v.accepted)
	require.Equal(t, v.accepted, v.arrived)
	require.Zero(t, v.bad())
	requireMeaning(t, o, v)
}

// requireMeaning requires that everything went wrong that should.
func requireMeaning(t *testing.T, o chaosOptions, v verdict) {
	t.Helper()
	require.Len(t, v.caught, kills)
	if o.conversations*o.messages < 200 {
		return // too little happens for each kind of fault
	}
	require.NotEqual(t, make([]int64, kills), v.caught, "each replica that was killed did nothing but the call that it was killed in")
	for _, kind := range []string{"note", "edited note", "resolved before the last message"} {
		require.Positive(t, v.traps[kind], "no %s", kind)
	}
	for _, kind := range []string{
		"status 500", "status 502", "status 503", "status 504", "status 429", "late commit", "refused",
		"cut before", "cut after", "cut body", "stale", "cached", "echo first",
		"hook dropped", "hook twice", "hook delayed", "hook swapped", "callback before", "callback after",
	} {
		require.Positive(t, v.faults[kind], "no fault of the kind %q", kind)
	}
}

// setting reads a number from the environment.
func setting(t *testing.T, name string, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "%s must be a number", name)
	return n
}
