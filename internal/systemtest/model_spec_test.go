package systemtest

import (
	"slices"
	"time"

	"github.com/crisphandover/handover"
)

// model is one conversation as design.md section 5 describes it: the table of model_table_test.go
// and, in model_rules_test.go, what happens besides. It holds what must be seen from outside, and
// knows of the engine only that Run looks once in a second and when a failed call is repeated
// (model_clock_test.go).
type model struct {
	policy modelPolicy
	cover  *coverage
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
	notes     []*modelNote   // on their way to the agents
	later     []coming       // what will come at a known time
	instants  []instant      // of deadlines, also of those that do not apply any more

	down  time.Time // until then Crisp refuses messages
	blind time.Time // until then Crisp's log cannot be read

	// What must be seen since the last comparison.
	lines []string
	moves []string
	ends  []modelEnd // all of them
	due   []string   // the deadlines that passed, for the trace

	unclear string // why nobody promises what comes next
}

type modelPolicy struct{ claimOnAssign, refuseUnknown bool }

// modelStay is one handover.
type modelStay struct {
	crisp    *modelCrisp
	owners   int    // the owner count when it began
	email    bool   // the request has an address
	note     string // of the request
	timeouts handover.Timeouts
	queue    []*userMessage
	tries    int
	since    time.Time // of the first try of the queue's head
	next     time.Time // of its next one

	asked, opened, reminded, lastWord, askedIdle, ended time.Time

	agents     []string
	unanswered bool // the user had the last word
	otherBot   bool
	reason     handover.EndReason
}

type modelOffer struct {
	email   bool
	note    string // of the request, unless the agents have it
	asking  bool
	missed  bool // there was no address in the first answer
	expires time.Time
}

type modelFollow struct {
	crisp   *modelCrisp
	expires time.Time
}

// modelCrisp is a conversation in Crisp.
type modelCrisp struct {
	texts   []string  // of the user
	notes   []string  // of the library
	email   bool      // Crisp has the address
	gone    bool      // removed
	closed  bool      // Crisp says resolved: nobody takes over there
	adopted bool      // it was there before the library knew of it
	made    bool      // for the handover that ran last: nothing in it is older
	before  time.Time // what was written until then is older than the last end
	ended   time.Time // when the last handover in it ended
	last    time.Time // of the last message
	noted   time.Time // of the last note of the library
	greeted time.Time // when our last opening message came
	mark    time.Time // of the last message at the last opening or end
	failed  int       // handovers in a row that ended since nothing could be posted
}

// modelNote is a note for the agents.
type modelNote struct {
	crisp *modelCrisp
	text  string
	tries int
	next  time.Time
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
	given             time.Time // until then one caller of Receive has it to answer it
}

// hold is for how long one caller of Receive has a message to answer it.
const hold = 15 * time.Second

type userFate string

const (
	fateTurn     userFate = "turn"     // the bot is to answer
	fateAnswered userFate = "answered" // it did
	fatePosting  userFate = "posting"
	fatePosted   userFate = "posted"
	fateKept     userFate = "kept"
	fateTaken    userFate = "taken" // an answer to a question of the library's
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
	note     string
	adopt    bool // Crisp has the conversation already
	timeouts handover.Timeouts
}

// The user's choices: payloads, which are also the titles.
const (
	choiceEmail, choiceBot, choiceLeave = "Contact me back via email", "Continue with the bot", "handover:leave"
	goodEmail                           = "somebody@example.com"
)

// The library's notes to the agents.
const (
	noteLeft, noteNobodyCame, noteWhy = "note: left", "note: nobody came", "note: why"
)

// modelTimeouts are short, so that all of them pass within a sequence.
var modelTimeouts = handover.Timeouts{
	Open: 8 * time.Second, Reply: 5 * time.Second, Relay: 9 * time.Second, Claim: 20 * time.Second,
	Remind: 7 * time.Second, Idle: 16 * time.Second, Max: 45 * time.Second, FollowUp: 20 * time.Second,
	Reopen: 15 * time.Second, CoolDown: 4 * time.Second,
}

// running reports whether a handover runs.
func (m *model) running() bool {
	return m.state == handover.StateOpening || m.state == handover.StateWaiting || m.state == handover.StateActive
}

func (m *model) say(text string) { m.lines = append(m.lines, "system: "+text) }

