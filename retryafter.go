package handover

import (
	"errors"
	"time"
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

func (e *retryAfter) Error() string { return e.err.Error() }

func (e *retryAfter) Unwrap() error { return e.err }
