package crisplog

import (
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/times"
)

// Message is one message of a log, as it is judged.
type Message struct {
	Fingerprint int64
	Timestamp   int64 // when it was written, as Crisp says, in ms
	Type        string
	From        string // "user" or "operator"
	Origin      string
	Content     []byte
	Automated   bool
	Author      Author
}

// hash tells the message's content from another.
func (m *Message) hash() string { return crispcontent.Hash(m.Type, m.Content) }

// Private reports whether the message is for the team alone.
func (m *Message) Private() bool { return crispcontent.Private(m.Type) }

// Odd is a message of the log that cannot be used.
type Odd struct {
	ID          string // the same at each read
	Private     bool   // it is for the team, or the user's own
	Fingerprint int64  // 0: not known
	At          int64  // in ms; 0: not known
	Why         string
}

// maxSingles bounds how many edited messages are read one by one in one read of a session.
const maxSingles = 8

// Read is a read of one session's log: from the newest message back to Since, or to one of the messages in Stop.
type Read struct {
	Crisp   string    // the session
	Since   int64     // Crisp's time, in ms
	Stop    []int64   // fingerprints before which nothing new is expected
	Upto    int64     // hooks up to this number are judged by this read
	State   bool      // the state is wanted as well
	Early   bool      // our opening message is wanted above all: one page, and that message by itself
	Until   time.Time // when a message in hand is to be shown, whatever was read by then; zero: none is
	Singles []int64   // messages that are wanted one by one, wherever they are
	Ahead   bool      // what is dated in the future is wanted as well: something is not where it should be
	Blind   bool      // nothing is read but the session's old log
}

// NewRead returns the read that brings a session up to date, for the sake of its hooks up to a number.
func NewRead(s *Session, hooks Hooks, upto int64, state bool, now time.Time) *Read {
	r := &Read{Crisp: s.ID, Since: max(s.Log.Watermark-Overlap.Milliseconds(), s.Bounds.From-1), Upto: upto, State: state}
	r.Stop = []int64{s.Log.First}
	if r.Early = s.Bounds.Early(); r.Early {
		r.Stop, r.Singles = append(r.Stop, s.Bounds.Opening), []int64{s.Bounds.Opening}
	}
	last := s.Log.Last
	for _, k := range hooks.Of(s.ID, upto) {
		whole := len(k.Raw) > 0
		r.State = r.State || !whole && k.State
		if s.State.Shut() && k.Want != 0 {
			r.State = true // who writes where nobody takes over may have opened it again
		}
		if !k.Next.After(now) && (k.Edited && (!whole || s.Log.Entry(k.Want) == nil) || k.Removed && !whole) {
			r.Singles = append(r.Singles, k.Want)
		}
		if k.At != 0 && k.At < s.Log.Watermark { // a message that became visible late
			last = 0
			r.Since = max(min(r.Since, k.At-1), r.Since-Overlap.Milliseconds(), s.Bounds.From-1)
		}
		r.Ahead = r.Ahead || !k.Missed.IsZero() && (k.Want != 0 || k.Odd != "")
		if overdue := k.Got.Add(InHandFor); whole {
			r.Until = times.Earlier(r.Until, overdue)
		}
	}
	r.Singles = r.Singles[:min(len(r.Singles), maxSingles)]
	r.Stop = slices.DeleteFunc(append(r.Stop, last), func(fp int64) bool { return fp == 0 })
	return r
}

// Reading is what a read brought.
type Reading struct {
	Of       *Read
	Begun    time.Time
	Messages []Message
	Odd      []Odd
	Singles  []Message
	Missing  []int64 // of the messages that were wanted one by one: Crisp does not have them
	State    *crispapi.Conversation
	StateErr error // the state could not be read; the messages could
	Refused  bool  // the state will never be read
	Err      error
	Gone     bool  // the conversation is removed
	Cut      bool  // there is more in between than one read can take
	Blind    bool  // nothing was read: hooks that have waited for InHandFor count as they are
	Old      *Old  // of the session, if it was needed
	Moves    int64 // Moves of the session's log when Old was loaded, at least

	judged map[int64]bool // messages older than all that is known: they were judged
	held   map[int64]bool // numbers of the hooks that wait for another read
}

// Good reports whether the messages were read.
func (n *Reading) Good() bool { return n.Err == nil && !n.Blind }

// Shows reports whether the read brought the message.
func (n *Reading) Shows(fp int64) bool {
	has := func(m Message) bool { return m.Fingerprint == fp }
	return slices.ContainsFunc(n.Messages, has) || slices.ContainsFunc(n.Singles, has)
}

// Message returns a message that was not read by itself, or nil.
func (n *Reading) Message(fp int64) *Message {
	if i := slices.IndexFunc(n.Messages, func(m Message) bool { return m.Fingerprint == fp }); i >= 0 {
		return &n.Messages[i]
	}
	return nil
}

