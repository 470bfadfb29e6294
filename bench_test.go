package handover_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// benchBot is a bot on the fake, without fake time.
func benchBot(b *testing.B) (*handovertest.Crisp, *handover.Handover, handover.Conversation) {
	crisp := handovertest.NewCrisp(b, handovertest.Options{})
	id, key := crisp.Token()
	h, err := handover.New(handover.Config{
		WebsiteID: crisp.WebsiteID(), Token: handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook: handover.Webhook{Secrets: handover.NewSecrets(crisp.Secret())}, HTTPClient: crisp.Client(), BaseURL: crisp.URL(),
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
		Deliver: func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil },
		Limits:  handover.Limits{CreatesPerMinute: -1},
	})
	require.NoError(b, err)
	b.Cleanup(crisp.Attach(h))
	return crisp, h, handover.Conversation{Source: "webchat", ID: "bench"}
}

// BenchmarkBotTurn is what the library costs while only the bot talks.
func BenchmarkBotTurn(b *testing.B) {
	_, h, conv := benchBot(b)
	b.ReportAllocs()
	for i := range b.N {
		turn, err := h.Receive(b.Context(), handover.Incoming{Conversation: conv, ID: fmt.Sprint(i), Text: "hello"})
		require.NoError(b, err)
		require.NoError(b, h.Reply(b.Context(), turn, func(context.Context) error { return nil }))
	}
}

// BenchmarkRelay is a message of the user that reaches Crisp, and its echo.
func BenchmarkRelay(b *testing.B) {
	_, h, conv := benchBot(b)
	benchStart(b, h, conv)
	b.ReportAllocs()
	for i := range b.N {
		_, err := h.Receive(b.Context(), handover.Incoming{Conversation: conv, ID: fmt.Sprint(i), Text: "hello"})
		require.NoError(b, err)
	}
}

// BenchmarkDeliver is a message of an agent: its hook, the read of the log, Deliver and the marks.
func BenchmarkDeliver(b *testing.B) {
	crisp, h, conv := benchBot(b)
	benchStart(b, h, conv)
	b.ReportAllocs()
	for i := range b.N {
		if i%20 == 0 { // a new conversation: each read goes back ten minutes
			b.StopTimer()
			conv.ID = fmt.Sprint("bench", i)
			benchStart(b, h, conv)
			crisp.Settle()
			b.StartTimer()
		}
		crisp.Last().Operator("Ann").Say("hello")
		crisp.Settle()
	}
}

func benchStart(b *testing.B, h *handover.Handover, conv handover.Conversation) {
	s, err := h.Session(b.Context(), conv)
	require.NoError(b, err)
	outcome, err := h.Start(b.Context(), s.Turn(), handover.Request{})
	require.NoError(b, err)
	require.Equal(b, handover.Opened, outcome)
}
