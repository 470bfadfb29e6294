package handover

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// see takes one message of the log. Each fingerprint is judged once; a known one with other
// content is an edit.
func (rec *record) see(s *crispSession, m *EventMessage, late bool) {
	at := order{m.Timestamp, m.Fingerprint}
	if m.Fingerprint == 0 {
		return
	}
	s.Newest = max(s.Newest, at.At)
	s.opened(m)
	e := s.entry(m.Fingerprint)
	switch {
	case e != nil && e.Status == entryOurs:
		e.At = at.At
		rec.proved(s, e.FP)
		return
	case e != nil:
		if !slices.Contains(e.Was, hashOf(m.Type, m.Content)) {
			rec.edit(s, e, m.Type, m.Content)
		}
		return
	}
	if s.Adopted {
		return // what is older than our opening message is known once that is seen
	}
	e = &logEntry{order: at, Status: entryWithheld, Type: m.Type}
	s.Table = append(s.Table, e)
	if at.At < s.From {
		return // written before our opening message
	}
	switch {
	case m.From == "user":
		rec.fromUser(s, m, e, late)
	case m.From != "operator":
		rec.observe(Activity{Kind: ActivityWithheld, CrispID: s.ID, Why: "author"})
	case rec.env.cfg.Origin != defaultOrigin && m.Origin == rec.env.cfg.Origin:
		e.Status = entryOurs
	case isPrivate(m.Type):
		rec.observe(Activity{Kind: ActivityWithheld, CrispID: s.ID, Why: "private"})
	case m.Automated || rec.env.cfg.Policy.isBot(m.Origin):
		rec.otherBot(s)
	default:
		rec.fromHuman(s, m, e, late)
	}
}

// opened makes the session's mark that of our opening message, when this is it.
func (s *crispSession) opened(m *EventMessage) {
	if s.Opening == 0 || m.Fingerprint != s.Opening {
		return
	}
	s.Mark, s.Opening, s.Echo = m.Timestamp, 0, time.Time{}
	if s.Adopted {
		s.Adopted, s.From, s.Watermark = false, m.Timestamp, m.Timestamp
	}
}

// early reports whether it is not known yet what in an adopted session is newer than our opening message.
func (s *crispSession) early() bool { return s.Adopted && s.Opening != 0 }

// fromUser takes a message of the user that we do not know: one of ours to which Crisp gave another
// fingerprint, or what the user wrote by email.
func (rec *record) fromUser(s *crispSession, m *EventMessage, e *logEntry, late bool) {
	if m.Origin == rec.env.cfg.Origin {
		rec.match(s, m)
		e.Status = entryOurs
		return
	}
	if !rec.env.cfg.Policy.DeliverUser {
		rec.observe(Activity{Kind: ActivityWithheld, CrispID: s.ID, Why: "user"})
		return
	}
	rec.show(s, m, e, Message{From: FromUser, Late: late})
}

// fromHuman takes a message of an agent: it is shown, and the agent has the conversation.
func (rec *record) fromHuman(s *crispSession, m *EventMessage, e *logEntry, late bool) {
	agent := agentOf(m)
	s.wrote(e, agent)
	what := cause{session: s, agent: agent, at: m.Timestamp}
	running := rec.human() && rec.Handover.CrispID == s.ID
	newer := s.newer(m.Timestamp)
	msg := Message{From: FromAgent, Agent: agent, Late: late}
	switch {
	case running:
		rec.fire(onHuman, what)
	case !newer || s.Gone || rec.human(): // where the conversation is gone nobody can take over
		msg.Late = msg.Late || !newer || s.Gone
		rec.fire(onLate, what)
	case rec.FollowUp != nil && rec.FollowUp.CrispID == s.ID:
		// The user may be gone: only a message that was shown is a takeover.
	case rec.env.cfg.Policy.NoTakeover:
	default:
		rec.fire(onHuman, what)
	}
	rec.show(s, m, e, msg)
}

// newer reports whether something in the session came after our last opening or end.
func (s *crispSession) newer(at int64) bool { return s.Opening == 0 && at > s.Mark }

// otherBot notes that another bot answers in Crisp. A user who waits is shown the way out, once.
func (rec *record) otherBot(s *crispSession) {
	rec.observe(Activity{Kind: ActivityOtherBot, CrispID: s.ID})
	if rec.State == StateWaiting && rec.Handover.CrispID == s.ID && !rec.Handover.OtherBot {
		rec.Handover.OtherBot = true
		rec.say(textStillWaiting, "")
	}
}

// maxPickers is how many agents' questions can be answered at a time.
const maxPickers = 8

