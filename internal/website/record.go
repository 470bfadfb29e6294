package website

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crisplog"
)

// Record is what all processes share about a website.
type Record struct {
	V       int              `json:"v"`
	Claim   claims.Claim     `json:"claim,omitzero"`    // of the process that catches up
	Creates []time.Time      `json:"creates,omitempty"` // of conversations: the newest of a minute, some to come
	Next    time.Time        `json:"next,omitzero"`     // of catch-up
	List    crisplog.Listing `json:"list,omitzero"`     // how far catch-up has come
	Day     string           `json:"day,omitempty"`     // that Calls is about, in UTC
	Calls   int64            `json:"calls,omitzero"`
	NoNotes time.Time        `json:"no_notes,omitzero"` // the plan has no notes, as far as is known until then
	Crisp   crispapi.State   `json:"crisp,omitzero"`    // for how long nothing of the website is called
	Hook    time.Time        `json:"hook,omitzero"`     // when one last came, up to hookEvery late, or more
	// CaughtUp is when the list was last read to its end.
	CaughtUp time.Time      `json:"caught_up,omitzero"`
	Unknown  jsontext.Value `json:",embed,unknown"`
}

// recordVersion is Record.V. A later one is left alone.
const recordVersion = 1

// ErrLaterVersion is for a record that a later version of this package wrote.
var ErrLaterVersion = errors.New("a later version wrote what is known of the website")

// recordJSON is how records are written: a reason of Crisp's that is not UTF-8 does no harm.
var recordJSON = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true), json.Deterministic(true))

// decode reads a record; of none, or one that is broken, it is a new one.
func decode(data []byte) (w Record, broken, err error) {
	if len(data) == 0 {
		return Record{V: recordVersion}, nil, nil
	}
	switch broken = json.Unmarshal(data, &w, recordJSON); {
	case broken == nil:
		return w, nil, nil
	case w.V > recordVersion:
		return w, nil, ErrLaterVersion
	}
	return Record{V: recordVersion}, broken, nil
}

// due is when the record wants attention.
func (w *Record) due() time.Time {
	if w.Claim.Free() {
		return w.Next
	}
	return w.Claim.Until
}

// Today names the day of a time, in UTC.
func Today(now time.Time) string { return now.UTC().Format(time.DateOnly) }

// CallsOf is how many calls were made on the day of a time.
func (w *Record) CallsOf(now time.Time) int64 {
	if w.Day != Today(now) {
		return 0
	}
	return w.Calls
}

// spend adds calls to the day's.
func (w *Record) spend(calls int64, now time.Time) {
	w.Day, w.Calls = Today(now), w.CallsOf(now)+calls
}

// noNotesFor is how long it is remembered that the plan has no notes: plans change.
const noNotesFor = 24 * time.Hour

// mend forgets waits that are longer than any which begins now: a clock that was wrong wrote them. every is how
// often the list is read. It reports whether there were any.
func (w *Record) mend(every time.Duration, now time.Time) (mended bool) {
	far := func(t time.Time, most time.Duration) bool { return t.After(now.Add(most)) }
	if far(w.Claim.Until, 2*claims.TTL) {
		w.Claim, mended = claims.Claim{}, true
	}
	if far(w.Hook, time.Minute) {
		w.Hook, mended = now, true
	}
	if far(w.CaughtUp, time.Minute) {
		w.CaughtUp, mended = now, true
	}
	if far(w.NoNotes, noNotesFor+time.Minute) {
		w.NoNotes, mended = time.Time{}, true
	}
	if far(w.Crisp.Until, crispapi.MaxWait+time.Minute) {
		w.Crisp, mended = crispapi.State{}, true
	}
	most := w.List.MostPaid(every)
	if far(w.List.Paid, most) {
		w.List.Paid, mended = now, true
	}
	if far(w.Next, most) {
		w.Next, mended = w.List.Paid, true
	}
	return mended
}
