package whatsapp

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/graphapi"
)

// Error is what Meta says of a call that it refused, in numbers, which stand in its list:
// developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes. Find it with errors.As.
type Error struct {
	Status, Code int
}

// Error names the numbers, and what to do where that is known.
func (e *Error) Error() string {
	text := fmt.Sprintf("whatsapp: the Cloud API answers HTTP %d, code %d", e.Status, e.Code)
	if hint := hints[e.Code]; hint != "" {
		text += ": " + hint
	}
	return text
}

// hints say what to do about codes that a person must mend.
var hints = map[int]string{
	3:      "the token lacks a permission",
	10:     "the token lacks whatsapp_business_messaging",
	33:     "the phone number id is wrong",
	190:    "make a new access token",
	131030: "a test number only writes to the numbers that are listed at Meta",
	131031: "Meta has locked the account",
	131042: "the account's payment does not work",
	133010: "the phone number is not registered",
}

// Codes of Meta's list.
const (
	codeCalls      = 4      // the app makes too many calls
	codeInvalid    = 100    // the request is not as it should be
	codeAccount    = 80007  // too many calls of the WhatsApp Business account
	codeThroughput = 130429 // too many messages at once
	codeMissing    = 131008 // a parameter is missing
	codeValue      = 131009 // a parameter's value is not valid
	codeAway       = 131026 // cannot be delivered: no WhatsApp, too old, terms not accepted; also when blocked
	codeWindow     = 131047 // more than 24 hours since the user wrote
	codeSpam       = 131048 // too many messages were blocked or reported
	codeType       = 131051 // the kind of message is not supported
	codeMedia      = 131053 // a file cannot be uploaded
	codePair       = 131056 // too many messages to this user
	codeUpkeep     = 131057 // the account is in maintenance, such as for more throughput
)

// rests are how long Meta is left alone that says "too much" without a time. Of codePair Meta says that one message in
// 6 seconds is allowed for long, 45 at once at the most; of the others, to try later.
var rests = map[int]time.Duration{
	codeCalls:      5 * time.Minute,
	codeAccount:    5 * time.Minute,
	codeThroughput: 30 * time.Second,
	codeSpam:       15 * time.Minute,
	codePair:       time.Minute,
	codeUpkeep:     time.Minute,
}

// restTime is for an answer 429 without a code that is known.
const restTime = time.Minute

// meaning is what an error of a call means to the library: to be tried later, the user cannot be reached, the message
// cannot be shown so, or, as it is, a fault.
func meaning(err error) error {
	e, ok := errors.AsType[*graphapi.Error](err)
	if !ok {
		if err != nil {
			err = fmt.Errorf("whatsapp: %w", err)
		}
		return err
	}
	told := &Error{e.Status, e.Code}
	rest, tooMuch := rests[e.Code]
	if e.Status == http.StatusTooManyRequests && !tooMuch {
		rest, tooMuch = restTime, true
	}
	switch {
	case tooMuch:
		return handover.RetryAfter(cmp.Or(e.After, rest), told)
	case told.away():
		return fmt.Errorf("%w: %w", handover.ErrUserAway, told)
	case told.format():
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, told)
	}
	return told
}

// away reports whether the user cannot be reached until they write again.
func (e *Error) away() bool { return e.Code == codeWindow || e.Code == codeAway }

// format reports whether the message is of a form that is not taken.
func (e *Error) format() bool {
	switch e.Code {
	case codeInvalid, codeMissing, codeValue, codeType, codeMedia:
		return true
	}
	return false
}
