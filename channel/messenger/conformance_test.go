package messenger_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/messenger"
)

func TestConformance(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Subject {
		fake, sent := channeltest.NewMessenger(), &channeltest.Sent{}
		fake.RequireAppSecret()
		var heard []handover.Incoming
		start := func() channel.Channel {
			page, err := messenger.New(messenger.Config{
				PageID: fake.PageID(), Token: handover.NewSecret(fake.Token()), AppSecret: handover.NewSecret(fake.AppSecret()),
				VerifyToken: handover.NewSecret(fake.VerifyToken()), Sent: sent, Client: fake.Client(), BaseURL: fake.URL(),
				Logger: slog.New(slog.DiscardHandler),
			})
			require.NoError(t, err)
			require.NoError(t, fake.Hook(page.Webhook(func(_ context.Context, m handover.Incoming) error {
				heard = append(heard, m)
				return nil
			})))
			return page
		}
		t.Cleanup(func() { require.Empty(t, fake.Faults(), "nothing is sent that Meta would not take") })
		first := start()
		return channeltest.Subject{
			Sent: sent,
			Unknown: func() {
				fake.Post(t.Context(), fake.User("user-1").Event(map[string]any{"message": map[string]any{"mid": "m_new", "hologram": map[string]any{"id": "1"}}}))
			},
			Serve: func(_ context.Context, handle func(context.Context, handover.Incoming) error) {
				require.NoError(t, fake.Hook(first.(*messenger.Channel).Webhook(handle)))
			},
			Other:   fake.User("user-2").Write,
			Channel: first, Again: start, Platform: fake.User("user-1"), Conversation: "user-1",
			Take: func(context.Context) ([]handover.Incoming, error) {
				all := heard
				heard = nil
				return all, nil
			},
			Secrets: []string{fake.Token(), fake.AppSecret(), fake.VerifyToken()},
		}
	})
}
