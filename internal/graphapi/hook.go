package graphapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/httpbody"
)

// hookBounds bound the bodies of web hooks: Meta's have up to 3 MB.
var hookBounds = httpbody.Bounds{Size: 3 << 20, Time: 5 * time.Second, AtOnce: 256, Small: 64 << 10, Large: 64 << 20}

// takeTime is how long a post may take before it is answered. Meta repeats one that is not answered 200 in time.
const takeTime = 15 * time.Second

// ErrBody is returned by Hook.Take for a body that is not what Meta sends.
var ErrBody = errors.New("the body is not a web hook of Meta's")

// Hook is the http.Handler of Meta's web hooks. Without a secret and a verify token it refuses everything.
type Hook struct {
	Secret func() string // the app's, which posts are signed with
	Verify func() string // the token that was given to Meta with the hook's address
	// Take takes the body of a post that Meta signed. ErrBody is answered 400; on any other error Meta sends it again.
	Take func(ctx context.Context, body []byte) error

	bodies *httpbody.Reader
}

// NewHook returns a Hook.
func NewHook(secret, verify func() string, take func(context.Context, []byte) error) *Hook {
	return &Hook{Secret: secret, Verify: verify, Take: take, bodies: httpbody.New(hookBounds)}
}

// ServeHTTP answers GET with the challenge, 403 if its token is not ours. A POST is read within bounds (413, 408,
// 503 when too much comes at once), then verified (403), then taken (400, 503), and answered 200 once it is.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.challenge(w, r)
		return
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "not a web hook", http.StatusMethodNotAllowed)
		return
	}
	body, err := h.bodies.Take(w, r)
	switch {
	case errors.Is(err, httpbody.ErrTooLarge):
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	case errors.Is(err, httpbody.ErrTooSlow):
		http.Error(w, "too slow", http.StatusRequestTimeout)
	case err != nil:
		http.Error(w, "send it again", http.StatusServiceUnavailable)
	case !Genuine(h.Secret(), r.Header.Get(SignatureHeader), body):
		http.Error(w, "not signed with this app's secret", http.StatusForbidden)
	default:
		h.take(w, r, body)
	}
}

// take has a post taken that is Meta's.
func (h *Hook) take(w http.ResponseWriter, r *http.Request, body []byte) {
	ctx, cancel := context.WithTimeout(r.Context(), takeTime)
	defer cancel()
	switch err := h.Take(ctx, body); {
	case errors.Is(err, ErrBody):
		http.Error(w, "not a web hook", http.StatusBadRequest)
	case err != nil:
		http.Error(w, "send it again", http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// challenge proves to Meta that the address is ours.
func (h *Hook) challenge(w http.ResponseWriter, r *http.Request) {
	q, token := r.URL.Query(), h.Verify()
	if token == "" || q.Get("hub.mode") != "subscribe" || !same(q.Get("hub.verify_token"), token) {
		http.Error(w, "not the verify token of this web hook", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, q.Get("hub.challenge"))
}

// same compares in a time that tells nothing, not even a length.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// SignatureHeader is the header with the signature of a post.
const SignatureHeader = "X-Hub-Signature-256"

// Sign is the signature of a body: the hex HMAC-SHA256 with the app's secret.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Genuine reports whether a body is signed with the secret. An empty secret, which everybody knows, is none.
func Genuine(secret, signature string, body []byte) bool {
	digits, ok := strings.CutPrefix(signature, "sha256=")
	got, err := hex.DecodeString(digits)
	if !ok || err != nil || secret == "" {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hmac.Equal(mac.Sum(nil), got)
}
