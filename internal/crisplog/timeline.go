package crisplog

import (
	"cmp"
	"slices"
	"time"
)

// ListSlack is by how much the list's time of a change may be later than that of the message, in ms.
const ListSlack = 1000

// Item is a message or a change of state, at its place in Crisp's order.
type Item struct {
	Position
	Message *Message
	Hook    int64  // the number of the hook that it is from; 0: it was read
	Late    bool   // taken from its hook: the log does not show it
	Odd     bool   // its time is ahead of Crisp's clock: it moves nothing
	Says    string // a state; no message
}

// compare orders items as Crisp wrote them. Those of a time that cannot be count as written now, and are
// in the order of their own times.
func (x Item) compare(y Item) int {
	own := 0
	if x.Message != nil && y.Message != nil {
		own = cmp.Compare(x.Message.Timestamp, y.Message.Timestamp)
	}
	return cmp.Or(cmp.Compare(x.At, y.At), own, cmp.Compare(x.FP, y.FP))
}

// Item returns a message at its place in the log, as it counts now.
func (l *Log) Item(m *Message, now time.Time) Item {
	at, ok := l.Plausible(m.Timestamp, now)
	return Item{Position: Position{At: at, FP: m.Fingerprint}, Message: m, Odd: !ok}
}

// Timeline puts what a read brought and what the hooks tell into Crisp's order. It ends before the
// first message that is held back for the log: what comes after it waits as well.
type Timeline struct {
	Items []Item
	// Lost is how many messages the log never showed whose words were too many to keep.
	Lost int

	s    *Session
	n    *Reading
	now  time.Time
	ripe time.Time // by which hooks are ripe
	held *Position
}

// NewTimeline makes the timeline of a session from a reading and from hooks, which have been decoded. It holds those
// hooks back that wait for another read. With trust hooks count at once where the log cannot be read.
func NewTimeline(s *Session, hooks []*Hook, n *Reading, now time.Time, trust bool) *Timeline {
	t := &Timeline{s: s, n: n, now: now, ripe: now}
	if trust {
		t.ripe = now.Add(InHandFor)
	}
	for i := range n.Messages {
		t.add(&n.Messages[i], 0, false)
	}
	for _, k := range hooks {
		t.addHook(k)
	}
	slices.SortStableFunc(t.Items, Item.compare)
	if t.held != nil {
		t.holdRest(hooks)
	}
	return t
}

// Whole reports whether nothing is held back, after so many of the items were judged.
func (t *Timeline) Whole(done int) bool { return t.held == nil && done == len(t.Items) }

// Advance moves the log's watermark over the first items: all before it was read and is written down.
func (t *Timeline) Advance(done int) {
	l := &t.s.Log
	for _, x := range t.Items[:done] {
		if x.Message == nil || x.Odd {
			continue
		}
		l.Watermark = max(l.Watermark, x.At)
		if t.n.Shows(x.FP) {
			l.Last = x.FP
		}
	}
}

// add adds a message: read, or from the hook with this number.
func (t *Timeline) add(m *Message, hook int64, late bool) {
	x := t.s.Log.Item(m, t.now)
	if e := t.s.Log.Entry(m.Fingerprint); e != nil && e.At != 0 && x.Odd {
		x.At = e.At // as it counted when it was first seen
	}
	x.Hook, x.Late = hook, late
	t.Items = append(t.Items, x)
}

// addHook adds what a hook tells, unless the read shows it, or keeps the hook for another read.
func (t *Timeline) addHook(k *Hook) {
	failed := !t.n.Good()
	switch {
	case k.Told == nil:
		t.addRequest(k, failed)
	case k.Told.Message != nil:
		t.addMessage(k, k.Told.Message, failed)
	case failed && !t.n.Gone && !k.Ripe(t.s, true, t.ripe):
		t.n.Hold(k) // messages before it may not be read yet
	case k.Told.Says != "":
		at, _ := t.s.Log.Plausible(k.Told.At, t.ripe)
		t.Items = append(t.Items, Item{Position: Position{At: at, FP: 1 << 62}, Hook: k.N, Says: k.Told.Says})
	}
}

