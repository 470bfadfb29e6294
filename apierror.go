package handover

import (
	"errors"
	"net/http"
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

	read  bool          // the call only reads: its answer may be stale
	scope string        // what the token needs for the call
	held  bool          // no call was made: after the last answer it would have been useless
	some  bool          // held: other calls to the website are made
	pause time.Duration // for which no such call is made
}

// newAPIError makes the public form of an error of crispapi's.
func newAPIError(e *crispapi.Error) *APIError {
	return &APIError{Op: e.Op, StatusCode: e.StatusCode, Reason: e.Reason, RetryAfter: e.RetryAfter, Err: e.Err,
		read: e.Read, scope: e.Scope, held: e.Held, some: e.Narrow, pause: e.Wait}
}

// crisp returns the error that newAPIError was given.
func (e *APIError) crisp() *crispapi.Error {
	return &crispapi.Error{Op: e.Op, StatusCode: e.StatusCode, Reason: e.Reason, RetryAfter: e.RetryAfter, Err: e.Err,
		Scope: e.scope, Held: e.held, Narrow: e.some, Wait: e.pause}
}

// Error says what failed and, where that is known, what to do.
func (e *APIError) Error() string { return "handover: " + e.crisp().Error() }

// Unwrap returns Err.
func (e *APIError) Unwrap() error { return e.Err }

// safeToRetry reports whether it is certain that Crisp did not carry the call out, so that
// repeating it can do nothing twice: it was not made, Crisp refused it (4xx), or it was never
// connected. It does not say that repeating helps.
func (e *APIError) safeToRetry() bool { return e.crisp().SafeToRetry() }

// Temporary reports whether the same call may succeed later, perhaps after a person has mended the
// token or a setting.
func (e *APIError) Temporary() bool { return e.crisp().Class() != crispapi.Never }

// needsPerson reports whether a person must mend the token or a setting.
func (e *APIError) needsPerson() bool { return e.crisp().Class() == crispapi.Person }

// notOnPlan reports whether the workspace's plan lacks what was asked for.
func (e *APIError) notOnPlan() bool { return e.crisp().NotOnPlan() }

// The waits for calls that are not made are bounded: asking again costs no call, and may go well at
// once when another conversation has found Crisp well. A person may mend the token at any time.
const (
	maxPostponed = time.Minute
	maxForPerson = 15 * time.Second
)

// wait is how long to leave Crisp alone after this error, at least.
func (e *APIError) wait() time.Duration {
	most := maxPostponed
	if e.needsPerson() {
		most = maxForPerson
	}
	wait := max(e.RetryAfter, min(e.pause, most))
	if e.StatusCode == http.StatusLocked && !e.held {
		return max(wait, time.Minute)
	}
	return wait
}

// postponed reports whether a call was not made for now: Crisp asked for fewer, or is in trouble.
func postponed(err error) bool {
	e := apiError(err)
	return e != nil && e.held && !e.needsPerson()
}

// apiError returns the APIError within err, or nil.
func apiError(err error) *APIError {
	var e *APIError
	errors.As(err, &e)
	return e
}
