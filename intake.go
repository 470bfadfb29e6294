package handover

import (
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// intake works what a read of one Crisp session brought, together with the session's hooks, into the
// record: messages and changes of state in Crisp's order, then edits and removals.
type intake struct {
	rec  *record
	s    *crispSession
	n    *reading
	news bool // something was new in it
}

// receive puts an event into the queue of hooks, and reports whether it concerns us. An echo of our own
// message costs no read.
func (rec *record) receive(ev *Event) bool {
	s := rec.Sessions.byID(ev.SessionID)
	if s == nil {
		return false
	}
	if ev.Ambiguous {
		rec.observe(Activity{Kind: ActivityHook, CrispID: s.ID, Why: "ambiguous"})
	}
	at, sane := s.Log.plausible(ev.At.UnixMilli(), rec.env.now)
	if ev.Signed && ev.Message != nil {
		if ours, news := rec.echo(s, ev.Message); ours {
			return news
		}
	}
	switch {
	case ev.Rating != nil:
		return rec.rated(s, ev)
	case !ev.Signed && ev.Message != nil && s.settled(ev.Message.Fingerprint):
		return false // a read would show what we know
	case ev.Raw != nil && !ev.Ambiguous && !concerns(ev),
		ev.Name == eventSessionSetRouting && !rec.env.cfg.Policy.ClaimOnAssign:
		return false
	case !ev.Signed && ev.State != "" && ev.State != saysResolved && !s.State.Resolved && s.State.Doubt.IsZero():
		return false // it is open, as far as is known
	case ev.Signed && ev.State != "" && ev.State != saysResolved && !ev.At.IsZero() && !rec.Hooks.tellState(s.ID):
		changed := s.State.Resolved || !s.State.Doubt.IsZero()
		s.State.told(false, at) // no other state waits: no read is needed
		return changed
	case ev.Signed && rec.State == StateOpening && rec.Handover.CrispID == s.ID && at > s.Bounds.At && ev.Blocked != nil && *ev.Blocked:
		s.State.block(true, at)
		rec.fire(onBlocked, cause{at: at}) // other hooks wait until it is open
		return true
	}
	s.State.Gone = s.State.Gone || ev.Signed && ev.Name == eventSessionRemoved
	k := hookOf(ev)
	k.N, k.Got = rec.next(), rec.env.now
	if _, ok := s.Log.plausible(k.At, rec.env.now); !ok || ev.Message == nil && !sane {
		k.At = 0 // it tells nothing of when that was
	}
	if rec.Hooks.put(k) {
		rec.observe(Activity{Kind: ActivityHook, CrispID: s.ID, Why: "too_many"})
	}
	return true
}

// look asks for a read of a session.
func (rec *record) look(crisp string) {
	rec.Hooks.put(hook{N: rec.next(), Crisp: crisp, Got: rec.env.now, State: true, Signed: true})
}

// rated tells of a rating, once. Nothing that can be read proves one: of hooks that are not signed only
// the first counts.
func (rec *record) rated(s *crispSession, ev *Event) bool {
	stars := ev.Rating.Stars
	if stars < 1 || stars > 5 || stars == s.Stars || !ev.Signed && s.Stars != 0 {
		return false
	}
	s.Stars = stars
	rec.observe(Activity{Kind: ActivityRated, CrispID: s.ID, Stars: int(stars)})
	return true
}

// echo handles the hook of a message that we posted ourselves: it proves that Crisp has the message. Most
// say nothing new that would be worth a save.
func (rec *record) echo(s *crispSession, m *EventMessage) (ours, news bool) {
	e := s.Log.entry(m.Fingerprint)
	if e == nil || e.Status != entryOurs {
		known, ok := s.Log.Known.find(m.Fingerprint)
		return e == nil && ok && known.hash == contentMark{} && m.From == "user", false
	}
	before := s.Log.clockSample
	news = rec.awaits(e.FP) || s.Bounds.Opening == e.FP || s.Bounds.Note == e.FP || s.Log.Unheard >= maxUnheard
	at, _ := s.Log.echoed(e, m.Timestamp, rec.env.now)
	s.Bounds.echoed(e.FP, at)
	news = news || s.Log.clockSample != before
	rec.proved(s, m.Fingerprint)
	return true, news
}

// take works what a read brought into the record.
func (rec *record) take(n *reading) {
	s := rec.Sessions.byID(n.of.crisp)
	if s == nil {
		return
	}
	in := &intake{rec: rec, s: s, n: n}
	n.gone = n.gone && in.confirmsRemoval()
	s.State.Gone = s.State.Gone || n.gone
	in.noteRead()
	in.recall()
	if in.foundOpening() {
		in.clear()
		return
	}
	t := rec.timelineOf(s, n)
	done := in.run(t)
	for _, o := range n.odd { // now that our opening message is known, if it was read
		in.report(o)
	}
	if n.err == nil && !n.blind && !s.Bounds.early() {
		in.advance(t, done)
	}
	in.amend(t.held != nil || done < len(t.items))
	if t.held == nil && done == len(t.items) {
		in.judgeRead()
	} else if !s.State.Doubt.IsZero() {
		s.State.Doubt = rec.env.now // something is newer than it: a minute begins again
	}
	in.clear()
}

// foundOpening handles an adopted session of which a read shows our opening message by itself, and not on
// the one page that was read: all there is newer. The log is read again, back to the opening message.
func (in *intake) foundOpening() bool {
	s, n := in.s, in.n
	opening := s.Bounds.Opening
	byItself := func(m EventMessage) bool { return m.Fingerprint == opening }
	if !s.Bounds.early() || n.err != nil || n.blind || slices.ContainsFunc(n.messages, byItself) {
		return false
	}
	i := slices.IndexFunc(n.singles, byItself)
	if i < 0 {
		return false
	}
	m := &n.singles[i]
	at, ok := s.Log.plausible(m.Timestamp, in.rec.env.now)
	in.see(item{position: position{at, m.Fingerprint}, msg: m, odd: !ok})
	for _, k := range in.rec.Hooks.of(s.ID, n.of.upto) {
		n.hold(k)
	}
	in.rec.look(s.ID)
	in.news = true
	return true
}

// noteRead notes how the read went.
func (in *intake) noteRead() {
	rec, s, n := in.rec, in.s, in.n
	switch {
	case n.blind:
		return
	case n.err == nil:
		s.Reads.succeeded(n.begun)
		s.State.Missing = time.Time{}
	default:
		api := apiError(n.err)
		if postponed(n.err) { // nothing was read, and so nothing failed
			s.Reads.Retry = rec.env.now.Add(api.wait())
			return
		}
		s.Reads.failed(rec.env.now, readPause(api, s.Reads.Fails+1))
		rec.observe(Activity{Kind: ActivityFault, CrispID: s.ID, Err: n.err, Attempt: s.Reads.Fails, Effect: "look"})
	}
	if newest := n.newest(); n.cut && !n.of.early && newest > s.Log.Cut {
		s.Log.Cut = newest
		rec.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "too_many"})
		rec.note(s.ID, noteNotShown)
	}
}

