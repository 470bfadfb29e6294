package handover

import (
	"bufio"
	"context"
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
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/httpbody"
)

// hookServer serves a Handover's hooks over real connections. Each body must come within that time.
func hookServer(t *testing.T, within time.Duration, places int, wrap func(http.Handler) http.Handler) (*Handover, string) {
	h, err := New(Config{
		WebsiteID: "abc",
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
		require.ErrorIs(t, err, ErrTooSlow)
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
		ev, err := ReadEvent(nil, r, Webhook{Keys: map[string][]Secret{"w": NewSecrets(key), "v": NewSecrets("of another")}})
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
	require.ErrorIs(t, read("of w", "key="+"of+another"), ErrBadSignature, "a key is its website's alone")
}

// Nobody would notice otherwise that strangers take the places of Crisp's hooks.
func TestSlowBodiesAreLoggedOnceAMinute(t *testing.T) {
	var log strings.Builder
	h, err := New(Config{
		WebsiteID: "abc", Token: Token{Tier: TierPlugin, Identifier: NewSecret("identifier"), Key: NewSecret("the token")},
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
			require.Nil(t, ev.Rating, stars)
			continue
		}
		require.EqualValues(t, n, ev.Rating.Stars)
	}
}
