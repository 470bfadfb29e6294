package systemtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/crisphandover/handover/handovertest"
)

// step is something that a handover does in Crisp and can do without.
type step struct {
	name         string
	method, path string // below the conversation
	body         string // what the request has to hold, if anything
	status       int
	answer       string
}

const (
	notAllowed = `{"error":true,"reason":"not_allowed","data":{}}`
	notFound   = `{"error":true,"reason":"not_found","data":{}}`
)

// readMetas is a step that is taken in conversations alone that Crisp has already.
const readMetas = "metas, read"

// readState is how the library finds an end that no hook told of.
const readState = "state"

// steps are those that Crisp refuses for good, each in ways of its own.
var steps = []step{
	{"metas", "PATCH", "/meta", "", 403, notAllowed},
	{"inbox", "PATCH", "/inbox", "", 404, notFound},
	{"operator", "PATCH", "/routing", "", 404, notFound},
	{"note", "POST", "/message", `"type":"note"`, 403, notAllowed},
	{"marks", "PATCH", "/read", "", 403, notAllowed},
	{"rating", "POST", "/feedback", "", 403, notAllowed},
	{readState, "GET", "", "", 403, handovertest.BodyHTML},
	{"metas", "PATCH", "/meta", "", 500, handovertest.BodyError},
	{readMetas, "GET", "/meta", "", 200, handovertest.BodyList},
	{"operator", "PATCH", "/routing", "", 403, notAllowed},
	{"marks", "PATCH", "/delivered", "", 400, handovertest.BodyHTML},
	{readState, "GET", "", "", 200, handovertest.BodyOther},
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
	_, rest, _ := strings.Cut(q.URL.Path, "/conversation/")
	session, _, _ := strings.Cut(rest, "/")
	c := r.chatOf(session, body)
	if c == nil || c.refused == nil || !c.refused.is(q.Method, rest[len(session):], body) {
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
func (s *step) is(method, path string, body []byte) bool {
	return method == s.method && path == s.path && bytes.Contains(body, []byte(s.body))
}

// chatOf finds whose conversation a call is about: the first metas of each bear the user's name.
func (r *refusals) chatOf(session string, body []byte) *chat {
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

// hidesState reports whether Crisp refuses to say the state of a user's conversation.
func (w *world) hidesState(name string) bool {
	i := slices.IndexFunc(w.chats, func(c *chat) bool { return c.name == name })
	return i >= 0 && w.chats[i].refused != nil && w.chats[i].refused.name == readState
}

// knows notes whose a conversation is that was there before.
func (r *refusals) knows(session string, c *chat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chats[session] = c
}
