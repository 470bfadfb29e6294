package systemtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// operation is something that the user, the host, an agent or a fault does to one conversation. do
// tells the model and returns what to do to the library; nil when it makes no sense now.
type operation struct {
	by     doer
	name   string
	weight weights // 0: weight 1
	do     func(*subject) func()
}

// doer is whose operation it is.
type doer string

const (
	byUser, byHost, byAgent, byFault doer = "user", "host", "agent", "fault"
)

const (
	inBot, inMuted, inOpening = handover.StateBot, handover.StateMuted, handover.StateOpening
	inWaiting, inActive       = handover.StateWaiting, handover.StateActive
	forever                   = 1000 * time.Hour
)

type weights = map[handover.State]int

// operations are all that can happen, besides time.
var operations = []operation{
	{byUser, "the user writes", weights{inBot: 6, inMuted: 8, inOpening: 6, inWaiting: 6, inActive: 8}, (*subject).writes},
	{byUser, "the user chooses", weights{inBot: 8, inMuted: 2, inWaiting: 2, inActive: 2}, (*subject).chooses},
	{byUser, "the user leaves", weights{inOpening: 3}, (*subject).userLeaves},
	{byUser, "the channel repeats a message", weights{inOpening: 4, inBot: 2}, (*subject).repeats},
	{byUser, "the user writes and the channel does not wait", weights{inWaiting: 2, inActive: 2, inOpening: 3}, (*subject).writesBriefly},
	{byHost, "the bot answers", weights{inBot: 8, inActive: 3, inWaiting: 3}, (*subject).answers},
	{byHost, "the host starts", weights{inBot: 16, inMuted: 6, inOpening: 4, inWaiting: 2, inActive: 2}, (*subject).starts},
	{byHost, "the host mutes", weights{inBot: 5, inMuted: 2}, (*subject).mutes},
	{byHost, "the host ends", weights{inMuted: 4, inOpening: 2, inActive: 2}, (*subject).hostEnds},
	{byAgent, "an agent writes", weights{inBot: 3, inOpening: 4, inWaiting: 8, inActive: 12, inMuted: 2}, (*subject).agentWrites},
	{byAgent, "an agent writes a note", weights{inActive: 2, inOpening: 3}, (*subject).note},
	{byAgent, "an agent edits or removes", weights{inActive: 2, inOpening: 2}, (*subject).edits},
	{byAgent, "an agent is assigned", weights{inOpening: 3, inWaiting: 4}, (*subject).assigns},
	{byAgent, "an agent resolves", weights{inOpening: 3, inActive: 4}, (*subject).resolves},
	{byAgent, "an agent reopens", weights{inBot: 2, inOpening: 3, inWaiting: 3}, (*subject).reopens},
	{byAgent, "another bot writes", weights{inOpening: 3}, (*subject).otherBot},
	{byAgent, "Crisp removes the conversation", weights{inOpening: 6}, (*subject).removes},
	{byAgent, "Crisp blocks the user", weights{inOpening: 8, inWaiting: 2}, (*subject).blocks},
	{byFault, "an agent writes, with a fault", weights{inWaiting: 2, inActive: 4}, (*subject).agentWritesBadly},
	{byFault, "an agent wrote before the end", weights{inBot: 2, inOpening: 4, inWaiting: 4, inActive: 4}, (*subject).agentWroteBefore},
	{byFault, "a hook is repeated", weights{inBot: 2, inMuted: 2, inOpening: 2}, (*subject).repeatsHook},
	{byFault, "Crisp refuses messages", weights{inBot: 8, inMuted: 3, inWaiting: 4, inActive: 2}, (*subject).refuses},
	{byFault, "Crisp is well again", weights{inOpening: 4, inWaiting: 2, inActive: 2}, (*subject).heals},
	{byFault, "an answer of Crisp is lost", weights{inActive: 3, inWaiting: 3}, (*subject).losesAnswer},
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
				s.w.ops[o.by]++
				return do
			}
			break
		}
	}
}

// down reports whether Crisp refuses the user's messages now.
func (s *subject) down() bool { return s.model.now.Before(s.model.down) }

func (s *subject) newMessage(text, payload string) *userMessage {
	u := &userMessage{n: len(s.users), id: fmt.Sprint("m", len(s.users)), text: text, payload: payload}
	if text == "" {
		u.text = fmt.Sprint("words ", len(s.users))
		if len(s.users)%8 == 5 && s.w.suffers(parts) {
			u.text = long(u.text)
		}
	}
	s.users = append(s.users, u)
	return u
}

