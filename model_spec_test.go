package handover_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/crisphandover/handover"
)

// model is one conversation as design.md section 5 and peers.md section 7 describe it, written
// apart from table.go: what happens to it, and what must be seen of it. Of the engine it knows that
// Run looks once in a second, and when a failed call is repeated.
type model struct {
	policy modelPolicy
	now    time.Time
	state  handover.State
	owners int // changes of owner so far

	stay      *modelStay // the handover that runs, or the last one
	muted     time.Time
	muteOwner int // the owner count of the turn that muted
	offer     *modelOffer
	follow    *modelFollow
	crisp     []*modelCrisp
	kept      []*userMessage // while muted
	away      []string       // agents' lines for the user's next sign
	held      []func()       // what happened in Crisp while the handover opens
	later     []coming       // what will come at a known time
	instants  []instant      // of deadlines, also of those that do not apply any more

	down  time.Time // until then Crisp refuses the user's messages
	blind time.Time // until then Crisp's log cannot be read

	// What must be seen since the last comparison.
	lines []string
	moves []string
	ends  []modelEnd
	notes []string // what the model did, for the trace

	unclear string // two things happen at once, and nobody promises which is first
	visit   func(handover.State, string)
}

type modelPolicy struct{ claimOnAssign, refuseUnknown, trustHooks bool }

// modelStay is one handover.
type modelStay struct {
	crisp    *modelCrisp
	email    bool // the request has an address
	timeouts handover.Timeouts
	queue    []*userMessage
	tries    int
	since    time.Time // of the first try of the queue's head
	next     time.Time // of its next one

	asked, opened, reminded, lastWord, askedIdle, ended time.Time

	agents   []string
	otherBot bool
	reason   handover.EndReason
}

type modelOffer struct {
	email   bool
	asking  bool
	expires time.Time
	stay    *modelStay // whose request it continues
}

type modelFollow struct {
	crisp   *modelCrisp
	expires time.Time
}

// modelCrisp is a conversation in Crisp.
type modelCrisp struct {
	texts   []string // of the user
	email   bool     // Crisp has the address
	gone    bool
	closed  time.Time // when Crisp last told of an end: what was written before is older
	ended   time.Time // when the last handover in it ended
	last    time.Time // of the last message
	greeted time.Time // when our last opening message came
	mark    time.Time // of the last message at the last opening or end
}

type modelEnd struct {
	reason handover.EndReason
	agents []string
	unsent []string
	at     time.Time
}

// userMessage is a message of the user and what became of it.
type userMessage struct {
	n                 int // its place among the user's messages
	id, text, payload string
	fate              userFate
	owners            int // the owner count of its turn
	left              bool
}

type userFate string

const (
	fateTurn     userFate = "turn"     // the bot is to answer
	fateAnswered userFate = "answered" // it did
	fatePosting  userFate = "posting"
	fatePosted   userFate = "posted"
	fateKept     userFate = "kept"
	fateTaken    userFate = "taken" // an answer to a question of the library's
)

// coming is what will happen, or what will be heard of, at a known time.
type coming struct {
	at    time.Time
	inLog bool // it is in Crisp's log already: whoever looks hears of it
	do    func()
}

type instant struct {
	at   time.Time
	name string
}

// What happens, in the words of this model. Together with the states it makes the cells.
const (
	evStart, evNobody, evMute                  = "start", "start, nobody there", "mute"
	evOpened, evOpenFails                      = "opened", "opening fails"
	evUser, evHuman, evLate                    = "user writes", "human writes", "human wrote before the end"
	evAssigned, evResolved, evReopened         = "assigned", "resolved", "reopened"
	evEnd, evUserLeft, evRemoved, evBlocked    = "host ends", "user leaves", "removed", "blocked"
	evRemind, evClaim, evQuiet, evIdle         = "remind", "claim", "quiet", "idle"
	evMax, evRelay                             = "max", "relay"
	evEmail, evBot, evOfferOver, evFollowOver  = "choice: email", "choice: bot", "offer expires", "follow-up expires"
	evNote, evOtherBot, evRepeated, evStale    = "note", "another bot writes", "hook repeated", "stale turn"
	evDown, evEdit, evRepeatedMessage, evReply = "crisp is down", "edit or removal", "message repeated", "bot speaks"
)

var modelEvents = []string{
	evStart, evNobody, evMute, evOpened, evOpenFails, evUser, evHuman, evLate, evAssigned, evResolved, evReopened,
	evEnd, evUserLeft, evRemoved, evBlocked, evRemind, evClaim, evQuiet, evIdle, evMax, evRelay, evEmail, evBot,
	evOfferOver, evFollowOver, evNote, evOtherBot, evRepeated, evStale, evDown, evEdit, evRepeatedMessage, evReply,
}

