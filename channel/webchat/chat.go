package webchat

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

// Chat is the channel: what each user of the webchat has on their screen. Make it with New.
type Chat struct {
	cfg  Config
	base *url.URL

	mu    sync.Mutex
	rooms map[string]*room // by the conversation's id
	swept time.Time        // when those that nobody is in went last
}

// New makes a chat. It does no I/O. Its error names every field of c that is wrong.
func New(c Config) (*Chat, error) {
	c, base, err := c.prepare()
	if err != nil {
		return nil, err
	}
	return &Chat{cfg: c, base: base, rooms: map[string]*room{}}, nil
}

const (
	visitorKey = "visitor"
	welcomeKey = "welcome"
	shownLimit = 500 // entries that a page is sent when it opens
	saveTries  = 20
)

// userKey and shownKey name entries of the user's messages, and of those that were shown to the user: their ids
// come from elsewhere, and neither can name one of the other's.
func userKey(id string) string  { return "user " + id }
func shownKey(id string) string { return "shown " + id }

// Attach is channel.Attach for a bot that has this channel only. With several give the chat to channel.Attach, together
// with the others.
func (c *Chat) Attach(config *handover.Config) error {
	_, err := channel.Attach(config, c)
	return err
}

// Source implements channel.Channel.
func (c *Chat) Source() string { return c.cfg.Source }

// Capabilities implements channel.Channel: the page shows all that a RichMessage can hold.
func (c *Chat) Capabilities() channel.Capabilities {
	return channel.Capabilities{
		Buttons: many, Links: true, Cards: many, CardButtons: many, Files: channel.FilesByURL, Caption: many,
		Names: true, Edits: true, Removals: true, Typing: true,
	}
}

// many is how much there may be of what the page has no limit for.
const many = 1000

// String says where the chat is.
func (c *Chat) String() string { return c.cfg.String() }

// Format writes String, whatever the verb.
func (c *Chat) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// Deliver shows a message of an agent's or of the library's; it is for Config.Deliver. A message that was shown is
// not shown again. With no page open it says so: the message is in the log all the same, where the user finds it, as
// it is by then.
func (c *Chat) Deliver(ctx context.Context, s handover.Session, m handover.Message) (channelID string, err error) {
	e := Entry{Key: shownKey(m.ID), Message: cleanMessage(m.WithoutMarkdown())}
	if s.State != handover.StateBot {
		e.Handover = s.HandoverID
	}
	if err := c.show(ctx, s.Conversation.ID, e); err != nil {
		return "", err
	}
	if m.From == handover.FromAgent {
		c.room(s.Conversation.ID).wrote(e.Agent.Name)
	}
	if c.away(ctx, s.Conversation.ID) {
		return m.ID, handover.ErrUserAway
	}
	return m.ID, nil
}

// Revise edits or removes a message that was shown; it is for Config.Revise.
func (c *Chat) Revise(ctx context.Context, s handover.Session, r handover.Revision) error {
	found := false
	err := c.change(ctx, s.Conversation.ID, shownKey(r.Message.ChannelID), func(e *Entry) bool {
		if found = e.Revision != 0; !found {
			return false
		}
		e.Content, e.File = cleanMessage(r.Message.WithoutMarkdown()).Content, r.Message.File
		e.Edited, e.Removed = !r.Removed, r.Removed
		return true
	})
	if err == nil && !found {
		return fmt.Errorf("webchat: the log has that message no more: %w", errors.ErrUnsupported)
	}
	return err
}

// Transcript is the log, for the history page; it is for Config.Transcript.
func (c *Chat) Transcript(ctx context.Context, conv handover.Conversation) ([]handover.Message, error) {
	log, err := c.cfg.Store.Since(ctx, conv.ID, 0, shownLimit)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(log, func(a, b Entry) int { return int(a.Place - b.Place) })
	var all []handover.Message
	for _, e := range log {
		if !e.Removed && e.Visitor == nil {
			all = append(all, e.Message)
		}
	}
	return all, nil
}

