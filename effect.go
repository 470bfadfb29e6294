package handover

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
)

// effectKind names what an effect does.
type effectKind string

// The kinds of effects: first those of the queue to the user, which call the host, then those of the
// queue to Crisp.
const (
	kindDeliver effectKind = "deliver" // show a message to the user
	kindRevise  effectKind = "revise"  // edit or remove a message that was shown
	kindText    effectKind = "text"    // say a system text
	kindEnd     effectKind = "end"     // end the handover, now that all before it was shown
	kindOnEnd   effectKind = "on_end"  // tell the host of the end

	kindCreate  effectKind = "create"  // make the Crisp conversation
	kindMetas   effectKind = "metas"   // give it the user's data and segments
	kindInbox   effectKind = "inbox"   // move it to an inbox
	kindAssign  effectKind = "assign"  // assign it to an operator
	kindGreet   effectKind = "greet"   // post the opening message
	kindPost    effectKind = "post"    // post a message of the user
	kindAnswer  effectKind = "answer"  // choose in an agent's picker
	kindEdit    effectKind = "edit"    // give a message of the user other words
	kindResolve effectKind = "resolve" // resolve it in Crisp
	kindNote    effectKind = "note"    // tell the agents something
	kindMark    effectKind = "mark"    // mark messages as delivered and read
	kindEmail   effectKind = "email"   // let Crisp answer by email
	kindRate    effectKind = "rate"    // ask the user for a rating
)

// effect is something to do outside the record. It is written before it runs and removed after,
// so that another process can finish it.
type effect struct {
	N          int64      `json:"n"` // its number in the conversation
	Kind       effectKind `json:"kind"`
	HandoverID string     `json:"handover,omitempty"`
	Crisp      string     `json:"crisp,omitempty"`
	Attempts   int        `json:"attempts,omitzero"`
	Since      time.Time  `json:"since,omitzero"`  // when it was first tried
	Next       time.Time  `json:"next,omitzero"`   // not to be tried before
	Fault      string     `json:"fault,omitempty"` // why the last attempt failed, in a word
	// Running names the attempt that is under way, also when its process has died meanwhile; 0: none is.
	Running uint32 `json:"running,omitzero"`
	// Signed is true if the user gave a sign while the attempt was under way.
	Signed bool `json:"signed,omitzero"`
	// Unsure is true when the last attempt may have been carried out.
	Unsure bool `json:"unsure,omitzero"`
	// Placed is true when a create has its place among those of a minute, at Next.
	Placed bool           `json:"placed,omitzero"`
	Reads  int            `json:"reads,omitzero"`  // on_end: how often the human part was read from Crisp
	Human  jsontext.Value `json:"human,omitempty"` // on_end: the human part, as it was read, if it is not too long

	Message *Message  `json:"message,omitempty"` // deliver, revise
	FP      int64     `json:"fp,omitzero"`       // of the Crisp message it is about, or makes
	Part    int       `json:"part,omitzero"`     // of a message, an opening or a note that is longer than one may be
	Removed bool      `json:"removed,omitzero"`  // revise
	Plain   bool      `json:"plain,omitzero"`    // deliver: the channel refused the rich message
	Text    textName  `json:"text,omitzero"`     // text, note; post, edit: the mark of an edit, if it has one
	Agent   string    `json:"agent,omitempty"`   // text
	Locale  string    `json:"locale,omitempty"`  // text: of the request that it is about
	Reason  EndReason `json:"reason,omitzero"`   // end
	At      int64     `json:"at,omitzero"`       // end: Crisp's time of it, in ms; post, greet: of the newest before it
	Summary *Summary  `json:"summary,omitempty"` // on_end

	Incoming string         `json:"incoming,omitempty"` // post, answer, edit: the user's message
	Type     string         `json:"type,omitempty"`     // post, edit: Crisp's message type
	Content  jsontext.Value `json:"content,omitempty"`  // post, answer, edit
	Else     string         `json:"else,omitempty"`     // answer: what is posted when Crisp refuses it
	FPs      []int64        `json:"fps,omitempty"`      // mark
	Note     string         `json:"note,omitempty"`     // note: the host's own words
	Metas    *metasRequest  `json:"metas,omitempty"`

	// Unknown keeps the members that a newer version of the library wrote.
	Unknown jsontext.Value `json:",embed,unknown"`
}