// conversation is the Crisp conversation that a request gets: the one that ended last again if that
// was a short time ago and did not fail again and again, else a new one.
func (m *model) conversation() *modelCrisp {
	var last *modelCrisp
	for _, c := range m.crisp {
		if last == nil || !c.ended.Before(last.ended) {
			last = c
		}
	}
	if last != nil && !last.gone && last.failed < 2 && last.ended.Add(modelTimeouts.Reopen).After(m.now) {
		return last
	}
	m.crisp = append(m.crisp, &modelCrisp{})
	return m.crisp[len(m.crisp)-1]
}

// greet is our opening message.
func (m *model) greet(c *modelCrisp, text string) {
	c.texts, c.failed = append(c.texts, text), 0
	c.made = !c.adopted && c.greeted.IsZero()
	c.last, c.mark, c.greeted = m.now, m.now, m.now
	c.closed = false // a message of the user opens it again
}

// open is the end of an opening: only now is the user told, and what happened in Crisp meanwhile
// counts.
func (m *model) open() {
	m.visit(evOpened)
	st := m.stay
	m.greet(st.crisp, "greeting")
	if st.note != "" {
		m.note(st.crisp, st.note)
	}
	st.opened = m.now
	m.spoken()
	m.fire(evOpened)
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

// end is the one end of a handover. What Crisp did not get is the bot's to answer.
func (m *model) end(event string) {
	st, opening := m.stay, m.state == handover.StateOpening
	st.reason, st.ended = m.fire(event), m.now
	st.crisp.ended, st.crisp.mark = m.now, st.crisp.last
	if event == evOpenFails || event == evRelay {
		st.crisp.failed++
	}
	if opening {
		st.crisp.before = m.now // what was held is older than the end
		half := event == evMax || event == evEnd || event == evUserLeft
		st.crisp.closed = st.crisp.closed || half && !st.crisp.adopted // the half-made conversation is resolved
	}
	end := modelEnd{reason: st.reason, agents: slices.Clone(st.agents), at: m.now}
	for _, u := range st.queue {
		u.fate, u.owners = fateTurn, m.owners
		if u.left {
			end.unsent = append(end.unsent, u.id)
		} else {
			u.given = m.now.Add(hold)
		}
	}
	st.queue = nil
	m.ends = append(m.ends, end)
	m.parting(event, opening)
	if end.unsent != nil {
		m.say("not_sent")
	}
	m.release()
}

// parting is what the user and the agents hear of an end, and what is open after it.
func (m *model) parting(event string, opening bool) {
	st := m.stay
	switch event {
	case evClaim:
		m.note(st.crisp, noteNobodyCame)
		m.say("nobody_came")
		m.makeOffer(st.email, "")
	case evIdle:
		m.note(st.crisp, noteLeft)
		m.say("idle")
		if st.crisp.email {
			m.follow = &modelFollow{crisp: st.crisp, expires: m.now.Add(modelTimeouts.FollowUp)}
			m.expect(evFollowOver, modelTimeouts.FollowUp)
		}
	case evEnd, evUserLeft:
		m.note(st.crisp, noteLeft)
		m.say("left")
	case evMax:
		m.note(st.crisp, noteLeft)
		m.say("closed")
	case evRemoved, evBlocked:
		m.say("closed")
	case evRelay:
		m.note(st.crisp, noteLeft)
		m.say("relay_failed")
	default:
		m.say(string(st.reason))
	}
}

func (m *model) makeOffer(email bool, note string) {
	m.offer = &modelOffer{email: email, note: note, expires: m.now.Add(modelTimeouts.FollowUp)}
	m.expect(evOfferOver, modelTimeouts.FollowUp)
	m.say("no_agent")
}

// openFollow leaves the user with the agents, who answer by email.
func (m *model) openFollow(note string) {
	m.follow = &modelFollow{crisp: m.conversation(), expires: m.now.Add(modelTimeouts.FollowUp)}
	m.follow.crisp.email = true
	m.expect(evFollowOver, modelTimeouts.FollowUp)
	m.greet(m.follow.crisp, "greeting by email")
	if note != "" {
		m.note(m.follow.crisp, note)
	}
	m.say("by_email")
}

// post puts a message of the user on its way to Crisp.
func (m *model) post(u *userMessage) {
	u.fate = fatePosting
	m.stay.queue = append(m.stay.queue, u)
	m.expect(evRelay, modelTimeouts.Relay)
	m.pump()
}

// note puts a note on its way to the agents. It never holds up what people write.
func (m *model) note(c *modelCrisp, text string) {
	m.notes = append(m.notes, &modelNote{crisp: c, text: text})
	m.pumpNotes()
}

// expect notes when a deadline will come, should it still apply then.
func (m *model) expect(name string, after time.Duration) {
	m.instants = append(m.instants, instant{m.now.Add(after), name})
}
