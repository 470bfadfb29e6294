package integration

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/whatsapp"
)

// whatsAppRig is a number, and its user.
type whatsAppRig struct {
	onChannel
	fake *channeltest.WhatsApp
	me   *channeltest.WhatsAppUser
}

func onWhatsApp() *whatsAppRig {
	r := &whatsAppRig{}
	r.start = func(c *handover.Config, sent channel.Sent) (channel.Channel, func(func(context.Context, handover.Incoming) error)) {
		if r.fake == nil {
			r.fake = channeltest.NewWhatsApp()
			r.me = r.fake.User("4915112345678")
			r.user = r.me
		}
		number, err := whatsapp.New(whatsapp.Config{
			PhoneNumberID: r.fake.PhoneNumberID(), Token: handover.NewSecret(r.fake.Token()), AppSecret: handover.NewSecret(r.fake.AppSecret()),
			VerifyToken: handover.NewSecret(r.fake.VerifyToken()), Sent: sent, Client: r.fake.Client(), BaseURL: r.fake.URL(), Logger: c.Logger,
		})
		require.NoError(r.t, err)
		c.Files = handover.FileLinks{URL: "https://bot.example.com/files", SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
		return number, func(handle func(context.Context, handover.Incoming) error) {
			require.NoError(r.t, r.fake.Hook(number.Webhook(handle)))
		}
	}
	return r
}

func TestChannelWhatsApp(t *testing.T) {
	wholeHandover(t, func() *onChannel { return &onWhatsApp().onChannel }, "Ann: ")
	t.Run("pictures, voice, lists and typing", func(t *testing.T) {
		r := onWhatsApp()
		r.play(t, func(*onChannel) {
			r.opened("Ann: ")
			voice := bytes.Repeat([]byte("voice"), 1000)
			r.me.Send("audio", "audio/ogg; codecs=opus", "", voice)
			r.me.Send("document", "application/pdf", "bill.pdf", []byte("a bill"))
			r.passes(time.Second)
			all := r.crisp.Last().Messages()
			content, _ := all[len(all)-2].Content.(map[string]any)
			response := r.fetched(content["url"].(string))
			require.Equal(r.t, http.StatusOK, response.StatusCode)
			require.Equal(r.t, "audio/ogg", response.Header.Get("Content-Type"))
			got, err := io.ReadAll(response.Body)
			require.NoError(r.t, err)
			require.Equal(r.t, voice, got)
			require.Contains(r.t, r.crisp.Last().Transcript(), "user (file): bill.pdf")

			r.user.New()
			ann := r.agent()
			ann.Type(true)
			r.passes(time.Second)
			require.Equal(r.t, 1, r.me.Typing())
			ann.File("map.png", "https://cdn.example/map.png", "image/png")
			ann.Audio("https://cdn.example/a.webm", "audio/webm", 3)
			ann.Picker("When?", "1", "2", "3", "4")
			r.saw("Ann: <https://cdn.example/map.png>", "Ann:\nhttps://cdn.example/a.webm", "Ann: When? [1] [2] [3] [4]")
			require.True(r.t, r.user.Press("3"))
			r.passes(time.Second)
			require.True(r.t, r.chosen("3"))
			require.Empty(r.t, r.fake.Faults())
		})
	})
	t.Run("what the user edits", func(t *testing.T) {
		r := onWhatsApp()
		r.play(t, func(*onChannel) {
			r.opened("Ann: ")
			r.user.Write("my parcl is lost")
			r.me.Edit("my parcel is lost")
			r.passes(time.Second)
			require.Contains(r.t, userTexts(r.crisp.Last()), "my parcel is lost")
			require.NotContains(r.t, userTexts(r.crisp.Last()), "my parcl is lost")
		})
	})
	t.Run("a stranger, and another number", func(t *testing.T) {
		r := onWhatsApp()
		r.play(t, func(*onChannel) {
			text := r.me.Message("wamid.x", map[string]any{"type": "text", "text": map[string]string{"body": "a human!"}})
			require.Equal(r.t, http.StatusForbidden, r.fake.PostSigned(r.t.Context(), text, "sha256=00"))
			text = bytes.ReplaceAll(text, []byte(r.fake.PhoneNumberID()), []byte("3003"))
			require.Equal(r.t, http.StatusOK, r.fake.Post(r.t.Context(), text))
			r.passes(time.Minute)
			require.Empty(r.t, r.user.New())
			require.Empty(r.t, r.crisp.Conversations())
		})
	})
	t.Run("a repeat during a slow answer", func(t *testing.T) {
		r := onWhatsApp()
		r.play(t, func(*onChannel) {
			r.brain.thinks = 30 * time.Second
			hook := r.me.Message("wamid.1", map[string]any{"type": "text", "text": map[string]string{"body": "hello"}})
			for range 10 {
				require.Equal(r.t, http.StatusOK, r.fake.Post(r.t.Context(), hook))
				r.passes(5 * time.Second)
			}
			r.saw("You said hello")
		})
	})
	t.Run("what WhatsApp takes and loses", func(t *testing.T) {
		r := onWhatsApp()
		r.play(t, func(*onChannel) {
			r.opened("Ann: ")
			seen := r.user.Seen()
			r.passes(time.Minute)
			r.me.Failed(seen[len(seen)-1].ID, 131026)
			r.agent().Say("Are you there?")
			r.saw([]string(nil)...)
			r.passes(time.Minute)
			r.user.Write("I am")
			r.passes(time.Second)
			require.Equal(r.t, []string{"> I am", "Ann: Are you there?"}, r.user.New())
		})
	})
}
