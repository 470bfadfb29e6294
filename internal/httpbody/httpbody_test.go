package httpbody_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/httpbody"
)

func request(body io.Reader) *http.Request { return httptest.NewRequest(http.MethodPost, "/", body) }

func ofSize(n int) *http.Request { return request(strings.NewReader(strings.Repeat("x", n))) }

func TestSize(t *testing.T) {
	r := httpbody.New(httpbody.Bounds{Size: 10, Time: time.Minute})
	for _, watch := range []bool{false, true} {
		body, err := r.Read(ofSize(10), watch)
		require.NoError(t, err)
		require.Len(t, body, 10)
		_, err = r.Read(ofSize(11), watch)
		require.ErrorIs(t, err, httpbody.ErrTooLarge)
		unsaid := ofSize(11)
		unsaid.ContentLength = -1
		_, err = r.Read(unsaid, watch)
		require.ErrorIs(t, err, httpbody.ErrTooLarge)
		body, err = r.Read(request(http.NoBody), watch)
		require.NoError(t, err)
		require.Empty(t, body)
	}
}

// stuck is a body that comes when it is released.
type stuck struct{ released chan struct{} }

func (s *stuck) Read([]byte) (int, error) {
	<-s.released
	return 0, io.EOF
}

func TestTimeAndPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := httpbody.New(httpbody.Bounds{Size: 10, Time: time.Minute, AtOnce: 1})
		slow := &stuck{released: make(chan struct{})}
		defer close(slow.released)
		begun := time.Now()
		go func() {
			synctest.Wait()
			require.Equal(t, 1, r.Reading())
			_, err := r.Read(ofSize(1), false)
			require.ErrorIs(t, err, httpbody.ErrCrowded)
		}()
		_, err := r.Read(request(slow), true)
		require.ErrorIs(t, err, httpbody.ErrTooSlow)
		require.Equal(t, time.Minute, time.Since(begun), "by the bubble's clock")
		_, err = r.Read(ofSize(1), false)
		require.NoError(t, err, "the place is free again")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.Read(request(slow).WithContext(ctx), true)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// Large bodies share what they may have in all; small ones always pass.
func TestLargeBodiesTakeNoPlaceOfSmallOnes(t *testing.T) {
	r := httpbody.New(httpbody.Bounds{Size: 100, Time: time.Minute, Small: 10, Large: 90})
	_, err := r.Read(request(io.MultiReader(strings.NewReader(strings.Repeat("x", 100)), during(func() {
		_, err := r.Read(ofSize(10), false)
		require.NoError(t, err)
		_, err = r.Read(ofSize(11), false)
		require.ErrorIs(t, err, httpbody.ErrCrowded)
	}))), false)
	require.NoError(t, err)
	_, err = r.Read(ofSize(100), false)
	require.NoError(t, err, "nothing is held of those that are over")
}

// during is a reader of nothing that calls a function.
type during func()

func (d during) Read([]byte) (int, error) {
	d()
	return 0, io.EOF
}

func TestAReaderThatPanicsIsAnError(t *testing.T) {
	r := httpbody.New(httpbody.Bounds{Size: 10, Time: time.Minute})
	_, err := r.Read(request(during(func() { panic("private words") })), false)
	require.ErrorContains(t, err, "panicked")
	require.NotContains(t, err.Error(), "private")
}

// deadlines is a ResponseWriter that notes its read deadlines.
type deadlines struct {
	http.ResponseWriter
	set []bool // one was set, or taken away
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, !at.IsZero())
	return nil
}

func TestLimit(t *testing.T) {
	r := httpbody.New(httpbody.Bounds{Size: 10, Time: time.Minute})
	require.False(t, r.Limit(nil))
	require.False(t, r.Limit(httptest.NewRecorder()), "it has no connection")
	w := &deadlines{ResponseWriter: httptest.NewRecorder()}
	require.True(t, r.Limit(struct{ *deadlines }{w}))
	require.Equal(t, []bool{true}, w.set)
	httpbody.Unlimit(struct{ *deadlines }{w})
	require.Equal(t, []bool{true, false}, w.set)
}

// TestTakeAnswers has a sender that stops within the body: it is answered all the same, and its connection closed.
func TestTakeAnswers(t *testing.T) {
	bodies := httpbody.New(httpbody.Bounds{Size: 100, Time: 10 * time.Millisecond})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := bodies.Take(w, r); errors.Is(err, httpbody.ErrTooSlow) {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	}))
	defer server.Close()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer connection.Close()
	require.NoError(t, connection.SetDeadline(time.Now().Add(20*time.Second))) // only a fault takes that long
	_, err = io.WriteString(connection, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 50\r\n\r\nhalf")
	require.NoError(t, err)
	answer, err := io.ReadAll(connection)
	require.NoError(t, err)
	require.Contains(t, string(answer), "408 Request Timeout")
}
