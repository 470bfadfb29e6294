package handover

import (
	"slices"
	"strconv"
	"time"

	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
)

// see judges one message of the log. The result is false if the message must wait. Each fingerprint is
// judged once; a known one with other content is an edit.
func (in *intake) see(x crisplog.Item) bool {
	rec, l, m := in.rec, &in.s.Log, x.Message
	if m.Fingerprint == 0 {
		return true
	}
	e := l.Entry(m.Fingerprint)
	if e != nil && e.Status == crisplog.Ours {
		at, _ := l.Echoed(e, m.Timestamp, rec.env.now)
		in.s.Bounds.Echoed(e.FP, at)
		rec.proved(in.s, e.FP)
		return true
	}
	if !x.Odd {
		l.Newest = max(l.Newest, x.At)
	}
	switch {
	case e != nil:
		if e.Status == crisplog.Shown && !slices.Contains(e.Was, crispcontent.Hash(m.Type, m.Content)) {
			in.edit(e, m.Type, m.Content)
		}
		return true
	case in.n.Judged(m.Fingerprint):
		return true
	case l.Knows(m.Fingerprint):
		if x.Odd { // each read may show it
			l.Again(m.Fingerprint)
		}
		return true
	case in.s.Bounds.Adopted && (x.Hook == 0 || !in.afterOpening(x)):
		return true // what is older than our opening message is known once that is seen
	case in.mustKnowState(x):
		return false
	}
	in.changed = true
	e = l.Add(&crisplog.Entry{Position: x.Position, Status: crisplog.Withheld, Type: m.Type})
	if m.Type == "text" {
		e.Type = ""
	}
	if x.At < in.s.Bounds.From {
		return true // written before our opening message
	}
	switch {
	case m.Private():
		if m.From != "operator" || !in.ours(m) {
			rec.observe(Activity{Kind: ActivityWithheld, CrispID: in.s.ID, Why: "private"})
		}
	case m.From == "user":
		in.fromUser(x, e)
	case m.From != "operator":
		rec.observe(Activity{Kind: ActivityWithheld, CrispID: in.s.ID, Why: "author"})
	case in.ours(m):
		e.Status = crisplog.Ours
	case m.Automated || rec.env.cfg.Policy.isBot(m.Origin):
		in.otherBot()
	default:
		in.fromHuman(x, e)
	}
	return true
}

// afterOpening reports whether a message in an adopted session, of which our opening message is not seen yet, was
// written after that, as far as clocks tell. Any other one is left to a later read.
func (in *intake) afterOpening(x crisplog.Item) bool {
	ho := in.rec.Handover
	return ho != nil && ho.CrispID == in.s.ID && in.rec.State != StateOpening && in.rec.clockOf(in.s).After(x.At, ho.Opened)
}

// ours reports whether an operator's message has our own origin.
func (in *intake) ours(m *crisplog.Message) bool {
	origin := in.rec.env.cfg.Origin
	return origin != defaultOrigin && m.Origin == origin
}

// isHuman reports whether a message is a person's in Crisp.
func (in *intake) isHuman(m *crisplog.Message) bool {
	return m.From == "operator" && !m.Private() && !m.Automated && !in.ours(m) && !in.rec.env.cfg.Policy.isBot(m.Origin)
}

// older reports whether an item is known to be older than our last opening or end. Nothing in a conversation
// is older than the handover that it was made for: an agent may write before our opening message is there.
func (in *intake) older(x crisplog.Item) bool {
	if ho := in.rec.Handover; ho != nil && in.s.Log.First != 0 && in.s.Log.First == ho.Opening {
		return false
	}
	b := &in.s.Bounds
	if b.Opening == 0 {
		return x.At < b.At
	}
	m := in.n.Message(b.Opening)
	return m != nil && x.At < m.Timestamp
}

// mustKnowState reports whether a message waits for a read of the state: it would take over a conversation
// that was resolved, or whose user was blocked, and it is not known whether that is so still. The read may
// fail or be old; after crisplog.HoldFor the message is judged by what is known.
func (in *intake) mustKnowState(x crisplog.Item) bool {
	if !in.s.State.Shut() || in.rec.human() || !in.isHuman(x.Message) || !in.s.Bounds.Newer(x.At) {
		return false
	}
	if in.n.Fresh(x.Message.Timestamp) || in.n.StateErr != nil || !in.n.Good() || x.Late {
		return false
	}
	wanted := false
	for _, k := range in.hooks() {
		if k.Shows(x.FP) && k.Ripe(in.s, false, in.rec.env.now) {
			return false
		}
		wanted = wanted || k.Want == x.FP
	}
	if !wanted {
		in.rec.Hooks.Put(crisplog.Hook{N: in.rec.next(), Crisp: in.s.ID, Got: in.rec.env.now, Want: x.FP, At: x.At, State: true, Signed: true})
	}
	return true
}

