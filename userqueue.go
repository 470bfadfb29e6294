package handover

import (
	"cmp"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/times"
)

// The messages that Handle took are a queue within the user's messages: those in hand, the oldest first.
// Each is handed on to whom the conversation belongs when its turn comes. The bot answers one at a time.

// gatherFor is how long a message with a Seq waits for those that it has overtaken.
const gatherFor = 250 * time.Millisecond

// inHand reports whether the library has to do something for a message of Handle's.
func (m *userMessage) inHand() bool {
	return m.Managed && (m.Status == messageWaiting || m.Status == messageTurn)
}

// head returns the oldest message in hand, or nil.
func (all userMessages) head() *userMessage {
	for _, m := range all {
		if m.inHand() {
			return m
		}
	}
	return nil
}

// unanswered returns the message that the bot has failed to answer at least once and is to answer next, or nil. answering says that it
// is at one.
func (all userMessages) unanswered(answering bool) *userMessage {
	m := all.head()
	if m == nil || m.Attempts == 0 || m.Attempts == 1 && answering {
		return nil
	}
	return m
}

// posts is about how many Crisp messages those in hand would make, without one of them.
func (all userMessages) posts(but *userMessage) (n int) {
	for _, m := range all {
		if m.inHand() && m != but {
			n += m.Incoming.size()
		}
	}
	return n
}

// handled takes a message that Handle brings.
func (rec *record) handled(m Incoming, hash string, size int) (*userMessage, error) {
	in, known, err := rec.takeIn(m, hash, size, true)
	switch {
	case err != nil:
		return nil, err
	case known:
		return in, keepUnless(in.takeOver(rec.env.now))
	case in.Status != "":
		rec.UserMessages.became(in).takeOver(rec.env.now)
	default:
		rec.UserMessages = rec.UserMessages[:len(rec.UserMessages)-1] // it has its place in the queue
		rec.enqueue(in)
	}
	return in, nil
}

// enqueue puts a message of Handle's behind the others, but before those of a greater Seq that are not handed
// on yet.
func (rec *record) enqueue(in *userMessage) {
	rec.userSign()
	m := in.Incoming
	in.Status, in.Managed = messageWaiting, true
	at := len(rec.UserMessages)
	if m.Seq != 0 {
		in.Next = rec.env.now.Add(gatherFor)
		for at > 0 && rec.UserMessages[at-1].follows(m.Seq) {
			at--
		}
	}
	rec.UserMessages = slices.Insert(rec.UserMessages, at, in)
}

// follows reports whether a message comes after one with this Seq, and can still be put behind it.
func (m *userMessage) follows(seq int64) bool {
	return m.Managed && m.Status == messageWaiting && m.Incoming != nil && m.Incoming.Seq > seq
}

// crowded reports whether too many messages of the user wait already to take n more, in place of one of them
// if it is not nil.
func (rec *record) crowded(n int, of *userMessage) bool {
	waiting := rec.ToCrisp.posts(of) + rec.UserMessages.posts(of)
	return waiting > 0 && waiting+n > rec.env.cfg.Limits.Waiting
}

// takeOver makes a message that Receive gave out, whose caller has not answered it, the library's to answer
// from now on. It is false for any other one.
func (m *userMessage) takeOver(now time.Time) bool {
	if m.Status != messageTurn || m.Managed || m.given(now) {
		return false
	}
	m.Managed, m.Next = true, time.Time{}
	return true
}

// handOn hands the messages in hand on, as far as it is their turn: to the agents, to the library whose
// question they answer, or to nobody while the bot is muted. One that is for the bot ends it. It reports
// whether anything changed. While the bot answers it waits, so that the agents get what the bot did not
// answer in the order in which it was written.
func (rec *record) handOn() (changed bool) {
	for rec.Replies.answering() == nil {
		m := rec.UserMessages.head()
		if m == nil || m.Status == messageWaiting && m.Next.After(rec.env.now) || m.Status == messageTurn && rec.State == StateBot {
			break
		}
		if m.Status == messageWaiting {
			rec.accept(m)
		} else { // the bot has lost the conversation
			rec.pass(m)
		}
		m.Next, changed = time.Time{}, true
		if m.Status == messageTurn && m.At.Before(rec.env.now) { // it had to wait for its turn, see beginAnswer
			m.Next = rec.env.now.Add(-time.Second) // the store's clock goes back a little at times
		}
	}
	return changed
}

// pass gives a message that the bot was to answer to those who have the conversation now.
func (rec *record) pass(m *userMessage) {
	if rec.State == StateMuted {
		m.Status = messageKept
		return
	}
	rec.ToCrisp.dropResolve(rec.Handover.CrispID) // the agents must see it
	rec.takeForAgent(m)
}

