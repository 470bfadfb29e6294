package channeltest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/messenger"
	"github.com/crisphandover/handover/channel/slack"
	"github.com/crisphandover/handover/channel/telegram"
	"github.com/crisphandover/handover/channel/webchat"
	"github.com/crisphandover/handover/channel/whatsapp"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/guide"
	"github.com/crisphandover/handover/translations"
)

// docs/channels.md shows the code of this file.

// onTelegram runs a bot on Telegram until ctx ends. config has all that leads to Crisp.
func onTelegram(ctx context.Context, config handover.Config, settings telegram.Config) error {
	tg, err := telegram.New(settings)
	if err != nil {
		return err
	}
	chats, err := channel.Attach(&config, tg)
	if err != nil {
		return err
	}
	config.Answer = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		if m.Text == "human" {
			return &handover.Request{User: tg.User(ctx, m.Conversation)}, nil
		}
		return nil, chats.Send(ctx, m.Conversation, handover.TextMessage("You said "+m.Text))
	}
	h, err := handover.New(config)
	if err != nil {
		return err
	}
	go h.Run(ctx)
	http.Handle("POST /crisp/hooks", h)
	return tg.Poll(ctx, h.Handle)
}

// bot is one bot in several channels.
type bot struct{ chats *channel.Router }

func (b *bot) answer(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
	if m.Text == "human" {
		return &handover.Request{Segments: []string{m.Conversation.Source}}, nil
	}
	return nil, b.chats.Send(ctx, m.Conversation, handover.TextMessage("You said "+m.Text))
}

// inFiveChannels returns the bot, with all that its users and Crisp call at mux.
func inFiveChannels(ctx context.Context, config handover.Config, mux *http.ServeMux,
	tg *telegram.Channel, app *slack.Channel, page *messenger.Channel, number *whatsapp.Channel, chat *webchat.Chat,
) (h *handover.Handover, err error) {
	b := &bot{}
	if b.chats, err = channel.Attach(&config, tg, app, page, number, chat); err != nil {
		return nil, err
	}
	config.Answer = b.answer
	if h, err = handover.New(config); err != nil {
		return nil, err
	}
	mux.Handle("POST /telegram", tg.Webhook(h.Handle)) // or: go tg.Poll(ctx, h.Handle)
	mux.Handle("POST /slack", app.Webhook(h.Handle))
	mux.Handle("/messenger", page.Webhook(h.Handle))
	mux.Handle("/whatsapp", number.Webhook(h.Handle))
	mux.Handle("/chat/", chat.Handler(h))
	mux.Handle("POST /crisp/hooks", h)
	mux.Handle("GET /files", h.FileHandler())
	return h, nil
}

// inGerman has users read German where a request names no other language, and agents English.
func inGerman(config *handover.Config) {
	texts := translations.Texts("en")
	config.Texts = func(s handover.Session) handover.Texts {
		s.Locale = cmp.Or(s.Locale, "de")
		return texts(s)
	}
	config.NoAgent = translations.NoAgent("de")
}

// sms is a channel of one's own: texts of 160 characters, through somebody's gateway.
type sms struct {
	gateway *gateway
	screen  *channel.Screen
}

var can = channel.Capabilities{Text: 160}

func newSMS(g *gateway, sent channel.Sent) *sms {
	return &sms{gateway: g, screen: channel.NewScreen("sms", sent, nil)}
}

func (c *sms) Source() string                     { return "sms" }
func (c *sms) Capabilities() channel.Capabilities { return can }

func (c *sms) Deliver(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
	return c.show(ctx, s.Conversation.ID, m)
}

func (c *sms) Send(ctx context.Context, number string, m handover.RichMessage) error {
	_, err := c.show(ctx, number, handover.Message{From: handover.FromBot, Content: m})
	return err
}

func (c *sms) show(ctx context.Context, number string, m handover.Message) (string, error) {
	return c.screen.Show(ctx, number, m.ID, can.Render(m), func(ctx context.Context, p channel.Part) (string, error) {
		id, err := c.gateway.send(ctx, number, p.Text)
		switch {
		case errors.Is(err, errBusy):
			err = handover.RetryAfter(7*time.Second, err)
		case errors.Is(err, errBarred):
			err = fmt.Errorf("%w: %w", handover.ErrUserAway, err)
		case errors.Is(err, errTooLong):
			err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
		}
		return id, err
	})
}