// readPause is how long a session is not read after a read that failed: what a person must mend is
// tried again ever more rarely, up to an hour.
func readPause(api *APIError, fails int) time.Duration {
	if api != nil && api.needsPerson() {
		return min(time.Minute<<min(fails-1, 6), time.Hour)
	}
	wait := min(delay(fails), lookAgain)
	if api != nil {
		wait = max(wait, api.wait())
	}
	return wait
}

// maxOdd is how many messages that could not be read are remembered, so that each is reported once. A read
// that shows more of them than that tells of so many.
const maxOdd = 256

// report tells of a message that cannot be used: nobody knows whether it is for the user. One that is
// known to be private, or the user's own, is no agent's to send again.
func (in *intake) report(o oddMessage) {
	l := &in.s.Log
	if slices.Contains(l.Odd, o.id) || in.s.Bounds.early() || o.at != 0 && o.at < in.s.Bounds.From {
		return
	}
	if o.private || o.fingerprint != 0 && l.knows(o.fingerprint) {
		return
	}
	if len(l.Odd) >= maxOdd { // what this read shows as well would be told of again
		old := slices.IndexFunc(l.Odd, func(id string) bool {
			return !slices.ContainsFunc(in.n.odd, func(o oddMessage) bool { return o.id == id })
		})
		if old < 0 {
			return
		}
		l.Odd = slices.Delete(l.Odd, old, old+1)
	}
	l.Odd = append(l.Odd, o.id)
	in.news = true
	in.rec.observe(Activity{Kind: ActivityNotShown, CrispID: in.s.ID, Why: o.why})
	in.rec.note(in.s.ID, noteNotShown)
}