// Typing shows that an agent is typing, or stopped; it is for Config.AgentTyping. Pages at other replicas do not see
// it.
func (c *Chat) Typing(_ context.Context, s handover.Session, t handover.AgentTyping) {
	c.room(s.Conversation.ID).types(typing{From: handover.FromAgent, Name: clean(t.Agent.Name)}, t.On)
}

// BotTyping shows that the bot is typing, or stopped. The sign vanishes by itself after 30 s.
func (c *Chat) BotTyping(conv handover.Conversation, on bool) {
	c.room(conv.ID).types(typing{From: handover.FromBot}, on)
}

// Send shows what the bot says in a conversation, whose id is that of Conversation.ID. It is in the log also if no page
// is open.
func (c *Chat) Send(ctx context.Context, conversationID string, m handover.RichMessage) error {
	return c.SendOnce(ctx, conversationID, rand.Text(), m)
}

// SendOnce is Send for a message that has an id, such as that of the message which the bot answers: what was sent with
// it is not sent again. So an Answer that is called again says nothing twice.
func (c *Chat) SendOnce(ctx context.Context, conversationID, id string, m handover.RichMessage) error {
	return c.show(ctx, conversationID, Entry{Key: shownKey("bot " + id), Message: cleanMessage(handover.Message{
		ID: id, From: handover.FromBot, Content: m, At: time.Now(),
	})})
}

// Visitor returns who the user of a conversation is, as the host signed it; a guest has no UserID and no User.
func (c *Chat) Visitor(ctx context.Context, conv handover.Conversation) (Visitor, error) {
	e, ok, err := c.cfg.Store.Entry(ctx, conv.ID, visitorKey)
	if err != nil {
		return Visitor{}, fmt.Errorf("webchat: %w", err)
	}
	if !ok || e.Visitor == nil {
		return Visitor{Conversation: conv, Locale: c.cfg.Locale}, nil
	}
	return *e.Visitor, nil
}

// Observe keeps who is speaking; it is for Config.Observe.
func (c *Chat) Observe(_ context.Context, a handover.Activity) {
	if a.Kind == handover.ActivityState && a.Conversation.Source == c.cfg.Source {
		c.room(a.Conversation.ID).becomes(a)
	}
}

// show adds an entry, unless it is there.
func (c *Chat) show(ctx context.Context, conversation string, e Entry) error {
	return c.change(ctx, conversation, e.Key, func(old *Entry) bool {
		if old.Revision != 0 {
			return false
		}
		*old = e
		return true
	})
}

// change changes the entry with that key, or makes it, and tells the pages. fn reports whether there is a change;
// it gets an entry without a Revision if there is none, and is called again when another writer was quicker.
func (c *Chat) change(ctx context.Context, conversation, key string, fn func(*Entry) bool) error {
	for range saveTries {
		e, ok, err := c.cfg.Store.Entry(ctx, conversation, key)
		if err != nil {
			return fmt.Errorf("webchat: the store: %w", err)
		}
		if !ok {
			e = Entry{Key: key}
		}
		if !fn(&e) {
			return nil
		}
		e, err = c.cfg.Store.Save(ctx, conversation, e)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("webchat: the store: %w", err)
		}
		c.room(conversation).saved(e.Revision)
		return nil
	}
	return fmt.Errorf("webchat: the store: %w", ErrConflict)
}

// greet puts the greeting into a log that is empty, before the user's first message, which may be one of its
// suggestions.
func (c *Chat) greet(ctx context.Context, conversation, text string) error {
	r := c.room(conversation)
	if c.cfg.Welcome == nil || r.isGreeted(false) {
		return nil
	}
	log, err := c.cfg.Store.Since(ctx, conversation, 0, 2)
	if err == nil && !slices.ContainsFunc(log, func(e Entry) bool { return e.Visitor == nil }) {
		var v Visitor
		if v, err = c.Visitor(ctx, c.conversation(conversation)); err == nil {
			err = c.show(ctx, conversation, c.greeting(v, text))
		}
	}
	if err == nil {
		r.isGreeted(true)
	}
	return err
}

