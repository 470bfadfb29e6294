package handover

import (
	"cmp"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// crispLog is what is known of a Crisp session's messages. Times are Crisp's, in ms.
type crispLog struct {
	// Entries are the newest messages; Known are older ones, and those of ours. What was shown goes from
	// Entries to the session's oldLog as well.
	Entries logEntries    `json:"entries,omitempty"`
	Known   knownMessages `json:"known,omitempty"`
	Moved   int64         `json:"moved,omitzero"`    // the time of the newest message that went to the oldLog
	Authors []Agent       `json:"authors,omitempty"` // who wrote the entries
	// Watermark is the time up to which the log was read, and Last the fingerprint of the newest
	// message that a read showed.
	Watermark int64 `json:"watermark,omitzero"`
	Last      int64 `json:"last,omitzero"`
	// First is the fingerprint of the first message, in a session that we made.
	First   int64    `json:"first,omitzero"`
	Newest  int64    `json:"newest,omitzero"`  // the largest time seen
	Unheard int      `json:"unheard,omitzero"` // how many messages of ours were posted since that was seen
	Shown   position `json:"shown,omitzero"`   // the newest message given to the user
	clockSample
	Cut int64    `json:"cut,omitzero"`  // time of the newest message of a read that was cut, and said to be
	Odd []string `json:"odd,omitempty"` // marks of messages that could not be read and were reported
}

// clockSample is what our own messages show of Crisp's clock.
type clockSample struct {
	Ahead   int64 `json:"ahead,omitzero"`   // by how much it is ahead of the store's, in ms
	Within  int64 `json:"within,omitzero"`  // how far off Ahead may be, in ms
	Sampled bool  `json:"sampled,omitzero"` // Ahead is known
}

// position is a place in Crisp's log: messages are shown by time, then fingerprint.
type position struct {
	At int64 `json:"at"`
	FP int64 `json:"fp"`
}

func (p position) before(q position) bool { return p.compare(q) < 0 }

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.At, q.At), cmp.Compare(p.FP, q.FP))
}

// entryStatus is what became of one message of Crisp's log.
type entryStatus string

const (
	entryOurs     entryStatus = "ours"     // we posted it
	entryShown    entryStatus = "shown"    // given to the user
	entryWithheld entryStatus = "withheld" // never shown: a note, an event, another bot, unknown, too old
	entryFailed   entryStatus = "failed"   // could not be shown
	entryRemoved  entryStatus = "removed"  // removed, perhaps before we saw it
)

// logEntry is one message of Crisp's log.
type logEntry struct {
	position
	Status    entryStatus `json:"status"`
	Type      string      `json:"type,omitempty"` // Crisp's; "" for text
	Hash      string      `json:"hash,omitempty"`
	Was       []string    `json:"was,omitempty"`        // hashes before edits: a stale read is no edit back
	Edited    int64       `json:"edited,omitzero"`      // time of the last edit that a hook told of
	Author    int         `json:"author,omitzero"`      // its place in Authors, from 1
	ChannelID []string    `json:"channel_id,omitempty"` // one for each part
	Sent      int64       `json:"sent,omitzero"`        // when we posted it, by the store's clock, in ms
	Within    int64       `json:"within,omitzero"`      // how far off Sent may be: half of the call
}

// typ is Crisp's type of the message.
func (e *logEntry) typ() string { return cmp.Or(e.Type, "text") }

// entry returns the entry of a fingerprint, or nil.
func (l *crispLog) entry(fp int64) *logEntry {
	for i := len(l.Entries) - 1; i >= 0; i-- {
		if l.Entries[i].FP == fp {
			return l.Entries[i]
		}
	}
	return nil
}

func (l *crispLog) add(e *logEntry) *logEntry {
	l.Entries = append(l.Entries, e)
	return e
}

