package whatsapp_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/whatsapp"
)

func TestConformance(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Subject {
		fake, sent := channeltest.NewWhatsApp(), &channeltest.Sent{}
		fake.RequireAppSecret()
		var heard []handover.Incoming
		start := func() channel.Channel {
			number, err := whatsapp.New(whatsapp.Config{
				PhoneNumberID: fake.PhoneNumberID(), Token: handover.NewSecret(fake.Token()), AppSecret: handover.NewSecret(fake.AppSecret()),
				VerifyToken: handover.NewSecret(fake.VerifyToken()), Sent: sent, Client: fake.Client(), BaseURL: fake.URL(),
				Logger: slog.New(slog.DiscardHandler),
			})
			require.NoError(t, err)
			require.NoError(t, fake.Hook(number.Webhook(func(_ context.Context, m handover.Incoming) error {
				heard = append(heard, m)
				return nil
			})))
			return number
		}
		t.Cleanup(func() { require.Empty(t, fake.Faults(), "nothing is sent that Meta would not take") })
		first := start()
		user := fake.User(phone)
		fake.Post(t.Context(), user.Message("wamid.first", map[string]any{"type": "text", "text": map[string]any{"body": "I have written"}}))
		heard = nil
		return channeltest.Subject{
			Sent: sent,
			Unknown: func() {
				fake.Post(t.Context(), user.Message("wamid.new", map[string]any{"type": "hologram", "hologram": map[string]any{"id": "1"}}))
			},
			Serve: func(_ context.Context, handle func(context.Context, handover.Incoming) error) {
				require.NoError(t, fake.Hook(first.(*whatsapp.Channel).Webhook(handle)))
			},
			Other:   fake.User("15550009999").Write,
			Channel: first, Again: start, Platform: user, Conversation: phone,
			Take: func(context.Context) ([]handover.Incoming, error) {
				all := heard
				heard = nil
				return all, nil
			},
			Secrets: []string{fake.Token(), fake.AppSecret(), fake.VerifyToken()},
		}
	})
}
