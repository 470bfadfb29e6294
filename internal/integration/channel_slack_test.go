package integration

import (
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
	"github.com/crisphandover/handover/channel/slack"
)

// slackRig is an app, and its user.
type slackRig struct {
	onChannel
	fake *channeltest.Slack
}

func onSlack() *slackRig {
	r := &slackRig{}
	r.edits, r.always, r.silent = true, true, true
	r.start = func(c *handover.Config, sent channel.Sent) (channel.Channel, func(func(context.Context, handover.Incoming) error)) {
		if r.fake == nil {
			r.fake = channeltest.NewSlack()
			r.user = r.fake
		}
		app, err := slack.New(slack.Config{Token: handover.NewSecret(r.fake.Token()), SigningSecret: handover.NewSecret(r.fake.SigningSecret()),
			Sent: sent, Client: r.fake.Client(), BaseURL: r.fake.URL(), Logger: c.Logger})
		require.NoError(r.t, err)
		c.Files = handover.FileLinks{URL: "https://bot.example.com/files", SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
		return app, func(handle func(context.Context, handover.Incoming) error) {
			require.NoError(r.t, r.fake.Hook(app.Webhook(handle)))
		}
	}
	return r
}

func TestChannelSlack(t *testing.T) {
	wholeHandover(t, func() *onChannel { return &onSlack().onChannel }, "Ann: ")
	t.Run("pictures, voice and links", func(t *testing.T) {
		r := onSlack()
		r.play(t, func(*onChannel) {
			r.opened("Ann: ")
			r.fake.File("bike.png", "image/png", []byte("a picture"))
			r.fake.File("voice.m4a", "audio/mp4", []byte("a voice"))
			r.passes(time.Second)
			require.Contains(r.t, r.crisp.Last().Transcript(), "user (file): bike.png")
			all := r.crisp.Last().Messages()
			content, _ := all[len(all)-2].Content.(map[string]any)
			response := r.fetched(content["url"].(string))
			require.Equal(r.t, http.StatusOK, response.StatusCode)
			require.Equal(r.t, "image/png", response.Header.Get("Content-Type"))
			got, err := io.ReadAll(response.Body)
			require.NoError(r.t, err)
			require.Equal(r.t, "a picture", string(got))

			r.user.New()
			ann := r.agent()
			ann.File("map.png", "https://cdn.example/map.png", "image/png")
			ann.Audio("https://cdn.example/a.mp3", "audio/mpeg", 3)
			ann.Say("<!channel> see **[our shop](https://shop.example)**")
			r.saw("Ann: <https://cdn.example/map.png>", "Ann: https://cdn.example/a.mp3 (https://cdn.example/a.mp3)", "Ann: <!channel> see our shop (https://shop.example)")
		})
	})
	t.Run("what the user edits", func(t *testing.T) {
		r := onSlack()
		r.play(t, func(*onChannel) {
			r.opened("Ann: ")
			id := r.fake.User("my parcl is lost", nil)
			r.passes(time.Second)
			r.fake.Edit(id, "my parcel is lost")
			r.passes(time.Second)
			require.Contains(r.t, userTexts(r.crisp.Last()), "my parcel is lost")
			require.NotContains(r.t, userTexts(r.crisp.Last()), "my parcl is lost")
		})
	})
}
