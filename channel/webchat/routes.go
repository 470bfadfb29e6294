package webchat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/internal/httpbody"
)

// Host is what the page needs of the library: a *handover.Handover, or a host's own loop around it.
type Host interface {
	Handle(ctx context.Context, m handover.Incoming) error
	Session(ctx context.Context, c handover.Conversation) (handover.Session, error)
	Start(ctx context.Context, t handover.Turn, r handover.Request) (handover.Outcome, error)
	End(ctx context.Context, c handover.Conversation, o handover.EndOptions) error
	UserTyping(c handover.Conversation, on bool) error
}

// server serves the page and what the page calls.
type server struct {
	chat   *Chat
	host   Host
	limits buckets
	posts  *httpbody.Reader // JSON
	files  *httpbody.Reader

	refusals channel.Refusals
}

// Handler serves the chat: the widget's script, the page that it opens, and what that calls. Mount it at the path of
// Config.URL, with or without http.StripPrefix:
//
//	http.Handle("/chat/", chat.Handler(h))
func (c *Chat) Handler(h Host) http.Handler {
	s := &server{chat: c, host: h, posts: httpbody.New(postBounds), files: httpbody.New(fileBounds(c.cfg.Limits.FileSize))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /widget.js", s.widget)
	mux.HandleFunc("GET /page/{name}", s.asset)
	mux.HandleFunc("POST /session", s.begin)
	mux.HandleFunc("GET /session", s.known(func(w http.ResponseWriter, _ *http.Request, _ session) { w.WriteHeader(http.StatusNoContent) }))
	mux.HandleFunc("GET /events", s.known(s.events))
	mux.HandleFunc("POST /messages", s.known(s.message))
	mux.HandleFunc("POST /human", s.known(s.human))
	mux.HandleFunc("POST /leave", s.known(s.leave))
	mux.HandleFunc("POST /typing", s.known(s.typing))
	mux.HandleFunc("POST /files", s.known(s.upload))
	mux.HandleFunc("GET /files/{id}/{name}", s.download)
	mux.HandleFunc("GET /picture", s.known(s.picture))
	// Other sites' pages must not post for our users.
	guard := http.NewCrossOriginProtection()
	_ = guard.AddTrustedOrigin(c.base.Scheme + "://" + c.base.Host) // a proxy may give another Host
	return s.mounted(guard.Handler(mux))
}

// mounted takes the path off at which the handler is mounted.
func (s *server) mounted(next http.Handler) http.Handler {
	prefix := strings.TrimSuffix(s.chat.base.Path, "/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		if prefix != "" && r.URL.Path == prefix {
			http.Redirect(w, r, prefix+"/", http.StatusMovedPermanently)
			return
		}
		if strings.HasPrefix(r.URL.Path, prefix+"/") {
			http.StripPrefix(prefix, next).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r) // it was taken off already
	})
}

// known passes on who sent a request, and refuses those of nobody.
func (s *server) known(next func(http.ResponseWriter, *http.Request, session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, ok := s.chat.sessionOf(r)
		if !ok {
			http.Error(w, "load the page first", http.StatusUnauthorized)
			return
		}
		next(w, r, who)
	}
}

// relayTime is how long a page waits for its message to be taken. After that it sends it again.
const relayTime = 20 * time.Second

// posted is what the page posts.
type posted struct {
	ID      string `json:"id"` // chosen by the page, the same when it tries again
	Text    string `json:"text"`
	Payload string `json:"payload"` // of a quick reply or button
	Place   int64  `json:"place"`   // of the message whose quick reply was chosen
	File    string `json:"file"`    // of an upload
}

// pageID are the ids that pages choose: what every store takes.
var pageID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// message takes a message of the user: 204 taken, 409 that choice was made before, 422 it cannot be taken, 429 and
// 503 send it again.
func (s *server) message(w http.ResponseWriter, r *http.Request, who session) {
	var in posted
	if !s.read(w, r, &in) {
		return
	}
	in.Text, in.Payload = storable(in.Text), storable(in.Payload)
	if !s.limits.allow("messages "+who.id, s.chat.cfg.Limits.Messages) {
		tooMany(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), relayTime)
	defer cancel()
	m, e, err := s.incoming(ctx, who, in)
	switch {
	case errors.Is(err, errPosted):
		http.Error(w, "the message cannot be taken", http.StatusUnprocessableEntity)
		return
	case err != nil:
		s.again(w, err)
		return
	}
	if err := s.chat.greet(ctx, who.id, in.Text); err != nil {
		s.again(w, err)
		return
	}
	if in.Place > 0 {
		if err := s.chat.choose(ctx, who.id, in.Place, in.ID, in.Text); errors.Is(err, errChosen) {
			http.Error(w, "chosen before", http.StatusConflict)
			return
		} else if err != nil {
			s.again(w, err)
			return
		}
	}
	if err := s.chat.show(ctx, who.id, e); err != nil {
		s.again(w, err)
		return
	}
	err = s.host.Handle(ctx, m)
	if !s.refusals.GiveUp(m, err) {
		s.answer(w, err)
		return
	}
	if !errors.Is(err, handover.ErrIDReused) {
		_ = s.chat.change(ctx, who.id, e.Key, func(e *Entry) bool { e.Failed = true; return true }) // the page is told below, too
	}
	if !handover.Permanent(err) {
		s.chat.cfg.Logger.Error("webchat: a user's message is given up", "conversation", who.id, "error", err)
	}
	http.Error(w, "the message cannot be taken", http.StatusUnprocessableEntity)
}

