package systemtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// talk chooses a Crisp conversation, mostly that of the handover that runs or ran last.
func (s *subject) talk() (*modelCrisp, *handovertest.Conversation) {
	m := s.model
	if len(m.crisp) == 0 {
		return nil, nil
	}
	i := len(m.crisp) - 1
	if m.stay != nil && m.stay.crisp != nil {
		i = slices.Index(m.crisp, m.stay.crisp)
	}
	if m.follow != nil && s.rnd.IntN(2) == 0 {
		i = slices.Index(m.crisp, m.follow.crisp)
	}
	if s.rnd.IntN(6) == 0 {
		i = s.rnd.IntN(len(m.crisp))
	}
	return s.inCrisp(i)
}

// inCrisp returns a Crisp conversation in which people may act, or nil.
func (s *subject) inCrisp(i int) (*modelCrisp, *handovertest.Conversation) {
	s.w.discover()
	crisp := locked(s, func(s *subject) []*handovertest.Conversation { return s.crisp })
	c := s.model.crisp[i]
	if len(crisp) != len(s.model.crisp) || c.gone || c.last.IsZero() {
		return nil, nil
	}
	if c.adopted && c.greeted.IsZero() {
		return nil, nil // what is written before our opening message is not for the user
	}
	return c, crisp[i]
}

// other chooses any Crisp conversation of the user's.
func (s *subject) other() (*modelCrisp, *handovertest.Conversation) {
	if len(s.model.crisp) == 0 {
		return nil, nil
	}
	return s.inCrisp(s.rnd.IntN(len(s.model.crisp)))
}

func (s *subject) agent() string { return []string{"Ann", "Ann", "Bob"}[s.rnd.IntN(3)] }

func (s *subject) agentWrites() func() {
	c, conv := s.talk()
	if c == nil {
		return nil
	}
	agent, text := s.agent(), s.agentText(c)
	s.log("%s: %s %q in %s", s.what, agent, text, s.model.state)
	if s.said%8 == 5 && s.w.suffers(parts) {
		text = long(text)
	}
	s.model.visit(evHuman)
	s.model.human(c, agent, text, false, false)
	return func() { conv.Operator(agent).Say(text) }
}

// agentText is a new text, with its place among those of the conversation.
func (s *subject) agentText(c *modelCrisp) string {
	s.said++
	return fmt.Sprintf("a%d in %d", s.said, slices.Index(s.model.crisp, c))
}

// agentWritesBadly is a message of an agent with a fault on its way: it arrives all the same.
func (s *subject) agentWritesBadly() func() {
	c, conv := s.talk()
	m, fault := s.model, s.rnd.IntN(5)
	if c == nil || len(m.later) > 0 || m.state == inOpening || m.running() && m.stay.crisp != c || !m.calm(5*time.Second) {
		return nil
	}
	agent, text := s.agent(), s.agentText(c)
	s.log("%s: %s %q in %s, fault %d", s.what, agent, text, m.state, fault)
	m.visit(evHuman)
	switch fault {
	case 0: // the user is away
		locked(s, func(s *subject) int { s.gone[text] = true; return 0 })
		m.human(c, agent, text, false, true)
	case 1: // the hook comes late
		locked(s, func(s *subject) int { s.hookLate = true; return 0 })
		s.coming(hookDelay, true, func() { m.hear(c, agent, text, false, false) })
	case 2: // Crisp's log cannot be read for a moment: looks a little later
		locked(s, func(s *subject) int { s.unread = m.now.Add(500 * time.Millisecond); return 0 })
		m.blind = m.now.Truncate(time.Second).Add(2 * time.Second)
		s.coming(m.blind.Sub(m.now), true, func() { m.hear(c, agent, text, false, false) })
	case 3: // Deliver fails
		locked(s, func(s *subject) int { s.failing = 2; return 0 })
		s.unsettled = true
		s.need = max(s.need, 6*time.Second)
		if m.follow != nil && m.follow.crisp == c { // it takes over when it is shown: looks after 1 and 2 more seconds
			s.coming(m.now.Truncate(time.Second).Add(4*time.Second).Sub(m.now), false, func() { m.hear(c, agent, text, false, false) })
		} else {
			m.human(c, agent, text, false, false)
		}
	case 4: // the hook comes twice
		locked(s, func(s *subject) int { s.hookTwice = true; return 0 })
		m.human(c, agent, text, false, false)
	}
	return func() { conv.Operator(agent).Say(text) }
}

// agentWroteBefore is a message that becomes visible only now: older than the last end in its
// conversation.
func (s *subject) agentWroteBefore() func() {
	c, conv := s.other()
	m := s.model
	if c == nil || m.running() && m.stay.crisp == c || c.mark.IsZero() || c.adopted { // what was there before is not shown
		return nil
	}
	agent, text := s.agent(), s.agentText(c)
	s.log("%s: %s %q in %s", s.what, agent, text, m.state)
	m.visit(evLate)
	m.human(c, agent, text, true, false)
	return func() { conv.Operator(agent).SayLate(text, time.Since(c.mark)+300*time.Millisecond) }
}

func (s *subject) note() func() {
	c, conv := s.talk()
	if c == nil {
		return nil
	}
	s.model.visit(evNote)
	s.log("%s in %s", s.what, s.model.state)
	return func() {
		fp := conv.Operator("Ann").Note("note: he is difficult")
		locked(s, func(s *subject) int { s.notes = append(s.notes, noteOf{conv, fp}); return 0 })
	}
}

// noteOf is a note in a conversation.
type noteOf struct {
	conv *handovertest.Conversation
	fp   int64
}

