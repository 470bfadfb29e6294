package handover

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/crispapi"
)

// callTimeout bounds one call to Crisp.
const callTimeout = crispapi.CallTimeout

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
func newAPIError(e *crispapi.Error, read bool) *APIError {
	return &APIError{Op: e.Op, StatusCode: e.StatusCode, Reason: e.Reason, RetryAfter: e.RetryAfter, Err: e.Err,
		read: read, scope: e.Scope, held: e.Held, some: e.Narrow, pause: e.Wait}
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

// SafeToRetry reports whether it is certain that Crisp did not carry the call out, so that
// repeating it can do nothing twice: it was not made, Crisp refused it (4xx), or it was never
// connected. It does not say that repeating helps.
func (e *APIError) SafeToRetry() bool { return e.crisp().SafeToRetry() }

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

// crispClient speaks to Crisp's REST API for one website. Nothing else does. It repeats nothing:
// what is tried again is written in the record first.
type crispClient struct {
	api   *crispapi.Client
	calls *atomic.Int64 // since they were last added to the website's
}

func newCrispClient(cfg *Config, website string, tell func(Activity), state func(crispapi.State)) *crispClient {
	api := crispapi.New(crispapi.Config{
		BaseURL: cfg.BaseURL, WebsiteID: website, HTTP: cfg.HTTPClient,
		Token:   crispapi.Token{Identifier: cfg.Token.Identifier.text(), Key: cfg.Token.Key.text(), Tier: string(cfg.Token.Tier)},
		OnState: state,
		OnCall: func(c crispapi.Call) {
			a := Activity{Kind: ActivityCall, Effect: c.Op, Took: c.Took, At: c.Begun}
			if c.Err != nil {
				a.Err = newAPIError(c.Err, false)
			}
			tell(a)
		},
	})
	return &crispClient{api: api, calls: &api.Calls}
}

// changed gives the error of a call that changes something its public form.
func changed(err error) error { return public(err, false) }

// wasRead gives the error of a call that only reads its public form.
func wasRead(err error) error { return public(err, true) }

func public(err error, read bool) error {
	var e *crispapi.Error
	if errors.As(err, &e) {
		return newAPIError(e, read)
	}
	return err
}

// create makes an empty conversation. Crisp's lists hide it until it has a message.
func (c *crispClient) create(ctx context.Context) (string, error) {
	id, err := c.api.Create(ctx)
	return id, changed(err)
}

// What the library reads and writes of a conversation.
type (
	crispMetas        = crispapi.Metas
	crispDevice       = crispapi.Device
	crispConversation = crispapi.Conversation
	outgoing          = crispapi.Outgoing
)

func (c *crispClient) metas(ctx context.Context, id string) (crispMetas, error) {
	m, err := c.api.Metas(ctx, id)
	return m, wasRead(err)
}

func (c *crispClient) setMetas(ctx context.Context, id string, m crispMetas) error {
	return changed(c.api.SetMetas(ctx, id, m))
}

// send posts a message and returns the fingerprint that Crisp gave it, which may be another one
// than ours.
func (c *crispClient) send(ctx context.Context, id string, m outgoing) (int64, error) {
	fp, err := c.api.Send(ctx, id, m)
	return fp, changed(err)
}

func (c *crispClient) editMessage(ctx context.Context, id string, fp int64, content jsontext.Value) error {
	return changed(c.api.Edit(ctx, id, fp, content))
}

// messagesOf separates messages from those that cannot be used.
func messagesOf(items []crispapi.Item) (msgs []EventMessage, odd []oddMessage) {
	for _, item := range items {
		if item.Why == "" {
			msgs = append(msgs, readMessage(item.Raw))
			continue
		}
		odd = append(odd, oddOf(item))
	}
	return msgs, odd
}

// oddOf is what is known of a message that cannot be used.
func oddOf(item crispapi.Item) oddMessage {
	o := oddMessage{id: item.ID, fingerprint: item.Fingerprint, at: item.At, why: string(item.Why)}
	if item.Why == crispapi.NoFingerprint || item.Why == crispapi.NoTime { // all else of it is beyond doubt
		m := readMessage(item.Raw)
		o.private = isPrivate(m.Type) || m.From == "user"
	}
	return o
}

// message reads one message; nil when there is none that can be used.
func (c *crispClient) message(ctx context.Context, id string, fp int64) (*EventMessage, error) {
	item, err := c.api.Message(ctx, id, fp)
	if err != nil || item == nil || item.Why != "" {
		return nil, wasRead(err)
	}
	m := readMessage(item.Raw)
	return &m, nil
}

func (c *crispClient) conversation(ctx context.Context, id string) (crispConversation, error) {
	v, err := c.api.Conversation(ctx, id)
	return v, wasRead(err)
}

// list reads a page of the list of conversations, the newest change first. One that a cache answers
// is made up for by the next.
func (c *crispClient) list(ctx context.Context, page int) ([]crispConversation, error) {
	all, err := c.api.List(ctx, page)
	return all, wasRead(err)
}

// gone reports whether the conversation is removed: it is not there, and the website answers, so
// that the token and the website are not what is missing.
func (c *crispClient) gone(ctx context.Context, id string) bool { return c.api.Gone(ctx, id) }

// mark marks agents' messages as "delivered" or "read".
func (c *crispClient) mark(ctx context.Context, id, as, origin string, fps []int64) error {
	if as == "read" {
		return changed(c.api.MarkRead(ctx, id, origin, fps))
	}
	return changed(c.api.MarkDelivered(ctx, id, origin, fps))
}

func (c *crispClient) setState(ctx context.Context, id, state string) error {
	return changed(c.api.SetState(ctx, id, state))
}

func (c *crispClient) setInbox(ctx context.Context, id, inbox string) error {
	return changed(c.api.SetInbox(ctx, id, inbox))
}

func (c *crispClient) assign(ctx context.Context, id, operator string) error {
	return changed(c.api.Assign(ctx, id, operator))
}

// askRating has Crisp ask the user for a rating; the answer comes as session:sync:rating.
func (c *crispClient) askRating(ctx context.Context, id string) error {
	return changed(c.api.AskRating(ctx, id))
}

// typing shows agents that the user is typing, or no longer.
func (c *crispClient) typing(ctx context.Context, id string, on bool) error {
	return changed(c.api.Typing(ctx, id, on))
}

// availability asks whether visitors see the website as online.
func (c *crispClient) availability(ctx context.Context) (Presence, error) {
	status, err := c.api.Availability(ctx)
	if err != nil || status == "" {
		return Unknown, wasRead(err)
	}
	return Presence(status), nil
}

// check reads the website, which shows that the token works.
func (c *crispClient) check(ctx context.Context) error { return wasRead(c.api.Check(ctx)) }

// validSessionID tells whether s may be used as the id of a Crisp conversation, also in the path
// of a URL. Crisp's own are "session_" and a UUID.
func validSessionID(s string) bool { return crispapi.ValidSessionID(s) }

// read reads Crisp's log back to where it was read before, and the state if that is wanted. A state
// that cannot be read does not hold up the messages.
func (c *crispClient) read(ctx context.Context, l *logRead) *reading {
	n := &reading{of: l}
	pages := 0
	if l.early {
		pages = 1
	}
	n.messages, n.odd, n.cut, n.err = c.logPages(ctx, l.crisp, crispapi.Reach{Since: l.since, Known: oneOf(l.stop), Pages: pages, Ahead: l.ahead})
	if n.err == nil && l.state {
		if state, err := c.conversation(ctx, l.crisp); err == nil {
			n.state = &state
		} else {
			n.stateErr = err
		}
	}
	for _, err := range []error{n.err, n.stateErr} {
		if e := apiError(err); e != nil && e.StatusCode == http.StatusNotFound {
			n.gone = c.gone(ctx, l.crisp)
			break
		}
	}
	for _, fp := range l.singles {
		if n.err != nil || n.shows(fp) {
			continue
		}
		m, err := c.message(ctx, l.crisp, fp)
		switch {
		case err != nil:
			n.err = err
		case m == nil:
			n.missing = append(n.missing, fp)
		default:
			n.singles = append(n.singles, *m)
		}
	}
	return n
}

// log reads messages from the newest back to a time, or to a page that has one of the messages in
// stop. cut is true when messages may be missing.
func (c *crispClient) log(ctx context.Context, id string, since int64, stop []int64) (msgs []EventMessage, odd []oddMessage, cut bool, err error) {
	return c.logPages(ctx, id, crispapi.Reach{Since: since, Known: oneOf(stop)})
}

func oneOf(fps []int64) func(fp int64) bool {
	return func(fp int64) bool { return slices.Contains(fps, fp) }
}

// logPages is log with all that may be said of how far to read.
func (c *crispClient) logPages(ctx context.Context, id string, reach crispapi.Reach) (msgs []EventMessage, odd []oddMessage, cut bool, err error) {
	read, err := c.api.Messages(ctx, id, reach)
	msgs, odd = messagesOf(read.Items)
	return msgs, odd, read.Cut || read.Gap, wasRead(err)
}
