package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

const (
	appSecret   = "app-secret"
	verifyToken = "verify-token"
)

// hookRequest is a post as Meta signs it.
func hookRequest(secret, body string) *http.Request {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	r := httptest.NewRequest(http.MethodPost, "/messenger", strings.NewReader(body))
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return r
}

// hookBody is a post with these events.
func hookBody(events ...string) string {
	return `{"object":"page","entry":[{"id":"page-1","time":1700000000000,"messaging":[` + strings.Join(events, ",") + `]}]}`
}

// hookEventOf is an event of the user with these members.
func hookEventOf(members string) string {
	return `{"sender":{"id":"user-1"},"recipient":{"id":"page-1"},"timestamp":1700000000001,` + members + `}`
}

func TestWebhookChallenge(t *testing.T) {
	for name, c := range map[string]struct {
		mode, token, configured string
		status                  int
	}{
		"ours":             {"subscribe", verifyToken, verifyToken, 200},
		"wrong token":      {"subscribe", "other", verifyToken, 403},
		"no token":         {"subscribe", "", verifyToken, 403},
		"other mode":       {"unsubscribe", verifyToken, verifyToken, 403},
		"none configured":  {"subscribe", "", "", 403},
		"token as a start": {"subscribe", verifyToken[:3], verifyToken, 403},
	} {
		t.Run(name, func(t *testing.T) {
			q := url.Values{"hub.mode": {c.mode}, "hub.verify_token": {c.token}, "hub.challenge": {"<b>1158201444"}}
			w := httptest.NewRecorder()
			webhook{verify: c.configured}.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/messenger?"+q.Encode(), nil))
			require.Equal(t, c.status, w.Code)
			if c.status == 200 {
				require.Equal(t, "<b>1158201444", w.Body.String())
				require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"), "never a page")
				return
			}
			require.NotContains(t, w.Body.String(), "1158201444")
		})
	}
}

func TestWebhookSignature(t *testing.T) {
	body := hookBody(hookEventOf(`"message":{"mid":"m1","text":"hi"}`))
	good := hookRequest(appSecret, body).Header.Get("X-Hub-Signature-256")
	for name, c := range map[string]struct {
		secret, signature, body string
		status                  int
	}{
		"good":           {appSecret, good, body, 200},
		"upper case":     {appSecret, "sha256=" + strings.ToUpper(good[7:]), body, 200},
		"other body":     {appSecret, good, body + " ", 403},
		"other secret":   {"other", good, body, 403},
		"missing":        {appSecret, "", body, 403},
		"only a prefix":  {appSecret, "sha256=", body, 403},
		"shortened":      {appSecret, good[:20], body, 403},
		"of another sum": {appSecret, "sha1=" + good[7:], body, 403},
		"no secret":      {"", hookRequest("", body).Header.Get("X-Hub-Signature-256"), body, 403},
	} {
		t.Run(name, func(t *testing.T) {
			heard := 0
			h := webhook{secret: c.secret, hear: func(context.Context, handover.Incoming) error { heard++; return nil }}
			r := httptest.NewRequest(http.MethodPost, "/messenger", strings.NewReader(c.body))
			r.Header.Set("X-Hub-Signature-256", c.signature)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code)
			require.Equal(t, map[bool]int{true: 1}[c.status == 200], heard)
		})
	}
}

func TestWebhookBadBodies(t *testing.T) {
	h := webhook{secret: appSecret, hear: func(context.Context, handover.Incoming) error { return errors.New("heard") }}
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"not JSON":    {`{"entry":`, 400},
		"wrong types": {`{"entry":"page"}`, 400},
		"too large":   {strings.Repeat(" ", maxHook+1), 413},
		"nothing":     {`{}`, 200},
		"no events":   {hookBody(), 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, hookRequest(appSecret, c.body))
			require.Equal(t, c.status, w.Code)
		})
	}
}

