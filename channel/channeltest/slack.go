package channeltest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Slack is a fake of Slack's Web and Events API with one bot and one user, Jim, in the direct message D0JIM. It is
// reached by its Client only, without a socket, so that time can be faked, and refuses what Slack is documented to
// refuse.
type Slack struct {
	Wall
	token, secret string

	api   sync.Mutex
	hook  http.Handler
	posts [][]byte // that nobody has taken, as there is no hook
	last  int      // the newest message
	files map[string]slackFile
}

type slackFile struct {
	name, mimeType string
	content        []byte
}

// SlackChannel is the direct message of the fake's user.
const SlackChannel = "D0JIM"

// NewSlack returns a fake with a random token and signing secret.
func NewSlack() *Slack {
	return &Slack{token: "xoxb-" + rand.Text(), secret: rand.Text(), files: map[string]slackFile{}}
}

// Token is the bot's token.
func (f *Slack) Token() string { return f.token }

// SigningSecret is what the fake signs its posts with.
func (f *Slack) SigningSecret() string { return f.secret }

// URL is the base URL that Client reaches.
func (f *Slack) URL() string { return "https://slack.invalid/api/" }

// Client reaches the fake and nothing else.
func (f *Slack) Client() *http.Client { return &http.Client{Transport: f} }

// Hook says where events and interactions are posted, once it answers Slack's verification.
func (f *Slack) Hook(h http.Handler) error {
	f.api.Lock()
	f.hook = h
	f.api.Unlock()
	challenge := rand.Text()
	body, err := json.Marshal(map[string]string{"type": "url_verification", "challenge": challenge})
	if err != nil {
		return err
	}
	if status, answer := f.Post(context.Background(), "application/json", body); status != http.StatusOK || answer != challenge {
		return fmt.Errorf("channeltest: the web hook does not answer Slack's verification: HTTP %d", status)
	}
	return nil
}

// Posts returns what was not posted, as there is no hook: the JSON of events and interactions.
func (f *Slack) Posts() [][]byte {
	f.api.Lock()
	defer f.api.Unlock()
	all := f.posts
	f.posts = nil
	return all
}

// Post sends a body to the hook, signed, and returns its answer; 0 without a hook.
func (f *Slack) Post(ctx context.Context, contentType string, body []byte) (status int, answer string) {
	stamp := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, []byte(f.secret))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	return f.PostSigned(ctx, contentType, body, stamp, "v0="+hex.EncodeToString(mac.Sum(nil)))
}

