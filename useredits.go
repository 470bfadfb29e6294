package handover

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/textsplit"
)

// An edit is a message of the user's own that says what an earlier one is to be. A message that nobody has
// yet gets the words of its edit in place of its own. Where Crisp has the message, its text is changed there.
// Else the agents get the edit as a message that is marked as one. What was answered is not answered again.

const (
	// maxEdits is how many edits are known by what they edit; older ones only by their own ids.
	maxEdits = 8
	// maxEditMark bounds Texts.Edited where it is posted, in UTF-16 units.
	maxEditMark = 100
	// editMark stands in the id of an edit that the channel gave no id of its own, before its number.
	editMark = "\uE000edit "
)

// hostID is the id that the channel gave to a message.
func (m *userMessage) hostID() string {
	if m.Edits != "" && strings.HasPrefix(m.ID, m.Edits+editMark) {
		return m.Edits
	}
	return m.ID
}

// hostID is the id that the channel gave to the message of an effect.
func (all userMessages) hostID(id string) string {
	if m := all.find(id); m != nil {
		return m.hostID()
	}
	return id
}

// lastEdit returns the newest edit of a message, or nil.
func (all userMessages) lastEdit(id string) *userMessage {
	for _, m := range slices.Backward(all) {
		if m.Edits == id {
			return m
		}
	}
	return nil
}

// edited returns the id of the message that an edit is about. Some channels name the edit before it.
func (all userMessages) edited(m *Incoming) string {
	if before := all.find(m.Edits); m.ID != m.Edits && before != nil && before.Edits != "" {
		return before.Edits
	}
	return m.Edits
}

// hasWords reports whether a message, of which last is the newest edit, has these words already. Of one that
// was changed in Crisp, and whose edits are forgotten, nobody knows.
func (rec *record) hasWords(about, last *userMessage, hash string) bool {
	newest := cmp.Or(last, about)
	if newest == nil || newest.Hash != hash {
		return false
	}
	if last != nil {
		return true
	}
	_, p, ok := rec.inCrisp(about.ID)
	return !ok || !p.Edited && !p.Marked
}

// became returns the message that an edit has become: the one that it is about while that has its words and
// nobody has it.
func (all userMessages) became(edit *userMessage) *userMessage {
	if edit != nil && edit.Edits != "" && edit.Status == messageEdited {
		if about := all.find(edit.Edits); about != nil && about.unfinished() {
			return about
		}
	}
	return edit
}

// takeEdit is takeIn for an edit. Known is one that was taken before, or changes nothing; without an id of its own it is known by its words:
// those that the message has now. Another one is over at once if an edit is known that was made later, or if the message that it is about
// can still get its words; else it has no status. Words that make the message longer than may wait are ErrCrowded.
func (rec *record) takeEdit(m *Incoming, hash string, size int) (in *userMessage, known bool, err error) {
	m.Edits = rec.UserMessages.edited(m)
	about, last := rec.UserMessages.find(m.Edits), rec.UserMessages.lastEdit(m.Edits)
	same := rec.hasWords(about, last, hash)
	if m.ID != m.Edits {
		in = rec.UserMessages.find(m.ID)
	} else if same {
		in = cmp.Or(last, about)
	}
	if in != nil {
		return rec.UserMessages.became(in), true, in.repeats(hash)
	}
	in = &userMessage{ID: m.ID, Edits: m.Edits, Hash: hash, Epoch: rec.Epoch, At: rec.env.now}
	if !m.At.IsZero() {
		in.Edited = plausibleTime(m.At, rec.env.now)
	}
	if m.ID == m.Edits {
		in.ID += editMark + strconv.FormatInt(rec.next(), 10)
	}
	rec.UserMessages, rec.Touched = append(rec.UserMessages, in), rec.env.now
	switch late := last != nil && !in.Edited.IsZero() && in.Edited.Before(last.Edited); {
	case late, same:
		in.done(messageEdited)
		in.Edits = "" // the newest one stays so
		return in, false, nil
	case rec.tooLong(about, size):
		return nil, false, ErrCrowded
	case rec.reword(about, m), last != nil && last.Status == messageTurn && rec.reword(last, m): // the bot is to answer it
		in.done(messageEdited)
	default:
		edit := *m
		edit.At = plausibleTime(m.At, rec.env.now)
		in.Incoming = &edit
	}
	rec.ToCrisp.supersede(last)
	return in, false, nil
}

// tooLong reports whether a message that waits must not become so long.
func (rec *record) tooLong(m *userMessage, size int) bool {
	waits := m != nil && m.Incoming != nil && (m.Status == messagePosting || m.inHand())
	return waits && size > m.Incoming.size() && rec.crowded(size, m)
}

