package handover

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/times"

	"github.com/crisphandover/handover/internal/crisplog"
)

const (
	// holdFor is how long a message that its hook shows and the log does not is held back for
	// the log, whose order counts.
	holdFor = 10 * time.Second
	// earlyFor is how long it is held back where our opening message, which it may be older than, is
	// not seen yet.
	earlyFor = time.Minute
	// inHandFor is after how long a message in hand is shown whatever reads do: together with the
	// work's own delays within the two minutes that are promised.
	inHandFor = 90 * time.Second
	// maxHookRaw is the largest event that is kept whole; of a larger one only the
	// fingerprint of its message is kept, and that is read.
	maxHookRaw = 64 << 10
	// maxHooks is how many events are kept until new messages are only looked up.
	maxHooks = 64
	// maxLooks is how many events are kept in all, most of them as a few numbers: more messages are
	// hardly edited while Crisp fails.
	maxLooks = 8 * maxHooks
	// maxHookBytes bounds the events that are kept whole, together.
	maxHookBytes = 256 << 10
)

// hook is an event that was stored before its 200, or the mere sign that something changed.
type hook struct {
	N     int64  `json:"n"`
	Crisp string `json:"crisp"`
	// Raw is the whole event, if it is signed: then it counts as it is. Any other hook only says
	// what to read.
	Raw     jsontext.Value `json:"raw,omitempty"`
	Want    int64          `json:"want,omitzero"`    // fingerprint of the message to find
	Removed bool           `json:"removed,omitzero"` // and whether it is gone
	Edited  bool           `json:"edited,omitzero"`  // and what it says now
	State   bool           `json:"state,omitzero"`   // read the state as well
	Says    string         `json:"says,omitempty"`   // the state that it tells of
	At      int64          `json:"at,omitzero"`      // Crisp's time of the change, in ms, if known
	Listed  bool           `json:"listed,omitzero"`  // the list of conversations told of it
	// Signed is true unless the hook may be anybody's: then it must not make us read without end.
	Signed bool      `json:"signed,omitzero"`
	Got    time.Time `json:"got"`
	Tries  int       `json:"tries,omitzero"`
	Missed time.Time `json:"missed,omitzero"` // by the first good read that did not show it
	Next   time.Time `json:"next,omitzero"`

	read *Event // Raw, once it was decoded
}

// event returns the signed event; nil for a hook that only says what to read.
func (k *hook) event() *Event {
	if k.read == nil && len(k.Raw) > 0 {
		if ev, err := ParseEvent(k.Raw); err == nil {
			k.read = &ev
		}
	}
	return k.read
}

// message returns the signed message that the hook holds, or nil.
func (k *hook) message() *EventMessage {
	if ev := k.event(); ev != nil {
		return ev.Message
	}
	return nil
}

// about is the fingerprint of the message whose edit or removal a hook tells of; 0 for none.
func (k *hook) about() int64 {
	switch ev := k.event(); {
	case ev == nil && (k.Edited || k.Removed):
		return k.Want
	case ev != nil && ev.Update != nil:
		return ev.Update.Fingerprint
	case ev != nil:
		return ev.Removed
	}
	return 0
}

// retry sets the time of the next read: after 1, 2, 4 s, and so on, and when the message has been held
// back for holdFor. What the list of conversations told of is read only then.
func (k *hook) retry(now time.Time) {
	k.Tries++
	k.Next = now.Add(delay(k.Tries))
	if end := k.Missed.Add(holdFor); end.After(now) && (k.Listed || k.Next.After(end)) {
		k.Next = end
	}
	if overdue := k.Got.Add(inHandFor); len(k.Raw) > 0 && overdue.After(now) && k.Next.After(overdue) {
		k.Next = overdue
	}
}

// ripe reports whether the hook has waited long enough for the log: good reads have not shown for
// holdFor what it says, or the log cannot be read for inHandFor, or is known to be gone. In an
// adopted session it may also have to wait for our opening message.
func (k *hook) ripe(s *crisplog.Session, readFailed bool, now time.Time) bool {
	if readFailed {
		return s.State.Gone || k.overdue(now)
	}
	if k.Missed.IsZero() {
		k.Missed = now
	}
	wait := holdFor
	if s.Bounds.Early() || s.Log.Watermark < s.Bounds.From { // no read has shown our opening message
		wait = earlyFor
	}
	return !now.Before(k.Missed.Add(wait))
}

