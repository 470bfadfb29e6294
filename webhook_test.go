package handover

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/crisphandover/handover/internal/httpbody"

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
	both := Webhook{Secrets: NewSecrets("new secret", "old secret"), URLKeys: map[string][]Secret{"w": NewSecrets("new key", "old key")}}
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
		{"signed by another", both, signed("their secret"), errBadSignature},
		{"signed with a key", both, signed("new key"), errBadSignature},
		{"signature of another body", both, sign(hookRequest(hookBody), "{}", now, "new secret"), errBadSignature},
		{"signature of another time", both, header(signed("new secret"), "X-Crisp-Request-Timestamp", now+"0"), errBadSignature},
		{"signature without its time", both, header(signed("new secret"), "X-Crisp-Request-Timestamp", ""), errBadSignature},
		{"signature that is not hex", both, header(signed("new secret"), "X-Crisp-Signature", "zz"), errBadSignature},
		{"half a signature", both, header(signed("new secret"), "X-Crisp-Signature", signed("new secret").Header.Get("X-Crisp-Signature")[:32]), errBadSignature},
		{"a wrong signature is not mended by a key", both, keyed(signed("their secret"), "new+key"), errBadSignature},
		{"empty signature", both, header(hookRequest(hookBody), "X-Crisp-Signature", ""), errNotSigned},
		{"neither", both, hookRequest(hookBody), errNotSigned},

		{"key", both, keyed(hookRequest(hookBody), "new+key"), nil},
		{"old key", both, keyed(hookRequest(hookBody), "old%20key"), nil},
		{"wrong key", both, keyed(hookRequest(hookBody), "their+key"), errBadSignature},
		{"part of a key", both, keyed(hookRequest(hookBody), "new"), errBadSignature},
		{"secret as a key", both, keyed(hookRequest(hookBody), "new+secret"), errBadSignature},
		{"empty key", both, keyed(hookRequest(hookBody), ""), errNotSigned},
		{"key for a signed hook", Webhook{URLKeys: map[string][]Secret{"w": NewSecrets("k")}}, keyed(signed("whatever"), "k"), nil},
		{"key where only secrets are known", Webhook{Secrets: NewSecrets("k")}, keyed(hookRequest(hookBody), "k"), errNotSigned},
		{"signature where only keys are known", Webhook{URLKeys: map[string][]Secret{"w": NewSecrets("k")}}, signed("k"), errNotSigned},

		{"nothing configured", Webhook{}, hookRequest(hookBody), errNotSigned},
		{"nothing configured, signed with nothing", Webhook{}, signed(""), errNotSigned},
		{"an empty secret is none", Webhook{Secrets: NewSecrets("")}, signed(""), errBadSignature},
		{"an empty key is none", Webhook{URLKeys: map[string][]Secret{"w": NewSecrets("")}}, keyed(hookRequest(hookBody), ""), errNotSigned},

		{"wrong method", both, httptest.NewRequest(http.MethodGet, "/hooks?key=new+key", nil), errNotPost},
		{"not JSON", both, keyed(hookRequest(`hello`), "new+key"), errMalformed},
		{"another JSON value", both, keyed(hookRequest(`[]`), "new+key"), errNotObject},
		{"no body", both, keyed(&http.Request{Method: http.MethodPost, URL: hookRequest("").URL}, "new+key"), errMalformed},
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
			for _, secret := range append(row.webhook.Secrets, row.webhook.URLKeys["w"]...) {
				secret := secret.Reveal()
				require.True(t, secret == "" || secret == "k" || !strings.Contains(err.Error(), secret), err)
			}
			require.NotRegexp(t, "[0-9a-f]{16}", err.Error(), "no signature")
		})
	}
}

