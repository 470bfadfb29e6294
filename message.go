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
func (d *data) see(s *crispSession, m *EventMessage, late bool) {
	at := order{m.Timestamp, m.Fingerprint}
	if m.Fingerprint == 0 {
		return
	}
	s.Newest = max(s.Newest, at.At)
	s.opened(m)
	e := s.entry(m.Fingerprint)
	switch {
	case e != nil && e.Fate == fateOurs:
		e.At = at.At
		d.proved(s, e.FP)
		return
	case e != nil:
		if !slices.Contains(e.Was, hashOf(m.Type, m.Content)) {
			d.edit(s, e, m.Type, m.Content)
		}
		return
	}
	if s.Adopted {
		return // what is older than our opening message is known once that is seen
	}
	e = &entry{order: at, Fate: fateWithheld, Type: m.Type}
	s.Table = append(s.Table, e)
	if at.At < s.From {
		return // written before our opening message
	}
	switch {
	case m.From == "user":
		d.fromUser(s, m, e, late)
	case m.From != "operator":
		d.observe(Activity{Kind: ActivityWithheld, CrispID: s.ID, Why: "author"})
	case d.env.cfg.Origin != defaultOrigin && m.Origin == d.env.cfg.Origin:
		e.Fate = fateOurs
	case isPrivate(m.Type):
		d.observe(Activity{Kind: ActivityWithheld, CrispID: s.ID, Why: "private"})
	case m.Automated || d.env.cfg.Policy.isBot(m.Origin):
		d.otherBot(s)
	default:
		d.fromHuman(s, m, e, late)
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
func (d *data) fromUser(s *crispSession, m *EventMessage, e *entry, late bool) {
	if m.Origin == d.env.cfg.Origin {
		d.match(s, m)
		e.Fate = fateOurs
		return
	}
	if !d.env.cfg.Policy.DeliverUser {
		d.observe(Activity{Kind: ActivityWithheld, CrispID: s.ID, Why: "user"})
		return
	}
	d.show(s, m, e, Message{From: FromUser, Late: late})
}

// fromHuman takes a message of an agent: it is shown, and the agent has the conversation.
func (d *data) fromHuman(s *crispSession, m *EventMessage, e *entry, late bool) {
	agent := agentOf(m)
	s.wrote(e, agent)
	what := happening{session: s, agent: agent, at: m.Timestamp}
	running := d.human() && d.Stay.CrispID == s.ID
	newer := s.newer(m.Timestamp)
	msg := Message{From: FromAgent, Agent: agent, Late: late}
	switch {
	case running:
		d.fire(onHuman, what)
	case !newer || s.Gone || d.human(): // where the conversation is gone nobody can take over
		msg.Late = msg.Late || !newer || s.Gone
		d.fire(onLate, what)
	case d.FollowUp != nil && d.FollowUp.CrispID == s.ID:
		// The user may be gone: only a message that was shown is a takeover.
	case d.env.cfg.Policy.NoTakeover:
	default:
		d.fire(onHuman, what)
	}
	d.show(s, m, e, msg)
}

// newer reports whether something in the session came after our last opening or end.
func (s *crispSession) newer(at int64) bool { return s.Opening == 0 && at > s.Mark }

// otherBot notes that another bot answers in Crisp. A user who waits is shown the way out, once.
func (d *data) otherBot(s *crispSession) {
	d.observe(Activity{Kind: ActivityOtherBot, CrispID: s.ID})
	if d.State == StateWaiting && d.Stay.CrispID == s.ID && !d.Stay.OtherBot {
		d.Stay.OtherBot = true
		d.say(textStillWaiting, "")
	}
}

// maxPickers is how many agents' questions can be answered at a time.
const maxPickers = 8

// show queues a message of the log for the user, in as many parts as it needs.
func (d *data) show(s *crispSession, m *EventMessage, e *entry, msg Message) {
	parts, err := fromCrisp(m.Type, m.Content, m.Fingerprint)
	if err != nil {
		e.Fate = fateFailed
		d.note(s.ID, noteNotShown)
		d.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "type"})
		return
	}
	e.Fate, e.Hash = fateShown, hashOf(m.Type, m.Content)
	if e.order.before(s.Shown) {
		msg.Late = true
	} else {
		s.Shown = e.order
	}
	if m.Type == "picker" {
		d.Pickers = append(d.Pickers, picker{Crisp: s.ID, FP: m.Fingerprint, Content: m.Content})
		d.Pickers = d.Pickers[max(0, len(d.Pickers)-maxPickers):]
	}
	msg.At = time.UnixMilli(m.Timestamp).UTC()
	d.queueParts(&d.In, s, e, parts, msg, "")
}