// newest is the time of the newest message that was read.
func (n *Reading) newest() (at int64) {
	for i := range n.Messages {
		at = max(at, n.Messages[i].Timestamp)
	}
	return at
}

// NewestShown is the time of the newest message that was read and may be for the user. Notes do not count: one that
// tells of a read that was cut would make the next one show something new.
func (n *Reading) NewestShown(l *Log, now time.Time) (at int64) {
	for i := range n.Messages {
		if m := &n.Messages[i]; !m.Private() {
			at = max(at, m.Timestamp)
		}
	}
	at, _ = l.Plausible(at, now)
	return at
}

// Hold keeps a hook for another read.
func (n *Reading) Hold(k *Hook) {
	if n.held == nil {
		n.held = make(map[int64]bool)
	}
	n.held[k.N] = true
}

// Release has no hook wait any more that Hold kept.
func (n *Reading) Release(k *Hook) { delete(n.held, k.N) }

// Held reports whether a hook waits for another read.
func (n *Reading) Held(k *Hook) bool { return n.held[k.N] }

// Crowded reports whether a message that a hook wants by itself had no place in this read.
func (n *Reading) Crowded(k *Hook) bool {
	return k.Told == nil && (k.Removed || k.Edited) && !slices.Contains(n.Of.Singles, k.Want) && !n.Shows(k.Want)
}

// Fresh reports whether the state that was read is not older than a time of Crisp's: Crisp may answer from a cache.
func (n *Reading) Fresh(at int64) bool { return n.State != nil && n.State.Changed() >= at }

// agrees reports whether the state that was read is the one that a hook tells of.
func (n *Reading) agrees(says string) bool {
	switch {
	case n.State == nil:
		return n.Refused
	case says == SaysBlocked:
		return n.State.Blocked
	case says == SaysRemoved:
		return false
	}
	return n.State.State == says
}

// Confirms reports whether an edit that a hook tells of is the newest: the read shows it too, or, when the read did
// not go back so far, no later one was told of.
func (n *Reading) Confirms(e *Entry, told *Told) bool {
	m := n.Message(e.FP)
	if m == nil {
		return told.At >= e.Edited
	}
	return crispcontent.Hash(e.MessageType(), told.Content) == m.hash()
}

// Judged reports whether a message was judged before, though nothing is known of it any more.
func (n *Reading) Judged(fp int64) bool { return n.judged[fp] }

// NeedsOld reports whether what was read, and the session's hooks, can only be judged with what is in the session's
// old log.
func (n *Reading) NeedsOld(s *Session, hooks []*Hook, now time.Time) bool {
	l := &s.Log
	if l.Moved == 0 {
		return false
	}
	for _, all := range [][]Message{n.Messages, n.Singles} {
		for i := range all {
			if l.forgot(&all[i], now) {
				return true
			}
		}
	}
	for _, k := range hooks {
		if m := k.message(); m != nil {
			if l.forgot(m, now) {
				return true
			}
		} else if fp := k.About(); fp != 0 && l.Entry(fp) == nil {
			return true
		}
	}
	return false
}

// LacksOld is NeedsOld for an old log as it is now: messages went there after the read began, which the session's
// log does not know any more.
func (n *Reading) LacksOld(s *Session, hooks []*Hook, now time.Time) bool {
	return n.Err == nil && (n.Old == nil || n.Moves < s.Log.Moves) && n.NeedsOld(s, hooks, now)
}

// Recall takes back from the old log what was read, and what hooks tell of. lost is how many hooks are about
// messages that are too old to be known.
func (n *Reading) Recall(s *Session, hooks []*Hook, now time.Time) (lost int) {
	l, old := &s.Log, n.Old
	if old == nil {
		return 0
	}
	for _, k := range hooks {
		fp := k.About()
		if m := k.message(); m != nil {
			n.recall(l, m, now)
		} else if fp == 0 || l.Entry(fp) != nil {
			continue
		} else if e := old.Entry(fp); e != nil {
			l.Recall(e)
		} else if old.Cut != 0 && !l.Knows(fp) {
			lost++
		}
	}
	for _, all := range [][]Message{n.Messages, n.Singles} {
		for i := range all {
			n.recall(l, &all[i], now)
		}
	}
	return lost
}

// recall makes a message known again if it was. What is older than all that is known counts as judged.
func (n *Reading) recall(l *Log, m *Message, now time.Time) {
	if !l.forgot(m, now) {
		return
	}
	at := l.counted(m, now)
	switch e := n.Old.Entry(m.Fingerprint); {
	case e != nil && e.Status == Shown && e.Hash != m.hash():
		l.Recall(e)
	case e != nil:
		l.Remember(e)
	case at != 0 && at <= n.Old.Cut:
		if n.judged == nil {
			n.judged = make(map[int64]bool)
		}
		n.judged[m.Fingerprint] = true
	}
}