// ours notes that we posted, or are about to post, this fingerprint; 0 is none. It returns nil if that is
// known, and no more is kept.
func (l *crispLog) ours(fp int64) *logEntry {
	e := l.entry(fp)
	switch {
	case e != nil:
		e.Status = entryOurs
	case fp != 0 && !l.Known.has(fp):
		l.Unheard++
		e = l.add(&logEntry{position: position{FP: fp}, Status: entryOurs})
	}
	return e
}

// knows reports whether a message was seen before, or is ours, as far as the newest are concerned.
func (l *crispLog) knows(fp int64) bool { return l.entry(fp) != nil || l.Known.has(fp) }

// sent notes when a message of ours was posted: between two times of the store's. echoed notes what
// time Crisp gave it. Together they show by how much Crisp's clock is ahead.
func (l *crispLog) sent(fp int64, begun, done time.Time) {
	if e := l.entry(fp); e != nil && e.Status == entryOurs {
		half := done.Sub(begun) / 2
		e.Sent, e.Within = begun.Add(half).UnixMilli(), half.Milliseconds()
		l.sample(e)
	}
}

// echoed returns the time that the message counts with; ok is false if that moves nothing else.
func (l *crispLog) echoed(e *logEntry, at int64, now time.Time) (_ int64, ok bool) {
	e.At, l.Unheard = at, 0
	l.sample(e)
	if at, ok = l.plausible(at, now); ok {
		l.Newest = max(l.Newest, at)
	}
	return at, ok
}

// maxAhead is the largest difference of the clocks that can be true. Beyond it a sample is dropped.
const maxAhead = 48 * time.Hour

// sample compares the clocks by a message of ours. The closest sample counts, until one shows that a
// clock was set.
func (l *crispLog) sample(e *logEntry) {
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
		l.clockSample = clockSample{ahead, within, true}
	}
}

const (
	// clockSlack is how far the estimate of Crisp's time may be off: half a call, and the
	// milliseconds between messages.
	clockSlack = 100 * time.Millisecond
	// aheadSlack is how far a message may be ahead of Crisp's time as we know it.
	aheadSlack = time.Minute
	// unknownSlack is aheadSlack as long as Crisp's clock is not known.
	unknownSlack = maxAhead
)

// crispTime is Crisp's time at a time of ours: estimated, or the newest that was seen.
func (l *crispLog) crispTime(now time.Time) int64 {
	if !l.Sampled {
		return l.Newest
	}
	return max(l.Newest, now.Add(-clockSlack).UnixMilli()+l.Ahead)
}

// plausible gives the time that a message counts with. One that is ahead of Crisp's clock counts as
// written now, and must move nothing that depends on time: ok is false then.
func (l *crispLog) plausible(at int64, now time.Time) (_ int64, ok bool) {
	limit := now.Add(unknownSlack).UnixMilli()
	if l.Sampled {
		limit = now.Add(aheadSlack).UnixMilli() + l.Ahead
	}
	if at <= limit {
		return at, true
	}
	if at = l.crispTime(now); at == 0 { // nothing is known of Crisp's clock
		at = now.UnixMilli()
	}
	return at, false
}

// named returns the channel's id of a part of a message; false if the host neither showed it nor
// keeps it.
func (l *crispLog) named(fp int64, part int) (id string, ok bool) {
	e := l.entry(fp)
	if e == nil || len(e.ChannelID) <= part {
		return "", false
	}
	return e.ChannelID[part], true
}

// name notes the channel's id of a part.
func (l *crispLog) name(fp int64, part int, id string) {
	e := l.entry(fp)
	if e == nil {
		return
	}
	for len(e.ChannelID) <= part {
		e.ChannelID = append(e.ChannelID, "")
	}
	e.ChannelID[part] = id
}

// author returns who wrote the message of an entry.
func (l *crispLog) author(e *logEntry) Agent {
	if e.Author < 1 || e.Author > len(l.Authors) {
		return Agent{}
	}
	return l.Authors[e.Author-1]
}