func (c *sms) Revise(context.Context, handover.Session, handover.Revision) error {
	return errors.ErrUnsupported // an edit comes as a correction
}

func (c *sms) Typing(context.Context, handover.Session, handover.AgentTyping) {}

// incoming is a text that the gateway brings.
func (c *sms) incoming(ctx context.Context, id, number, text string) (in handover.Incoming, err error) {
	in = handover.Incoming{Conversation: handover.Conversation{Source: "sms", ID: number}, ID: id, Text: text}
	in.Payload, _, err = c.screen.Chosen(ctx, number, text) // "2" is the second choice
	return in, err
}

func TestSMS(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Subject {
		g, sent := &gateway{}, &channel.Memory{}
		c := newSMS(g, sent)
		return channeltest.Subject{
			Channel: c, Again: func() channel.Channel { return newSMS(g, sent) },
			Platform: g, Conversation: "+15551234",
			Take: func(ctx context.Context) (all []handover.Incoming, err error) {
				for id, text := range g.taken() {
					in, err := c.incoming(ctx, id, "+15551234", text)
					if err != nil {
						return nil, err
					}
					all = append(all, in)
				}
				return all, nil
			},
		}
	})
}

// gateway is a fake of the gateway, and its one user.
type gateway struct {
	channeltest.Wall
	written map[string]string // texts of the user by id
}

var (
	errDown    = errors.New("sms: the gateway is down")
	errBusy    = errors.New("sms: the gateway wants to be left alone")
	errBarred  = errors.New("sms: the user has barred us")
	errTooLong = errors.New("sms: the text is empty or too long")
)

func (g *gateway) send(ctx context.Context, _, text string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if r, refused := g.Refuses(); refused {
		return "", map[channeltest.Refusal]error{channeltest.Down: errDown, channeltest.Busy: errBusy, channeltest.Away: errBarred, channeltest.Format: errTooLong}[r]
	}
	if text == "" || len([]rune(text)) > 160 {
		return "", errTooLong
	}
	return g.Show(channeltest.Seen{Text: text, Raw: text}).ID, nil
}

func (g *gateway) Write(text string) {
	if g.written == nil {
		g.written = make(map[string]string)
	}
	g.written[g.Show(channeltest.Seen{User: true, Text: text}).ID] = text
}

func (g *gateway) Press(string) bool { return false }

func (g *gateway) taken() map[string]string {
	all := g.written
	g.written = nil
	return all
}

func TestBot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crisp, fake := handovertest.NewCrisp(t, handovertest.Options{}), channeltest.NewTelegram()
		tg, err := telegram.New(telegram.Config{Token: handover.NewSecret(fake.Token()), Client: fake.Client(), BaseURL: fake.URL()})
		require.NoError(t, err)
		config := crisp.Config()
		config.Files = handover.FileLinks{URL: "https://bot.example/files", SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
		inGerman(&config)
		b := &bot{}
		b.chats, err = channel.Attach(&config, tg)
		require.NoError(t, err)
		config.Answer = b.answer
		h, err := handover.New(config)
		require.NoError(t, err)
		crisp.Run(h)
		go tg.Poll(t.Context(), h.Handle)

		fake.Write("human")
		crisp.Settle()
		require.Contains(t, fake.New(), "Gleich ist jemand für Sie da. Sie können Ihr Anliegen schon beschreiben. [Zurück zum Bot]")
		crisp.Last().Operator("Ann").Say("Hello")
		crisp.Settle()
		require.Contains(t, fake.New(), "Ann: Hello") // what is new on the user's screen

		fake.File("photo", "cat.jpg", "image/jpeg", "my cat", []byte("a cat"))
		crisp.Settle()
		all := crisp.Last().Messages() // what the agents have
		link := all[len(all)-1].Content.(map[string]any)["url"].(string)
		opened := httptest.NewRecorder()
		h.FileHandler().ServeHTTP(opened, httptest.NewRequest(http.MethodGet, link, nil))
		require.Equal(t, "a cat", opened.Body.String())
	})
}

