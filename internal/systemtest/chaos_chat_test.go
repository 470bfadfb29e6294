package systemtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

	messages int           // of each side
	adopted  bool          // the handover goes on in a conversation that Crisp has already
	refused  *step         // what Crisp refuses, if anything
	endsLate time.Duration // for how long OnEnd fails
	managed  bool          // the bot is wired through Handle and Config.Answer

	board
	ordinals map[string]int
	seen     map[string]bool // what agents wrote and the user saw, in pieces
	ended    time.Time       // when OnEnd was first called
	shown    []showing
	ends     []ending
	said     []string // by the agent, in Crisp
	saidAt   []time.Time
	oddly    []showable // by the agent, in a way in which Crisp cannot keep it
	reported int        // messages that the host was told are not shown
	untold   int        // saves after which the host may not have been told what they store
	accepted []string   // of the user, with a nil error
	crisp    *handovertest.Conversation
	ready    bool     // the user is done writing
	over     bool     // the bot has the conversation back
	resolved bool     // by the agent
	inside   *replica // whose callback runs
	taken    []string // ids of the user's messages, of a managed bot
	asking   *handover.Request
	spoken   []spoken // by a managed bot
	speaking *replica // whose bot answers
	wrong    []string
	story    []string
}

// showable is a message that is to be shown or reported.
type showable struct {
	text string
	at   time.Time // when it was written
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
	c := &chat{
		w: w, name: name, conv: handover.Conversation{Source: "webchat", ID: name},
		messages: w.o.messages, ordinals: make(map[string]int), seen: make(map[string]bool),
	}
	if w.hits(longTalks, 0.03, name) || n == 0 && w.o.hard[longTalks] {
		c.messages *= 10
		w.suffers(longTalks)
	}
	if w.o.hard[refusedSteps] && n%3 == 0 {
		c.refused = &steps[n/3%len(steps)]
	}
	if w.hits(lateEnds, 0.2, name) {
		c.endsLate = between(time.Minute, 8*time.Minute, w.o.seed, name, "ends late")
	}
	c.managed = w.o.managed && handovertest.Chance(managedShare, w.o.seed, name, "managed")
	c.adopted = w.hits(adoptions, 0.2, name) || c.refused != nil && c.refused.name == readMetas
	return c
}

// text is what one side writes: one word, or many where it does not fit in a message. Each word is
// there once in all that is said.
func (c *chat) text(kind string, n int) string {
	word := fmt.Sprintf("%s-%d-of-%s", kind, n, c.name)
	if !c.w.hits(parts, 0.1, c.name, kind, n) {
		return word
	}
	c.w.suffers(parts)
	var long strings.Builder
	long.WriteString(word)
	for i := range 100 + int(200*fraction(c.w.o.seed, c.name, kind, n, "length")) {
		fmt.Fprintf(&long, " %s-%d", word, i)
	}
	return long.String()
}

// tooEarly reports whether OnEnd still has to fail.
func (c *chat) tooEarly() (early bool) {
	c.change(func() {
		if c.ended.IsZero() {
			c.ended = time.Now()
		}
		early = time.Since(c.ended) < c.endsLate
	})
	if early {
		c.w.suffers(lateEnds)
	}
	return early
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

// callback does what a callback is called for, which takes some time, and may go wrong before or
// after. A failing one does nothing and says so.
func (c *chat) callback(r *replica, point string, failing bool, do func(failed bool)) error {
	n := c.ordinal(point)
	fault := c.w.callbackFault(c.name, point, n)
	c.change(func() {
		if c.inside != nil && !c.inside.dead() && !r.dead() {
			c.wrong = append(c.wrong, fmt.Sprintf("two callbacks at a time, of replicas %d and %d", c.inside.n, r.n))
		}
		c.inside = r
	})
	leave := func() {
		c.change(func() {
			if c.inside == r {
				c.inside = nil
			}
		})
	}
	defer leave()
	time.Sleep(between(0, 200*time.Millisecond, c.w.o.seed, c.name, point, n))
	if failing {
		return errChannelDown
	}
	if fault != "" {
		c.w.count("callback " + fault)
	}
	kind, when, _ := strings.Cut(fault, " ")
	if when == "after" || fault == "" {
		if err := r.outside(point, func() error { do(fault != ""); return nil }); err != nil || fault == "" {
			return err
		}
	}
	c.note("the callback %s %s what it is for", kind, when)
	switch kind {
	case "hangs": // whatever its context says, and whoever waits for it
		c.w.suffers(hungCallbacks)
		leave()
		<-c.w.ctx.Done()
	case "panics":
		c.w.suffers(panics)
		panic("a bug of the host's")
	}
	return errChannelDown
}

// show shows the user a message.
func (c *chat) show(r *replica, m handover.Message, failed bool) {
	c.note("shown by replica %d, attempt %d, late %t, failed %t: %s: %.60s", r.n, m.Attempt, m.Late, failed, m.ID, rig.Look(m.Content))
	c.change(func() {
		c.shown = append(c.shown, showing{r, time.Now(), m, failed})
		if m.From == handover.FromAgent {
			for _, word := range strings.Fields(m.Content.Text) {
				c.seen[word] = true
			}
		}
	})
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
	message := handover.Incoming{Conversation: c.conv, ID: id, Text: text, At: c.writtenAt(id)}
	ok = c.until(id, func(ctx context.Context, h *handover.Handover) (err error) {
		turn, err = h.Receive(ctx, message)
		return err
	})
	c.note("the user's, bot %t: %.60s", turn.Bot, text)
	return turn, ok
}

// user talks with the bot, with an agent, and with the bot again.
func (c *chat) user() {
	c.sleep(between(0, 30*time.Second, c.w.o.seed, c.name, "comes"))
	if c.managed {
		c.managedUser()
		return
	}
	if !c.opens() {
		return
	}
	for n := range c.messages {
		c.pause("user")
		text := c.text("message", n)
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
	q := c.request()
	ok = c.until("start", func(ctx context.Context, h *handover.Handover) error {
		outcome, err := h.Start(ctx, turn, q)
		if err == nil && outcome != handover.OutcomeOpened && outcome != handover.OutcomeAlreadyOpen {
			err = fmt.Errorf("outcome %q", outcome)
		}
		return err
	})
	return ok && c.until("opened", c.finds)
}

// request is what the bot asks for.
func (c *chat) request() (q handover.Request) {
	q.User.Nickname = c.name
	if c.w.o.hard[refusedSteps] {
		q.Note, q.Segments = secret+": why", []string{"chaos"}
		q.Inbox, q.Operator = "0b7c3f6e-5a7e-4f0e-8a55-000000000001", "0b7c3f6e-5a7e-4f0e-8a55-000000000002"
	}
	if c.adopted {
		q.CrispID = c.hadBefore()
	}
	return q
}

// hadBefore makes the conversation that Crisp has already, with words that are not for the user any
// more.
func (c *chat) hadBefore() (id string) {
	c.w.suffers(adoptions)
	conv := c.w.crisp.Open(c.name)
	c.w.refuses.knows(conv.ID(), c)
	for n := range 3 {
		conv.Operator("Ann").Say(fmt.Sprintf("before-%d-of-%s", n, c.name))
	}
	c.sleep(2 * time.Second)
	return conv.ID()
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
	if len(c.said) < c.messages || len(c.ends) == 0 {
		return false
	}
	for _, text := range c.said {
		for _, word := range strings.Fields(text) {
			if !c.seen[word] {
				return false
			}
		}
	}
	return true
}