// queueParts queues the parts of a message; suffix tells a correction's ids from the first ones.
func (d *data) queueParts(l *lane, s *crispSession, e *entry, parts []part, msg Message, suffix string) {
	stay := ""
	if d.Stay != nil && d.Stay.CrispID == s.ID {
		stay = d.Stay.ID
	}
	for i, p := range parts {
		one := msg
		one.ID = messageID(s.ID, e.FP, i) + suffix
		if suffix != "" {
			one.Corrects = messageID(s.ID, e.FP, i)
		}
		one.Content, one.File = p.Content, p.File
		kind := kindDeliver
		if suffix != "" && d.env.cfg.Revise != nil {
			kind = kindRevise
		}
		d.push(l, effect{Kind: kind, Stay: stay, Crisp: s.ID, FP: e.FP, Part: i, Message: &one})
	}
}

// edit gives the user the new content of a message that was shown.
func (d *data) edit(s *crispSession, e *entry, typ string, content jsontext.Value) {
	hash := hashOf(typ, content)
	if e.Fate != fateShown || hash == e.Hash {
		return
	}
	parts, err := fromCrisp(typ, content, e.FP)
	if err != nil {
		return
	}
	suffix := "@" + hash[:8]
	if slices.Contains(e.Was, hash) { // the same words once more are another correction
		suffix += "." + strconv.FormatInt(d.next(), 10)
	}
	e.Was, e.Hash = append(e.Was[max(0, len(e.Was)+1-maxWas):], e.Hash), hash
	for i := range d.Pickers {
		if p := &d.Pickers[i]; p.Crisp == s.ID && p.FP == e.FP {
			p.Content = content
		}
	}
	msg := Message{From: FromAgent, Agent: s.author(e), At: time.UnixMilli(e.At).UTC()}
	waiting := func(x *effect) bool {
		return x.Kind == kindDeliver && x.Crisp == s.ID && x.FP == e.FP && x.Attempts == 0 && x.Message.Corrects == ""
	}
	if d.replaceKept(s, e, parts, msg, suffix) {
		return
	}
	if d.waits(s, e) { // nothing of it was shown yet: show the new content instead
		d.In.drop(waiting)
		suffix = ""
	}
	d.queueParts(&d.In, s, e, parts, msg, suffix)
}

// kept finds what is kept of a message for the user's next sign.
func kept(s *crispSession, fp int64) func(*effect) bool {
	return func(x *effect) bool { return x.Crisp == s.ID && x.FP == fp }
}

// replaceKept gives a message that is kept for the user's next sign its new content. It reports whether
// that is all: the host may keep the message as well, and have it revised. Where a part was shown, or
// what is kept is a correction, the new content is one too.
func (d *data) replaceKept(s *crispSession, e *entry, parts []part, msg Message, suffix string) bool {
	at := slices.IndexFunc(d.Away, kept(s, e.FP))
	if at < 0 {
		return false
	}
	first := d.Away[at]
	corrects := first.Message.Corrects != "" || first.Part > 0
	if !corrects {
		suffix = ""
	}
	var l lane
	d.queueParts(&l, s, e, parts, msg, suffix)
	for _, x := range l.Queue {
		x.Attempts = first.Attempts
	}
	d.Away = slices.Insert(slices.DeleteFunc(d.Away, kept(s, e.FP)), at, l.Queue...)
	return corrects || len(e.ChannelID) == 0 || d.env.cfg.Revise == nil
}