func TestBotInWebchat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crisp := handovertest.NewCrisp(t, handovertest.Options{})
		chat, err := webchat.New(webchat.Config{URL: "https://shop.example/chat/", Key: handover.NewSecret(strings.Repeat("k", 32))})
		require.NoError(t, err)
		config := crisp.Config()
		b := &bot{}
		b.chats, err = channel.Attach(&config, chat)
		require.NoError(t, err)
		config.Answer = b.answer
		h, err := handover.New(config)
		require.NoError(t, err)
		crisp.Run(h)

		user := httptest.NewRecorder() // keeps the session's cookie
		posts := func(path string, body map[string]string) {
			raw, err := json.Marshal(body)
			require.NoError(t, err)
			r := httptest.NewRequest(http.MethodPost, "https://shop.example/chat/"+path, bytes.NewReader(raw))
			for _, c := range user.Result().Cookies() {
				r.AddCookie(c)
			}
			answer := httptest.NewRecorder()
			chat.Handler(h).ServeHTTP(answer, r)
			require.Less(t, answer.Code, 300)
			if path == "session" {
				user = answer
			}
			crisp.Settle()
		}
		token, err := chat.Token(webchat.Login{UserID: "jim", User: handover.UserData{FirstName: "Jim"}, Locale: "de"})
		require.NoError(t, err)
		posts("session", map[string]string{"session": token}) // the page opens
		posts("messages", map[string]string{"id": "1", "text": "human"})
		crisp.Last().Operator("Ann").Say("Hello")
		crisp.Settle()

		all, err := chat.Transcript(t.Context(), chat.Conversation("jim")) // what the page shows
		require.NoError(t, err)
		require.Equal(t, "Hello", all[len(all)-1].Content.Text)
	})
}

// TestOnTelegram plays a handover with the code of the guide.
func TestOnTelegram(t *testing.T) {
	http.DefaultServeMux = http.NewServeMux() // the guide's, in this run
	synctest.Test(t, func(t *testing.T) {
		crisp, fake := handovertest.NewCrisp(t, handovertest.Options{}), channeltest.NewTelegram()
		crisp.Attach(http.DefaultServeMux)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- onTelegram(ctx, crisp.Config(), telegram.Config{Token: handover.NewSecret(fake.Token()), Client: fake.Client(), BaseURL: fake.URL()})
		}()
		saw := func(want ...string) {
			t.Helper()
			time.Sleep(time.Second)
			crisp.Settle()
			require.Equal(t, want, fake.New())
		}
		fake.Write("hello")
		saw("> hello", "You said hello")
		fake.Write("human")
		saw("> human", "A person will be with you soon. You can already describe your question. [Back to the bot]")
		require.Equal(t, "Jim Knopf", crisp.Last().Meta().Nickname)
		crisp.Last().Operator("Ann").Say("**Hello**")
		saw("Ann joined the conversation.", "Ann: Hello")
		cancel()
		require.NoError(t, <-ended)
		time.Sleep(time.Minute)
	})
}

