package handover

import (
	"context"
	"net/http"
	"slices"
)

const (
	// maxPages bounds one read of the log.
	maxPages = 200
	// pageTries is how often a page is read that cannot be, within one read.
	pageTries = 3
)

// read reads Crisp's log back to where it was read before, and the state if that is wanted. A state
// that cannot be read does not hold up the messages.
func (c *crispClient) read(ctx context.Context, l *logRead) *reading {
	n := &reading{of: l}
	n.messages, n.odd, n.cut, n.err = c.pages(ctx, l.crisp, l.since, l.stop)
	if n.err == nil && l.state {
		if state, err := c.conversation(ctx, l.crisp); err == nil {
			n.state = &state
		} else {
			n.stateErr = err
		}
	}
	if e := apiError(n.err); e != nil && e.StatusCode == http.StatusNotFound {
		n.gone = c.gone(ctx, l.crisp)
	}
	if e := apiError(n.stateErr); e != nil && e.StatusCode == http.StatusNotFound {
		n.gone = c.gone(ctx, l.crisp)
	}
	for _, fp := range l.singles {
		if n.err != nil || n.shows(fp) {
			continue
		}
		m, err := c.message(ctx, l.crisp, fp)
		switch {
		case err != nil:
			n.err = err
		case m == nil:
			n.missing = append(n.missing, fp)
		default:
			n.singles = append(n.singles, *m)
		}
	}
	return n
}

// pages reads messages from the newest back to since, or to a page that has one of the messages in stop.
// cut is true when there are more pages in between than one read takes.
func (c *crispClient) pages(ctx context.Context, crisp string, since int64, stop []int64) (all []EventMessage, odd []oddMessage, cut bool, err error) {
	var before int64
	known := make(map[int64]bool)
	for range maxPages {
		page, withheld, err := c.page(ctx, crisp, before)
		if err != nil {
			return nil, nil, false, err
		}
		oldest, end := int64(0), false
		for _, m := range slices.Concat(page, withheld) {
			if m.Timestamp != 0 && (oldest == 0 || m.Timestamp < oldest) {
				oldest = m.Timestamp
			}
		}
		for _, m := range page {
			end = end || slices.Contains(stop, m.Fingerprint)
			if !known[m.Fingerprint] {
				known[m.Fingerprint] = true
				all = append(all, m)
			}
		}
		for _, m := range withheld {
			odd = append(odd, oddMessage{fingerprint: m.Fingerprint, at: m.Timestamp, mark: m.Fingerprint ^ m.Timestamp, why: "unusable"})
		}
		if len(page)+len(withheld) == 0 || end || oldest <= since {
			return all, odd, false, nil
		}
		next := oldest + 1 // messages of the same millisecond may be on both pages
		if before != 0 && next >= before {
			next = oldest // all of a page is of one millisecond
		}
		before = next
	}
	return all, odd, true, nil
}

// page reads one page, again at once when Crisp failed: a read of many pages would hardly ever
// succeed otherwise.
func (c *crispClient) page(ctx context.Context, crisp string, before int64) (msgs, withheld []EventMessage, err error) {
	for range pageTries {
		msgs, withheld, err = c.messages(ctx, crisp, before)
		if e := apiError(err); e == nil || e.StatusCode/100 == 4 || ctx.Err() != nil {
			break
		}
	}
	return msgs, withheld, err
}
