// Package channel shows in chat channels what agents, the library and a bot say, within the limits of each channel.
//
// Packages below it are channels: channel/telegram, channel/slack and others. Each takes the platform's updates and
// makes a handover.Incoming of them, and calls the platform's HTTP API. Attach gives them to a Handover, also several
// to one bot:
//
//	tg, err := telegram.New(telegram.Config{Token: handover.NewSecret(os.Getenv("TELEGRAM_TOKEN"))})
//	config := handover.Config{…}
//	chats, err := channel.Attach(&config, tg, wa) // sets Deliver, Revise and AgentTyping
//	config.Answer = func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
//		return nil, chats.Send(ctx, m.Conversation, handover.TextMessage("You said "+m.Text))
//	}
//	h, err := handover.New(config)
//	go tg.Poll(ctx, h.Handle)
//
// # A channel of one's own
//
// State what the channel can show, as Capabilities. Capabilities.Render turns a message into Parts, each of which the
// channel can show as it is: nothing is left out. A Screen shows the parts one after the other, and none twice.
//
//	func (c *chat) Deliver(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
//		return c.screen.Show(ctx, s.Conversation.ID, m.ID, can.Render(m), func(ctx context.Context, p channel.Part) (string, error) {
//			return c.post(ctx, s.Conversation.ID, p) // the platform's id of it
//		})
//	}
//
// Package channel/channeltest has the tests that a channel must pass, and fakes of the platforms.
package channel

import (
	"context"
	"errors"
	"fmt"

	"github.com/crisphandover/handover"
)

// Channel is where users are. All of its methods may be called at the same time.
type Channel interface {
	// Source is the Conversation.Source of the channel's conversations, such as "telegram".
	Source() string
	// Capabilities is what the channel can show.
	Capabilities() Capabilities
	// Deliver is as Config.Deliver. It shows nothing twice that it has shown under the same Message.ID.
	Deliver(ctx context.Context, s handover.Session, m handover.Message) (channelID string, err error)
	// Revise is as Config.Revise. A channel that cannot do so returns errors.ErrUnsupported: then an edit is
	// delivered as a correction, and a removal is ignored.
	Revise(ctx context.Context, s handover.Session, r handover.Revision) error
	// Typing is as Config.AgentTyping.
	Typing(ctx context.Context, s handover.Session, t handover.AgentTyping)
	// Send shows what the bot says in a conversation, whose id is that of Conversation.ID. The error is as that of
	// Deliver.
	Send(ctx context.Context, conversationID string, m handover.RichMessage) error
}

// Router finds the channel of a conversation by its Source.
type Router struct {
	channels map[string]Channel
	next     handover.Config // what the host set itself, for other sources
}

// Opener is a Channel whose users send files that only the bot can open.
type Opener interface {
	// OpenFile is as Config.OpenFile.
	OpenFile(ctx context.Context, c handover.Conversation, id string) (handover.OpenedFile, error)
}

// Transcriber is a Channel that keeps what was said.
type Transcriber interface {
	// Transcript is as Config.Transcript.
	Transcript(ctx context.Context, c handover.Conversation) ([]handover.Message, error)
}

// Observer is a Channel that shows who has a conversation.
type Observer interface {
	// Observe is as Config.Observe. It is told of all conversations.
	Observe(ctx context.Context, a handover.Activity)
}

// Attach sets Deliver, Revise and AgentTyping of config, so that each conversation is shown in the channel of its
// Source; and OpenFile, if config.Files.URL is set by then, for those channels that are an Opener. For a Transcriber it
// sets Transcript as well, for an Observer Observe. For conversations of other sources, what config has already is
// called, and its Observe for all. The error says which channel cannot be attached.
//
// Give all channels of a bot to one call: the Router that it returns sends to these.
func Attach(config *handover.Config, channels ...Channel) (*Router, error) {
	r := &Router{channels: make(map[string]Channel), next: *config}
	for i, c := range channels {
		switch {
		case c == nil:
			return nil, fmt.Errorf("channel: channel %d is nil", i+1)
		case c.Source() == "":
			return nil, fmt.Errorf("channel: channel %d has no source: give it one", i+1)
		case r.channels[c.Source()] != nil:
			return nil, fmt.Errorf("channel: two channels have the source %q: give one of them another", c.Source())
		}
		r.channels[c.Source()] = c
	}
	config.Deliver, config.Revise, config.AgentTyping = r.deliver, r.revise, r.typing
	if config.Files.URL != "" {
		config.OpenFile = r.openFile
	}
	r.attachLogs(config)
	return r, nil
}

// attachLogs sets what only some channels need.
func (r *Router) attachLogs(config *handover.Config) {
	for _, c := range r.channels {
		if _, ok := c.(Transcriber); ok {
			config.Transcript = r.transcript
		}
		if _, ok := c.(Observer); ok {
			config.Observe = r.observe
		}
	}
}

// Send shows what the bot says. The error is as that of Config.Deliver: it wraps handover.ErrUserAway when the user
// cannot be reached, and errors.ErrUnsupported when the channel cannot show the message, or no channel has the
// conversation's source.
func (r *Router) Send(ctx context.Context, to handover.Conversation, m handover.RichMessage) error {
	c := r.channels[to.Source]
	if c == nil {
		return errNoChannel
	}
	return c.Send(ctx, to.ID, m)
}

var errNoChannel = fmt.Errorf("channel: no channel has the conversation's source: give it to Attach: %w", errors.ErrUnsupported)

func (r *Router) deliver(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
	if c := r.channels[s.Conversation.Source]; c != nil {
		return c.Deliver(ctx, s, m)
	}
	if r.next.Deliver != nil {
		return r.next.Deliver(ctx, s, m)
	}
	return "", errNoChannel
}

func (r *Router) revise(ctx context.Context, s handover.Session, v handover.Revision) error {
	if c := r.channels[s.Conversation.Source]; c != nil {
		return c.Revise(ctx, s, v)
	}
	if r.next.Revise != nil {
		return r.next.Revise(ctx, s, v)
	}
	return errNoChannel
}

func (r *Router) typing(ctx context.Context, s handover.Session, t handover.AgentTyping) {
	if c := r.channels[s.Conversation.Source]; c != nil {
		c.Typing(ctx, s, t)
	} else if r.next.AgentTyping != nil {
		r.next.AgentTyping(ctx, s, t)
	}
}

func (r *Router) openFile(ctx context.Context, of handover.Conversation, id string) (handover.OpenedFile, error) {
	if c, ok := r.channels[of.Source].(Opener); ok {
		return c.OpenFile(ctx, of, id)
	}
	if r.next.OpenFile != nil {
		return r.next.OpenFile(ctx, of, id)
	}
	return handover.OpenedFile{}, errNoChannel
}

// transcript is empty for conversations of which nobody keeps one.
func (r *Router) transcript(ctx context.Context, of handover.Conversation) ([]handover.Message, error) {
	if c, ok := r.channels[of.Source].(Transcriber); ok {
		return c.Transcript(ctx, of)
	}
	if r.next.Transcript != nil {
		return r.next.Transcript(ctx, of)
	}
	return nil, nil
}

func (r *Router) observe(ctx context.Context, a handover.Activity) {
	for _, c := range r.channels {
		if o, ok := c.(Observer); ok {
			o.Observe(ctx, a)
		}
	}
	if r.next.Observe != nil {
		r.next.Observe(ctx, a)
	}
}
