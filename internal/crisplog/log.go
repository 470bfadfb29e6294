// Package crisplog keeps what is known of conversations in Crisp, as one record of a store: which
// messages their logs have, which of these are ours, up to where they were read, what hooks tell that was
// not read yet, how Crisp's clock goes, and in which state they are. It calls nobody: its values are told what was
// read, posted or heard, and answer questions about it: NewRead what is to be read next, and NewTimeline what of a
// reading, and of the hooks, can be judged now, in the order in which Crisp wrote it.
//
// All is bounded. Of the newest messages everything is kept; older ones go to an Old log, which is stored
// by itself; of the oldest no more is kept than what it takes to know them again. Times of messages are
// Crisp's, in milliseconds since 1970; a time.Time is by the caller's clock.
package crisplog

import (
	"cmp"
	"slices"
	"time"
)

// Log is what is known of the messages of a session.
type Log struct {
	// Entries are the newest messages; Known are older ones, and those of ours. What was shown goes from
	// Entries to the session's Old log as well.
	Entries entries       `json:"entries,omitempty"`
	Known   knownMessages `json:"known,omitempty"`
	Moved   int64         `json:"moved,omitzero"`    // the time of the newest message that went to the Old log
	Moves   int64         `json:"moves,omitzero"`    // how often messages went there
	Authors []Author      `json:"authors,omitempty"` // who wrote the entries
	// Watermark is the time up to which the log was read, and Last the fingerprint of the newest
	// message that a read showed.
	Watermark int64 `json:"watermark,omitzero"`
	Last      int64 `json:"last,omitzero"`
	// First is the fingerprint of the first message, in a session that we made.
	First   int64    `json:"first,omitzero"`
	Newest  int64    `json:"newest,omitzero"`  // the largest time seen; written as how much that is above Watermark
	Unheard int      `json:"unheard,omitzero"` // how many messages of ours were posted since that was seen
	Shown   Position `json:"shown,omitzero"`   // the newest message given to the user; written if that is not lastShown
	Clock
	Cut int64    `json:"cut,omitzero"`  // time of the newest message of a read that was cut, and said to be
	Odd []string `json:"odd,omitempty"` // marks of messages that could not be read and were reported
}

// Author is a person who wrote in Crisp.
type Author struct {
	ID     string `json:"id,omitempty"`
	Name   string `json:"name,omitempty"`
	Avatar string `json:"avatar,omitempty"`
}

// Position is a place in a log: messages are shown by time, then fingerprint.
type Position struct {
	At int64 `json:"at,omitzero"`
	FP int64 `json:"fp,omitzero"`
}

// Before reports whether p comes before q.
func (p Position) Before(q Position) bool { return p.Compare(q) < 0 }

// Compare is negative if p comes before q, positive if after.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.At, q.At), cmp.Compare(p.FP, q.FP))
}

// Status is what became of one message of a log.
type Status string

// What becomes of messages.
const (
	Ours     Status = "ours"     // we posted it
	Shown    Status = "shown"    // given to the user
	Withheld Status = "withheld" // never shown: a note, an event, another bot, unknown, too old
	Failed   Status = "failed"   // could not be shown
	Removed  Status = "removed"  // removed, perhaps before we saw it
)

// Entry is one message of a log.
type Entry struct {
	Position
	Status    Status   `json:"status"`
	Type      string   `json:"type,omitempty"` // Crisp's; "" for text
	Hash      string   `json:"hash,omitempty"`
	Was       []string `json:"was,omitempty"`        // hashes before edits: a stale read is no edit back
	Edited    int64    `json:"edited,omitzero"`      // time of the last edit that a hook told of
	Author    int      `json:"author,omitzero"`      // its place in Authors, from 1
	ChannelID []string `json:"channel_id,omitempty"` // one for each part
	Sent      int64    `json:"sent,omitzero"`        // when we posted it, by the store's clock, in ms
	Within    int64    `json:"within,omitzero"`      // how far off Sent may be: half of the call
}

// MessageType returns Crisp's type of the message.
func (e *Entry) MessageType() string { return cmp.Or(e.Type, "text") }

// Entry returns the entry of a fingerprint, or nil.
func (l *Log) Entry(fp int64) *Entry {
	for i := len(l.Entries) - 1; i >= 0; i-- {
		if l.Entries[i].FP == fp {
			return l.Entries[i]
		}
	}
	return nil
}

