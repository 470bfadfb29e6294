package story

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

var channelVerbs = []verb{
	{"user is away", func(w *world, _ []string) {
		w.channel.now(func(handover.Message) error { return handover.ErrUserAway }, 0)
	}},
	{"user is back", func(w *world, _ []string) { w.channel.now(nil, 0) }},
	{"the channel works", func(w *world, _ []string) { w.channel.now(nil, 0) }},
	{"the channel fails", func(w *world, _ []string) { w.channel.now(fails, 0) }},
	{"the channel fails for <time>", func(w *world, a []string) { w.channel.now(fails, duration(a[0])) }},
	{"the channel cannot show what says <text>", func(w *world, a []string) {
		w.channel.now(func(m handover.Message) error {
			if strings.Contains(look(m.Content), a[0]) {
				return fmt.Errorf("no such messages here: %w", errors.ErrUnsupported)
			}
			return nil
		}, 0)
	}},
	{"the channel shows text only", func(w *world, _ []string) {
		w.channel.onlyText()
		w.channel.now(func(m handover.Message) error {
			if m.Content.Attachment != nil || len(m.Content.QuickReplies) > 0 {
				return fmt.Errorf("text only: %w", errors.ErrUnsupported)
			}
			return nil
		}, 0)
	}},
	{"the channel takes <time> for each message", func(w *world, a []string) { w.channel.slow(duration(a[0])) }},
}

var errChannel = errors.New("the channel is down")

func fails(handover.Message) error { return errChannel }

// channel is where the users are.
type channel struct {
	mu    sync.Mutex
	fault func(handover.Message) error
	until time.Time // of the fault; zero: for good
	takes time.Duration
	plain bool              // it shows text only
	shown map[string]string // what was shown, by the message's id
}

// now makes messages fail as fault says, for a while or for good.
func (c *channel) now(fault func(handover.Message) error, for_ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault, c.until = fault, time.Time{}
	if for_ > 0 {
		c.until = time.Now().Add(for_)
	}
}

func (c *channel) slow(takes time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takes = takes
}

func (c *channel) onlyText() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plain = true
}

// look is what a user sees of a message in this channel.
func (c *channel) look(m handover.Message) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plain {
		return look(handover.TextMessage(m.PlainText()))
	}
	return look(m.Content)
}

// take shows a message unless something is wrong with the channel, or the process dies meanwhile.
// It says whether the message was shown before.
func (c *channel) take(ctx context.Context, p *process, m handover.Message) (again bool, err error) {
	c.mu.Lock()
	takes := c.takes
	c.mu.Unlock()
	seen := c.look(m)
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if p.dead.Load() {
		return false, errDead
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil && (c.until.IsZero() || time.Now().Before(c.until)) {
		if err := c.fault(m); err != nil {
			return false, err
		}
	}
	if c.shown == nil {
		c.shown = map[string]string{}
	}
	_, again = c.shown[m.ID]
	c.shown[m.ID] = seen
	return again, nil
}

// was returns what was shown under an id.
func (c *channel) was(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown[id]
}

// deliver is what a process does to show a message.
func (w *world) deliver(ctx context.Context, p *process, s handover.Session, m handover.Message) (string, error) {
	again, err := w.channel.take(ctx, p, m)
	if err != nil || again {
		return "", err
	}
	w.met(s.Conversation).remember(m.Content)
	who := string(m.From)
	if m.From == handover.FromAgent {
		who = m.Agent.Name
		if who == "" {
			who = "(an agent without a name)"
		}
	}
	if m.Corrects != "" {
		who += fmt.Sprintf(" corrects %q", w.channel.was(m.Corrects))
	}
	if m.Late {
		who += " (late)"
	}
	w.see(s.Conversation, who+": "+w.channel.look(m))
	return m.ID, nil
}

func (w *world) revise(_ context.Context, s handover.Session, r handover.Revision) error {
	was := w.channel.was(r.Message.Corrects)
	if r.Removed {
		w.see(s.Conversation, fmt.Sprintf("%q disappears", was))
		return nil
	}
	now := w.channel.look(r.Message)
	w.see(s.Conversation, fmt.Sprintf("%q becomes %q", was, now))
	w.channel.mu.Lock()
	defer w.channel.mu.Unlock()
	w.channel.shown[r.Message.Corrects] = now
	return nil
}

func (w *world) typing(_ context.Context, s handover.Session, t handover.AgentTyping) {
	line := t.Agent.Name + " is typing"
	if !t.On {
		line = t.Agent.Name + " is no longer typing"
	}
	w.see(s.Conversation, line)
}

// look is what a user sees of a message: its text, then its choices.
func look(m handover.RichMessage) string {
	text := m.Text
	if text == "" {
		plain := m
		plain.QuickReplies = nil
		text = plain.PlainText()
	}
	text = strings.TrimSpace(text)
	if a := m.Attachment; a != nil && a.Payload.URL != "" {
		text = "(" + a.Type + ") " + text
	}
	for _, q := range m.QuickReplies {
		text += " [" + q.Title + "]"
	}
	return text
}
