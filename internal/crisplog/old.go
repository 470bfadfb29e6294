package crisplog

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Old are the messages of a Crisp session's log that are seldom asked for: the Data of a record of its
// own, so that they are not written again with each message.
type Old struct {
	V       int     `json:"v"`
	Owner   string  `json:"owner"` // key of the conversation's record
	Entries entries `json:"entries,omitempty"`
	// Cut is the time of the newest message that was dropped, in ms: of what is not newer nothing is known.
	Cut     int64          `json:"cut,omitzero"`
	Unknown jsontext.Value `json:",embed,unknown"`
}

// MaxShown is how many messages that were shown, or could not be, are known: they can be edited and
// removed on the user's side, and are given up once.
const MaxShown = 256

// Entry returns the entry of a fingerprint, or nil.
func (o *Old) Entry(fp int64) *Entry {
	if o == nil {
		return nil
	}
	i := slices.IndexFunc(o.Entries, func(e *Entry) bool { return e.FP == fp })
	if i < 0 {
		return nil
	}
	return o.Entries[i]
}

// Put adds entries, in place of what is known of the same messages, and drops the oldest beyond the bound.
func (o *Old) Put(entries []*Entry) {
	o.Entries = slices.DeleteFunc(o.Entries, func(old *Entry) bool {
		return slices.ContainsFunc(entries, func(e *Entry) bool { return e.FP == old.FP })
	})
	o.Entries = append(o.Entries, entries...)
	extra := max(0, len(o.Entries)-MaxShown)
	for _, e := range o.Entries[:extra] {
		o.Cut = max(o.Cut, e.At)
	}
	o.Entries = slices.Delete(o.Entries, 0, extra)
}
