package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	crispapi "github.com/crisp-im/go-crisp-api/crisp/v3"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// callTimeout bounds one call to Crisp. An outcome that is unknown is looked for only after
	// it: until then Crisp may still be carrying the call out.
	callTimeout = 10 * time.Second
	// maxAnswer bounds what is read of an answer of Crisp's, a page of long messages included.
	maxAnswer = 16 << 20
)

// APIError is a call to Crisp's REST API that failed. Find it with errors.As.
type APIError struct {
	Op         string        // what was tried, such as "send message"
	StatusCode int           // of the answer; 0: there was none
	Reason     string        // Crisp's word for it, such as "quota_limit_exceeded"; may be empty
	RetryAfter time.Duration // as Crisp asked; 0: it did not
	Err        error         // why there was no answer, or why it could not be read

	read bool // the call only reads: its answer may be stale
}

// Error says what failed and, where that is known, what to do.
func (e *APIError) Error() string {
	var b strings.Builder
	b.WriteString("handover: crisp: " + e.Op)
	if e.StatusCode != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.StatusCode)
	}
	if e.Reason != "" {
		b.WriteString(" " + e.Reason)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if advice := e.advice(); advice != "" {
		b.WriteString(": " + advice)
	}
	return b.String()
}

func (e *APIError) advice() string {
	switch {
	case e.Reason == "not_subscribed":
		return "install the plugin on this website"
	case e.Reason == "token_scope_forbidden":
		return "give the token the scope that this call needs"
	case e.Reason == "invalid_session":
		return "check Token: Identifier and Key must be as Crisp showed them, and Token.Tier the tier of that token"
	case e.Reason == "restricted_route_tier":
		return "check Token.Tier: it must be the tier of the token"
	case e.StatusCode == http.StatusUnauthorized:
		return "check Token"
	case e.StatusCode == http.StatusLocked, e.slowDown():
		return "the quota of calls is used up for now"
	}
	return ""
}

// Unwrap returns Err.
func (e *APIError) Unwrap() error { return e.Err }

// SafeToRetry reports whether it is certain that Crisp did not carry the call out, so that
// repeating it can do nothing twice: Crisp refused it (4xx), or it was never connected. It does
// not say that repeating helps.
func (e *APIError) SafeToRetry() bool {
	if e.StatusCode != 0 {
		return e.StatusCode >= 300 && e.StatusCode < 500
	}
	var op *net.OpError
	return errors.As(e.Err, &op) && op.Op == "dial"
}

// slowDown reports whether Crisp asked for fewer calls.
func (e *APIError) slowDown() bool { return e.StatusCode == 429 || e.StatusCode == 420 }

// Temporary reports whether the same call may succeed later.
func (e *APIError) Temporary() bool {
	return e.StatusCode < 400 || e.StatusCode == http.StatusNotFound || e.StatusCode >= 500 || e.slowDown() ||
		e.StatusCode == http.StatusLocked || e.StatusCode == http.StatusRequestTimeout ||
		e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden && !e.notOnPlan()
}

// notOnPlan reports whether the workspace's plan lacks what was asked for.
func (e *APIError) notOnPlan() bool {
	return e.StatusCode == http.StatusPaymentRequired || e.Reason == "subscription_upgrade_required" || e.Reason == "not_allowed"
}

// wait is how long to leave Crisp alone after this error, at least.
func (e *APIError) wait() time.Duration {
	if e.StatusCode == http.StatusLocked {
		return max(e.RetryAfter, time.Minute)
	}
	return e.RetryAfter
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
	base    *crispapi.Client // URL, authentication and tier of a request
	http    *http.Client
	website string
	calls   atomic.Int64 // since they were last added to the website's
	nonce   atomic.Int64
	tell    func(Activity) // hears of every call
}

