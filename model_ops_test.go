package handover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// operation is something that the user, the host, an agent or a fault does to one conversation. do
// tells the model and returns what to do to the library; nil when it makes no sense now.
type operation struct {
	name   string
	weight map[handover.State]int // 0: weight 1
	do     func(*subject) func()
}

const (
	inBot, inMuted, inOpening = handover.StateBot, handover.StateMuted, handover.StateOpening
	inWaiting, inActive       = handover.StateWaiting, handover.StateActive
	forever                   = 1000 * time.Hour
)

type weights = map[handover.State]int

// operations are all that can happen, besides time.
var operations = []operation{
	{"the user writes", weights{inBot: 6, inMuted: 8, inOpening: 6, inWaiting: 6, inActive: 8}, (*subject).writes},
	{"the user chooses", weights{inBot: 8, inMuted: 2, inWaiting: 2, inActive: 2}, (*subject).chooses},
	{"the user leaves", nil, (*subject).userLeaves},
	{"the channel repeats a message", weights{inOpening: 4, inBot: 2}, (*subject).repeats},
	{"the user writes and the channel does not wait", weights{inWaiting: 2, inActive: 2, inOpening: 3}, (*subject).writesBriefly},
	{"the bot answers", weights{inBot: 8, inActive: 3, inWaiting: 3}, (*subject).answers},
	{"the host starts", weights{inBot: 16, inMuted: 6, inOpening: 4, inWaiting: 2, inActive: 2}, (*subject).starts},
	{"the host mutes", weights{inBot: 5, inMuted: 2}, (*subject).mutes},
	{"the host ends", weights{inMuted: 4, inOpening: 2, inActive: 2}, (*subject).hostEnds},
	{"an agent writes", weights{inBot: 3, inOpening: 4, inWaiting: 8, inActive: 12, inMuted: 2}, (*subject).agentWrites},
	{"an agent writes, with a fault", weights{inWaiting: 2, inActive: 4}, (*subject).agentWritesBadly},
	{"an agent wrote before the end", weights{inBot: 2, inOpening: 4, inWaiting: 4, inActive: 4}, (*subject).agentWroteBefore},
	{"an agent writes a note", weights{inActive: 2}, (*subject).note},
	{"another bot writes", nil, (*subject).otherBot},
	{"an agent edits or removes", weights{inActive: 2}, (*subject).edits},
	{"an agent is assigned", weights{inOpening: 3, inWaiting: 2}, (*subject).assigns},
	{"an agent resolves", weights{inOpening: 3, inActive: 4}, (*subject).resolves},
	{"an agent reopens", weights{inBot: 2, inOpening: 3, inWaiting: 3}, (*subject).reopens},
	{"Crisp removes the conversation", weights{inOpening: 2}, (*subject).removes},
	{"Crisp blocks the user", weights{inOpening: 4}, (*subject).blocks},
	{"a hook is repeated", weights{inBot: 2, inMuted: 2, inOpening: 2}, (*subject).repeatsHook},
	{"Crisp refuses messages", weights{inBot: 6, inMuted: 3, inWaiting: 2, inActive: 2}, (*subject).refuses},
	{"Crisp is well again", weights{inOpening: 4, inWaiting: 2, inActive: 2}, (*subject).heals},
	{"an answer of Crisp is lost", weights{inActive: 3, inWaiting: 3}, (*subject).losesAnswer},
}

// act chooses an operation, tells the model and returns what to do.
func (s *subject) act() func() {
	for {
		total := 0
		for _, o := range operations {
			total += max(1, o.weight[s.model.state])
		}
		n := s.rnd.IntN(total)
		for _, o := range operations {
			if n -= max(1, o.weight[s.model.state]); n >= 0 {
				continue
			}
			s.what = o.name
			if do := o.do(s); do != nil {
				return do
			}
			break
		}
	}
}

// down reports whether Crisp refuses the user's messages now.
func (s *subject) down() bool { return s.model.now.Before(s.model.down) }

// calm reports whether no deadline passes for a while, so that a fault changes nothing else.
func (s *subject) calm(d time.Duration) bool {
	ahead := *s.model
	ahead.now = ahead.now.Add(d).Add(time.Second)
	return len(ahead.due()) == 0
}