// result is what came of an effect or of a read.
type result struct {
	token   uint32 // names the attempt, or the read; 0 for what a read settles
	effect  int64
	begun   time.Time
	err     error
	id      string // the channel's id of the message shown
	made    string // the id of the Crisp session made
	fp      int64  // given by Crisp
	found   bool   // a look-up found that Crisp has it
	missing bool   // a look-up found that the message is not in Crisp
	retry   time.Time
	paced   bool // retry is when our own pace lets it be tried, with a place of its own if placed
	placed  bool
	parts   int            // of an opening or a note: of how many messages it is; 0: not known
	reads   int            // of on_end: how often the human part was read, with this attempt
	human   jsontext.Value // of on_end: the human part, if it was read
	emailed bool           // Crisp took the user's address
	gone    bool           // the Crisp conversation is removed
	marked  []int64        // of a mark: the messages that it was about
	read    *crisplog.Reading
}

// noRoom reports whether so much waits for the user that a text of the library's has no place behind it.
func (rec *record) noRoom() bool {
	if len(rec.ToUser) < 2*maxHeld {
		return false
	}
	rec.observe(Activity{Kind: ActivityNotShown, Why: "crowded"})
	return true
}

// say queues a system text for the user, if there is room.
func (rec *record) say(name textName, agent string) *effect {
	if rec.noRoom() {
		return new(effect)
	}
	id := newID()
	switch {
	case rec.Handover != nil:
		id = rec.Handover.ID
	case rec.Offer != nil:
		id = rec.Offer.ID
	}
	e := rec.push(&rec.ToUser, effect{Kind: kindText, HandoverID: id, Text: name, Agent: agent})
	if r := rec.request(); r != nil {
		e.Locale = r.Locale
	}
	return e
}

// note queues a note for the agents of a Crisp session, unless one waits that tells the same and nothing of it
// was written yet.
func (rec *record) note(crisp string, name textName) int64 {
	if (name == noteNotShown || name == noteNotReached || name == noteAway) && rec.ToCrisp.has(func(e *effect) bool {
		return e.Kind == kindNote && e.Crisp == crisp && e.Text == name && e.Attempts == 0 && e.Part == 0
	}) {
		return 0 // one note tells of all that it is sent for
	}
	return rec.pushNote(crisp, effect{Text: name})
}

// pushNote queues a note. Its fingerprint is noted, so that its echo is known as ours, and returned.
func (rec *record) pushNote(crisp string, e effect) int64 {
	s := rec.Sessions.ByID(crisp)
	if s == nil {
		return 0
	}
	e.Kind, e.Crisp, e.FP = kindNote, crisp, fingerprint(rec.Conversation, crisp, ofNote, "", int(rec.Serial))
	s.Log.Ours(e.FP)
	rec.push(&rec.ToCrisp, e)
	return e.FP
}

// effects are all that is to be done outside the record, and their numbers.
type effects struct {
	Serial  int64 `json:"serial"`             // numbers effects, hooks, texts and saves
	ToUser  queue `json:"to_user,omitempty"`  // from Crisp's log to the user
	ToCrisp queue `json:"to_crisp,omitempty"` // from the user to Crisp
	Away    queue `json:"away,omitempty"`     // deliveries kept for the user's next sign
}

// next numbers something within the conversation.
func (s *effects) next() int64 {
	s.Serial++
	return s.Serial
}

// push appends an effect to its queue.
func (s *effects) push(q *queue, e effect) *effect {
	e.N = s.next()
	*q = append(*q, &e)
	return &e
}

// queue returns what is to be done in one direction.
func (s *effects) queue(dir direction) *queue {
	if dir == toUser {
		return &s.ToUser
	}
	return &s.ToCrisp
}

// all returns the effects of all queues.
func (s *effects) all() queue { return slices.Concat(s.ToUser, s.ToCrisp, s.Away) }

// awaits reports whether something that is to be done is about this fingerprint.
func (s *effects) awaits(fp int64) bool {
	about := func(e *effect) bool { return e.FP == fp }
	return s.ToUser.has(about) || s.ToCrisp.has(about) || s.Away.has(about)
}

// waitsForUser says what is to be shown to the user.
func (s *effects) waitsForUser() (w Waiting) {
	for _, q := range []queue{s.ToUser, s.Away} {
		for _, e := range q {
			if !e.Kind.shows() {
				continue
			}
			at := e.Since
			if e.Message != nil {
				at = e.Message.At
			}
			w.add(e, at)
		}
	}
	return w
}

// waitsForCrisp says what is on its way to the agents, behind the opening if that is not done.
func (s *effects) waitsForCrisp(messages userMessages) (w Waiting) {
	for _, e := range s.ToCrisp {
		switch {
		case e.Kind.opens():
			w.first(e)
		case e.Kind.fromUser():
			at := e.Since
			if in := messages.find(e.Incoming); in != nil {
				at = in.At
			}
			w.add(e, at)
		}
	}
	return w
}

