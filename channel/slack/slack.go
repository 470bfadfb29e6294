// Package slack is a channel for Slack, by its Events API and Web API (https://api.slack.com), of which it knows what is
// documented as of 2025.
//
//	sl, err := slack.New(slack.Config{
//		Token:         handover.NewSecret(os.Getenv("SLACK_TOKEN")),
//		SigningSecret: handover.NewSecret(os.Getenv("SLACK_SIGNING_SECRET")),
//	})
//	config := handover.Config{…, Answer: func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
//		return nil, sl.Send(ctx, m.Conversation.ID, handover.TextMessage("You said "+m.Text))
//	}}
//	channel.Attach(&config, sl)
//	h, err := handover.New(config)
//	http.Handle("POST /slack", sl.Webhook(h.Handle)) // for events and for interactivity
//
// The app needs the scopes chat:write, im:history and files:read, and the event message.im; with Config.Channels also
// app_mentions:read, channels:history and the events app_mention and message.channels.
//
// A user's conversation is the direct message with the bot, and its id that of Slack's channel, such as "D024BE91L".
// With Config.Channels it also is a thread in which the bot was mentioned: "C024BE91L/1700000000.000100".
package slack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/internal/tokenclient"
)

// DefaultBaseURL is Slack's Web API.
const DefaultBaseURL = "https://slack.com/api/"

// Config are the settings. Token and SigningSecret are required.
type Config struct {
	// Token is the bot user's OAuth token: xoxb-….
	Token handover.Secret
	// SigningSecret is the app's, with which Slack signs what it posts.
	SigningSecret handover.Secret
	// TeamID is the workspace, such as "T0001", for an app that is installed on several: what others post is left
	// alone. Default: all.
	TeamID string
	// Channels has mentions of the bot in channels taken too, and what follows in their threads.
	Channels bool
	// Customize shows agents by their own names and avatars. It needs the scope chat:write.customize.
	Customize bool
	// Client makes the calls. It follows no redirects. Default: one of its own.
	Client *http.Client
	// BaseURL is the Web API's. Default: DefaultBaseURL.
	BaseURL string
	// Sent remembers what was shown, and in which threads the bot is. Default: a channel.Memory, which ends with the
	// process.
	Sent channel.Sent
	// Source is the Conversation.Source of the users. Default: "slack". Two bots need two.
	Source string
	// Logger hears of events that cannot be taken. Default: slog.Default.
	Logger *slog.Logger
}

// String says nothing of token and secret.
func (c Config) String() string { return "slack " + c.BaseURL }

// Format writes String, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// Channel is a bot on Slack. Make it with New.
type Channel struct {
	config   Config
	screen   *channel.Screen
	refusals channel.Refusals
}

// New returns the channel. It calls nobody.
func New(config Config) (*Channel, error) {
	config.BaseURL = strings.TrimSuffix(cmp.Or(config.BaseURL, DefaultBaseURL), "/") + "/"
	config.Source = cmp.Or(config.Source, "slack")
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Sent == nil {
		config.Sent = &channel.Memory{}
	}
	u, err := url.Parse(config.BaseURL)
	switch token := config.Token.Reveal(); {
	case !strings.HasPrefix(token, "xox") || strings.ContainsAny(token, " \r\n"):
		return nil, errors.New("slack: Config.Token must be the bot user's OAuth token, which begins with xoxb-")
	case config.SigningSecret.Reveal() == "":
		return nil, errors.New("slack: Config.SigningSecret must be the app's signing secret: without it anybody could post")
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "":
		return nil, errors.New("slack: Config.BaseURL must be the https URL of the Web API")
	}
	config.Client = tokenclient.Of(config.Client)
	return &Channel{config: config, screen: channel.NewScreen(config.Source, config.Sent, config.Logger)}, nil
}

// String says nothing of token and secret.
func (c *Channel) String() string { return c.config.String() }

// Format writes String, whatever the verb.
func (c *Channel) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// Source implements channel.Channel.
func (c *Channel) Source() string { return c.config.Source }

// Capabilities implements channel.Channel. The lengths are those of Block Kit's sections and buttons, and for text alone
// what Slack advises. Slack shows no bot typing.
func (c *Channel) Capabilities() channel.Capabilities {
	return channel.Capabilities{
		Text: maxPlain, ButtonText: maxText, Markup: channel.Mrkdwn,
		Buttons: maxButtons, Title: maxTitle, Links: true, URL: maxURL,
		Files: channel.FilesByURL, Caption: maxText,
		Names: c.config.Customize, Edits: true, Removals: true,
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

func (c *Channel) show(ctx context.Context, conversation string, m handover.Message) (string, error) {
	return c.screen.Show(ctx, conversation, m.ID, c.Capabilities().Render(m), func(ctx context.Context, p channel.Part) (string, error) {
		return c.send(ctx, conversation, m, p)
	})
}

// Revise implements channel.Channel.
func (c *Channel) Revise(ctx context.Context, s handover.Session, r handover.Revision) error {
	conversation, m := s.Conversation.ID, r.Message
	m.Corrects = "" // it takes the place of the other
	edit := func(ctx context.Context, id string, p channel.Part) error { return c.edit(ctx, conversation, id, p) }
	remove := func(ctx context.Context, id string) error { return c.remove(ctx, conversation, id) }
	return c.screen.Revise(ctx, r, c.Capabilities().Render(m), edit, remove)
}

// Typing implements channel.Channel. Slack has no sign for it.
func (c *Channel) Typing(context.Context, handover.Session, handover.AgentTyping) {}
