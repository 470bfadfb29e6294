package messenger

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
// developers.facebook.com/docs/messenger-platform/error-codes. Find it with errors.As.
type Error struct {
	Status, Code, Subcode int
}

// Error names the numbers, and what to do where that is known.
func (e *Error) Error() string {
	text := fmt.Sprintf("messenger: the Graph API answers HTTP %d, code %d, subcode %d", e.Status, e.Code, e.Subcode)
	if hint := hints[e.Code]; hint != "" {
		text += ": " + hint
	}
	return text
}

// hints say what to do about codes that a person must mend.
var hints = map[int]string{
	codePermission: "the app lacks a permission, or another app has the conversation",
	codeForbidden:  "the app lacks pages_messaging",
	codeToken:      "make a new page access token",
	codePage:       "the app lacks pages_messaging",
}

// Codes and subcodes. All but those marked otherwise stand in Meta's list.
const (
	codeCalls      = 4     // the app makes too many calls
	codePermission = 10    // with codeWindow or codeWindowOld: the window is over
	codeUser       = 17    // too many calls in a user's name (Graph API, Rate limits)
	codeRate       = 32    // too many calls of the page (Graph API, Rate limits)
	codeInvalid    = 100   // the request is not as it should be
	codeToken      = 190   // the token is wrong, or has expired
	codeForbidden  = 200   // a permission is missing; with codeBlocked: the user has blocked the page
	codePage       = 230   // a permission is missing; seen in answers, not in Meta's list
	codeGone       = 551   // the user cannot be reached: has blocked the page, or has left
	codeSpeed      = 613   // too many calls
	codeBusiness   = 80006 // too many calls of this page to Messenger (Graph API, Rate limits)

	codeWindow    = 2018278 // the time after the user's last message is over
	codeWindowOld = 2018065 // the same, as it was said before
	codeRefuses   = 2018108 // the user does not receive messages from the page
	codeBlocked   = 1545041 // the same
	codeNobody    = 2018001 // no such user
	codeNoObject  = 33      // no such object, or no permission to see it; seen in answers, not in Meta's list
)

// restTime is how long Meta is left alone that says "too much" without a time. Meta names none; its limits are by
// the hour.
const restTime = time.Minute

// meaning is what an error of a call means to the library: to be tried later, the user cannot be reached, the message
// cannot be shown so, or, as it is, a fault.
func meaning(err error) error {
	e, ok := errors.AsType[*graphapi.Error](err)
	if !ok {
		if err != nil {
			err = fmt.Errorf("messenger: %w", err)
		}
		return err
	}
	told := &Error{e.Status, e.Code, e.Subcode}
	switch {
	case told.limits():
		return handover.RetryAfter(cmp.Or(e.After, restTime), told)
	case told.away():
		return fmt.Errorf("%w: %w", handover.ErrUserAway, told)
	case e.Code == codeInvalid && e.Subcode != codeNoObject:
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, told)
	}
	return told
}

// limits reports whether too much was sent.
func (e *Error) limits() bool {
	switch e.Code {
	case codeCalls, codeUser, codeRate, codeSpeed, codeBusiness:
		return true
	}
	return e.Status == http.StatusTooManyRequests
}

// outside reports whether the time after the user's last message is over, in which everything may be sent.
func (e *Error) outside() bool {
	return e.Code == codePermission && (e.Subcode == codeWindow || e.Subcode == codeWindowOld)
}

// away reports whether the user cannot be reached until they write again.
func (e *Error) away() bool {
	switch {
	case e.outside(), e.Code == codeGone, e.Subcode == codeBlocked, e.Subcode == codeRefuses:
		return true
	}
	return e.Code == codeInvalid && e.Subcode == codeNobody
}

// final reports whether the same call is of no use again.
func (e *Error) final() bool {
	return e.Code == codeInvalid || e.Code == codePermission || e.Code >= 200 && e.Code < 300
}
