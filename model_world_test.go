package handover_test

import (
	"slices"
	"time"

	"github.com/crisphandover/handover"
)

// turnOf is a turn: the message it answers, if any, and how often the owner had changed.
type turnOf struct {
	message *userMessage
	owners  int
	turn    handover.Turn
}

type modelRequest struct {
	presence handover.Presence
	email    bool
	timeouts handover.Timeouts
}

// The user's choices: payloads, which are also the titles.
const (
	choiceEmail, choiceBot, choiceLeave = "Contact me back via email", "Continue with the bot", "handover:leave"
	goodEmail                           = "somebody@example.com"
)

// mute silences the bot. It reports whether the turn allowed it.
func (m *model) mute(t turnOf) bool {
	m.visit(m.state, evMute)
	switch {
	case m.state == handover.StateMuted:
		return true
	case m.state != handover.StateBot || t.owners != m.owners:
		return false
	}
	if t.message != nil && t.message.fate == fateTurn {
		t.message.fate = fateAnswered
	}
	m.muteOwner, m.muted = t.owners, m.now
	m.move(handover.StateMuted, "")
	m.expect(evMax, modelTimeouts.Max)
	return true
}

// unmute ends a mute. What was kept was for a handover that did not come.
func (m *model) unmute() {
	for _, u := range m.kept {
		u.fate = fateAnswered
	}
	m.kept = nil
	m.move(handover.StateBot, "")
}

// reply lets the bot speak. It reports whether it may; the agent gets what it will not answer.
func (m *model) reply(t turnOf) bool {
	m.visit(m.state, evReply)
	if t.owners != m.owners {
		m.visit(m.state, evStale)
	}
	u := t.message
	if m.state == handover.StateBot && t.owners == m.owners {
		if u != nil && u.fate == fateTurn {
			u.fate = fateAnswered
		}
		return true
	}
	if u == nil || u.fate != fateTurn {
		return false
	}
	switch {
	case m.running():
		m.post(u)
	case m.state == handover.StateMuted:
		m.keep(u)
	case m.stay == nil || u.owners == m.owners: // nobody had it meanwhile
	case m.stay.crisp.gone:
		u.fate = fateAnswered
		m.say("not_sent")
	default:
		u.fate = fatePosted
		m.stay.crisp.texts = append(m.stay.crisp.texts, u.text)
		m.stay.crisp.last = m.now
	}
	return false
}

// hostEnds gives the conversation back to the bot, whatever there is.
func (m *model) hostEnds(reason handover.EndReason) {
	if reason == handover.EndUserLeft {
		m.visit(m.state, evUserLeft)
	} else {
		m.visit(m.state, evEnd)
	}
	switch {
	case m.running():
		m.end(reason)
		return
	case m.state == handover.StateMuted:
		m.unmute()
	}
	m.offer, m.follow = nil, nil
}

// human is a message of a person in Crisp. late: written before the last end in that conversation.
// away: the channel says that the user is gone.
func (m *model) human(c *modelCrisp, agent, text string, late, away bool) {
	if !late {
		c.last = m.now
	}
	m.hear(c, agent, text, late, away)
}

// hear is human once the library looks.
func (m *model) hear(c *modelCrisp, agent, text string, late, away bool) {
	if m.state == handover.StateOpening {
		at := m.now
		m.held = append(m.held, func() { m.hear(c, agent, text, late || at.Before(c.closed), away) })
		return
	}
	line := "agent " + agent + ": " + text
	if late {
		line = "agent " + agent + " (late): " + text
	}
	follow := m.follow != nil && m.follow.crisp == c
	switch {
	case late || m.running() && m.stay.crisp != c || follow && away:
	case m.running():
		if m.state == handover.StateWaiting {
			m.move(handover.StateActive, "")
		}
		m.joined(agent)
	default:
		m.takeOver(c)
		if follow { // shown first: that it is shown is what takes over
			m.lines = append(m.lines, line)
			m.joined(agent)
			return
		}
		m.joined(agent)
	}
	if !away {
		m.lines = append(m.lines, line)
	} else if !c.email { // else Crisp mails it
		m.away = append(m.away, "agent "+agent+" (late): "+text)
	}
}

// takeOver begins a handover that an agent started.
func (m *model) takeOver(c *modelCrisp) {
	st := &modelStay{crisp: c, timeouts: modelTimeouts, asked: m.now, opened: m.now}
	if m.stay != nil {
		st.email, st.timeouts = m.stay.email, m.stay.timeouts
	}
	m.stay, m.offer, m.follow = st, nil, nil
	m.move(handover.StateActive, "")
	m.expect(evMax, st.timeouts.Max)
	for _, u := range m.kept {
		m.post(u)
	}
	m.kept = nil
}

// joined notes who writes; the user is told when that is somebody else than before.
func (m *model) joined(agent string) {
	m.spoken()
	st := m.stay
	n := len(st.agents)
	if n > 0 && st.agents[n-1] == agent {
		return
	}
	if n == 0 {
		m.say("joined " + agent)
	} else {
		m.say("transferred " + agent)
	}
	st.agents = slices.DeleteFunc(st.agents, func(a string) bool { return a == agent })
	st.agents = append(st.agents, agent)
}

// assigned is an assignment by a rule or an agent: no human sign, unless the host wants it so.
func (m *model) assigned(c *modelCrisp) {
	if m.state == handover.StateOpening {
		m.held = append(m.held, func() { m.assigned(c) })
		return
	}
	if m.policy.claimOnAssign && m.state == handover.StateWaiting && m.stay.crisp == c {
		m.move(handover.StateActive, "")
		m.spoken()
	}
}