// long is a text of three paragraphs, each of which is a part of its own: no two fit in a message.
func long(text string) string {
	more := strings.Repeat("-", 1500)
	return text + more + "\n\nmore of " + text + more + "\n\nthe rest of " + text + more
}

// partsOf are the parts of a text, each as long as a message may be.
func partsOf(text string) []string { return strings.Split(text, "\n\n") }

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
	var at time.Time
	if u.n%7 == 1 && s.w.suffers(oddUserTimes) {
		at = time.Date(oddYears[u.n/7%len(oddYears)], 2, 3, 4, 5, 6, 7, time.UTC)
	}
	return s.call("Receive "+u.id, wants, func(c *modelCall) {
		ctx, cancel := context.WithTimeout(s.w.ctx, patience)
		defer cancel()
		turn, err := s.w.h.Receive(ctx, handover.Incoming{Conversation: s.conv, ID: u.id, Text: u.text, Payload: u.payload, At: at})
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
	if s.model.state == inBot && (s.down() || s.model.offer == nil && s.rnd.IntN(2) == 0) {
		return nil // the follow-up would have to wait, or there is nothing to choose
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
	if u.fate == fateTurn && u.given.After(s.model.now.Add(-time.Second)) || u.fate == fatePosting && !u.left {
		return nil // somebody has it, or waits for it: what the repeat waits for is told by receipt_test.go
	}
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
	if u := t.message; !ok || u != nil && u.owners != t.owners {
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

// request is what the host asks for. over is what it overrides of the timeouts.
func (s *subject) request() (r modelRequest, over handover.Timeouts) {
	r = modelRequest{presence: handover.PresenceOnline, email: s.rnd.IntN(2) == 0, timeouts: modelTimeouts}
	if n := s.rnd.IntN(8); n == 0 {
		r.presence = handover.PresenceUnknown
	} else if n < 3 {
		r.presence = handover.PresenceAway
	}
	if s.rnd.IntN(4) == 0 {
		r.note = noteWhy
	}
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
	return r, over
}

func (s *subject) starts() func() {
	t, ok := s.turn(2)
	if u := t.message; !ok || u != nil && u.owners != t.owners {
		return nil
	}
	r, over := s.request()
	locked(s, func(s *subject) int { s.presence = r.presence; return 0 })
	s.log("%s: %s of %d, %s, email %t, %+v in %s at %d", s.what, t.turn.MessageID, t.owners, r.presence, r.email, over, s.model.state, s.model.owners)
	r.adopt = s.rnd.IntN(6) == 0 && s.w.hard[adoptions]
	outcome := s.model.start(t, r)
	st := s.model.stay
	wants := func() string {
		switch {
		case outcome == "":
			return "not your turn"
		case outcome != handover.OutcomeOpening:
			return string(outcome)
		case !st.opened.IsZero():
			return string(handover.OutcomeOpened)
		case !st.ended.IsZero():
			return string(handover.OutcomeOpenFailed)
		}
		return ""
	}
	q := handover.Request{User: handover.UserData{Nickname: s.id}, Timeouts: over, Note: r.note}
	if r.email {
		q.User.Email = s.id + "@example.com"
	}
	if r.adopt && outcome == handover.OutcomeOpening {
		s.w.suffers(adoptions)
		conv := s.w.crisp.OpenAt(s.conv.WebsiteID, s.id)
		conv.Operator("Ann").Say("note: of before")
		q.CrispID = conv.ID()
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
	o := handover.EndOptions{Resolve: s.rnd.IntN(2) == 0, UserLeft: s.rnd.IntN(3) == 0}
	event := evEnd
	if o.UserLeft {
		event = evUserLeft
	}
	s.log("%s: %s in %s", s.what, event, s.model.state)
	if st := s.model.stay; s.model.running() && !st.crisp.gone && (o.Resolve || s.model.state == inOpening && !st.crisp.adopted) {
		s.resolved(st.crisp)
		st.crisp.closed = true
	}
	s.model.hostEnds(event)
	return s.call("End", func() string { return "<nil>" }, func(c *modelCall) {
		c.finish("%v", s.w.h.End(s.w.ctx, s.conv, o))
	})
}