// fromUser judges a message of the user that we do not know: one of ours to which Crisp gave another
// fingerprint, or what the user wrote by email.
func (in *intake) fromUser(x crisplog.Item, e *crisplog.Entry) {
	rec := in.rec
	if x.Message.Origin == rec.env.cfg.Origin {
		in.match(x.Message)
		e.Status = crisplog.Ours
		return
	}
	if !rec.env.cfg.Policy.DeliverUser {
		rec.observe(Activity{Kind: ActivityWithheld, CrispID: in.s.ID, Why: "user"})
		return
	}
	in.show(x, e, Message{From: FromUser, Late: x.Late})
}

// fromHuman judges a message of an agent: it is shown, and it may make the conversation the agent's.
func (in *intake) fromHuman(x crisplog.Item, e *crisplog.Entry) {
	rec, s := in.rec, in.s
	agent := agentOf(x.Message.Author)
	s.Log.Wrote(e, crisplog.Author(agent))
	what := cause{session: s, agent: agent, at: x.At}
	newer := s.Bounds.Newer(x.At)
	runs := rec.runsIn(s.ID)
	shut := s.State.Shut() && !(in.n.Fresh(x.Message.Timestamp) && in.n.State.State != crisplog.SaysResolved && !in.n.State.Blocked)
	msg := Message{From: FromAgent, Agent: agent, Late: x.Late}
	switch {
	case runs && !in.older(x):
		rec.fire(onHuman, what)
	case runs: // written before our opening message: nobody answers that yet
		msg.Late = true
		rec.fire(onLate, what)
	case !newer || s.State.Closed() || shut || rec.human(): // where the conversation is closed nobody can take over
		msg.Late = msg.Late || !newer || s.State.Gone
		rec.fire(onLate, what)
	case rec.env.cfg.Policy.NoTakeover:
	case rec.followsUpIn(s.ID):
		// the user may be gone: only a message that was shown is a takeover, see takesOver
	default:
		s.State.Reopened()
		rec.fire(onHuman, what)
	}
	in.show(x, e, msg)
}

// otherBot notes that another bot answers in Crisp. A user who waits is shown the way out, once.
func (in *intake) otherBot() {
	rec := in.rec
	rec.observe(Activity{Kind: ActivityOtherBot, CrispID: in.s.ID})
	if rec.State == StateWaiting && rec.runsIn(in.s.ID) && !rec.Handover.OtherBot {
		rec.Handover.OtherBot = true
		rec.say(textStillWaiting, "")
	}
}

// show queues a message of the log for the user, in as many parts as it needs.
func (in *intake) show(x crisplog.Item, e *crisplog.Entry, msg Message) {
	rec, s, m := in.rec, in.s, x.Message
	parts, err := crispcontent.Show(m.Type, m.Content, m.Fingerprint)
	if err != nil {
		e.Status = crisplog.Failed
		rec.note(s.ID, noteNotShown)
		rec.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "type"})
		return
	}
	e.Status, e.Hash = crisplog.Shown, crispcontent.Hash(m.Type, m.Content)
	if e.Position.Before(s.Log.Shown) {
		msg.Late = true
	} else if !x.Odd {
		s.Log.Shown = e.Position
	}
	if parts[0].Cut {
		rec.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "link"})
	}
	rec.Pickers.Shown(s.ID, m.Fingerprint, m.Type, m.Content)
	msg.At, msg.TraceParent = time.UnixMilli(x.At).UTC(), validTrace(rec.Hooks.TraceOf(s.ID, m.Fingerprint))
	if rec.takesOver(s, &msg) {
		if e := rec.introduce(rec.FollowUp, msg.Agent); e != nil {
			e.Crisp, e.FP = s.ID, m.Fingerprint
		}
	}
	in.queueParts(&rec.ToUser, e, parts, msg, "")
}

