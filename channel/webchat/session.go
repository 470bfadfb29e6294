package webchat

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/signedlink"
)

// Visitor is the user of a conversation: what the host signed, or a guest.
type Visitor struct {
	Conversation handover.Conversation `json:"conversation"`
	UserID       string                `json:"user_id,omitempty"` // the host's; empty for a guest
	User         handover.UserData     `json:"user"`
	Locale       string                `json:"locale"`        // one of the page's languages, or the host's own tag
	Seen         time.Time             `json:"seen,omitzero"` // when a page of theirs was last known to be open
}

// Login is what the host says of a user who is signed in on its site.
type Login struct {
	// UserID is the host's id of the user. Required. It stands in logs and in Conversation.ID: not a secret.
	UserID string
	// User is what agents see of the user. The user's own page can read it.
	User handover.UserData
	// Locale is the user's language, such as "fr" or "pt-BR". Default: the page's, else the browser's.
	Locale string
	// TTL is how long the session lasts. Default: 12 hours.
	TTL time.Duration
}

const (
	defaultTTL   = 12 * time.Hour
	guestTTL     = 30 * 24 * time.Hour
	tokenPurpose = "webchat login"   // what tokens are signed for
	namePurpose  = "webchat session" // what cookies are signed for
	maxUserID    = 200               // bytes
	maxToken     = 64 << 10          // bytes
	maxCookie    = 2 << 10           // bytes
	cookieName   = "webchat"
)

// Token signs a user in: give it to the page in the script tag, as data-session. It holds the user's data, signed
// and not encrypted, until it expires.
//
//	<script src="/chat/widget.js" data-session="{{.Token}}" defer></script>
func (c *Chat) Token(l Login) (string, error) {
	if l.UserID == "" || len(l.UserID) > maxUserID || storable(l.UserID) != l.UserID {
		return "", fmt.Errorf("webchat: Login.UserID must have 1 to %d bytes of UTF-8, without NUL", maxUserID)
	}
	if l.TTL <= 0 {
		l.TTL = defaultTTL
	}
	data, err := json.Marshal(l.User)
	if err != nil {
		return "", errors.New("webchat: Login.User cannot be written as JSON")
	}
	until := time.Now().Add(l.TTL)
	token := signedlink.Sign(tokenPurpose, c.cfg.Key.Reveal(), until, l.UserID, l.Locale, string(data), strconv.FormatInt(until.Unix(), 10))
	if len(token) > maxToken {
		return "", fmt.Errorf("webchat: Login.User is too large: a token has at most %d bytes", maxToken)
	}
	return token, nil
}

// Conversation names the conversation of a user of the host's.
func (c *Chat) Conversation(userID string) handover.Conversation {
	return c.conversation("user-" + userID)
}

func (c *Chat) conversation(id string) handover.Conversation {
	return handover.Conversation{Source: c.cfg.Source, ID: id}
}

// session is who has sent a request: a browser, known by its cookie.
type session struct {
	id    string // of the conversation
	user  string // the host's id; empty for a guest
	until time.Time
}

// sessionOf reads the cookie. Only who has the key makes one: a conversation's id, which is found in logs, is none.
func (c *Chat) sessionOf(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil || len(cookie.Value) > maxCookie {
		return session{}, false
	}
	fields, err := signedlink.Open(namePurpose, c.cfg.keys(), cookie.Value, time.Now())
	if err != nil || len(fields) != 2 {
		return session{}, false
	}
	return session{id: fields[0], user: fields[1]}, true
}

// begin is what a page says when it opens.
type begin struct {
	// Session is the script tag's data-session, empty without a login. It is null for a page that no other shows.
	Session *string `json:"session"`
	Locale  string  `json:"locale"` // the page's
}

// begun is the answer: what the page needs to know.
type begun struct {
	Name        string            `json:"name"` // of the session, for what the browser keeps
	Title       string            `json:"title"`
	Locale      string            `json:"locale"`
	Right       bool              `json:"right"` // written from right to left
	Words       map[string]string `json:"words"`
	HumanButton bool              `json:"human_button"`
	FileSize    int               `json:"file_size"`
	Base        string            `json:"base"` // where agents find this server
}

