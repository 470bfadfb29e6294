package handover

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/persondata"

	"github.com/crisphandover/handover/internal/crisplog"
)

// queuePosts puts a message of the user on its way to Crisp, behind those before it.
func (rec *record) queuePosts(s *userMessage, ho *handover) {
	s.Status, s.Epoch, s.Handover = messagePosting, rec.Epoch, ho.ID
	s.Given = time.Time{} // a turn that was given for it holds no more
	ho.Trace = cmp.Or(s.Incoming.TraceParent, ho.Trace)
	if !rec.runs(ho.ID) {
		s.Handover = ""
	}
	if s.Edits != "" {
		rec.queueEdit(s, ho)
		return
	}
	for i, p := range s.Incoming.posts() {
		rec.queuePost(s, ho, i, p)
	}
}

// queuePost queues one part of a message of the user.
func (rec *record) queuePost(s *userMessage, ho *handover, part int, p post) {
	of := ofUser
	if s.Edits != "" {
		of = ofEdit
	}
	e := effect{Kind: kindPost, HandoverID: ho.ID, Crisp: ho.CrispID, Incoming: s.ID, Part: part, Type: p.typ, Content: p.content, At: rec.Sessions.Newest(ho.CrispID)}
	e.FP = fingerprint(rec.Conversation, ho.ID, of, s.ID, part)
	if p.marked {
		e.Text = textEdited
	}
	rec.push(&rec.ToCrisp, e)
	if c := rec.Sessions.ByID(ho.CrispID); c != nil {
		c.Log.Ours(e.FP)
	}
}

// match finds the post of ours to which Crisp gave another fingerprint, and settles it.
func (in *intake) match(m *crisplog.Message) {
	for _, e := range in.rec.ToCrisp {
		if e.Crisp == in.s.ID && e.Attempts > 0 && e.Kind == kindPost && e.same(m, in.rec.env.cfg.Origin) {
			in.rec.settle(&in.rec.ToCrisp, result{effect: e.N, fp: m.Fingerprint})
			return
		}
	}
}

// proved settles a post that Crisp's log shows, whatever became of the call.
func (rec *record) proved(s *crisplog.Session, fp int64) {
	for _, e := range rec.ToCrisp {
		if e.Crisp != s.ID || e.FP != fp || e.Attempts == 0 {
			continue
		}
		if e.Kind == kindPost || e.Kind == kindGreet || e.Kind == kindNote && e.Running == 0 {
			rec.settle(&rec.ToCrisp, result{effect: e.N, fp: fp})
			return
		}
	}
}

// returnToBot makes turns of the messages that an end gave back. One that nobody waits for any
// more is told to the user.
func (rec *record) returnToBot() {
	told := false
	for _, id := range rec.editsOf(rec.env.returned) {
		in := rec.UserMessages.find(id)
		if in == nil || in.Status != messagePosting {
			continue
		}
		in.Status, in.Epoch = messageTurn, rec.Epoch
		if in.Managed {
			in.Attempts, in.Since, in.Next = 0, time.Time{}, time.Time{}
			continue
		}
		if !in.Waits.After(rec.env.now) {
			in.Waits = time.Time{}
			rec.unsent(in)
			told = true
		}
	}
	rec.env.returned = nil
	if told {
		rec.say(textNotSent, "")
	}
}

// queueAnswer chooses in the agent's picker for the user.
func (rec *record) queueAnswer(s *userMessage, q crispcontent.Question, i int) bool {
	content, label, err := q.Answer(i)
	if err != nil {
		return false
	}
	s.Status, s.Epoch, s.Handover = messagePosting, rec.Epoch, rec.Handover.ID // it runs
	rec.push(&rec.ToCrisp, effect{Kind: kindAnswer, HandoverID: rec.Handover.ID, Crisp: q.Crisp, Incoming: s.ID, FP: q.FP, Content: content, Else: label})
	return true
}

// domain keeps the fingerprints of one kind of our messages apart from those of another, whatever ids
// channels give to messages.
type domain string

// The kinds of messages that we post.
const (
	ofUser    domain = "user"    // a message of the user, by its channel's id
	ofEdit    domain = "edit"    // an edit of one that is posted as a message of its own
	ofOpening domain = "opening" // the first message of a handover
	ofNote    domain = "note"    // a note for the agents, by its number
	ofPart    domain = "part"    // what follows of an opening or a note that is longer than one message may be
)