// supersede ends an edit of which a newer one has come, if nobody has it yet.
func (q *queue) supersede(edit *userMessage) {
	if edit == nil || edit.Incoming == nil || edit.Status == messageTurn || edit.Status == messagePosting && !q.untouched(edit.ID) {
		return
	}
	q.drop(ofMessage(edit.ID))
	edit.done(messageEdited)
}

// reword gives a message that nobody has yet the words of its edit. It is false for any other one.
func (rec *record) reword(old *userMessage, edit *Incoming) bool {
	if old == nil || old.Incoming == nil || !old.unfinished() {
		return false
	}
	now := old.Incoming.reworded(edit)
	if old.Status == messagePosting {
		return rec.ToCrisp.untouched(old.ID) && rec.requeue(old, now)
	}
	old.Incoming = now
	return true
}

// reworded returns a message with the words of its edit. Files stay, unless the edit brings others.
func (m *Incoming) reworded(edit *Incoming) *Incoming {
	now := *m
	now.Text, now.Payload = edit.Text, edit.Payload
	if len(edit.Files) > 0 {
		now.Files = edit.Files
	}
	return &now
}

// untouched reports whether all of a message of the user is still to be posted.
func (q queue) untouched(id string) bool {
	first := q.has(func(e *effect) bool { return e.Incoming == id && e.Part == 0 })
	return first && !q.has(func(e *effect) bool {
		return e.Incoming == id && (e.Attempts > 0 || e.Running != 0 || e.Kind != kindPost && e.Kind != kindEdit)
	})
}

// requeue gives a message that waits for Crisp other words, in the place that it has.
func (rec *record) requeue(m *userMessage, words *Incoming) bool {
	at := slices.IndexFunc(rec.ToCrisp, ofMessage(m.ID))
	ho := rec.handoverOf(rec.ToCrisp[at].HandoverID)
	if ho == nil {
		return false
	}
	rec.ToCrisp.drop(ofMessage(m.ID))
	m.Incoming = words
	rec.ToCrisp.at(at, func() { rec.queuePosts(m, ho) })
	return true
}

// overtaken handles a new message of which an edit came before it: it gets the edit's words. It is over if
// these are on their way already.
func (all userMessages) overtaken(m *Incoming) (over bool) {
	edit := all.lastEdit(m.ID)
	if edit == nil {
		return false
	}
	if edit.Status == messageEdited && edit.Incoming != nil {
		*m = *m.reworded(edit.Incoming)
		edit.Incoming = nil
		return false
	}
	return edit.Status != messageAnswered
}

// editForNobody accepts an edit while the bot has the conversation, which is not asked again. Where Crisp has
// the message in a conversation that is open, it is changed there: agents may read it yet. An edit that came
// before its message keeps its words for that.
func (rec *record) editForNobody(in *userMessage) {
	known := rec.UserMessages.find(in.Edits) != nil
	s, p, ok := rec.inCrisp(in.Edits)
	if known = known || ok; ok && !s.State.Closed() && !s.State.Resolved && rec.changeInCrisp(in, s, p, "") {
		in.Status, in.Handover = messagePosting, ""
		return
	}
	in.Status = messageEdited
	if known {
		in.done(messageEdited)
	}
}

// queueEdit puts an edit on its way to the agents.
func (rec *record) queueEdit(in *userMessage, ho *handover) {
	s, p, ok := rec.inCrisp(in.Edits)
	files := in.Incoming.Files
	if ok && filesMark(files) == p.Files {
		files = nil // the agents have them
	}
	if ok && s.ID == ho.CrispID && rec.changeInCrisp(in, s, p, ho.ID) {
		for i, f := range (&Incoming{Files: files}).posts() {
			rec.queuePost(in, ho, i+1, f)
		}
		return
	}
	all := correction(in.Incoming, files)
	for i, one := range all {
		rec.queuePost(in, ho, i, one)
	}
	if len(all) == 0 {
		in.done(messageEdited)
	}
}

// correction is an edit as messages of its own.
func correction(m *Incoming, files []File) []post {
	all := (&Incoming{Text: m.Text, Payload: m.Payload, Files: files}).split(maxPost - maxEditMark)
	if len(all) > 0 && all[0].typ == "text" {
		all[0].marked = true
	}
	return all
}

