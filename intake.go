package handover

import (
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
)

// intake works what a read of one Crisp session brought, together with the session's hooks, into the
// record: messages and changes of state in Crisp's order, then edits and removals.
type intake struct {
	rec  *record
	s    *crisplog.Session
	n    *reading
	news bool // something was new in it
}

// receive puts an event into the queue of hooks, and reports whether it concerns us. An echo of our own
// message costs no read.
func (rec *record) receive(ev *Event) bool {
	s := rec.Sessions.ByID(ev.SessionID)
	if s == nil {
		return false
	}
	if ev.Ambiguous {
		rec.observe(Activity{Kind: ActivityHook, CrispID: s.ID, Why: "ambiguous"})
	}
	at, sane := s.Log.Plausible(ev.At.UnixMilli(), rec.env.now)
	if ev.Signed && ev.Message != nil {
		if ours, news := rec.echo(s, ev.Message); ours {
			return news
		}
	}
	switch {
	case ev.more.rating != nil:
		news := s.Rated(ev.more.rating.Stars, ev.Signed)
		if news {
			rec.observe(Activity{Kind: ActivityRated, CrispID: s.ID, Stars: int(s.Stars)})
		}
		return news
	case ev.Update != nil && s.Posts.Has(ev.Update.Fingerprint):
		return false // it is the user's own words
	case !ev.Signed && ev.Message != nil && s.Settled(ev.Message.Fingerprint):
		return false // a read would show what we know
	case ev.Raw != nil && !ev.Ambiguous && !concerns(ev),
		ev.Name == eventSessionSetRouting && !rec.env.cfg.Policy.ClaimOnAssign:
		return false
	case !ev.Signed && ev.State != "" && ev.State != saysResolved && !s.State.Resolved && s.State.Doubt.IsZero():
		return false // it is open, as far as is known
	case ev.Signed && ev.State != "" && ev.State != saysResolved && !ev.At.IsZero() && !rec.Hooks.TellState(s.ID):
		changed := s.State.Resolved || !s.State.Doubt.IsZero()
		s.State.Told(false, at) // no other state waits: no read is needed
		return changed
	case ev.Signed && rec.State == StateOpening && rec.Handover.CrispID == s.ID && at > s.Bounds.At && ev.more.blocked != nil && *ev.more.blocked:
		s.State.Block(true, at)
		rec.fire(onBlocked, cause{at: at}) // other hooks wait until it is open
		return true
	}
	s.State.Gone = s.State.Gone || ev.Signed && ev.Name == eventSessionRemoved
	k := hookOf(ev)
	k.N, k.Got = rec.next(), rec.env.now
	if _, ok := s.Log.Plausible(k.At, rec.env.now); !ok || ev.Message == nil && !sane {
		k.At = 0 // it tells nothing of when that was
	}
	if k.At != 0 && at <= s.Bounds.At && (k.Says == saysResolved || k.Says == saysBlocked) && rec.human() && rec.Handover.CrispID == s.ID {
		k.Signed, k.Raw, k.Read = false, nil, nil // older than what runs, or its time is wrong: only a reason to look
	}
	if rec.Hooks.Put(k) {
		rec.observe(Activity{Kind: ActivityHook, CrispID: s.ID, Why: "too_many"})
	}
	return true
}

// look asks for a read of a session.
func (rec *record) look(crisp string) {
	rec.Hooks.Put(crisplog.Hook{N: rec.next(), Crisp: crisp, Got: rec.env.now, State: true, Signed: true})
}

// echo handles the hook of a message that we posted ourselves: it proves that Crisp has the message. Most
// say nothing new that would be worth a save.
func (rec *record) echo(s *crisplog.Session, m *EventMessage) (ours, news bool) {
	e := s.Log.Entry(m.Fingerprint)
	if e == nil || e.Status != crisplog.Ours {
		return s.Log.WasOurs(m.Fingerprint) && m.From == "user", false
	}
	awaited := rec.awaits(e.FP) || s.Bounds.Opening == e.FP || s.Bounds.Note == e.FP || s.Log.TimeWanted()
	at, news := s.Log.Echoed(e, m.Timestamp, rec.env.now)
	s.Bounds.Echoed(e.FP, at)
	rec.proved(s, m.Fingerprint)
	return true, awaited || news
}