// fingerprint is the id of a message that we post: the same for the same message at each attempt,
// 15 digits like Crisp's own, below 2^53. owner is the handover or the Crisp session that it is of.
func fingerprint(c Conversation, owner string, of domain, id string, part int) int64 {
	text := make([]byte, 0, 512)
	for _, name := range []string{c.WebsiteID, c.Source, c.ID, owner, string(of), id} {
		text = append(appendQuoted(text, name), ' ')
	}
	sum := sha256.Sum256(strconv.AppendInt(text, int64(part), 10))
	const low, high = 100_000_000_000_000, 1_000_000_000_000_000
	return int64(binary.BigEndian.Uint64(sum[:8])%(high-low)) + low
}

// appendQuoted is strconv.AppendQuote, which takes long, made short for names of plain ASCII.
func appendQuoted(to []byte, name string) []byte {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return strconv.AppendQuote(to, name)
	}
	return append(append(append(to, '"'), name...), '"')
}

// messageID names one part of a message in Crisp's log.
func messageID(crisp string, fp int64, part int) string {
	if part == 0 {
		return fmt.Sprintf("%s/%d", crisp, fp)
	}
	return fmt.Sprintf("%s/%d.%d", crisp, fp, part)
}

// systemID names something that the library says.
func systemID(id, what string, n int64) string { return fmt.Sprintf("%s/%s/%d", id, what, n) }

// queueParts queues the parts of a message; suffix tells a correction's ids from the first ones.
func (in *intake) queueParts(l *queue, e *crisplog.Entry, parts []crispcontent.Part, msg Message, suffix string) {
	id := ""
	if in.rec.Handover != nil && in.rec.Handover.CrispID == in.s.ID {
		id = in.rec.Handover.ID
	}
	for i, p := range parts {
		one := msg
		one.ID = messageID(in.s.ID, e.FP, i) + suffix
		if suffix != "" {
			one.Corrects = messageID(in.s.ID, e.FP, i)
		}
		one.Content, one.File = contentOf(p)
		kind := kindDeliver
		if suffix != "" && in.rec.env.cfg.Revise != nil {
			kind = kindRevise
		}
		in.rec.push(l, effect{Kind: kind, HandoverID: id, Crisp: in.s.ID, FP: e.FP, Part: i, Message: &one})
	}
}

// maxHeld is how many effects wait for the user until Crisp's log is read no further, and how many deliveries
// are kept for a user who is away.
const maxHeld = 300

// unread reports whether a session's log is not read now, this being the queue to the user: an end waits until the messages before it are shown,
// or so much waits for the user that what follows is better left in Crisp.
func (q queue) unread(crisp string) bool {
	return q.ends(crisp) || len(q) > maxHeld/2
}

// replaceKept gives a message that is kept until the user is there again its new content. It reports
// whether nothing more is to do: a host that keeps the message as well has it revised, too. Where a part
// was shown, or what is kept is a correction, the new content becomes a correction.
func (in *intake) replaceKept(e *crisplog.Entry, parts []crispcontent.Part, msg Message, suffix string) bool {
	kept := ofEntry(in.s.ID, e.FP)
	at := slices.IndexFunc(in.rec.Away, kept)
	if at < 0 {
		return false
	}
	first := in.rec.Away[at]
	corrects := first.Message.Corrects != "" || first.Part > 0
	if !corrects {
		suffix = ""
	}
	var l queue
	in.queueParts(&l, e, parts, msg, suffix)
	for _, x := range l {
		x.Attempts = first.Attempts
	}
	in.rec.Away = slices.Insert(slices.DeleteFunc(in.rec.Away, kept), at, l...)
	return corrects || len(e.ChannelID) == 0 || in.rec.env.cfg.Revise == nil
}

// userAway keeps a message until the user is there again, unless Crisp can mail it. A host that keeps
// the message as well has returned the channel's id of it.
func (o *settlement) userAway() {
	s := o.s
	if s == nil || o.e.Kind != kindDeliver || o.e.Message.From != FromAgent {
		return // a system text is of no use later
	}
	if o.r.id != "" {
		o.e.named(s, o.r.id)
	}
	if !s.State.Email && o.rec.Handover != nil && o.rec.env.cfg.Policy.Email == EmailWhenAway {
		if address, ok := persondata.Email(o.rec.Handover.Request.User.Email); ok {
			o.rec.push(&o.rec.ToCrisp, effect{Kind: kindEmail, Crisp: s.ID, Note: address})
		}
	}
	if s.State.Email {
		return
	}
	if len(o.rec.Away) >= maxHeld {
		o.rec.unseen(o.e)
	} else {
		o.untried() // that nobody was there is no fault
		o.e.Since = time.Time{}
		o.rec.Away = append(o.rec.Away, o.e)
	}
}

