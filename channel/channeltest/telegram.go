package channeltest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Telegram is a fake of Telegram's Bot API with one bot and one user, Jim, in the private chat 7. It is reached by its
// Client only, without a socket, so that time can be faked, and refuses what the Bot API is documented to refuse.
type Telegram struct {
	Wall
	token string

	api     sync.Mutex
	updates []json.RawMessage // that are not taken yet
	last    int64             // the number of the newest
	came    chan struct{}     // closed when one comes
	polls   chan struct{}     // of the call that waits for one: closed when another one is made
	files   map[string][]byte // by file_id
	calls   map[string]int    // by method
}

// TelegramChat is the chat of the fake's user.
const TelegramChat = "7"

// NewTelegram returns a fake whose bot has a random token.
func NewTelegram() *Telegram {
	return &Telegram{token: "4711:" + rand.Text(), came: make(chan struct{}), files: map[string][]byte{}, calls: map[string]int{}}
}

// Token is the bot's token.
func (f *Telegram) Token() string { return f.token }

// URL is the base URL that Client reaches.
func (f *Telegram) URL() string { return "https://telegram.invalid" }

// Client reaches the fake and nothing else.
func (f *Telegram) Client() *http.Client { return &http.Client{Transport: f} }

// Calls returns how often a method was called.
func (f *Telegram) Calls(method string) int {
	f.api.Lock()
	defer f.api.Unlock()
	return f.calls[method]
}

// Write implements Platform.
func (f *Telegram) Write(text string) { f.User(map[string]any{"text": text}) }

// User has the user send a message with these members, such as "location". Its id is returned.
func (f *Telegram) User(content map[string]any) (id string) {
	var files []string
	for _, kind := range []string{"photo", "voice", "video", "audio", "document"} {
		if content[kind] != nil {
			files = append(files, kind)
		}
	}
	text, _ := content["text"].(string)
	caption, _ := content["caption"].(string)
	s := f.Show(Seen{User: true, Text: text + caption, Raw: text + caption, Files: files})
	f.push("message", f.message(s, content))
	return s.ID
}

// Edit has the user edit a message.
func (f *Telegram) Edit(id, text string) {
	var changed Seen
	if f.Change(id, func(s *Seen) { s.Text, s.Raw, s.Edited, changed = text, text, true, *s }) {
		f.push("edited_message", f.message(changed, map[string]any{"text": text, "edit_date": time.Now().Unix()}))
	}
}

// File has the user send a file: kind is "photo", "voice", "video", "audio" or "document".
func (f *Telegram) File(kind, name, mimeType, caption string, content []byte) {
	f.api.Lock()
	id := fmt.Sprintf("file-%d", len(f.files)+1)
	f.files[id] = content
	f.api.Unlock()
	one := map[string]any{"file_id": id, "file_unique_id": "u" + id, "file_size": len(content), "duration": 7}
	if name != "" {
		one["file_name"] = name
	}
	if mimeType != "" && kind != "photo" {
		one["mime_type"] = mimeType
	}
	message := map[string]any{kind: one}
	if kind == "photo" {
		one["width"], one["height"] = 800, 600
		message[kind] = []any{map[string]any{"file_id": "small-" + id, "width": 80, "height": 60}, one}
	}
	if caption != "" {
		message["caption"] = caption
	}
	f.User(message)
}

// Press implements Platform.
func (f *Telegram) Press(title string) bool {
	s, b, ok := f.Find(title)
	if !ok || b.URL != "" {
		return false
	}
	var row []any
	for _, b := range s.Buttons {
		row = append(row, map[string]any{"text": b.Title, "callback_data": b.Data})
	}
	message := f.message(s, map[string]any{"text": s.Text, "reply_markup": map[string]any{"inline_keyboard": []any{row}}})
	message["from"] = map[string]any{"id": 4711, "is_bot": true, "first_name": "Bot"}
	f.push("callback_query", map[string]any{"id": rand.Text(), "from": jim, "data": b.Data, "message": message, "chat_instance": "1"})
	return true
}

