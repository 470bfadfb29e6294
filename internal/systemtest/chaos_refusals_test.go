package systemtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/crisphandover/handover/handovertest"
)

// step is something that a handover does in Crisp and can do without.
type step struct {
	name         string
	method, path string // its end
	body         string // what the request has to hold, if anything
	status       int
	answer       string
}

// steps are those that Crisp refuses for good, each in a way of its own.
var steps = []step{
	{"metas", "PATCH", "/meta", "", 403, `{"error":true,"reason":"not_allowed","data":{}}`},
	{"metas", "PATCH", "/meta", "", 500, handovertest.BodyError},
	{"read metas", "GET", "/meta", "", 200, handovertest.BodyList},
	{"inbox", "PATCH", "/inbox", "", 404, `{"error":true,"reason":"inbox_not_found","data":{}}`},
	{"operator", "PATCH", "/routing", "", 404, `{"error":true,"reason":"operator_not_found","data":{}}`},
	{"operator", "PATCH", "/routing", "", 403, `{"error":true,"reason":"not_allowed","data":{}}`},
	{"note", "POST", "/message", `"type":"note"`, 403, `{"error":true,"reason":"not_allowed","data":{}}`},
	{"marks", "PATCH", "/read", "", 403, `{"error":true,"reason":"not_allowed","data":{}}`},
	{"marks", "PATCH", "/delivered", "", 400, handovertest.BodyHTML},
}

// refusals is the network between the replicas and Crisp. It refuses each conversation that it hits
// one step, whenever that is tried.
type refusals struct {
	w    *world
	next http.RoundTripper

	mu    sync.Mutex
	chats map[string]*chat // by session
}

// RoundTrip refuses the step of the conversation, or passes the request on.
func (r *refusals) RoundTrip(q *http.Request) (*http.Response, error) {
	var body []byte
	if q.Body != nil {
		var err error
		if body, err = io.ReadAll(q.Body); err != nil {
			return nil, err
		}
		q.Body = io.NopCloser(bytes.NewReader(body))
	}
	c := r.chatOf(q.URL.Path, body)
	if c == nil || c.refused == nil || !c.refused.is(q, body) {
		return r.next.RoundTrip(q)
	}
	r.w.suffers(refusedSteps)
	r.w.count("refused " + c.refused.name)
	return &http.Response{
		StatusCode: c.refused.status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(c.refused.answer)), Request: q,
	}, nil
}

// is reports whether a request is this step.
func (s *step) is(q *http.Request, body []byte) bool {
	return q.Method == s.method && strings.HasSuffix(q.URL.Path, s.path) && bytes.Contains(body, []byte(s.body))
}

// chatOf finds whose conversation a call is about: the first metas of each bear the user's name.
func (r *refusals) chatOf(path string, body []byte) *chat {
	_, rest, _ := strings.Cut(path, "/conversation/")
	session, _, _ := strings.Cut(rest, "/")
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.chats[session]; c != nil || session == "" {
		return c
	}
	var metas struct{ Nickname string }
	if json.Unmarshal(body, &metas) != nil || metas.Nickname == "" {
		return nil
	}
	for _, c := range r.w.chats {
		if c.name == metas.Nickname {
			r.chats[session] = c
		}
	}
	return r.chats[session]
}

// knows notes whose a conversation is that was there before.
func (r *refusals) knows(session string, c *chat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chats[session] = c
}
