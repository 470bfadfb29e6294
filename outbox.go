package handover

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// queuePosts puts a message of the user on its way to Crisp, behind those before it.
func (rec *record) queuePosts(s *userMessage, ho *handover) {
	rec.posting(s, ho)
	for i, p := range s.Incoming.posts() {
		fp := fingerprint(rec.Conversation, ho.ID, ofUser, s.ID, i)
		rec.push(&rec.ToCrisp, effect{Kind: kindPost, HandoverID: ho.ID, Crisp: ho.CrispID, Incoming: s.ID, FP: fp, Part: i, Type: p.typ, Content: p.content, At: rec.newest(ho.CrispID)})
		if c := rec.Sessions.byID(ho.CrispID); c != nil {
			c.Log.ours(fp)
		}
	}
}

// posting notes that a message of the user is on its way to Crisp.
func (rec *record) posting(s *userMessage, ho *handover) {
	s.Status, s.Epoch, s.Handover = messagePosting, rec.Epoch, ""
	if rec.runs(ho.ID) {
		s.Handover = ho.ID
	}
}

// crowded reports whether too much waits for Crisp already to take n messages more.
func (rec *record) crowded(n int) bool {
	waiting := 0
	for _, e := range rec.ToCrisp {
		if e.Kind == kindPost {
			waiting++
		}
	}
	for _, m := range rec.UserMessages {
		if m.inHand() {
			waiting += m.Incoming.size()
		}
	}
	return waiting > 0 && waiting+n > rec.env.cfg.Limits.Waiting
}

// newest is Crisp's time of the newest that is known of a session: what is posted now comes after it.
func (rec *record) newest(crisp string) int64 {
	if s := rec.Sessions.byID(crisp); s != nil {
		return s.Log.Newest
	}
	return 0
}

// match finds the post of ours to which Crisp gave another fingerprint, and settles it.
func (rec *record) match(s *crispSession, m *EventMessage) {
	for _, e := range rec.ToCrisp {
		if e.Crisp == s.ID && e.Attempts > 0 && e.Kind == kindPost && e.same(m, rec.env.cfg.Origin) {
			rec.settle(&rec.ToCrisp, result{effect: e.N, fp: m.Fingerprint})
			return
		}
	}
}

// proved settles a post that Crisp's log shows, whatever became of the call.
func (rec *record) proved(s *crispSession, fp int64) {
	for _, e := range rec.ToCrisp {
		if e.Crisp != s.ID || e.FP != fp || e.Attempts == 0 {
			continue
		}
		if e.Kind == kindPost || e.Kind == kindGreet {
			rec.settle(&rec.ToCrisp, result{effect: e.N, fp: fp})
			return
		}
	}
}

// passed notes that one effect for a message of the user is done.
func (rec *record) passed(e *effect) {
	rest := slices.ContainsFunc(rec.ToCrisp, func(x *effect) bool { return x.Incoming == e.Incoming })
	in := rec.UserMessages.find(e.Incoming)
	if rest || in == nil || in.Status != messagePosting {
		return
	}
	in.done(messagePosted)
	rec.observe(Activity{Kind: ActivityRelayed, MessageID: in.ID, Attempt: e.Attempts, Took: rec.env.now.Sub(in.At)})
}

// giveBack gives the bot a message that Crisp has no part of.
func (rec *record) giveBack(e *effect) {
	rec.ToCrisp.drop(func(x *effect) bool { return x.Incoming == e.Incoming && x != e })
	rec.env.returned = append(rec.env.returned, e.Incoming)
	rec.returnToBot()
}

// follows reports whether Crisp has all parts of the message that come before this one.
func (rec *record) follows(e *effect) bool {
	return e.Part > 0 && !slices.ContainsFunc(rec.ToCrisp, func(x *effect) bool { return x.Incoming == e.Incoming && x.Part < e.Part })
}

