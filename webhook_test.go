package handover

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

const hookBody = `{"website_id":"w","event":"session:set_state","timestamp":1506985696616,` +
	`"data":{"website_id":"w","session_id":"session_1","state":"resolved"}}`

// hookRequest returns a request as Crisp makes it, unsigned.
func hookRequest(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(body))
}

// sign returns the request with the signature that Crisp documents.
func sign(r *http.Request, body, stamp, secret string) *http.Request {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("[" + stamp + ";" + body + "]"))
	r.Header.Set("X-Crisp-Request-Timestamp", stamp)
	r.Header.Set("X-Crisp-Signature", hex.EncodeToString(mac.Sum(nil)))
	return r
}

// The signature was computed with openssl, from Crisp's description alone:
// printf '[1506985696616;{"event":"x"}]' | openssl dgst -sha256 -hmac 'my secret'
func TestSignatureOfAnotherTool(t *testing.T) {
	r := hookRequest(`{"event":"x"}`)
	r.Header.Set("X-Crisp-Request-Timestamp", "1506985696616")
	r.Header.Set("X-Crisp-Signature", "5540117f4ffef8a74ca1817cca4333269185c6ec24679243751834f08a6c9f00")
	e, err := ReadEvent(nil, r, Webhook{Secrets: NewSecrets("my secret")})
	require.NoError(t, err)
	require.Equal(t, "x", e.Name)
}

func TestReadEvent(t *testing.T) {
	both := Webhook{Secrets: NewSecrets("new secret", "old secret"), Keys: map[string][]Secret{"w": NewSecrets("new key", "old key")}}
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	signed := func(secret string) *http.Request { return sign(hookRequest(hookBody), hookBody, now, secret) }
	keyed := func(r *http.Request, key string) *http.Request {
		r.URL.RawQuery = "a=b&key=" + key
		return r
	}
	header := func(r *http.Request, name, value string) *http.Request {
		r.Header.Set(name, value)
		return r
	}
	for _, row := range []struct {
		name    string
		webhook Webhook
		request *http.Request
		want    error
	}{
		{"signed", both, signed("new secret"), nil},
		{"signed with the old secret", both, signed("old secret"), nil},
		{"signed in seconds", both, sign(hookRequest(hookBody), hookBody, "1506985696", "new secret"), nil},
		{"signed in capitals", both, header(signed("new secret"), "X-Crisp-Signature", strings.ToUpper(signed("new secret").Header.Get("X-Crisp-Signature"))), nil},
		{"signed by another", both, signed("their secret"), ErrBadSignature},
		{"signed with a key", both, signed("new key"), ErrBadSignature},
		{"signature of another body", both, sign(hookRequest(hookBody), "{}", now, "new secret"), ErrBadSignature},
		{"signature of another time", both, header(signed("new secret"), "X-Crisp-Request-Timestamp", now+"0"), ErrBadSignature},
		{"signature without its time", both, header(signed("new secret"), "X-Crisp-Request-Timestamp", ""), ErrBadSignature},
		{"signature that is not hex", both, header(signed("new secret"), "X-Crisp-Signature", "zz"), ErrBadSignature},
		{"half a signature", both, header(signed("new secret"), "X-Crisp-Signature", signed("new secret").Header.Get("X-Crisp-Signature")[:32]), ErrBadSignature},
		{"a wrong signature is not mended by a key", both, keyed(signed("their secret"), "new+key"), ErrBadSignature},
		{"empty signature", both, header(hookRequest(hookBody), "X-Crisp-Signature", ""), ErrNotSigned},
		{"neither", both, hookRequest(hookBody), ErrNotSigned},

		{"key", both, keyed(hookRequest(hookBody), "new+key"), nil},
		{"old key", both, keyed(hookRequest(hookBody), "old%20key"), nil},
		{"wrong key", both, keyed(hookRequest(hookBody), "their+key"), ErrBadSignature},
		{"part of a key", both, keyed(hookRequest(hookBody), "new"), ErrBadSignature},
		{"secret as a key", both, keyed(hookRequest(hookBody), "new+secret"), ErrBadSignature},
		{"empty key", both, keyed(hookRequest(hookBody), ""), ErrNotSigned},
		{"key for a signed hook", Webhook{Keys: map[string][]Secret{"w": NewSecrets("k")}}, keyed(signed("whatever"), "k"), nil},
		{"key where only secrets are known", Webhook{Secrets: NewSecrets("k")}, keyed(hookRequest(hookBody), "k"), ErrNotSigned},
		{"signature where only keys are known", Webhook{Keys: map[string][]Secret{"w": NewSecrets("k")}}, signed("k"), ErrNotSigned},

		{"nothing configured", Webhook{}, hookRequest(hookBody), ErrNotSigned},
		{"nothing configured, signed with nothing", Webhook{}, signed(""), ErrNotSigned},
		{"an empty secret is none", Webhook{Secrets: NewSecrets("")}, signed(""), ErrBadSignature},
		{"an empty key is none", Webhook{Keys: map[string][]Secret{"w": NewSecrets("")}}, keyed(hookRequest(hookBody), ""), ErrNotSigned},

		{"wrong method", both, httptest.NewRequest(http.MethodGet, "/hooks?key=new+key", nil), ErrNotPost},
		{"not JSON", both, keyed(hookRequest(`hello`), "new+key"), ErrMalformed},
		{"another JSON value", both, keyed(hookRequest(`[]`), "new+key"), errNotObject},
		{"no body", both, keyed(&http.Request{Method: http.MethodPost, URL: hookRequest("").URL}, "new+key"), ErrMalformed},
		{"broken body", both, keyed(httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(io.ErrUnexpectedEOF)), "new+key"), io.ErrUnexpectedEOF},
	} {
		t.Run(row.name, func(t *testing.T) {
			e, err := ReadEvent(nil, row.request, row.webhook)
			require.ErrorIs(t, err, row.want)
			if row.want == nil {
				require.Equal(t, "resolved", e.State)
				return
			}
			require.Zero(t, e)
			for _, secret := range append(row.webhook.Secrets, row.webhook.Keys["w"]...) {
				secret := secret.text()
				require.True(t, secret == "" || secret == "k" || !strings.Contains(err.Error(), secret), err)
			}
			require.NotRegexp(t, "[0-9a-f]{16}", err.Error(), "no signature")
		})
	}
}