// show queues a message of the log for the user, in as many parts as it needs.
func (rec *record) show(s *crispSession, m *EventMessage, e *logEntry, msg Message) {
	parts, err := fromCrisp(m.Type, m.Content, m.Fingerprint)
	if err != nil {
		e.Status = entryFailed
		rec.note(s.ID, noteNotShown)
		rec.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "type"})
		return
	}
	e.Status, e.Hash = entryShown, hashOf(m.Type, m.Content)
	if e.order.before(s.Shown) {
		msg.Late = true
	} else {
		s.Shown = e.order
	}
	if m.Type == "picker" {
		rec.Pickers = append(rec.Pickers, picker{Crisp: s.ID, FP: m.Fingerprint, Content: m.Content})
		rec.Pickers = rec.Pickers[max(0, len(rec.Pickers)-maxPickers):]
	}
	msg.At = time.UnixMilli(m.Timestamp).UTC()
	rec.queueParts(&rec.ToUser, s, e, parts, msg, "")
}

// queueParts queues the parts of a message; suffix tells a correction's ids from the first ones.
func (rec *record) queueParts(l *queue, s *crispSession, e *logEntry, parts []part, msg Message, suffix string) {
	id := ""
	if rec.Handover != nil && rec.Handover.CrispID == s.ID {
		id = rec.Handover.ID
	}
	for i, p := range parts {
		one := msg
		one.ID = messageID(s.ID, e.FP, i) + suffix
		if suffix != "" {
			one.Corrects = messageID(s.ID, e.FP, i)
		}
		one.Content, one.File = p.Content, p.File
		kind := kindDeliver
		if suffix != "" && rec.env.cfg.Revise != nil {
			kind = kindRevise
		}
		rec.push(l, effect{Kind: kind, HandoverID: id, Crisp: s.ID, FP: e.FP, Part: i, Message: &one})
	}
}

// edit gives the user the new content of a message that was shown.
func (rec *record) edit(s *crispSession, e *logEntry, typ string, content jsontext.Value) {
	hash := hashOf(typ, content)
	if e.Status != entryShown || hash == e.Hash {
		return
	}
	parts, err := fromCrisp(typ, content, e.FP)
	if err != nil {
		return
	}
	suffix := "@" + hash[:8]
	if slices.Contains(e.Was, hash) { // the same words once more are another correction
		suffix += "." + strconv.FormatInt(rec.next(), 10)
	}
	e.Was, e.Hash = append(e.Was[max(0, len(e.Was)+1-maxWas):], e.Hash), hash
	for i := range rec.Pickers {
		if p := &rec.Pickers[i]; p.Crisp == s.ID && p.FP == e.FP {
			p.Content = content
		}
	}
	msg := Message{From: FromAgent, Agent: s.author(e), At: time.UnixMilli(e.At).UTC()}
	waiting := func(x *effect) bool {
		return x.Kind == kindDeliver && x.Crisp == s.ID && x.FP == e.FP && x.Attempts == 0 && x.Message.Corrects == ""
	}
	if rec.replaceKept(s, e, parts, msg, suffix) {
		return
	}
	if rec.waits(s, e) { // nothing of it was shown yet: show the new content instead
		rec.ToUser.drop(waiting)
		suffix = ""
	}
	rec.queueParts(&rec.ToUser, s, e, parts, msg, suffix)
}

// kept finds what is kept of a message for the user's next sign.
func kept(s *crispSession, fp int64) func(*effect) bool {
	return func(x *effect) bool { return x.Crisp == s.ID && x.FP == fp }
}

// replaceKept gives a message that is kept for the user's next sign its new content. It reports whether
// that is all: the host may keep the message as well, and have it revised. Where a part was shown, or
// what is kept is a correction, the new content is one too.
func (rec *record) replaceKept(s *crispSession, e *logEntry, parts []part, msg Message, suffix string) bool {
	at := slices.IndexFunc(rec.Away, kept(s, e.FP))
	if at < 0 {
		return false
	}
	first := rec.Away[at]
	corrects := first.Message.Corrects != "" || first.Part > 0
	if !corrects {
		suffix = ""
	}
	var l queue
	rec.queueParts(&l, s, e, parts, msg, suffix)
	for _, x := range l.Queue {
		x.Attempts = first.Attempts
	}
	rec.Away = slices.Insert(slices.DeleteFunc(rec.Away, kept(s, e.FP)), at, l.Queue...)
	return corrects || len(e.ChannelID) == 0 || rec.env.cfg.Revise == nil
}

// maxWas is how many earlier contents of a message are known: reads are stale by seconds.
const maxWas = 16

