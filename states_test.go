package handover_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// update rewrites documents that are made from the code: go test -run TestStatesDocument -update .
var update = flag.Bool("update", false, "rewrite the documents that are made from the code")

const statesDocument = "docs/states.md"

// TestStatesDocument keeps the table and the diagram of docs/states.md those of the table that the
// code runs.
func TestStatesDocument(t *testing.T) {
	have, err := os.ReadFile(statesDocument)
	require.NoError(t, err)
	want := replaceBlock(t, string(have), "diagram", diagram())
	want = replaceBlock(t, want, "table", statesTable())
	if *update {
		require.NoError(t, os.WriteFile(statesDocument, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(have), "run go test -run TestStatesDocument -update .")
}

// replaceBlock replaces what stands between a document's markers.
func replaceBlock(t *testing.T, document, name, block string) string {
	t.Helper()
	begin, end := "<!-- "+name+": made from states.go -->\n", "<!-- end of "+name+" -->"
	before, rest, ok := strings.Cut(document, begin)
	require.True(t, ok, "%s lacks the marker %s", statesDocument, begin)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "%s lacks the marker %s", statesDocument, end)
	return before + begin + block + end + after
}

// diagram draws the transitions, one arrow for all triggers between two states.
func diagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> bot\n")
	for _, from := range handover.States {
		for _, to := range handover.States {
			var labels []string
			for _, on := range handover.Triggers {
				c := handover.CellOf(from, on)
				if from == to || c.To != to {
					continue
				}
				label := on
				if c.Ends != "" {
					label += " (" + string(c.Ends) + ")"
				}
				labels = append(labels, label)
			}
			if len(labels) > 0 {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", from, to, strings.Join(labels, "<br/>"))
			}
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// statesTable says of every trigger what it does in every state.
func statesTable() string {
	var b strings.Builder
	b.WriteString("| on |")
	for _, s := range handover.States {
		fmt.Fprintf(&b, " %s |", s)
	}
	b.WriteString("\n|---" + strings.Repeat("|---", len(handover.States)) + "|\n")
	for _, on := range handover.Triggers {
		fmt.Fprintf(&b, "| %s |", on)
		for _, from := range handover.States {
			fmt.Fprintf(&b, " %s |", cellText(from, handover.CellOf(from, on)))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func cellText(from handover.State, c handover.Cell) string {
	text := "stays"
	if c.To != from {
		text = "**→ " + string(c.To) + "**"
	}
	if c.Ends != "" {
		text += ", end `" + string(c.Ends) + "`"
	}
	if c.What != "" {
		text += ": " + c.What
	}
	return text
}

// TestStatesTable holds the table against what docs/states.md says of all states: a handover lasts as
// long as the conversation is opening, waiting or active, and ends once.
func TestStatesTable(t *testing.T) {
	require.Empty(t, handover.UnknownTriggers())
	handedOver := func(s handover.State) bool { return s != handover.StateBot && s != handover.StateMuted }
	listed := 0
	for _, from := range handover.States {
		for _, on := range handover.Triggers {
			c, where := handover.CellOf(from, on), fmt.Sprintf("%s on %q", from, on)
			leaves := handedOver(from) && !handedOver(c.To)
			require.Equal(t, leaves, c.Ends != "", "%s: an end has a reason, and nothing else has one", where)
			if c.To == handover.StateMuted && from != c.To {
				require.Equal(t, handover.StateBot, from, "%s: only the bot is muted, by the host", where)
			}
			if c.Listed {
				require.NotEmpty(t, c.What, "%s: say what happens", where)
				listed++
			}
		}
	}
	t.Logf("states: cells=%d listed=%d", len(handover.States)*len(handover.Triggers), listed)
}
