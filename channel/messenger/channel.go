package messenger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/internal/graphapi"
)

// Config says which page at Meta. Its secrets are in no printing, and in no error.
type Config struct {
	// PageID is the page's. Required: what is said to other pages is left alone.
	PageID string
	// Token is the page's access token. Required.
	Token handover.Secret
	// AppSecret is that of the token's app: Meta signs web hooks with it, and calls prove that they know it. Without it
	// Webhook refuses all hooks, and Meta refuses calls if the app has the setting "Require App Secret".
	AppSecret handover.Secret
	// VerifyToken is a text of your own, which you give to Meta with the address of the web hook.
	VerifyToken handover.Secret
	// HumanAgent says that the app has Meta's permission "Human Agent": what agents write reaches users for seven
	// days after their last message, in place of 24 hours.
	HumanAgent bool

	// Source is the Conversation.Source. Default: "messenger". Give each page one of its own if a Handover has several.
	Source string
	// Sent remembers what was shown. Default: a new channel.Memory, which ends with the process.
	Sent channel.Sent
	// Client makes the calls, which take 10 seconds at the most. Default: one of its own. Redirects are not followed.
	Client *http.Client
	// BaseURL is the Graph API, with its version. Default: https://graph.facebook.com/v26.0/.
	BaseURL string
	// Logger gets faults that nobody is waiting for, without words. Default: slog.Default.
	Logger *slog.Logger
}

// Channel is a page in Messenger. Make it with New.
type Channel struct {
	page, source   string
	secret, verify handover.Secret
	humanAgent     bool
	api            *graphapi.Client
	screen         *channel.Screen
	log            *slog.Logger
	personas       personas
	refusals       channel.Refusals
	voices         channel.Memory // which persona a message that is being shown is from
}

var _ channel.Channel = (*Channel)(nil)

// callTime bounds a call of the Graph API.
const callTime = 10 * time.Second

// New returns a page in Messenger. It makes no call. Its error names every fault of the Config.
func New(cfg Config) (*Channel, error) {
	var faults []error
	if cfg.PageID == "" {
		faults = append(faults, errors.New("messenger: Config.PageID must be set: the page's id, as Meta shows it beside its token"))
	}
	if cfg.Token.Reveal() == "" {
		faults = append(faults, errors.New("messenger: Config.Token must be set: the page's access token"))
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
	if cfg.Source == "" {
		cfg.Source = "messenger"
	}
	return &Channel{
		page: cfg.PageID, source: cfg.Source, secret: cfg.AppSecret, verify: cfg.VerifyToken, humanAgent: cfg.HumanAgent,
		api: graphapi.New(cfg.Client, cfg.BaseURL, cfg.Token.Reveal, cfg.AppSecret.Reveal), screen: channel.NewScreen(cfg.Source, cfg.Sent, cfg.Logger),
		log: cfg.Logger, voices: channel.Memory{Max: 1000},
	}, nil
}

// Source is the Conversation.Source of the page's conversations.
func (c *Channel) Source() string { return c.source }

// Deliver shows a message. What an agent says comes from a persona with their name and picture, where Meta makes one;
// else it begins with their name. A user who has not written for 24 hours, or has blocked the page, is
// handover.ErrUserAway.
func (c *Channel) Deliver(ctx context.Context, s handover.Session, m handover.Message) (channelID string, err error) {
	from := sender{human: m.From == handover.FromAgent}
	if from.human && m.Corrects == "" {
		from.persona = c.voice(ctx, m)
	}
	user := s.Conversation.ID
	return c.screen.Show(ctx, user, m.ID, c.render(m, from.persona != ""), func(ctx context.Context, p channel.Part) (string, error) {
		id, err := c.show(ctx, user, p, from)
		if from.persona == "" || !errors.Is(err, errors.ErrUnsupported) {
			return id, err
		}
		// Somebody deleted the persona, or the part is what Meta does not take.
		if name := m.Agent.Name + ": " + p.Text; p.Text != "" && channel.UTF16.Len(name) <= maxText {
			p.Text = name
		}
		if id, err = c.show(ctx, user, p, sender{human: true}); err == nil {
			c.personas.set(m.Agent, "")
		}
		return id, err
	})
}

// voice returns the persona that a message is from, the same at each attempt: its parts depend on it.
func (c *Channel) voice(ctx context.Context, m handover.Message) (persona string) {
	if persona, known, _ := c.voices.Recall(ctx, m.ID); known {
		return persona
	}
	persona = c.persona(ctx, m.Agent)
	_ = c.voices.Keep(ctx, m.ID, persona)
	return persona
}

// show sends a part.
func (c *Channel) show(ctx context.Context, user string, p channel.Part, from sender) (id string, err error) {
	var failed error
	m := written(p, func(payload string) string {
		data, err := c.screen.Data(ctx, payload, maxPayload)
		failed = errors.Join(failed, err)
		return data
	})
	if failed != nil {
		return "", failed
	}
	return c.post(ctx, user, m, from)
}

// Send shows what the bot says.
func (c *Channel) Send(ctx context.Context, conversationID string, m handover.RichMessage) error {
	_, err := c.screen.Show(ctx, conversationID, "", c.render(handover.Message{From: handover.FromBot, Content: m}, false),
		func(ctx context.Context, p channel.Part) (string, error) {
			return c.show(ctx, conversationID, p, sender{})
		})
	return err
}

// Revise returns errors.ErrUnsupported: Messenger can neither edit nor remove what was sent.
func (c *Channel) Revise(context.Context, handover.Session, handover.Revision) error {
	return errors.ErrUnsupported
}

// Typing shows that an agent is typing, or no longer.
func (c *Channel) Typing(ctx context.Context, s handover.Session, t handover.AgentTyping) {
	action := "typing_off"
	if t.On {
		action = "typing_on"
	}
	persona, _ := c.personas.known(t.Agent)
	if err := c.sign(ctx, s.Conversation.ID, action, persona); err != nil {
		c.log.Info("messenger: typing is not shown", "error", err)
	}
}

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
		return channel.Take(ctx, c.log, &c.refusals, all, handle)
	})
}
