package telegram

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
)

// newOn returns the channel on a fake.
func newOn(t *testing.T, fake *channeltest.Telegram, sent channel.Sent) *Channel {
	c, err := New(Config{Token: handover.NewSecret(fake.Token()), Client: fake.Client(), BaseURL: fake.URL(), Sent: sent, WebhookSecret: handover.NewSecret("hook-secret"), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return c
}

func TestConformance(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Subject {
		fake, sent := channeltest.NewTelegram(), &channeltest.Sent{}
		c := newOn(t, fake, sent)
		return channeltest.Subject{
			Sent:    sent,
			Unknown: func() { fake.User(map[string]any{"hologram": map[string]any{"id": 1}}) },
			Serve: func(ctx context.Context, handle func(context.Context, handover.Incoming) error) {
				go func() { _ = c.Poll(ctx, handle) }()
			},
			Other:   func(text string) { fake.User(by(8, text)) },
			Channel: c, Again: func() channel.Channel { return newOn(t, fake, sent) },
			Platform: fake, Conversation: channeltest.TelegramChat, Secrets: []string{fake.Token(), "hook-secret"},
			Take: func(ctx context.Context) (all []handover.Incoming, err error) {
				for _, raw := range fake.Updates() {
					in, ok, err := c.Incoming(ctx, raw)
					if err != nil {
						return nil, err
					}
					if ok {
						all = append(all, in)
					}
				}
				return all, nil
			},
		}
	})
}
