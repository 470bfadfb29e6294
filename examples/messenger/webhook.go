package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// webhook takes what Meta sends. Without a secret and a verify token it refuses everything.
type webhook struct {
	secret string // the app's, which posts are signed with
	verify string // the token that was given to Meta with the webhook's address
	hear   func(context.Context, handover.Incoming) error
}

const (
	maxHook  = 1 << 20          // bytes
	hearTime = 15 * time.Second // Meta repeats a post that is not answered in 20 s
)

// ServeHTTP answers Meta's verification, and posts of events: 403 not from Meta, 400 not JSON, 503
// when one of the messages could not be taken and is to be sent again, 200 otherwise, once all are.
func (h webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		h.challenge(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	if !h.genuine(r.Header.Get("X-Hub-Signature-256"), body) {
		http.Error(w, "not signed with this app's secret", http.StatusForbidden)
		return
	}
	var post hookPost
	if json.Unmarshal(body, &post) != nil {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), hearTime)
	defer cancel()
	for _, entry := range post.Entry {
		for _, event := range entry.Messaging {
			if err := h.take(ctx, event); err != nil {
				slog.Warn("messenger: Meta is to send it again", "error", err)
				http.Error(w, "send it again", http.StatusServiceUnavailable)
				return
			}
		}
	}
	w.WriteHeader(http.StatusOK)
}

// challenge proves to Meta that the address is ours.
func (h webhook) challenge(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if h.verify == "" || q.Get("hub.mode") != "subscribe" || subtle.ConstantTimeCompare([]byte(q.Get("hub.verify_token")), []byte(h.verify)) != 1 {
		http.Error(w, "not the verify token of this webhook", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, q.Get("hub.challenge"))
}

// genuine reports whether Meta signed the body.
func (h webhook) genuine(signature string, body []byte) bool {
	digits, ok := strings.CutPrefix(signature, "sha256=")
	got, err := hex.DecodeString(digits)
	if !ok || err != nil || h.secret == "" {
		return false
	}
	mac := hmac.New(sha256.New, []byte(h.secret))
	mac.Write(body)
	return hmac.Equal(mac.Sum(nil), got)
}

// take gives one event to the bot. A message that can never be taken is no reason to repeat it.
func (h webhook) take(ctx context.Context, e hookEvent) error {
	m, ok := e.incoming()
	if !ok {
		return nil
	}
	err := h.hear(ctx, m)
	if handover.Permanent(err) {
		slog.Warn("messenger: a message cannot be taken", "error", err)
		return nil
	}
	return err
}

// hookPost is what Meta posts, as far as it concerns a bot.
type hookPost struct {
	Entry []struct {
		Messaging []hookEvent `json:"messaging"`
	} `json:"entry"`
}

type hookEvent struct {
	Sender    person       `json:"sender"`
	Timestamp int64        `json:"timestamp"` // milliseconds
	Message   *hookMessage `json:"message"`
	Postback  *struct {
		ID      string `json:"mid"`
		Title   string `json:"title"`
		Payload string `json:"payload"`
	} `json:"postback"`
}

type hookMessage struct {
	ID         string `json:"mid"`
	Text       string `json:"text"`
	Echo       bool   `json:"is_echo"`
	QuickReply *struct {
		Payload string `json:"payload"`
	} `json:"quick_reply"`
	Attachments []hookAttachment `json:"attachments"`
}

type hookAttachment struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	URL     string `json:"url"`
	Payload struct {
		URL         string `json:"url"`
		Title       string `json:"title"`
		Coordinates *struct {
			Lat, Long float64
		} `json:"coordinates"`
	} `json:"payload"`
}

// incoming returns the message of a user that an event brings; false for all other events, such as
// echoes of what the page sends, receipts and reactions.
func (e hookEvent) incoming() (m handover.Incoming, ok bool) {
	m.Conversation = handover.Conversation{Source: "messenger", ID: e.Sender.ID}
	m.At = time.UnixMilli(e.Timestamp)
	switch {
	case e.Postback != nil:
		m.ID, m.Text, m.Payload = e.Postback.ID, e.Postback.Title, e.Postback.Payload
		if m.ID == "" { // before version 11 of the API
			m.ID = "postback " + strconv.FormatInt(e.Timestamp, 10)
		}
	case e.Message != nil && !e.Message.Echo:
		m.ID, m.Text = e.Message.ID, e.Message.Text
		if e.Message.QuickReply != nil {
			m.Payload = e.Message.QuickReply.Payload
		}
		for _, a := range e.Message.Attachments {
			a.addTo(&m)
		}
	}
	return m, m.Text != "" || m.Payload != "" || len(m.Files) > 0
}

// addTo adds an attachment: a file that has an address as such, all else in words.
func (a hookAttachment) addTo(m *handover.Incoming) {
	switch a.Type {
	case "image", "audio", "video", "file":
		if a.Payload.URL != "" {
			m.Files = append(m.Files, handover.File{URL: a.Payload.URL, MIMEType: a.mimeType()})
			return
		}
	}
	var words []string
	if c := a.Payload.Coordinates; c != nil {
		words = append(words, fmt.Sprintf("Location: %.6f, %.6f", c.Lat, c.Long))
	}
	words = append(words, a.Title, a.Payload.Title, a.URL, a.Payload.URL)
	if joined(words) == "" {
		words = []string{"(" + a.Type + ")"}
	}
	m.Text = joined(append([]string{m.Text}, words...))
}

// joined puts different texts on lines of their own.
func joined(texts []string) string {
	var lines []string
	for _, t := range texts {
		if t != "" && !strings.Contains(strings.Join(lines, "\n"), t) {
			lines = append(lines, t)
		}
	}
	return strings.Join(lines, "\n")
}

// mimeType guesses the type of a file, which Meta does not tell, from its name and kind.
func (a hookAttachment) mimeType() string {
	if u, err := url.Parse(a.Payload.URL); err == nil {
		kind, _, _ := strings.Cut(mime.TypeByExtension(path.Ext(u.Path)), ";")
		if strings.HasPrefix(kind, a.Type+"/") || a.Type == "file" {
			return kind
		}
	}
	return map[string]string{"image": "image/jpeg", "audio": "audio/mp4", "video": "video/mp4"}[a.Type]
}
