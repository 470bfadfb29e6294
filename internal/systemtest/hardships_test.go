package systemtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/systemtest/settings"
)

// hardship is a kind of thing that the worlds of TestChaos and TestModel do to the library, besides
// the faults of single calls and hooks. A run counts how often each happened.
type hardship string

// The hardships.
const (
	skewedReplicas  hardship = "skewed replicas"    // the replicas' clocks are wrong, by up to an hour
	skewedCrisp     hardship = "skewed crisp"       // Crisp's clock is wrong, by up to 20 minutes
	oddUserTimes    hardship = "odd user times"     // a channel gives messages years that cannot be
	oddTimes        hardship = "odd times"          // so does Crisp
	oddFingerprints hardship = "odd fingerprints"   // Crisp gives messages numbers that are none
	oddHookTimes    hardship = "odd hook times"     // hooks have no time of their own, or one in seconds
	triggers        hardship = "triggers"           // the chatbox's triggers write, who are nobody
	logLag          hardship = "log lag"            // reads of Crisp's log lag, by seconds
	hollowSuccess   hardship = "hollow successes"   // an answer is 200 and not as Crisp documents it
	quotaLimits     hardship = "quota limits"       // Crisp answers 429 to everything, and says for how long
	refusedSteps    hardship = "refused steps"      // a step that a handover can do without is refused for good
	hungCallbacks   hardship = "hung callbacks"     // a callback never returns, whatever its context says
	panics          hardship = "panics"             // a callback panics
	longTalks       hardship = "long conversations" // some have ten times as many messages
	storeAway       hardship = "store away"         // the store fails or hangs for seconds, for all replicas
	lostSaves       hardship = "lost saves"         // the store saves, and says that it failed
	adoptions       hardship = "adoptions"          // the handover goes on in a conversation that Crisp has
	parts           hardship = "parts"              // texts that are too long for one message
	lateEnds        hardship = "late ends"          // OnEnd fails for minutes
)

// hardships are all there are, and whether the library bears them. TestChaos has those that it bears, unless
// settings.Hardships asks for others.
var hardships = map[hardship]bool{
	skewedReplicas:  true,
	skewedCrisp:     true,
	oddUserTimes:    true,
	oddTimes:        true,
	oddFingerprints: true,
	oddHookTimes:    true,
	triggers:        true,
	logLag:          true,
	hollowSuccess:   true,
	quotaLimits:     true,
	refusedSteps:    true,
	hungCallbacks:   true,
	panics:          true,
	longTalks:       true,
	storeAway:       true,
	lostSaves:       true,
	adoptions:       true,
	parts:           true,
	lateEnds:        true,
}

// hard is a set of hardships.
type hard map[hardship]bool

// borne are the hardships that the library bears.
func borne() hard {
	set := maps.Clone(hard(hardships))
	maps.DeleteFunc(set, func(_ hardship, on bool) bool { return !on })
	return set
}

// chosen are the hardships of a run: what the environment asks for, or the standard of the test.
func chosen(t *testing.T, standard string) hard {
	t.Helper()
	set, err := named(settings.Hardships.Text(standard))
	require.NoError(t, err, settings.Hardships.Name)
	return set
}

// named are the hardships that a text names: "borne", "all", "none", or names with commas.
func named(text string) (set hard, err error) {
	set = make(hard)
	switch text {
	case "borne":
		return borne(), nil
	case "none":
		return set, nil
	}
	for _, name := range strings.Split(text, ",") {
		h := hardship(strings.TrimSpace(name))
		if _, known := hardships[h]; !known && text != "all" {
			return nil, fmt.Errorf("there is no hardship %q: choose all, none, borne, or of %q", h, slices.Sorted(maps.Keys(hardships)))
		}
		set[h] = true
	}
	if text == "all" {
		set = maps.Clone(hard(hardships))
		for h := range set {
			set[h] = true
		}
	}
	return set, nil
}
