package integration

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// The wiring is a bot as hosts write it, with the root package alone: in a web page with a streamed answer. Its test plays a whole handover and the traps that hosts fell into when they wired the
// library by hand.

// addedLines counts the lines of code that handing over adds to a bot: those between the markers in its file,
// without comments and empty lines.
func addedLines(t *testing.T, file string) (n int) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	counts := false
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case line == "// handing over {":
			counts = true
		case line == "// }":
			counts = false
		case counts && line != "" && !strings.HasPrefix(line, "//"):
			n++
		}
	}
	require.False(t, counts)
	require.Positive(t, n)
	return n
}

// wired is what the bots have in common: a fake Crisp, and a brain.
type wired struct {
	t      *testing.T
	crisp  *handovertest.Crisp
	config handover.Config
	brain  *brain
}

// brain says "You said …", and that it asks for a human when the user does.
type brain struct {
	thinks time.Duration
	asks   func() // called once, before it asks
}

func newWired(t *testing.T) wired {
	crisp := handovertest.NewCrisp(t, handovertest.Options{})
	return wired{t: t, crisp: crisp, config: crisp.Config(), brain: new(brain)}
}

func (b *brain) think(ctx context.Context, text string) (answer string, needsHuman bool, err error) {
	select {
	case <-time.After(b.thinks):
	case <-ctx.Done():
		return "", false, ctx.Err()
	}
	if !strings.Contains(text, "human") {
		return "You said " + text, false, nil
	}
	if asks := b.asks; asks != nil {
		b.asks = nil
		asks()
	}
	return "I ask for one.", true, nil
}

// breaks are the two ways in which a store fails at a save.
var breaks = map[string]func(s *handovertest.BrittleStore, n int){
	"before the save": (*handovertest.BrittleStore).BreakBeforeSave,
	"after the save":  (*handovertest.BrittleStore).BreakAfterSave,
}

// passes lets time pass.
func (w wired) passes(d time.Duration) {
	w.crisp.Settle()
	time.Sleep(d)
	w.crisp.Settle()
}

// agent is who answers in Crisp.
func (w wired) agent() *handovertest.Operator { return w.crisp.Last().Operator("Ann") }

// userTexts are the user's messages in a Crisp conversation.
func userTexts(v *handovertest.Conversation) (texts []string) {
	for _, m := range v.Messages() {
		if m.From == "user" {
			texts = append(texts, m.Text())
		}
	}
	return texts
}
