package handover

import (
	"errors"
	"fmt"
	"time"

	"github.com/crisphandover/handover/internal/times"
)

// Waiting says what waits in one direction, and why. It is zero when nothing waits, and holds no words of
// people.
type Waiting struct {
	Messages int `json:"messages,omitzero"` // that wait; parts of a long one count each
	// Since is when the oldest of them was written, by Crisp's clock for agents' messages.
	Since time.Time `json:"since,omitzero"`
	// Attempt, Fault and Next are of what is tried first. Attempt counts how often it was tried.
	Attempt int `json:"attempt,omitzero"`
	// Fault says why that failed last, in a word: "away" or "unsupported", as Deliver said; "later", as
	// RetryAfter said; "abandoned", "panicked" or "crowded" of a callback that did not return its own error,
	// and "error" of one that did; "HTTP 503" and the like, "no_answer", or "held" while Crisp is not called.
	Fault string `json:"fault,omitempty"`
	// Next is when it is tried again; zero: now, or, of a user who is away, when they write again.
	Next time.Time `json:"next,omitzero"`
}

// add counts a message.
func (w *Waiting) add(e *effect, at time.Time) {
	w.first(e)
	w.Messages++
	w.Since = times.Earlier(w.Since, at)
}

// first takes how it goes with what is tried first.
func (w *Waiting) first(e *effect) {
	if w.Messages == 0 && w.Attempt == 0 {
		w.Attempt, w.Fault, w.Next = e.Attempts, e.Fault, e.Next
	}
}

// faultWord says in a word why an attempt failed.
func faultWord(err error) string {
	var later *retryAfter
	api := apiError(err)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrUserAway):
		return "away"
	case errors.Is(err, errors.ErrUnsupported):
		return "unsupported"
	case errors.As(err, &later):
		return "later"
	case hung(err) != "":
		return hung(err)
	case api == nil:
		return "error"
	case api.Held:
		return "held"
	case api.StatusCode == 0:
		return "no_answer"
	}
	return fmt.Sprintf("HTTP %d", api.StatusCode)
}
