package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/internal/graphapi"
)

// Config says which phone number at Meta. Its secrets are in no printing, and in no error.
type Config struct {
	// PhoneNumberID is Meta's id of the number, not the number. Required: what is said to others is left alone.
	PhoneNumberID string
	// Token is an access token with the permission whatsapp_business_messaging. Required.
	Token handover.Secret
	// AppSecret is that of the token's app: Meta signs web hooks with it, and calls prove that they know it. Without it
	// Webhook refuses all hooks, and Meta refuses calls if the app has the setting "Require App Secret".
	AppSecret handover.Secret
	// VerifyToken is a text of your own, which you give to Meta with the address of the web hook.
	VerifyToken handover.Secret

	// ListTitle is the title of the button that opens a list of choices, up to 20 characters. Default: "Options".
	ListTitle string
	// Source is the Conversation.Source. Default: "whatsapp". Give each number one of its own if a Handover has several.
	Source string
	// Sent remembers what was shown. Default: a new channel.Memory, which ends with the process.
	Sent channel.Sent
	// Client makes the calls, which take 10 seconds at the most, but for files. Default: one of its own. Redirects
	// are not followed.
	Client *http.Client
	// BaseURL is the Graph API, with its version. Default: https://graph.facebook.com/v26.0/.
	BaseURL string
	// Logger gets faults that nobody is waiting for, without words. Default: slog.Default.
	Logger *slog.Logger
}

// Channel is a phone number on WhatsApp. Make it with New.
type Channel struct {
	number, source, listTitle string
	secret, verify            handover.Secret
	api                       *graphapi.Client
	screen                    *channel.Screen
	log                       *slog.Logger
	people                    people
	refusals                  channel.Refusals
	lost                      atomic.Int64
}

var _ channel.Channel = (*Channel)(nil)

// callTime bounds a call of the Cloud API.
const callTime = 10 * time.Second

// New returns a phone number on WhatsApp. It makes no call. Its error names every fault of the Config.
func New(cfg Config) (*Channel, error) {
	var faults []error
	if cfg.PhoneNumberID == "" || strings.Trim(cfg.PhoneNumberID, "0123456789") != "" {
		faults = append(faults, errors.New("whatsapp: Config.PhoneNumberID must be set to Meta's id of the number, which has digits only"))
	}
	if cfg.Token.Reveal() == "" {
		faults = append(faults, errors.New("whatsapp: Config.Token must be set: an access token"))
	}
	if channel.UTF16.Len(cfg.ListTitle) > maxTitle {
		faults = append(faults, fmt.Errorf("whatsapp: Config.ListTitle has more than %d characters: shorten it", maxTitle))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.ListTitle == "" {
		cfg.ListTitle = "Options"
	}
	if cfg.Source == "" {
		cfg.Source = "whatsapp"
	}
	if cfg.Sent == nil {
		cfg.Sent = &channel.Memory{}
	}
	return &Channel{
		people: people{sent: cfg.Sent, names: channel.Memory{Max: 10_000}, key: cfg.Source + "/heard/"},
		number: cfg.PhoneNumberID, source: cfg.Source, listTitle: cfg.ListTitle, secret: cfg.AppSecret, verify: cfg.VerifyToken,
		api: graphapi.New(cfg.Client, cfg.BaseURL, cfg.Token.Reveal, cfg.AppSecret.Reveal), screen: channel.NewScreen(cfg.Source, cfg.Sent, cfg.Logger), log: cfg.Logger,
	}, nil
}

// Source is the Conversation.Source of the number's conversations.
func (c *Channel) Source() string { return c.source }

// Deliver shows a message. A user who has not written for 24 hours, or cannot be reached, is handover.ErrUserAway.
//
// WhatsApp takes many a message and says only later, in a web hook, that it could not be delivered. So when the user
// wrote last is kept in Config.Sent, and nothing is sent outside of the 24 hours. What is lost all the same is logged,
// and counts in Lost; nothing repeats it.
func (c *Channel) Deliver(ctx context.Context, s handover.Session, m handover.Message) (channelID string, err error) {
	return c.show(ctx, s.Conversation.ID, m.ID, m)
}

// Send shows what the bot says.
func (c *Channel) Send(ctx context.Context, conversationID string, m handover.RichMessage) error {
	_, err := c.show(ctx, conversationID, "", handover.Message{From: handover.FromBot, Content: m})
	return err
}

func (c *Channel) show(ctx context.Context, user, messageID string, m handover.Message) (channelID string, err error) {
	return c.screen.Show(ctx, user, messageID, c.render(m), func(ctx context.Context, p channel.Part) (string, error) {
		if c.people.away(ctx, user) {
			return "", errAway
		}
		var failed error
		out := c.message(p, func(payload string) string {
			limit := maxPayload
			if payload != strings.TrimSpace(payload) { // which the Cloud API refuses
				limit = 0
			}
			data, err := c.screen.Data(ctx, payload, limit)
			failed = errors.Join(failed, err)
			return data
		})
		if failed != nil {
			return "", failed
		}
		if isPhone(user) {
			out.To = user
		} else {
			out.Recipient = user
		}
		return c.post(ctx, out)
	})
}

var errAway = fmt.Errorf("whatsapp: the user has not written for 24 hours, or could not be reached since: %w", handover.ErrUserAway)

// post makes a call, and returns the id of the message.
func (c *Channel) post(ctx context.Context, out outgoing) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var answer struct {
		Messages []struct {
			ID string `json:"id"`
		} `json:"messages"`
	}
	if err = meaning(c.api.Call(ctx, http.MethodPost, c.number+"/messages", out, &answer)); err != nil || len(answer.Messages) == 0 {
		return "", err
	}
	return answer.Messages[0].ID, nil
}