func (s *subject) otherBot() func() {
	c, conv := s.talk()
	if c == nil {
		return nil
	}
	s.model.visit(evOtherBot)
	s.log("%s in %s", s.what, s.model.state)
	s.model.otherBot(c)
	return func() { conv.Bot("Hugo").Say("robot: I can help") }
}

// edits changes a note, which must never show, or removes one.
func (s *subject) edits() func() {
	notes := locked(s, func(s *subject) []noteOf { return s.notes })
	if len(notes) == 0 {
		return nil
	}
	n := notes[len(notes)-1]
	if n.conv.Removed() {
		return nil
	}
	s.model.visit(evEdit)
	s.log("%s in %s", s.what, s.model.state)
	if s.rnd.IntN(3) > 0 {
		return func() { n.conv.Operator("Ann").Edit(n.fp, fmt.Sprint("note: ", s.rnd.IntN(1000))) }
	}
	locked(s, func(s *subject) int { s.notes = s.notes[:len(s.notes)-1]; return 0 })
	return func() { n.conv.Operator("Ann").Remove(n.fp) }
}

func (s *subject) assigns() func() {
	c, conv := s.talk()
	agent := s.agent()
	if c == nil || conv.Assigned() == agent {
		return nil
	}
	s.model.visit(evAssigned)
	s.log("%s in %s", s.what, s.model.state)
	s.model.assigned(c)
	return func() { conv.Operator(agent).Assign() }
}

func (s *subject) resolves() func() {
	c, conv := s.talk()
	if c == nil || conv.State() == "resolved" {
		return nil
	}
	s.model.visit(evResolved)
	s.log("%s in %s", s.what, s.model.state)
	s.model.closed(c, evResolved)
	return func() { conv.Operator("Ann").Resolve() }
}

func (s *subject) reopens() func() {
	c, conv := s.other()
	if c == nil || conv.State() != "resolved" {
		return nil
	}
	s.model.visit(evReopened)
	s.log("%s in %s", s.what, s.model.state)
	c.closed = false
	return func() { conv.Operator("Ann").Reopen() }
}

func (s *subject) removes() func() {
	c, conv := s.talk()
	if c == nil || s.model.state != inOpening && s.rnd.IntN(3) > 0 {
		return nil
	}
	s.model.visit(evRemoved)
	s.log("%s in %s", s.what, s.model.state)
	if s.down() && s.rnd.IntN(2) == 0 { // the next step of an opening finds it out
		s.becomesWell()
	}
	s.model.closed(c, evRemoved)
	return conv.Remove
}

// blocks blocks the user, and lets them in again when the library has heard of it.
func (s *subject) blocks() func() {
	c, conv := s.talk()
	if c == nil {
		return nil
	}
	s.model.visit(evBlocked)
	s.log("%s in %s", s.what, s.model.state)
	s.model.closed(c, evBlocked)
	s.after = func() error {
		conv.Block(false)
		return nil
	}
	return func() { conv.Block(true) }
}

// repeatsHook brings an old hook again: nothing may come of it.
func (s *subject) repeatsHook() func() {
	bodies := locked(s, func(s *subject) []hookBody { return s.bodies })
	if len(bodies) == 0 {
		return nil
	}
	ev, err := handover.ReadEvent(nil, bodies[s.rnd.IntN(len(bodies))].request(), s.w.hooks())
	if err != nil {
		return nil
	}
	s.model.visit(evRepeated)
	if ev.Message != nil && ev.Message.From == "user" {
		s.model.visit(evOpened) // the greeting's echo is the sign of an opening
	}
	s.log("%s: %s in %s", s.what, ev.Name, s.model.state)
	return s.call("HandleEvent", func() string { return "<nil>" }, func(c *modelCall) {
		c.finish("%v", s.w.h.HandleEvent(s.w.ctx, ev))
	})
}

func (s *subject) refuses() func() {
	if s.down() {
		return nil
	}
	s.model.visit(evDown)
	d := forever
	if s.rnd.IntN(2) == 0 {
		d = time.Duration(2+s.rnd.IntN(4)) * time.Second
	}
	s.log("%s for %v in %s", s.what, d, s.model.state)
	s.model.down = s.model.now.Add(d)
	locked(s, func(s *subject) int { s.refuse = s.model.down; return 0 })
	return func() {}
}

func (s *subject) heals() func() {
	if !s.down() {
		return nil
	}
	s.model.visit(evDown)
	s.log("%s in %s", s.what, s.model.state)
	s.becomesWell()
	return func() {}
}

func (s *subject) becomesWell() {
	s.model.down = time.Time{}
	locked(s, func(s *subject) int { s.refuse = time.Time{}; return 0 })
}

// losesAnswer is a message of the user that Crisp takes without an answer: its hook is the proof.
func (s *subject) losesAnswer() func() {
	if s.down() {
		return nil
	}
	locked(s, func(s *subject) int { s.cut = s.model.now.Add(time.Millisecond); return 0 })
	u := s.newMessage("", "")
	s.model.receive(u)
	return s.receives(u, 0)
}

// resolved checks, when the operation is done, that the conversation is resolved in Crisp.
func (s *subject) resolved(c *modelCrisp) {
	i := slices.Index(s.model.crisp, c)
	s.after = func() error {
		s.w.discover()
		conv := locked(s, func(s *subject) *handovertest.Conversation { return s.crisp[i] })
		if conv.State() != "resolved" {
			return s.bad("in Crisp it is %s, want resolved", conv.State())
		}
		return nil
	}
}