var errPosted = errors.New("webchat: not what the page posts")

// incoming makes of what was posted a message for the library, and its entry in the log.
func (s *server) incoming(ctx context.Context, who session, in posted) (m handover.Incoming, e Entry, err error) {
	if !pageID.MatchString(in.ID) || storable(in.File) != in.File || strings.TrimSpace(in.Text) == "" && in.File == "" {
		return m, e, errPosted
	}
	m = handover.Incoming{Conversation: s.chat.conversation(who.id), ID: in.ID, Text: in.Text, Payload: in.Payload, At: time.Now()}
	e = Entry{Key: userKey(in.ID), Message: handover.Message{ID: in.ID, From: handover.FromUser, Content: handover.TextMessage(in.Text), At: m.At}}
	if in.File != "" {
		u, err := s.chat.cfg.Files.Open(ctx, in.File)
		if errors.Is(err, ErrNoFile) || err == nil && u.Conversation != who.id {
			return m, e, errPosted
		} else if err != nil {
			return m, e, err
		}
		file := s.chat.fileOf(in.File, u)
		m.Files = []handover.File{file}
		e.File, e.Content.Attachment = &file, attachment(file)
	}
	return m, e, nil
}

// human asks for a human without the bot.
func (s *server) human(w http.ResponseWriter, r *http.Request, who session) {
	if s.chat.cfg.NoHumanButton {
		http.NotFound(w, r)
		return
	}
	if !s.limits.allow("other "+who.id, otherCalls) {
		tooMany(w)
		return
	}
	if err := s.chat.greet(r.Context(), who.id, ""); err != nil {
		s.again(w, err)
		return
	}
	s.answer(w, s.callHuman(r.Context(), s.chat.conversation(who.id)))
}

func (s *server) callHuman(ctx context.Context, conv handover.Conversation) error {
	visitor, err := s.chat.Visitor(ctx, conv)
	if err != nil {
		return err
	}
	now, err := s.host.Session(ctx, conv)
	if err != nil {
		return err
	}
	_, err = s.host.Start(ctx, now.Turn(), s.chat.cfg.Request(visitor))
	if errors.Is(err, handover.ErrNotYourTurn) {
		return nil // somebody was quicker
	}
	return err
}

// leave goes back to the bot.
func (s *server) leave(w http.ResponseWriter, r *http.Request, who session) {
	if !s.limits.allow("other "+who.id, otherCalls) {
		tooMany(w)
		return
	}
	s.answer(w, s.host.End(r.Context(), s.chat.conversation(who.id), handover.EndOptions{UserLeft: true}))
}

// typing says that the user is typing, or stopped. A hint is not worth a second try, so it is always taken.
func (s *server) typing(w http.ResponseWriter, r *http.Request, who session) {
	var in struct {
		Typing bool `json:"typing"`
	}
	if !s.read(w, r, &in) {
		return
	}
	if s.limits.allow("typing "+who.id, typingSigns) {
		if err := s.host.UserTyping(s.chat.conversation(who.id), in.Typing); err != nil {
			s.chat.cfg.Logger.Info("webchat: the agents do not see the user typing", "error", err)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// maxPosted bounds what a page posts: a text of Limits.Text, escaped.
const maxPosted = 1 << 20

// postBounds bound what pages post, also those of strangers.
var postBounds = httpbody.Bounds{Size: maxPosted, Time: 10 * time.Second, AtOnce: 1024, Small: 64 << 10, Large: 64 << 20}

// read reads the JSON that the page posted, or answers the request.
func (s *server) read(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := s.posts.Take(w, r)
	switch {
	case errors.Is(err, httpbody.ErrTooSlow), errors.Is(err, httpbody.ErrCrowded):
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return false
	case err == nil:
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		http.Error(w, "not what this page posts", http.StatusUnprocessableEntity)
	}
	return err == nil
}

// answer tells the page whether to try again.
func (s *server) answer(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case handover.Permanent(err):
		http.Error(w, "the message cannot be taken", http.StatusUnprocessableEntity)
	default:
		s.again(w, err)
	}
}

// again has the page try again.
func (s *server) again(w http.ResponseWriter, err error) {
	if !errors.Is(err, context.Canceled) { // the page has gone
		s.chat.cfg.Logger.Warn("webchat: the page is to try again", "error", err)
	}
	http.Error(w, "try again", http.StatusServiceUnavailable)
}

// tooMany has the page wait.
func tooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "5")
	http.Error(w, "too many: wait a moment", http.StatusTooManyRequests)
}

// address is where a request comes from, of IPv6 the part that one customer has.
func (s *server) address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if s.chat.cfg.TrustProxy {
		if list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ","); strings.TrimSpace(list[len(list)-1]) != "" {
			host = strings.TrimSpace(list[len(list)-1])
			if forwarded, _, err := net.SplitHostPort(host); err == nil { // some proxies write the port too
				host = forwarded
			}
		}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is6() {
		network, _ := ip.Prefix(64) // cannot fail
		return network.String()
	}
	return ip.String()
}

// answerJSON answers with a value.
func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the page has gone, if this fails
}

// nameOf names a session in the browser's storage.
func nameOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}