// run judges the items of a timeline in order, and returns how many it judged. It stops after an end,
// which waits until the messages before it are shown: what came after the end is judged once it has
// been carried out.
func (in *intake) run(t *timeline) int {
	for i, x := range t.items {
		switch {
		case x.msg == nil:
			in.judge(x)
		case !in.see(x):
			in.later(t.items[i:])
			return i
		}
		if in.rec.ending(in.s.ID) {
			in.later(t.items[i+1:])
			return i + 1
		}
	}
	return len(t.items)
}

// later keeps what these items are from, and what only asks for a read, so that they are judged by the
// next read. Items of which no hook is left get one.
func (in *intake) later(items []item) {
	if len(items) == 0 {
		return
	}
	hooks := in.rec.Hooks.of(in.s.ID, in.n.of.upto)
	waits := func(k *hook) bool {
		return slices.ContainsFunc(items, func(x item) bool { return x.hook == k.N || x.msg != nil && x.FP == k.Want })
	}
	kept := make(map[int64]bool)
	for _, k := range hooks {
		ev := k.event()
		if ev == nil && k.State || ev != nil && ev.Routing != nil && k.At >= items[0].At || waits(k) {
			in.n.hold(k)
			kept[k.Want] = true
		}
	}
	for _, x := range items {
		if x.msg != nil && !kept[x.FP] && !in.s.Log.knows(x.FP) {
			in.rec.Hooks.put(hook{N: in.rec.next(), Crisp: in.s.ID, Got: in.rec.env.now, Signed: true})
			return
		}
	}
}

// advance moves the watermark: all before it was read and is written down.
func (in *intake) advance(t *timeline, done int) {
	l := &in.s.Log
	for _, x := range t.items[:done] {
		if x.msg == nil || x.odd {
			continue
		}
		l.Watermark = max(l.Watermark, x.At)
		if in.n.shows(x.FP) {
			l.Last = x.FP
		}
	}
}

// see judges one message of the log. The result is false if the message must wait. Each fingerprint is
// judged once; a known one with other content is an edit.
func (in *intake) see(x item) bool {
	rec, l, m := in.rec, &in.s.Log, x.msg
	if m.Fingerprint == 0 {
		return true
	}
	e := l.entry(m.Fingerprint)
	if e != nil && e.Status == entryOurs {
		at, _ := l.echoed(e, m.Timestamp, rec.env.now)
		in.s.Bounds.echoed(e.FP, at)
		rec.proved(in.s, e.FP)
		return true
	}
	if !x.odd {
		l.Newest = max(l.Newest, x.At)
	}
	switch {
	case e != nil:
		if !slices.Contains(e.Was, hashOf(m.Type, m.Content)) {
			in.edit(e, m.Type, m.Content)
		}
		return true
	case in.n.judged[m.Fingerprint]:
		return true
	case l.Known.has(m.Fingerprint):
		if known, _ := l.Known.find(m.Fingerprint); x.odd { // each read may show it
			l.Known.add(known)
		}
		return true
	case in.s.Bounds.Adopted && (x.hook == 0 || !in.afterAsking(x)):
		return true // what is older than our opening message is known once that is seen
	case in.mustKnowState(x):
		return false
	}
	in.news = true
	e = l.add(&logEntry{position: x.position, Status: entryWithheld, Type: m.Type})
	if m.Type == "text" {
		e.Type = ""
	}
	if x.At < in.s.Bounds.From {
		return true // written before our opening message
	}
	switch {
	case isPrivate(m.Type):
		if m.From != "operator" || !in.ours(m) {
			rec.observe(Activity{Kind: ActivityWithheld, CrispID: in.s.ID, Why: "private"})
		}
	case m.From == "user":
		in.fromUser(x, e)
	case m.From != "operator":
		rec.observe(Activity{Kind: ActivityWithheld, CrispID: in.s.ID, Why: "author"})
	case in.ours(m):
		e.Status = entryOurs
	case m.Automated || rec.env.cfg.Policy.isBot(m.Origin):
		in.otherBot()
	default:
		in.fromHuman(x, e)
	}
	return true
}

