package handover

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// The reasons for which ReadEvent refuses a request, besides ErrMalformed.
var (
	// ErrNotPost is for a request with another method than POST.
	ErrNotPost = errors.New("handover: a web hook must be a POST request")
	// ErrNotSigned is for a request that shows neither a signature nor a key that could be
	// checked.
	ErrNotSigned = errors.New("handover: web hook without a signature or key to check: " +
		"set Webhook.Secrets for a plugin hook; set Webhook.Keys for a website hook, and end its URL in Crisp with ?key=")
	// ErrBadSignature is for a signature or key that is wrong.
	ErrBadSignature = errors.New("handover: the web hook's signature or key is wrong: " +
		"compare Webhook.Secrets and Webhook.Keys with those in Crisp, and pass the body on unchanged")
	// ErrTooOld is for a signed request that was emitted more than Webhook.MaxAge ago.
	ErrTooOld = errors.New("handover: the web hook is older than Webhook.MaxAge")
	// ErrTooNew is for a signed request that was emitted more than Webhook.MaxAge from now.
	ErrTooNew = errors.New("handover: the web hook's time is further ahead than Webhook.MaxAge: check the server's clock")
	// ErrTooLarge is for a body of more than 1 MiB.
	ErrTooLarge = errors.New("handover: the web hook's body is larger than 1 MiB")
)

// maxHookBody is the largest body that is read. Crisp cuts texts at some thousand characters;
// files come as URLs.
const maxHookBody = 1 << 20

// Webhook says how Crisp's web hooks are verified. With neither a secret nor a key every hook is
// refused.
//
// Hooks of a plugin are signed: each request that has a signature must match one of Secrets, if
// there are any. Hooks that are set up in a website's settings are never signed: Crisp advises to
// end their URL with ?key= and a random key, which must be one of Keys. Several may be valid at
// once, so that a new one can be brought in before the old one goes.
type Webhook struct {
	// Secrets are the signing secrets of the plugin's hooks, as Crisp shows them.
	Secrets []string
	// Keys are what the website hooks' URL may carry as ?key=.
	Keys []string
	// MaxAge refuses signed hooks that were emitted longer ago, or further ahead. The default, 0,
	// is no limit: Crisp does not say whether it signs anew when it repeats a hook, and a hook
	// that comes twice does no harm. Use 15 minutes or more. The time of an unsigned hook proves
	// nothing and is not looked at.
	MaxAge time.Duration
}

// String returns the settings without secrets and keys.
func (w Webhook) String() string {
	return fmt.Sprintf("%d secrets, %d keys", len(w.Secrets), len(w.Keys))
}

// GoString is String.
func (w Webhook) GoString() string { return w.String() }

// LogValue keeps secrets and keys out of logs.
func (w Webhook) LogValue() slog.Value { return slog.StringValue(w.String()) }

// MarshalText keeps secrets and keys out of JSON.
func (w Webhook) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// ReadEvent reads one web hook of Crisp from a request, and verifies who sent it. It needs no
// Handover: use it to receive hooks in a server of your own, and Handover.HandleEvent to pass them
// on. Its errors match ErrNotPost, ErrNotSigned, ErrBadSignature, ErrTooOld, ErrTooNew,
// ErrTooLarge or ErrMalformed; any other is a body that could not be read to its end.
func ReadEvent(r *http.Request, w Webhook) (Event, error) {
	if r.Method != http.MethodPost {
		return Event{}, ErrNotPost
	}
	signed, err := w.credential(r)
	if err != nil {
		return Event{}, err
	}
	if r.ContentLength > maxHookBody {
		return Event{}, ErrTooLarge
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxHookBody+1))
	if err != nil {
		return Event{}, fmt.Errorf("handover: reading the web hook's body: %w", err)
	}
	if len(body) > maxHookBody {
		return Event{}, ErrTooLarge
	}
	if signed {
		if err := w.verify(r.Header, body, time.Now()); err != nil {
			return Event{}, err
		}
	}
	ev, err := ParseEvent(body)
	ev.Signed = signed && err == nil
	return ev, err
}

// credential decides by what the request is judged, before its body is read: by its signature,
// which is still to be verified, or by its key, which is verified here.
func (w Webhook) credential(r *http.Request) (signed bool, err error) {
	key := r.URL.Query().Get("key")
	switch {
	case len(w.Secrets) > 0 && r.Header.Get("X-Crisp-Signature") != "":
		return true, nil
	case len(w.Keys) == 0 || key == "":
		return false, ErrNotSigned
	case !sameAsOne(key, w.Keys):
		return false, ErrBadSignature
	}
	return false, nil
}

// verify checks the signature as Crisp documents it: the hex HMAC-SHA256 of "[time;body]", with
// the time as it stands in its header and the secret's characters as the key.
func (w Webhook) verify(h http.Header, body []byte, now time.Time) error {
	stamp := h.Get("X-Crisp-Request-Timestamp")
	got, err := hex.DecodeString(h.Get("X-Crisp-Signature"))
	if err != nil {
		return ErrBadSignature
	}
	good := false
	for _, secret := range w.Secrets {
		if secret == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "[%s;%s]", stamp, body)
		good = hmac.Equal(mac.Sum(nil), got) || good
	}
	if !good {
		return ErrBadSignature
	}
	if w.MaxAge > 0 {
		return w.fresh(stamp, now)
	}
	return nil
}

// fresh checks the time of a signed request. Crisp does not document its unit: a number below
// 1e12 can only be seconds, and one above only milliseconds.
func (w Webhook) fresh(stamp string, now time.Time) error {
	n, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: its time is not a number", ErrTooOld)
	}
	emitted := time.UnixMilli(n)
	if n < 1e12 {
		emitted = time.Unix(n, 0)
	}
	switch age := now.Sub(emitted); {
	case age > w.MaxAge:
		return ErrTooOld
	case age < -w.MaxAge:
		return ErrTooNew
	}
	return nil
}

// sameAsOne compares a key, which is not empty, with all valid ones, in a time that tells neither
// their text nor their length.
func sameAsOne(key string, valid []string) bool {
	got, same := sha256.Sum256([]byte(key)), 0
	for _, v := range valid {
		want := sha256.Sum256([]byte(v))
		same |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return same == 1
}

// hookStatus is the answer to a web hook that ended with err. A status that is not 2xx may make
// Crisp repeat the hook, so it is 200 for whatever was signed and is JSON; 503 is for what may go
// better next time.
func hookStatus(err error) int {
	switch {
	case err == nil, errors.Is(err, errNotObject):
		return http.StatusOK
	case errors.Is(err, ErrNotPost):
		return http.StatusMethodNotAllowed
	case errors.Is(err, ErrNotSigned):
		return http.StatusUnauthorized
	case errors.Is(err, ErrBadSignature), errors.Is(err, ErrTooOld), errors.Is(err, ErrTooNew):
		return http.StatusForbidden
	case errors.Is(err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrMalformed):
		return http.StatusBadRequest
	}
	return http.StatusServiceUnavailable
}
