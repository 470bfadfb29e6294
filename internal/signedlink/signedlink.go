// Package signedlink makes and opens the tokens of links that open without a login, for a limited time.
//
// A token holds some texts and the time at which it expires, and is signed with a key (HMAC-SHA256). It
// is made of letters, digits, "-" and "_", so it can stand in a URL as it is. The texts are not
// encrypted: whoever has the link can read them. Nothing is stored, so a link cannot be taken back
// before it expires, other than by a change of the key.
//
// The format: base64url without padding, of the time of expiry as 8 bytes of Unix seconds, big endian;
// each text behind its length as a varint; and the HMAC-SHA256, with the key, of the purpose, a line
// feed, and all that comes before.
package signedlink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// The errors of Open.
var (
	// ErrWrong is returned for a token that was not signed with one of the keys for this purpose.
	ErrWrong = errors.New("the link was not signed with this key")
	// ErrExpired is returned for a token that was good until it expired. Only who has a token with a good
	// signature learns that.
	ErrExpired = errors.New("the link has expired")
)

// Sign returns a token that opens until a time, rounded down to seconds. The same arguments make the
// same token.
//
// purpose is a line of text that sets these links apart from others that are signed with the same key.
// key should be 32 random bytes or more.
func Sign(purpose, key string, until time.Time, fields ...string) string {
	payload := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	for _, s := range fields {
		payload = append(binary.AppendUvarint(payload, uint64(len(s))), s...)
	}
	return base64.RawURLEncoding.EncodeToString(append(payload, sign(purpose, key, payload)...))
}

// Open returns the fields that a token was made with, if it was signed for this purpose with one of
// the keys and has not expired at the time now. An empty key opens nothing. Its errors are ErrWrong and
// ErrExpired.
func Open(purpose string, keys []string, token string, now time.Time) (fields []string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < sha256.Size || base64.RawURLEncoding.EncodeToString(b) != token {
		return nil, ErrWrong // the decoder skips line breaks and takes stray last bits
	}
	payload, got := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	good := false
	for _, key := range keys {
		good = key != "" && hmac.Equal(sign(purpose, key, payload), got) || good
	}
	if !good || len(payload) < 8 {
		return nil, ErrWrong
	}
	if now.Unix() >= int64(binary.BigEndian.Uint64(payload)) {
		return nil, ErrExpired
	}
	for rest := payload[8:]; len(rest) > 0; {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return nil, ErrWrong // signed by something else with the same key
		}
		fields, rest = append(fields, string(rest[size:size+int(n)])), rest[size+int(n):]
	}
	return fields, nil
}

func sign(purpose, key string, payload []byte) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(purpose + "\n"))
	mac.Write(payload)
	return mac.Sum(nil)
}
