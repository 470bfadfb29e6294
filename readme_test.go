package handover_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	systemrig "github.com/crisphandover/handover/internal/systemtest/rig"
)

// The code of README.md stands in the functions below, so that it compiles.

var (
	_ = readmeTest
	_ = readmeObserve
)

func readmeMessage(ctx context.Context, h *handover.Handover, bot readmeBot, conv handover.Conversation, messageID, text string) error {
	turn, err := h.Receive(ctx, handover.Incoming{Conversation: conv, ID: messageID, Text: text})
	if err != nil || !turn.Bot {
		return err // on an error the channel repeats the message; else turn.Why says who has it
	}
	err = h.Reply(ctx, turn, func(ctx context.Context) error {
		needHelp, err := bot.Stream(ctx, text) // may take seconds
		if err == nil && needHelp {
			_, err = h.Start(ctx, turn, handover.Request{Segments: []string{"Customer"}})
		}
		return err
	})
	if errors.Is(err, handover.ErrNotYourTurn) {
		return nil // a human has the conversation, and the user's message
	}
	return err // on an error the channel repeats the message
}

// scripted is a bot that always asks for a human.
type scripted func()

func (say scripted) Stream(context.Context, string) (bool, error) {
	say()
	return true, nil
}

// README's own loop asks for a human although the store failed at the first try.
func TestReadmeLoop(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		message := func(say scripted) error {
			return readmeMessage(r.T.Context(), r.H, say, r.Conv, "m1", "a human!")
		}
		require.Error(r.T, message(func() {
			r.Spoke("I ask")
			r.Store.Fails(true)
		}))
		r.Store.Fails(false)
		r.After(time.Minute)
		require.NoError(r.T, message(func() { r.Spoke("I ask once more") }))
		require.NoError(r.T, message(func() { r.Spoke("not again") }))
		r.After(time.Minute)
		require.Equal(r.T, handover.StateWaiting, r.Session().State)
		require.Len(r.T, r.Crisp.Conversations(), 1)
		require.Equal(r.T, []string{"bot: I ask", "bot: I ask once more"}, r.Saw()[:2])
		require.Len(r.T, systemrig.UserTexts(r.Crisp.Last()), 1, "the opening message alone")
	})
}

func readmeTest(t *testing.T, bot readmeManaged) {
	crisp := handovertest.NewCrisp(t, handovertest.Options{})
	config := crisp.Config() // website, token, hooks, client, store, logger
	config.Answer, config.Deliver = bot.answer, bot.deliver
	h, err := handover.New(config)
	require.NoError(t, err)
	crisp.Run(h) // until the test ends
	// the user asks for a human, and
	crisp.Settle()
	crisp.Last().Operator("Ann").Say("Hello, how can I help?")
	crisp.Settle() // and look at what the user got
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
	readmeManaged struct {
		answer  func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error)
		deliver func(context.Context, handover.Session, handover.Message) (string, error)
	}
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
