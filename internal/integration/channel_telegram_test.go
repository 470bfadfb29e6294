package integration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/telegram"
)

// telegramRig is a bot on Telegram, by long polling, and its user.
type telegramRig struct {
	onChannel
	fake *channeltest.Telegram
	quit func() // ends the polling of the process before
	lost int    // how many updates are taken and not acknowledged
}

func onTelegram() *telegramRig {
	r := &telegramRig{quit: func() {}}
	r.edits, r.always, r.silent = true, true, true
	r.start = func(c *handover.Config, sent channel.Sent) (channel.Channel, func(func(context.Context, handover.Incoming) error)) {
		if r.quit(); r.fake == nil {
			r.fake = channeltest.NewTelegram()
			r.user = r.fake
		}
		tg, err := telegram.New(telegram.Config{Token: handover.NewSecret(r.fake.Token()), Sent: sent, Client: r.fake.Client(), BaseURL: r.fake.URL(), Logger: c.Logger})
		require.NoError(r.t, err)
		c.Files = handover.FileLinks{URL: "https://bot.example.com/files", SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
		return tg, func(handle func(context.Context, handover.Incoming) error) {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() {
				done <- tg.Poll(ctx, func(ctx context.Context, in handover.Incoming) error {
					err := handle(ctx, in)
					if r.lost > 0 {
						r.lost--
						return errors.New("the process restarts before it has acknowledged the update")
					}
					return err
				})
			}()
			r.quit = func() { cancel(); <-done; r.quit = func() {} }
			r.t.Cleanup(func() { r.quit() })
		}
	}
	return r
}

func TestChannelTelegram(t *testing.T) {
	wholeHandover(t, func() *onChannel { return &onTelegram().onChannel }, "Ann: ")
	t.Run("pictures, voice, typing, edits and removals", func(t *testing.T) {
		r := onTelegram()
		r.play(t, func(*onChannel) {
			r.opened("Ann: ")
			voice := bytes.Repeat([]byte("voice"), 1000)
			r.fake.File("photo", "", "", "my bike", []byte("a picture"))
			r.fake.File("voice", "", "audio/ogg", "", voice)
			r.fake.File("document", "bill.pdf", "application/pdf", "", []byte("a bill"))
			r.passes(time.Second)
			require.Contains(r.t, r.crisp.Last().Transcript(), "user: my bike")
			require.Contains(r.t, r.crisp.Last().Transcript(), "user (file): bill.pdf")
			all := r.crisp.Last().Messages()
			content, _ := all[len(all)-2].Content.(map[string]any)
			link := content["url"].(string)
			require.NotContains(r.t, link, r.fake.Token())
			response := r.fetched(link)
			require.Equal(r.t, http.StatusOK, response.StatusCode)
			require.Equal(r.t, "audio/ogg", response.Header.Get("Content-Type"))
			got, err := io.ReadAll(response.Body)
			require.NoError(r.t, err)
			require.Equal(r.t, voice, got)

			r.user.New()
			ann := r.agent()
			ann.Type(true)
			r.passes(time.Second)
			require.Equal(r.t, 1, r.fake.Typing())
			ann.File("map.png", "https://cdn.example/map.png", "image/png")
			ann.Audio("https://cdn.example/a.mp3", "audio/mpeg", 3)
			ann.Say("see [our **shop**](https://shop.example)")
			r.saw("Ann: <https://cdn.example/map.png>", "Ann: <https://cdn.example/a.mp3>", "Ann: see our shop")
			seen := r.user.Seen()
			require.Equal(r.t, `Ann: see <a href="https://shop.example">our <b>shop</b></a>`, seen[len(seen)-1].Raw)
		})
	})
	t.Run("what the user edits", func(t *testing.T) {
		r := onTelegram()
		r.play(t, func(*onChannel) {
			r.opened("Ann: ")
			id := r.fake.User(map[string]any{"text": "my parcl is lost"})
			r.passes(time.Second)
			r.fake.Edit(id, "my parcel is lost")
			r.passes(time.Second)
			require.Contains(r.t, userTexts(r.crisp.Last()), "my parcel is lost")
			require.NotContains(r.t, userTexts(r.crisp.Last()), "my parcl is lost")
		})
	})
	t.Run("a repeat during a slow answer", func(t *testing.T) {
		r := onTelegram()
		r.play(t, func(*onChannel) {
			r.brain.thinks, r.lost = 30*time.Second, 5
			r.user.Write("hello")
			r.passes(2 * time.Minute)
			r.saw("> hello", "You said hello")
		})
	})
	t.Run("web hooks that race", func(t *testing.T) {
		r := onTelegram()
		r.play(t, func(*onChannel) {
			r.opened("Ann: ")
			r.quit() // from now on Telegram posts
			tg, err := telegram.New(telegram.Config{Token: handover.NewSecret(r.fake.Token()), WebhookSecret: handover.NewSecret("hook-secret"), Client: r.fake.Client(), BaseURL: r.fake.URL()})
			require.NoError(r.t, err)
			hook := tg.Webhook(r.h.Handle)
			var want []string
			for _, text := range strings.Fields("a b c d e f g h i j k l m n o p q r s t") {
				r.user.Write("message " + text)
				want = append(want, "message "+text)
			}
			for _, raw := range r.fake.Updates() {
				go func() {
					request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(raw))
					request.Header.Set("X-Telegram-Bot-Api-Secret-Token", "hook-secret")
					hook.ServeHTTP(httptest.NewRecorder(), request)
				}()
			}
			r.passes(time.Minute)
			texts := userTexts(r.crisp.Last())
			require.Equal(r.t, want, texts[len(texts)-len(want):])
		})
	})
}