// Revise returns errors.ErrUnsupported: the Cloud API can neither edit nor remove what was sent.
func (c *Channel) Revise(context.Context, handover.Session, handover.Revision) error {
	return errors.ErrUnsupported
}

// Typing shows that an agent is typing, for 25 seconds or until they write: WhatsApp has no sign that they stopped. It
// marks what the user wrote as read, and needs the id of their newest message, from Config.Sent.
func (c *Channel) Typing(ctx context.Context, s handover.Session, t handover.AgentTyping) {
	newest, known := c.people.of(ctx, s.Conversation.ID)
	if !t.On || !known {
		return
	}
	if _, err := c.post(ctx, outgoing{Product: "whatsapp", Status: "read", MessageID: newest.id, Typing: &typing{"text"}}); err != nil {
		c.log.Info("whatsapp: typing is not shown", "error", err)
	}
}

// Lost is how many messages WhatsApp took and could not deliver after all, as far as its web hooks told this process.
func (c *Channel) Lost() int64 { return c.lost.Load() }

// Webhook returns the handler of Meta's web hook, for GET and POST: handle is Handover.Handle. It verifies before it
// reads. A message that could not be stored is answered 503, so that Meta sends it again, and those of the same user
// that follow it wait for that; one that can never be taken is logged, and is not asked for again (channel.Take).
func (c *Channel) Webhook(handle func(context.Context, handover.Incoming) error) http.Handler {
	return graphapi.NewHook(c.secret.Reveal, c.verify.Reveal, func(ctx context.Context, body []byte) error {
		all, err := c.Incoming(ctx, body)
		if errors.Is(err, errBody) {
			return fmt.Errorf("%w: %w", graphapi.ErrBody, err)
		}
		if err != nil {
			return err // Meta posts it all again
		}
		if err := channel.Take(ctx, c.log, &c.refusals, all, handle); err != nil {
			return err // Meta posts it all again
		}
		c.statuses(ctx, body)
		return nil
	})
}

// statuses notes which of our messages could not be delivered after all.
func (c *Channel) statuses(ctx context.Context, body []byte) {
	changes, _ := c.changes(body)
	for _, change := range changes {
		for _, s := range change.Value.Statuses {
			if s.Status != "failed" {
				continue
			}
			c.lost.Add(1)
			e := Error{Status: http.StatusOK}
			if len(s.Errors) > 0 {
				e.Code = s.Errors[0].Code
			}
			c.log.Warn("whatsapp: a message was taken and could not be delivered", "id", s.ID, "code", e.Code)
			if at, ok := unix(string(s.Timestamp)); ok && e.away() {
				c.people.gone(ctx, s.user(), at)
			}
		}
	}
}