// afterAsking reports whether a message in an adopted session, of which our opening message is not seen
// yet, was written after the user asked, as far as clocks tell. Any other one is left to a later read.
func (in *intake) afterAsking(x item) bool {
	ho := in.rec.Handover
	return ho != nil && ho.CrispID == in.s.ID && in.rec.State != StateOpening && x.At >= ho.Asked.UnixMilli()
}

// ours reports whether an operator's message has our own origin.
func (in *intake) ours(m *EventMessage) bool {
	origin := in.rec.env.cfg.Origin
	return origin != defaultOrigin && m.Origin == origin
}

// isHuman reports whether a message is a person's in Crisp.
func (in *intake) isHuman(m *EventMessage) bool {
	return m.From == "operator" && !isPrivate(m.Type) && !m.Automated && !in.ours(m) && !in.rec.env.cfg.Policy.isBot(m.Origin)
}

// mustKnowState reports whether a message waits for a read of the state: it would take over a
// conversation that was resolved, and it is not known whether that is open again. The read may fail or
// be old; after holdFor the message is judged by what is known.
func (in *intake) mustKnowState(x item) bool {
	if !in.s.State.Resolved || in.rec.human() || !in.isHuman(x.msg) || !in.s.Bounds.newer(x.At) {
		return false
	}
	if in.n.fresh(x.msg.Timestamp) || in.n.stateErr != nil || in.n.blind || in.n.err != nil || x.late {
		return false
	}
	for _, k := range in.rec.Hooks.of(in.s.ID, in.n.of.upto) {
		if (k.Want == x.FP || k.message() != nil && k.message().Fingerprint == x.FP) && k.ripe(in.s, false, in.rec.env.now) {
			return false
		}
	}
	if !slices.ContainsFunc(in.rec.Hooks.of(in.s.ID, in.n.of.upto), func(k *hook) bool { return k.Want == x.FP }) {
		in.rec.Hooks.put(hook{N: in.rec.next(), Crisp: in.s.ID, Got: in.rec.env.now, Want: x.FP, At: x.At, State: true, Signed: true})
	}
	return true
}

// fromUser judges a message of the user that we do not know: one of ours to which Crisp gave another
// fingerprint, or what the user wrote by email.
func (in *intake) fromUser(x item, e *logEntry) {
	rec := in.rec
	if x.msg.Origin == rec.env.cfg.Origin {
		rec.match(in.s, x.msg)
		e.Status = entryOurs
		return
	}
	if !rec.env.cfg.Policy.DeliverUser {
		rec.observe(Activity{Kind: ActivityWithheld, CrispID: in.s.ID, Why: "user"})
		return
	}
	in.show(x, e, Message{From: FromUser, Late: x.late})
}

// fromHuman judges a message of an agent: it is shown, and it may make the conversation the agent's.
func (in *intake) fromHuman(x item, e *logEntry) {
	rec, s := in.rec, in.s
	agent := agentOf(x.msg)
	s.Log.wrote(e, agent)
	what := cause{session: s, agent: agent, at: x.At}
	newer := s.Bounds.newer(x.At)
	runs := rec.human() && rec.Handover.CrispID == s.ID
	resolved := s.State.Resolved && !(in.n.fresh(x.msg.Timestamp) && in.n.state.State != saysResolved)
	msg := Message{From: FromAgent, Agent: agent, Late: x.late}
	switch {
	case runs && !in.older(x):
		rec.fire(onHuman, what)
	case runs: // written before our opening message: nobody answers that yet
		msg.Late = true
		rec.fire(onLate, what)
	case !newer || s.State.closed() || resolved || rec.human(): // where the conversation is closed nobody can take over
		msg.Late = msg.Late || !newer || s.State.Gone
		rec.fire(onLate, what)
	case rec.FollowUp != nil && rec.FollowUp.CrispID == s.ID:
		// The user may be gone: only a message that was shown is a takeover.
	case rec.env.cfg.Policy.NoTakeover:
	default:
		s.State.reopened()
		rec.fire(onHuman, what)
	}
	in.show(x, e, msg)
}