// wrote notes who wrote the message of an entry: few people write many messages.
func (l *crispLog) wrote(e *logEntry, a Agent) {
	i := slices.IndexFunc(l.Authors, func(b Agent) bool { return b.ID == a.ID && b.Name == a.Name })
	if i < 0 {
		i, l.Authors = len(l.Authors), append(l.Authors, a)
	}
	l.Authors[i], e.Author = a, i+1 // the avatar may be another one by now
}

// maxWas is how many earlier contents of a message are known: reads are stale by seconds.
const maxWas = 16

// edited notes new content, and reports whether the user must see it. again is true when the message
// had the same content before.
func (e *logEntry) edited(hash string) (changed, again bool) {
	if e.Status != entryShown || hash == e.Hash {
		return false, false
	}
	again = slices.Contains(e.Was, hash)
	e.Was, e.Hash = append(e.Was[max(0, len(e.Was)+1-maxWas):], e.Hash), hash
	return true, again
}

// hashOf tells one content of a message from another. What the user chose in a picker is no
// content of the agent's.
func hashOf(typ string, content jsontext.Value) string {
	if typ == "picker" {
		if plain, err := answerPicker(content, -1); err == nil {
			content = plain
		}
	}
	return contentHash(typ, content)[:12]
}

const (
	// maxOurs is how many messages of ours are kept whole whose time Crisp has not shown yet, and maxTimed
	// how many others: the answer to a post may come after its hook.
	maxOurs, maxTimed = 64, 2
	// maxUnheard is how many messages of ours may be posted until the time that Crisp gave one is worth a save
	// of its own.
	maxUnheard = 16
	// keepShown is how many messages that were shown are kept whole at least, and moveAtOnce how many
	// go to the oldLog together: so often is that written.
	keepShown, moveAtOnce = 4, 16
)

// trim keeps no more of a message than is needed: of those that an edit or a removal means nothing to,
// that they are known. waits says whether something that is to be done is about a fingerprint.
func (l *crispLog) trim(waits func(fp int64) bool) {
	timed, ours := 0, 0 // messages of ours whose time Crisp has shown, and others
	for _, e := range l.Entries {
		switch {
		case e.Status != entryOurs:
		case e.At != 0:
			timed++
		default:
			ours++
		}
	}
	l.Entries = slices.DeleteFunc(l.Entries, func(e *logEntry) bool {
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
		case e.Status == entryOurs:
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
func (e *logEntry) moves() bool {
	return e.Status == entryShown || e.Status == entryFailed || e.Status == entryRemoved
}

// surplus returns the entries that are to go to the oldLog, if they are enough.
func (l *crispLog) surplus(waits func(fp int64) bool) (all []*logEntry) {
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

// moved notes that entries are in the oldLog.
func (l *crispLog) moved(entries []*logEntry) {
	for _, e := range entries {
		l.Known.add(e.known())
		l.Moved = max(l.Moved, e.At)
	}
	l.Entries = slices.DeleteFunc(l.Entries, func(e *logEntry) bool { return slices.Contains(entries, e) })
	l.Known.trim()
}

// forgot reports whether more may have been known of a message than there is: it may be one that was
// shown, perhaps with other content.
func (l *crispLog) forgot(at int64, m *EventMessage) bool {
	if m.Fingerprint == 0 || l.entry(m.Fingerprint) != nil {
		return false
	}
	if known, ok := l.Known.find(m.Fingerprint); ok {
		return known.hash != contentMark{} && known.hash != contentMarkOf(hashOf(m.Type, m.Content))
	}
	return at <= l.Moved
}

// recall puts an entry of the old log among the newest.
func (l *crispLog) recall(e *logEntry) {
	l.Known.remove(e.FP)
	copied := *e
	l.add(&copied)
}

// known is what is kept of an entry that moves to the old log.
func (e *logEntry) known() knownMessage {
	k := knownMessage{fp: e.FP}
	if e.Status == entryShown {
		k.hash = contentMarkOf(e.Hash)
	}
	return k
}
