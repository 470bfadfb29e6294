package handover

import (
	"slices"
	"time"
)

// crispSession is one conversation in Crisp that leads to this record.
type crispSession struct {
	ID     string      `json:"id"`
	Log    crispLog    `json:"log"`
	Bounds boundary    `json:"bounds"`
	State  crispState  `json:"state"`
	Reads  readHistory `json:"reads"`
	Listed int64       `json:"listed,omitzero"` // Crisp's updated_at when catch-up last saw it, in ms
	Ended  time.Time   `json:"ended,omitzero"`  // when the last handover or follow-up in it ended
	Stars  int64       `json:"stars,omitzero"`  // of the user's last rating
}

// end notes that a handover in the session ended: at Crisp's time of it, in ms, or now.
func (s *crispSession) end(at int64, now time.Time) {
	if at == 0 {
		at = s.Log.crispTime(now)
	}
	s.Bounds.end(at)
	s.State.Doubt = time.Time{}
	s.Ended = now
}

// boundary is our last opening or end in a Crisp session, by Crisp's clock. What is newer than it
// counts: as a takeover, as a change of state. What is older is late.
type boundary struct {
	At int64 `json:"at,omitzero"` // in ms
	// Opening is the fingerprint of our opening message, until Crisp shows when it was posted.
	Opening int64 `json:"opening,omitzero"`
	// Adopted is true while a session that the host named hides all that was written in it: what is
	// older than our opening message is not for the user.
	Adopted bool `json:"adopted,omitzero"`
	// From is the time of our opening message in a session that was adopted, in ms.
	From int64 `json:"from,omitzero"`
	// Note is the fingerprint of the note that tells the agents of an end: At is not later than that.
	Note int64 `json:"note,omitzero"`
}

// await begins a handover: the boundary is our opening message, once Crisp shows it.
func (b *boundary) await(fp int64) { b.Opening, b.Note = fp, 0 }

// rename follows Crisp in giving our opening message another fingerprint.
func (b *boundary) rename(from, to int64) {
	if b.Opening == from {
		b.Opening = to
	}
}

// echoed is given a message of ours at Crisp's time. If it is our opening message, that time is the
// boundary, and the result is true. If it is the note that tells of an end, the end was not later.
func (b *boundary) echoed(fp, at int64) (opened bool) {
	if b.Note != 0 && fp == b.Note {
		b.At, b.Note = min(b.At, at), 0
	}
	if b.Opening == 0 || fp != b.Opening {
		return false
	}
	b.At, b.Opening, b.Note = at, 0, 0
	if b.Adopted {
		b.Adopted, b.From = false, at
	}
	return true
}

// end moves the boundary to an end. In a session that was adopted our opening message is still awaited:
// otherwise what is older than it would be shown.
func (b *boundary) end(at int64) {
	b.At, b.Note = max(b.At, at), 0
	if !b.Adopted {
		b.Opening = 0
	}
}

// settled reports whether a message is ours, or was judged before: a read would show nothing new of it.
func (s *crispSession) settled(fp int64) bool {
	e := s.Log.entry(fp)
	return s.Bounds.Opening != fp && (s.Log.Known.has(fp) || e != nil && e.Status == entryOurs && (e.At != 0 || s.Log.Sampled))
}

// newer reports whether something came after the last opening or end.
func (b *boundary) newer(at int64) bool { return b.Opening == 0 && at > b.At }

// early reports whether it is not known yet what in an adopted session is newer than our opening.
func (b *boundary) early() bool { return b.Adopted && b.Opening != 0 }

// crispState is what is known of a session's state in Crisp.
type crispState struct {
	Resolved bool  `json:"resolved,omitzero"` // as far as is known
	Since    int64 `json:"since,omitzero"`    // Crisp's time of the newest state that a hook told of, in ms
	Blocked  bool  `json:"blocked,omitzero"`  // the user is
	BlockAt  int64 `json:"block_at,omitzero"` // Crisp's time of the newest block, or its end, that a hook told of, in ms
	Gone     bool  `json:"gone,omitzero"`     // removed
	Full     bool  `json:"full,omitzero"`     // it takes no more messages: it has too many, or refuses them
	Refused  int   `json:"refused,omitzero"`  // messages in a row that it refused for good
	Email    bool  `json:"email,omitzero"`    // Crisp has the user's address
	// Doubt is set when a read alone says resolved, until a second one agrees: Crisp may answer from a cache.
	Doubt   time.Time `json:"doubt,omitzero"`
	Unread  int       `json:"unread,omitzero"`  // reads of the state in a row that were refused
	Updated int64     `json:"updated,omitzero"` // Crisp's updated_at then, in ms
	Missing time.Time `json:"missing,omitzero"` // since when reads do not find it
}