// begin opens a page: it signs the user in, or goes on with the session that the browser has.
func (s *server) begin(w http.ResponseWriter, r *http.Request) {
	var b begin
	if !s.read(w, r, &b) {
		return
	}
	c := s.chat
	known, ok := c.sessionOf(r)
	v := Visitor{Locale: language(b.Locale + "," + r.Header.Get("Accept-Language"))}
	now := time.Now()
	switch {
	case b.Session != nil && *b.Session != "":
		if known, v, ok = c.login(*b.Session, v, now); !ok {
			http.Error(w, words[cmp.Or(language(v.Locale), c.cfg.Locale)]["over"], http.StatusUnauthorized)
			return
		}
	case b.Session != nil && known.user != "": // signed out
		ok = false
	}
	if !ok {
		if !s.limits.allow("sessions of "+s.address(r), c.cfg.Limits.Sessions) {
			tooMany(w)
			return
		}
		known = session{id: "guest-" + rand.Text()}
	}
	if known.user == "" {
		known.until = now.Add(guestTTL)
	}
	if !s.limits.allow("other "+known.id, otherCalls) {
		tooMany(w)
		return
	}
	v, err := c.meet(r.Context(), known, v)
	if err != nil {
		s.again(w, err)
		return
	}
	if !known.until.IsZero() {
		s.setCookie(w, r, known)
	}
	locale := cmp.Or(language(v.Locale), c.cfg.Locale)
	answerJSON(w, begun{
		Name: nameOf(known.id), Title: cmp.Or(c.cfg.Title, words[locale]["title"]), Locale: locale, Right: isRight[locale],
		Words: words[locale], HumanButton: !c.cfg.NoHumanButton, FileSize: c.cfg.Limits.FileSize, Base: c.base.String(),
	})
}

// login reads a token. v has the locale of the page.
func (c *Chat) login(token string, v Visitor, now time.Time) (session, Visitor, bool) {
	if len(token) > maxToken {
		return session{}, v, false
	}
	fields, err := signedlink.Open(tokenPurpose, c.cfg.keys(), token, now)
	if err != nil || len(fields) != 4 {
		return session{}, v, false
	}
	v.UserID, v.Locale = fields[0], cmp.Or(fields[1], v.Locale)
	until, err := strconv.ParseInt(fields[3], 10, 64)
	if err != nil || json.Unmarshal([]byte(fields[2]), &v.User) != nil {
		return session{}, v, false
	}
	return session{id: c.Conversation(v.UserID).ID, user: v.UserID, until: time.Unix(until, 0)}, v, true
}

// meet stores who the user is. A session that goes on keeps what was known.
func (c *Chat) meet(ctx context.Context, s session, v Visitor) (Visitor, error) {
	v.Conversation = c.conversation(s.id)
	v.Locale = cmp.Or(v.Locale, c.cfg.Locale)
	err := c.change(ctx, s.id, visitorKey, func(e *Entry) bool {
		if e.Visitor != nil && s.user != "" && v.UserID == "" { // a page that no other shows
			v.UserID, v.User, v.Locale = e.Visitor.UserID, e.Visitor.User, e.Visitor.Locale
		}
		v.Seen = time.Now()
		e.Visitor = &v
		return true
	})
	return v, err
}

// setCookie has the browser remember the session. No script reads it, and no other site's page sends it.
func (s *server) setCookie(w http.ResponseWriter, r *http.Request, known session) {
	secure := s.chat.base.Scheme == "https" || r.TLS != nil || s.chat.cfg.TrustProxy && r.Header.Get("X-Forwarded-Proto") == "https"
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: signedlink.Sign(namePurpose, s.chat.cfg.Key.Reveal(), known.until, known.id, known.user),
		Path: s.chat.base.Path, MaxAge: max(1, int(time.Until(known.until).Seconds())),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure,
	})
}
