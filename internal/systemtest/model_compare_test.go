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
)

// compare holds what was seen since the last time against the invariants, and against the model
// unless that has given the conversation up.
func (s *subject) compare() error {
	m := s.model
	s.mu.Lock()
	lines, moves, ends := s.lines, s.moves, s.ends
	s.lines, s.moves = nil, nil
	s.mu.Unlock()
	defer func() { m.lines, m.moves, m.due = nil, nil, nil }()
	if len(m.due) > 0 {
		s.log("  due: %s", strings.Join(m.due, ", "))
	}
	if len(m.moves)+len(moves) > 0 {
		s.log("  %s", strings.Join(m.moves, "; "))
	}
	view, news, err := s.look()
	if err != nil {
		return err
	}
	if m.unclear == "" {
		err = errors.Join(s.compareSeen(lines, moves), s.compareSession(view), s.compareEnds(ends), s.compareCalls(), s.compareCrisp())
	}
	return errors.Join(err, s.invariants(lines, moves, ends, view, news))
}

// look is what hosts see of the conversation, and whether it was stored anew since the last look: all that
// they see is in its record.
func (s *subject) look() (view handover.Session, news bool, err error) {
	r, err := s.w.store.Load(s.w.ctx, s.conv.WebsiteID+"/"+s.conv.Source+"/"+s.conv.ID)
	if err != nil || r.Version != 0 && r.Version == s.seen {
		return s.view, false, err
	}
	s.seen = r.Version
	s.view, err = s.w.h.Session(s.w.ctx, s.conv)
	return s.view, true, err
}

// compareSeen holds what the user and the observer saw against the model.
func (s *subject) compareSeen(lines []string, moves []handover.Activity) error {
	var went []string
	for _, a := range moves {
		went = append(went, fmt.Sprint(a.From, " > ", a.To, " ", a.Reason))
	}
	switch {
	case !slices.Equal(went, s.model.moves):
		return s.bad("moved %q, want %q, and the user saw %q, want %q", went, s.model.moves, lines, s.model.lines)
	case !slices.Equal(order(lines), order(s.model.lines)):
		return s.bad("the user saw %q, want %q", lines, s.model.lines)
	}
	return nil
}

// order puts lines into an order that does not depend on when the user is told that a message
// could not be sent: nobody promises that.
func order(lines []string) []string {
	if slices.Contains(lines, "system: not_sent") {
		return slices.Sorted(slices.Values(lines))
	}
	return lines
}

// compareSession holds what hosts see of the conversation against the model.
func (s *subject) compareSession(view handover.Session) error {
	m := s.model
	switch {
	case view.State != m.state:
		return s.bad("is %s, want %s", view.State, m.state)
	case view.Offer != (m.offer != nil) || view.FollowUp != (m.follow != nil):
		return s.bad("offer %t, follow-up %t; want %t, %t", view.Offer, view.FollowUp, m.offer != nil, m.follow != nil)
	}
	return nil
}

// compareEnds checks that OnEnd was told of each end in order and in full. Where it failed it is
// told a little later.
func (s *subject) compareEnds(ends []handover.Summary) error {
	for i, e := range ends {
		if i >= len(s.model.ends) {
			return s.bad("OnEnd: an end too many: %s", e.Reason)
		}
		want := s.model.ends[i]
		var agents []string
		for _, a := range e.Agents {
			agents = append(agents, a.Name)
		}
		if e.Reason != want.reason || !slices.Equal(agents, want.agents) || !slices.Equal(e.Unsent, want.unsent) || e.HumanReplied != (len(agents) > 0) {
			return s.bad("OnEnd: %s, agents %q, unsent %q; want %s, %q, %q", e.Reason, agents, e.Unsent, want.reason, want.agents, want.unsent)
		}
	}
	for _, e := range s.model.ends[len(ends):] {
		if e.at.Add(5 * time.Second).Before(time.Now()) {
			return s.bad("OnEnd was not told of the end %s", e.reason)
		}
	}
	return nil
}

// compareCalls checks that the calls that should be over are, with the right result, and no others.
func (s *subject) compareCalls() error {
	var open []*modelCall
	for _, c := range s.calls {
		c.mu.Lock()
		over, said := c.over, c.said
		c.mu.Unlock()
		want := c.wants()
		if !over {
			said = ""
			open = append(open, c)
		}
		if said != want {
			return s.bad("%s: says %q, want %q", c.what, said, want)
		}
	}
	s.calls = open
	return nil
}

// compareCrisp checks that Crisp has each message of the user and each note for the agents that it
// should have, once and in order.
func (s *subject) compareCrisp() error {
	crisp := locked(s, func(s *subject) []*handovertest.Conversation { return s.crisp })
	if len(crisp) != len(s.model.crisp) {
		return s.bad("%d conversations in Crisp, want %d", len(crisp), len(s.model.crisp))
	}
	for i, c := range s.model.crisp {
		var texts, notes []string
		for _, m := range crisp[i].Messages() {
			switch text := m.Text(); {
			case m.From == "user":
				texts = append(texts, text)
			case text == noteLeft || text == noteNobodyCame || text == noteWhy:
				notes = append(notes, text)
			}
		}
		switch {
		case !slices.Equal(texts, c.texts):
			return s.bad("Crisp has %q, want %q in conversation %d", texts, c.texts, i)
		case !slices.Equal(notes, c.notes):
			return s.bad("the agents have the notes %q, want %q in conversation %d", notes, c.notes, i)
		}
	}
	return nil
}

