package systemtest

import (
	"slices"

	"github.com/crisphandover/handover"
)

// receive is a message of the user: a turn for the bot, kept while nobody is to answer, else
// passed on to the agents.
func (m *model) receive(u *userMessage) {
	m.visit(evUser)
	switch u.payload {
	case choiceEmail:
		m.visit(evEmail)
	case choiceBot:
		m.visit(evBot)
	case choiceLeave:
		m.visit(evUserLeft)
	}
	m.back()
	switch m.state {
	case handover.StateBot:
		u.fate, u.owners, u.given = fateTurn, m.owners, m.now.Add(hold)
		if m.offer != nil && m.choose(u) {
			u.fate = fateTaken
		}
	case handover.StateMuted:
		m.keep(u)
	default:
		m.asked()
		if u.payload == choiceLeave {
			u.fate = fateTaken
			m.end(evUserLeft)
			return
		}
		m.post(u)
	}
}

// keep keeps a message, in the order in which the user wrote, for a handover that may come.
func (m *model) keep(u *userMessage) {
	u.fate = fateKept
	m.kept = append(m.kept, u)
	slices.SortFunc(m.kept, func(a, b *userMessage) int { return a.n - b.n })
}

// passKept gives a handover that begins the messages that were kept.
func (m *model) passKept() {
	for _, u := range m.kept {
		u.left = true // nobody waits for it any more
		m.post(u)
	}
	m.kept = nil
}

// repeat is a message that the channel brings again.
func (m *model) repeat(u *userMessage) {
	m.visit(evRepeatedMessage)
	m.back()
	u.left = false
	if u.fate == fateTurn {
		u.given = m.now.Add(hold)
	}
}

// back is a sign of the user: what agents wrote meanwhile is shown.
func (m *model) back() {
	m.lines = append(m.lines, m.away...)
	m.away = nil
}

// choose takes an answer to the offer; anything else ends it.
func (m *model) choose(u *userMessage) bool {
	o := m.offer
	switch {
	case u.payload == choiceBot:
		m.offer = nil
		m.say("with_bot")
	case u.payload == choiceEmail && o.email, o.asking && u.payload == "" && u.text == goodEmail:
		m.offer = nil
		m.openFollow(o.note)
	case u.payload == choiceEmail:
		o.asking = true
		m.say("ask_email")
	case o.asking && !o.missed:
		o.missed = true
		m.say("bad_email")
	default:
		m.offer = nil
		return false
	}
	return true
}

// start asks for a human. It returns the outcome, "" for a turn that does not hold.
func (m *model) start(t turnOf, r modelRequest) handover.Outcome {
	there := r.presence == handover.PresenceOnline || r.presence == handover.PresenceUnknown && !m.policy.refuseUnknown
	if there {
		m.visit(evStart)
	} else {
		m.visit(evNobody)
	}
	holds := t.owners == m.owners || m.state == handover.StateMuted && t.owners == m.muteOwner
	switch {
	case !holds:
		m.visit(evStale)
	case t.message != nil && (t.message.fate == fateTurn || t.message.fate == fateKept):
		t.message.fate = fateAnswered
		m.kept = slices.DeleteFunc(m.kept, func(u *userMessage) bool { return u == t.message })
	}
	switch {
	case m.running():
		m.passOn(t.message)
		return handover.OutcomeAlreadyOpen
	case !holds:
		m.passOn(t.message)
		return ""
	case m.stay != nil && m.stay.reason == handover.EndClaimTimeout && m.stay.ended.Add(modelTimeouts.CoolDown).After(m.now):
		m.say("too_soon")
		return handover.OutcomeTooSoon
	case !there:
		if m.state == handover.StateMuted {
			m.fire(evNobody)
		}
		m.makeOffer(r.email, r.note)
		return handover.OutcomeNobodyThere
	}
	m.stay = &modelStay{email: r.email, note: r.note, timeouts: r.timeouts, asked: m.now}
	m.offer = nil
	m.dropFollow()
	if r.adopt {
		m.crisp = append(m.crisp, &modelCrisp{adopted: true, last: m.now})
		m.stay.crisp = m.crisp[len(m.crisp)-1]
	} else {
		m.stay.crisp = m.conversation()
	}
	m.stay.crisp.email = m.stay.crisp.email || r.email
	m.fire(evStart)
	m.stay.owners = m.owners
	m.expect(evOpenFails, modelTimeouts.Open)
	m.expect(evMax, r.timeouts.Max)
	m.stay.queue, m.kept = m.kept, nil
	for _, u := range m.stay.queue {
		u.fate, u.left = fatePosting, true
	}
	m.pump()
	return handover.OutcomeOpening
}

// mute silences the bot. It reports whether the turn allowed it.
func (m *model) mute(t turnOf) bool {
	m.visit(evMute)
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
	m.fire(evMute)
	m.expect(evMax, modelTimeouts.Max)
	return true
}

// unmute ends a mute. What was kept was for a handover that did not come.
func (m *model) unmute(event string) {
	for _, u := range m.kept {
		u.fate = fateAnswered
	}
	m.kept = nil
	m.fire(event)
}

// reply lets the bot speak. It reports whether it may; the agent gets what it will not answer.
func (m *model) reply(t turnOf) bool {
	m.visit(evReply)
	if t.owners != m.owners {
		m.visit(evStale)
	}
	u := t.message
	if m.state == handover.StateBot && t.owners == m.owners {
		if u != nil && u.fate == fateTurn {
			u.fate = fateAnswered
		}
		return true
	}
	m.passOn(u)
	return false
}

