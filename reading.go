package handover

import (
	"cmp"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
)

const (
	// lookAgain bounds the wait after a read that failed and may soon succeed: a person waits.
	lookAgain = 15 * time.Second
	// listSlack is by how much the list's time of a change may be later than that of the message, in ms.
	listSlack = 1000
	// maxSingles bounds how many edited messages are read one by one in one read of a session.
	maxSingles = 8
)

// logRead is a read of one Crisp session's log: from the newest message back to since, or to one of
// the messages in stop.
type logRead struct {
	crisp   string
	since   int64     // Crisp's time, in ms
	stop    []int64   // fingerprints before which nothing new is expected
	upto    int64     // hooks up to this number are judged by this read
	state   bool      // the state is wanted as well
	early   bool      // our opening message is wanted above all: one page, and that message by itself
	until   time.Time // when a message in hand is to be shown, whatever was read by then; zero: none is
	singles []int64   // messages that are wanted one by one, wherever they are
	ahead   bool      // what is dated in the future is wanted as well: something is not where it should be
	blind   bool      // nothing is read but the session's old log
}

// reading is what a read brought.
type reading struct {
	of       *logRead
	begun    time.Time
	messages []EventMessage
	odd      []oddMessage
	singles  []EventMessage
	missing  []int64 // of the messages that were wanted one by one: Crisp does not have them
	state    *crispapi.Conversation
	stateErr error // the state could not be read; the messages could
	err      error
	gone     bool           // the conversation is removed
	cut      bool           // there is more in between than one read can take
	blind    bool           // nothing was read: hooks that have waited for crisplog.InHandFor count as they are
	old      *crisplog.Old  // of the session, if it was needed
	moves    int64          // Moves of the session's log when old was loaded, at least
	judged   map[int64]bool // messages older than all that is known: they were judged
	held     map[int64]bool // numbers of the hooks that wait for another read
}

// oddMessage is a message of the log that cannot be used.
type oddMessage struct {
	id          string // the same at each read
	private     bool   // it is for the team, or the user's own
	fingerprint int64  // 0: not known
	at          int64  // in ms; 0: not known
	why         string
}

// oddOf is what is known of a message that cannot be used.
func oddOf(item crispapi.Item) oddMessage {
	o := oddMessage{id: item.ID, fingerprint: item.Fingerprint, at: item.At, why: string(item.Why)}
	if item.Why == crispapi.NoFingerprint || item.Why == crispapi.NoTime { // all else of it is beyond doubt
		m := readMessage(item.Raw)
		o.private = isPrivate(m.Type) || m.From == "user"
	}
	return o
}

// shows reports whether the read brought the message.
func (n *reading) shows(fp int64) bool {
	return slices.ContainsFunc(n.messages, func(m EventMessage) bool { return m.Fingerprint == fp }) ||
		slices.ContainsFunc(n.singles, func(m EventMessage) bool { return m.Fingerprint == fp })
}

// newest is the time of the newest message that was read.
func (n *reading) newest() (at int64) {
	for i := range n.messages {
		at = max(at, n.messages[i].Timestamp)
	}
	return at
}

// hold keeps a hook for another read.
func (n *reading) hold(k *crisplog.Hook) {
	if n.held == nil {
		n.held = make(map[int64]bool)
	}
	n.held[k.N] = true
}

// crowded reports whether a message that a hook wants by itself had no place in this read.
func (n *reading) crowded(k *crisplog.Hook) bool {
	return eventOf(k) == nil && (k.Removed || k.Edited) && !slices.Contains(n.of.singles, k.Want) && !n.shows(k.Want)
}

// fresh reports whether the state that was read is not older than a time of Crisp's: Crisp may answer
// from a cache.
func (n *reading) fresh(at int64) bool { return n.state != nil && n.state.Changed() >= at }

// item is a message or a change of state, at its place in Crisp's order.
type item struct {
	crisplog.Position
	msg  *EventMessage
	hook int64  // the number of the hook that it is from; 0: it was read
	late bool   // taken from its hook: the log does not show it
	odd  bool   // its time is ahead of Crisp's clock: it moves nothing
	says string // a state; no message
}

// compare orders items as Crisp wrote them. Those of a time that cannot be count as written now, and are
// in the order of their own times.
func (x item) compare(y item) int {
	own := 0
	if x.msg != nil && y.msg != nil {
		own = cmp.Compare(x.msg.Timestamp, y.msg.Timestamp)
	}
	return cmp.Or(cmp.Compare(x.At, y.At), own, cmp.Compare(x.FP, y.FP))
}

// timeline puts what a read brought and what the hooks tell into Crisp's order. It ends before the
// first message that is held back for the log: what comes after it waits as well.
type timeline struct {
	rec   *record
	s     *crisplog.Session
	n     *reading
	items []item
	held  *crisplog.Position
}