// forBot returns the message that the bot is to answer now, or nil and when to look again. What the user is
// to see before comes first, unless it fails.
func (rec *record) forBot() (*userMessage, time.Time) {
	m := rec.UserMessages.head()
	shown, _ := rec.ToUser.ready(rec.env.now)
	switch {
	case m == nil || rec.Replies.answering() != nil:
		return nil, time.Time{}
	case m.Status == messageWaiting:
		return nil, times.Later(m.Next, rec.env.now)
	case shown != nil && shown.Kind.shows():
		return nil, time.Time{}
	case rec.State != StateBot:
		return nil, rec.env.now
	case m.Next.After(rec.env.now):
		return nil, m.Next
	}
	if until := rec.comesBack(m); until.After(rec.env.now) {
		return nil, until
	}
	return m, rec.env.now
}

// comesBack is until when it is open whether an older message than m comes back to the bot: one of a handover that
// ended before it was known whether Crisp has it. It is answered first.
func (rec *record) comesBack(m *userMessage) (until time.Time) {
	for _, older := range rec.UserMessages {
		if older == m || rec.Handover == nil {
			break
		}
		if older.Managed && older.Status == messagePosting {
			return rec.Handover.Ended.Add(rec.env.cfg.Timeouts.Relay)
		}
	}
	return time.Time{}
}

// answering is one attempt to have the bot answer a message.
type answering struct {
	id      string // of the reply
	turn    Turn
	message Incoming
	since   time.Time     // of the first attempt
	givesUp bool          // it was tried for too long: a human is asked for instead
	others  bool          // this process has no Config.Answer, and leaves it to those that have
	overdue time.Duration // for how long nobody has tried it
}

// beginAnswer begins to have the bot answer the message whose turn it is. It returns nil if there is none.
func (rec *record) beginAnswer() *answering {
	m, _ := rec.forBot()
	if m == nil {
		return nil
	}
	now := rec.env.now
	a := &answering{id: newID(), message: *m.Incoming, since: m.Since}
	a.message.Files = slices.Clone(a.message.Files)
	a.turn = Turn{Conversation: rec.Conversation, MessageID: m.ID, Epoch: rec.Epoch, Bot: true, Attempt: m.Attempts + 1}
	if rec.env.cfg.Answer == nil {
		a.overdue = now.Sub(times.Later(m.At, m.Next)) // since its turn came, or its next attempt was due
		a.givesUp = a.overdue >= rec.env.cfg.Timeouts.Unanswered
		a.others = !a.givesUp
		return a
	}
	if !m.Since.IsZero() && !now.Before(m.Since.Add(rec.env.cfg.Timeouts.Unanswered)) {
		a.givesUp = true
		return a
	}
	m.Attempts++
	m.Epoch, m.Next = rec.Epoch, now.Add(times.Backoff(m.Attempts)) // if this process dies
	if m.Since.IsZero() {
		m.Since, a.since = now, now
	}
	rec.Replies = append(rec.Replies, reply{ID: a.id, Epoch: rec.Epoch, Until: now.Add(claims.TTL), Message: m.ID})
	return a
}

// answered is what came of a call of Config.Answer.
type answered struct {
	request *Request // asks for a human
	there   Presence // of the agents, if there is a request
	err     error
	cut     bool // the bot lost the conversation meanwhile
}

// endAnswer writes down what came of an answer. An asking is stored with it, whoever has the conversation by
// now: it is never lost. A message whose answer failed keeps its place, and is tried again later.
func (rec *record) endAnswer(a *answering, r answered) {
	ran := rec.Replies.end(a.id)
	m, now := rec.UserMessages.find(a.turn.MessageID), rec.env.now
	if m == nil {
		return
	}
	done := Activity{Kind: ActivityAnswered, MessageID: m.ID, Attempt: a.turn.Attempt, Took: now.Sub(a.since)}
	if m.Status != messageTurn { // Start was called for it, or the agent has it
		if m.Status == messageAnswered && ran && r.err == nil {
			rec.observe(done)
		}
		return
	}
	switch {
	case r.err == nil:
		rec.observe(done)
		trace := rec.UserMessages.trace(m.ID)
		m.done(messageAnswered)
		if r.request != nil {
			rec.asked(*r.request, r.there, m.ID, trace)
		}
	case r.cut: // handOn gives it to the agent; if the bot has the conversation again it is repeated
		m.Next = now
	default:
		rec.answerFailed(m, r.err, hung(r.err))
	}
}

// asked asks for a human in the bot's name, whatever happened since the bot's turn.
func (rec *record) asked(r Request, there Presence, message, trace string) {
	t := Turn{Conversation: rec.Conversation, Epoch: rec.Epoch}
	outcome := rec.start(t, r, there)
	if outcome == OutcomeOpening {
		rec.Handover.Trace = trace
	}
	rec.observe(Activity{Kind: ActivityAsked, Outcome: outcome, MessageID: message, TraceParent: trace})
}

