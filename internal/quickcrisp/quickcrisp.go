// Package quickcrisp answers a bot's calls as Crisp does in a handover where all goes well, and does so little else
// that benchmarks and load tests measure the bot. It refuses nothing, keeps the newest messages of each conversation,
// and sends no hook by itself. Whether a bot is right is for handovertest to say.
package quickcrisp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover/handovertest"
)

const (
	// pageSize is how many messages a page of a conversation's log has.
	pageSize = 20
	// keptMessages is how many of a conversation are kept.
	keptMessages = 2_000
)

// Crisp is one website. It is an http.Handler, and an http.RoundTripper for who needs no network.
type Crisp struct {
	WebsiteID string
	Secret    string        // signs hooks
	Latency   time.Duration // of each call

	calls, made atomic.Int64

	mu   sync.Mutex
	said int64
	logs map[string][]message // the newest messages of each session
}

type message struct {
	at   int64 // in milliseconds
	json []byte
}

// New returns an empty website.
func New() *Crisp {
	return &Crisp{
		WebsiteID: "42286ab3-0000-4fde-8538-000000000001", Secret: "a secret of 32 characters or more", logs: make(map[string][]message),
	}
}

// Calls returns how many calls were made.
func (c *Crisp) Calls() int64 { return c.calls.Load() }

// SessionID is the id of the n-th Crisp session, from 1, that is made.
func SessionID(n int64) string { return fmt.Sprintf("session_36ba3566-0000-4790-afc8-%012d", n) }

// ServeHTTP implements http.Handler.
func (c *Crisp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(c.answer(r.Method, r.URL, body))
}

// RoundTrip implements http.RoundTripper.
func (c *Crisp) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	answer := c.answer(r.Method, r.URL, body)
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}

// answer answers one call.
func (c *Crisp) answer(method string, u *url.URL, body []byte) []byte {
	path := u.Path
	c.calls.Add(1)
	if c.Latency > 0 {
		time.Sleep(c.Latency)
	}
	switch {
	case strings.HasSuffix(path, "/messages"):
		before, err := strconv.ParseInt(u.Query().Get("timestamp_before"), 10, 64)
		if err != nil {
			before = math.MaxInt64
		}
		return fmt.Appendf(nil, `{"error":false,"reason":"listed","data":[%s]}`, bytes.Join(c.page(sessionOf(path), before), []byte(",")))
	case strings.HasSuffix(path, "/message"):
		return c.post(sessionOf(path), body)
	case method == http.MethodPost && strings.HasSuffix(path, "/conversation"):
		return fmt.Appendf(nil, `{"error":false,"reason":"added","data":{"session_id":%q}}`, SessionID(c.made.Add(1)))
	case strings.HasSuffix(path, "/availability/status"):
		return []byte(`{"error":false,"reason":"resolved","data":{"status":"online"}}`)
	case strings.Contains(path, "/conversations/"):
		return []byte(`{"error":false,"reason":"listed","data":[]}`)
	case method == http.MethodGet && sessionOf(path) != "":
		return fmt.Appendf(nil, `{"error":false,"reason":"resolved","data":{"session_id":%q,"state":"unresolved"}}`, sessionOf(path))
	}
	return []byte(`{"error":false,"reason":"updated","data":{}}`)
}

// sessionOf returns the session in a path; "" for none.
func sessionOf(path string) string {
	_, rest, _ := strings.Cut(path, "/conversation/")
	session, _, _ := strings.Cut(rest, "/")
	return session
}

// post keeps a message, with the fingerprint that it has or a new one.
func (c *Crisp) post(session string, body []byte) []byte {
	var posted map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&posted); err != nil {
		return []byte(`{"error":true,"reason":"invalid_data","data":{}}`)
	}
	fp, err := strconv.ParseInt(fmt.Sprint(posted["fingerprint"]), 10, 64)
	fp, _ = c.keep(session, posted, fp, err != nil)
	return fmt.Appendf(nil, `{"error":false,"reason":"dispatched","data":{"fingerprint":%d}}`, fp)
}

// Says has an agent write in a session, and returns the body of the hook that tells of it.
func (c *Crisp) Says(session, text string) (hook []byte) {
	m := map[string]any{
		"inbox_id": nil, "type": "text", "origin": "chat", "from": "operator", "content": text, "mentions": []any{}, "stamped": true,
		"user": map[string]any{
			"type": "website", "user_id": "a4c32c68-0000-4e29-8a05-000000000001", "nickname": "Ann", "avatar": "https://image.crisp.chat/x.png",
		},
	}
	_, at := c.keep(session, m, 0, true)
	return handovertest.HookBody(c.WebsiteID, "message:received", at, m)
}

// Hook is the request that tells of what Says did.
func (c *Crisp) Hook(url string, body []byte) *http.Request {
	return handovertest.Hook(url, c.Secret, time.Now(), body)
}

// keep puts a message into a session's log, with a fingerprint of its own or a new one. One that is later there has a
// later time or, in the same millisecond, a larger new fingerprint.
func (c *Crisp) keep(session string, m map[string]any, fingerprint int64, anew bool) (int64, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if anew || fingerprint == 0 {
		c.said++
		fingerprint = 163408013112345 + c.said
	}
	now := time.Now()
	m["fingerprint"], m["timestamp"], m["session_id"], m["website_id"] = fingerprint, now.UnixMilli(), session, c.WebsiteID
	written, _ := json.Marshal(m)
	old := c.logs[session]
	c.logs[session] = append(old[max(0, len(old)-keptMessages):], message{now.UnixMilli(), written})
	return fingerprint, now
}

// page returns the newest messages of a session before a time.
func (c *Crisp) page(session string, before int64) (page [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.logs[session]
	for len(all) > 0 && all[len(all)-1].at >= before {
		all = all[:len(all)-1]
	}
	for _, m := range all[max(0, len(all)-pageSize):] {
		page = append(page, m.json)
	}
	return page
}