func newTimeline(rec *record, s *crisplog.Session, n *reading) *timeline {
	t := &timeline{rec: rec, s: s, n: n}
	for i := range n.messages {
		t.add(&n.messages[i], 0, false)
	}
	for _, k := range rec.Hooks.Of(s.ID, n.of.upto) {
		t.addHook(k)
	}
	slices.SortStableFunc(t.items, item.compare)
	if t.held != nil {
		t.holdRest()
	}
	return t
}

// add adds a message: read, or from the hook with this number.
func (t *timeline) add(m *EventMessage, hook int64, late bool) {
	at, ok := t.s.Log.Plausible(m.Timestamp, t.rec.env.now)
	if e := t.s.Log.Entry(m.Fingerprint); e != nil && e.At != 0 && !ok {
		at = e.At // as it counted when it was first seen
	}
	t.items = append(t.items, item{Position: crisplog.Position{At: at, FP: m.Fingerprint}, msg: m, hook: hook, late: late, odd: !ok})
}

// addHook adds what a hook tells, unless the read shows it, or keeps the hook for another read.
func (t *timeline) addHook(k *crisplog.Hook) {
	now, failed := t.now(), t.n.err != nil || t.n.blind
	ev := eventOf(k)
	switch {
	case ev == nil:
		t.look(k, failed)
	case ev.Message != nil:
		t.addMessage(k, ev.Message, failed)
	case says(ev) != "":
		if failed && !t.n.gone && !k.Ripe(t.s, true, now) {
			t.n.hold(k) // messages before it may not be read yet
			return
		}
		at, _ := t.s.Log.Plausible(ev.At.UnixMilli(), now)
		t.items = append(t.items, item{Position: crisplog.Position{At: at, FP: 1 << 62}, hook: k.N, says: says(ev)})
	case failed && !t.n.gone && !k.Ripe(t.s, true, now):
		t.n.hold(k)
	}
}

// now is the time by which hooks are ripe.
func (t *timeline) now() time.Time {
	if t.rec.env.trustHooks {
		return t.rec.env.now.Add(crisplog.InHandFor)
	}
	return t.rec.env.now
}

// says is the state that a signed event tells of; "" for none.
func says(ev *Event) string {
	switch {
	case ev.Name == eventSessionRemoved:
		return saysRemoved
	case ev.more.blocked != nil && *ev.more.blocked:
		return saysBlocked
	}
	return ev.State
}

// addMessage adds a message of a signed hook.
func (t *timeline) addMessage(k *crisplog.Hook, m *EventMessage, failed bool) {
	fp := m.Fingerprint
	e := t.s.Log.Entry(fp)
	if t.n.shows(fp) || t.s.Log.Seen(fp) || t.n.judged[fp] {
		return
	}
	if m.From == "user" && e != nil || k.Ripe(t.s, failed, t.now()) {
		t.add(m, k.N, !failed) // where the log cannot be read nothing says that it came late
		return
	}
	t.n.hold(k)
	at, _ := t.s.Log.Plausible(m.Timestamp, t.rec.env.now)
	if p := (crisplog.Position{At: at, FP: fp}); t.held == nil || p.Before(*t.held) {
		t.held = &p
	}
}

// look keeps a hook that only says what to read until a read shows what it says, for crisplog.HoldFor at most.
func (t *timeline) look(k *crisplog.Hook, failed bool) {
	now := t.rec.env.now
	switch {
	case t.n.gone:
	case failed:
		t.n.hold(k)
	case k.Listed:
		if (t.lags(k) || t.early(k)) && !k.Ripe(t.s, false, now) {
			t.n.hold(k)
		}
	case k.Odd != "":
		t.lookForOdd(k)
	case k.Says != "":
		if !t.n.agrees(k.Says) && !k.Ripe(t.s, false, now) {
			t.n.hold(k)
		}
	case t.n.crowded(k):
		t.n.hold(k) // its turn to be read comes
	case k.Edited:
		if t.unchanged(k.Want) && !k.Ripe(t.s, false, now) {
			t.n.hold(k)
		}
	case k.Removed:
		if !slices.Contains(t.n.missing, k.Want) && !k.Ripe(t.s, false, now) {
			t.n.hold(k)
		}
	case k.Want != 0:
		e := t.s.Log.Entry(k.Want)
		if t.n.shows(k.Want) || t.s.Log.Seen(k.Want) {
			return
		}
		if !k.Ripe(t.s, false, now) || k.Signed && now.Before(k.Got.Add(crisplog.InHandFor)) {
			t.n.hold(k) // a message that is sure to exist is sought for longer
		} else if k.Signed && e == nil { // its words were too many to keep, and the log never showed it
			t.rec.observe(Activity{Kind: ActivityNotShown, CrispID: t.s.ID, Why: "not_in_log"})
			t.rec.note(t.s.ID, noteNotShown)
		}
	}
}

