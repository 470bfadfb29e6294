package integration

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/messenger"
	"github.com/crisphandover/handover/handovertest"
)

// messengerRig is a page, and its user.
type messengerRig struct {
	onChannel
	fake *channeltest.Messenger
	me   *channeltest.MessengerUser
	page *messenger.Channel
}

func onMessenger() *messengerRig {
	r := &messengerRig{}
	r.start = func(c *handover.Config, sent channel.Sent) (channel.Channel, func(func(context.Context, handover.Incoming) error)) {
		if r.fake == nil {
			r.fake = channeltest.NewMessenger()
			r.me = r.fake.User("user-1")
			r.user = r.me
		}
		page, err := messenger.New(messenger.Config{
			PageID: r.fake.PageID(), Token: handover.NewSecret(r.fake.Token()), AppSecret: handover.NewSecret(r.fake.AppSecret()),
			VerifyToken: handover.NewSecret(r.fake.VerifyToken()), Sent: sent, Client: r.fake.Client(), BaseURL: r.fake.URL(), Logger: c.Logger,
		})
		require.NoError(r.t, err)
		r.page = page
		return page, func(handle func(context.Context, handover.Incoming) error) {
			require.NoError(r.t, r.fake.Hook(page.Webhook(handle)))
		}
	}
	return r
}

func TestChannelMessenger(t *testing.T) {
	wholeHandover(t, func() *onChannel { return &onMessenger().onChannel }, "(Ann) ")
	t.Run("pictures, voice, cards and typing", func(t *testing.T) {
		r := onMessenger()
		r.play(t, func(*onChannel) {
			r.opened("(Ann) ")
			r.me.Send("image", "https://cdn.example/a.png")
			r.me.Send("audio", "https://cdn.example/voice.mp4")
			r.passes(time.Second)
			require.Subset(r.t, r.crisp.Last().Transcript(), []string{"user (file): a.png", "user (audio): https://cdn.example/voice.mp4"})
			r.user.New()
			ann := r.agent()
			ann.Type(true)
			r.passes(time.Second)
			require.Equal(r.t, 1, r.me.Typing())
			ann.File("bike.png", "https://cdn.example/bike.png", "image/png")
			ann.Audio("https://cdn.example/a.mp3", "audio/mpeg", 3)
			ann.Carousel("", handovertest.Slide{Title: "One", Description: "Light", Links: []handovertest.Link{{Label: "See it", URL: "https://bikes.example/1"}}})
			ann.Note("Nobody sees this.")
			r.saw("(Ann)  <https://cdn.example/bike.png>", "(Ann)  <https://cdn.example/a.mp3>", "(Ann) One\nLight [See it]")
			require.Empty(r.t, r.fake.Faults())
		})
	})
	t.Run("what the user edits", func(t *testing.T) {
		r := onMessenger()
		r.play(t, func(*onChannel) {
			r.opened("(Ann) ")
			r.user.Write("my parcl is lost")
			r.me.Edit("my parcel is lost", 1)
			r.passes(time.Second)
			require.Contains(r.t, userTexts(r.crisp.Last()), "my parcel is lost")
			require.NotContains(r.t, userTexts(r.crisp.Last()), "my parcl is lost")
		})
	})
	t.Run("a stranger, and another page", func(t *testing.T) {
		r := onMessenger()
		r.play(t, func(*onChannel) {
			text := map[string]any{"message": map[string]any{"mid": "m1", "text": "a human!"}}
			require.Equal(r.t, http.StatusForbidden, r.fake.PostSigned(r.t.Context(), r.me.Event(text), "sha256=00"))
			text["recipient"] = map[string]string{"id": "another page"}
			require.Equal(r.t, http.StatusOK, r.fake.Post(r.t.Context(), r.me.Event(text)))
			text["recipient"], text["sender"] = map[string]string{"id": "user-1"}, map[string]string{"id": r.fake.PageID()}
			require.Equal(r.t, http.StatusOK, r.fake.Post(r.t.Context(), r.me.Event(text)))
			r.passes(time.Minute)
			require.Empty(r.t, r.user.New())
			require.Empty(r.t, r.crisp.Conversations())
		})
	})
	t.Run("a user who blocks the page", func(t *testing.T) {
		r := onMessenger()
		r.play(t, func(*onChannel) {
			r.opened("(Ann) ")
			r.me.Block(true)
			r.agent().Say("Are you there?")
			r.passes(time.Hour)
			require.Less(r.t, r.fake.Refused(), 5)
			r.me.Block(false)
			r.user.Write("I am")
			r.passes(time.Second)
			require.Contains(r.t, fmt.Sprint(r.user.New()), "(Ann) Are you there?")
		})
	})
}
