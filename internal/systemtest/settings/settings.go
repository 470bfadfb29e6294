// Package settings reads what the environment asks of the larger tests. Each is a whole number of up
// to 64 bits, but Hardships is a text; one that is not ends the test. CONTRIBUTING.md lists them.
package settings

import (
	"cmp"
	"os"
	"strconv"
	"testing"
)

// Setting is one variable of the environment.
type Setting struct {
	Name string
	What string
}

// The settings. What is not set is the test's own to choose.
var (
	ChaosSeed          = Setting{"HANDOVER_CHAOS_SEED", "decides what goes wrong: the same seed, the same faults"}
	ChaosConversations = Setting{"HANDOVER_CHAOS_CONVERSATIONS", "how many users there are"}
	ChaosMessages      = Setting{"HANDOVER_CHAOS_MESSAGES", "how many messages each side writes in a conversation"}
	Hardships          = Setting{"HANDOVER_HARDSHIPS", "what `TestChaos` and `TestModel` do to the library besides: `all`, `none`, `borne` (what it bears), or names with commas, from hardships_test.go. `TestChaos` does what it bears unless this is set"}
	ModelSeed          = Setting{"HANDOVER_MODEL_SEED", "decides what happens, from the first run on"}
	ModelOps           = Setting{"HANDOVER_MODEL_OPS", "how many operations are done; from 100,000 on every cell of the table must be visited, and each is changed once"}
	Soak               = Setting{"HANDOVER_SOAK", "how many seconds the load lasts"}
)

// All lists the settings.
var All = []Setting{ChaosSeed, ChaosConversations, ChaosMessages, Hardships, ModelSeed, ModelOps, Soak}

// Get returns what is set, else standard.
func (s Setting) Get(t testing.TB, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(s.Name)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s must be a whole number from 0 to 2^64-1: %q", s.Name, text)
	}
	return n
}

// Int is Get for what must fit an int: a count.
func (s Setting) Int(t testing.TB, standard int) int {
	t.Helper()
	n := s.Get(t, uint64(standard))
	if n > 1<<31-1 {
		t.Fatalf("%s must be a count below 2^31: %d", s.Name, n)
	}
	return int(n)
}

// Text returns what is set, else standard.
func (s Setting) Text(standard string) string {
	return cmp.Or(os.Getenv(s.Name), standard)
}