func TestReadEventBodySize(t *testing.T) {
	webhook := Webhook{Secrets: NewSecrets("s"), URLKeys: map[string][]Secret{"w": NewSecrets("k")}}
	largest := `{"event":"` + strings.Repeat("x", 1<<20-len(`{"event":""}`)) + `"}`
	e, err := ReadEvent(nil, sign(hookRequest(largest), largest, "1", "s"), webhook)
	require.NoError(t, err)
	require.Len(t, e.Raw, 1<<20)

	_, err = ReadEvent(nil, sign(hookRequest(largest+" "), largest+" ", "1", "s"), webhook)
	require.ErrorIs(t, err, errTooLarge)

	// Of unknown length, and endless: no more is read than is needed to see that.
	endless := &counter{}
	r := sign(httptest.NewRequest(http.MethodPost, "/", endless), "", "1", "s")
	r.ContentLength = -1
	_, err = ReadEvent(nil, r, webhook)
	require.ErrorIs(t, err, errTooLarge)
	require.LessOrEqual(t, endless.read, 1<<20+1)

	unread := &counter{}
	r = sign(httptest.NewRequest(http.MethodPost, "/", unread), "", "1", "s")
	r.ContentLength = 1<<20 + 1
	_, err = ReadEvent(nil, r, webhook)
	require.ErrorIs(t, err, errTooLarge)
	_, err = ReadEvent(nil, httptest.NewRequest(http.MethodPost, "/?key=guess", unread), webhook)
	require.ErrorIs(t, err, errBadSignature)
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
		{at(-15*time.Minute - time.Millisecond), errTooOld},
		{at(15 * time.Minute), nil},
		{at(15*time.Minute + time.Millisecond), errTooNew},
		{at(0)[:10], nil}, // seconds
		{at(-time.Hour)[:10], errTooOld},
		{at(time.Hour)[:10], errTooNew},
		{"0", errTooOld},
		{"-9223372036854775808", errTooOld},
		{"9223372036854775807", errTooNew},
		{"99999999999999999999", errTooOld},
		{"yesterday", errTooOld},
		{"", errTooOld},
	} {
		t.Run(row.stamp, func(t *testing.T) {
			h := sign(hookRequest(hookBody), hookBody, row.stamp, "s").Header
			require.ErrorIs(t, limit.verify(h, []byte(hookBody), now), row.want)
			require.NoError(t, Webhook{Secrets: limit.Secrets}.verify(h, []byte(hookBody), now), "off by default")
			require.ErrorIs(t, limit.verify(h, []byte("{}"), now), errBadSignature, "the age of a forged hook is not told")
		})
	}

	_, err := ReadEvent(nil, sign(hookRequest(hookBody), hookBody, "1506985696616", "s"), limit)
	require.ErrorIs(t, err, errTooOld)
	keyed := hookRequest(hookBody)
	keyed.URL.RawQuery = "key=k"
	keyed.Header.Set("X-Crisp-Request-Timestamp", "1506985696616")
	_, err = ReadEvent(nil, keyed, Webhook{URLKeys: map[string][]Secret{"w": NewSecrets("k")}, MaxAge: time.Minute})
	require.NoError(t, err, "the time of an unsigned hook proves nothing")
}

func TestHookStatus(t *testing.T) {
	for err, want := range map[error]int{
		nil: 200, errNotPost: 405, errTooLarge: 413, errNotSigned: 401, errBadSignature: 403, errTooOld: 403, errTooNew: 403,
		errMalformed: 400, errNotObject: 200, errors.New("the store is down"): 503, io.ErrUnexpectedEOF: 503,
	} {
		require.Equal(t, want, hookStatus(err), "%v", err)
		if err != nil {
			require.Equal(t, want, hookStatus(fmt.Errorf("wrapped: %w", err)))
		}
	}
}

// hookServer serves a Handover's hooks over real connections. Each body must come within that time.
func hookServer(t *testing.T, within time.Duration, places int, wrap func(http.Handler) http.Handler) (*Handover, string) {
	h, err := New(Config{
		WebsiteID: "7a3c5e10-6f0b-4d55-9c1e-000000000001",
		Token:     Token{Tier: TierPlugin, Identifier: NewSecret("identifier"), Key: NewSecret("the token")},
		Webhook:   Webhook{Secrets: NewSecrets("the secret")},
		Deliver:   func(context.Context, Session, Message) (string, error) { return "", nil },
	})
	require.NoError(t, err)
	h.bodies = httpbody.New(httpbody.Bounds{Size: hookBounds.Size, Time: within, AtOnce: places})
	var handler http.Handler = h
	if wrap != nil {
		handler = wrap(h)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return h, server.Listener.Addr().String()
}

// slowHook opens a connection and sends the beginning of a hook, with further header lines.
func slowHook(t *testing.T, address, path, header string, length int) (net.Conn, *bufio.Reader) {
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)), "a bound of the test, far from what is tried")
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: bot\r\nContent-Length: %d\r\n%s\r\n{", path, length, header)
	require.NoError(t, err)
	return conn, bufio.NewReader(conn)
}