func TestReadEventBodySize(t *testing.T) {
	webhook := Webhook{Secrets: NewSecrets("s"), Keys: map[string][]Secret{"w": NewSecrets("k")}}
	largest := `{"event":"` + strings.Repeat("x", 1<<20-len(`{"event":""}`)) + `"}`
	e, err := ReadEvent(nil, sign(hookRequest(largest), largest, "1", "s"), webhook)
	require.NoError(t, err)
	require.Len(t, e.Raw, 1<<20)

	_, err = ReadEvent(nil, sign(hookRequest(largest+" "), largest+" ", "1", "s"), webhook)
	require.ErrorIs(t, err, ErrTooLarge)

	// Of unknown length, and endless: no more is read than is needed to see that.
	endless := &counter{}
	r := sign(httptest.NewRequest(http.MethodPost, "/", endless), "", "1", "s")
	r.ContentLength = -1
	_, err = ReadEvent(nil, r, webhook)
	require.ErrorIs(t, err, ErrTooLarge)
	require.LessOrEqual(t, endless.read, 1<<20+1)

	unread := &counter{}
	r = sign(httptest.NewRequest(http.MethodPost, "/", unread), "", "1", "s")
	r.ContentLength = 1<<20 + 1
	_, err = ReadEvent(nil, r, webhook)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = ReadEvent(nil, httptest.NewRequest(http.MethodPost, "/?key=guess", unread), webhook)
	require.ErrorIs(t, err, ErrBadSignature)
	require.Zero(t, unread.read, "a body that is too large, or a stranger's, is not read")
}

// counter is an endless body.
type counter struct{ read int }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	c.read += len(p)
	return len(p), nil
}

func TestMaxAge(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).UnixMilli(), 10) }
	limit := Webhook{Secrets: NewSecrets("s"), MaxAge: 15 * time.Minute}
	for _, row := range []struct {
		stamp string
		want  error
	}{
		{at(0), nil},
		{at(-15 * time.Minute), nil},
		{at(-15*time.Minute - time.Millisecond), ErrTooOld},
		{at(15 * time.Minute), nil},
		{at(15*time.Minute + time.Millisecond), ErrTooNew},
		{at(0)[:10], nil}, // seconds
		{at(-time.Hour)[:10], ErrTooOld},
		{at(time.Hour)[:10], ErrTooNew},
		{"0", ErrTooOld},
		{"-9223372036854775808", ErrTooOld},
		{"9223372036854775807", ErrTooNew},
		{"99999999999999999999", ErrTooOld},
		{"yesterday", ErrTooOld},
		{"", ErrTooOld},
	} {
		t.Run(row.stamp, func(t *testing.T) {
			h := sign(hookRequest(hookBody), hookBody, row.stamp, "s").Header
			require.ErrorIs(t, limit.verify(h, []byte(hookBody), now), row.want)
			require.NoError(t, Webhook{Secrets: limit.Secrets}.verify(h, []byte(hookBody), now), "off by default")
			require.ErrorIs(t, limit.verify(h, []byte("{}"), now), ErrBadSignature, "the age of a forged hook is not told")
		})
	}

	_, err := ReadEvent(nil, sign(hookRequest(hookBody), hookBody, "1506985696616", "s"), limit)
	require.ErrorIs(t, err, ErrTooOld)
	keyed := hookRequest(hookBody)
	keyed.URL.RawQuery = "key=k"
	keyed.Header.Set("X-Crisp-Request-Timestamp", "1506985696616")
	_, err = ReadEvent(nil, keyed, Webhook{Keys: map[string][]Secret{"w": NewSecrets("k")}, MaxAge: time.Minute})
	require.NoError(t, err, "the time of an unsigned hook proves nothing")
}

func TestHookStatus(t *testing.T) {
	for err, want := range map[error]int{
		nil: 200, ErrNotPost: 405, ErrTooLarge: 413, ErrNotSigned: 401, ErrBadSignature: 403, ErrTooOld: 403, ErrTooNew: 403,
		ErrMalformed: 400, errNotObject: 200, errors.New("the store is down"): 503, io.ErrUnexpectedEOF: 503,
	} {
		require.Equal(t, want, hookStatus(err), "%v", err)
		if err != nil {
			require.Equal(t, want, hookStatus(fmt.Errorf("wrapped: %w", err)))
		}
	}
}
