package handover_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// The code of README.md stands in the functions below, so that it compiles.

var (
	_ = readmeMessage
	_ = readmeTest
	_ = readmeObserve
)

func readmeMessage(ctx context.Context, h *handover.Handover, bot readmeBot, conv handover.Conversation, messageID, text string) error {
	turn, err := h.Receive(ctx, handover.Incoming{Conversation: conv, ID: messageID, Text: text})
	if err != nil || !turn.Bot {
		return err // on an error the channel repeats the message; else turn.Why says who has it
	}
	var needHelp bool
	err = h.Reply(ctx, turn, func(ctx context.Context) (err error) {
		needHelp, err = bot.Stream(ctx, text) // may take seconds
		return err
	})
	if err == nil && needHelp {
		_, err = h.Start(ctx, turn, handover.Request{Segments: []string{"Customer"}})
	}
	if errors.Is(err, handover.ErrNotYourTurn) {
		return nil // a human took over meanwhile, and has the user's message
	}
	return err
}

func readmeTest(t *testing.T, h *handover.Handover) (string, string) {
	crisp := handovertest.NewCrisp(t, handovertest.Options{})
	id, key := crisp.Token()
	// Build the bot with crisp.WebsiteID(), id, key, crisp.Secret(), HTTPClient: crisp.Client() and BaseURL: crisp.URL(), then:
	crisp.Attach(h)
	go h.Run(t.Context()) // without it no deadline passes
	// the user asks for a human, and
	crisp.Settle()
	crisp.Last().Operator("Ann").Say("Hello, how can I help?")
	crisp.Settle() // and look at what the user got
	return id, key
}

func readmeObserve(states readmeHistogram, faults readmeCounter) handover.Config {
	return handover.Config{
		Observe: func(_ context.Context, a handover.Activity) {
			switch a.Kind {
			case handover.ActivityState:
				states.WithLabelValues(string(a.From), string(a.To), string(a.Reason)).Observe(a.Took.Seconds())
			case handover.ActivityFault:
				faults.WithLabelValues(a.Effect).Inc()
			}
		},
	}
}

// What the code in README.md takes from its host, and from Prometheus.
type (
	readmeBot interface {
		Stream(ctx context.Context, text string) (needHelp bool, err error)
	}
	readmeHistogram interface {
		WithLabelValues(...string) interface{ Observe(float64) }
	}
	readmeCounter interface {
		WithLabelValues(...string) interface{ Inc() }
	}
)

// TestReadmeCode finds each block of README.md's code in this file, whatever its indentation. The first one is
// a program, which examples/firstbot runs.
func TestReadmeCode(t *testing.T) {
	flat := func(code string) string {
		var lines []string
		for line := range strings.Lines(code) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return strings.TrimSpace(strings.Join(lines, "\n"))
	}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	file, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)
	program, err := os.ReadFile("examples/firstbot/main.go")
	require.NoError(t, err)
	blocks := strings.Split(string(readme), "```go\n")[1:]
	require.NotEmpty(t, blocks)
	for i, block := range blocks {
		code, _, found := strings.Cut(block, "```\n")
		require.True(t, found)
		if i > 0 {
			require.Contains(t, flat(string(file)), flat(code))
			continue
		}
		require.Equal(t, string(program), code)
		require.Less(t, strings.Count(code, "\n"), 45, "a bot is wired in fewer than 45 lines")
	}
}