// take works what a read brought into the record.
func (rec *record) take(n *reading) {
	s := rec.Sessions.ByID(n.of.crisp)
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
	t := newTimeline(rec, s, n)
	done := in.run(t)
	for _, o := range n.odd { // now that our opening message is known, if it was read
		in.report(o)
	}
	if n.err == nil && !n.blind && !s.Bounds.Early() {
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
	if !s.Bounds.Early() || n.err != nil || n.blind || slices.ContainsFunc(n.messages, byItself) {
		return false
	}
	i := slices.IndexFunc(n.singles, byItself)
	if i < 0 {
		return false
	}
	m := &n.singles[i]
	at, ok := s.Log.Plausible(m.Timestamp, in.rec.env.now)
	in.see(item{Position: crisplog.Position{At: at, FP: m.Fingerprint}, msg: m, odd: !ok})
	for _, k := range in.rec.Hooks.Of(s.ID, n.of.upto) {
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
		s.Reads.Succeed(n.begun)
		s.State.Missing = time.Time{}
	default:
		api := apiError(n.err)
		if api != nil && api.Postponed() { // nothing was read, and so nothing failed
			s.Reads.Retry = rec.env.now.Add(api.Pause())
			return
		}
		s.Reads.Fail(rec.env.now, readPause(api, s.Reads.Fails+1))
		rec.observe(Activity{Kind: ActivityFault, CrispID: s.ID, Err: n.err, Attempt: s.Reads.Fails, Effect: "look"})
	}
	if newest := in.newestShown(); n.cut && !n.of.early && newest > s.Log.Cut {
		s.Log.Cut = newest
		rec.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "too_many"})
		rec.note(s.ID, noteNotShown)
	}
}

// newestShown is the time of the newest message that was read and may be for the user. Notes do not count: the
// one that tells of a read that was cut would make the next one news.
func (in *intake) newestShown() (at int64) {
	for i := range in.n.messages {
		if m := &in.n.messages[i]; !isPrivate(m.Type) {
			at = max(at, m.Timestamp)
		}
	}
	at, _ = in.s.Log.Plausible(at, in.rec.env.now)
	return at
}

// readPause is how long a session is not read after a read that failed: what a person must mend is
// tried again ever more rarely, up to an hour.
func readPause(api *crispapi.Error, fails int) time.Duration {
	if api != nil && api.NeedsPerson() {
		return min(time.Minute<<min(fails-1, 6), time.Hour)
	}
	wait := min(times.Backoff(fails), lookAgain)
	if api != nil {
		wait = max(wait, api.Pause())
	}
	return wait
}

// report tells of a message that cannot be used: nobody knows whether it is for the user. One that is
// known to be private, or the user's own, is no agent's to send again.
func (in *intake) report(o oddMessage) {
	l := &in.s.Log
	if in.s.Bounds.Early() || o.at != 0 && o.at < in.s.Bounds.From || o.private || o.fingerprint != 0 && l.Knows(o.fingerprint) {
		return
	}
	shown := func(id string) bool {
		return slices.ContainsFunc(in.n.odd, func(o oddMessage) bool { return o.id == id })
	}
	if !l.Report(o.id, shown) {
		return
	}
	in.news = true
	in.rec.observe(Activity{Kind: ActivityNotShown, CrispID: in.s.ID, Why: o.why})
	in.rec.note(in.s.ID, noteNotShown)
}