func TestWebhookEvents(t *testing.T) {
	conv, at := handover.Conversation{Source: "messenger", ID: "user-1"}, time.UnixMilli(1700000000001)
	for name, c := range map[string]struct {
		event string
		want  *handover.Incoming
	}{
		"text": {`"message":{"mid":"m1","text":"Hello"}`, &handover.Incoming{ID: "m1", Text: "Hello"}},
		"quick reply": {`"message":{"mid":"m1","text":"Red","quick_reply":{"payload":"RED"}}`,
			&handover.Incoming{ID: "m1", Text: "Red", Payload: "RED"}},
		"postback": {`"postback":{"mid":"m1","title":"Start","payload":"START"}`,
			&handover.Incoming{ID: "m1", Text: "Start", Payload: "START"}},
		"postback of old": {`"postback":{"title":"Start","payload":"START"}`,
			&handover.Incoming{ID: "postback 1700000000001", Text: "Start", Payload: "START"}},
		"several attachments": {`"message":{"mid":"m1","text":"Look","attachments":[
				{"type":"image","payload":{"url":"https://cdn.invalid/a.png?x=1"}},
				{"type":"image","payload":{"url":"https://cdn.invalid/b","sticker_id":1}},
				{"type":"audio","payload":{"url":"https://cdn.invalid/c.mp4"}},
				{"type":"file","payload":{"url":"https://cdn.invalid/d.pdf"}}]}`,
			&handover.Incoming{ID: "m1", Text: "Look", Files: []handover.File{
				{URL: "https://cdn.invalid/a.png?x=1", MIMEType: "image/png"}, {URL: "https://cdn.invalid/b", MIMEType: "image/jpeg"},
				{URL: "https://cdn.invalid/c.mp4", MIMEType: "audio/mp4"}, {URL: "https://cdn.invalid/d.pdf", MIMEType: "application/pdf"}}}},
		"location": {`"message":{"mid":"m1","attachments":[{"type":"location","title":"My place","payload":{"coordinates":{"lat":48.8584,"long":2.2945}}}]}`,
			&handover.Incoming{ID: "m1", Text: "Location: 48.858400, 2.294500\nMy place"}},
		"shared link": {`"message":{"mid":"m1","text":"https://a.invalid/","attachments":[{"type":"fallback","title":"A page","url":"https://a.invalid/","payload":{"url":"https://a.invalid/"}}]}`,
			&handover.Incoming{ID: "m1", Text: "https://a.invalid/\nA page"}},
		"picture that is kept back": {`"message":{"mid":"m1","text":"Look","attachments":[{"type":"image","payload":{}}]}`,
			&handover.Incoming{ID: "m1", Text: "Look\n(image)"}},
		"something new": {`"message":{"mid":"m1","attachments":[{"type":"hologram","payload":{}}]}`, &handover.Incoming{ID: "m1", Text: "(hologram)"}},
		"echo":          {`"message":{"mid":"m1","text":"Hello","is_echo":true,"app_id":1}`, nil},
		"read":          {`"read":{"watermark":1700000000000}`, nil},
		"delivery":      {`"delivery":{"mids":["m1"],"watermark":1700000000000}`, nil},
		"reaction":      {`"reaction":{"mid":"m1","action":"react","emoji":"\u2764"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var heard []handover.Incoming
			h := webhook{secret: appSecret, hear: func(_ context.Context, m handover.Incoming) error {
				heard = append(heard, m)
				return nil
			}}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, hookRequest(appSecret, hookBody(hookEventOf(c.event))))
			require.Equal(t, 200, w.Code)
			if c.want == nil {
				require.Empty(t, heard)
				return
			}
			c.want.Conversation, c.want.At = conv, at
			require.Equal(t, []handover.Incoming{*c.want}, heard)
		})
	}
}

// TestWebhookAnswersLast shows that Meta is told nothing before a message is taken, and what it is told.
func TestWebhookAnswersLast(t *testing.T) {
	body := hookBody(hookEventOf(`"message":{"mid":"m1","text":"one"}`), hookEventOf(`"message":{"mid":"m2","text":"two"}`))
	for name, c := range map[string]struct {
		err    error // of the first message
		status int
		heard  int
	}{
		"taken":         {nil, 200, 2},
		"not now":       {handover.ErrShutdown, 503, 1},
		"store is down": {errors.New("store is down"), 503, 1},
		"never":         {handover.ErrBadMessage, 200, 2},
		"refused":       {handover.ErrRefused, 200, 2},
		"id of another": {handover.ErrIDReused, 200, 2},
	} {
		t.Run(name, func(t *testing.T) {
			heard := 0
			w := httptest.NewRecorder()
			h := webhook{secret: appSecret, hear: func(ctx context.Context, _ handover.Incoming) error {
				_, bounded := ctx.Deadline()
				require.True(t, bounded)
				require.False(t, w.Flushed)
				require.Zero(t, w.Body.Len())
				if heard++; heard == 1 {
					return c.err
				}
				return nil
			}}
			h.ServeHTTP(w, hookRequest(appSecret, body))
			require.Equal(t, c.status, w.Code)
			require.Equal(t, c.heard, heard)
		})
	}
}
