package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// routes serves the chat's page and what the page calls.
type routes struct {
	chat  *chat
	bot   *bot
	files *files
}

// handler is the whole web server: the page, what it calls, and what Crisp calls.
func (s routes) handler(p *page, in *inbox) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /crisp/hooks", s.bot)
	mux.Handle("GET /history", s.bot.HistoryHandler())
	mux.Handle("GET /{$}", p)
	mux.Handle("GET /static/", p.static())
	mux.HandleFunc("GET /chat/events", s.events)
	mux.HandleFunc("POST /chat/messages", s.message)
	mux.HandleFunc("POST /chat/human", s.human)
	mux.HandleFunc("POST /chat/leave", s.leave)
	mux.HandleFunc("POST /chat/typing", s.typing)
	mux.HandleFunc("POST /files", s.files.upload)
	mux.HandleFunc("GET /files/{id}/{name}", s.files.download)
	mux.HandleFunc("GET /picture", picture)
	if in != nil {
		mux.HandleFunc("GET /inbox/events", in.events)
		mux.HandleFunc("POST /inbox/presence", in.presence)
		mux.HandleFunc("POST /inbox/conversations/{number}", in.act)
	}
	// Other sites' pages must not post for our users. Crisp's servers are no browser and may.
	return http.NewCrossOriginProtection().Handler(mux)
}

const cookieName = "webchat"

// visitor returns who has sent the request: a browser, known by its cookie. Who has the cookie is the
// user, while a conversation's id is found in logs and in the agents' link to the history: it must
// not lead to the cookie.
func visitor(r *http.Request) string {
	secret := cookieOf(r)
	if secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:16])
}

// cookieOf returns what welcome gave the browser, or "".
func cookieOf(r *http.Request) string {
	if cookie, err := r.Cookie(cookieName); err == nil && len(cookie.Value) == len(rand.Text()) {
		return cookie.Value
	}
	return ""
}

// welcome gives a browser its cookie, or the one that it has for longer.
func welcome(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: cmp.Or(cookieOf(r), rand.Text()), Path: "/", MaxAge: 30 * 24 * 3600,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	})
}

// relayTime is how long a page waits for its message to be taken. After that it sends it again.
const relayTime = 20 * time.Second

// posted is what the page posts.
type posted struct {
	ID      string            `json:"id"` // chosen by the page, the same when it tries again
	Text    string            `json:"text"`
	Payload string            `json:"payload"` // of a quick reply or button
	Place   int               `json:"place"`   // of the message whose quick reply was chosen
	File    string            `json:"file"`    // of an upload
	User    handover.UserData `json:"user"`    // the page's USER_DATA
	Typing  bool              `json:"typing"`
}

// message takes a message of the user: 204 taken, 409 that choice was made before, 422 it cannot be
// taken, 503 send it again.
func (s routes) message(w http.ResponseWriter, r *http.Request) {
	user, in, ok := s.read(w, r)
	if !ok {
		return
	}
	m := handover.Incoming{Conversation: conversation(user), ID: in.ID, Text: in.Text, Payload: in.Payload, At: time.Now()}
	e := entry{Message: handover.Message{ID: in.ID, From: handover.FromUser, Content: handover.TextMessage(in.Text), At: m.At}}
	if in.File != "" {
		file, found := s.files.find(in.File)
		if !found {
			http.Error(w, "no such file", http.StatusUnprocessableEntity)
			return
		}
		m.Files = []handover.File{file}
		e.File, e.Content.Attachment = &file, attachment(file)
	}
	if in.ID == "" || strings.TrimSpace(in.Text) == "" && in.File == "" {
		http.Error(w, "an empty message", http.StatusUnprocessableEntity)
		return
	}
	room := s.chat.room(user)
	if in.Place > 0 && !room.choose(in.Place, in.ID, in.Text) {
		http.Error(w, "chosen before", http.StatusConflict)
		return
	}
	room.meet(in.User)
	room.show(e)
	ctx, cancel := context.WithTimeout(r.Context(), relayTime)
	defer cancel()
	err := s.bot.Handle(ctx, m)
	if handover.Permanent(err) && !errors.Is(err, handover.ErrIDReused) {
		_ = room.change(in.ID, func(e *entry) { e.Failed = true }) // it was shown above
	}
	s.answer(w, err)
}

// human asks for a human without the bot.
func (s routes) human(w http.ResponseWriter, r *http.Request) {
	if user, in, ok := s.read(w, r); ok {
		s.answer(w, s.bot.callHuman(r.Context(), conversation(user), in.User))
	}
}

// leave goes back to the bot.
func (s routes) leave(w http.ResponseWriter, r *http.Request) {
	if user, _, ok := s.read(w, r); ok {
		s.answer(w, s.bot.leave(r.Context(), conversation(user)))
	}
}

// typing says that the user is typing, or stopped.
func (s routes) typing(w http.ResponseWriter, r *http.Request) {
	user, in, ok := s.read(w, r)
	if !ok {
		return
	}
	if err := s.bot.UserTyping(conversation(user), in.Typing); err != nil {
		slog.Info("webchat: the agents do not see the user typing", "error", err)
	}
	w.WriteHeader(http.StatusNoContent) // a hint is not worth a second try
}

// maxPosted bounds what a page posts: a text of Limits.Text, escaped, and user data.
const maxPosted = 1 << 20

// read reads what the page posted, or answers the request.
func (s routes) read(w http.ResponseWriter, r *http.Request) (user string, in posted, ok bool) {
	user = visitor(r)
	if user == "" {
		http.Error(w, "load the page first", http.StatusForbidden)
		return "", in, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPosted))
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, "not what this page posts", http.StatusUnprocessableEntity)
		return "", in, false
	}
	return user, in, true
}

// answer tells the page whether to try again.
func (s routes) answer(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case handover.Permanent(err):
		http.Error(w, "the message cannot be taken", http.StatusUnprocessableEntity)
	default:
		slog.Warn("webchat: the page is to try again", "error", err)
		http.Error(w, "try again", http.StatusServiceUnavailable)
	}
}