// otherBot is an automated message: never shown, no human sign; who waits is shown the way out.
func (m *model) otherBot(c *modelCrisp) {
	if m.state == handover.StateOpening {
		m.held = append(m.held, func() { m.otherBot(c) })
		return
	}
	if m.state == handover.StateWaiting && m.stay.crisp == c && !m.stay.otherBot {
		m.stay.otherBot = true
		m.say("still_waiting")
	}
}

// closed is an end that Crisp tells of.
func (m *model) closed(c *modelCrisp, reason handover.EndReason) {
	if m.state == handover.StateOpening && reason == handover.EndResolved {
		at := m.now
		m.held = append(m.held, func() {
			if c.greeted.Before(at) { // else it is older than the opening
				m.closed(c, reason)
			}
		})
		return
	}
	if reason == handover.EndRemoved {
		c.gone = true
	}
	if m.follow != nil && m.follow.crisp == c {
		m.follow = nil
	}
	running := m.running() && m.stay.crisp == c
	if running && (m.state != handover.StateOpening || reason == handover.EndBlocked) {
		c.closed = m.now
		m.end(reason)
	}
	// While the handover opens, a removal shows when the next step fails.
}

// pass lets time go by until to.
func (m *model) pass(to time.Time) {
	for m.unclear == "" {
		tick := m.now.Truncate(time.Second).Add(time.Second)
		next := tick
		for _, e := range m.later {
			if e.at.Before(next) {
				next = e.at
			}
		}
		if next.After(to) {
			break
		}
		m.now = next
		m.arrive()
		if next.Equal(tick) {
			m.tick()
		}
	}
	m.now = to
}

// arrive lets happen what was to come by now.
func (m *model) arrive() {
	all := m.later
	m.later = nil
	for _, e := range all {
		if e.at.After(m.now) {
			m.later = append(m.later, e)
		} else {
			e.do()
		}
	}
}

// tick is a look of Run's.
func (m *model) tick() {
	m.instants = slices.DeleteFunc(m.instants, func(i instant) bool {
		if i.at.After(m.now) {
			return false
		}
		m.visit(m.state, i.name)
		return true
	})
	retry := m.running() && !m.stay.next.IsZero() && !m.stay.next.After(m.now)
	if retry && len(m.due()) > 0 {
		m.unclear = "a retry and a deadline at once"
		return
	}
	m.pump()
	for range 10 {
		due := m.due()
		ends := 0
		for _, d := range due {
			if d.ends {
				ends++
			}
		}
		switch {
		case len(due) == 0:
			return
		case ends > 1:
			m.unclear = "two ends at once"
			return
		case !due[0].blind && m.look():
			continue // what is in the log comes first
		}
		m.notes = append(m.notes, due[0].name)
		due[0].fire()
	}
	m.unclear = "deadlines that never end"
}

// look hears of what is in Crisp's log, and reports whether there was anything.
func (m *model) look() (news bool) {
	for i := range m.later {
		if m.later[i].inLog {
			m.later[i].at, news = m.now, true
		}
	}
	m.arrive()
	return news
}

// modelDeadline is a deadline that is due.
type modelDeadline struct {
	name  string
	blind bool // does not wait for the news
	ends  bool
	fire  func()
}

// due returns the deadlines of the state that are due.
func (m *model) due() (all []modelDeadline) {
	add := func(name string, at time.Time, blind, ends bool, fire func()) {
		if !at.After(m.now) && (blind || !m.now.Before(m.blind)) {
			all = append(all, modelDeadline{name, blind, ends, fire})
		}
	}
	after := func(from time.Time, t time.Duration) time.Time {
		if t <= 0 || from.IsZero() {
			return m.now.Add(time.Hour)
		}
		return from.Add(t)
	}
	over := func(reason handover.EndReason) func() { return func() { m.end(reason) } }
	if m.offer != nil {
		add(evOfferOver, m.offer.expires, true, false, func() { m.offer = nil })
	}
	if m.follow != nil {
		add(evFollowOver, m.follow.expires, false, false, func() { m.follow = nil })
	}
	if m.state == handover.StateMuted {
		add(evMax, after(m.muted, modelTimeouts.Max), true, true, m.unmute)
	}
	if !m.running() {
		return all
	}
	st := m.stay
	switch m.state {
	case handover.StateOpening:
		add(evOpenFails, after(st.asked, modelTimeouts.Open), true, true, over(handover.EndOpenFailed))
	case handover.StateWaiting:
		add(evClaim, after(st.opened, st.timeouts.Claim), false, true, over(handover.EndClaimTimeout))
		last := st.opened
		if st.reminded.After(last) {
			last = st.reminded
		}
		add(evRemind, after(last, st.timeouts.Remind), false, false, func() {
			st.reminded = m.now
			m.say("still_waiting")
		})
	case handover.StateActive:
		if st.askedIdle.Before(st.lastWord) {
			add(evQuiet, after(st.lastWord, st.timeouts.Idle), false, false, func() {
				st.askedIdle = m.now
				m.say("still_there")
			})
		} else {
			add(evIdle, after(st.askedIdle, st.timeouts.Idle/2), false, true, over(handover.EndIdle))
		}
	}
	if m.state != handover.StateOpening {
		add(evRelay, after(st.since, modelTimeouts.Relay), true, true, over(handover.EndRelayFailed))
	}
	add(evMax, after(st.asked, st.timeouts.Max), true, true, over(handover.EndMaxAge))
	return all
}
