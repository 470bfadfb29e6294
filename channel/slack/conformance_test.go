package slack

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
func newOn(t *testing.T, fake *channeltest.Slack, sent channel.Sent) *Channel {
	c, err := New(Config{Token: handover.NewSecret(fake.Token()), SigningSecret: handover.NewSecret(fake.SigningSecret()), Logger: slog.New(slog.DiscardHandler), Client: fake.Client(), BaseURL: fake.URL(), Sent: sent})
	require.NoError(t, err)
	return c
}

func TestConformance(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Subject {
		fake, sent := channeltest.NewSlack(), &channeltest.Sent{}
		c := newOn(t, fake, sent)
		return channeltest.Subject{
			Sent:    sent,
			Unknown: func() { fake.User("", map[string]any{"blocks": []any{map[string]any{"type": "hologram"}}}) },
			Serve: func(_ context.Context, handle func(context.Context, handover.Incoming) error) {
				require.NoError(t, fake.Hook(c.Webhook(handle)))
			},
			Other:   func(text string) { fake.User(text, map[string]any{"channel": "D0ANN", "user": "U0ANN"}) },
			Channel: c, Again: func() channel.Channel { return newOn(t, fake, sent) },
			Platform: fake, Conversation: channeltest.SlackChannel, Secrets: []string{fake.Token(), fake.SigningSecret()},
			Take: func(ctx context.Context) (all []handover.Incoming, err error) {
				for _, raw := range fake.Posts() {
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
