package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/crisphandover/handover"
)

const (
	crispURL    = "https://api.crisp.chat/v1/"
	callTimeout = 10 * time.Second
	maxAnswer   = 4 << 20
)

// crisp makes plain calls to Crisp's REST API about one website.
type crisp struct {
	url     string
	website string
	token   handover.Token
	client  http.Client
	calls   int
	enough  *answer       // in which Crisp asked for fewer calls: none is made from then on
	ahead   time.Duration // how far Crisp's clock is ahead of ours
}

func newCrisp(c handover.Config) *crisp {
	own := &crisp{url: crispURL, website: c.WebsiteID, token: c.Token}
	if c.BaseURL != "" {
		own.url = c.BaseURL
	}
	if own.url[len(own.url)-1] != '/' {
		own.url += "/"
	}
	if c.HTTPClient != nil {
		own.client = *c.HTTPClient
	}
	own.client.Timeout = callTimeout
	own.client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // else the token would go to another host
	}
	return own
}

// answer is what came of a call.
type answer struct {
	status int // 0: there was no answer
	reason string
	data   json.RawMessage
	failed bool
}

// call makes one call, and repeats nothing: a message would be posted twice.
func (c *crisp) call(ctx context.Context, method, path string, body any) answer {
	if c.enough != nil {
		return *c.enough
	}
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return answer{failed: true}
		}
		content = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url+"website/"+c.website+path, content)
	if err != nil {
		return answer{failed: true}
	}
	r.SetBasicAuth(c.token.Identifier.Reveal(), c.token.Key.Reveal())
	r.Header.Set("X-Crisp-Tier", string(c.token.Tier)) // without it the token is refused
	if content != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	c.calls++
	resp, err := c.client.Do(r)
	if err != nil {
		return answer{failed: true}
	}
	defer resp.Body.Close()
	a := readAnswer(resp)
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.ahead = time.Until(date) // to the second
	}
	if a.asksForLess() {
		c.enough = &a
	}
	return a
}

// word is what may be printed of an answer: nothing that people wrote.
var word = regexp.MustCompile(`^[a-z_]{1,64}$`)

// readAnswer reads the envelope {"error":false,"reason":"added","data":{}}.
func readAnswer(resp *http.Response) answer {
	a := answer{status: resp.StatusCode, failed: true}
	var envelope struct {
		Error  bool
		Reason string
		Data   json.RawMessage
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || json.Unmarshal(raw, &envelope) != nil {
		return a
	}
	if word.MatchString(envelope.Reason) {
		a.reason = envelope.Reason
	}
	a.data = envelope.Data
	a.failed = envelope.Error || resp.StatusCode/100 != 2
	return a
}

// asksForLess reports whether Crisp asks for fewer calls.
func (a answer) asksForLess() bool {
	return a.status == http.StatusTooManyRequests || a.status == 420 || a.status == http.StatusLocked
}

// notOnPlan reports whether the workspace's plan lacks what was asked for.
func (a answer) notOnPlan() bool {
	return a.status == http.StatusPaymentRequired || a.status/100 == 4 && a.reason == "subscription_upgrade_required"
}

// refused reports whether the token may not do what was asked for.
func (a answer) refused() bool {
	return !a.notOnPlan() && (a.status == http.StatusUnauthorized || a.status == http.StatusForbidden)
}

// String says what Crisp did.
func (a answer) String() string {
	switch {
	case a.status == 0:
		return "no answer"
	case a.reason == "":
		return fmt.Sprintf("HTTP %d", a.status)
	}
	return fmt.Sprintf("HTTP %d %s", a.status, a.reason)
}

// into decodes the data of an answer, and reports whether there was any.
func (a answer) into(data any) bool { return !a.failed && json.Unmarshal(a.data, data) == nil }

// talk is a conversation in Crisp.
type talk struct {
	crisp *crisp
	id    string
	read  int64 // how often the log was read
}

// post is a message to post.
type post struct {
	Type        string `json:"type"`
	From        string `json:"from"`
	Origin      string `json:"origin"`
	Content     string `json:"content"`
	Fingerprint int64  `json:"fingerprint,omitempty"`
	Automated   bool   `json:"automated,omitempty"`
	Stealth     bool   `json:"stealth,omitempty"`
}

// logged is a message as Crisp's log has it.
type logged struct {
	Type, From, Origin string
	Content            json.RawMessage
	Fingerprint        int64
	Automated, Edited  bool
}

// text is the content of a text or a note.
func (m logged) text() (s string) {
	_ = json.Unmarshal(m.Content, &s)
	return s
}

func (t *talk) call(ctx context.Context, method, path string, body any) answer {
	return t.crisp.call(ctx, method, "/conversation/"+t.id+path, body)
}

// send posts a message, and returns the fingerprint that Crisp gave it.
func (t *talk) send(ctx context.Context, m post) (fingerprint int64, a answer) {
	a = t.call(ctx, http.MethodPost, "/message", m)
	var data struct{ Fingerprint int64 }
	if a.into(&data) && data.Fingerprint == 0 {
		a.failed = true
	}
	return data.Fingerprint, a
}

// log reads the newest page of the log.
func (t *talk) log(ctx context.Context) (all []logged, a answer) {
	t.read++ // another time each time, so that no cache has the answer
	before := time.Now().Add(24*time.Hour).UnixMilli() + t.read
	a = t.call(ctx, http.MethodGet, fmt.Sprintf("/messages?timestamp_before=%d", before), nil)
	a.into(&all)
	return all, a
}

// message reads one message.
func (t *talk) message(ctx context.Context, fingerprint int64) (m logged, a answer) {
	a = t.call(ctx, http.MethodGet, fmt.Sprintf("/message/%d", fingerprint), nil)
	a.into(&m)
	return m, a
}

// setState sets the state.
func (t *talk) setState(ctx context.Context, state string) answer {
	return t.call(ctx, http.MethodPatch, "/state", map[string]string{"state": state})
}

// state reads the state; "" if Crisp does not tell.
func (t *talk) state(ctx context.Context) (string, answer) {
	var data struct{ State string }
	a := t.call(ctx, http.MethodGet, "/state", nil)
	a.into(&data)
	return data.State, a
}

// about is what Crisp says of a conversation.
type about struct {
	InboxID   *string `json:"inbox_id"`
	UpdatedAt float64 `json:"updated_at"`
}

func (t *talk) about(ctx context.Context) (v about, a answer) {
	a = t.call(ctx, http.MethodGet, "", nil)
	if !a.into(&v) {
		a.failed = true
	}
	return v, a
}