// maxWas is how many earlier contents of a message are known: reads are stale by seconds.
const maxWas = 16

// waits reports whether no part of the message was tried yet.
func (d *data) waits(s *crispSession, e *entry) bool {
	parts, tried := 0, len(e.ChannelID) > 0
	for _, x := range d.In.Queue {
		if x.Kind == kindDeliver && x.Crisp == s.ID && x.FP == e.FP {
			parts++
			tried = tried || x.Attempts > 0
		}
	}
	return parts > 0 && !tried
}

// amend takes the edits and removals that hooks told of. An edit of something that was not shown
// changes nothing: what it is now is judged as a message of the log, so an edited note never leaks.
func (d *data) amend(s *crispSession, n *news, held bool) {
	for i := range d.Inbox {
		k := &d.Inbox[i]
		ev, ok := k.event()
		if !ok || !n.judges(k) {
			continue
		}
		switch {
		case ev.Removed != 0:
			d.remove(s, ev.Removed)
		case ev.Update != nil:
			e := s.entry(ev.Update.Fingerprint)
			if e == nil && n.err != nil && !n.gone {
				n.hold(k)
			} else if e != nil && n.confirms(e, ev) {
				e.Edited = max(e.Edited, ev.At.UnixMilli())
				d.edit(s, e, e.Type, ev.Update.Content)
			}
		}
	}
	if !held {
		for i := range n.singles {
			d.see(s, &n.singles[i], true)
		}
	}
}

// confirms reports whether an edit that a hook tells of is the newest: the read shows it too, or,
// when the read did not go back so far, no later one was told of.
func (n *news) confirms(e *entry, ev *Event) bool {
	i := slices.IndexFunc(n.messages, func(m EventMessage) bool { return m.Fingerprint == e.FP })
	if i < 0 {
		return ev.At.UnixMilli() >= e.Edited
	}
	return hashOf(e.Type, ev.Update.Content) == hashOf(n.messages[i].Type, n.messages[i].Content)
}

// remove takes the removal of a message, of which we may not have heard yet.
func (d *data) remove(s *crispSession, fp int64) {
	e := s.entry(fp)
	if e == nil {
		s.Table = append(s.Table, &entry{order: order{s.Newest, fp}, Fate: fateRemoved})
		return
	}
	if e.Fate != fateShown {
		return
	}
	e.Fate = fateRemoved
	d.Pickers = slices.DeleteFunc(d.Pickers, func(p picker) bool { return p.Crisp == s.ID && p.FP == fp })
	waiting := d.waits(s, e)
	d.In.drop(func(x *effect) bool { return waiting && x.Crisp == s.ID && x.FP == fp })
	d.Away = slices.DeleteFunc(d.Away, kept(s, fp))
	if waiting || d.env.cfg.Revise == nil {
		return
	}
	for i := range max(1, len(e.ChannelID)) {
		msg := &Message{ID: messageID(s.ID, fp, i) + "@removed", Corrects: messageID(s.ID, fp, i), From: FromAgent, Agent: s.author(e), At: time.UnixMilli(e.At).UTC()}
		d.push(&d.In, effect{Kind: kindRevise, Crisp: s.ID, FP: fp, Part: i, Removed: true, Message: msg})
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
func (s *crispSession) author(e *entry) Agent {
	if e.Author < 1 || e.Author > len(s.Authors) {
		return Agent{}
	}
	return s.Authors[e.Author-1]
}

// wrote notes who wrote the message of a row: few people write many messages.
func (s *crispSession) wrote(e *entry, a Agent) {
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
