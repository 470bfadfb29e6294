package systemtest

import (
	"fmt"
	"time"

	"github.com/crisphandover/handover/handovertest"
)

// agent writes between the user's messages, and notes that no user may see, and resolves the
// conversation: sometimes before Crisp shows the last message.
func (c *chat) agent() {
	if !c.await(c.w.ctx, func() bool { return c.crisp != nil }) {
		return
	}
	ann := c.crisp.Operator("Ann")
	last := c.messages - 1
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
	text := c.text("answer", n)
	c.note("the agent's: %.60s", text)
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