// otherBot notes that another bot answers in Crisp. A user who waits is shown the way out, once.
func (in *intake) otherBot() {
	rec := in.rec
	rec.observe(Activity{Kind: ActivityOtherBot, CrispID: in.s.ID})
	if rec.State == StateWaiting && rec.Handover.CrispID == in.s.ID && !rec.Handover.OtherBot {
		rec.Handover.OtherBot = true
		rec.say(textStillWaiting, "")
	}
}

// show queues a message of the log for the user, in as many parts as it needs.
func (in *intake) show(x item, e *logEntry, msg Message) {
	rec, s, m := in.rec, in.s, x.msg
	parts, err := fromCrisp(m.Type, m.Content, m.Fingerprint)
	if err != nil {
		e.Status = entryFailed
		rec.note(s.ID, noteNotShown)
		rec.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "type"})
		return
	}
	e.Status, e.Hash = entryShown, hashOf(m.Type, m.Content)
	if e.position.before(s.Log.Shown) {
		msg.Late = true
	} else if !x.odd {
		s.Log.Shown = e.position
	}
	if parts[0].Cut {
		rec.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "link"})
	}
	rec.Pickers.shown(s.ID, m)
	msg.At = time.UnixMilli(x.At).UTC()
	rec.queueParts(&rec.ToUser, s, e, parts, msg, "")
}

// edit gives the user the new content of a message that was shown.
func (in *intake) edit(e *logEntry, typ string, content jsontext.Value) {
	rec, s := in.rec, in.s
	hash := hashOf(typ, content)
	if e.Status != entryShown || hash == e.Hash {
		return
	}
	parts, err := fromCrisp(typ, content, e.FP)
	if err != nil {
		return
	}
	suffix := "@" + hash[:8]
	if _, again := e.edited(hash); again { // the same words once more are another correction
		suffix += "." + strconv.FormatInt(rec.next(), 10)
	}
	in.news = true
	rec.Pickers.edited(s.ID, e.FP, content)
	msg := Message{From: FromAgent, Agent: s.Log.author(e), At: time.UnixMilli(e.At).UTC()}
	if rec.replaceKept(s, e, parts, msg, suffix) {
		return
	}
	if rec.ToUser.untried(s.ID, e) { // nothing of it was shown yet: show the new content instead
		rec.ToUser.drop(func(x *effect) bool {
			return x.Kind == kindDeliver && x.Crisp == s.ID && x.FP == e.FP && x.Attempts == 0 && x.Message.Corrects == ""
		})
		suffix = ""
	}
	rec.queueParts(&rec.ToUser, s, e, parts, msg, suffix)
}

// amend carries out the edits and removals that hooks told of. An edit of something that was not shown
// changes nothing: what it is now is judged as a message of the log, so an edited note never leaks.
func (in *intake) amend(held bool) {
	rec, s, n := in.rec, in.s, in.n
	failed := (n.err != nil || n.blind) && !n.gone
	api := apiError(n.stateErr)
	stateless := n.stateErr != nil && !n.gone && (api == nil || api.Temporary())
	for _, k := range rec.Hooks.of(s.ID, n.of.upto) {
		ev := k.event()
		if stateless && ev == nil && k.State {
			n.hold(k) // it asks for the state, which could not be read
		}
		switch {
		case ev != nil && ev.Blocked != nil && !*ev.Blocked:
			at, _ := s.Log.plausible(ev.At.UnixMilli(), rec.env.now)
			s.State.block(false, at) // let in again
		case ev != nil && ev.Removed != 0:
			in.remove(ev.Removed)
		case ev == nil && k.Removed && slices.Contains(n.missing, k.Want) && !n.shows(k.Want):
			in.remove(k.Want)
		case ev != nil && ev.Update != nil:
			e := s.Log.entry(ev.Update.Fingerprint)
			if e == nil && failed {
				n.hold(k)
			} else if e != nil && in.confirms(e, ev) {
				e.Edited = max(e.Edited, ev.At.UnixMilli())
				in.edit(e, e.typ(), ev.Update.Content)
			}
		}
	}
	if held {
		return
	}
	for i := range n.singles {
		m := &n.singles[i]
		at, ok := s.Log.plausible(m.Timestamp, rec.env.now)
		in.see(item{position: position{at, m.Fingerprint}, msg: m, late: true, odd: !ok})
	}
}