// run judges the items of a timeline in order, and returns how many it judged. It stops after an end,
// which waits until the messages before it are shown: what came after the end is judged once it has
// been carried out. It stops as well when as much waits for the user as a record may hold.
func (in *intake) run(t *timeline) int {
	for i, x := range t.items {
		switch {
		case x.msg == nil:
			in.judge(x)
		case !in.see(x):
			in.later(t.items[i:])
			return i
		}
		if in.rec.ToUser.ends(in.s.ID) || len(in.rec.ToUser) >= maxHeld {
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
	hooks := in.rec.Hooks.Of(in.s.ID, in.n.of.upto)
	waits := func(k *crisplog.Hook) bool {
		return slices.ContainsFunc(items, func(x item) bool { return x.hook == k.N || x.msg != nil && x.FP == k.Want })
	}
	kept := make(map[int64]bool)
	for _, k := range hooks {
		ev := eventOf(k)
		if ev == nil && k.State || ev != nil && ev.more.routing != nil && k.At >= items[0].At || waits(k) {
			in.n.hold(k)
			kept[k.Want] = true
		}
	}
	for _, x := range items {
		if x.msg != nil && !kept[x.FP] && !in.s.Log.Knows(x.FP) {
			in.rec.Hooks.Put(crisplog.Hook{N: in.rec.next(), Crisp: in.s.ID, Got: in.rec.env.now, Signed: true})
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

// clear drops the hooks that are dealt with, and sets when the others are read for again. It gives up
// what cannot be read after Timeouts.Late, until which late messages are promised.
func (in *intake) clear() {
	rec, n := in.rec, in.n
	now := rec.env.now
	foreign := false // unsigned hooks asked for this read
	rec.Hooks = slices.DeleteFunc(rec.Hooks, func(k crisplog.Hook) bool {
		if k.Crisp != in.s.ID || k.N > n.of.upto {
			return false
		}
		foreign = foreign || !k.Signed && !k.Listed
		late := (n.err != nil || n.blind || n.stateErr != nil) && !now.Before(k.Got.Add(rec.env.cfg.Timeouts.Late))
		return !n.held[k.N] || late
	})
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		if !n.held[k.N] || rec.ToUser.unread(in.s.ID) {
			continue
		}
		if n.err == nil && !n.blind && n.crowded(k) {
			continue // others were read in its place: it is next
		}
		if k.Retry(now); n.stateErr != nil && k.State && eventOf(k) == nil {
			k.Next = times.Later(k.Next, now.Add(readPause(apiError(n.stateErr), k.Tries)))
		}
	}
	if foreign && n.err == nil && !n.blind {
		in.s.Reads.Brought(in.news, now)
	}
}

// recall takes back from the old log what this reading is about.
func (in *intake) recall() {
	l, old := &in.s.Log, in.n.old
	if old == nil {
		return
	}
	for _, k := range in.rec.Hooks.Of(in.s.ID, in.n.of.upto) {
		fp := k.About()
		if m := messageOf(k); m != nil {
			in.recallMessage(m)
		} else if fp == 0 || l.Entry(fp) != nil {
			continue
		} else if e := old.Entry(fp); e != nil {
			l.Recall(e)
		} else if old.Cut != 0 && !l.Knows(fp) {
			in.rec.observe(Activity{Kind: ActivityNotShown, CrispID: in.s.ID, Why: "too_old"})
		}
	}
	for _, all := range [][]EventMessage{in.n.messages, in.n.singles} {
		for i := range all {
			in.recallMessage(&all[i])
		}
	}
}

// recallMessage makes a message known again if it was. What is older than all that is known counts as
// judged.
func (in *intake) recallMessage(m *EventMessage) {
	l, at := &in.s.Log, counted(&in.s.Log, m, in.rec.env.now)
	if !forgot(l, m, in.rec.env.now) {
		return
	}
	switch e := in.n.old.Entry(m.Fingerprint); {
	case e != nil && e.Status == crisplog.Shown && e.Hash != crispcontent.Hash(m.Type, m.Content):
		l.Recall(e)
	case e != nil:
		l.Remember(e)
	case at != 0 && at <= in.n.old.Cut:
		if in.n.judged == nil {
			in.n.judged = make(map[int64]bool)
		}
		in.n.judged[m.Fingerprint] = true
	}
}

// hookOf makes of an event what is kept of it: the whole event only if it is signed, and has its place in
// Crisp's order. What any other tells of is read before it counts.
func hookOf(ev *Event) crisplog.Hook {
	k := crisplog.Hook{Crisp: ev.SessionID, Signed: ev.Signed && !ev.Ambiguous, Trace: ev.more.trace}
	if !ev.At.IsZero() {
		k.At = ev.At.UnixMilli()
	}
	switch {
	case ev.Message != nil:
		k.Want, k.At = ev.Message.Fingerprint, ev.Message.Timestamp
	case ev.Update != nil:
		k.Want, k.Edited = ev.Update.Fingerprint, true
	case ev.Removed != 0:
		k.Want, k.Removed = ev.Removed, true
	case ev.Name == eventSessionRemoved:
		k.State, k.Says = true, saysRemoved
	case ev.more.blocked != nil:
		k.State, k.Says = true, saysBlocked
	case ev.State != "":
		k.State, k.Says = true, ev.State
	case k.Signed && (ev.Name == eventMessageSend || ev.Name == eventMessageReceived):
		if o := oddOf(crispapi.ReadItem(ev.more.data)); !o.private {
			k.Want, k.At, k.Odd = o.fingerprint, o.at, o.id
		}
		return k
	default:
		k.State = !strings.HasPrefix(ev.Name, "message:")
	}
	if k.Signed && (ev.Message != nil || !ev.At.IsZero()) { // a message has a time of its own
		k.Raw, k.Read = []byte(ev.Raw), ev
	}
	return k
}

// eventOf returns the signed event that a hook holds; nil for a hook that only says what to read.
func eventOf(k *crisplog.Hook) *Event {
	if k.Read == nil && len(k.Raw) > 0 {
		if ev, err := ParseEvent(k.Raw); err == nil {
			k.Read = &ev
		}
	}
	ev, _ := k.Read.(*Event)
	return ev
}

// toTrust reports whether a hook, or the list of conversations, tells of an end that is taken at its word where no
// read can show it.
func toTrust(k *crisplog.Hook) bool {
	return (k.Signed || k.Listed) && eventOf(k) == nil && k.Says == saysResolved
}

// messageOf returns the signed message that a hook holds, or nil.
func messageOf(k *crisplog.Hook) *EventMessage {
	if ev := eventOf(k); ev != nil {
		return ev.Message
	}
	return nil
}

// What a hook may say of a session besides a state of Crisp's.
const (
	saysRemoved  = "removed"
	saysBlocked  = "blocked"
	saysResolved = crispapi.Resolved
)

// concerns reports whether an event can change something.
func concerns(ev *Event) bool {
	switch ev.Name {
	case eventMessageSend, eventMessageReceived, eventMessageUpdated, eventMessageRemoved,
		eventSessionSetState, eventSessionSetRouting, eventSessionSetBlock, eventSessionRemoved:
		return true
	}
	return false
}
