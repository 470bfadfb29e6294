package handover

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// oldLog are the messages of a Crisp session's log that are seldom asked for: the Data of a record of its
// own, so that they are not written again with each message.
type oldLog struct {
	V       int         `json:"v"`
	Owner   string      `json:"owner"` // key of the conversation's record
	Entries []*logEntry `json:"entries,omitempty"`
	// Cut is the time of the newest message that was dropped, in ms: of what is not newer nothing is known.
	Cut     int64          `json:"cut,omitzero"`
	Unknown jsontext.Value `json:",embed,unknown"`
}

// maxShown is how many messages that were shown, or could not be, are known: they can be edited and
// removed on the user's side, and are given up once.
const maxShown = 500

// entry returns the entry of a fingerprint, or nil.
func (o *oldLog) entry(fp int64) *logEntry {
	if o == nil {
		return nil
	}
	i := slices.IndexFunc(o.Entries, func(e *logEntry) bool { return e.FP == fp })
	if i < 0 {
		return nil
	}
	return o.Entries[i]
}

// put adds entries, in place of what is known of the same messages, and drops the oldest beyond the bound.
func (o *oldLog) put(entries []*logEntry) {
	o.Entries = slices.DeleteFunc(o.Entries, func(old *logEntry) bool {
		return slices.ContainsFunc(entries, func(e *logEntry) bool { return e.FP == old.FP })
	})
	o.Entries = append(o.Entries, entries...)
	extra := max(0, len(o.Entries)-maxShown)
	for _, e := range o.Entries[:extra] {
		o.Cut = max(o.Cut, e.At)
	}
	o.Entries = slices.Delete(o.Entries, 0, extra)
}

// oldWanted reports whether what a read of a session brought, and its hooks, can only be judged with what
// is in the session's old log.
func (rec *record) oldWanted(s *crispSession, n *reading) bool {
	l := &s.Log
	if l.Moved == 0 {
		return false
	}
	for _, all := range [][]EventMessage{n.messages, n.singles} {
		for i := range all {
			if l.forgot(rec.counted(l, &all[i]), &all[i]) {
				return true
			}
		}
	}
	for _, k := range rec.Hooks.of(s.ID, n.of.upto) {
		if m := k.message(); m != nil {
			if l.forgot(rec.counted(l, m), m) {
				return true
			}
		} else if fp := k.about(); fp != 0 && l.entry(fp) == nil {
			return true
		}
	}
	return false
}

// counted is the time that a message counts with.
func (rec *record) counted(l *crispLog, m *EventMessage) int64 {
	at, ok := l.plausible(m.Timestamp, rec.env.now)
	if !ok {
		return 0 // it may be as old as any
	}
	return at
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

// recall takes back from the old log what this reading is about.
func (in *intake) recall() {
	l, old := &in.s.Log, in.n.old
	if old == nil {
		return
	}
	for _, k := range in.rec.Hooks.of(in.s.ID, in.n.of.upto) {
		fp := k.about()
		if m := k.message(); m != nil {
			in.recallMessage(m)
		} else if fp == 0 || l.entry(fp) != nil {
			continue
		} else if e := old.entry(fp); e != nil {
			l.recall(e)
		} else if old.Cut != 0 && !l.Known.has(fp) {
			in.rec.observe(Activity{Kind: ActivityNotShown, CrispID: in.s.ID, Why: "too_old"})
		}
	}
	for _, all := range [][]EventMessage{in.n.messages, in.n.singles} {
		for i := range all {
			in.recallMessage(&all[i])
		}
	}
}

// recallMessage makes a message known again if it was. What is older than all that is known counts as
// judged.
func (in *intake) recallMessage(m *EventMessage) {
	l, at := &in.s.Log, in.rec.counted(&in.s.Log, m)
	if !l.forgot(at, m) {
		return
	}
	switch e := in.n.old.entry(m.Fingerprint); {
	case e != nil && e.Status == entryShown && e.Hash != hashOf(m.Type, m.Content):
		l.recall(e)
	case e != nil:
		l.Known.add(e.known())
	case at != 0 && at <= in.n.old.Cut:
		l.Known.add(knownMessage{fp: m.Fingerprint})
	}
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
