package handover

import (
	"errors"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
)

// APIError is a call to Crisp's REST API that failed. Find it with errors.As. docs/errors.md has what
// the library does about each.
type APIError struct {
	Op         string        // what was tried, such as "send message"
	StatusCode int           // of the answer; 0: there was none
	Reason     string        // Crisp's word for it, such as "quota_limit_exceeded"; may be empty
	RetryAfter time.Duration // as Crisp asked, an hour at the most; 0: it did not
	Err        error         // why there was no answer, or why it could not be read

	crisp *crispapi.Error // the whole of it; nil in an error that a host made
}

// newAPIError makes the public form of an error of crispapi's.
func newAPIError(e *crispapi.Error) *APIError {
	return &APIError{Op: e.Op, StatusCode: e.StatusCode, Reason: e.Reason, RetryAfter: e.RetryAfter, Err: e.Err, crisp: e}
}

// whole returns the error that newAPIError was given, or what can be known of it.
func (e *APIError) whole() *crispapi.Error {
	if e.crisp != nil {
		return e.crisp
	}
	return &crispapi.Error{Op: e.Op, StatusCode: e.StatusCode, Reason: e.Reason, RetryAfter: e.RetryAfter, Err: e.Err}
}

// Error says what failed and, where that is known, what to do.
func (e *APIError) Error() string { return "handover: " + e.whole().Error() }

// Unwrap returns Err.
func (e *APIError) Unwrap() error { return e.Err }

// Temporary reports whether the same call may succeed later, perhaps after a person has mended the
// token or a setting.
func (e *APIError) Temporary() bool { return e.whole().Temporary() }

// As lets the library find what it knows besides of the call.
func (e *APIError) As(target any) bool {
	whole, ok := target.(**crispapi.Error)
	if ok {
		*whole = e.whole()
	}
	return ok
}

// apiError returns what is known of the call to Crisp that an error is about; nil if it is about none.
func apiError(err error) *crispapi.Error {
	var e *crispapi.Error
	errors.As(err, &e)
	return e
}
