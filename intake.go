package handover

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
)

// intake works what a read of one Crisp session brought, together with the session's hooks, into the
// record: messages and changes of state in Crisp's order, then edits and removals.
type intake struct {
	rec     *record
	s       *crisplog.Session
	n       *crisplog.Reading
	changed bool // something was new in it
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
		if ours, changed := rec.echo(s, ev.Message); ours {
			return changed
		}
	}
	switch {
	case ev.more.rating != nil:
		changed := s.Rated(ev.more.rating.Stars, ev.Signed)
		if changed {
			rec.observe(Activity{Kind: ActivityRated, CrispID: s.ID, Stars: int(s.Stars)})
		}
		return changed
	case ev.Update != nil && s.Posts.Has(ev.Update.Fingerprint):
		return false // it is the user's own words
	case !ev.Signed && ev.Message != nil && s.Settled(ev.Message.Fingerprint):
		return false // a read would show what we know
	case ev.Raw != nil && !ev.Ambiguous && !concerns(ev),
		ev.Name == eventSessionSetRouting && !rec.env.cfg.Policy.ClaimOnAssign:
		return false
	case !ev.Signed && ev.State != "" && ev.State != crisplog.SaysResolved && !s.State.Resolved && s.State.Doubt.IsZero():
		return false // it is open, as far as is known
	case ev.Signed && ev.State != "" && ev.State != crisplog.SaysResolved && !ev.At.IsZero() && !rec.Hooks.TellState(s.ID):
		changed := s.State.Resolved || !s.State.Doubt.IsZero()
		s.State.Told(false, at) // no other state waits: no read is needed
		return changed
	case ev.Signed && rec.State == StateOpening && rec.runsIn(s.ID) && ev.more.blocked != nil && *ev.more.blocked && rec.blockCounts(s, at):
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
	older := k.Says == crisplog.SaysResolved && at <= s.Bounds.At || k.Says == crisplog.SaysBlocked && !rec.blockCounts(s, at)
	if k.At != 0 && older && rec.runsIn(s.ID) {
		k.Signed, k.Raw, k.Told = false, nil, nil // older than what runs, or its time is wrong: only a reason to look
	}
	if rec.Hooks.Put(k) {
		rec.observe(Activity{Kind: ActivityHook, CrispID: s.ID, Why: "too_many"})
	}
	return true
}

// requestRead asks for a read of a session.
func (rec *record) requestRead(crisp string) {
	rec.Hooks.Put(crisplog.Hook{N: rec.next(), Crisp: crisp, Got: rec.env.now, State: true, Signed: true})
}

// echo handles the hook of a message that we posted ourselves: it proves that Crisp has the message. Most
// say nothing new that would be worth a save.
func (rec *record) echo(s *crisplog.Session, m *EventMessage) (ours, changed bool) {
	e := s.Log.Entry(m.Fingerprint)
	if e == nil || e.Status != crisplog.Ours {
		return s.Log.WasOurs(m.Fingerprint) && m.From == "user", false
	}
	awaited := rec.awaits(e.FP) || s.Bounds.Opening == e.FP || s.Bounds.Note == e.FP || s.Log.TimeWanted()
	at, changed := s.Log.Echoed(e, m.Timestamp, rec.env.now)
	s.Bounds.Echoed(e.FP, at)
	rec.proved(s, m.Fingerprint)
	return true, awaited || changed
}

// applyReading works what a read brought into the record.
func (rec *record) applyReading(n *crisplog.Reading) {
	s := rec.Sessions.ByID(n.Of.Crisp)
	if s == nil {
		return
	}
	in := &intake{rec: rec, s: s, n: n}
	n.Gone = n.Gone && in.confirmsRemoval()
	s.State.Gone = s.State.Gone || n.Gone
	in.noteRead()
	for range n.Recall(s, in.hooks(), rec.env.now) {
		rec.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "too_old"})
	}
	if in.foundOpening() {
		in.clear()
		return
	}
	t := crisplog.NewTimeline(s, in.hooks(), n, rec.env.now, rec.env.trustHooks)
	for range t.Lost {
		rec.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "not_in_log"})
		rec.note(s.ID, noteNotShown)
	}
	done := in.run(t)
	for _, o := range n.Odd { // now that our opening message is known, if it was read
		in.report(o)
	}
	if n.Good() && !s.Bounds.Early() {
		t.Advance(done)
	}
	in.amend(t.Whole(done))
	if t.Whole(done) {
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
	byItself := func(m crisplog.Message) bool { return m.Fingerprint == opening }
	if !s.Bounds.Early() || !n.Good() || slices.ContainsFunc(n.Messages, byItself) {
		return false
	}
	i := slices.IndexFunc(n.Singles, byItself)
	if i < 0 {
		return false
	}
	in.see(s.Log.Item(&n.Singles[i], in.rec.env.now))
	for _, k := range in.hooks() {
		n.Hold(k)
	}
	in.rec.requestRead(s.ID)
	in.changed = true
	return true
}

