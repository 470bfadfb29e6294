// Package hooksign tells whether a web hook is Crisp's, by its signature or by the key in its URL.
package hooksign

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Headers of signed hooks.
const (
	signature = "X-Crisp-Signature"
	timestamp = "X-Crisp-Request-Timestamp"
)

// Signed reports whether a hook has a signature, which may be wrong.
func Signed(h http.Header) bool { return h.Get(signature) != "" }

// Verify reports whether the signature is one with the secret: the hex HMAC-SHA256 of "[time;body]", with the time
// as it stands in its header and the secret's characters as the key. An empty secret, which everybody knows, signs
// nothing.
func Verify(h http.Header, body []byte, secret string) bool {
	var got [sha256.Size]byte
	given := h.Get(signature)
	if secret == "" || len(given) != hex.EncodedLen(len(got)) {
		return false
	}
	if _, err := hex.Decode(got[:], []byte(given)); err != nil {
		return false
	}
	time := h.Get(timestamp)
	mac := hmac.New(sha256.New, []byte(secret))
	buffer := append(make([]byte, 0, max(len(time)+2, sha256.Size)), '[')
	buffer = append(append(buffer, time...), ';')
	mac.Write(buffer)
	mac.Write(body)
	mac.Write(closing)
	return hmac.Equal(mac.Sum(buffer[:0]), got[:])
}

// closing ends what is signed.
var closing = []byte("]")

// Emitted returns when a signed hook was emitted; ok is false if its time is not a number. Crisp does not
// document its unit: a number below 1e12 can only be seconds, and one above only milliseconds.
func Emitted(h http.Header) (at time.Time, ok bool) {
	n, err := strconv.ParseInt(h.Get(timestamp), 10, 64)
	switch {
	case err != nil:
		return time.Time{}, false
	case n < 1e12:
		return time.Unix(n, 0), true
	}
	return time.UnixMilli(n), true
}

// Keys returns what the first key= of a URL's query may mean: the text as it stands there, and decoded. A
// key with "+" or "%" in it may have been pasted into Crisp's settings either way. It is empty without a
// key.
func Keys(query string) []string {
	if query == "" {
		return nil
	}
	rest, ok := strings.CutPrefix("&"+query, "&key=")
	if !ok {
		_, rest, _ = strings.Cut(query, "&key=")
	}
	raw, _, _ := strings.Cut(rest, "&")
	if raw == "" {
		return nil
	}
	given := []string{raw}
	for _, decode := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
		if key, err := decode(raw); err == nil {
			given = append(given, key)
		}
	}
	return given
}

// Match reports whether one of the given keys is a valid one, in a time that tells neither the text nor
// the length of those. An empty key is none.
func Match(given, valid []string) bool {
	same := 0
	for _, v := range valid {
		want := sha256.Sum256([]byte(v))
		for _, g := range given {
			got := sha256.Sum256([]byte(g))
			if v != "" {
				same |= subtle.ConstantTimeCompare(want[:], got[:])
			}
		}
	}
	return same == 1
}
