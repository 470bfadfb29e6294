package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

const (
	pageToken = "page-token"
	graphURL  = "https://graph.invalid/v23.0/"
)

// fakeGraph is Meta's Graph API: it keeps what users see, and refuses what Meta refuses.
type fakeGraph struct {
	t *testing.T

	mu       sync.Mutex
	lines    []string // "Ann: Hello [Choice]"; "-" stands for the page
	typing   []string
	personas []string // their names; the index is the id
	outside  bool     // the 24 hours are over
	none     bool     // the page may have no personas
	down     bool
	noFiles  int           // that cannot be taken now
	badFiles int           // that are refused for good
	slow     time.Duration // that each call takes
	asked    func()        // when the user's profile is read
	refused  int           // calls that were answered with an error of Meta's
}

// client reaches the fake and nothing else, without a socket, so that time can be faked.
func (g *fakeGraph) client() *http.Client { return &http.Client{Transport: g} }

// RoundTrip answers a call.
func (g *fakeGraph) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	slow := g.slow
	g.mu.Unlock()
	time.Sleep(slow)
	w := httptest.NewRecorder()
	g.answer(w, r)
	return w.Result(), nil
}

func (g *fakeGraph) answer(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	refuse := func(status, code, subcode int) {
		g.refused++
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"message":"(#%d) no","type":"OAuthException","code":%d,"error_subcode":%d,"fbtrace_id":"x"}}`, code, code, subcode)
	}
	path, ok := strings.CutPrefix(r.URL.String(), graphURL)
	switch {
	case !ok, r.URL.Query().Has("access_token"):
		g.t.Errorf("unexpected call of %s", r.URL)
		refuse(404, codeInvalid, 33)
	case r.Header.Get("Authorization") != "Bearer "+pageToken:
		refuse(401, 190, 0)
	case g.down:
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>bad gateway</html>")
	case r.Method == http.MethodGet && path == "user-1?fields=first_name,last_name,profile_pic":
		if g.asked != nil {
			g.asked()
		}
		_, _ = io.WriteString(w, `{"first_name":"Anakin","last_name":"Skywalker","profile_pic":"https://pictures.invalid/1","id":"user-1"}`)
	case r.Method == http.MethodPost && path == "me/personas":
		var in struct{ Name, Profile_picture_url string }
		if !g.strict(r, &in) || g.none || in.Name == "" || in.Profile_picture_url == "" {
			refuse(400, codeInvalid, 0)
			return
		}
		g.personas = append(g.personas, in.Name)
		fmt.Fprintf(w, `{"id":"%d"}`, len(g.personas)-1)
	case r.Method == http.MethodPost && path == "me/messages":
		g.message(w, r, refuse)
	default:
		refuse(404, codeInvalid, 33)
	}
}

// strict decodes a body, and refuses members that the Graph API does not know.
func (g *fakeGraph) strict(r *http.Request, into any) bool {
	body, err := io.ReadAll(r.Body)
	require.NoError(g.t, err)
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return dec.Decode(into) == nil
}

type quickReply struct {
	Type    string `json:"content_type"`
	Title   string `json:"title"`
	Payload string `json:"payload"`
	Image   string `json:"image_url"`
}

// sent is the body of a call of me/messages.
type sent struct {
	Recipient struct {
		ID string `json:"id"`
	} `json:"recipient"`
	Type    string `json:"messaging_type"`
	Action  string `json:"sender_action"`
	Persona string `json:"persona_id"`
	Message *struct {
		Text         string       `json:"text"`
		QuickReplies []quickReply `json:"quick_replies"`
		Attachment   *struct {
			Type    string          `json:"type"`
			Payload json.RawMessage `json:"payload"`
		} `json:"attachment"`
	} `json:"message"`
}

func (g *fakeGraph) message(w http.ResponseWriter, r *http.Request, refuse func(status, code, subcode int)) {
	var in sent
	if !g.strict(r, &in) || in.Recipient.ID != "user-1" {
		refuse(400, codeInvalid, 0)
		return
	}
	who := "-"
	if in.Persona != "" {
		var i int
		if _, err := fmt.Sscan(in.Persona, &i); err != nil || i >= len(g.personas) {
			refuse(400, codeInvalid, 0)
			return
		}
		who = g.personas[i] + ":"
	}
	if in.Action != "" {
		g.typing = append(g.typing, in.Action)
		_, _ = io.WriteString(w, `{"recipient_id":"user-1"}`)
		return
	}
	m := in.Message
	switch {
	case m == nil, in.Type != "RESPONSE", (m.Text == "") == (m.Attachment == nil), len(m.QuickReplies) > 13, len(utf16.Encode([]rune(m.Text))) > 2000,
		slices.ContainsFunc(m.QuickReplies, func(q quickReply) bool { return len(utf16.Encode([]rune(q.Title))) > 20 }):
		refuse(400, codeInvalid, 0)
		return
	case g.outside:
		refuse(400, codePermission, codeOutside)
		return
	}
	switch {
	case m.Attachment != nil && g.noFiles > 0:
		g.noFiles--
		w.WriteHeader(http.StatusBadGateway)
		return
	case m.Attachment != nil && g.badFiles > 0:
		g.badFiles--
		refuse(400, codeInvalid, 2018047)
		return
	}
	line := who + " " + m.Text
	if m.Attachment != nil {
		line += "<" + m.Attachment.Type + " " + string(m.Attachment.Payload) + ">"
	}
	for _, q := range m.QuickReplies {
		line += " [" + q.Title + "]"
	}
	g.lines = append(g.lines, line)
	fmt.Fprintf(w, `{"recipient_id":"user-1","message_id":"m_%d"}`, len(g.lines))
}

// set changes how the fake behaves; nil changes nothing.
func (g *fakeGraph) set(fn func(*fakeGraph)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if fn != nil {
		fn(g)
	}
}

// saw returns what the user has seen since the last call.
func (g *fakeGraph) saw() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	lines := g.lines
	g.lines = nil
	return lines
}