const invented = "X-Crisp-Signature: 5540117f4ffef8a74ca1817cca4333269185c6ec24679243751834f08a6c9f00\r\nX-Crisp-Request-Timestamp: 1\r\n"

// status is the answer on a connection, which the server closes after it.
func status(t *testing.T, answers *bufio.Reader) int {
	resp, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	_, err = answers.ReadByte()
	require.ErrorIs(t, err, io.EOF, "the connection is closed")
	return resp.StatusCode
}

func TestSlowBodiesEnd(t *testing.T) {
	_, address := hookServer(t, 50*time.Millisecond, hookBounds.AtOnce, nil)
	for name, tt := range map[string]struct {
		path, header string
		want         int
	}{
		"an invented signature":     {"/", invented, http.StatusRequestTimeout},
		"neither signature nor key": {"/", "", http.StatusUnauthorized},
		"a key where none is known": {"/?key=guess", "", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			var all []*bufio.Reader
			for range 200 {
				_, answers := slowHook(t, address, tt.path, tt.header, 1000)
				all = append(all, answers)
			}
			for _, answers := range all {
				require.Equal(t, tt.want, status(t, answers))
			}
		})
	}
}

// A middleware may hide the connection from us.
func TestSlowBodiesBehindAWrapperAreAnswered(t *testing.T) {
	h, address := hookServer(t, 50*time.Millisecond, 1, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	})
	for range 3 {
		slow, answers := slowHook(t, address, "/", invented, 1000)
		resp, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusRequestTimeout, resp.StatusCode)
		require.NoError(t, slow.Close(), "the server alone would wait for it")
	}
	require.Zero(t, h.bodies.Reading(), "no place is held")
}

func TestOnlySoManyBodiesAreReadAtOnce(t *testing.T) {
	h, address := hookServer(t, time.Hour, 2, nil)
	genuine := func() int {
		body := `{"website_id":"abc","event":"x","data":{}}`
		req := sign(httptest.NewRequest(http.MethodPost, "http://"+address+"/", strings.NewReader(body)), body, "1", "the secret")
		req.RequestURI = ""
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable {
			require.NotEmpty(t, resp.Header.Get("Retry-After"))
		}
		return resp.StatusCode
	}
	require.Equal(t, 200, genuine())
	one, _ := slowHook(t, address, "/", invented, 1000)
	two, _ := slowHook(t, address, "/", invented, 1000)
	require.Eventually(t, func() bool { return h.bodies.Reading() == 2 }, time.Minute, time.Millisecond)
	require.Equal(t, 503, genuine())
	require.NoError(t, one.Close())
	require.NoError(t, two.Close())
	require.Eventually(t, func() bool { return h.bodies.Reading() == 0 }, time.Minute, time.Millisecond)
	require.Equal(t, 200, genuine())
}

// deadlineNotes is a ResponseWriter that notes its read deadlines.
type deadlineNotes struct {
	http.ResponseWriter
	set []bool // one was set, or taken away
}

func (d *deadlineNotes) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, !at.IsZero())
	return nil
}

func TestTheReadDeadlineIsTakenAwayAgain(t *testing.T) {
	hooks := Webhook{Secrets: NewSecrets("s")}
	d := &deadlineNotes{ResponseWriter: httptest.NewRecorder()}
	ev, err := ReadEvent(d, sign(hookRequest(hookBody), hookBody, "1", "s"), hooks)
	require.NoError(t, err)
	require.True(t, ev.Signed)
	require.Equal(t, []bool{true, false}, d.set, "or it would end the handler's context")
	for _, r := range []*http.Request{hookRequest(hookBody), sign(hookRequest("x"+hookBody), hookBody, "1", "other"), httptest.NewRequest(http.MethodGet, "/", nil)} {
		r.ContentLength = min(r.ContentLength, hookBounds.Size)
		d.set = nil
		_, err = ReadEvent(d, r, hooks)
		require.Error(t, err)
		require.True(t, d.set[0])
	}
}

// endless is a body whose Read returns when it is released.
type endless struct {
	released chan struct{}
	reads    atomic.Int32
}

func (e *endless) Read([]byte) (int, error) {
	e.reads.Add(1)
	<-e.released
	return 0, io.EOF
}

