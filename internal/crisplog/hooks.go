package crisplog

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/times"
)

const (
	// HoldFor is how long a message that its hook shows and the log does not is held back for
	// the log, whose order counts.
	HoldFor = 10 * time.Second
	// EarlyFor is how long it is held back where our opening message, which it may be older than, is
	// not seen yet.
	EarlyFor = time.Minute
	// InHandFor is after how long a message in hand is shown whatever reads do: together with the
	// work's own delays within the two minutes that are promised.
	InHandFor = 90 * time.Second
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

// Hook is an event that was stored before its 200, or the mere sign that something changed.
type Hook struct {
	N     int64  `json:"n"`     // given by the caller, and growing
	Crisp string `json:"crisp"` // the session's id
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
	Odd     string         `json:"odd,omitempty"`    // a message that cannot be used, to be reported: its Item.ID
	// Signed is true unless the hook may be anybody's: then it must not make us read without end.
	Signed bool      `json:"signed,omitzero"`
	Got    time.Time `json:"got"`
	Tries  int       `json:"tries,omitzero"`
	Trace  string    `json:"trace,omitempty"` // the trace context that it came in
	Missed time.Time `json:"missed,omitzero"` // by the first good read that did not show it
	Next   time.Time `json:"next,omitzero"`

	// Told is what Raw says, once the caller has decoded it. It is not stored.
	Told *Told `json:"-"`
}

// Told is what an event tells.
type Told struct {
	At      int64    // Crisp's time of it, in ms
	Message *Message // that was written
	Says    string   // a state: Crisp's own, SaysRemoved or SaysBlocked

	Edited   int64   // the fingerprint of the message that has other content
	Content  []byte  // that one
	Removed  int64   // the fingerprint of the message that was removed
	LetIn    bool    // the user is blocked no more
	Operator *string // whom the conversation was assigned to, "" for nobody; nil: it is not about that
}

// What a hook may say of a session besides a state of Crisp's.
const (
	SaysRemoved  = "removed"
	SaysBlocked  = "blocked"
	SaysResolved = crispapi.Resolved
)

// message returns the message that a hook holds, or nil.
func (k *Hook) message() *Message {
	if k.Told == nil {
		return nil
	}
	return k.Told.Message
}

// Shows reports whether the hook holds or names a message.
func (k *Hook) Shows(fp int64) bool {
	m := k.message()
	return k.Want == fp || m != nil && m.Fingerprint == fp
}

// TellsEnd reports whether a hook, or the list of conversations, tells of a resolved state and says no more: it is
// taken at its word where no read can show it.
func (k *Hook) TellsEnd() bool {
	return (k.Signed || k.Listed) && k.Told == nil && k.Says == SaysResolved
}

// About is the fingerprint of the message whose edit or removal a hook tells of; 0 for none.
func (k *Hook) About() int64 {
	if k.Edited || k.Removed {
		return k.Want
	}
	return 0
}

// Retry sets the time of the next read: after 1, 2, 4 s, and so on, and when the message has been held
// back for HoldFor. What the list of conversations told of is read only then.
func (k *Hook) Retry(now time.Time) {
	k.Tries++
	k.Next = now.Add(times.Backoff(k.Tries))
	if end := k.Missed.Add(HoldFor); end.After(now) && (k.Listed || k.Next.After(end)) {
		k.Next = end
	}
	if overdue := k.Got.Add(InHandFor); len(k.Raw) > 0 && overdue.After(now) && k.Next.After(overdue) {
		k.Next = overdue
	}
}

// Ripe reports whether the hook has waited long enough for the log: good reads have not shown for
// HoldFor what it says, or the log cannot be read for InHandFor, or is known to be gone. In an
// adopted session it may also have to wait for our opening message.
func (k *Hook) Ripe(s *Session, readFailed bool, now time.Time) bool {
	if readFailed {
		return s.State.Gone || k.Overdue(now)
	}
	if k.Missed.IsZero() {
		k.Missed = now
	}
	wait := HoldFor
	if s.Bounds.Early() || s.Log.Watermark < s.Bounds.From { // no read has shown our opening message
		wait = EarlyFor
	}
	return !now.Before(k.Missed.Add(wait))
}

// Overdue reports whether the hook counts although the log could not be read.
func (k *Hook) Overdue(now time.Time) bool {
	return len(k.Raw) > 0 && !now.Before(k.Got.Add(InHandFor))
}

// Due is when the hook is to be worked on.
func (k *Hook) Due(r *ReadHistory) time.Time {
	at := times.Later(times.Later(k.Got, k.Next), r.Retry)
	if !k.Signed && !k.Listed {
		at = times.Later(at, r.Quiet)
	}
	if overdue := k.Got.Add(InHandFor); len(k.Raw) > 0 && overdue.Before(at) {
		return times.Later(overdue, k.Next)
	}
	return at
}

// Hooks holds the hooks that are stored and not worked on yet, in the order in which they came.
type Hooks []Hook

// Of returns the hooks of a session, up to a number.
func (q Hooks) Of(crisp string, upto int64) (all []*Hook) {
	for i := range q {
		if k := &q[i]; k.Crisp == crisp && k.N <= upto {
			all = append(all, k)
		}
	}
	return all
}

// TraceOf is the trace context in which the hook of a message came; if none did, of the newest hook of the session,
// for which the log was read.
func (q Hooks) TraceOf(crisp string, fp int64) (trace string) {
	for i := range q {
		switch k := &q[i]; {
		case k.Crisp != crisp || k.Trace == "":
		case k.Want == fp:
			return k.Trace
		default:
			trace = k.Trace
		}
	}
	return trace
}

// Listed reports whether the list of conversations told of a session.
func (q Hooks) Listed(crisp string) bool {
	return slices.ContainsFunc(q, func(k Hook) bool { return k.Crisp == crisp && k.Listed })
}

// Restart has what is in hand of a session wait for reads once more, for InHandFor. It is called for an adopted session
// when our opening message was posted. A message that was in hand before that is older: it is only a reason to read.
func (q Hooks) Restart(crisp string, now time.Time) {
	for i := range q {
		k := &q[i]
		if k.Crisp != crisp || len(k.Raw) == 0 {
			continue
		}
		k.Got, k.Next, k.Tries = now, time.Time{}, 0
		if k.tellsMessage() {
			k.Raw, k.Told = nil, nil
		}
	}
}

// ReadDue is when a session is read next for something that comes at by, and that a message may change. A message
// that a hook told of and the log does not show yet is waited for, EarlyFor at the most, since a stream of hooks would
// put it off for ever. What the list of conversations, or a stranger, told of later than by is not.
func (q Hooks) ReadDue(s *Session, by time.Time) time.Time {
	var wait time.Time
	for i := range q {
		k := &q[i]
		if k.Crisp != s.ID || k.State && !k.Listed || (k.Listed || !k.Signed) && k.Got.After(by) {
			continue
		}
		if k.Listed && !k.Missed.IsZero() && k.At <= s.Log.Newest+ListSlack {
			continue // it was read, and is read once more to be sure
		}
		wait = times.Later(wait, k.Next)
	}
	if most := by.Add(EarlyFor); wait.After(most) {
		wait = most
	}
	return times.Later(s.Reads.Retry, wait)
}

// Mend sets times right.
func (q Hooks) Mend(now time.Time) {
	for i := range q {
		k := &q[i]
		k.Got, k.Missed, k.Next = times.Past(k.Got, now), times.Past(k.Missed, now), times.Soon(k.Next, now)
		k.Tries = max(k.Tries, 0)
	}
}

// TellState reports whether a hook of a session tells of its state.
func (q Hooks) TellState(crisp string) bool {
	return slices.ContainsFunc(q, func(k Hook) bool { return k.Crisp == crisp && k.Says != "" && !k.Listed })
}

// Put appends a hook. It keeps the queue bounded in entries and bytes: of several edits of a message
// the newest counts, and beyond the bounds a hook only says what to read. One read finds all new
// messages, so that those hooks become one; each edit and removal is read by itself. dropped is
// true when something that a hook told of may be missed.
func (q *Hooks) Put(k Hook) (dropped bool) {
	if k.Edited {
		*q = slices.DeleteFunc(*q, func(x Hook) bool { return x.Edited && x.Crisp == k.Crisp && x.Want == k.Want })
	}
	tooMuch := len(k.Raw) > maxHookRaw || len(*q) >= maxHooks && k.Want != 0 && !k.Removed || q.bytes()+len(k.Raw) > maxHookBytes
	if tooMuch {
		k.Raw, k.Told = nil, nil
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
		old := slices.IndexFunc(*q, func(x Hook) bool { return x.State }) // of states the newest count
		if dropped = old < 0; dropped {
			old = max(0, slices.IndexFunc(*q, func(x Hook) bool { return !x.tellsMessage() }))
		}
		*q = slices.Delete(*q, old, old+1)
	}
	*q = append(*q, k)
	return dropped
}

// onlyLooks reports whether the hook says no more than that there may be new messages.
func (k *Hook) onlyLooks() bool {
	return len(k.Raw) == 0 && !k.Listed && !k.State && !k.Edited && !k.Removed && k.Odd == ""
}

// tellsMessage reports whether the hook holds a message.
func (k *Hook) tellsMessage() bool { return len(k.Raw) > 0 && k.Want != 0 && !k.Edited && !k.Removed }

// join makes one hook of two that only look. The newest message counts: a log that shows it shows those
// before it as well.
func (k *Hook) join(other *Hook) {
	k.N, k.Tries, k.Next, k.Missed = other.N, 0, time.Time{}, time.Time{}
	if other.Want != 0 && (k.Want == 0 || other.At > k.At) {
		k.Want, k.At, k.Trace = other.Want, other.At, other.Trace
	}
}

func (q Hooks) bytes() (n int) {
	for i := range q {
		n += len(q[i].Raw)
	}
	return n
}