// edit gives the user the new content of a message that was shown.
func (in *intake) edit(e *crisplog.Entry, typ string, content []byte) {
	rec, s := in.rec, in.s
	hash := crispcontent.Hash(typ, content)
	if e.Status != crisplog.Shown || hash == e.Hash {
		return
	}
	parts, err := crispcontent.Show(typ, content, e.FP)
	if err != nil {
		return
	}
	suffix := "@" + hash[:8]
	if _, again := e.Edit(hash); again { // the same words once more are another correction
		suffix += "." + strconv.FormatInt(rec.next(), 10)
	}
	in.changed = true
	rec.Pickers.Edited(s.ID, e.FP, content)
	msg := Message{From: FromAgent, Agent: Agent(s.Log.Author(e)), At: time.UnixMilli(e.At).UTC()}
	if in.replaceKept(e, parts, msg, suffix) {
		return
	}
	at := len(rec.ToUser)
	if rec.ToUser.untried(s.ID, e) { // nothing of it was shown yet: show the new content in its place
		waits := func(x *effect) bool {
			return x.Kind == kindDeliver && x.Crisp == s.ID && x.FP == e.FP && x.Attempts == 0 && x.Message.Corrects == ""
		}
		if first := slices.IndexFunc(rec.ToUser, waits); first >= 0 {
			at, msg.Late = first, rec.ToUser[first].Message.Late
		}
		rec.ToUser.drop(waits)
		suffix = ""
	}
	var l queue
	in.queueParts(&l, e, parts, msg, suffix)
	rec.ToUser = slices.Insert(rec.ToUser, at, l...)
}

// amend carries out the edits and removals that hooks told of. An edit of something that was not shown
// changes nothing: what it is now is judged as a message of the log, so an edited note never leaks. What was read by
// itself is judged once nothing is held back.
func (in *intake) amend(whole bool) {
	rec, s, n := in.rec, in.s, in.n
	failed := !n.Good() && !n.Gone
	api := apiError(n.StateErr)
	stateless, temporary := n.StateErr != nil && !n.Gone, api == nil || api.Temporary()
	for _, k := range in.hooks() {
		ev := k.Told
		if stateless && ev == nil && k.State && (temporary || k.TellsEnd()) {
			n.Hold(k) // it asks for the state, which could not be read
		}
		switch {
		case ev != nil && ev.LetIn:
			at, _ := s.Log.Plausible(ev.At, rec.env.now)
			s.State.Block(false, at)
		case ev != nil && ev.Removed != 0:
			in.remove(ev.Removed)
		case ev == nil && k.Removed && slices.Contains(n.Missing, k.Want) && !n.Shows(k.Want):
			in.remove(k.Want)
		case ev != nil && ev.Edited != 0:
			e := s.Log.Entry(ev.Edited)
			if e == nil && failed {
				n.Hold(k)
			} else if e != nil && n.Confirms(e, ev) {
				e.Edited = max(e.Edited, ev.At)
				in.edit(e, e.MessageType(), ev.Content)
			}
		}
	}
	if !whole {
		return
	}
	for i := range n.Singles {
		x := s.Log.Item(&n.Singles[i], rec.env.now)
		x.Late = true
		in.see(x)
	}
}

// remove handles the removal of a message, which may not even be known yet.
func (in *intake) remove(fp int64) {
	rec, s := in.rec, in.s
	e := s.Log.Entry(fp)
	if e == nil && s.Log.Knows(fp) {
		return
	}
	if e == nil {
		s.Log.Add(&crisplog.Entry{Position: crisplog.Position{At: s.Log.Newest, FP: fp}, Status: crisplog.Removed})
		return
	}
	if e.Status != crisplog.Shown {
		return
	}
	e.Status, in.changed = crisplog.Removed, true
	rec.Pickers.Removed(s.ID, fp)
	waiting, of := rec.ToUser.untried(s.ID, e), ofEntry(s.ID, fp)
	if waiting {
		if f := rec.FollowUp; f != nil && rec.ToUser.has(func(x *effect) bool { return of(x) && x.announces(f) }) {
			f.Agents = nil // the next one is announced
		}
		rec.ToUser.drop(of)
	}
	rec.Away.drop(of)
	if waiting || rec.env.cfg.Revise == nil {
		return
	}
	for i := range max(1, len(e.ChannelID)) {
		msg := &Message{ID: messageID(s.ID, fp, i) + "@removed", Corrects: messageID(s.ID, fp, i), From: FromAgent, Agent: Agent(s.Log.Author(e)), At: time.UnixMilli(e.At).UTC()}
		rec.push(&rec.ToUser, effect{Kind: kindRevise, Crisp: s.ID, FP: fp, Part: i, Removed: true, Message: msg})
	}
}
