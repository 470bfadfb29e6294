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
		c.odd(n)
		c.tells(n, func(text string) { ann.Say(text) })
	}
	if !c.await(c.w.ctx, func() bool { return c.ready }) {
		return
	}
	c.reads()
	defer c.tidies(ann)
	if fraction(c.w.o.seed, c.name, "resolves first") < 0.7 {
		c.tells(last, func(text string) { ann.Say(text) })
		c.change(func() { c.resolved = true })
		ann.Resolve()
		c.note("resolved")
		return
	}
	c.sleep(2 * time.Second) // so that a second before is after the other messages
	c.change(func() { c.resolved = true })
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
	c.change(func() { c.said, c.saidAt = append(c.said, text), append(c.saidAt, time.Now()) })
	say(text)
	c.w.proceeded()
}

// oddly begins what agents write in a way in which Crisp cannot keep it: it may be shown, once, and
// at any place, or be reported.
const oddly = "odd-"

// odd has an agent write with times and fingerprints that cannot be, and a trigger write.
func (c *chat) odd(n int) {
	ann, text := c.crisp.Operator("Ann"), fmt.Sprintf("%s%d-of-%s", oddly, n, c.name)
	choice := handovertest.Hash(c.w.o.seed, c.name, n, "odd")
	now := time.Now().Add(c.w.skew())                      // what is older than the opening is not for the user, see adoptions
	if !c.managed && c.w.hits(oddTimes, 0.05, c.name, n) { // one of next year takes over what is opened again after an end
		c.w.suffers(oddTimes)
		times := []int64{0, -1, now.Unix() + 1, now.UnixMicro(), now.AddDate(1, 0, 0).UnixMilli(), now.AddDate(9000, 0, 0).UnixMilli()}
		at, print := times[choice%uint64(len(times))], 500_000_000_000_000+int64(choice%100_000_000_000_000)
		c.w.sendsHookOf(print)
		c.note("an agent writes at %d: %s", at, text)
		c.writes(text, func() { ann.At(at).Fingerprint(print).Say(text) })
	}
	if c.w.hits(oddFingerprints, 0.05, c.name, n) {
		text += "-by-its-number"
		c.w.suffers(oddFingerprints)
		prints := []int64{0, -1 - int64(choice>>33), 1<<53 + int64(n), 1<<63 - 1 - int64(n)}
		print := prints[choice%uint64(len(prints))]
		c.note("an agent writes as %d: %s", print, text)
		c.writes(text, func() { ann.Fingerprint(print).Say(text) })
	}
	if c.w.hits(triggers, 0.05, c.name, n) {
		c.w.suffers(triggers)
		c.note("a trigger writes")
		c.crisp.Trigger("Acme").Say(fmt.Sprintf("trigger-%d-of-%s", n, c.name))
	}
}

// writes notes something odd that an agent writes.
func (c *chat) writes(text string, say func()) {
	c.change(func() { c.oddly = append(c.oddly, showable{text, time.Now()}) })
	say()
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