// returnToBot makes turns of the messages that an end gave back. One that nobody waits for any
// more is told to the user.
func (rec *record) returnToBot() {
	told := false
	for _, id := range rec.env.returned {
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
func (rec *record) queueAnswer(s *userMessage, p picker, i int) bool {
	content, err := answerPicker(p.Content, i)
	if err != nil {
		return false
	}
	rec.posting(s, rec.Handover)
	label := pickerChoices(p.Content)[i].Label
	rec.push(&rec.ToCrisp, effect{Kind: kindAnswer, HandoverID: rec.Handover.ID, Crisp: p.Crisp, Incoming: s.ID, FP: p.FP, Content: content, Else: label})
	return true
}

// domain keeps the fingerprints of one kind of our messages apart from those of another, whatever ids
// channels give to messages.
type domain string

// The kinds of messages that we post.
const (
	ofUser    domain = "user"    // a message of the user, by its channel's id
	ofOpening domain = "opening" // the first message of a handover
	ofNote    domain = "note"    // a note for the agents, by its number
	ofPart    domain = "part"    // what follows of an opening or a note that is longer than one message may be
)

// fingerprint is the id of a message that we post: the same for the same message at each attempt,
// 15 digits like Crisp's own, below 2^53. owner is the handover or the Crisp session that it is of.
func fingerprint(c Conversation, owner string, of domain, id string, part int) int64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %q %d", c.WebsiteID, c.Source, c.ID, owner, of, id, part))
	const low, high = 100_000_000_000_000, 1_000_000_000_000_000
	return int64(binary.BigEndian.Uint64(sum[:8])%(high-low)) + low
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

// metasRequest is what an effect gives to a conversation's metas.
type metasRequest struct {
	Merge bool `json:"merge,omitzero"` // the conversation has metas already
}

// queueOpening queues the steps of an opening. Each is stored; whoever attends next goes on at the
// first that is not done.
func (rec *record) queueOpening(ho *handover) {
	step := func(e effect) {
		e.HandoverID, e.Crisp = ho.ID, ho.CrispID
		rec.push(&rec.ToCrisp, e)
	}
	ho.CrispID = cmp.Or(ho.Request.CrispID, rec.reopens(ho))
	switch {
	case ho.CrispID == "":
		step(effect{Kind: kindCreate})
	case rec.Sessions.byID(ho.CrispID) == nil:
		rec.Sessions = append(rec.Sessions, &crispSession{ID: ho.CrispID, Bounds: boundary{Adopted: true}})
	}
	rec.dropResolve(ho.CrispID)
	step(effect{Kind: kindMetas, Metas: &metasRequest{Merge: ho.CrispID != ""}})
	if ho.Request.Inbox != "" {
		step(effect{Kind: kindInbox, Note: ho.Request.Inbox})
	}
	if ho.Request.Operator != "" {
		step(effect{Kind: kindAssign, Note: ho.Request.Operator})
	}
	ho.Opening = fingerprint(rec.Conversation, ho.ID, ofOpening, "", 0)
	step(effect{Kind: kindGreet, FP: ho.Opening, At: rec.newest(ho.CrispID)})
	if ho.CrispID != "" {
		rec.awaitOpening(ho)
	}
}

// reopens returns the id of the Crisp session that is used again: the one that ended last, if that was
// a short time ago; else "".
func (rec *record) reopens(ho *handover) string {
	if s := rec.Sessions.reusable(ho.Timeouts.Reopen, rec.env.now); s != nil {
		return s.ID
	}
	return ""
}

// awaitOpening makes our opening message the session's boundary, as soon as Crisp's log shows it.
func (rec *record) awaitOpening(ho *handover) {
	s := rec.Sessions.byID(ho.CrispID)
	s.Bounds.await(ho.Opening)
	s.Log.ours(ho.Opening)
}

// followUpFailed says that nobody will answer by email after all.
func (rec *record) followUpFailed() {
	rec.say(textOpenFailed, "")
	rec.dropFollowUp()
}