// closed reports whether nothing more can be posted.
func (c *crispState) closed() bool { return c.Gone || c.Full }

// told notes a state that Crisp had at a time. One that is older than what is known changes nothing.
func (c *crispState) told(resolved bool, at int64) {
	if at < c.Since {
		return
	}
	c.Resolved, c.Since, c.Doubt = resolved, at, time.Time{}
}

// block notes that a hook told of a block, or its end, at a time of Crisp's. One that is older than what is
// known changes nothing.
func (c *crispState) block(blocked bool, at int64) {
	if at >= c.BlockAt {
		c.Blocked, c.BlockAt = blocked, at
	}
}

// reopened notes that a message of the user, or an agent, opened the session again.
func (c *crispState) reopened() { c.Resolved, c.Doubt = false, time.Time{} }

// readHistory is how the reads of a session went.
type readHistory struct {
	Good   time.Time `json:"good,omitzero"`   // when the last good read began
	Fails  int       `json:"fails,omitzero"`  // reads that failed in a row
	Failed time.Time `json:"failed,omitzero"` // when the first of them did
	Retry  time.Time `json:"retry,omitzero"`  // no read before
	// Vain counts the reads in a row that unsigned hooks asked for and that showed nothing new. Quiet is
	// when such hooks are next read for.
	Vain  int       `json:"vain,omitzero"`
	Quiet time.Time `json:"quiet,omitzero"`
}

func (r *readHistory) succeeded(begun time.Time) {
	*r = readHistory{Good: begun, Vain: r.Vain, Quiet: r.Quiet}
}

const (
	// freeVain is how many reads unsigned hooks may cost at once that show nothing new.
	freeVain = 4
	// maxQuiet bounds the pause after those.
	maxQuiet = 30 * time.Second
)

// brought notes whether a read that unsigned hooks asked for showed anything new. Strangers who know the
// key cost some reads a minute, and what is new is seen within that time.
func (r *readHistory) brought(news bool, now time.Time) {
	if news {
		r.Vain, r.Quiet = 0, time.Time{}
		return
	}
	if r.Vain++; r.Vain >= freeVain {
		r.Vain = min(r.Vain, freeVain+10)
		r.Quiet = now.Add(min(time.Second<<(r.Vain-freeVain), maxQuiet))
	}
}

func (r *readHistory) failed(now time.Time, wait time.Duration) {
	if r.Fails++; r.Fails == 1 {
		r.Failed = now
	}
	r.Retry = now.Add(wait)
}

// sessions are the Crisp sessions of a conversation, the newest last.
type sessions []*crispSession

func (all sessions) byID(id string) *crispSession {
	i := slices.IndexFunc(all, func(s *crispSession) bool { return s.ID == id })
	if i < 0 {
		return nil
	}
	return all[i]
}

// last returns the newest session, or nil.
func (all sessions) last() *crispSession {
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// reusable returns the session that ended last, if a handover may go on in it; else nil.
func (all sessions) reusable(within time.Duration, now time.Time) *crispSession {
	var last *crispSession
	for _, s := range all {
		if last == nil || !s.Ended.Before(last.Ended) {
			last = s
		}
	}
	if last == nil || last.State.closed() || last.State.Blocked || within <= 0 || !last.Ended.Add(within).After(now) {
		return nil
	}
	return last
}

// doubtDue is when the state of a session is read again of which one read alone said that it is resolved:
// a minute later, and ever more rarely, up to an hour, while Crisp refuses to tell it.
func (s *crispSession) doubtDue() time.Time {
	pause := resolvedTwice << min(max(s.State.Unread, 0), 6)
	return latest(s.State.Doubt.Add(pause), s.Reads.Retry)
}
