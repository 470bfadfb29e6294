package crispapi

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Error is a call to Crisp's REST API that failed, or that was not made because the breaker is open.
// It never quotes an answer's text.
type Error struct {
	Op         string        // what was tried, such as "send message"
	Scope      string        // what the token needs for it; empty if no source names it
	Read       bool          // the call changes nothing: its answer may be stale
	StatusCode int           // of the answer; 0: there was none
	Reason     string        // Crisp's word for it, such as "quota_limit_exceeded"; may be empty
	RetryAfter time.Duration // as Crisp asked, an hour at the most; 0: it did not
	// Wait is how long the breaker stays open: a call before then is not made. 0: it is closed.
	Wait time.Duration
	// Held is true if no call was made: the breaker was open. StatusCode and Reason are those of the
	// answer that opened it; a StatusCode of 0 means that Crisp did not answer.
	Held bool
	// Narrow is true if only some calls are not made, such as those of this operation: others of the
	// website are.
	Narrow bool
	Err    error // why there was no answer, or why it could not be read
}

// told reports whether Crisp told for how long no call is to be made.
func (e *Error) told() bool { return e.RetryAfter > 0 || e.StatusCode == 423 }

// errBuild is in an Error for a request that could not be built, such as content that is no JSON.
var errBuild = errors.New("the request could not be built")

// Error says what failed and, where that is known, what to do.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("crisp: " + e.Op)
	if e.Held {
		fmt.Fprintf(&b, ": not called again for %s, since Crisp does not answer as it should", e.Wait.Round(time.Second))
	}
	if e.StatusCode != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.StatusCode)
	}
	if e.Reason != "" {
		b.WriteString(" " + e.Reason)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if advice := e.Advice(); advice != "" {
		b.WriteString(": " + advice)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Class says what helps. The table of rules decides it; a call that was held may be made later.
func (e *Error) Class() Class {
	class := ruleOf(e).Class
	if e.Held && class == Soon {
		return Later
	}
	return class
}

// Advice says what a person can do, or is empty.
func (e *Error) Advice() string {
	switch {
	case e.StatusCode/100 != 4:
		return ""
	case e.Reason == "not_subscribed":
		return "install the plugin on this website, and check the website's id"
	case e.Reason == "website_not_found":
		return "check the website's id, and that the token is of this website"
	case e.Reason == "website_member_role_not_allowed":
		return "give the token's owner a role on this website that may do this"
	case e.Reason == "invalid_session":
		return "check Token: Identifier and Key must be as Crisp showed them, and Token.Tier the tier of that token"
	case e.Reason == "restricted_route_tier":
		return "check Token.Tier: it must be the tier of the token"
	case e.NotOnPlan():
		return "the workspace's plan does not have this"
	case e.StatusCode == 429 || e.StatusCode == 420 || e.StatusCode == http.StatusLocked:
		return "the quota of calls is used up for now"
	case e.StatusCode == http.StatusUnauthorized && e.Reason != "token_scope_forbidden":
		return "check Token"
	case e.Reason == "token_scope_forbidden" && e.Scope != "":
		return "give the token the scope " + e.Scope
	case e.Class() == Person && e.Scope != "":
		return "check that the token has the scope " + e.Scope
	case e.Class() == Person:
		return "give the token the scope that this call needs"
	}
	return ""
}

// NotOnPlan reports whether the workspace's plan lacks what was asked for. Crisp's not_allowed does
// not say so: it is about the token's permissions.
func (e *Error) NotOnPlan() bool {
	return e.StatusCode == http.StatusPaymentRequired || e.StatusCode/100 == 4 && e.Reason == "subscription_upgrade_required"
}

// SafeToRetry reports whether it is certain that Crisp did not carry the call out, so that repeating
// it can do nothing twice: it was not made, Crisp refused it, or it was never connected. It does not
// say that repeating helps.
func (e *Error) SafeToRetry() bool {
	if e.Held || errors.Is(e.Err, errBuild) {
		return true
	}
	if e.StatusCode != 0 {
		return e.StatusCode >= 300 && e.StatusCode < 500
	}
	var op *net.OpError
	return errors.As(e.Err, &op) && op.Op == "dial"
}

// NeedsPerson reports whether a person must mend the token or a setting.
func (e *Error) NeedsPerson() bool { return e.Class() == Person }

// Temporary reports whether the same call may succeed later, perhaps after a person has mended something.
func (e *Error) Temporary() bool { return e.Class() != Never }

// Postponed reports whether a call was not made for now: Crisp asked for fewer, or is in trouble.
func (e *Error) Postponed() bool { return e.Held && !e.NeedsPerson() }

// The waits for calls that are not made are bounded: asking again costs no call, and may go well at
// once when another caller has found Crisp well. A person may mend the token at any time.
const (
	maxPostponed = time.Minute
	maxForPerson = 15 * time.Second
)

// Pause is how long to leave Crisp alone after this error, at least.
func (e *Error) Pause() time.Duration {
	most := maxPostponed
	if e.NeedsPerson() {
		most = maxForPerson
	}
	wait := max(e.RetryAfter, min(e.Wait, most))
	if e.StatusCode == http.StatusLocked && !e.Held {
		return max(wait, time.Minute)
	}
	return wait
}

// badContent reports whether Crisp answers that what a call says is wrong.
func (e *Error) badContent() bool {
	return e != nil && (e.StatusCode == http.StatusBadRequest || e.StatusCode == http.StatusUnprocessableEntity)
}
