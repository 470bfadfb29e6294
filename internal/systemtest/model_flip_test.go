package systemtest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/testhook"
	"github.com/crisphandover/handover/internal/testmain"
)

// TestModelFindsAFlippedCell changes one cell of the table that the code runs, in each way that
// there is, and has the model test notice it: all cells with HANDOVER_MODEL_OPS=100000, else some
// of each kind.
func TestModelFindsAFlippedCell(t *testing.T) {
	if testmain.Raced() {
		t.Skip("with -race it takes minutes, and runs nothing that TestModel does not")
	}
	step := 11
	if modelOps(t) >= allModelOps {
		step = 1
	} else if testing.Short() {
		step = 50
	}
	tried, kinds := 0, make(map[string]int)
	for _, f := range flips(t) {
		if kinds[f.kind]++; (kinds[f.kind]-1)%step != 0 {
			continue
		}
		tried++
		t.Run(fmt.Sprintf("%s on %s, %s", f.from, f.on, f.kind), func(t *testing.T) {
			defer testhook.ChangeCell(f.from, f.on, func(c *testhook.Cell) { *c = f.to })()
			var sum modelSum
			for seed := range uint64(maxFlipSeeds) {
				if err := (modelRun{seed: seed, conversations: 40, rounds: 25}).run(t, &sum); err != nil {
					t.Logf("found with seed %d: %s", seed, strings.SplitN(err.Error(), "\n", 2)[0])
					return
				}
			}
			t.Fatal("the model did not notice")
		})
	}
	fmt.Printf("model: flips=%d of %v\n", tried, kinds)
	require.Len(t, kinds, 4)
}

// maxFlipSeeds is how many runs of 40 conversations a flipped cell may take to be found.
const maxFlipSeeds = 30

// flip is one way to change one cell of the table that the code runs.
type flip struct {
	from, on string
	kind     string // "target", "reason", "action" or "left out"
	to       testhook.Cell
}

// flips are ways to change each listed cell: another target, another reason, no action, and as if
// it were not listed. Those that change nothing are left out, and those with which the code would
// not go on: a handover that runs and was never begun, and a deadline that comes again at once.
func flips(t *testing.T) (all []flip) {
	states, triggers := documented(t)
	for _, from := range states {
		for _, on := range triggers {
			c := cellOf(from, on)
			if !c.Listed {
				continue
			}
			add := func(kind string, to testhook.Cell) { all = append(all, flip{from, on, kind, to}) }
			target := c
			if target.To = otherTarget(from, c); target.To != "" {
				add("target", target)
			}
			if reason := c; c.Ends != "" {
				if reason.Ends = string(handover.EndIdle); c.Ends == reason.Ends {
					reason.Ends = string(handover.EndClaimTimeout)
				}
				add("reason", reason)
			}
			begins := !withHuman(from) && withHuman(c.To)
			comes := deadlines[on] && c.To == from
			if action := c; c.Acts && !begins && !comes {
				action.Acts = false
				add("action", action)
			}
			if (c.Acts || c.To != from) && on != "Start, agent there" {
				add("left out", testhook.Cell{})
			}
		}
	}
	return all
}

// documented are the states and the triggers of docs/states.md, in its order.
func documented(t *testing.T) (states, triggers []string) {
	text, err := os.ReadFile("../../docs/states.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "\n| on |")
	require.True(t, found)
	table, _, found = strings.Cut(table, "\n<!--")
	require.True(t, found)
	head, body, found := strings.Cut(table, "\n")
	require.True(t, found)
	for _, s := range strings.Split(strings.TrimSuffix(head, "|"), "|") {
		states = append(states, strings.TrimSpace(s))
	}
	for _, row := range strings.Split(strings.TrimSpace(body), "\n")[1:] {
		on, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " |")
		triggers = append(triggers, on)
	}
	return states, triggers
}

// cellOf is a cell as it is.
func cellOf(from, on string) (c testhook.Cell) {
	testhook.ChangeCell(from, on, func(is *testhook.Cell) { c = *is })()
	return c
}

// deadlines are the triggers that come with time.
var deadlines = map[string]bool{
	"Timeouts.Remind": true, "Timeouts.Claim": true, "Timeouts.Idle": true, "half of Timeouts.Idle again": true,
	"Timeouts.Max": true, "the offer expires": true, "Timeouts.FollowUp": true,
}

// otherTarget is a state to which the cell might lead as well, "" for none.
func otherTarget(from string, c testhook.Cell) string {
	const bot, muted = string(handover.StateBot), string(handover.StateMuted)
	switch {
	case c.Ends != "":
		return muted
	case from == muted && c.To == bot:
		return "" // an un-mute for Max that does not un-mute comes again at once
	case c.To != from:
		return from
	}
	return map[string]string{
		bot: muted, muted: bot, "opening": "waiting", "waiting": "active", "active": "waiting",
	}[from]
}

// withHuman reports whether the bot is silent in a state because a human was asked for.
func withHuman(state string) bool {
	return state != string(handover.StateBot) && state != string(handover.StateMuted)
}
