// Package quickcrisp answers a bot's calls as Crisp does in a handover where all goes well, and does so little else
// that benchmarks and load tests measure the bot. It refuses nothing, keeps the newest messages of each conversation,
// and sends no hook by itself. Whether a bot is right is for handovertest to say.
package quickcrisp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover/handovertest"
)

// newest is how many messages a page of a conversation's log has.
const newest = 20

// Crisp is one website. It is an http.Handler, and an http.RoundTripper for who needs no network.
type Crisp struct {
	WebsiteID string
	Secret    string        // signs hooks
	Latency   time.Duration // of each call

	calls, made, said atomic.Int64

	mu   sync.Mutex
	logs map[string][][]byte // the newest messages of each session, in JSON
}

// New returns an empty website.
func New() *Crisp {
	return &Crisp{
		WebsiteID: "42286ab3-0000-4fde-8538-000000000001", Secret: "a secret of 32 characters or more", logs: make(map[string][][]byte),
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
	_, _ = w.Write(c.answer(r.Method, r.URL.Path, body))
}

// RoundTrip implements http.RoundTripper.
func (c *Crisp) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	answer := c.answer(r.Method, r.URL.Path, body)
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}

// answer answers one call.
func (c *Crisp) answer(method, path string, body []byte) []byte {
	c.calls.Add(1)
	if c.Latency > 0 {
		time.Sleep(c.Latency)
	}
	switch {
	case strings.HasSuffix(path, "/messages"):
		return fmt.Appendf(nil, `{"error":false,"reason":"listed","data":[%s]}`, bytes.Join(c.log(sessionOf(path)), []byte(",")))
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
	fp := c.fingerprint()
	if given, err := strconv.ParseInt(fmt.Sprint(posted["fingerprint"]), 10, 64); err == nil && given != 0 {
		fp = given
	}
	posted["fingerprint"], posted["timestamp"], posted["session_id"], posted["website_id"] = fp, time.Now().UnixMilli(), session, c.WebsiteID
	written, _ := json.Marshal(posted)
	c.keep(session, written)
	return fmt.Appendf(nil, `{"error":false,"reason":"dispatched","data":{"fingerprint":%d}}`, fp)
}

// Says has an agent write in a session, and returns the body of the hook that tells of it.
func (c *Crisp) Says(session, text string) (hook []byte) {
	now := time.Now()
	m := map[string]any{
		"website_id": c.WebsiteID, "session_id": session, "inbox_id": nil, "type": "text", "origin": "chat", "from": "operator", "content": text,
		"mentions": []any{}, "stamped": true, "timestamp": now.UnixMilli(), "fingerprint": c.fingerprint(), "user": map[string]any{
			"type": "website", "user_id": "a4c32c68-0000-4e29-8a05-000000000001", "nickname": "Ann", "avatar": "https://image.crisp.chat/x.png",
		},
	}
	written, _ := json.Marshal(m)
	c.keep(session, written)
	return handovertest.HookBody(c.WebsiteID, "message:received", now, m)
}

// Hook is the request that tells of what Says did.
func (c *Crisp) Hook(url string, body []byte) *http.Request {
	return handovertest.Hook(url, c.Secret, time.Now(), body)
}

func (c *Crisp) fingerprint() int64 { return 163408013112345 + c.said.Add(1) }

func (c *Crisp) keep(session string, message []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.logs[session]
	c.logs[session] = append(old[max(0, len(old)-newest+1):len(old):len(old)], message)
}

func (c *Crisp) log(session string) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logs[session]
}