// addMessage adds a message of a signed hook.
func (t *Timeline) addMessage(k *Hook, m *Message, failed bool) {
	fp := m.Fingerprint
	if t.n.Shows(fp) || t.s.Log.Seen(fp) || t.n.judged[fp] {
		return
	}
	if m.From == "user" && t.s.Log.Entry(fp) != nil || k.Ripe(t.s, failed, t.ripe) {
		t.add(m, k.N, !failed) // where the log cannot be read nothing says that it came late
		return
	}
	t.n.Hold(k)
	if p := t.s.Log.Item(m, t.now).Position; t.held == nil || p.Before(*t.held) {
		t.held = &p
	}
}

// addRequest keeps a hook that only says what to read until a read shows what it says, for HoldFor at most.
func (t *Timeline) addRequest(k *Hook, failed bool) {
	ripe := func() bool { return k.Ripe(t.s, false, t.now) }
	hold := false
	switch {
	case t.n.Gone:
	case failed:
		hold = true
	case k.Listed:
		hold = (t.lags(k) || t.early(k)) && !ripe()
	case k.Odd != "":
		t.lookForOdd(k)
	case k.Says != "":
		hold = !t.n.agrees(k.Says) && !ripe()
	case t.n.Crowded(k):
		hold = true // its turn to be read comes
	case k.Edited:
		hold = t.unchanged(k.Want) && !ripe()
	case k.Removed:
		hold = !slices.Contains(t.n.Missing, k.Want) && !ripe()
	case k.Want == 0 || t.n.Shows(k.Want) || t.s.Log.Seen(k.Want):
	case !ripe() || k.Signed && t.now.Before(k.Got.Add(InHandFor)):
		hold = true // a message that is sure to exist is sought for longer
	case k.Signed && t.s.Log.Entry(k.Want) == nil:
		t.Lost++
	}
	if hold {
		t.n.Hold(k)
	}
}

// lookForOdd keeps the hook of a message that cannot be used until a read shows it, and says why, for HoldFor at
// most.
func (t *Timeline) lookForOdd(k *Hook) {
	shown := slices.ContainsFunc(t.n.Odd, func(o Odd) bool { return o.ID == k.Odd })
	switch {
	case shown, k.Want != 0 && (t.n.Shows(k.Want) || t.s.Log.Knows(k.Want)):
	case !k.Ripe(t.s, false, t.now):
		t.n.Hold(k)
	default:
		t.n.Odd = append(t.n.Odd, Odd{ID: k.Odd, Fingerprint: k.Want, At: k.At, Why: "not_in_log"})
	}
}

// unchanged reports whether a message that was shown, and is told to be edited, still says the same. The
// choice in a picker is no edit.
func (t *Timeline) unchanged(fp int64) bool {
	e := t.s.Log.Entry(fp)
	if e == nil || e.Status != Shown || e.Type == "picker" {
		return false
	}
	same := func(m Message) bool { return m.Fingerprint == fp && m.hash() == e.Hash }
	return slices.ContainsFunc(t.n.Messages, same) || slices.ContainsFunc(t.n.Singles, same)
}

// lags reports whether the log may not show yet what the list of conversations told of. The change need
// not have been a message: after HoldFor the log is read once more, and not again.
func (t *Timeline) lags(k *Hook) bool {
	return k.At > max(t.s.Log.Newest, t.n.newest())+ListSlack
}

// early reports whether the read began so soon after the change that the list told of that it may not show it:
// a change that is newer than all that is known, or one of a session that is resolved, of which nothing may be
// heard any more.
func (t *Timeline) early(k *Hook) bool {
	newer := k.At > max(t.s.Log.Newest, t.n.newest()) || k.State && k.At >= t.s.Log.Watermark
	return newer && t.n.Begun.UnixMilli()+t.s.Log.Ahead < k.At+HoldFor.Milliseconds()
}

// holdRest ends the timeline before what is held, and keeps the hooks that must come after it: a state,
// later messages, and those that only ask for a read.
func (t *Timeline) holdRest(hooks []*Hook) {
	if end := slices.IndexFunc(t.Items, func(x Item) bool { return t.held.Before(x.Position) }); end >= 0 {
		t.Items = t.Items[:end]
	}
	for _, k := range hooks {
		if m := k.message(); m == nil || t.held.Before(t.s.Log.Item(m, t.now).Position) {
			t.n.Hold(k)
		}
	}
}
