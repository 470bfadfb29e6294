package handovertest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

// Sign returns the X-Crisp-Signature of a hook: HMAC-SHA256 over "[timestamp;body]" in lower-case
// hexadecimal. The timestamp is the X-Crisp-Request-Timestamp header, as it stands there.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("[" + timestamp + ";"))
	mac.Write(body)
	mac.Write([]byte("]"))
	return hex.EncodeToString(mac.Sum(nil))
}

// Sign is the function Sign with the secret of this fake.
func (c *Crisp) Sign(timestamp string, body []byte) string { return Sign(c.secret, timestamp, body) }

// Hook returns a plugin hook as Crisp posts it, for a test that calls its handler itself: signed
// with secret at that time, in milliseconds. An empty secret leaves it unsigned, as website hooks
// are; their key goes into url.
func Hook(url, secret string, at time.Time, body []byte) *http.Request {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		// A handler is given a request, never an error: one for "/" shows what is wrong.
		r, _ = http.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	}
	r.RequestURI = r.URL.RequestURI()
	r.RemoteAddr = "127.0.0.1:1"
	stamp := strconv.FormatInt(at.UnixMilli(), 10)
	setHookHeader(r.Header, 1, 1, stamp)
	if secret != "" {
		r.Header.Set("X-Crisp-Signature", Sign(secret, stamp, body))
	}
	return r
}

// HookBody returns the body of a hook.
func HookBody(websiteID, event string, at time.Time, data any) []byte {
	return encode(map[string]any{
		"website_id": websiteID, "event": event, "data": data, "timestamp": at.UnixMilli(),
	})
}

// setHookHeader sets the headers of a hook, the signature apart.
func setHookHeader(h http.Header, attempt, limit int, stamp string) {
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Crisp-HooksDeliver 1.0 (+https://crisp.chat)")
	h.Set("X-Crisp-Hook-Origin", "plugin/rtm 38b411d9377a6a00 production")
	h.Set("X-Crisp-Request-Timestamp", stamp)
	h.Set("X-Delivery-Attempt-Limit", strconv.Itoa(limit))
	h.Set("X-Delivery-Attempt-Count", strconv.Itoa(attempt))
}
