package slack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/internal/httpbody"
)

// hookBounds bound the bodies of hooks: nothing is known of who sends one until it is there.
var hookBounds = httpbody.Bounds{Size: 1 << 20, Time: 5 * time.Second, AtOnce: 256, Small: 64 << 10, Large: 32 << 20}

const (
	hookTime = 30 * time.Second
	maxAge   = 5 * time.Minute // of a signature, as Slack advises
)

// Webhook takes what Slack posts, events as well as interactions: give its address for both, or mount it twice. It
// answers 200 when handle has taken the message, or never can; 503 when Slack is to post it again, which it does three
// times within five minutes, and when too much comes at once; 401 to what Slack has not signed within five minutes; 400,
// 408 and 413 to what is none of Slack's.
func (c *Channel) Webhook(handle func(ctx context.Context, m handover.Incoming) error) http.Handler {
	bodies := httpbody.New(hookBounds)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := bodies.Take(w, r)
		switch {
		case errors.Is(err, httpbody.ErrTooLarge):
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		case errors.Is(err, httpbody.ErrTooSlow):
			http.Error(w, "too slow", http.StatusRequestTimeout)
			return
		case err != nil:
			http.Error(w, "post it again", http.StatusServiceUnavailable)
			return
		case !c.genuine(r.Header, body):
			http.Error(w, "not signed by Slack with this app's secret, or too long ago", http.StatusUnauthorized)
			return
		}
		raw := body
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
			form, err := url.ParseQuery(string(body))
			if raw = []byte(form.Get("payload")); err != nil || len(raw) == 0 {
				http.Error(w, "not an interaction", http.StatusBadRequest)
				return
			}
		}
		c.take(w, r, raw, handle)
	})
}

// take answers what Slack has signed.
func (c *Channel) take(w http.ResponseWriter, r *http.Request, raw []byte, handle func(context.Context, handover.Incoming) error) {
	var e envelope
	if json.Unmarshal(raw, &e) == nil && e.Type == "url_verification" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = io.WriteString(w, e.Challenge)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), hookTime)
	defer cancel()
	in, ok, err := c.Incoming(ctx, raw)
	switch {
	case errors.Is(err, errNotJSON):
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	case err != nil:
		c.config.Logger.Warn("slack: an event is to be posted again", "error", err)
	case ok:
		err = channel.Take(ctx, c.config.Logger, &c.refusals, []handover.Incoming{in}, handle)
	}
	if err != nil {
		http.Error(w, "post it again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// genuine reports whether Slack signed the body, and lately.
func (c *Channel) genuine(h http.Header, body []byte) bool {
	stamp := h.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return false
	}
	if age := time.Since(time.Unix(seconds, 0)); age > maxAge || age < -maxAge {
		return false
	}
	signature, err := hex.DecodeString(trimVersion(h.Get("X-Slack-Signature")))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(c.config.SigningSecret.Reveal()))
	_, _ = io.WriteString(mac, "v0:"+stamp+":")
	_, _ = mac.Write(body)
	return hmac.Equal(mac.Sum(nil), signature)
}

// trimVersion takes the version off a signature; of other versions nothing is left that could be one.
func trimVersion(signature string) string {
	if len(signature) < 3 || signature[:3] != "v0=" {
		return "-"
	}
	return signature[3:]
}
