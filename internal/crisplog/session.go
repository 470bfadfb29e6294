package crisplog

import (
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/times"
)

// Session is what is known of one conversation in Crisp.
type Session struct {
	ID     string      `json:"id"`
	Log    Log         `json:"log,omitzero"`
	Bounds Boundary    `json:"bounds,omitzero"`
	State  State       `json:"state,omitzero"`
	Reads  ReadHistory `json:"reads,omitzero"`
	Posts  Posts       `json:"posts,omitempty"` // the user's messages that may be edited
	Listed int64       `json:"listed,omitzero"` // Crisp's updated_at when catch-up last saw it, in ms
	Ended  time.Time   `json:"ended,omitzero"`  // when the last handover or follow-up in it ended
	Stars  int64       `json:"stars,omitzero"`  // of the user's last rating
}

// End notes that a handover in the session ended: at Crisp's time of it, in ms, or now.
func (s *Session) End(at int64, now time.Time) {
	if at == 0 {
		at = s.Log.CrispTime(now)
	}
	s.Bounds.End(at)
	s.State.Doubt = time.Time{}
	s.Ended = now
}

// Boundary is our last opening or end in a session, by Crisp's clock. What is newer than it
// counts: as a takeover, as a change of state. What is older is late.
type Boundary struct {
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

// Await begins a handover: the boundary is our opening message, once Crisp shows it.
func (b *Boundary) Await(fp int64) { b.Opening, b.Note = fp, 0 }

// Rename follows Crisp in giving our opening message another fingerprint.
func (b *Boundary) Rename(from, to int64) {
	if b.Opening == from {
		b.Opening = to
	}
}

// Echoed is given a message of ours at Crisp's time. If it is our opening message, that time is the
// boundary, and the result is true. If it is the note that tells of an end, the end was not later.
func (b *Boundary) Echoed(fp, at int64) (opened bool) {
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

// End moves the boundary to an end. In a session that was adopted our opening message is still awaited:
// otherwise what is older than it would be shown.
func (b *Boundary) End(at int64) {
	b.At, b.Note = max(b.At, at), 0
	if !b.Adopted {
		b.Opening = 0
	}
}

// AwaitOpening makes our opening message, with this fingerprint, the session's boundary as soon as Crisp's
// log shows it.
func (s *Session) AwaitOpening(fp int64) {
	s.Bounds.Await(fp)
	s.Log.Ours(fp)
}

// Rated notes a rating of 1 to 5 stars, and reports whether it is another than before. Nothing that can be
// read proves one: of those that are not proved only the first counts.
func (s *Session) Rated(stars int64, proved bool) bool {
	if stars < 1 || stars > 5 || stars == s.Stars || !proved && s.Stars != 0 {
		return false
	}
	s.Stars = stars
	return true
}

// Settled reports whether a message is ours, or was judged before: a read would show nothing new of it.
func (s *Session) Settled(fp int64) bool {
	e := s.Log.Entry(fp)
	return s.Bounds.Opening != fp && (s.Log.Known.has(fp) || e != nil && e.Status == Ours && (e.At != 0 || s.Log.Sampled))
}

// Newer reports whether something came after the last opening or end.
func (b *Boundary) Newer(at int64) bool { return b.Opening == 0 && at > b.At }

// Early reports whether it is not known yet what in an adopted session is newer than our opening.
func (b *Boundary) Early() bool { return b.Adopted && b.Opening != 0 }

// State is what is known of a session's state in Crisp.
type State struct {
	Resolved bool  `json:"resolved,omitzero"` // as far as is known
	Since    int64 `json:"since,omitzero"`    // Crisp's time of the newest state that a hook told of, in ms
	Blocked  bool  `json:"blocked,omitzero"`  // the user is
	BlockAt  int64 `json:"block_at,omitzero"` // Crisp's time of the newest block, or its end, that a hook told of, in ms
	Gone     bool  `json:"gone,omitzero"`     // removed
	Full     bool  `json:"full,omitzero"`     // it takes no more messages: it has too many, or refuses them
	Refused  int   `json:"refused,omitzero"`  // messages in a row that it refused for good
	Failed   int   `json:"failed,omitzero"`   // handovers in a row that ended since nothing could be posted
	Email    bool  `json:"email,omitzero"`    // Crisp has the user's address
	// Doubt is set when a read alone says resolved, until a second one agrees: Crisp may answer from a cache.
	Doubt   time.Time `json:"doubt,omitzero"`
	Unread  int       `json:"unread,omitzero"`  // reads of the state in a row that were refused
	Updated int64     `json:"updated,omitzero"` // Crisp's updated_at then, in ms
	Missing time.Time `json:"missing,omitzero"` // since when reads do not find it
}

// Closed reports whether nothing more can be posted.
func (c *State) Closed() bool { return c.Gone || c.Full }

// Shut reports whether nobody takes over, as far as is known: an agent has resolved the session, or blocked the user.
func (c *State) Shut() bool { return c.Resolved || c.Blocked }

// maxFailed is how many handovers in a row a session may fail until the next one has another session.
const maxFailed = 2

// Fails reports whether nothing could be posted in the session of late, again and again.
func (c *State) Fails() bool { return c.Failed >= maxFailed }

// secondRead is the time between two reads that must agree before it counts what no hook told of: that a
// session is resolved, or gone.
const secondRead = time.Minute

// Confirmed reports whether a read of the state that began at begun is the second one.
func (c *State) Confirmed(begun time.Time) bool { return begun.Sub(c.Doubt) >= secondRead }

// NotFound notes that a read which began at begun did not find the session. It reports whether an
// earlier one did not, either.
func (c *State) NotFound(begun time.Time) bool {
	if c.Missing.IsZero() {
		c.Missing = begun
	}
	return begun.Sub(c.Missing) >= secondRead
}

// Told notes a state that Crisp had at a time. One that is older than what is known changes nothing.
func (c *State) Told(resolved bool, at int64) {
	if at < c.Since {
		return
	}
	c.Resolved, c.Since, c.Doubt = resolved, at, time.Time{}
}

// Block notes that a hook told of a block, or its end, at a time of Crisp's. One that is older than what is
// known changes nothing.
func (c *State) Block(blocked bool, at int64) {
	if at >= c.BlockAt {
		c.Blocked, c.BlockAt = blocked, at
	}
}

// Reopened notes that a message of the user, or an agent, opened the session again.
func (c *State) Reopened() { c.Resolved, c.Doubt = false, time.Time{} }

// ReadHistory is how the reads of a session went.
type ReadHistory struct {
	Good   time.Time `json:"good,omitzero"`   // when the last good read began
	Fails  int       `json:"fails,omitzero"`  // reads that failed in a row
	Failed time.Time `json:"failed,omitzero"` // when the first of them did
	Retry  time.Time `json:"retry,omitzero"`  // no read before
	// Vain counts the reads in a row that unsigned hooks asked for and that showed nothing new. Quiet is
	// when such hooks are next read for.
	Vain  int       `json:"vain,omitzero"`
	Quiet time.Time `json:"quiet,omitzero"`
}

// Succeed notes a good read that began at begun.
func (r *ReadHistory) Succeed(begun time.Time) {
	*r = ReadHistory{Good: begun, Vain: r.Vain, Quiet: r.Quiet}
}

const (
	// freeVain is how many reads unsigned hooks may cost at once that show nothing new.
	freeVain = 4
	// maxQuiet bounds the pause after those.
	maxQuiet = 30 * time.Second
)

// Brought notes whether a read that unsigned hooks asked for showed anything new. Strangers who know the
// key cost some reads a minute, and what is new is seen within that time.
func (r *ReadHistory) Brought(changed bool, now time.Time) {
	if changed {
		r.Vain, r.Quiet = 0, time.Time{}
		return
	}
	if r.Vain++; r.Vain >= freeVain {
		r.Vain = min(r.Vain, freeVain+10)
		r.Quiet = now.Add(min(time.Second<<(r.Vain-freeVain), maxQuiet))
	}
}

// Fail notes a read that failed: none is made again for wait.
func (r *ReadHistory) Fail(now time.Time, wait time.Duration) {
	if r.Fails++; r.Fails == 1 {
		r.Failed = now
	}
	r.Retry = now.Add(wait)
}

// Sessions are the sessions of one user's conversation, the newest last.
type Sessions []*Session

// ByID returns the session with Crisp's id, or nil.
func (all Sessions) ByID(id string) *Session {
	i := slices.IndexFunc(all, func(s *Session) bool { return s.ID == id })
	if i < 0 {
		return nil
	}
	return all[i]
}

// Newest returns Crisp's time of the newest that is known of a session: what is posted now comes after it.
func (all Sessions) Newest(id string) int64 {
	if s := all.ByID(id); s != nil {
		return s.Log.Newest
	}
	return 0
}

// Last returns the newest session, or nil.
func (all Sessions) Last() *Session {
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// Reusable returns the session that ended last, if a handover may go on in it; else nil.
func (all Sessions) Reusable(within time.Duration, now time.Time) *Session {
	var last *Session
	for _, s := range all {
		if last == nil || !s.Ended.Before(last.Ended) {
			last = s
		}
	}
	if last == nil || last.State.Closed() || last.State.Blocked || last.State.Fails() || within <= 0 || !last.Ended.Add(within).After(now) {
		return nil
	}
	return last
}

// DoubtDue is when the state of a session is read again of which one read alone said that it is resolved:
// a minute later, and ever more rarely, up to an hour, while Crisp refuses to tell it.
func (s *Session) DoubtDue() time.Time {
	pause := secondRead << min(max(s.State.Unread, 0), 6)
	return times.Later(s.State.Doubt.Add(pause), s.Reads.Retry)
}

// Fault says what stored sessions lack; "" for nothing.
func (all Sessions) Fault() string {
	for i, s := range all {
		switch {
		case s == nil:
			return "a Crisp session is null"
		case !crispapi.ValidSessionID(s.ID):
			return "a Crisp session has no id"
		case all[:i].ByID(s.ID) != nil:
			return "a Crisp session is there twice"
		case slices.Contains(s.Log.Entries, nil):
			return "an entry of the log is null"
		}
	}
	return ""
}

// maxFails is more than reads ever fail in a row.
const maxFails = 10_000

// Mend sets a session's times right, those of Crisp's clock as well.
func (s *Session) Mend(now time.Time) {
	for _, t := range []*time.Time{&s.Ended, &s.State.Doubt, &s.State.Missing, &s.Reads.Good, &s.Reads.Failed} {
		*t = times.Past(*t, now)
	}
	s.Reads.Retry, s.Reads.Fails = times.Soon(s.Reads.Retry, now), min(max(s.Reads.Fails, 0), maxFails)
	l := &s.Log
	if ahead := time.Duration(l.Ahead) * time.Millisecond; l.Ahead > maxAhead.Milliseconds() || ahead < -maxAhead {
		l.Ahead, l.Sampled = 0, false
	}
	newest := now.Add(maxAhead + unknownSlack).UnixMilli()
	for _, at := range []*int64{&l.Watermark, &l.Newest, &l.Shown.At, &s.Bounds.At, &s.Bounds.From, &s.State.Since, &s.State.BlockAt, &s.State.Updated, &s.Listed} {
		if *at < 0 || *at > newest {
			*at = l.sane(now)
		}
	}
}

// Overlap is how far before the watermark a read goes back: a message may become visible late.
const Overlap = 10 * time.Minute