// noteRead notes how the read went.
func (in *intake) noteRead() {
	rec, s, n := in.rec, in.s, in.n
	switch {
	case n.Blind:
		return
	case n.Err == nil:
		s.Reads.Succeed(n.Begun)
		s.State.Missing = time.Time{}
	default:
		api := apiError(n.Err)
		if api != nil && api.Postponed() { // nothing was read, and so nothing failed
			s.Reads.Retry = rec.env.now.Add(api.Pause())
			return
		}
		s.Reads.Fail(rec.env.now, readPause(api, s.Reads.Fails+1))
		rec.observe(Activity{Kind: ActivityFault, CrispID: s.ID, Err: n.Err, Attempt: s.Reads.Fails, Effect: "read"})
	}
	if newest := n.NewestShown(&s.Log, rec.env.now); n.Cut && !n.Of.Early && newest > s.Log.Cut {
		s.Log.Cut = newest
		rec.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "too_many"})
		rec.note(s.ID, noteNotShown)
	}
}

// readAgain bounds the wait after a read that failed and may soon succeed: a person waits.
const readAgain = 15 * time.Second

// quickReads is how often a log is read at once that Crisp does not find although the conversation is there, or refuses for
// good: no breaker holds back calls about one odd conversation.
const quickReads = 8

// readPause is how long a session is not read after a read that failed: what a person must mend, and what Crisp goes on not to
// find or to refuse, is tried again ever more rarely, up to an hour.
func readPause(api *crispapi.Error, fails int) time.Duration {
	rarely := 0
	switch {
	case api == nil:
	case api.NeedsPerson():
		rarely = fails
	case api.StatusCode == http.StatusNotFound, !api.Temporary():
		rarely = fails - quickReads
	}
	if rarely > 0 {
		return max(min(time.Minute<<min(rarely-1, 6), time.Hour), api.RetryAfter) // which is an hour at the most
	}
	wait := min(times.Backoff(fails), readAgain)
	if api != nil {
		wait = max(wait, api.Pause())
	}
	return wait
}

// report tells of a message that cannot be used: nobody knows whether it is for the user. One that is
// known to be private, or the user's own, is no agent's to send again.
func (in *intake) report(o crisplog.Odd) {
	l := &in.s.Log
	if in.s.Bounds.Early() || o.At != 0 && o.At < in.s.Bounds.From || o.Private || o.Fingerprint != 0 && l.Knows(o.Fingerprint) {
		return
	}
	shown := func(id string) bool {
		return slices.ContainsFunc(in.n.Odd, func(o crisplog.Odd) bool { return o.ID == id })
	}
	if !l.Report(o.ID, shown) {
		return
	}
	in.changed = true
	in.rec.observe(Activity{Kind: ActivityNotShown, CrispID: in.s.ID, Why: o.Why})
	in.rec.note(in.s.ID, noteNotShown)
}

// run judges the items of a timeline in order, and returns how many it judged. It stops after an end,
// which waits until the messages before it are shown: what came after the end is judged once it has
// been carried out. It stops as well when as much waits for the user as a record may hold.
func (in *intake) run(t *crisplog.Timeline) int {
	for i, x := range t.Items {
		switch {
		case x.Message == nil:
			in.judge(x)
		case !in.see(x):
			in.keep(t.Items[i:]) // a hook asks for what it waits for, and so for those behind it
			return i
		}
		if in.rec.ToUser.ends(in.s.ID) || len(in.rec.ToUser) >= maxHeld {
			in.later(t.Items[i+1:])
			return i + 1
		}
	}
	return len(t.Items)
}

// later keeps these items for the next read. Those of which no hook is left get one.
func (in *intake) later(items []crisplog.Item) {
	if len(items) == 0 {
		return
	}
	kept := in.keep(items)
	for _, x := range items {
		if x.Message != nil && !kept[x.FP] && !in.s.Log.Knows(x.FP) {
			in.rec.Hooks.Put(crisplog.Hook{N: in.rec.next(), Crisp: in.s.ID, Got: in.rec.env.now, Signed: true})
			return
		}
	}
}