// waits reports whether no part of the message was tried yet.
func (rec *record) waits(s *crispSession, e *logEntry) bool {
	parts, tried := 0, len(e.ChannelID) > 0
	for _, x := range rec.ToUser.Queue {
		if x.Kind == kindDeliver && x.Crisp == s.ID && x.FP == e.FP {
			parts++
			tried = tried || x.Attempts > 0
		}
	}
	return parts > 0 && !tried
}

// amend takes the edits and removals that hooks told of. An edit of something that was not shown
// changes nothing: what it is now is judged as a message of the log, so an edited note never leaks.
func (rec *record) amend(s *crispSession, n *reading, held bool) {
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		ev, ok := k.event()
		if !ok || !n.judges(k) {
			continue
		}
		switch {
		case ev.Removed != 0:
			rec.remove(s, ev.Removed)
		case ev.Update != nil:
			e := s.entry(ev.Update.Fingerprint)
			if e == nil && n.err != nil && !n.gone {
				n.hold(k)
			} else if e != nil && n.confirms(e, ev) {
				e.Edited = max(e.Edited, ev.At.UnixMilli())
				rec.edit(s, e, e.Type, ev.Update.Content)
			}
		}
	}
	if !held {
		for i := range n.singles {
			rec.see(s, &n.singles[i], true)
		}
	}
}

// confirms reports whether an edit that a hook tells of is the newest: the read shows it too, or,
// when the read did not go back so far, no later one was told of.
func (n *reading) confirms(e *logEntry, ev *Event) bool {
	i := slices.IndexFunc(n.messages, func(m EventMessage) bool { return m.Fingerprint == e.FP })
	if i < 0 {
		return ev.At.UnixMilli() >= e.Edited
	}
	return hashOf(e.Type, ev.Update.Content) == hashOf(n.messages[i].Type, n.messages[i].Content)
}

// remove takes the removal of a message, of which we may not have heard yet.
func (rec *record) remove(s *crispSession, fp int64) {
	e := s.entry(fp)
	if e == nil {
		s.Table = append(s.Table, &logEntry{order: order{s.Newest, fp}, Status: entryRemoved})
		return
	}
	if e.Status != entryShown {
		return
	}
	e.Status = entryRemoved
	rec.Pickers = slices.DeleteFunc(rec.Pickers, func(p picker) bool { return p.Crisp == s.ID && p.FP == fp })
	waiting := rec.waits(s, e)
	rec.ToUser.drop(func(x *effect) bool { return waiting && x.Crisp == s.ID && x.FP == fp })
	rec.Away = slices.DeleteFunc(rec.Away, kept(s, fp))
	if waiting || rec.env.cfg.Revise == nil {
		return
	}
	for i := range max(1, len(e.ChannelID)) {
		msg := &Message{ID: messageID(s.ID, fp, i) + "@removed", Corrects: messageID(s.ID, fp, i), From: FromAgent, Agent: s.author(e), At: time.UnixMilli(e.At).UTC()}
		rec.push(&rec.ToUser, effect{Kind: kindRevise, Crisp: s.ID, FP: fp, Part: i, Removed: true, Message: msg})
	}
}

// agentOf is who wrote a message. An avatar that is no web address is dropped.
func agentOf(m *EventMessage) Agent {
	a := Agent{ID: m.User.UserID, Name: m.User.Nickname, Avatar: m.User.Avatar}
	if !strings.HasPrefix(a.Avatar, "https://") && !strings.HasPrefix(a.Avatar, "http://") {
		a.Avatar = ""
	}
	return a
}

// author returns who wrote the message of a row.
func (s *crispSession) author(e *logEntry) Agent {
	if e.Author < 1 || e.Author > len(s.Authors) {
		return Agent{}
	}
	return s.Authors[e.Author-1]
}

// wrote notes who wrote the message of a row: few people write many messages.
func (s *crispSession) wrote(e *logEntry, a Agent) {
	i := slices.IndexFunc(s.Authors, func(b Agent) bool { return b.ID == a.ID && b.Name == a.Name })
	if i < 0 {
		i, s.Authors = len(s.Authors), append(s.Authors, a)
	}
	s.Authors[i], e.Author = a, i+1 // the avatar may be another one by now
}

// isPrivate reports whether a type of message is for the team alone.
func isPrivate(typ string) bool { return typ == "note" || typ == "event" }

// hashOf tells one content of a message from another. What the user chose in a picker is no
// content of the agent's.
func hashOf(typ string, content jsontext.Value) string {
	if typ == "picker" {
		if plain, err := answerPicker(content, -1); err == nil {
			content = plain
		}
	}
	return contentHash(typ, content)[:16]
}
