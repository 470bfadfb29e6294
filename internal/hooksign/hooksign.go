// Package hooksign tells whether a web hook is Crisp's, by its signature or by the key in its URL.
package hooksign

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Headers of signed hooks, in their canonical form.
const (
	signature = "X-Crisp-Signature"
	timestamp = "X-Crisp-Request-Timestamp"
)

// Signed reports whether a hook has a signature, which may be wrong.
func Signed(h http.Header) bool { return first(h, signature) != "" }

// first is h.Get of a name that is in its canonical form, which Get would make anew each time.
func first(h http.Header, name string) string {
	if all := h[name]; len(all) > 0 {
		return all[0]
	}
	return ""
}

// Key is a secret that hooks are signed with: its characters are the key. The zero Key is empty. It must not be copied,
// nor printed.
type Key struct {
	secret string
	macs   sync.Pool // of *mac that have taken in the key, which takes as long as a hundred bytes of a hook
}

// NewKey returns the key of a secret.
func NewKey(secret string) *Key { return &Key{secret: secret} }

// Secret returns the secret.
func (k *Key) Secret() string { return k.secret }

// mac makes signatures, one after the other.
type mac struct {
	hash.Hash
	buffer [64]byte
}

// Verify reports whether the signature is one with the key: the hex HMAC-SHA256 of "[time;body]", with the time
// as it stands in its header. An empty secret, which everybody knows, signs nothing.
func (k *Key) Verify(h http.Header, body []byte) bool {
	var got [sha256.Size]byte
	given := first(h, signature)
	if k.secret == "" || len(given) != hex.EncodedLen(len(got)) {
		return false
	}
	if _, err := hex.Decode(got[:], []byte(given)); err != nil {
		return false
	}
	m, ok := k.macs.Get().(*mac)
	if !ok {
		m = &mac{Hash: hmac.New(sha256.New, []byte(k.secret))}
	}
	m.Write(append(append(append(m.buffer[:0], '['), first(h, timestamp)...), ';'))
	m.Write(body)
	m.Write(closing)
	same := hmac.Equal(m.Sum(m.buffer[:0]), got[:])
	m.Reset()
	k.macs.Put(m)
	return same
}

// closing ends what is signed.
var closing = []byte("]")

// Emitted returns when a signed hook was emitted; ok is false if its time is not a number. Crisp does not
// document its unit: a number below 1e11 can only be seconds, until the year 5138, and one above only milliseconds.
func Emitted(h http.Header) (at time.Time, ok bool) {
	n, err := strconv.ParseInt(first(h, timestamp), 10, 64)
	switch {
	case err != nil:
		return time.Time{}, false
	case n < 1e11:
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