// confirms reports whether an edit that a hook tells of is the newest: the read shows it too, or,
// when the read did not go back so far, no later one was told of.
func (in *intake) confirms(e *logEntry, ev *Event) bool {
	i := slices.IndexFunc(in.n.messages, func(m EventMessage) bool { return m.Fingerprint == e.FP })
	if i < 0 {
		return ev.At.UnixMilli() >= e.Edited
	}
	m := &in.n.messages[i]
	return hashOf(e.typ(), ev.Update.Content) == hashOf(m.Type, m.Content)
}

// remove handles the removal of a message, which may not even be known yet.
func (in *intake) remove(fp int64) {
	rec, s := in.rec, in.s
	e := s.Log.entry(fp)
	if e == nil && s.Log.Known.has(fp) {
		return
	}
	if e == nil {
		s.Log.add(&logEntry{position: position{s.Log.Newest, fp}, Status: entryRemoved})
		return
	}
	if e.Status != entryShown {
		return
	}
	e.Status, in.news = entryRemoved, true
	rec.Pickers.removed(s.ID, fp)
	waiting := rec.ToUser.untried(s.ID, e)
	rec.ToUser.drop(func(x *effect) bool { return waiting && x.Crisp == s.ID && x.FP == fp })
	rec.Away = slices.DeleteFunc(rec.Away, kept(s, fp))
	if waiting || rec.env.cfg.Revise == nil {
		return
	}
	for i := range max(1, len(e.ChannelID)) {
		msg := &Message{ID: messageID(s.ID, fp, i) + "@removed", Corrects: messageID(s.ID, fp, i), From: FromAgent, Agent: s.Log.author(e), At: time.UnixMilli(e.At).UTC()}
		rec.push(&rec.ToUser, effect{Kind: kindRevise, Crisp: s.ID, FP: fp, Part: i, Removed: true, Message: msg})
	}
}

// clear drops the hooks that are dealt with, and sets when the others are read for again. It gives up
// what cannot be read after Timeouts.Late, until which late messages are promised.
func (in *intake) clear() {
	rec, n := in.rec, in.n
	now := rec.env.now
	foreign := false // unsigned hooks asked for this read
	rec.Hooks = slices.DeleteFunc(rec.Hooks, func(k hook) bool {
		if k.Crisp != in.s.ID || k.N > n.of.upto {
			return false
		}
		foreign = foreign || !k.Signed && !k.Listed
		late := (n.err != nil || n.blind || n.stateErr != nil) && !now.Before(k.Got.Add(rec.env.cfg.Timeouts.Late))
		return !n.held[k.N] || late
	})
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		if !n.held[k.N] || rec.ending(in.s.ID) {
			continue
		}
		if n.err == nil && !n.blind && n.crowded(k) {
			continue // others were read in its place: it is next
		}
		if k.retry(now); n.stateErr != nil && k.State && k.event() == nil {
			k.Next = latest(k.Next, now.Add(readPause(apiError(n.stateErr), k.Tries)))
		}
	}
	if foreign && n.err == nil && !n.blind {
		in.s.Reads.brought(in.news, now)
	}
}

// older reports whether an item is known to be older than our last opening or end.
func (in *intake) older(x item) bool {
	b := &in.s.Bounds
	if b.Opening == 0 {
		return x.At < b.At
	}
	for i := range in.n.messages {
		if m := &in.n.messages[i]; m.Fingerprint == b.Opening {
			return x.At < m.Timestamp
		}
	}
	return false
}

// isPrivate reports whether a type of message is for the team alone.
func isPrivate(typ string) bool { return typ == "note" || typ == "event" }