var jim = map[string]any{"id": 7, "is_bot": false, "first_name": "Jim"}

// message is a message in the chat.
func (f *Telegram) message(s Seen, content map[string]any) map[string]any {
	m := map[string]any{"message_id": json.Number(s.ID), "from": jim, "chat": map[string]any{"id": 7, "type": "private", "first_name": "Jim"}, "date": time.Now().Unix()}
	for name, value := range content {
		m[name] = value
	}
	return m
}

// push adds an update.
func (f *Telegram) push(kind string, content map[string]any) {
	f.api.Lock()
	defer f.api.Unlock()
	f.last++
	raw, err := json.Marshal(map[string]any{"update_id": f.last, kind: content})
	if err != nil {
		panic(err) // it is made of what Go can encode
	}
	f.updates = append(f.updates, raw)
	close(f.came)
	f.came = make(chan struct{})
}

// Updates returns the updates that were not asked for yet, for a bot that does not poll.
func (f *Telegram) Updates() []json.RawMessage {
	f.api.Lock()
	defer f.api.Unlock()
	all := f.updates
	f.updates = nil
	return all
}

// RoundTrip implements http.RoundTripper.
func (f *Telegram) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if path, ok := strings.CutPrefix(r.URL.Path, "/file/bot"+f.token+"/files/"); ok {
		return f.download(r, path), nil
	}
	method, ok := strings.CutPrefix(r.URL.Path, "/bot"+f.token+"/")
	if !ok || r.Method != http.MethodPost || r.Body == nil {
		return respond(r, http.StatusUnauthorized, telegramError(401, "Unauthorized")), nil
	}
	f.api.Lock()
	f.calls[method]++
	f.api.Unlock()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var in telegramCall
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return respond(r, 400, telegramError(400, "Bad Request: "+string(raw))), nil
	}
	status, answer := f.answer(r.Context(), method, in)
	return respond(r, status, answer), nil
}

// respond is an answer in JSON; a string is a proxy's.
func respond(r *http.Request, status int, answer any) *http.Response {
	body, header := []byte(nil), http.Header{"Content-Type": {"application/json"}}
	if text, ok := answer.(string); ok {
		body, header = []byte(text), http.Header{"Content-Type": {"text/html"}}
	} else {
		body, _ = json.Marshal(answer)
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r}
}

// next returns the updates from offset on, when there is one. ok is false when another call is made meanwhile: one
// program polls at a time.
func (f *Telegram) next(ctx context.Context, offset int64, wait time.Duration) (updates []json.RawMessage, ok bool) {
	mine := make(chan struct{})
	f.api.Lock()
	if f.polls != nil {
		close(f.polls)
	}
	f.polls = mine
	f.api.Unlock()
	defer func() {
		f.api.Lock()
		defer f.api.Unlock()
		if f.polls == mine {
			f.polls = nil
		}
	}()
	for end := time.After(wait); ; {
		f.api.Lock()
		for len(f.updates) > 0 {
			var u struct {
				ID int64 `json:"update_id"`
			}
			if json.Unmarshal(f.updates[0], &u) != nil || u.ID >= offset {
				break
			}
			f.updates = f.updates[1:]
		}
		all, came := f.updates, f.came
		f.api.Unlock()
		if len(all) > 0 {
			return all[:min(len(all), 100)], true
		}
		select {
		case <-came:
		case <-mine:
			return nil, false
		case <-end:
			return nil, true
		case <-ctx.Done():
			return nil, true
		}
	}
}

func (f *Telegram) download(r *http.Request, id string) *http.Response {
	f.api.Lock()
	content, ok := f.files[id]
	f.api.Unlock()
	if !ok {
		return respond(r, http.StatusNotFound, telegramError(404, "Not Found"))
	}
	return respond(r, http.StatusOK, string(content))
}