// modelTimeouts are short, so that all of them pass within a sequence.
var modelTimeouts = handover.Timeouts{
	Open: 6 * time.Second, Reply: 5 * time.Second, Relay: 14 * time.Second, Claim: 20 * time.Second,
	Remind: 7 * time.Second, Idle: 16 * time.Second, Max: 60 * time.Second, Followup: 25 * time.Second,
	Reopen: 15 * time.Second, CoolDown: 4 * time.Second,
}

func (m *model) running() bool {
	return m.state == handover.StateOpening || m.state == handover.StateWaiting || m.state == handover.StateActive
}

// move changes the state. There are three owners: the bot, nobody, the humans.
func (m *model) move(to handover.State, reason handover.EndReason) {
	owner := func(s handover.State) int {
		return map[handover.State]int{handover.StateBot: 1, handover.StateMuted: 2}[s]
	}
	if owner(m.state) != owner(to) {
		m.owners++
	}
	m.moves = append(m.moves, fmt.Sprint(m.state, " > ", to, " ", reason))
	m.state = to
}

func (m *model) say(text string) { m.lines = append(m.lines, "system: "+text) }

func (m *model) expect(name string, after time.Duration) {
	m.instants = append(m.instants, instant{m.now.Add(after), name})
}

// receive is a message of the user.
func (m *model) receive(u *userMessage) {
	m.visit(m.state, evUser)
	switch u.payload {
	case choiceEmail:
		m.visit(m.state, evEmail)
	case choiceBot:
		m.visit(m.state, evBot)
	case choiceLeave:
		m.visit(m.state, evUserLeft)
	}
	m.back()
	switch m.state {
	case handover.StateBot:
		u.fate, u.owners = fateTurn, m.owners
		if m.offer != nil && m.choose(u) {
			u.fate = fateTaken
		}
	case handover.StateMuted:
		m.keep(u)
	default:
		m.spoken()
		if u.payload == choiceLeave {
			u.fate = fateTaken
			m.end(handover.EndUserLeft)
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

// repeat is a message that the channel brings again.
func (m *model) repeat(u *userMessage) {
	m.visit(m.state, evRepeatedMessage)
	m.back()
	u.left = false
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
		m.openFollow(o)
	case u.payload == choiceEmail:
		o.asking = true
		m.say("ask_email")
	case o.asking:
		m.say("bad_email")
	default:
		m.offer = nil
		return false
	}
	return true
}

// openFollow leaves the user with the agents, who answer by email.
func (m *model) openFollow(o *modelOffer) {
	m.follow = &modelFollow{crisp: m.conversation(), expires: m.now.Add(modelTimeouts.Followup)}
	m.follow.crisp.email = true
	m.expect(evFollowOver, modelTimeouts.Followup)
	m.greet(m.follow.crisp, "greeting by email")
	m.say("by_email")
}

// conversation is the Crisp conversation that a request gets: the last one again if its handover
// ended a short time ago, else a new one.
func (m *model) conversation() *modelCrisp {
	if n := len(m.crisp); n > 0 {
		c := m.crisp[n-1]
		if !c.gone && c.ended.Add(modelTimeouts.Reopen).After(m.now) {
			return c
		}
	}
	m.crisp = append(m.crisp, &modelCrisp{})
	return m.crisp[len(m.crisp)-1]
}

func (m *model) greet(c *modelCrisp, text string) {
	c.texts = append(c.texts, text)
	c.last, c.mark, c.greeted = m.now, m.now, m.now
}

// spoken notes that one of both sides wrote.
func (m *model) spoken() {
	m.stay.lastWord = m.now
	if t := m.stay.timeouts.Idle; t > 0 {
		m.expect(evQuiet, t)
		m.expect(evIdle, t+t/2)
	}
}

// start asks for a human. It returns the outcome, "" for a turn that does not hold.
func (m *model) start(t turnOf, r modelRequest) handover.Outcome {
	there := r.presence == handover.Online || r.presence == handover.Unknown && !m.policy.refuseUnknown
	if there {
		m.visit(m.state, evStart)
	} else {
		m.visit(m.state, evNobody)
	}
	holds := t.owners == m.owners || m.state == handover.StateMuted && t.owners == m.muteOwner
	switch {
	case !holds:
		m.visit(m.state, evStale)
	case t.message != nil && (t.message.fate == fateTurn || t.message.fate == fateKept):
		t.message.fate = fateAnswered
		m.kept = slices.DeleteFunc(m.kept, func(u *userMessage) bool { return u == t.message })
	}
	switch {
	case m.running():
		if t.message != nil && t.message.fate == fateTurn {
			t.message.fate = fateAnswered
		}
		return handover.AlreadyOpen
	case !holds:
		return ""
	case m.stay != nil && m.stay.reason == handover.EndClaimTimeout && m.stay.ended.Add(modelTimeouts.CoolDown).After(m.now):
		m.say("too_soon")
		return handover.TooSoon
	case !there:
		if m.state == handover.StateMuted {
			m.move(handover.StateBot, "")
		}
		m.makeOffer(r.email, &modelStay{email: r.email, timeouts: r.timeouts})
		return handover.NobodyThere
	}
	m.stay = &modelStay{email: r.email, timeouts: r.timeouts, asked: m.now}
	m.offer, m.follow = nil, nil
	m.stay.crisp = m.conversation()
	m.stay.crisp.email = m.stay.crisp.email || r.email
	m.move(handover.StateOpening, "")
	m.expect(evOpenFails, modelTimeouts.Open)
	m.expect(evMax, r.timeouts.Max)
	for _, u := range m.kept {
		u.fate = fatePosting
		m.stay.queue = append(m.stay.queue, u)
	}
	m.kept = nil
	m.pump()
	return handover.Opening
}

func (m *model) makeOffer(email bool, st *modelStay) {
	m.offer = &modelOffer{email: email, expires: m.now.Add(modelTimeouts.Followup), stay: st}
	m.expect(evOfferOver, modelTimeouts.Followup)
	m.say("no_agent")
}

// post puts a message of the user on its way to Crisp.
func (m *model) post(u *userMessage) {
	u.fate = fatePosting
	m.stay.queue = append(m.stay.queue, u)
	m.expect(evRelay, modelTimeouts.Relay)
	m.pump()
}

// pump passes on what can be passed on.
func (m *model) pump() {
	for st := m.stay; m.running() && st == m.stay; {
		opened := !st.opened.IsZero()
		if opened && len(st.queue) == 0 || st.next.After(m.now) {
			return
		}
		if m.now.Before(m.down) {
			if st.tries == 0 {
				st.since = m.now
			}
			st.next = m.now.Add(time.Second << st.tries)
			st.tries++
			return
		}
		if st.crisp.gone {
			m.end(handover.EndRemoved)
			return
		}
		st.tries, st.since, st.next = 0, time.Time{}, time.Time{}
		if !opened {
			m.open()
			continue
		}
		u := st.queue[0]
		st.queue = st.queue[1:]
		u.fate = fatePosted
		st.crisp.texts = append(st.crisp.texts, u.text)
		st.crisp.last = m.now
	}
}

// open is the end of an opening: only now is the user told, and what happened in Crisp meanwhile
// counts.
func (m *model) open() {
	m.visit(m.state, evOpened)
	st := m.stay
	m.greet(st.crisp, "greeting")
	st.opened = m.now
	m.spoken()
	m.move(handover.StateWaiting, "")
	m.say("waiting")
	if t := st.timeouts.Remind; t > 0 {
		for i := range time.Duration(5) {
			m.expect(evRemind, (i+1)*t)
		}
	}
	if t := st.timeouts.Claim; t > 0 {
		m.expect(evClaim, t)
	}
	m.release()
}

// release lets happen what was held during an opening.
func (m *model) release() {
	held := m.held
	m.held = nil
	for _, do := range held {
		do()
	}
}

// end is the one end of a handover.
func (m *model) end(reason handover.EndReason) {
	st := m.stay
	st.reason, st.ended = reason, m.now
	st.crisp.ended, st.crisp.mark = m.now, st.crisp.last
	m.move(handover.StateBot, reason)
	end := modelEnd{reason: reason, agents: slices.Clone(st.agents), at: m.now}
	for _, u := range st.queue {
		u.fate, u.owners = fateTurn, m.owners
		if u.left {
			end.unsent = append(end.unsent, u.id)
		}
	}
	st.queue = nil
	m.ends = append(m.ends, end)
	switch reason {
	case handover.EndClaimTimeout:
		m.say("nobody_came")
		m.makeOffer(st.email, st)
	case handover.EndIdle:
		if st.crisp.email {
			m.follow = &modelFollow{crisp: st.crisp, expires: m.now.Add(modelTimeouts.Followup)}
			m.expect(evFollowOver, modelTimeouts.Followup)
		}
	}
	if end.unsent != nil {
		m.say("not_sent")
	}
	switch reason {
	case handover.EndClaimTimeout:
	case handover.EndHostEnded, handover.EndUserLeft:
		m.say("left")
	case handover.EndRemoved, handover.EndBlocked, handover.EndMaxAge:
		m.say("closed")
	default:
		m.say(string(reason))
	}
	m.release()
}