func (s *subject) newMessage(text, payload string) *userMessage {
	u := &userMessage{n: len(s.users), id: fmt.Sprint("m", len(s.users)), text: text, payload: payload}
	if text == "" {
		u.text = fmt.Sprint("words ", len(s.users))
	}
	s.users = append(s.users, u)
	return u
}

// receives gives a message to the library.
func (s *subject) receives(u *userMessage, patience time.Duration) func() {
	s.log("%s: %s %q in %s", s.what, u.id, u.text, s.model.state)
	refused := false
	wants := func() string {
		switch {
		case refused:
			return "context deadline exceeded"
		case u.fate == fatePosting:
			return ""
		}
		return fmt.Sprint("bot: ", u.fate == fateTurn)
	}
	if patience > 0 && u.fate == fatePosting {
		s.coming(patience, false, func() {
			if u.fate == fatePosting {
				u.left, refused = true, true
			}
		})
	} else {
		patience = forever
	}
	return s.call("Receive "+u.id, wants, func(c *modelCall) {
		ctx, cancel := context.WithTimeout(s.w.ctx, patience)
		defer cancel()
		turn, err := s.w.h.Receive(ctx, handover.Incoming{Conversation: s.conv, ID: u.id, Text: u.text, Payload: u.payload})
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			c.finish("context deadline exceeded")
		case err != nil:
			c.finish("%v", err)
		default:
			locked(s, func(s *subject) int {
				if turn.Bot {
					s.turns = append(s.turns, turnOf{message: u, owners: u.owners, turn: turn})
				}
				return 0
			})
			c.finish("bot: %t", turn.Bot)
		}
	})
}

// coming notes what will happen, or be heard of, after d.
func (s *subject) coming(d time.Duration, inLog bool, do func()) {
	s.model.later = append(s.model.later, coming{s.model.now.Add(d), inLog, do})
	s.need = max(s.need, d.Truncate(time.Second)+2*time.Second)
}

func (s *subject) writes() func() {
	u := s.newMessage("", "")
	s.model.receive(u)
	return s.receives(u, 0)
}

func (s *subject) writesBriefly() func() {
	if !s.down() || !s.model.running() || len(s.model.later) > 0 {
		return nil
	}
	u := s.newMessage("", "")
	s.model.receive(u)
	return s.receives(u, 700*time.Millisecond)
}

func (s *subject) chooses() func() {
	choice := []string{choiceEmail, choiceBot, goodEmail, "no address"}[s.rnd.IntN(4)]
	if s.down() && s.model.state == inBot {
		return nil // the follow-up would have to wait
	}
	u := s.newMessage(choice, choice)
	if choice == goodEmail || choice == "no address" {
		u.payload = ""
	}
	s.model.receive(u)
	return s.receives(u, 0)
}

func (s *subject) userLeaves() func() {
	u := s.newMessage("Leave", choiceLeave)
	s.model.receive(u)
	return s.receives(u, 0)
}

func (s *subject) repeats() func() {
	if len(s.users) == 0 {
		return nil
	}
	u := s.users[max(0, len(s.users)-1-s.rnd.IntN(4))]
	s.model.repeat(u)
	return s.receives(u, 0)
}

// turn is one that the bot got, or that of the session as it is.
func (s *subject) turn(stale int) (t turnOf, ok bool) {
	turns := locked(s, func(s *subject) []turnOf { return s.turns })
	if len(turns) > 0 && s.rnd.IntN(4) > 0 {
		t := turns[max(0, len(turns)-1-s.rnd.IntN(1+stale))]
		return t, true
	}
	view, err := s.w.h.Session(s.w.ctx, s.conv)
	return turnOf{owners: s.model.owners, turn: view.Turn()}, err == nil
}

func (s *subject) answers() func() {
	t, ok := s.turn(6)
	if u := t.message; !ok || u != nil && (u.owners != t.owners || s.down() && !s.model.running()) {
		return nil
	}
	s.log("%s: %s of %d in %s at %d", s.what, t.turn.MessageID, t.owners, s.model.state, s.model.owners)
	may := s.model.reply(t)
	if may && t.message == nil {
		return func() {}
	}
	want := fmt.Sprintf("sent %t, not your turn %t", may, !may)
	return s.call("Reply", func() string { return want }, func(c *modelCall) {
		sent := false
		err := s.w.h.Reply(s.w.ctx, t.turn, func(context.Context) error { sent = true; return nil })
		c.finish("sent %t, not your turn %t", sent, errors.Is(err, handover.ErrNotYourTurn))
	})
}