// Add adds an entry, and returns it.
func (l *Log) Add(e *Entry) *Entry {
	l.Entries = append(l.Entries, e)
	return e
}

// Ours notes that we posted, or are about to post, this fingerprint; 0 is none. It returns nil if that is
// known, and no more is kept.
func (l *Log) Ours(fp int64) *Entry {
	e := l.Entry(fp)
	switch {
	case e != nil:
		e.Status = Ours
	case fp != 0 && !l.Known.has(fp):
		l.Unheard++
		e = l.Add(&Entry{Position: Position{FP: fp}, Status: Ours})
	}
	return e
}

// Shows reports whether Crisp has shown when a message of ours was posted.
func (l *Log) Shows(fp int64) bool {
	e := l.Entry(fp)
	return e != nil && e.At != 0
}

// PostedSince reports whether a message of ours is known to have been posted later than a time of Crisp's.
func (l *Log) PostedSince(at int64) bool {
	return slices.ContainsFunc(l.Entries, func(e *Entry) bool { return e.Status == Ours && e.At > at })
}

// Knows reports whether a message was seen before, or is ours, as far as the newest are concerned.
func (l *Log) Knows(fp int64) bool { return l.Entry(fp) != nil || l.Known.has(fp) }

// Seen reports whether Crisp has shown a message, as far as the newest are concerned.
func (l *Log) Seen(fp int64) bool {
	e := l.Entry(fp)
	return e != nil && e.At != 0 || l.Known.has(fp)
}

// WasOurs reports whether no more is known of a message than that it was not shown: one of ours is.
func (l *Log) WasOurs(fp int64) bool {
	known, ok := l.Known.find(fp)
	return ok && known.hash == contentMark{} && l.Entry(fp) == nil
}

// Again makes a message the newest of those of which no more is kept than that they are known: reads may
// go on to show it.
func (l *Log) Again(fp int64) {
	if known, ok := l.Known.find(fp); ok {
		l.Known.add(known)
	}
}

// Named returns the channel's id of a part of a message; false if the host neither showed it nor
// keeps it.
func (l *Log) Named(fp int64, part int) (id string, ok bool) {
	e := l.Entry(fp)
	if e == nil || len(e.ChannelID) <= part {
		return "", false
	}
	return e.ChannelID[part], true
}

// Name notes the channel's id of a part of a message.
func (l *Log) Name(fp int64, part int, id string) {
	e := l.Entry(fp)
	if e == nil {
		return
	}
	for len(e.ChannelID) <= part {
		e.ChannelID = append(e.ChannelID, "")
	}
	e.ChannelID[part] = id
}

// Author returns who wrote the message of an entry.
func (l *Log) Author(e *Entry) Author {
	if e.Author < 1 || e.Author > len(l.Authors) {
		return Author{}
	}
	return l.Authors[e.Author-1]
}

// Wrote notes who wrote the message of an entry: few people write many messages.
func (l *Log) Wrote(e *Entry, a Author) {
	i := slices.IndexFunc(l.Authors, func(b Author) bool { return b.ID == a.ID && b.Name == a.Name })
	if i < 0 {
		i, l.Authors = len(l.Authors), append(l.Authors, a)
	}
	l.Authors[i], e.Author = a, i+1 // the avatar may be another one by now
}

// maxWas is how many earlier contents of a message are known: reads are stale by seconds.
const maxWas = 16

// Edit notes that a message has new content with this hash, and reports whether the user must see it.
// again is true when the message had the same content before.
func (e *Entry) Edit(hash string) (changed, again bool) {
	if e.Status != Shown || hash == e.Hash {
		return false, false
	}
	again = slices.Contains(e.Was, hash)
	e.Was, e.Hash = append(e.Was[max(0, len(e.Was)+1-maxWas):], e.Hash), hash
	return true, again
}

const (
	// maxOurs is how many messages of ours are kept whole whose time Crisp has not shown yet, and maxTimed
	// how many others: the answer to a post may come after its hook.
	maxOurs, maxTimed = 64, 2
	// maxUnheard is how many messages of ours may be posted until the time that Crisp gave one is worth a save
	// of its own.
	maxUnheard = 16
	// keepShown is how many messages that were shown are kept whole at least, and moveAtOnce how many
	// go to the Old log together: so often is that written.
	keepShown, moveAtOnce = 4, 16
)

