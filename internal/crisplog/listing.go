package crisplog

import (
	"cmp"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/times"
)

const (
	// ListPages is how many pages of the list one look reads. The next look goes on behind them.
	ListPages = 20
	// minListPage is how many rows a page has at the least, unless it is the last: Crisp documents 20 to 50.
	minListPage = 20
	// catchUpCredit is how many calls catch-up may make ahead of its share, where hooks were refused.
	catchUpCredit = 10
)

// Listing is how far Crisp's list of conversations was read. Times are Crisp's, in ms.
type Listing struct {
	Mark  int64     `json:"mark,omitzero"` // changes up to it are known
	Order listOrder `json:"order,omitempty"`
	// Page is the page at which the next look goes on, if the last one did not come to the mark, and Newest
	// then the newest change at the beginning.
	Page   int       `json:"page,omitzero"`
	Newest int64     `json:"newest,omitzero"`
	Paid   time.Time `json:"paid,omitzero"` // until when the calls made so far use up catch-up's share
}

// listOrder is the order in which Crisp shows the list, as its rows tell. Crisp documents a parameter
// for the newest change first; without it, or should it be ignored, the state comes first.
type listOrder string

const (
	listUnknown  listOrder = ""      // all rows so far would fit both
	listByUpdate listOrder = "date"  // the newest change first
	listByState  listOrder = "state" // pending, unresolved, resolved, and the newest change first in each
)

// listRank is the place of a state in the order by state; what is not known has none.
var listRank = map[string]int{"pending": 1, "unresolved": 2, crispapi.Resolved: 3}

// Take takes a page of the list, and reports whether what follows is known: it ends the round. Rows whose
// time cannot be are passed over.
func (l *Listing) Take(rows []crispapi.Conversation, now time.Time) (known bool) {
	last, rank, resolved := int64(0), 0, false
	for i := range rows {
		at := ChangedAt(&rows[i], now)
		if at == 0 {
			continue
		}
		if last != 0 && at > last {
			l.Order = listByState
		} else if r := listRank[rows[i].State]; r != 0 && r < rank && l.Order == listUnknown {
			l.Order = listByUpdate
		}
		last, rank, resolved = at, cmp.Or(listRank[rows[i].State], rank), rows[i].State == crispapi.Resolved
	}
	if l.Page == 0 {
		l.Newest = max(l.Newest, newestOf(rows, now))
	}
	if len(rows) < minListPage || l.Mark == 0 {
		return true
	}
	return last != 0 && last < l.Mark-Overlap.Milliseconds() && (l.Order == listByUpdate || resolved)
}

// newestOf is the newest change among rows.
func newestOf(rows []crispapi.Conversation, now time.Time) (newest int64) {
	for i := range rows {
		newest = max(newest, ChangedAt(&rows[i], now))
	}
	return newest
}

// ChangedAt is when a listed conversation changed; 0 if the list says a time that cannot be.
func ChangedAt(c *crispapi.Conversation, now time.Time) int64 {
	at := c.Changed()
	if at > now.Add(maxAhead).UnixMilli() {
		return 0
	}
	return at
}

// Pay takes a call from catch-up's share, whatever comes of it.
func (l *Listing) Pay(every time.Duration, now time.Time) {
	l.Paid = times.Later(l.Paid, now).Add(every)
}

// Read ends a look that read the pages before next. The mark moves when the round is whole, and never past
// what was not read.
func (l *Listing) Read(next int, whole bool, now time.Time) {
	if !whole {
		if next > 1 {
			l.Page = next - 1 // rows move up when one before them is removed
		}
		return
	}
	l.Mark = max(l.Mark, cmp.Or(l.Newest, now.Add(-unknownSlack).UnixMilli()))
	l.Page, l.Newest = 0, 0
}

// Soon is when catch-up may look after hooks were refused: within its share, of which a little may be
// used ahead.
func (l *Listing) Soon(every time.Duration, now time.Time) time.Time {
	return times.Later(now, l.Paid.Add(-catchUpCredit*every))
}

// Knows reports whether what the list tells of a session was read already.
func (s *Session) Knows(c crispapi.Conversation, at int64) bool {
	return at <= s.Log.Watermark && (c.State == crispapi.Resolved) == s.State.Resolved && c.Blocked == s.State.Blocked && s.State.Doubt.IsZero()
}
