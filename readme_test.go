package handover_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// The code of README.md stands in the functions below, so that it compiles.

var (
	_ = readmeNew
	_ = (*Chat).Deliver
	_ = readmeMessage
	_ = readmeTest
	_ = readmeObserve
)

func readmeNew(ctx context.Context, chat readmeChat) error {
	h, err := handover.New(handover.Config{
		WebsiteID: os.Getenv("CRISP_WEBSITE_ID"),
		Token:     handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(os.Getenv("CRISP_IDENTIFIER")), Key: handover.NewSecret(os.Getenv("CRISP_KEY"))},
		Webhook:   handover.Webhook{Secrets: handover.NewSecrets(os.Getenv("CRISP_WEBHOOK_SECRET"))},
		Deliver:   chat.Deliver, // everything the user must see comes through here
	})
	if err != nil {
		return err
	}
	http.Handle("POST /crisp/hooks", h)
	go h.Run(ctx) // deadlines, retries, catch-up: without it one failed delivery holds up all that follow
	return nil
}

type Chat struct{ channel readmeChannel }

func (c *Chat) Deliver(ctx context.Context, s handover.Session, m handover.Message) (channelID string, err error) {
	return c.channel.Show(ctx, s.Conversation.ID, m.ID, m.From, m.Agent.Name, m.Content)
}

func readmeMessage(ctx context.Context, h *handover.Handover, bot readmeBot, chat readmeChat, conv handover.Conversation, messageID, text string, userData handover.UserData) error {
	turn, err := h.Receive(ctx, handover.Incoming{Conversation: conv, ID: messageID, Text: text})
	if err != nil || !turn.Bot {
		return err // on an error the channel repeats the message; else a human has it
	}
	answer := bot.Answer(ctx, text) // may take seconds
	err = h.Reply(ctx, turn, func(ctx context.Context) error { return chat.Send(ctx, conv.ID, answer.Text) })
	if err == nil && answer.NeedHelp {
		_, err = h.Start(ctx, turn, handover.Request{Segments: []string{"Customer"}, User: userData})
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
	readmeChat interface {
		Deliver(context.Context, handover.Session, handover.Message) (string, error)
		Send(ctx context.Context, user, text string) error
	}
	readmeChannel interface {
		Show(ctx context.Context, user, id string, from handover.From, name string, content handover.RichMessage) (string, error)
	}
	readmeBot interface {
		Answer(ctx context.Context, text string) readmeAnswer
	}
	readmeAnswer struct {
		Text     string
		NeedHelp bool
	}
	readmeHistogram interface {
		WithLabelValues(...string) interface{ Observe(float64) }
	}
	readmeCounter interface {
		WithLabelValues(...string) interface{ Inc() }
	}
)

// TestReadmeCode finds each block of README.md's code in this file, whatever its indentation.
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
	blocks := strings.Split(string(readme), "```go\n")[1:]
	require.NotEmpty(t, blocks)
	wiring := 0 // of the first three blocks
	for i, block := range blocks {
		code, _, found := strings.Cut(block, "```\n")
		require.True(t, found)
		require.Contains(t, flat(string(file)), flat(code))
		if i < 3 {
			wiring += strings.Count(code, "\n")
		}
	}
	require.Less(t, wiring, 40, "a bot is wired in fewer than 40 lines")
}