// PostSigned sends a body with a time and a signature of the test's own.
func (f *Slack) PostSigned(ctx context.Context, contentType string, body []byte, stamp, signature string) (status int, answer string) {
	f.api.Lock()
	hook := f.hook
	f.api.Unlock()
	if hook == nil {
		return 0, ""
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", signature)
	w := httptest.NewRecorder()
	hook.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// push posts until it is taken; Slack itself gives up after the third repeat.
func (f *Slack) push(contentType string, body, raw []byte) {
	untilTaken(func() bool {
		status, _ := f.Post(context.Background(), contentType, body)
		if status == 0 {
			f.api.Lock()
			f.posts = append(f.posts, raw)
			f.api.Unlock()
		}
		return status == http.StatusOK || status == 0
	})
}

// event posts an event.
func (f *Slack) event(members map[string]any) {
	members["event_ts"] = f.ts()
	raw, err := json.Marshal(map[string]any{"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": "Ev" + rand.Text(), "event_time": time.Now().Unix(),
		"authorizations": []any{map[string]any{"team_id": "T1", "user_id": "U0BOT", "is_bot": true}}, "event": members})
	if err != nil {
		panic(err) // it is made of what Go can encode
	}
	f.push("application/json", raw, raw)
}

// ts is the time of a message, which is its id.
func (f *Slack) ts() string {
	f.api.Lock()
	defer f.api.Unlock()
	f.last++
	return fmt.Sprintf("%d.%06d", time.Now().Unix(), f.last)
}

var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Write implements Platform.
func (f *Slack) Write(text string) { f.User(text, nil) }

// User has the user send a message whose event has these members besides. Its id is returned.
func (f *Slack) User(text string, members map[string]any) (ts string) {
	s := f.Show(Seen{ID: f.ts(), User: true, Text: text, Raw: text})
	event := map[string]any{"type": "message", "channel": SlackChannel, "channel_type": "im", "user": "U0JIM", "ts": s.ID, "text": slackEscapes.Replace(text)}
	for name, value := range members {
		event[name] = value
	}
	f.event(event)
	return s.ID
}

// Edit has the user edit a message.
func (f *Slack) Edit(ts, text string) {
	before := ""
	if !f.Change(ts, func(s *Seen) { before, s.Text, s.Edited = s.Text, text, true }) {
		return
	}
	message := func(text string) map[string]any {
		return map[string]any{"type": "message", "user": "U0JIM", "ts": ts, "text": slackEscapes.Replace(text), "edited": map[string]any{"user": "U0JIM", "ts": f.ts()}}
	}
	f.event(map[string]any{"type": "message", "subtype": "message_changed", "channel": SlackChannel, "channel_type": "im", "ts": f.ts(),
		"message": message(text), "previous_message": message(before)})
}

// File has the user send a file.
func (f *Slack) File(name, mimeType string, content []byte) {
	f.api.Lock()
	id := fmt.Sprintf("F%d", len(f.files)+1)
	f.files[id] = slackFile{name, mimeType, content}
	f.api.Unlock()
	f.User("", map[string]any{"subtype": "file_share", "files": []any{f.file(id)}})
}

// file is what the API tells of a file.
func (f *Slack) file(id string) map[string]any {
	f.api.Lock()
	defer f.api.Unlock()
	file := f.files[id]
	return map[string]any{"id": id, "name": file.name, "mimetype": file.mimeType, "size": len(file.content), "mode": "hosted", "url_private": "https://slack.invalid/files/" + id}
}

// Press implements Platform.
func (f *Slack) Press(title string) bool {
	s, b, ok := f.Find(title)
	if !ok || b.URL != "" {
		return false
	}
	raw, err := json.Marshal(map[string]any{"type": "block_actions", "team": map[string]any{"id": "T1"}, "user": map[string]any{"id": "U0JIM"},
		"channel": map[string]any{"id": SlackChannel}, "message": map[string]any{"ts": s.ID, "bot_id": "B1"},
		"actions": []any{map[string]any{"type": "button", "action_id": "choice-1", "block_id": "x", "value": b.Data, "action_ts": f.ts(),
			"text": map[string]any{"type": "plain_text", "text": b.Title}}}})
	if err != nil {
		panic(err) // it is made of what Go can encode
	}
	f.push("application/x-www-form-urlencoded", []byte(url.Values{"payload": {string(raw)}}.Encode()), raw)
	return true
}

// RoundTrip implements http.RoundTripper.
func (f *Slack) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	authorized := r.Header.Get("Authorization") == "Bearer "+f.token
	if id, ok := strings.CutPrefix(r.URL.Path, "/files/"); ok {
		f.api.Lock()
		file, known := f.files[id]
		f.api.Unlock()
		if !known || !authorized {
			return respond(r, http.StatusFound, "<html>sign in</html>"), nil
		}
		response := respond(r, http.StatusOK, string(file.content))
		response.Header.Set("Content-Type", file.mimeType)
		return response, nil
	}
	method, ok := strings.CutPrefix(r.URL.Path, "/api/")
	switch {
	case !ok || r.Method != http.MethodPost || r.Body == nil:
		return respond(r, http.StatusNotFound, "not found"), nil
	case !authorized:
		return respond(r, http.StatusOK, slackError("invalid_auth")), nil
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	in, ok := readSlackCall(method, r.Header.Get("Content-Type"), raw)
	if !ok {
		return respond(r, http.StatusOK, slackError("invalid_arguments")), nil
	}
	return f.answer(r, method, in), nil
}