// lookForOdd keeps the hook of a message that cannot be used until a read shows it, and says why, for holdFor at
// most.
func (t *timeline) lookForOdd(k *crisplog.Hook) {
	shown := slices.ContainsFunc(t.n.odd, func(o oddMessage) bool { return o.id == k.Odd })
	switch {
	case shown, k.Want != 0 && (t.n.shows(k.Want) || t.s.Log.Knows(k.Want)):
	case !k.Ripe(t.s, false, t.rec.env.now):
		t.n.hold(k)
	default:
		t.n.odd = append(t.n.odd, oddMessage{id: k.Odd, fingerprint: k.Want, at: k.At, why: "not_in_log"})
	}
}

// unchanged reports whether a message that was shown, and is told to be edited, still says the same. The
// choice in a picker is no edit.
func (t *timeline) unchanged(fp int64) bool {
	e := t.s.Log.Entry(fp)
	if e == nil || e.Status != crisplog.Shown || e.Type == "picker" {
		return false
	}
	same := func(m EventMessage) bool {
		return m.Fingerprint == fp && crispcontent.Hash(m.Type, m.Content) == e.Hash
	}
	return slices.ContainsFunc(t.n.messages, same) || slices.ContainsFunc(t.n.singles, same)
}

// agrees reports whether the state that was read is the one that a hook tells of.
func (n *reading) agrees(says string) bool {
	switch {
	case n.state == nil:
		return n.stateErr != nil && apiError(n.stateErr) != nil && !apiError(n.stateErr).Temporary()
	case says == saysBlocked:
		return n.state.Blocked
	case says == saysRemoved:
		return false
	}
	return n.state.State == says
}

// lags reports whether the log may not show yet what the list of conversations told of. The change need
// not have been a message: after crisplog.HoldFor the log is read once more, and not again.
func (t *timeline) lags(k *crisplog.Hook) bool {
	return k.At > max(t.s.Log.Newest, t.n.newest())+listSlack
}

// early reports whether the read began so soon after the change that the list told of that it may not show it:
// a change that is newer than all that is known, or one of a session that is resolved, of which nothing may be
// heard any more.
func (t *timeline) early(k *crisplog.Hook) bool {
	news := k.At > max(t.s.Log.Newest, t.n.newest()) || k.State && k.At >= t.s.Log.Watermark
	return news && t.n.begun.UnixMilli()+t.s.Log.Ahead < k.At+crisplog.HoldFor.Milliseconds()
}

// holdRest ends the timeline before what is held, and keeps the hooks that must come after it: a state,
// later messages, and those that only ask for a read.
func (t *timeline) holdRest() {
	if end := slices.IndexFunc(t.items, func(i item) bool { return t.held.Before(i.Position) }); end >= 0 {
		t.items = t.items[:end]
	}
	for _, k := range t.rec.Hooks.Of(t.s.ID, t.n.of.upto) {
		m := messageOf(k)
		if m == nil {
			t.n.hold(k)
			continue
		}
		at, _ := t.s.Log.Plausible(m.Timestamp, t.rec.env.now)
		if t.held.Before(crisplog.Position{At: at, FP: m.Fingerprint}) {
			t.n.hold(k)
		}
	}
}

// oldMissing reports whether what a read brought can only be judged with the session's old log as it is now:
// messages went there after the read began, which are no longer known by the record.
func (rec *record) oldMissing(n *reading) bool {
	s := rec.Sessions.ByID(n.of.crisp)
	return s != nil && n.err == nil && (n.old == nil || n.moves < s.Log.Moves) && rec.oldWanted(s, n)
}

// oldWanted reports whether what a read of a session brought, and its hooks, can only be judged with what
// is in the session's old log.
func (rec *record) oldWanted(s *crisplog.Session, n *reading) bool {
	l := &s.Log
	if l.Moved == 0 {
		return false
	}
	for _, all := range [][]EventMessage{n.messages, n.singles} {
		for i := range all {
			if forgot(l, &all[i], rec.env.now) {
				return true
			}
		}
	}
	for _, k := range rec.Hooks.Of(s.ID, n.of.upto) {
		if m := messageOf(k); m != nil {
			if forgot(l, m, rec.env.now) {
				return true
			}
		} else if fp := k.About(); fp != 0 && l.Entry(fp) == nil {
			return true
		}
	}
	return false
}

// forgot reports whether more may have been known of a message than there is.
func forgot(l *crisplog.Log, m *EventMessage, now time.Time) bool {
	return l.Forgot(counted(l, m, now), m.Fingerprint, m.Type, m.Content)
}

// counted is the time that a message counts with.
func counted(l *crisplog.Log, m *EventMessage, now time.Time) int64 {
	at, ok := l.Plausible(m.Timestamp, now)
	if !ok {
		return 0 // it may be as old as any
	}
	return at
}
