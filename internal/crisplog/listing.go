package crisplog

import (
	"cmp"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/times"
)

const (
	// ListPages is how many pages of the list one batch reads. The next batch goes on behind them.
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
	// Page is the page at which the next batch goes on, if the last one did not come to the mark, and Newest
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
// time cannot be are passed over, and one row that is old among newer ones ends nothing.
func (l *Listing) Take(rows []crispapi.Conversation, now time.Time) (known bool) {
	last, before, rank, resolved := int64(0), int64(0), 0, false
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
		last, before, rank, resolved = at, last, cmp.Or(listRank[rows[i].State], rank), rows[i].State == crispapi.Resolved
	}
	if l.Page == 0 {
		l.Newest = max(l.Newest, newestOf(rows, now))
	}
	if len(rows) < minListPage || l.Mark == 0 {
		return true
	}
	return last != 0 && max(last, before) < l.Mark-Overlap.Milliseconds() && (l.Order == listByUpdate || resolved)
}

// newestOf is the newest change among rows. What is ahead of our clock does not count: either the row is
// odd, or Crisp's clock is ahead, and to read a little more than is new loses nothing.
func newestOf(rows []crispapi.Conversation, now time.Time) (newest int64) {
	for i := range rows {
		if at := ChangedAt(&rows[i], now); at <= now.UnixMilli() {
			newest = max(newest, at)
		}
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

// MostPaid is how far ahead of now Paid may be: by what may be used ahead, and one batch.
func (*Listing) MostPaid(every time.Duration) time.Duration {
	return (catchUpCredit + ListPages + 1) * every
}

// Read ends a batch that read the pages before next. The mark moves when the round is whole, never past what
// was not read, and never ahead of our clock.
func (l *Listing) Read(next int, whole bool, now time.Time) {
	if !whole {
		if next > 1 {
			l.Page = next - 1 // rows move up when one before them is removed
		}
		return
	}
	l.Mark = min(max(l.Mark, cmp.Or(l.Newest, now.Add(-unknownSlack).UnixMilli())), now.UnixMilli())
	l.Page, l.Newest = 0, 0
}

// Soon is when catch-up may read after hooks were refused: within its share, of which a little may be
// used ahead.
func (l *Listing) Soon(every time.Duration, now time.Time) time.Time {
	return times.Later(now, l.Paid.Add(-catchUpCredit*every))
}

// Knows reports whether what the list tells of a session was read already. At the last moment that was read
// something else may have been written, which a read soon after it did not show: a resolved session, of which
// no hook may come any more, is read once more then.
func (s *Session) Knows(c crispapi.Conversation, at int64) bool {
	if at == s.Log.Watermark && c.State == crispapi.Resolved && s.Reads.Good.UnixMilli()+s.Log.Ahead < at+HoldFor.Milliseconds() {
		return false
	}
	return at <= s.Log.Watermark && (c.State == crispapi.Resolved) == s.State.Resolved && c.Blocked == s.State.Blocked && s.State.Doubt.IsZero()
}

// A session of which the list tells no time that can be is read now and then: more rarely the longer nobody
// has written.
const (
	minOddlyListed = 10 * time.Minute
	maxOddlyListed = time.Hour
)

// ListedAgain takes a row of the list, and reports whether the session is to be read: it may have changed since it
// was last listed, at the time that is returned, if that is known. at is when the row says that it has, by
// Crisp's clock in ms, or 0; asked says that a read which the list asked for is still to come.
func (s *Session) ListedAgain(c crispapi.Conversation, at int64, asked bool, now time.Time) (_ int64, changed bool) {
	if s.listedOddly(at, now) {
		quiet := time.Duration(s.Reads.Good.UnixMilli()+s.Log.Ahead-s.Log.Newest) * time.Millisecond
		again := s.Reads.Good.Add(min(max(quiet, minOddlyListed), maxOddlyListed))
		return 0, !asked && !now.Before(again)
	}
	if at == s.Listed || s.Knows(c, at) {
		return at, false
	}
	s.Listed = at
	return at, true
}

// listedOddly reports whether the list cannot be believed when it says that a session changed at this time
// of Crisp's: there is none, it is still to come, or what is known of the session is newer.
func (s *Session) listedOddly(at int64, now time.Time) bool {
	_, sane := s.Log.Plausible(at, now)
	return at == 0 || !sane || at < s.Log.Newest-Overlap.Milliseconds()
}
