package handover

import (
	"errors"
	"fmt"
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

// RetryAfter is for Deliver and Revise: it says that a call failed with err, and that the channel is not to be
// asked again for d, as after an answer 429. A d that is longer than what is left of Timeouts.Deliver gives the message
// up at once, and the agents are told. For a user who cannot be reached until they write again return ErrUserAway.
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

var (
	// ErrIDReused is returned by Handle and Receive for an id that was used for a message with other content.
	ErrIDReused = errors.New("handover: this message id was used for another message: give each message an id of its own, and set Incoming.Edits for an edit")
	// errReentrant is for Receive and Reply on the context of a callback for the same conversation: they would
	// wait for that callback.
	errReentrant = errors.New("handover: called on a callback's context: call it after the callback has returned")
	// ErrBadMessage is returned by Handle and Receive for a message that has no conversation, no id,
	// nothing in it, too much, or a file whose URL must not be given to Crisp. All calls return it for a
	// conversation that cannot be, and Conversations for a filter.
	ErrBadMessage = errors.New("handover: the message or conversation cannot be taken")
	// ErrRefused is returned by Receive for a message that Crisp will never take. The user was
	// told.
	ErrRefused = errors.New("handover: crisp refuses the message: repeating it does not help")
	// ErrCrowded is returned by Handle and Receive when more of the user's messages wait than
	// Limits.Waiting. Let the channel repeat it.
	ErrCrowded   = errors.New("handover: too many messages of this conversation wait for Crisp, see Limits.Waiting: repeat it later")
	errNoAnswer  = errors.New("handover: Handle needs Config.Answer, which answers the user: set it, or use Receive and Reply")
	errForgotten = errors.New("handover: the conversation was forgotten meanwhile: repeat the message")
	// ErrUnderWay is returned by Receive for a message that the channel repeats while its first turn is
	// used. It waited for that, as long as its ctx allowed. Let the channel repeat it later.
	ErrUnderWay = errors.New("handover: the bot is answering the message: repeat it later")
	// ErrShutdown is returned by Handle, Receive, HandleEvent and Run once Shutdown was called, and by Start
	// with OutcomeOpening. Turns that were given may still be used in Reply.
	ErrShutdown = errors.New("handover: shutting down: another process must take it")
)