// holdEnds lets OnEnd wait until it is known which messages of the handover were heard of by nobody: it
// tells of them.
func (s *effects) holdEnds(messages userMessages) {
	for _, e := range s.ToUser {
		if e.Kind == kindOnEnd && e.Attempts == 0 {
			e.Next = messages.waits(e.HandoverID)
		}
	}
}

// fault says what does not hold together; "" for nothing.
func (s *effects) fault() string {
	if s.Serial < 0 || s.Serial > maxNumber {
		return "its counter is out of range"
	}
	for _, e := range s.all() {
		if fault := e.fault(s.Serial); fault != "" {
			return fault
		}
	}
	for i, e := range s.ToCrisp {
		if e.Crisp == "" && e.Kind.known() && !s.ToCrisp[:i+1].has(func(x *effect) bool { return x.Kind == kindCreate && x.HandoverID == e.HandoverID }) {
			return "an effect is about no Crisp session"
		}
	}
	return ""
}

// mend sets times right.
func (s *effects) mend(now time.Time) {
	for _, e := range s.all() {
		e.Since, e.Next = times.Past(e.Since, now), times.Soon(e.Next, now)
	}
}

// queue is one direction: the effects that wait, in order.
type queue []*effect

// opens reports whether the effect is a step of an opening.
func (k effectKind) opens() bool { return k == kindCreate || k == kindGreet || k.optional() }

// optional reports whether an opening is worth having without this step.
func (k effectKind) optional() bool { return k == kindMetas || k == kindInbox || k == kindAssign }

// names reports whether the effect names something besides the conversation that may not be there: an inbox
// or an operator. Then 404 does not tell that the conversation is gone.
func (k effectKind) names() bool { return k == kindInbox || k == kindAssign }

// aside reports whether others may overtake the effect: it must not hold up what people write.
func (k effectKind) aside() bool {
	switch k {
	case kindResolve, kindNote, kindMark, kindEmail, kindRate, kindOnEnd:
		return true
	}
	return !k.known()
}

// posts reports whether the effect posts a message of ours.
func (k effectKind) posts() bool { return k == kindGreet || k == kindPost || k == kindNote }

// fromUser reports whether the effect brings the agents what the user wrote.
func (k effectKind) fromUser() bool { return k == kindPost || k == kindAnswer || k == kindEdit }

// shows reports whether the effect shows something to the user.
func (k effectKind) shows() bool { return k == kindDeliver || k == kindRevise || k == kindText }

// repeatable reports whether carrying the effect out twice does no harm, so that it need not be
// written down that it was begun.
func (k effectKind) repeatable() bool {
	switch k {
	case kindMark, kindResolve, kindMetas, kindInbox, kindAssign, kindEmail:
		return true
	}
	return false
}

// known reports whether this version can carry the effect out. Another one waits for the process of
// a newer version that queued it.
func (k effectKind) known() bool {
	switch k {
	case kindDeliver, kindRevise, kindText, kindEnd, kindOnEnd, kindCreate, kindMetas, kindInbox, kindAssign,
		kindGreet, kindPost, kindAnswer, kindEdit, kindResolve, kindNote, kindMark, kindEmail, kindRate:
		return true
	}
	return false
}

// unknownEvery is how often a record is looked at that holds an effect of a newer version.
const unknownEvery = time.Hour

// ready returns the effect that may run now, and when the queue wants attention otherwise. A
// waiting effect holds up those behind it, unless it is overdue; an aside only those of its kind. A resolve waits for
// what the user wrote before it, which would open the conversation again.
func (q queue) ready(now time.Time) (*effect, time.Time) {
	var wait time.Time
	var blocked []effectKind // "" stands for what is no aside
	for _, e := range q {
		class := e.Kind
		if !class.aside() {
			class = ""
		}
		if slices.Contains(blocked, class) || class == kindResolve && slices.Contains(blocked, "") {
			continue
		}
		if !e.Kind.known() {
			blocked = append(blocked, class)
			wait = times.Earlier(wait, now.Add(unknownEvery))
			continue
		}
		if !e.Next.After(now) {
			return e, now
		}
		wait = times.Earlier(wait, e.Next)
		if !e.overdue() {
			blocked = append(blocked, class)
		}
	}
	return nil, wait
}

// overdueAfter is after how many failed attempts a message that cannot be shown holds up those behind it no more:
// some two minutes.
const overdueAfter = 8

// overdue reports whether a message waits that could not be shown for long. Each time that it was tried in
// vain the next one is tried as well: either the channel works, and that one is shown first, or it does not,
// and the order is kept.
func (e *effect) overdue() bool { return e.Kind.shows() && e.Attempts >= overdueAfter }

