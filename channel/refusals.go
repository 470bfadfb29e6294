package channel

import (
	"container/list"
	"errors"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// patience is for how long a message is repeated that only its own conversation refuses. It is well below an hour: Meta
// switches off the web hooks of an app that has answered with errors for so long, and with them those of all users.
const patience = 15 * time.Minute

// Refusals remembers since when users' messages have been refused. When they were written does not matter: after an
// outage they are old when they come first, and a button that was pressed may have no time. The zero Refusals is ready
// to use. It ends with the process; the next one begins to count anew.
type Refusals struct {
	// Max is how many messages are remembered; then those are forgotten that were refused first. Default: 10,000.
	Max int

	mu    sync.Mutex
	since map[messageKey]*list.Element // in order
	order list.List                    // of refusal, the oldest first
}

type messageKey struct {
	conversation handover.Conversation
	id           string
}

type refusal struct {
	of    messageKey
	since time.Time
}

// GiveUp notes how an attempt to take a user's message ended, with nil if it was taken, and reports whether it is not
// to be repeated any more. Either it never can be taken (handover.Permanent); or for a quarter of an hour each attempt
// was refused by its own conversation (OnlyOwn): the record cannot be worked on (handover.ErrRecord), or too many
// messages wait there (handover.ErrCrowded). What one user does, and one damaged record, may cost the others nothing.
// Any other error is to be repeated for as long as the platform does. A nil Refusals remembers nothing, and gives up only
// what never can be taken.
func (r *Refusals) GiveUp(m handover.Incoming, err error) bool {
	if r == nil {
		return handover.Permanent(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := messageKey{m.Conversation, m.ID}
	if handover.Permanent(err) || !OnlyOwn(err) {
		r.forget(key)
		return handover.Permanent(err)
	}
	if time.Since(r.first(key)) <= patience {
		return false
	}
	r.forget(key)
	return true
}

// first is when a message was refused first: now, if that is not remembered.
func (r *Refusals) first(key messageKey) time.Time {
	if e := r.since[key]; e != nil {
		return e.Value.(refusal).since
	}
	if r.since == nil {
		r.since = make(map[messageKey]*list.Element)
	}
	now := time.Now()
	r.since[key] = r.order.PushBack(refusal{key, now})
	limit := r.Max
	if limit <= 0 {
		limit = 10_000
	}
	for r.order.Len() > limit {
		r.forget(r.order.Front().Value.(refusal).of)
	}
	return now
}

func (r *Refusals) forget(key messageKey) {
	if e := r.since[key]; e != nil {
		r.order.Remove(e)
		delete(r.since, key)
	}
}

// OnlyOwn reports whether an error of handle is of this one conversation, so that others can go on.
func OnlyOwn(err error) bool {
	return errors.Is(err, handover.ErrRecord) || errors.Is(err, handover.ErrCrowded)
}