// passOn gives the agents a message that the bot will not answer.
func (m *model) passOn(u *userMessage) {
	if u == nil || u.fate != fateTurn {
		return
	}
	switch {
	case m.running():
		u.left = true
		m.post(u)
	case m.state == handover.StateMuted:
		m.keep(u)
	case u.owners == m.owners: // a newer turn for it holds
	case m.stay == nil || m.stay.opened.IsZero() || u.owners >= m.stay.owners || m.stay.crisp.gone: // no human had it meanwhile
		u.fate = fateAnswered
		m.say("not_sent")
	case m.now.Before(m.down): // nor does Crisp take it: it is the bot's again
		u.owners, u.left = m.owners, true
		m.say("not_sent")
	default:
		u.fate = fatePosted
		m.stay.crisp.failed = 0
		m.stay.crisp.texts = append(m.stay.crisp.texts, partsOf(u.text)...)
		m.stay.crisp.last, m.stay.crisp.closed = m.now, false
	}
}

// dropFollow ends a follow-up. Its conversation is gone on with soon after, as that of a handover is.
func (m *model) dropFollow() {
	if m.follow != nil {
		m.follow.crisp.ended, m.follow = m.now, nil
	}
}

// hostEnds gives the conversation back to the bot, whatever there is. event is evEnd or evUserLeft.
func (m *model) hostEnds(event string) {
	m.visit(event)
	switch {
	case m.running():
		m.end(event)
		return
	case m.state == handover.StateMuted:
		m.unmute(event)
	}
	m.offer = nil
	m.dropFollow()
}

// human is a message of a person in Crisp. late: written before the last end in that conversation.
// away: the channel says that the user is gone.
func (m *model) human(c *modelCrisp, agent, text string, late, away bool) {
	if !late {
		c.last = m.now
	}
	m.hear(c, agent, text, late, away)
}

// hear is human once the library looks. Whoever writes takes over, unless the message is older than
// the end, or another handover runs; after a follow-up only if the message was shown.
func (m *model) hear(c *modelCrisp, agent, text string, late, away bool) {
	if m.state == handover.StateOpening {
		at := m.now // it may be older than our opening message, too
		m.held = append(m.held, func() {
			m.hear(c, agent, text, late || at.Before(c.before) || !c.made && at.Before(c.greeted), away)
		})
		return
	}
	late = late || c.gone // nobody takes over where the conversation is gone
	var lines, kept []string
	for _, part := range partsOf(text) {
		line := "agent " + agent + ": " + part
		kept = append(kept, "agent "+agent+" (late): "+part)
		if late {
			line = kept[len(kept)-1]
		}
		lines = append(lines, line)
	}
	follow := m.follow != nil && m.follow.crisp == c
	switch {
	case late || m.running() && m.stay.crisp != c || follow && away || !m.running() && c.closed:
	case m.running():
		if m.state == handover.StateWaiting {
			m.fire(evHuman)
		}
		m.joined(agent)
	default:
		m.takeOver(c)
		m.joined(agent)
	}
	if !away {
		m.lines = append(m.lines, lines...)
	} else if !c.email { // else Crisp mails it
		m.away = append(m.away, kept...)
	}
}

// takeOver begins a handover that an agent started.
func (m *model) takeOver(c *modelCrisp) {
	st := &modelStay{crisp: c, timeouts: modelTimeouts, asked: m.now, opened: m.now}
	if m.stay != nil {
		st.email, st.timeouts = m.stay.email, m.stay.timeouts
	}
	m.stay, m.offer = st, nil
	m.dropFollow()
	m.fire(evHuman)
	st.owners = m.owners
	m.expect(evMax, st.timeouts.Max)
	m.passKept()
}

// joined notes who writes; the user is told when that is somebody else than before.
func (m *model) joined(agent string) {
	m.spoken()
	st := m.stay
	st.unanswered = false
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

// asked notes that the user wrote. Of several messages to an agent who keeps silent the first one
// counts, until the user was asked whether they are there.
func (m *model) asked() {
	if st := m.stay; !st.unanswered || !st.askedIdle.Before(st.lastWord) {
		m.spoken()
		st.unanswered = true
	}
}

// spoken notes that one of both sides wrote.
func (m *model) spoken() {
	m.stay.lastWord = m.now
	if t := m.stay.timeouts.Idle; t > 0 {
		m.expect(evQuiet, t)
		m.expect(evIdle, t+t/2)
	}
}

// assigned is an assignment by a rule or an agent: no human sign, unless the host wants it so. One
// that is older than the opening message is of before the handover.
func (m *model) assigned(c *modelCrisp) {
	if m.policy.claimOnAssign && m.state == handover.StateWaiting && m.stay.crisp == c {
		m.fire(evAssigned)
		m.spoken()
		m.stay.unanswered = false
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

// closed is an end that Crisp tells of: evResolved, evRemoved or evBlocked. It ends what runs in
// that conversation. While the handover opens, a removal shows when the next step fails.
func (m *model) closed(c *modelCrisp, event string) {
	if m.state == handover.StateOpening && (event == evResolved || event == evBlocked && m.stay.crisp != c) {
		at, st := m.now, m.stay
		m.held = append(m.held, func() {
			switch {
			case st.crisp == c && st.opened.IsZero():
				c.closed = c.closed || event == evResolved // no opening message has opened it again
			case c.greeted.Before(at): // else it is older than the opening
				m.closed(c, event)
			}
		})
		return
	}
	switch event {
	case evRemoved:
		c.gone = true
	case evResolved:
		c.closed = true
	}
	if m.follow != nil && m.follow.crisp == c {
		m.dropFollow()
	}
	running := m.running() && m.stay.crisp == c
	if running && (m.state != handover.StateOpening || event == evBlocked) {
		c.before = m.now
		m.end(event)
	}
}