// mailed notes that Crisp has the user's address: its mail follows up, now and from now on.
func (o *settlement) mailed() {
	if o.s != nil {
		o.s.State.Email = true
		o.rec.Away.drop(func(x *effect) bool { return x.Crisp == o.s.ID })
	}
}

// named notes the channel's id of the part that a delivery showed.
func (e *effect) named(s *crisplog.Session, id string) {
	if e.Message.Corrects == "" {
		s.Log.Name(e.FP, e.Part, id)
	}
}

// dropAway gives up the deliveries to a user who does not come back, and tells the agents. It reports whether
// there are any.
func (rec *record) dropAway() bool {
	if len(rec.Away) == 0 || !rec.idle() || rec.env.now.Before(rec.keepUntil()) {
		return false
	}
	for _, e := range rec.Away {
		rec.unseen(e)
	}
	rec.Away = nil
	return true
}

// unseen tells of a delivery that is given up because the user is away.
func (rec *record) unseen(e *effect) {
	rec.observe(Activity{Kind: ActivityNotShown, CrispID: e.Crisp, MessageID: e.Message.ID, Why: "away"})
	rec.note(e.Crisp, noteAway)
}

// userSign gives back the deliveries that were kept until the user is there again. One that is under way, and ends with
// the user away, is tried again: the sign may have come after that was found.
func (s *effects) userSign() {
	for _, e := range s.ToUser {
		e.Signed = e.Signed || e.Running != 0 && e.Kind == kindDeliver
	}
	if len(s.Away) == 0 {
		return
	}
	for _, e := range s.Away {
		e.Next = time.Time{}
		e.Message.Late = true
	}
	s.ToUser = append(s.Away, s.ToUser...)
	s.Away = nil
}

// maxMarks is how many messages one mark is about: older ones stay unmarked.
const maxMarks = 200

// mark queues the delivered and read marks, together with those that wait already.
func (rec *record) mark(crisp string, fp int64) {
	if rec.env.cfg.Policy.NoMarks {
		return
	}
	for _, e := range rec.ToCrisp {
		if e.Kind == kindMark && e.Crisp == crisp && e.Attempts == 0 {
			e.FPs = append(e.FPs[max(0, len(e.FPs)-maxMarks+1):], fp)
			return
		}
	}
	rec.push(&rec.ToCrisp, effect{Kind: kindMark, Crisp: crisp, FPs: []int64{fp}})
}

// marks reports whether one of these messages is to be marked.
func (q queue) marks(crisp string, fps []int64) bool {
	among := func(fp int64) bool { return slices.Contains(fps, fp) }
	return q.has(func(e *effect) bool {
		return e.Kind == kindMark && e.Crisp == crisp && slices.ContainsFunc(e.FPs, among)
	})
}

// takeMarks takes an effect of the queue that is not to be stored.
func (rec *record) takeMarks(e *effect) *marks {
	rec.ToCrisp.drop(func(x *effect) bool { return x == e })
	return &marks{about: rec.purpose(&step{effect: e}), crisp: e.Crisp, fps: e.FPs}
}

// answered notes that the picker shows the user's choice.
func (o *settlement) answered() {
	o.rec.Pickers.Removed(o.e.Crisp, o.e.FP)
	o.passed()
}

// answerFailed posts the answer as text when Crisp refuses to update the picker.
func (o *settlement) answerFailed() bool {
	if !o.rec.runs(o.e.HandoverID) { // its handover has ended: the message is the bot's
		o.giveBack()
		return true
	}
	api := apiError(o.r.err)
	if (api == nil || api.Temporary()) && (api == nil || api.StatusCode != http.StatusNotFound) {
		o.again(api) // choosing the same twice does no harm
		return false
	}
	in := o.rec.UserMessages.find(o.e.Incoming)
	if in == nil {
		return true
	}
	o.rec.ToCrisp.at(slices.Index(o.rec.ToCrisp, o.e)+1, func() { // in the answer's place
		o.rec.queuePost(in, o.rec.Handover, 0, post{typ: "text", content: crispcontent.NewText(o.e.Else)})
	})
	return true
}