// answerFailed sets the time of the next attempt.
func (rec *record) answerFailed(m *userMessage, err error, why string) {
	m.Next, m.Failed = rec.env.now.Add(times.Backoff(m.Attempts)), cmp.Or(why, faultWord(err))
	rec.observe(Activity{Kind: ActivityFault, Effect: effectAnswer, MessageID: m.ID, Attempt: m.Attempts, Err: err, Why: why})
}

// effectAnswer is Activity.Effect of a call of Config.Answer.
const effectAnswer = "bot"

// giveUpAnswer asks for a human, since the bot does not answer a message. The agent gets the message. If
// nobody is there the user is told, and the bot goes on with the next message.
func (rec *record) giveUpAnswer(a *answering, r Request, there Presence) {
	m := rec.UserMessages.find(a.turn.MessageID)
	if m == nil || !m.inHand() || rec.Replies.answering() != nil {
		return
	}
	rec.observe(Activity{Kind: ActivityGivenUp, Effect: effectAnswer, MessageID: m.ID, Attempt: m.Attempts})
	if rec.State == StateBot {
		rec.asked(r, there, m.ID, rec.UserMessages.trace(m.ID))
	}
	if rec.State == StateBot {
		m.done(messageAnswered)
	}
}

// dropDeadReplies drops the bot's messages that have lasted too long: their process is dead, or send
// ignores its context. What Config.Answer did not answer is tried again.
func (rec *record) dropDeadReplies() bool {
	return rec.Replies.drop(func(r reply) bool {
		dead := !r.Until.After(rec.env.now)
		if m := rec.UserMessages.find(r.Message); dead && r.Message != "" && m != nil && m.inHand() {
			rec.answerFailed(m, nil, "lost")
		}
		return dead
	})
}

// mend sets the times of a message right.
func (m *userMessage) mend(cfg *Config, now time.Time) {
	m.At, m.Since, m.Next = times.Past(m.At, now), times.Past(m.Since, now), times.Soon(m.Next, now)
	m.Attempts = max(m.Attempts, 0)
	if m.Waits.After(now.Add(2 * claims.TTL)) {
		m.Waits = time.Time{}
	}
	if m.Given.After(now.Add(cfg.Timeouts.hold())) {
		m.Given = time.Time{}
	}
	m.Managed = m.Managed || m.Status == messageWaiting
}

// passOn gives the agent a message that the bot will not answer. Its Receive has returned, so that
// nobody waits for it.
func (rec *record) passOn(id string) error {
	in := rec.UserMessages.find(id)
	if in == nil || in.Status != messageTurn || in.Incoming == nil {
		return errKeep
	}
	switch {
	case rec.human(), rec.cameAndWent(in):
		in.Waits = time.Time{}
		rec.ToCrisp.dropResolve(rec.Handover.CrispID) // the agents must see it
		rec.queuePosts(in, rec.Handover)
		rec.holdEnds(rec.UserMessages)
	case rec.State == StateMuted:
		in.Status = messageKept
	case in.Epoch == rec.Epoch, in.Managed: // a newer turn for it holds, or will be given
		return errKeep
	default: // nobody can answer it any more
		in.done(messageAnswered)
		rec.say(textNotSent, "")
	}
	return nil
}

// cameAndWent reports whether a human had the conversation since the message became a turn, in a
// Crisp conversation that is still there.
func (rec *record) cameAndWent(in *userMessage) bool {
	if rec.State != StateBot || rec.Handover == nil || rec.Handover.Opened.IsZero() || in.Epoch >= rec.Handover.Epoch {
		return false
	}
	s := rec.Sessions.ByID(rec.Handover.CrispID)
	return s != nil && !s.State.Closed()
}

// reply is a message of the bot's that is under way. What an agent writes meanwhile waits for it.
type reply struct {
	ID    string    `json:"id"`
	Epoch int64     `json:"epoch"`
	Until time.Time `json:"until"` // then its process is dead, or send ignores its context
	// Message is what Config.Answer answers; empty for a Reply of the host's.
	Message string `json:"message,omitempty"`
}

// replies are the bot's messages under way that an agent may interrupt.
type replies []reply

// drop removes the replies that match, and reports whether there were any.
func (all *replies) drop(match func(reply) bool) bool {
	before := len(*all)
	*all = slices.DeleteFunc(*all, match)
	return len(*all) != before
}

// end removes a reply, perhaps before its send has returned, and reports whether it was there.
func (all *replies) end(id string) bool {
	return all.drop(func(r reply) bool { return r.ID == id })
}

// answering returns the call of Config.Answer that is under way, or nil.
func (all replies) answering() *reply {
	return all.find(func(r *reply) bool { return r.Message != "" })
}

// byID returns a reply, or nil.
func (all replies) byID(id string) *reply {
	return all.find(func(r *reply) bool { return r.ID == id })
}

// find returns the first reply that matches, or nil.
func (all replies) find(match func(*reply) bool) *reply {
	for i := range all {
		if match(&all[i]) {
			return &all[i]
		}
	}
	return nil
}
