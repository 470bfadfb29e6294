package crispapi

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

const (
	// MaxPages bounds one read of a log.
	MaxPages = 100
	// maxLogBytes bounds what one read of a log holds.
	maxLogBytes = 64 << 20
	// pageTries is how often a page is read that cannot be: a read of many pages would hardly ever
	// succeed otherwise while Crisp fails now and then.
	pageTries = 3
)

// Reach says how far back a log is read. The read ends with the page on which one of its limits is
// met; of the zero Reach that is the log's beginning.
type Reach struct {
	// Since is a time in milliseconds: messages of that time, or older ones, need not be read.
	Since int64
	// Known tells of a fingerprint whether all messages before it are known. Nil: none is.
	Known func(fingerprint int64) bool
	// Pages is how many pages are read at the most; 0 means MaxPages.
	Pages int
	// Ahead is true to read, besides, the page that Crisp shows when it is asked for no time: it has what is
	// dated in the future, which no page before a time shows. It may come from a cache.
	Ahead bool
}

// Log is what a read of a log brought.
type Log struct {
	Items []Item // in the order in which they were written; those that have no time come first
	// Cut is true if the read ended before a limit of Reach other than Pages was met: older messages
	// may be missing.
	Cut bool
	// Gap is true if messages may be missing between those that were read: a page was full of messages
	// of one millisecond, and Crisp does not show whether there are more.
	Gap   bool
	Pages int // calls that it took
}

// Messages reads a conversation's log, from its newest message back as far as reach says. Crisp shows
// it in pages of a size that it does not document, each with the messages before a time.
func (c *Client) Messages(ctx context.Context, id string, reach Reach) (Log, error) {
	r := logReader{client: c, id: id, seen: make(map[string]bool)}
	cut, e := r.back(ctx, reach)
	if e == nil && reach.Ahead {
		_, e = r.read(ctx, "", 0)
	}
	if e != nil {
		return Log{}, c.fault(e)
	}
	return r.log(cut), nil
}

// back reads pages from the newest message back. cut is Log.Cut.
func (r *logReader) back(ctx context.Context, reach Reach) (cut bool, e *Error) {
	most := reach.Pages
	if most <= 0 || most > MaxPages {
		most = MaxPages
	}
	before := r.client.afterAll()
	for first := true; ; first = false {
		page, e := r.read(ctx, "timestamp_before", before)
		if e != nil {
			return false, e
		}
		oldest := oldestOf(page)
		switch moves := first || oldest+1 < before; {
		case len(page) == 0, reached(page, oldest, reach):
			return false, nil
		case oldest == 0: // nothing tells where the next page begins
			return true, nil
		case moves:
			before = oldest + 1 // others of the same millisecond may be on the next page
		case len(page) == 1, len(page) < r.largest: // the log begins here
			return false, nil
		case oldest >= before: // Crisp shows the same page whatever it is asked for
			return true, nil
		case r.pages >= most:
		default: // a page full of one millisecond
			if e := r.burst(ctx, oldest); e != nil {
				return false, e
			}
			before = oldest
		}
		if r.pages >= most || r.bytes > maxLogBytes {
			return true, nil
		}
	}
}

// Page reads one page of a conversation's log: the messages before a time in milliseconds; 0 reads the
// newest.
func (c *Client) Page(ctx context.Context, id string, before int64) ([]Item, error) {
	if before == 0 {
		before = c.afterAll()
	}
	r := logReader{client: c, id: id, seen: make(map[string]bool)}
	page, e := r.readOnce(ctx, "timestamp_before", before)
	return page, c.fault(e)
}

// afterAll is a time in the future by Crisp's clock, another one each time, so that no cache has the answer. It is no later
// than a day or so: what is dated further ahead would stand on the newest page for ever.
func (c *Client) afterAll() int64 {
	ahead, _ := c.Ahead()
	return time.Now().Add(max(0, ahead)+24*time.Hour).UnixMilli() + c.nonce.Add(1)%3_600_000
}

// reached reports whether a page meets a limit.
func reached(page []Item, oldest int64, reach Reach) bool {
	if oldest != 0 && oldest <= reach.Since {
		return true
	}
	return reach.Known != nil && slices.ContainsFunc(page, func(m Item) bool {
		return m.Fingerprint != 0 && reach.Known(m.Fingerprint)
	})
}

// oldestOf returns the time of the oldest message that has one, or 0.
func oldestOf(page []Item) (oldest int64) {
	for _, m := range page {
		if m.At != 0 && (oldest == 0 || m.At < oldest) {
			oldest = m.At
		}
	}
	return oldest
}

// logReader is one read of a log.
type logReader struct {
	client  *Client
	id      string
	seen    map[string]bool
	items   []Item
	bytes   int
	pages   int
	largest int // page
	gap     bool
}

// burst reads the other end of a millisecond of which a page shows only the newest messages. The two
// ends are whole if they meet; a server that does not know timestamp_after brings nothing new.
func (r *logReader) burst(ctx context.Context, at int64) *Error {
	before := maps.Clone(r.seen)
	page, e := r.read(ctx, "timestamp_after", at-1)
	if e != nil {
		return e
	}
	fresh, meets := false, false
	for _, m := range page {
		fresh = fresh || m.At == at && !before[m.ID]
		meets = meets || m.At > at || m.At == at && before[m.ID]
	}
	r.gap = r.gap || !fresh || !meets
	return nil
}

// read reads one page, again at once where that may help, and keeps what is new on it. Without a parameter it
// is the page that Crisp shows by itself.
func (r *logReader) read(ctx context.Context, parameter string, ms int64) (page []Item, e *Error) {
	for try := range pageTries {
		again, failed := r.readOnce(ctx, parameter, ms)
		if try > 0 && failed != nil && failed.Held {
			break // the failure that opened the breaker says more
		}
		if page, e = again, failed; e == nil || e.Class() != Soon || e.StatusCode == http.StatusNotFound || ctx.Err() != nil {
			break
		}
	}
	if e != nil {
		return nil, e
	}
	r.largest = max(r.largest, len(page))
	r.items = slices.Grow(r.items, len(page))
	for _, m := range page {
		if !r.seen[m.ID] {
			r.seen[m.ID] = true
			r.items = append(r.items, m)
			r.bytes += len(m.Raw)
		}
	}
	return page, nil
}

func (r *logReader) readOnce(ctx context.Context, parameter string, ms int64) (page []Item, e *Error) {
	r.pages++
	path := "/messages"
	if parameter != "" {
		path += fmt.Sprintf("?%s=%d", parameter, ms)
	}
	e = r.client.try(ctx, request{op: opMessages, session: r.id, path: path, take: func(a answer) (err error) {
		page, err = a.items()
		return err
	}})
	return page, e
}

func (r *logReader) log(cut bool) Log {
	slices.SortStableFunc(r.items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return Log{Items: r.items, Cut: cut, Gap: r.gap, Pages: r.pages}
}