// keep keeps what these items are from, and what only asks for a read, so that they are judged by the next read. It
// returns the messages that hooks ask for.
func (in *intake) keep(items []crisplog.Item) map[int64]bool {
	waits := func(k *crisplog.Hook) bool {
		return slices.ContainsFunc(items, func(x crisplog.Item) bool { return x.Hook == k.N || x.Message != nil && x.FP == k.Want })
	}
	kept := make(map[int64]bool)
	for _, k := range in.hooks() {
		if k.Told == nil && k.State || k.Told != nil && k.Told.Operator != nil && k.At >= items[0].At || waits(k) {
			in.n.Hold(k)
			kept[k.Want] = true
		}
	}
	return kept
}

// clear drops the hooks that are dealt with, and sets when the others are read for again. It gives up
// what cannot be read after Timeouts.Late, until which late messages are promised.
func (in *intake) clear() {
	rec, n := in.rec, in.n
	now := rec.env.now
	foreign := false // unsigned hooks asked for this read
	rec.Hooks = slices.DeleteFunc(rec.Hooks, func(k crisplog.Hook) bool {
		if k.Crisp != in.s.ID || k.N > n.Of.Upto {
			return false
		}
		foreign = foreign || !k.Signed && !k.Listed
		late := (!n.Good() || n.StateErr != nil) && !now.Before(k.Got.Add(rec.env.cfg.Timeouts.Late))
		return !n.Held(&k) || late
	})
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		if !n.Held(k) || rec.ToUser.unread(in.s.ID) {
			continue
		}
		if n.Good() && n.Crowded(k) {
			continue // others were read in its place: it is next
		}
		if k.Retry(now); n.StateErr != nil && k.State && k.Told == nil {
			k.Next = times.Later(k.Next, now.Add(readPause(apiError(n.StateErr), k.Tries)))
		}
	}
	if foreign && n.Good() {
		in.s.Reads.Brought(in.changed, now)
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
		k.State, k.Says = true, crisplog.SaysRemoved
	case ev.more.blocked != nil:
		if k.State = true; *ev.more.blocked {
			k.Says = crisplog.SaysBlocked
		}
	case ev.State != "":
		k.State, k.Says = true, ev.State
	case k.Signed && (ev.Name == eventMessageSend || ev.Name == eventMessageReceived):
		item := crispapi.ReadItem(ev.more.data)
		if o := crisplog.OddOf(&item); !o.Private {
			k.Want, k.At, k.Odd = o.Fingerprint, o.At, o.ID
		}
		return k
	default:
		k.State = !strings.HasPrefix(ev.Name, "message:")
	}
	if k.Signed && (ev.Message != nil || !ev.At.IsZero()) { // a message has a time of its own
		k.Raw, k.Told = []byte(ev.Raw), told(ev)
	}
	return k
}

// told is what an event tells.
func told(ev *Event) *crisplog.Told {
	t := &crisplog.Told{At: ev.At.UnixMilli(), Says: ev.State, Removed: ev.Removed, Operator: ev.more.routing}
	if ev.Message != nil {
		m := ev.Message.logged()
		t.Message = &m
	}
	if ev.Update != nil {
		t.Edited, t.Content = ev.Update.Fingerprint, ev.Update.Content
	}
	switch blocked := ev.more.blocked; {
	case ev.Name == eventSessionRemoved:
		t.Says = crisplog.SaysRemoved
	case blocked != nil && *blocked:
		t.Says = crisplog.SaysBlocked
	case blocked != nil:
		t.LetIn = true
	}
	return t
}

// logged is the message as a log has it.
func (m *EventMessage) logged() crisplog.Message {
	return crisplog.Message{Fingerprint: m.Fingerprint, Timestamp: m.Timestamp, Type: m.Type, From: m.From, Origin: m.Origin,
		Content: m.Content, Automated: m.Automated, Author: m.User.author()}
}

// author is the person as a log has them.
func (u *EventUser) author() crisplog.Author {
	return crisplog.Author{ID: u.UserID, Name: u.Nickname, Avatar: u.Avatar}
}

// hooksOf returns the hooks of a session up to a number, decoded.
func (rec *record) hooksOf(crisp string, upto int64) []*crisplog.Hook {
	all := rec.Hooks.Of(crisp, upto)
	for _, k := range all {
		if k.Told == nil && len(k.Raw) > 0 {
			if ev, err := ParseEvent(k.Raw); err == nil {
				k.Told = told(&ev)
			}
		}
	}
	return all
}

// hooks returns the hooks that the reading is to judge.
func (in *intake) hooks() []*crisplog.Hook { return in.rec.hooksOf(in.s.ID, in.n.Of.Upto) }

// concerns reports whether an event can change something.
func concerns(ev *Event) bool {
	switch ev.Name {
	case eventMessageSend, eventMessageReceived, eventMessageUpdated, eventMessageRemoved,
		eventSessionSetState, eventSessionSetRouting, eventSessionSetBlock, eventSessionRemoved:
		return true
	}
	return false
}
