package systemtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// errChannelDown is what a callback of the host says when it fails.
var errChannelDown = errors.New("the channel is down")

// chat is one conversation as the world sees it: its user, their channel, and the agent.
type chat struct {
	w    *world
	name string // of the user, in Crisp too
	conv handover.Conversation

	board
	ordinals map[string]int
	shown    []showing
	ends     []ending
	said     []string // by the agent, in Crisp
	accepted []string // of the user, with a nil error
	crisp    *handovertest.Conversation
	ready    bool     // the user is done writing
	over     bool     // the bot has the conversation back
	inside   *replica // whose callback runs
	wrong    []string
	story    []string
}

// showing is one time that the user saw a message.
type showing struct {
	by      *replica
	at      time.Time
	message handover.Message
	failed  bool // the channel said so, although the user saw it
}

// ending is one time that the host heard of an end.
type ending struct {
	by      *replica
	at      time.Time
	summary handover.Summary
	failed  bool
}

func newChat(w *world, n int) *chat {
	name := fmt.Sprintf("user-%d", n)
	return &chat{
		w: w, name: name, conv: handover.Conversation{Source: "webchat", ID: name},
		ordinals: make(map[string]int),
	}
}

// note adds a line to the story, which is told when something was wrong.
func (c *chat) note(format string, args ...any) {
	line := time.Now().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)
	c.change(func() { c.story = append(c.story, line) })
}

// fault notes something that must not be.
func (c *chat) fault(format string, args ...any) {
	c.note("WRONG: "+format, args...)
	c.change(func() { c.wrong = append(c.wrong, fmt.Sprintf(format, args...)) })
}

// ordinal counts what happens in this conversation, by kind.
func (c *chat) ordinal(kind string) (n int) {
	c.change(func() { n = c.ordinals[kind]; c.ordinals[kind]++ })
	return n
}

// pause waits as people do: often not at all, or for some seconds.
func (c *chat) pause(who string) {
	n := c.ordinal("pause of " + who)
	if fraction(c.w.o.seed, c.name, who, "hurry", n) > 0.4 {
		c.sleep(between(0, 4*time.Second, c.w.o.seed, c.name, who, "pause", n))
	}
}

// sleep is time.Sleep, cut short by the end of the run.
func (c *chat) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.w.ctx.Done():
	}
}

// callback does what a callback is called for, which takes some time, and may fail before or after.
func (c *chat) callback(r *replica, point string, do func(failed bool)) error {
	n := c.ordinal(point)
	fault := callbackFault(c.w.o.seed, c.name, point, n)
	c.change(func() {
		if c.inside != nil && !c.inside.dead() && !r.dead() {
			c.wrong = append(c.wrong, fmt.Sprintf("two callbacks at a time, of replicas %d and %d", c.inside.n, r.n))
		}
		c.inside = r
	})
	defer c.change(func() {
		if c.inside == r {
			c.inside = nil
		}
	})
	time.Sleep(between(0, 200*time.Millisecond, c.w.o.seed, c.name, point, n))
	if fault != "" {
		c.w.count(fault)
	}
	if fault == "before" {
		return errChannelDown
	}
	err := r.outside(point, func() error { do(fault == "after"); return nil })
	if err == nil && fault == "after" {
		return errChannelDown
	}
	return err
}

// show shows the user a message.
func (c *chat) show(r *replica, m handover.Message, failed bool) {
	c.note("shown by replica %d, attempt %d, late %t, failed %t: %s: %s", r.n, m.Attempt, m.Late, failed, m.ID, rig.Look(m.Content))
	c.change(func() { c.shown = append(c.shown, showing{r, time.Now(), m, failed}) })
}

// end tells the host of an end.
func (c *chat) end(r *replica, sum handover.Summary, failed bool) {
	c.note("end told by replica %d, failed %t: %s", r.n, failed, sum.Reason)
	c.change(func() { c.ends = append(c.ends, ending{r, time.Now(), sum, failed}) })
}

// until repeats a call to the library, as channels repeat messages, until a replica that lives has
// answered without an error. It is false when the run ends first.
func (c *chat) until(what string, call func(ctx context.Context, h *handover.Handover) error) bool {
	for n := 0; c.w.ctx.Err() == nil; n++ {
		r := c.w.any(c.name, what, n)
		ctx, cancel := context.WithTimeout(r.ctx, between(2*time.Second, 30*time.Second, c.w.o.seed, c.name, what, "waits", n))
		err := call(ctx, r.h)
		cancel()
		if err == nil && !r.dead() {
			return true
		}
		c.note("%s fails at replica %d: %v", what, r.n, err)
		c.sleep(between(0, 2*time.Second, c.w.o.seed, c.name, what, "again", n))
	}
	return false
}

// says gives the library a message of the user, until it is taken.
func (c *chat) says(id, text string) (turn handover.Turn, ok bool) {
	ok = c.until(id, func(ctx context.Context, h *handover.Handover) (err error) {
		turn, err = h.Receive(ctx, handover.Incoming{Conversation: c.conv, ID: id, Text: text})
		return err
	})
	c.note("the user's, bot %t: %s", turn.Bot, text)
	return turn, ok
}

