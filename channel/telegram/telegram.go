// Package telegram is a channel for Telegram, by its Bot API (https://core.telegram.org/bots/api), of which it knows
// what version 9 documents.
//
//	tg, err := telegram.New(telegram.Config{Token: handover.NewSecret(os.Getenv("TELEGRAM_TOKEN"))})
//	config := handover.Config{…, Answer: func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
//		return nil, tg.Send(ctx, m.Conversation.ID, handover.TextMessage("You said "+m.Text))
//	}}
//	channel.Attach(&config, tg)
//	h, err := handover.New(config)
//	err = tg.Poll(ctx, h.Handle) // or: http.Handle("POST /telegram", tg.Webhook(h.Handle))
//
// A bot with an SDK of its own gives each update to Incoming, as JSON.
//
// Users are in private chats, and their Conversation.ID is the chat's id. Messages come with text, pictures, recordings
// and other files; places, contacts and stickers come as text. A file needs the bot's token, which nobody else may
// have: it has an ID, which OpenFile opens.
package telegram

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/internal/tokenclient"
)

// DefaultBaseURL is Telegram's own server.
const DefaultBaseURL = "https://api.telegram.org"

// Config are the settings. Token is required.
type Config struct {
	// Token is the bot's token, as BotFather tells it: 123456:ABC….
	Token handover.Secret
	// WebhookSecret is the secret_token that setWebhook was called with: 1 to 256 letters, digits, _ and -. Without
	// it Webhook refuses everything.
	WebhookSecret handover.Secret
	// Client makes the calls. It follows no redirects: they would give the token away. Default: one of its own. A
	// client with a Timeout polls for half of that.
	Client *http.Client
	// BaseURL is the Bot API's server. Default: DefaultBaseURL.
	BaseURL string
	// Sent remembers what was shown. Default: a channel.Memory, which ends with the process.
	Sent channel.Sent
	// Source is the Conversation.Source of the users. Default: "telegram". Two bots need two.
	Source string
	// Groups has messages in groups taken too. The conversation is the group's.
	Groups bool
	// Quotes puts the beginning of the message that a user replies to before their words, as "> …".
	Quotes bool
	// Logger hears of updates that cannot be taken. Default: slog.Default.
	Logger *slog.Logger
}

// String says nothing of the token.
func (c Config) String() string { return "telegram " + c.BaseURL }

// Format writes String, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// Channel is a bot on Telegram. Make it with New.
type Channel struct {
	config   Config
	screen   *channel.Screen
	groups   groups
	refusals channel.Refusals
	lost     atomic.Int64
}

var tokenForm = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]+$`)

// New returns the channel. It calls nobody.
func New(config Config) (*Channel, error) {
	config.BaseURL = strings.TrimSuffix(cmp.Or(config.BaseURL, DefaultBaseURL), "/")
	config.Source = cmp.Or(config.Source, "telegram")
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	u, err := url.Parse(config.BaseURL)
	switch {
	case !tokenForm.MatchString(config.Token.Reveal()):
		return nil, errors.New("telegram: Config.Token must be the bot's token as BotFather tells it: digits, a colon, letters")
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "":
		return nil, errors.New("telegram: Config.BaseURL must be the https URL of a Bot API server")
	}
	config.Client = tokenclient.Of(config.Client)
	if config.Sent == nil {
		config.Sent = &channel.Memory{}
	}
	return &Channel{
		config: config, screen: channel.NewScreen(config.Source, config.Sent, config.Logger),
		groups: groups{config.Sent, config.Source + "/group", config.Logger},
	}, nil
}

// String says nothing of the token.
func (c *Channel) String() string { return c.config.String() }

// Format writes String, whatever the verb.
func (c *Channel) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// Source implements channel.Channel.
func (c *Channel) Source() string { return c.config.Source }

// Capabilities implements channel.Channel. Telegram documents the lengths of texts and captions; how long a title may
// be, and how many buttons there may be, it does not.
func (c *Channel) Capabilities() channel.Capabilities {
	return channel.Capabilities{
		Unit: channel.UTF16, Text: 4096, Markup: channel.HTML,
		Buttons: 50, Title: 64, Links: true,
		Files: channel.FilesByURL, Caption: 1024,
		Edits: true, Removals: true, Typing: true,
	}
}

// Deliver implements channel.Channel.
func (c *Channel) Deliver(ctx context.Context, s handover.Session, m handover.Message) (channelID string, err error) {
	return c.show(ctx, s.Conversation.ID, m)
}

// Send implements channel.Channel.
func (c *Channel) Send(ctx context.Context, conversationID string, m handover.RichMessage) error {
	_, err := c.show(ctx, conversationID, handover.Message{From: handover.FromBot, Content: m})
	return err
}

func (c *Channel) show(ctx context.Context, chat string, m handover.Message) (string, error) {
	return c.screen.Show(ctx, chat, m.ID, c.Capabilities().Render(m), func(ctx context.Context, p channel.Part) (string, error) {
		return c.send(ctx, chat, p)
	})
}

// Revise implements channel.Channel. A message that Telegram does not remove any more, after 48 hours, is emptied.
func (c *Channel) Revise(ctx context.Context, s handover.Session, r handover.Revision) error {
	chat, m := s.Conversation.ID, r.Message
	m.Corrects = "" // it takes the place of the other
	edit := func(ctx context.Context, id string, p channel.Part) error { return c.edit(ctx, chat, id, p) }
	remove := func(ctx context.Context, id string) error { return c.remove(ctx, chat, id) }
	return c.screen.Revise(ctx, r, c.Capabilities().Render(m), edit, remove)
}

// typingTime bounds a sign that somebody types, which is only a hint.
const typingTime = 5 * time.Second

// Typing implements channel.Channel. Telegram shows it for 5 seconds, or until the next message.
func (c *Channel) Typing(ctx context.Context, s handover.Session, t handover.AgentTyping) {
	if !t.On {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, typingTime)
	defer cancel()
	_ = c.call(ctx, "sendChatAction", map[string]any{"chat_id": s.Conversation.ID, "action": "typing"}, nil)
}

// User returns what Telegram tells of a user, for Request.User: their name. Without an answer it is empty, so that the
// agents are asked for all the same.
func (c *Channel) User(ctx context.Context, of handover.Conversation) (u handover.UserData) {
	ctx, cancel := context.WithTimeout(ctx, typingTime)
	defer cancel()
	var chat struct {
		First string `json:"first_name"`
		Last  string `json:"last_name"`
	}
	if c.call(ctx, "getChat", map[string]any{"chat_id": of.ID}, &chat) == nil {
		u.FirstName, u.LastName = chat.First, chat.Last
	}
	return u
}