// Trim forgets what is not needed any more of the messages, and is called before each save. A message whose
// edit or removal would change nothing for the user is only known to be there. waits says whether something
// that is to be done is about a fingerprint.
func (l *Log) Trim(waits func(fp int64) bool) {
	timed, ours := 0, 0 // messages of ours whose time Crisp has shown, and others
	for _, e := range l.Entries {
		switch {
		case e.Status != Ours:
		case e.At != 0:
			timed++
		default:
			ours++
		}
	}
	l.Entries = slices.DeleteFunc(l.Entries, func(e *Entry) bool {
		n, most := &ours, maxOurs
		if e.At != 0 {
			n, most = &timed, maxTimed
			if !l.Sampled { // the answer to its post may still tell Crisp's clock
				most = maxOurs
			}
		}
		switch {
		case e.moves() || waits(e.FP):
			return false
		case e.Status == Ours:
			if *n <= most {
				return false
			}
			*n--
		}
		l.Known.add(e.known())
		return true
	})
	l.Known.trim()
}

// moves reports whether an entry is kept whole: the user was shown it, or would have been.
func (e *Entry) moves() bool {
	return e.Status == Shown || e.Status == Failed || e.Status == Removed
}

// Surplus returns the entries that are to go to the Old log, if they are enough.
func (l *Log) Surplus(waits func(fp int64) bool) (all []*Entry) {
	for _, e := range l.Entries {
		if e.moves() && !waits(e.FP) {
			all = append(all, e)
		}
	}
	if len(all) < keepShown+moveAtOnce {
		return nil
	}
	return all[:len(all)-keepShown]
}

// Move notes that entries, which Surplus returned, are in the Old log.
func (l *Log) Move(entries []*Entry) {
	l.Moves++
	for _, e := range entries {
		l.Known.add(e.known())
		l.Moved = max(l.Moved, e.At)
	}
	l.Entries = slices.DeleteFunc(l.Entries, func(e *Entry) bool { return slices.Contains(entries, e) })
	l.Known.trim()
}

// forgot reports whether more may have been known of a message than there is: it may be one that was shown,
// perhaps with other content.
func (l *Log) forgot(m *Message, now time.Time) bool {
	if m.Fingerprint == 0 || l.Entry(m.Fingerprint) != nil {
		return false
	}
	if known, ok := l.Known.find(m.Fingerprint); ok {
		return known.hash != contentMark{} && known.hash != contentMarkOf(m.hash())
	}
	return l.counted(m, now) <= l.Moved
}

// counted is the time that a message counts with; 0 if it may be as old as any.
func (l *Log) counted(m *Message, now time.Time) int64 {
	at, ok := l.Plausible(m.Timestamp, now)
	if !ok {
		return 0
	}
	return at
}

// maxOdd is how many messages that could not be read are remembered, so that each is reported once. A read
// that shows more of them than that tells of so many.
const maxOdd = 256

// Report notes that a message which cannot be read is reported, and returns false if it was before.
// shown says which others the same read shows: they would be reported again if they were forgotten.
func (l *Log) Report(id string, shown func(id string) bool) bool {
	if slices.Contains(l.Odd, id) {
		return false
	}
	if len(l.Odd) >= maxOdd {
		old := slices.IndexFunc(l.Odd, func(id string) bool { return !shown(id) })
		if old < 0 {
			return false
		}
		l.Odd = slices.Delete(l.Odd, old, old+1)
	}
	l.Odd = append(l.Odd, id)
	return true
}

// Recall puts an entry of the Old log among the newest.
func (l *Log) Recall(e *Entry) {
	l.Known.remove(e.FP)
	copied := *e
	l.Add(&copied)
}

// Remember knows a message again of which the Old log has an entry, and keeps no more of it.
func (l *Log) Remember(e *Entry) { l.Known.add(e.known()) }

// known is what is kept of an entry that moves to the old log.
func (e *Entry) known() knownMessage {
	k := knownMessage{fp: e.FP}
	if e.Status == Shown {
		k.hash = contentMarkOf(e.Hash)
	}
	return k
}