func newCrispClient(cfg *Config, website string, tell func(Activity)) *crispClient {
	base := crispapi.NewWithConfig(crispapi.ClientConfig{RestEndpointURL: cfg.BaseURL})
	base.AuthenticateTier(string(cfg.Token.Tier), cfg.Token.Identifier, cfg.Token.Key)
	client := http.Client{Transport: http.DefaultTransport}
	if cfg.HTTPClient != nil {
		client = *cfg.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &crispClient{base: base, http: &client, website: website, tell: tell}
}

// call makes one call and decodes the answer's data into out, unless out is nil. path is below
// the website. Every failure is an *APIError.
func (c *crispClient) call(ctx context.Context, op, method, path string, body, out any) error {
	begun := time.Now()
	err := c.exchange(ctx, op, method, path, body, out)
	if e := apiError(err); e != nil {
		e.read = method == http.MethodGet
	}
	c.calls.Add(1)
	c.tell(Activity{Kind: ActivityCall, Effect: op, Took: time.Since(begun), Err: err, At: begun})
	return err
}

// exchange is call without the counting.
func (c *crispClient) exchange(ctx context.Context, op, method, path string, body, out any) error {
	fail := func(status int, err error) error { return &APIError{Op: op, StatusCode: status, Err: err} }
	req, err := c.base.NewRequest(method, "website/"+c.website+path, body)
	if err != nil {
		return fail(0, errors.New("the request could not be built"))
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return fail(0, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return &APIError{Op: op, StatusCode: resp.StatusCode, Reason: reasonOf(answer), RetryAfter: retryAfter(resp.Header)}
	}
	if err != nil {
		return fail(0, fmt.Errorf("the answer was cut: %w", err))
	}
	if len(answer) > maxAnswer {
		return fail(0, errors.New("the answer is too large"))
	}
	if out == nil {
		return nil
	}
	if raw, ok := out.(*jsontext.Value); ok {
		*raw = answer
		return nil
	}
	envelope := struct {
		Data any `json:"data"`
	}{out}
	if err := json.Unmarshal(answer, &envelope, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)); err != nil {
		return fail(0, fmt.Errorf("the answer is not what Crisp documents: %w", shapeOf(err)))
	}
	return nil
}

// reasonOf reads Crisp's word for a failure; anything that is not one word is dropped, since it
// could quote what a person wrote.
func reasonOf(answer []byte) string {
	var envelope struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(answer, &envelope, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) != nil {
		return ""
	}
	if len(envelope.Reason) > 64 || strings.Trim(envelope.Reason, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	return envelope.Reason
}

// retryAfter reads the header that Crisp does not document, in seconds.
func retryAfter(h http.Header) time.Duration {
	s, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || s < 0 {
		return 0
	}
	return min(time.Duration(s)*time.Second, time.Hour)
}

// create makes an empty conversation. Crisp's lists hide it until it has a message.
func (c *crispClient) create(ctx context.Context) (string, error) {
	var made crispapi.ConversationNew
	if err := c.call(ctx, "create conversation", "POST", "/conversation", nil, &made); err != nil {
		return "", err
	}
	if made.SessionID == nil || !validSessionID(*made.SessionID) {
		return "", &APIError{Op: "create conversation", Err: errors.New("the answer holds no session id")}
	}
	return *made.SessionID, nil
}

// conversationPath is the path of a conversation. Ids are checked here once more: one with "../"
// would reach another route.
func conversationPath(id, rest string) string {
	if !validSessionID(id) {
		return "/conversation/invalid" + rest
	}
	return "/conversation/" + id + rest
}

// crispMetas is what the library reads and writes of a conversation's metas.
type crispMetas struct {
	Nickname string         `json:"nickname,omitempty"`
	Email    string         `json:"email,omitempty"`
	Phone    string         `json:"phone,omitempty"`
	Avatar   string         `json:"avatar,omitempty"`
	Segments []string       `json:"segments,omitempty"`
	Data     map[string]any `json:"data,omitempty"`
	Device   *crispDevice   `json:"device,omitempty"`
}

type crispDevice struct {
	Locales []string `json:"locales,omitempty"`
}

func (c *crispClient) metas(ctx context.Context, id string) (m crispMetas, err error) {
	err = c.call(ctx, "read metas", "GET", conversationPath(id, "/meta"), nil, &m)
	return m, err
}

func (c *crispClient) setMetas(ctx context.Context, id string, m crispMetas) error {
	return c.call(ctx, "update metas", "PATCH", conversationPath(id, "/meta"), m, nil)
}

// outgoing is a message that we post. The official client's types hold the fingerprint as an int,
// which overflows on 32 bits, and always send an empty user.
type outgoing struct {
	Type        string         `json:"type"`
	From        string         `json:"from"`
	Origin      string         `json:"origin"`
	Content     jsontext.Value `json:"content"`
	Fingerprint int64          `json:"fingerprint"`
}

// send posts a message and returns the fingerprint that Crisp gave it, which may be another one
// than ours.
func (c *crispClient) send(ctx context.Context, id string, m outgoing) (int64, error) {
	var sent struct {
		Fingerprint jsontext.Value `json:"fingerprint"`
	}
	if err := c.call(ctx, "send message", "POST", conversationPath(id, "/message"), m, &sent); err != nil {
		return 0, err
	}
	if fp := positive(sent.Fingerprint); fp != 0 {
		return fp, nil
	}
	return m.Fingerprint, nil
}

func (c *crispClient) editMessage(ctx context.Context, id string, fp int64, content jsontext.Value) error {
	body := map[string]jsontext.Value{"content": content}
	return c.call(ctx, "update message", "PATCH", conversationPath(id, fmt.Sprintf("/message/%d", fp)), body, nil)
}

// messages reads the page of messages before a time, in ms; 0 reads the newest page, with a time
// in the future that no cache has seen.
func (c *crispClient) messages(ctx context.Context, id string, before int64) (msgs, withheld []EventMessage, err error) {
	if before == 0 {
		before = time.Now().Add(24*time.Hour).UnixMilli() + c.nonce.Add(1)%3_600_000
	}
	var page jsontext.Value
	err = c.call(ctx, "read messages", "GET", conversationPath(id, "/messages?timestamp_before="+strconv.FormatInt(before, 10)), nil, &page)
	if err != nil {
		return nil, nil, err
	}
	msgs, withheld, err = parseMessages(page)
	if err != nil {
		return nil, nil, &APIError{Op: "read messages", Err: err}
	}
	return msgs, withheld, nil
}

// message reads one message; nil when there is none.
func (c *crispClient) message(ctx context.Context, id string, fp int64) (*EventMessage, error) {
	var answer jsontext.Value
	err := c.call(ctx, "read message", "GET", conversationPath(id, fmt.Sprintf("/message/%d", fp)), nil, &answer)
	if e := apiError(err); e != nil && e.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if msgs, _, err := parseMessages(answer); err == nil && len(msgs) == 1 {
		return &msgs[0], nil
	}
	return nil, nil
}

// crispConversation is what a read of a conversation says besides its messages.
type crispConversation struct {
	SessionID string         `json:"session_id"`
	State     string         `json:"state"`
	UpdatedAt jsontext.Value `json:"updated_at"`
	Blocked   bool           `json:"is_blocked"`
	Meta      struct {
		Email string `json:"email"`
	} `json:"meta"`
}

func (c *crispClient) conversation(ctx context.Context, id string) (v crispConversation, err error) {
	err = c.call(ctx, "read conversation", "GET", conversationPath(id, ""), nil, &v)
	return v, err
}

// list reads a page of the list of conversations, the newest change first. One that a cache answers
// is made up for by the next.
func (c *crispClient) list(ctx context.Context, page int) (all []crispConversation, err error) {
	path := fmt.Sprintf("/conversations/%d?per_page=%d&order_date_updated=1", page, listPageSize)
	err = c.call(ctx, "list conversations", "GET", path, nil, &all)
	return all, err
}

// gone reports whether the conversation is removed: it is not there, and the website answers, so
// that the token and the website are not what is missing.
func (c *crispClient) gone(ctx context.Context, id string) bool {
	_, err := c.conversation(ctx, id)
	e := apiError(err)
	return e != nil && e.StatusCode == http.StatusNotFound && c.check(ctx) == nil
}

// mark marks agents' messages as "delivered" or "read". from names the side of the messages'
// author; without fingerprints Crisp would mark all.
func (c *crispClient) mark(ctx context.Context, id, as, origin string, fps []int64) error {
	body := map[string]any{"from": "operator", "origin": origin, "fingerprints": fps}
	return c.call(ctx, "mark as "+as, "PATCH", conversationPath(id, "/"+as), body, nil)
}

func (c *crispClient) setState(ctx context.Context, id, state string) error {
	return c.call(ctx, "change state", "PATCH", conversationPath(id, "/state"), crispapi.ConversationStateUpdate{State: &state}, nil)
}

func (c *crispClient) setInbox(ctx context.Context, id, inbox string) error {
	return c.call(ctx, "change inbox", "PATCH", conversationPath(id, "/inbox"), crispapi.ConversationInboxUpdate{InboxID: &inbox}, nil)
}

func (c *crispClient) assign(ctx context.Context, id, operator string) error {
	body := map[string]any{"assigned": map[string]string{"user_id": operator}}
	return c.call(ctx, "assign", "PATCH", conversationPath(id, "/routing"), body, nil)
}

// askRating has Crisp ask the user for a rating; the answer comes as session:sync:rating.
func (c *crispClient) askRating(ctx context.Context, id string) error {
	return c.call(ctx, "ask for a rating", "POST", conversationPath(id, "/feedback"), nil, nil)
}

// typing shows agents that the user is typing, or no longer.
func (c *crispClient) typing(ctx context.Context, id string, on bool) error {
	kind := "stop"
	if on {
		kind = "start"
	}
	body := crispapi.ConversationComposeMessageNew{Type: kind, From: "user"}
	return c.call(ctx, "show typing", "PATCH", conversationPath(id, "/compose"), body, nil)
}

// availability asks whether visitors see the website as online.
func (c *crispClient) availability(ctx context.Context) (Presence, error) {
	var v crispapi.WebsiteAvailabilityStatus
	if err := c.call(ctx, "read availability", "GET", "/availability/status", nil, &v); err != nil {
		return Unknown, err
	}
	if v.Status != nil && (*v.Status == string(Online) || *v.Status == string(Away)) {
		return Presence(*v.Status), nil
	}
	return Unknown, nil
}

// check reads the website, which shows that the token works.
func (c *crispClient) check(ctx context.Context) error {
	return c.call(ctx, "read website", "GET", "", nil, nil)
}