// watched is what is known of a conversation without any model.
type watched struct {
	state    handover.State
	handover string // the one that runs
	epoch    int64
	reasons  map[string]handover.EndReason // of the handovers that ended
	told     int                           // of them, by OnEnd
	newest   map[int]int                   // agents' newest message shown, by conversation in Crisp
}

func newWatched() watched {
	return watched{state: handover.StateBot, reasons: make(map[string]handover.EndReason), newest: make(map[int]int)}
}

// invariants are those of peers.md section 7, as far as design.md section 5 keeps them. They need
// no model, and are checked of every conversation after every step:
//
//   - the bot speaks in the state bot and in no other: speaks;
//   - a handover has one end and one un-mute, with a reason, and nothing else has a reason: move;
//   - at most one handover of a conversation runs: move;
//   - OnEnd is told of each end once: here, and in finish that it was told of all;
//   - no agent's message is shown twice (deliver marks it) or out of order, no note and nothing
//     of another bot is shown: line;
//   - a message of the user that Receive took is delivered or reported: compareCalls and
//     compareCrisp for those of which the model knows what becomes of them, and finish, where no
//     Receive may still wait;
//   - the epoch rises with each change of the owner, and with nothing else: here;
//   - no conversation stays muted: finish.
func (s *subject) invariants(lines []string, moves []handover.Activity, ends []handover.Summary, view handover.Session, news bool) error {
	w := &s.watched
	epoch, owner := w.epoch, ownerOf(w.state)
	changed := false
	for _, a := range moves {
		if err := s.move(a); err != nil {
			return err
		}
		changed = changed || ownerOf(a.To) != owner
	}
	for _, l := range lines {
		if err := s.line(l); err != nil {
			return err
		}
	}
	for _, e := range ends[w.told:] {
		if reason, over := w.reasons[e.HandoverID]; !over || reason != e.Reason {
			return s.bad("OnEnd: the end %s of a handover that ended with %q", e.Reason, reason)
		}
		if slices.ContainsFunc(ends[:w.told], func(x handover.Summary) bool { return x.HandoverID == e.HandoverID }) {
			return s.bad("OnEnd succeeded twice for one handover")
		}
		w.told++
	}
	w.epoch = view.Epoch
	switch {
	case view.State != w.state:
		return s.bad("is %s, and was last seen to move to %s", view.State, w.state)
	case epoch != 0 && (view.Epoch < epoch || (view.Epoch > epoch) != changed):
		return s.bad("epoch %d after %d, owner changed: %t", view.Epoch, epoch, changed)
	}
	return s.speaks(view, news)
}

// ownerOf says who speaks in a state.
func ownerOf(state handover.State) string {
	switch state {
	case handover.StateBot, handover.StateMuted:
		return string(state)
	}
	return "human"
}

// move is one change of the state.
func (s *subject) move(a handover.Activity) error {
	w := &s.watched
	was, is := ownerOf(a.From) == "human", ownerOf(a.To) == "human"
	_, over := w.reasons[a.HandoverID]
	switch {
	case a.From != w.state:
		return s.bad("%s > %s, but it was %s", a.From, a.To, w.state)
	case (was && !is) != (a.Reason != ""):
		return s.bad("%s > %s with the reason %q", a.From, a.To, a.Reason)
	case (was || is) && (a.HandoverID == "" || over), was && a.HandoverID != w.handover:
		return s.bad("%s > %s of the handover %q, ended: %t; %q runs", a.From, a.To, a.HandoverID, over, w.handover)
	case is:
		w.handover = a.HandoverID
	case was:
		w.reasons[a.HandoverID], w.handover = a.Reason, ""
	}
	w.state = a.To
	return nil
}

// line is something that the user sees.
func (s *subject) line(l string) error {
	if strings.Contains(l, "note") || strings.Contains(l, "robot") || strings.Contains(l, "twice") {
		return s.bad("shown: %q", l)
	}
	who, text, _ := strings.Cut(l, ": ")
	var n, conversation int
	if _, err := fmt.Sscanf(text, "a%d in %d", &n, &conversation); err != nil || strings.HasSuffix(who, "(late)") {
		return nil
	}
	if n <= s.watched.newest[conversation] {
		return s.bad("shown out of order: %q", l)
	}
	s.watched.newest[conversation] = n
	return nil
}

// speaks lets the bot try to speak. Where it may that is written down, which could hide that
// something else was not: so not at each step. Where it may not, nothing but a change of the record lets it.
func (s *subject) speaks(view handover.Session, news bool) error {
	if view.State == handover.StateBot && s.rnd.IntN(4) > 0 || view.State != handover.StateBot && !news {
		return nil
	}
	spoke := false
	err := s.w.h.Reply(s.w.ctx, view.Turn(), func(context.Context) error { spoke = true; return nil })
	if want := view.State == handover.StateBot; spoke != want || errors.Is(err, handover.ErrNotYourTurn) == want {
		return s.bad("in %s the bot spoke: %t, %v", view.State, spoke, err)
	}
	return nil
}

// finish checks that nothing is left open when all is well again and every deadline has passed.
func (s *subject) finish() error {
	w := &s.watched
	for _, c := range s.calls {
		c.mu.Lock()
		over := c.over
		c.mu.Unlock()
		if !over {
			return s.bad("%s never returns", c.what)
		}
	}
	switch {
	case w.state != handover.StateBot:
		return s.bad("stays %s", w.state)
	case w.told != len(w.reasons):
		return s.bad("OnEnd was told of %d ends of %d", w.told, len(w.reasons))
	}
	return nil
}