// overdue reports whether the hook counts although the log could not be read.
func (k *hook) overdue(now time.Time) bool {
	return len(k.Raw) > 0 && !now.Before(k.Got.Add(inHandFor))
}

// wanted is when the hook is to be worked on.
func (k *hook) wanted(r *crisplog.ReadHistory) time.Time {
	at := times.Later(times.Later(k.Got, k.Next), r.Retry)
	if !k.Signed && !k.Listed {
		at = times.Later(at, r.Quiet)
	}
	if overdue := k.Got.Add(inHandFor); len(k.Raw) > 0 && overdue.Before(at) {
		return times.Later(overdue, k.Next)
	}
	return at
}

// hookQueue holds the hooks that are stored and not worked on yet, in the order in which they came.
type hookQueue []hook

// of returns the hooks of a session, up to a number.
func (q hookQueue) of(crisp string, upto int64) (all []*hook) {
	for i := range q {
		if k := &q[i]; k.Crisp == crisp && k.N <= upto {
			all = append(all, k)
		}
	}
	return all
}

// listed reports whether the list of conversations told of a session.
func (q hookQueue) listed(crisp string) bool {
	return slices.ContainsFunc(q, func(k hook) bool { return k.Crisp == crisp && k.Listed })
}

// tellState reports whether a hook of a session tells of its state.
func (q hookQueue) tellState(crisp string) bool {
	return slices.ContainsFunc(q, func(k hook) bool { return k.Crisp == crisp && k.Says != "" })
}

// put appends a hook. It keeps the queue bounded in entries and bytes: of several edits of a message
// the newest counts, and beyond the bounds a hook only says what to read. One read finds all new
// messages, so that those hooks become one; each edit and removal is read by itself. dropped is
// true when something that a hook told of may be missed.
func (q *hookQueue) put(k hook) (dropped bool) {
	if k.Edited {
		*q = slices.DeleteFunc(*q, func(x hook) bool { return x.Edited && x.Crisp == k.Crisp && x.Want == k.Want })
	}
	look := len(k.Raw) > maxHookRaw || len(*q) >= maxHooks && k.Want != 0 && !k.Removed || q.bytes()+len(k.Raw) > maxHookBytes
	if look {
		k.Raw, k.read = nil, nil
	}
	if len(*q) >= maxHooks && k.onlyLooks() {
		for i := range *q {
			if x := &(*q)[i]; x.Crisp == k.Crisp && x.Signed == k.Signed && x.onlyLooks() {
				x.join(&k)
				return false
			}
		}
	}
	if len(*q) >= maxLooks {
		old := slices.IndexFunc(*q, func(x hook) bool { return x.State }) // of states the newest count
		if dropped = old < 0; dropped {
			old = max(0, slices.IndexFunc(*q, func(x hook) bool { return x.message() == nil }))
		}
		*q = slices.Delete(*q, old, old+1)
	}
	*q = append(*q, k)
	return dropped
}

// onlyLooks reports whether the hook says no more than that there may be new messages.
func (k *hook) onlyLooks() bool {
	return len(k.Raw) == 0 && !k.Listed && !k.State && !k.Edited && !k.Removed
}

// join makes one hook of two that only look. The newest message counts: a log that shows it shows those
// before it as well.
func (k *hook) join(other *hook) {
	k.N, k.Tries, k.Next, k.Missed = other.N, 0, time.Time{}, time.Time{}
	if other.Want != 0 && (k.Want == 0 || other.At > k.At) {
		k.Want, k.At = other.Want, other.At
	}
}

func (q hookQueue) bytes() (n int) {
	for i := range q {
		n += len(q[i].Raw)
	}
	return n
}

// hookOf makes of an event what is kept of it: the whole event only if it is signed, and has its place in
// Crisp's order. What any other tells of is read before it counts.
func hookOf(ev *Event) hook {
	k := hook{Crisp: ev.SessionID, Signed: ev.Signed && !ev.Ambiguous}
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
	case ev.Blocked != nil:
		k.State, k.Says = true, saysBlocked
	case ev.State != "":
		k.State, k.Says = true, ev.State
	default:
		k.State = !strings.HasPrefix(ev.Name, "message:")
	}
	if k.Signed && (ev.Message != nil || !ev.At.IsZero()) { // a message has a time of its own
		k.Raw, k.read = ev.Raw, ev
	}
	return k
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