// editsOf puts in the place of each message that goes back to the bot the edit that waited behind it, with the
// message's files: the bot answers the newest words, and nobody the old ones.
func (rec *record) editsOf(returned []string) []string {
	all := slices.Clone(returned)
	for i, id := range all {
		in, edit := rec.UserMessages.find(id), rec.UserMessages.lastEdit(id)
		if in == nil || in.Status != messagePosting || edit == nil || edit.Status != messagePosting {
			continue
		}
		if rec.ToCrisp.has(func(e *effect) bool { return e.Incoming == edit.ID && e.Kind != kindEdit && e.Attempts > 0 }) {
			continue // the agents may have it
		}
		words := *in.Incoming.reworded(edit.Incoming)
		words.ID, words.Edits, words.At, words.Seq = edit.Incoming.ID, edit.Incoming.Edits, edit.Incoming.At, edit.Incoming.Seq
		edit.Incoming = &words
		rec.ToCrisp.drop(ofMessage(edit.ID))
		in.done(messageEdited)
		all[i] = edit.ID
	}
	return all
}

// inCrisp finds a message of the user's in Crisp, or on its way there.
func (rec *record) inCrisp(id string) (*crisplog.Session, crisplog.Post, bool) {
	key := crisplog.PostKey(shortIDOf(id))
	for _, s := range slices.Backward(rec.Sessions) {
		if p, ok := s.Posts.Find(key); ok {
			return s, p, true
		}
	}
	for _, e := range rec.ToCrisp {
		if s := rec.Sessions.ByID(e.Crisp); s != nil && e.Kind == kindPost && e.Incoming == id && e.Part == 0 {
			return s, rec.postOf(e, e.FP), true
		}
	}
	return nil, crisplog.Post{}, false
}

// postOf is what is known in Crisp of a message of the user whose first part is posted by an effect, with this
// fingerprint.
func (rec *record) postOf(e *effect, fp int64) crisplog.Post {
	id, p := e.Incoming, crisplog.Post{Fingerprint: fp, Marked: e.Text == textEdited}
	if in := rec.UserMessages.find(e.Incoming); in != nil && in.Incoming != nil {
		id, p.Files = cmp.Or(in.Edits, in.ID), filesMark(in.Incoming.Files)
	}
	p.Of = crisplog.PostKey(shortIDOf(id))
	if e.Type != "text" || rec.ToCrisp.has(func(x *effect) bool {
		return x.Kind == kindPost && x.Incoming == e.Incoming && x.Part == 1 && x.Type == "text"
	}) {
		p.Fingerprint = 0
	}
	return p
}

// changeInCrisp queues an edit of a message that is in Crisp. It is false for one that cannot be edited there:
// one without a text before or after, or with a text that is longer than one message.
func (rec *record) changeInCrisp(in *userMessage, s *crisplog.Session, p crisplog.Post, handover string) bool {
	text := textsplit.Split(in.Incoming.Text, maxPost-maxEditMark)
	if p.Fingerprint == 0 || len(text) != 1 {
		return false
	}
	e := effect{Kind: kindEdit, HandoverID: handover, Crisp: s.ID, Incoming: in.ID, FP: p.Fingerprint, Type: "text", Content: crispcontent.NewText(text[0])}
	if p.Marked {
		e.Text = textEdited
	}
	rec.push(&rec.ToCrisp, e)
	return true
}

// filesMark tells the files of one message from others.
func filesMark(files []File) (mark crisplog.FilesMark) {
	if len(files) == 0 {
		return mark
	}
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %q %d ", f.Name, f.MIMEType, f.Size)
	}
	copy(mark[:], h.Sum(nil))
	return mark
}

// editFailed reports whether Crisp does not change a message. While its handover runs, the agents get the
// edit as a message of its own then.
func (o *settlement) editFailed() bool {
	api, now := apiError(o.r.err), o.rec.env.now
	soon := api == nil || api.Temporary() && !api.NeedsPerson() && api.StatusCode != 404
	if soon && o.e.Attempts < maxOptional && now.Sub(o.e.Since) < o.rec.env.cfg.Timeouts.Relay {
		o.again(api) // the same words twice do no harm
		return false
	}
	in := o.rec.UserMessages.find(o.e.Incoming)
	ho := o.rec.handoverOf(o.e.HandoverID)
	if in == nil || in.Incoming == nil {
		return true
	}
	if ho == nil || !o.rec.runs(ho.ID) {
		o.notSent()
		if !o.rec.ToCrisp.has(func(x *effect) bool { return x != o.e && x.Incoming == in.ID }) {
			in.done(messageEdited)
		}
		return true
	}
	o.rec.ToCrisp.at(slices.Index(o.rec.ToCrisp, o.e)+1, func() {
		for i, one := range correction(in.Incoming, nil) {
			o.rec.queuePost(in, ho, i, one)
		}
	})
	return true
}

// trimEdits knows the older edits by their own ids only.
func (all userMessages) trimEdits() {
	n := 0
	for _, m := range slices.Backward(all) {
		if m.Edits == "" || m.Incoming != nil {
			continue
		}
		if n++; n > maxEdits {
			m.Edits, m.Edited = "", time.Time{}
		}
	}
}
