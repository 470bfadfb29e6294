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

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
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

// posted notes that Crisp has a message.
func (o *settlement) posted() {
	if s := o.s; s != nil {
		s.State.Reopened() // a message of the user reopens
		s.State.Refused, s.State.Failed = 0, 0
		s.Log.Ours(o.r.fp)
		o.remember()
	}
	o.passed()
}

// remember notes where a message of the user is in Crisp, for its edits.
func (o *settlement) remember() {
	fp := cmp.Or(o.r.fp, o.e.FP)
	if o.e.Part == 0 {
		o.s.Posts.Put(o.rec.postOf(o.e, fp))
	}
	for _, x := range o.rec.ToCrisp { // edits that wait for the message
		if x.Kind == kindEdit && x.Crisp == o.s.ID && x.FP == o.e.FP {
			x.FP = fp
		}
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

// timed takes what the answer to a post tells that its hook settled first: when it was posted. It reports
// whether that is new.
func (o *settlement) timed() (changed bool) {
	if o.r.err != nil || o.r.fp == 0 || o.r.found || o.r.begun.IsZero() {
		return false
	}
	for _, s := range o.rec.Sessions {
		changed = s.Log.Sent(o.r.fp, o.r.begun, o.rec.env.now) || changed
	}
	return changed
}

// passed notes that one effect for a message of the user is done.
func (o *settlement) passed() {
	in := o.rec.UserMessages.find(o.e.Incoming)
	if in == nil || in.Status != messagePosting || o.rec.ToCrisp.has(ofMessage(o.e.Incoming)) {
		return
	}
	o.rec.observe(Activity{Kind: ActivityRelayed, MessageID: in.hostID(), TraceParent: o.rec.UserMessages.trace(in.ID), Attempt: o.e.Attempts, Took: o.rec.env.now.Sub(in.At)})
	in.done(messagePosted)
}

// answered notes that the picker shows the user's choice.
func (o *settlement) answered() {
	o.rec.Pickers.Removed(o.e.Crisp, o.e.FP)
	o.passed()
}

// postFailed reports whether a message is given up: Crisp refuses it for good. Otherwise it is
// tried until it passes or the handover ends; an outcome that is unknown is looked up first.
func (o *settlement) postFailed() bool {
	api := apiError(o.r.err)
	if o.r.gone { // its handover has ended: the message is the bot's
		o.giveBack()
		return true
	}
	if api != nil && api.StatusCode == http.StatusConflict && !o.e.Unsure && o.full() {
		return true
	}
	if api != nil && !api.Temporary() && !o.e.Unsure {
		o.refuse(api)
		return true
	}
	running := o.rec.runs(o.e.HandoverID)
	if !running && !o.e.Unsure && o.e.Part == 0 && (api == nil || api.SafeToRetry()) {
		o.giveBack()
		return true
	}
	if !running && o.rec.env.now.Sub(o.e.Since) > o.rec.env.cfg.Timeouts.Relay {
		o.refuse(api)
		return true
	}
	o.again(api)
	if o.e.Unsure && api != nil && api.StatusCode == http.StatusNotFound {
		o.rec.requestRead(o.e.Crisp) // reads tell whether the conversation is gone
	}
	o.mayBeThere(api)
	return false
}

// mayBeThere notes of a message that failed that Crisp may have it: that is looked up once the call is over for sure.
func (o *settlement) mayBeThere(api *crispapi.Error) {
	if !o.e.Unsure && api != nil && !api.SafeToRetry() {
		o.e.Unsure = true
		o.e.Next = times.Later(o.e.Next, o.r.begun.Add(callTimeout))
	}
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

// refuse gives a message up, and says so.
func (o *settlement) refuse(api *crispapi.Error) {
	o.notSent()
	if o.e.Type != "text" {
		o.rec.note(o.e.Crisp, noteOtherFile)
	}
	o.rec.ToCrisp.drop(ofMessage(o.e.Incoming))
	if in := o.rec.UserMessages.find(o.e.Incoming); in != nil {
		in.done(messageRefused)
		if api != nil {
			in.Fault = fmt.Sprintf("HTTP %d %s", api.StatusCode, api.Reason)
		}
	}
	if o.s != nil {
		if o.s.State.Refused++; o.s.State.Refused >= maxRefused {
			o.closes() // and says so
			return
		}
	}
	o.rec.say(textNotSent, "")
}

// maxRefused is how many messages in a row Crisp refuses for good until the conversation is taken for
// one that takes none.
const maxRefused = 3

// notSent tells of a message of the user that is given up.
func (o *settlement) notSent() {
	o.rec.observe(Activity{Kind: ActivityNotSent, MessageID: o.rec.UserMessages.hostID(o.e.Incoming), Err: o.r.err, Attempt: o.e.Attempts})
}

// full takes Crisp's 409, with which it refuses a message of a conversation that has too many. It
// reports whether that is settled: after an earlier attempt the message may be there already, which is
// looked up first.
func (o *settlement) full() bool {
	if o.e.Attempts > 1 {
		o.e.Unsure = true
		return false
	}
	o.notSent()
	running := o.rec.runs(o.e.HandoverID)
	if o.s != nil {
		o.closes() // which gives the bot what is on its way
	}
	if !running {
		o.giveBack()
	}
	return true
}

// closes notes that a session takes no more messages, and ends the handover that runs in it.
func (o *settlement) closes() {
	o.s.State.Full = true
	if o.rec.runsIn(o.s.ID) {
		o.rec.fire(onRelayFailed, cause{})
	}
}

// giveBack gives the bot a message that Crisp has no part of.
func (o *settlement) giveBack() {
	o.rec.ToCrisp.drop(ofMessage(o.e.Incoming))
	o.rec.env.returned = append(o.rec.env.returned, o.e.Incoming)
	o.rec.returnToBot()
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
