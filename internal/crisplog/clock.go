package crisplog

import (
	"time"
)

// Clock is what our own messages show of Crisp's clock.
type Clock struct {
	Ahead   int64 `json:"ahead,omitzero"`   // by how much it is ahead of the store's, in ms
	Within  int64 `json:"within,omitzero"`  // how far off Ahead may be, in ms
	Sampled bool  `json:"sampled,omitzero"` // Ahead is known
}

// Sent notes when a message of ours was posted: between two times of ours. Echoed notes what time Crisp
// gave it. Together they show by how much Crisp's clock is ahead; changed is true if they show another
// difference than before.
func (l *Log) Sent(fp int64, begun, done time.Time) (changed bool) {
	e, before := l.Entry(fp), l.Clock
	if e == nil || e.Status != Ours {
		return false
	}
	half := done.Sub(begun) / 2
	e.Sent, e.Within = begun.Add(half).UnixMilli(), half.Milliseconds()
	l.sample(e)
	return l.Clock != before
}

// Echoed returns the time that the message counts with.
func (l *Log) Echoed(e *Entry, at int64, now time.Time) (_ int64, changed bool) {
	before := l.Clock
	e.At, l.Unheard = at, 0
	l.sample(e)
	at, ok := l.Plausible(at, now)
	if ok {
		l.Newest = max(l.Newest, at)
	}
	return at, l.Clock != before
}

// TimeWanted reports whether so many messages of ours were posted, since Crisp showed the time of one,
// that the next such time is worth a save of its own.
func (l *Log) TimeWanted() bool { return l.Unheard >= maxUnheard }

// maxAhead is the largest difference of the clocks that can be true. Beyond it a sample is dropped.
const maxAhead = 48 * time.Hour

// sample compares the clocks by a message of ours. The closest sample counts, until one shows that a
// clock was set.
func (l *Log) sample(e *Entry) {
	if e.At == 0 || e.Sent == 0 {
		return
	}
	ahead, within := e.At-e.Sent, e.Within
	e.Sent, e.Within = 0, 0
	if ahead > maxAhead.Milliseconds() || ahead < -maxAhead.Milliseconds() {
		return
	}
	off := max(ahead-l.Ahead, l.Ahead-ahead)
	if !l.Sampled || within <= l.Within || off > within+l.Within+clockSlack.Milliseconds() {
		l.Clock = Clock{ahead, within, true}
	}
}

// ClockTold is Crisp's clock as its answers tell it, to the second: ahead of ours by this much. One that cannot be true tells nothing.
func ClockTold(ahead time.Duration) Clock {
	if ahead.Abs() > maxAhead {
		return Clock{}
	}
	return Clock{(ahead + toldWithin/2).Milliseconds(), toldWithin.Milliseconds(), true}
}

// toldWithin is how far off the time that an answer tells may be: a second, of which it has no parts, and the way that it took.
const toldWithin = 2 * time.Second

const (
	// clockSlack is how far the estimate of Crisp's time may be off: half a call, and the
	// milliseconds between messages.
	clockSlack = 100 * time.Millisecond
	// aheadSlack is how far a message may be ahead of Crisp's time as we know it.
	aheadSlack = time.Minute
	// unknownSlack is aheadSlack as long as Crisp's clock is not known.
	unknownSlack = maxAhead
)

// After reports whether what has this time of Crisp's was surely written after a time of ours.
func (c Clock) After(at int64, ours time.Time) bool {
	return at > ours.Add(clockSlack).UnixMilli()+c.Ahead+c.Within
}

// CrispTime is Crisp's time at a time of ours: estimated, or the newest that was seen.
func (l *Log) CrispTime(now time.Time) int64 {
	if !l.Sampled {
		return l.Newest
	}
	return max(l.Newest, now.Add(-clockSlack).UnixMilli()+l.Ahead)
}

// Plausible gives the time that a message counts with. One that is ahead of Crisp's clock counts as
// written now, and must move nothing that depends on time: ok is false then.
func (l *Log) Plausible(at int64, now time.Time) (_ int64, ok bool) {
	limit := now.Add(unknownSlack).UnixMilli()
	if l.Sampled {
		limit = now.Add(aheadSlack).UnixMilli() + l.Ahead
	}
	if at <= limit {
		return at, true
	}
	if at = l.CrispTime(now); at == 0 { // nothing is known of Crisp's clock
		at = now.UnixMilli()
	}
	return at, false
}

// sane is Crisp's time, for what has lost its own.
func (l *Log) sane(now time.Time) int64 { return now.UnixMilli() + l.Ahead }