// effect returns the queued effect with this number, or nil: it may have been settled by a read.
func (q queue) effect(n int64) *effect {
	for _, e := range q {
		if e.N == n {
			return e
		}
	}
	return nil
}

func (q queue) has(match func(*effect) bool) bool { return slices.ContainsFunc(q, match) }

// before are the effects in front of this one. Their order is not always that of their numbers: what an agent has changed
// has a new one, in the old place.
func (q queue) before(e *effect) queue { return q[:max(slices.Index(q, e), 0)] }

// drop removes the effects that match.
func (q *queue) drop(match func(*effect) bool) { *q = slices.DeleteFunc(*q, match) }

// at has push append to the queue, and puts what that brings in front of the effects that stood at this place.
func (q *queue) at(place int, push func()) {
	behind := slices.Clone((*q)[place:])
	*q = (*q)[:place]
	push()
	*q = append(*q, behind...)
}

// ofEntry matches what is to be done for a message of Crisp's log.
func ofEntry(crisp string, fp int64) func(*effect) bool {
	return func(e *effect) bool { return e.Crisp == crisp && e.FP == fp }
}

// ofMessage matches what is to be done for a message of the user.
func ofMessage(id string) func(*effect) bool {
	return func(e *effect) bool { return e.Incoming == id }
}

// remove removes one effect.
func (q *queue) remove(e *effect) { q.drop(func(x *effect) bool { return x == e }) }

// untried reports whether a message of the log waits, and no part of it was tried yet.
func (q queue) untried(crisp string, e *crisplog.Entry) bool {
	parts, tried := 0, len(e.ChannelID) > 0
	for _, x := range q {
		if x.Kind == kindDeliver && x.Crisp == crisp && x.FP == e.FP {
			parts++
			tried = tried || x.Attempts > 0
		}
	}
	return parts > 0 && !tried
}

// fault says what an effect lacks that its kind needs; "" for nothing. serial is the last number given.
func (e *effect) fault(serial int64) string {
	switch {
	case e == nil:
		return "an effect is null"
	case e.Kind == "":
		return "an effect has no kind"
	case e.N < 1 || e.N > serial:
		return "an effect has a number that was never given"
	case e.Part < 0 || e.Part > maxPart || e.Attempts < 0:
		return "an effect counts out of range"
	case (e.Kind == kindDeliver || e.Kind == kindRevise) && (e.Message == nil || e.Message.ID == ""):
		return "a delivery has no message"
	case e.Kind == kindOnEnd && e.Summary == nil:
		return "an end has no summary"
	case e.Kind == kindEnd && endTrigger(e.Reason) == "":
		return "an end has no reason"
	case e.Kind.posts() && (e.FP < 1 || e.FP > maxNumber):
		return "a message of ours has no number"
	case e.Kind == kindEdit && (e.FP == 0 || e.FP < -maxNumber || e.FP > maxNumber): // Crisp may have numbered the message, also below 0
		return "an edit is of no message"
	case e.Kind.fromUser() && (e.Incoming == "" || e.empty()):
		return "a post has no content"
	}
	return ""
}

// empty reports whether the content is none that is written.
func (e *effect) empty() bool {
	switch string(e.Content) {
	case "", "null", `""`, "{}", "[]":
		return true
	}
	return false
}

// follows reports whether nothing is queued of the parts that come before this one of a user's message.
func (q queue) follows(e *effect) bool {
	return e.Part > 0 && !q.has(func(x *effect) bool { return x.Incoming == e.Incoming && x.Part < e.Part })
}

// running reports whether a step was begun whose result is not written down yet.
func (q queue) running() bool { return q.has(func(e *effect) bool { return e.Running != 0 }) }

// recover makes ready again what a process had begun that has died or lost its claim. Nobody knows how far
// it came.
func (q queue) recover() {
	for _, e := range q {
		if e.Running != 0 {
			e.Running, e.Unsure = 0, e.Unsure || e.Kind == kindPost || e.Kind == kindGreet
		}
	}
}

// ends reports whether an end of the session's handover waits for the messages before it.
func (q queue) ends(crisp string) bool {
	return q.has(func(e *effect) bool { return e.Kind == kindEnd && e.Crisp == crisp })
}

// posts is how many messages of the user wait, without one of them.
func (q queue) posts(but *userMessage) (n int) {
	for _, e := range q {
		if (e.Kind == kindPost || e.Kind == kindEdit) && (but == nil || e.Incoming != but.ID) {
			n++
		}
	}
	return n
}

// dropResolve forgets that a Crisp session was to be resolved: it is needed again.
func (q *queue) dropResolve(crisp string) {
	q.drop(func(e *effect) bool { return e.Kind == kindResolve && e.Crisp == crisp })
}