// TestInFiveChannels has a user in each channel write to one bot.
func TestInFiveChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := handover.NewSecret
		crisp := handovertest.NewCrisp(t, handovertest.Options{})
		tgFake, appFake, pageFake, numberFake := channeltest.NewTelegram(), channeltest.NewSlack(), channeltest.NewMessenger(), channeltest.NewWhatsApp()
		tg, err := telegram.New(telegram.Config{Token: secret(tgFake.Token()), Client: tgFake.Client(), BaseURL: tgFake.URL()})
		require.NoError(t, err)
		app, err := slack.New(slack.Config{Token: secret(appFake.Token()), SigningSecret: secret(appFake.SigningSecret()), Client: appFake.Client(), BaseURL: appFake.URL()})
		require.NoError(t, err)
		page, err := messenger.New(messenger.Config{PageID: pageFake.PageID(), Token: secret(pageFake.Token()), AppSecret: secret(pageFake.AppSecret()),
			VerifyToken: secret(pageFake.VerifyToken()), Client: pageFake.Client(), BaseURL: pageFake.URL()})
		require.NoError(t, err)
		number, err := whatsapp.New(whatsapp.Config{PhoneNumberID: numberFake.PhoneNumberID(), Token: secret(numberFake.Token()), AppSecret: secret(numberFake.AppSecret()),
			VerifyToken: secret(numberFake.VerifyToken()), Client: numberFake.Client(), BaseURL: numberFake.URL()})
		require.NoError(t, err)
		chat, err := webchat.New(webchat.Config{URL: "https://shop.example/chat/", Key: secret(strings.Repeat("k", 32))})
		require.NoError(t, err)
		mux := http.NewServeMux()
		h, err := inFiveChannels(t.Context(), crisp.Config(), mux, tg, app, page, number, chat)
		require.NoError(t, err)
		opened := httptest.NewRecorder()
		mux.ServeHTTP(opened, httptest.NewRequest(http.MethodGet, "https://shop.example/chat/", nil))
		require.Equal(t, http.StatusOK, opened.Code)
		crisp.Run(h)
		require.NoError(t, appFake.Hook(app.Webhook(h.Handle)))
		require.NoError(t, pageFake.Hook(page.Webhook(h.Handle)))
		require.NoError(t, numberFake.Hook(number.Webhook(h.Handle)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- tg.Poll(ctx, h.Handle) }()
		users := []interface {
			channeltest.Platform
			New() []string
		}{tgFake, appFake, pageFake.User("jim"), numberFake.User("15551234")}
		for _, user := range users {
			user.Write("hello")
		}
		time.Sleep(time.Second)
		crisp.Settle()
		for i, user := range users {
			require.Equal(t, []string{"> hello", "You said hello"}, user.New(), i)
			user.Write("human")
			time.Sleep(time.Second)
			crisp.Settle()
			crisp.Last().Operator("Ann").Say(fmt.Sprint("Hello ", i))
			time.Sleep(time.Second)
			crisp.Settle()
			lines := user.New()
			require.Contains(t, lines[len(lines)-1], fmt.Sprint("Hello ", i))
		}
		require.Len(t, crisp.Conversations(), len(users))
		cancel()
		require.NoError(t, <-ended)
	})
}

// TestGuide finds each block of code of docs/channels.md in this file or that of the table, and holds its table against the channels.
func TestGuide(t *testing.T) {
	const docs = "../../docs/channels.md"
	page, err := os.ReadFile(docs)
	require.NoError(t, err)
	file, err := os.ReadFile("guide_test.go")
	require.NoError(t, err)
	guide.Compiled(t, docs, "go", "guide_test.go", "../../internal/integration/channel_sent_test.go")
	_, wired, _ := strings.Cut(string(file), "func onTelegram(")
	wired, _, _ = strings.Cut(wired, "\n}\n")
	require.Less(t, strings.Count(wired, "\n"), 25, "a host wires a channel in fewer than 25 lines")

	secret := handover.NewSecret("xoxb-0123456789")
	tg, err := telegram.New(telegram.Config{Token: handover.NewSecret("1:x")})
	require.NoError(t, err)
	app, err := slack.New(slack.Config{Token: secret, SigningSecret: secret})
	require.NoError(t, err)
	meta, err := messenger.New(messenger.Config{PageID: "1", Token: secret, AppSecret: secret, VerifyToken: secret})
	require.NoError(t, err)
	number, err := whatsapp.New(whatsapp.Config{PhoneNumberID: "1", Token: secret, AppSecret: secret, VerifyToken: secret})
	require.NoError(t, err)
	chat, err := webchat.New(webchat.Config{URL: "https://shop.example/chat/", Key: handover.NewSecret(strings.Repeat("k", 32))})
	require.NoError(t, err)
	for _, c := range []channel.Channel{tg, app, meta, number, chat} {
		require.Contains(t, string(page), row(c), "the table of docs/channels.md")
	}
}

// row is the row of a channel in the table.
func row(c channel.Channel) string {
	can := c.Capabilities()
	yes := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	unit := []string{"characters", "UTF-16 units", "bytes"}[can.Unit]
	markup := []string{"none", "HTML", "WhatsApp's", "mrkdwn", "Markdown"}[can.Markup]
	files := []string{"link", "URL", "upload"}[can.Files]
	text, title := fmt.Sprint(can.Text, " ", unit), fmt.Sprint(can.Title)
	if can.Text == 0 {
		text, title = "any", "any"
	}
	return fmt.Sprintf("| `channel/%s` | %s | %s | %d, of %s | %d | %s | %s | %s | %s |\n",
		c.Source(), text, markup, can.Buttons, title, can.Cards, files, yes(can.Edits), yes(can.Removals), yes(can.Typing))
}
