package handover

import (
	"errors"
	"fmt"
	"time"

	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
)

// RetryAfter is for Deliver and Revise: it says that a call failed with err, and that the channel is not to be
// asked again for d, as after an answer 429.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		err = errors.New("the channel is busy")
	}
	return &retryAfter{d, err}
}

// retryAfter is an error of a channel that says when to try again.
type retryAfter struct {
	after time.Duration
	err   error
}

// RetryAfter is when to try again, for whoever tests a channel: errors.As finds it.
func (e *retryAfter) RetryAfter() time.Duration { return e.after }

// Error is that of the channel.
func (e *retryAfter) Error() string { return e.err.Error() }

// Unwrap returns the channel's error.
func (e *retryAfter) Unwrap() error { return e.err }

// deliverAgain sets the time of the next attempt to show something, not before the channel wants it. It is
// false when that would be later than Timeouts.Deliver after the first.
func (o *settlement) deliverAgain() bool {
	now := o.rec.env.now
	wait := times.Spread(times.Backoff(o.e.Attempts), fmt.Sprint(o.rec.Conversation.path(), " ", o.e.N))
	if busy := (*retryAfter)(nil); errors.As(o.r.err, &busy) {
		wait = max(busy.after, time.Second)
	}
	if wait > o.rec.env.cfg.Timeouts.Deliver || o.e.Since.Add(o.rec.env.cfg.Timeouts.Deliver).Before(now.Add(wait)) {
		return false
	}
	o.e.Next = now.Add(wait)
	for _, x := range o.rec.ToUser.before(o.e) {
		if x.overdue() {
			o.e.Next = x.Next.Add(time.Millisecond) // when that was tried again
		}
	}
	return true
}

// overtook marks those that could not be shown for long as late: a later one was shown.
func (o *settlement) overtook() {
	for _, x := range o.rec.ToUser.before(o.e) {
		if x.overdue() && x.Message != nil {
			x.Message.Late = true
		}
	}
}

// notShown tells of a message that is given up, and for what reason.
func (o *settlement) notShown(unsupported bool) {
	why, note := "failed", noteNotReached
	if unsupported {
		why, note = "unsupported", noteNotShown
	}
	o.rec.observe(Activity{Kind: ActivityGivenUp, Effect: string(o.e.Kind), CrispID: o.e.Crisp, Attempt: o.e.Attempts, Err: o.r.err, Why: why})
	if s := o.rec.Sessions.ByID(o.e.Crisp); s != nil && o.e.Kind == kindDeliver {
		if row := s.Log.Entry(o.e.FP); row != nil {
			row.Status = crisplog.Failed
		}
		o.rec.note(s.ID, note)
	}
}