func (c *Chat) greeting(v Visitor, text string) Entry {
	e := Entry{Key: welcomeKey, Message: handover.Message{ID: welcomeKey, From: handover.FromBot, Content: c.cfg.Welcome(v), At: time.Now()}}
	if slices.ContainsFunc(e.Content.QuickReplies, func(q handover.QuickReply) bool { return q.Title == text }) {
		e.Chosen = text
	}
	return e
}

var errChosen = errors.New("webchat: another message chose before, or there is nothing to choose")

// choose notes which quick reply of the entry at a place the user chose with a message. A message that chose and could
// then not be kept chooses the same again.
func (c *Chat) choose(ctx context.Context, conversation string, place int64, message, title string) error {
	if _, ok, err := c.cfg.Store.Entry(ctx, conversation, userKey(message)); err != nil || ok {
		return err // the message is here again
	}
	log, err := c.cfg.Store.Since(ctx, conversation, 0, shownLimit)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(log, func(e Entry) bool { return e.Place == place })
	if i < 0 {
		return errChosen
	}
	chosen := false
	err = c.change(ctx, conversation, log[i].Key, func(e *Entry) bool {
		if chosen = e.Chosen == title && e.ChosenBy == message; chosen {
			return false
		}
		chosen = e.Chosen == "" && slices.ContainsFunc(e.Content.QuickReplies, func(q handover.QuickReply) bool { return q.Title == title })
		if chosen {
			e.Chosen, e.ChosenBy = title, message
		}
		return chosen
	})
	if err == nil && !chosen {
		return errChosen
	}
	return err
}

// graceTime is how long a page may be away to be loaded again.
const graceTime = 30 * time.Second

// away reports whether nobody has the page open, at any replica.
func (c *Chat) away(ctx context.Context, conversation string) bool {
	if !c.room(conversation).away() {
		return false
	}
	if c.isAlone() {
		return true
	}
	v, err := c.Visitor(ctx, c.conversation(conversation))
	return err == nil && time.Since(v.Seen) > seenTime+graceTime
}

// isAlone reports whether the store is of this process alone.
func (c *Chat) isAlone() bool {
	_, ok := c.cfg.Store.(*MemoryStore)
	return ok
}

// logName names what the store has: a page that knows another log begins anew. Stores that outlive a process have
// one log for ever.
func (c *Chat) logName() string {
	if s, ok := c.cfg.Store.(*MemoryStore); ok {
		return s.logName()
	}
	return "log"
}

// manyRooms is how many there are until those that nobody was in for a while go, once a minute.
const manyRooms = 1000

// room returns what this process knows of a conversation.
func (c *Chat) room(conversation string) *room {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(conversation)
}

// enter notes that a page is open, until leave is called. It is one step: no other call forgets the room meanwhile, in
// which the page would hear of nothing.
func (c *Chat) enter(conversation string) (r *room, leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r = c.find(conversation)
	leave, ok = r.enter(c.cfg.Limits.Pages)
	return r, leave, ok
}

// find finds a room, or makes it. The caller holds the lock.
func (c *Chat) find(conversation string) *room {
	r := c.rooms[conversation]
	if r == nil {
		if len(c.rooms) >= manyRooms && time.Since(c.swept) > time.Minute {
			c.forget()
		}
		r = &room{changed: make(chan struct{}), left: time.Now()}
		c.rooms[conversation] = r
	}
	return r
}

// forget drops the rooms that nobody was in for a while. The caller holds the lock.
func (c *Chat) forget() {
	c.swept = time.Now()
	for conversation, r := range c.rooms {
		if r.isIdle() {
			delete(c.rooms, conversation)
		}
	}
}