// user talks with the bot, with an agent, and with the bot again.
func (c *chat) user() {
	c.sleep(between(0, 30*time.Second, c.w.o.seed, c.name, "comes"))
	if !c.opens() {
		return
	}
	for n := range c.w.o.messages {
		c.pause("user")
		text := fmt.Sprintf("message %d of %s", n, c.name)
		turn, ok := c.says(fmt.Sprintf("m%d", n), text)
		if !ok {
			return
		}
		if turn.Bot {
			c.fault("the bot got message %d", n)
			continue
		}
		c.change(func() { c.accepted = append(c.accepted, text) })
		c.w.proceeded()
	}
	c.change(func() { c.ready = true })
	if !c.await(c.w.ctx, c.heard) {
		return
	}
	turn, ok := c.says("thanks", "thank you")
	if ok && !turn.Bot {
		c.fault("the bot is still mute")
	}
	c.change(func() { c.over = ok })
}

// opens has the user greeted by the bot, and then ask for a human.
func (c *chat) opens() bool {
	turn, ok := c.says("hello", "hello")
	ok = ok && c.until("reply", func(ctx context.Context, h *handover.Handover) error {
		return h.Reply(ctx, turn, func(context.Context) error { return nil })
	})
	if !ok {
		return false
	}
	if turn, ok = c.says("ask", "I want a human"); !ok {
		return false
	}
	ok = c.until("start", func(ctx context.Context, h *handover.Handover) error {
		outcome, err := h.Start(ctx, turn, handover.Request{User: handover.UserData{Nickname: c.name}})
		if err == nil && outcome != handover.Opened && outcome != handover.AlreadyOpen {
			err = fmt.Errorf("outcome %q", outcome)
		}
		return err
	})
	return ok && c.until("opened", c.finds)
}

// finds finds the Crisp conversation once the handover is open.
func (c *chat) finds(ctx context.Context, h *handover.Handover) error {
	s, err := h.Session(ctx, c.conv)
	if err != nil {
		return err
	}
	if s.State != handover.StateWaiting {
		return fmt.Errorf("state %q", s.State)
	}
	all := c.w.crisp.Conversations()
	i := slices.IndexFunc(all, func(v *handovertest.Conversation) bool { return v.ID() == s.CrispID })
	if i < 0 {
		return errors.New("no such conversation in Crisp")
	}
	c.change(func() { c.crisp = all[i] })
	return nil
}

// heard reports whether all that the agent wrote was shown and the end was told. It is called
// under the lock.
func (c *chat) heard() bool {
	if len(c.said) < c.w.o.messages || len(c.ends) == 0 {
		return false
	}
	seen := make(map[string]bool)
	for _, s := range c.shown {
		seen[s.message.Content.Text] = true
	}
	return !slices.ContainsFunc(c.said, func(text string) bool { return !seen[text] })
}

// agent writes between the user's messages, and notes that no user may see, and resolves the
// conversation: sometimes before Crisp shows the last message.
func (c *chat) agent() {
	if !c.await(c.w.ctx, func() bool { return c.crisp != nil }) {
		return
	}
	ann := c.crisp.Operator("Ann")
	last := c.w.o.messages - 1
	for n := range last {
		ahead := int(fraction(c.w.o.seed, c.name, "ahead", n) * 4)
		if !c.await(c.w.ctx, func() bool { return c.ready || len(c.accepted)+ahead > n }) {
			return
		}
		c.pause("agent")
		c.remarks(ann, n)
		c.tells(n, func(text string) { ann.Say(text) })
	}
	if !c.await(c.w.ctx, func() bool { return c.ready }) {
		return
	}
	if fraction(c.w.o.seed, c.name, "resolves first") < 0.7 {
		c.tells(last, func(text string) { ann.Say(text) })
		ann.Resolve()
		c.note("resolved")
		return
	}
	c.sleep(2 * time.Second) // so that a second before is after the other messages
	ann.Resolve()
	resolved := time.Now()
	c.note("resolved before the last message is visible")
	c.w.trap("resolved before the last message")
	c.sleep(between(0, 4*time.Second, c.w.o.seed, c.name, "visible"))
	c.tells(last, func(text string) { ann.SayLate(text, time.Since(resolved)+time.Second) })
}

// tells writes the agent's message with this number.
func (c *chat) tells(n int, say func(text string)) {
	text := fmt.Sprintf("answer %d to %s", n, c.name)
	c.note("the agent's: %s", text)
	c.change(func() { c.said = append(c.said, text) })
	say(text)
	c.w.proceeded()
}

// secret is in every note.
const secret = "not for the user"

// remarks writes a note now and then, and edits it.
func (c *chat) remarks(ann *handovertest.Operator, n int) {
	x := fraction(c.w.o.seed, c.name, "note", n)
	if x > 0.3 {
		return
	}
	note := ann.Note(fmt.Sprintf("%s: note %d", secret, n))
	c.w.trap("note")
	if x > 0.15 {
		return
	}
	c.pause("agent")
	ann.Edit(note, fmt.Sprintf("%s: note %d, edited", secret, n))
	c.w.trap("edited note")
}
