package systemtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/systemtest/settings"
)

// TestChaos is many conversations at once while everything goes wrong, in fake time: Crisp fails,
// cuts, lags and lies, hooks come late, twice, swapped or never, Deliver fails, and replicas are
// killed in the middle of work and replaced. Nothing may be lost, doubled or out of order. A third of
// the bots are wired through Handle and Config.Answer.
//
// What goes wrong depends on the seed alone; when goroutines run does not, so two runs with one
// seed resemble each other, but are not the same.
//
// Seed, conversations and messages are settings.ChaosSeed (1), settings.ChaosConversations (200) and
// settings.ChaosMessages (20).
func TestChaos(t *testing.T) {
	t.Parallel()
	o := chaosOptions{
		seed:          settings.ChaosSeed.Get(t, 1),
		conversations: settings.ChaosConversations.Int(t, 200),
		messages:      settings.ChaosMessages.Int(t, 20),
		hard:          chosen(t, "borne"),
		managed:       true,
	}
	if testing.Short() {
		o.conversations, o.messages = min(o.conversations, 30), min(o.messages, 10)
	}
	v := runChaos(t, o)
	fmt.Println(v)
	fmt.Printf("chaos: faults: %v; traps: %v; under way when killed: %v; calls: %d, too early: %d; slowest: %v\n",
		v.faults, v.traps, v.caught, v.calls, v.early, v.slowest)
	if v.bad() > 0 {
		t.Errorf("%s", strings.Join(append(v.wrong, v.story...), "\n"))
	}
	require.Equal(t, v.expected, v.accepted)
	require.Equal(t, v.accepted, v.arrived)
	require.Zero(t, v.bad())
	requireMeaning(t, o, v)
}

// requireMeaning requires that everything went wrong that should.
func requireMeaning(t *testing.T, o chaosOptions, v verdict) {
	t.Helper()
	require.Len(t, v.caught, kills)
	if o.conversations*o.messages >= 2000 {
		require.NotEqual(t, make([]int64, kills), v.caught, "each replica that was killed did nothing but the call that it was killed in")
	}
	if o.conversations*o.messages < 200 {
		return // too little happens for each kind of fault
	}
	for _, kind := range []string{"note", "edited note", "resolved before the last message"} {
		require.Positive(t, v.traps[kind], "no %s", kind)
	}
	for _, kind := range []string{
		"status 500", "status 502", "status 503", "status 504", "status 429", "late commit", "refused",
		"cut before", "cut after", "cut body", "stale", "cached", "echo first",
		"hook dropped", "hook twice", "hook delayed", "hook swapped", "callback fails before", "callback fails after",
	} {
		require.Positive(t, v.faults[kind], "no fault of the kind %q", kind)
	}
	for _, kind := range []string{"answer fails before", "answer fails after"} {
		require.True(t, o.conversations*o.messages < 2000 || v.faults[kind] > 0, "no fault of the kind %q", kind)
	}
	for h := range o.hard {
		require.Positive(t, v.faults[string(h)], "nothing of the kind %q", h)
	}
	for _, s := range steps {
		require.True(t, !o.hard[refusedSteps] || o.conversations < 3*len(steps) || v.faults["refused "+s.name] > 0, "%s was never refused", s.name)
	}
}
