package handover

import (
	"context"
	"net/http"
	"slices"

	"github.com/crisphandover/handover/internal/crispapi"
)

// read reads Crisp's log back to where it was read before, and the state if that is wanted. A state
// that cannot be read does not hold up the messages.
func (c *crispClient) read(ctx context.Context, l *logRead) *reading {
	n := &reading{of: l}
	n.messages, n.odd, n.cut, n.err = c.log(ctx, l.crisp, l.since, l.stop)
	if n.err == nil && l.state {
		if state, err := c.conversation(ctx, l.crisp); err == nil {
			n.state = &state
		} else {
			n.stateErr = err
		}
	}
	for _, err := range []error{n.err, n.stateErr} {
		if e := apiError(err); e != nil && e.StatusCode == http.StatusNotFound {
			n.gone = c.gone(ctx, l.crisp)
			break
		}
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

// log reads messages from the newest back to a time, or to a page that has one of the messages in
// stop. cut is true when messages may be missing.
func (c *crispClient) log(ctx context.Context, id string, since int64, stop []int64) (msgs []EventMessage, odd []oddMessage, cut bool, err error) {
	read, err := c.api.Messages(ctx, id, crispapi.Reach{
		Since: since, Known: func(fp int64) bool { return slices.Contains(stop, fp) },
	})
	msgs, odd = messagesOf(read.Items)
	return msgs, odd, read.Cut || read.Gap, wasRead(err)
}