func TestABodyWithoutADeadlineOfItsOwnIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &endless{released: make(chan struct{})}
		defer close(body.released)
		r := sign(httptest.NewRequest(http.MethodPost, "/", body), "", "1", "s")
		begun := time.Now()
		_, err := ReadEvent(nil, r, Webhook{Secrets: NewSecrets("s")})
		require.ErrorIs(t, err, errTooSlow)
		require.Equal(t, hookBounds.Time, time.Since(begun), "by the bubble's clock")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = ReadEvent(nil, r.WithContext(ctx), Webhook{Secrets: NewSecrets("s")})
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestKeysAsTheyStandInTheURL(t *testing.T) {
	read := func(key, query string) error {
		r := hookRequest(hookBody)
		r.URL.RawQuery = query
		ev, err := ReadEvent(nil, r, Webhook{URLKeys: map[string][]Secret{"w": NewSecrets(key), "v": NewSecrets("of another")}})
		require.False(t, ev.Signed)
		return err
	}
	for _, row := range []struct{ key, query string }{
		{"a+b", "key=a+b"}, {"a+b", "key=a%2Bb"}, {"a b", "key=a+b"}, {"a b", "key=a%20b"},
		{"50%", "key=50%"}, {"50%", "key=50%25"}, {"a%41b", "key=a%41b"}, {"aAb", "key=a%41b"}, {"a%41b", "key=a%2541b"},
		{"a+b%", "x=1&key=a+b%25&y=2"}, {"a;b", "key=a;b"}, {"a=b", "key=a=b"}, {"ключ", "key=ключ"}, {"ключ", "key=%D0%BA%D0%BB%D1%8E%D1%87"},
	} {
		require.NoError(t, read(row.key, row.query), row)
	}
	for _, row := range []struct{ key, query string }{
		{"a+b", "key=a%20b"}, {"a+b", "key=ab"}, {"key", "monkey=key"}, {"key", "key=&key=key"}, {"key", "Key=key"}, {"key", "key=key%00"}, {"", "key="},
	} {
		require.Error(t, read(row.key, row.query), row)
	}
	require.ErrorIs(t, read("of w", "key="+"of+another"), errBadSignature, "a key is its website's alone")
}

// Nobody would notice otherwise that strangers take the places of Crisp's hooks.
func TestSlowBodiesAreLoggedOnceAMinute(t *testing.T) {
	var log strings.Builder
	h, err := New(Config{
		WebsiteID: "7a3c5e10-6f0b-4d55-9c1e-000000000001", Token: Token{Tier: TierPlugin, Identifier: NewSecret("identifier"), Key: NewSecret("the token")},
		Webhook: Webhook{Secrets: NewSecrets("the secret")},
		Deliver: func(context.Context, Session, Message) (string, error) { return "", nil },
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	h.bodies = httpbody.New(httpbody.Bounds{Size: hookBounds.Size, Time: time.Minute, AtOnce: 1})
	taken := &endless{released: make(chan struct{})}
	defer close(taken.released)
	go func() { _, _ = h.bodies.Read(httptest.NewRequest(http.MethodPost, "/", taken), false) }()
	require.Eventually(t, func() bool { return h.bodies.Reading() == 1 }, time.Minute, time.Millisecond)
	for range 3 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, sign(hookRequest(hookBody), hookBody, "1", "other"))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Empty(t, w.Body.String())
	}
	require.Equal(t, 1, strings.Count(log.String(), "too many bodies"), log.String())
}

func TestRatingsAreOfOneToFiveStars(t *testing.T) {
	for _, stars := range []string{"1", "5", "3.0", "0", "-1", "6", "4.5e15", "1.5", `"5"`, "null", "1e999"} {
		ev, err := ParseEvent([]byte(`{"website_id":"w","event":"session:sync:rating","data":{"session_id":"session_1","rating":{"stars":` + stars + `,"comment":"so"}}}`))
		require.NoError(t, err)
		n, err := strconv.ParseFloat(stars, 64)
		if err != nil || n < 1 || n > 5 || n != float64(int(n)) {
			require.Nil(t, ev.more.rating, stars)
			continue
		}
		require.EqualValues(t, n, ev.more.rating.Stars)
	}
}

func TestHookErrorsAreTyped(t *testing.T) {
	_, err := ReadEvent(nil, httptest.NewRequest("POST", "/", strings.NewReader("{}")), Webhook{})
	require.ErrorIs(t, err, errNotSigned)
	require.NotErrorIs(t, err, errBadSignature)
	_, err = ParseEvent([]byte("private words"))
	require.ErrorIs(t, err, errMalformed)
	require.NotContains(t, err.Error(), "private")
	require.NotErrorIs(t, err, errNotSigned)
}