func (s *subject) starts() func() {
	t, ok := s.turn(2)
	if u := t.message; !ok || u != nil && u.owners != t.owners {
		return nil
	}
	r := modelRequest{presence: handover.Online, email: s.rnd.IntN(2) == 0, timeouts: modelTimeouts}
	if n := s.rnd.IntN(8); n == 0 {
		r.presence = handover.Unknown
	} else if n < 3 {
		r.presence = handover.Away
	}
	over := handover.Timeouts{}
	switch s.rnd.IntN(10) {
	case 0:
		over.Max = 4 * time.Second
	case 1:
		over.Max = 12 * time.Second
	case 2:
		over.Claim = -1
	case 3:
		over.Remind = -1
	case 4:
		over.Idle = -1
	}
	if over.Max != 0 {
		r.timeouts.Max = over.Max
	}
	if over.Claim != 0 {
		r.timeouts.Claim = over.Claim
	}
	if over.Remind != 0 {
		r.timeouts.Remind = over.Remind
	}
	if over.Idle != 0 {
		r.timeouts.Idle = over.Idle
	}
	locked(s, func(s *subject) int { s.presence = r.presence; return 0 })
	s.log("%s: %s of %d, %s, email %t, %+v in %s at %d", s.what, t.turn.MessageID, t.owners, r.presence, r.email, over, s.model.state, s.model.owners)
	outcome := s.model.start(t, r)
	st := s.model.stay
	wants := func() string {
		switch {
		case outcome == "":
			return "not your turn"
		case outcome != handover.Opening:
			return string(outcome)
		case !st.opened.IsZero():
			return string(handover.Opened)
		case !st.ended.IsZero():
			return string(handover.OpenFailed)
		}
		return ""
	}
	q := handover.Request{User: handover.UserData{Nickname: s.id}, Timeouts: over}
	if s.rnd.IntN(4) == 0 {
		q.Note = "note: why"
	}
	if r.email {
		q.User.Email = s.id + "@example.com"
	}
	return s.call("Start", wants, func(c *modelCall) {
		got, err := s.w.h.Start(s.w.ctx, t.turn, q)
		switch {
		case errors.Is(err, handover.ErrNotYourTurn):
			c.finish("not your turn")
		case err != nil:
			c.finish("%v", err)
		default:
			c.finish("%s", got)
		}
	})
}

func (s *subject) mutes() func() {
	t, ok := s.turn(2)
	if u := t.message; !ok || u != nil && u.owners != t.owners {
		return nil
	}
	s.log("%s: of %d in %s at %d", s.what, t.owners, s.model.state, s.model.owners)
	want := fmt.Sprint(s.model.mute(t))
	return s.call("Mute", func() string { return want }, func(c *modelCall) {
		c.finish("%t", s.w.h.Mute(s.w.ctx, t.turn) == nil)
	})
}

func (s *subject) hostEnds() func() {
	o := handover.EndOptions{Reason: handover.EndHostEnded, Resolve: s.rnd.IntN(2) == 0}
	if s.rnd.IntN(3) == 0 {
		o.Reason = handover.EndUserLeft
	}
	s.log("%s: %s in %s", s.what, o.Reason, s.model.state)
	s.model.hostEnds(o.Reason)
	return s.call("End", func() string { return "<nil>" }, func(c *modelCall) {
		c.finish("%v", s.w.h.End(s.w.ctx, s.conv, o))
	})
}

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
	agent, text := s.agent(), s.agentText()
	s.log("%s: %s %q in %s, conversation %d", s.what, agent, text, s.model.state, slices.Index(s.model.crisp, c))
	s.model.visit(s.model.state, evHuman)
	s.model.human(c, agent, text, false, false)
	return func() { conv.Operator(agent).Say(text) }
}

func (s *subject) agentText() string {
	s.said++
	return fmt.Sprint("a", s.said)
}

// agentWritesBadly is a message of an agent with a fault on its way: it arrives all the same.
func (s *subject) agentWritesBadly() func() {
	c, conv := s.talk()
	m, fault := s.model, s.rnd.IntN(5)
	if fault == 2 && m.policy.trustHooks {
		return nil
	}
	if c == nil || len(m.later) > 0 || m.state == inOpening || m.running() && m.stay.crisp != c || !s.calm(5*time.Second) {
		return nil
	}
	agent, text := s.agent(), s.agentText()
	s.log("%s: %s %q in %s, conversation %d, fault %d", s.what, agent, text, m.state, slices.Index(m.crisp, c), fault)
	m.visit(m.state, evHuman)
	switch fault {
	case 0: // the user is away
		locked(s, func(s *subject) int { s.gone[text] = true; return 0 })
		m.human(c, agent, text, false, true)
	case 1: // the hook comes late
		locked(s, func(s *subject) int { s.hookLate = true; return 0 })
		s.coming(hookDelay, true, func() { m.hear(c, agent, text, false, false) })
	case 2: // Crisp's log cannot be read: looks after 1 and 2 more seconds
		locked(s, func(s *subject) int { s.unread = m.now.Add(2500 * time.Millisecond); return 0 })
		m.blind = m.now.Truncate(time.Second).Add(4 * time.Second)
		s.coming(m.blind.Sub(m.now), true, func() { m.hear(c, agent, text, false, false) })
	case 3: // Deliver fails
		locked(s, func(s *subject) int { s.failing = 2; return 0 })
		s.unsettled = true
		s.need = max(s.need, 6*time.Second)
		m.human(c, agent, text, false, false)
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
	if c == nil || m.running() && m.stay.crisp == c || c.mark.IsZero() {
		return nil
	}
	agent, text := s.agent(), s.agentText()
	s.log("%s: %s %q in %s, conversation %d", s.what, agent, text, m.state, slices.Index(m.crisp, c))
	m.visit(m.state, evLate)
	m.human(c, agent, text, true, false)
	return func() { conv.Operator(agent).SayLate(text, time.Since(c.mark)+300*time.Millisecond) }
}

func (s *subject) note() func() {
	c, conv := s.talk()
	if c == nil {
		return nil
	}
	s.model.visit(s.model.state, evNote)
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
	s.model.visit(s.model.state, evOtherBot)
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
	s.model.visit(s.model.state, evEdit)
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
	s.model.visit(s.model.state, evAssigned)
	s.log("%s in %s", s.what, s.model.state)
	s.model.assigned(c)
	return func() { conv.Operator(agent).Assign() }
}

func (s *subject) resolves() func() {
	c, conv := s.talk()
	if c == nil || conv.State() == "resolved" {
		return nil
	}
	s.model.visit(s.model.state, evResolved)
	s.log("%s in %s", s.what, s.model.state)
	s.model.closed(c, handover.EndResolved)
	return func() { conv.Operator("Ann").Resolve() }
}

func (s *subject) reopens() func() {
	c, conv := s.other()
	if c == nil || conv.State() != "resolved" {
		return nil
	}
	s.model.visit(s.model.state, evReopened)
	s.log("%s in %s", s.what, s.model.state)
	return func() { conv.Operator("Ann").Reopen() }
}

func (s *subject) removes() func() {
	c, conv := s.talk()
	if c == nil || s.rnd.IntN(3) > 0 {
		return nil
	}
	s.model.visit(s.model.state, evRemoved)
	s.log("%s in %s", s.what, s.model.state)
	s.model.closed(c, handover.EndRemoved)
	return conv.Remove
}

// blocks blocks the user, and lets them in again when the library has heard of it.
func (s *subject) blocks() func() {
	c, conv := s.talk()
	if c == nil {
		return nil
	}
	s.model.visit(s.model.state, evBlocked)
	s.log("%s in %s", s.what, s.model.state)
	s.model.closed(c, handover.EndBlocked)
	s.after = func() { conv.Block(false) }
	return func() { conv.Block(true) }
}

// repeatsHook brings an old hook again: nothing may come of it.
func (s *subject) repeatsHook() func() {
	bodies := locked(s, func(s *subject) [][]byte { return s.bodies })
	if len(bodies) == 0 {
		return nil
	}
	ev, err := handover.ParseEvent(bodies[s.rnd.IntN(len(bodies))])
	if err != nil {
		return nil
	}
	s.model.visit(s.model.state, evRepeated)
	if ev.Message != nil && ev.Message.From == "user" {
		s.model.visit(s.model.state, evOpened) // the greeting's echo is the sign of an opening
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
	s.model.visit(s.model.state, evDown)
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
	s.model.visit(s.model.state, evDown)
	s.log("%s in %s", s.what, s.model.state)
	s.model.down = time.Time{}
	locked(s, func(s *subject) int { s.refuse = time.Time{}; return 0 })
	return func() {}
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
