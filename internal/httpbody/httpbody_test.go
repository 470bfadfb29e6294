package httpbody

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var limits = Limits{Size: 100, Time: time.Second, AtOnce: 1, Small: 10, Large: 200}

func request(body io.Reader) *http.Request { return httptest.NewRequest(http.MethodPost, "/", body) }

func ofSize(n int) *http.Request { return request(strings.NewReader(strings.Repeat("x", n))) }

func TestBodiesAreReadWithinTheirSize(t *testing.T) {
	b := New(limits)
	for _, watch := range []bool{false, true} {
		body, err := b.Read(ofSize(100), watch)
		require.NoError(t, err)
		require.Len(t, body, 100)
		_, err = b.Read(ofSize(101), watch)
		require.ErrorIs(t, err, ErrTooLarge, "its length says so")
		r := ofSize(101)
		r.ContentLength = -1
		_, err = b.Read(r, watch)
		require.ErrorIs(t, err, ErrTooLarge, "it is not told before")
		body, err = b.Read(request(nil), watch)
		require.NoError(t, err)
		require.Empty(t, body)
	}
	require.Zero(t, b.Reading())
	require.Zero(t, b.large.Load())
}

// Large bodies share what they may have in all; small ones always pass.
func TestLargeBodiesTakeNoPlaceOfSmallOnes(t *testing.T) {
	b := New(limits)
	b.large.Store(limits.Large)
	_, err := b.Read(ofSize(10), false)
	require.NoError(t, err)
	_, err = b.Read(ofSize(11), false)
	require.ErrorIs(t, err, ErrBusy)
	require.Equal(t, limits.Large, b.large.Load(), "nothing is held of it")
}

// endless is a body whose Read returns when it is released.
type endless chan struct{}

func (e endless) Read([]byte) (int, error) { <-e; return 0, io.EOF }

func TestOnlySoManyBodiesAreReadAtOnceAndEachInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, body := New(limits), make(endless)
		done := make(chan error)
		go func() {
			_, err := b.Read(request(body), true)
			done <- err
		}()
		synctest.Wait()
		require.Equal(t, 1, b.Reading())
		_, err := b.Read(ofSize(1), true)
		require.ErrorIs(t, err, ErrBusy)
		begun := time.Now()
		require.ErrorIs(t, <-done, ErrTooSlow)
		require.Equal(t, limits.Time, time.Since(begun))
		require.Zero(t, b.Reading())

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = b.Read(request(body).WithContext(ctx), true)
		require.ErrorIs(t, err, context.Canceled)
		close(body)
		require.Zero(t, New(Limits{}).Reading(), "no bound")
	})
}

// panicking is a body of a program's own making.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("private words") }

func TestFaultsOfBodies(t *testing.T) {
	b := New(limits)
	_, err := b.Read(request(iotest.ErrReader(os.ErrDeadlineExceeded)), false)
	require.ErrorIs(t, err, ErrTooSlow)
	fault := errors.New("reset")
	_, err = b.Read(request(iotest.ErrReader(fault)), false)
	require.ErrorIs(t, err, fault)
	_, err = b.Read(request(panicking{}), true)
	require.ErrorContains(t, err, "panicked")
	require.NotContains(t, err.Error(), "private")
	require.Zero(t, b.Reading())
}

// connection is a ResponseWriter that notes its read deadline.
type connection struct {
	http.ResponseWriter
	deadline time.Time
}

func (c *connection) SetReadDeadline(at time.Time) error { c.deadline = at; return nil }

func TestDeadline(t *testing.T) {
	b := New(limits)
	require.Nil(t, b.Deadline(nil))
	require.Nil(t, b.Deadline(httptest.NewRecorder()), "it has no connection")
	c := &connection{ResponseWriter: httptest.NewRecorder()}
	done := b.Deadline(struct{ http.ResponseWriter }{c})
	require.Nil(t, done, "it is hidden")
	done = b.Deadline(c)
	require.NotZero(t, c.deadline)
	done()
	require.Zero(t, c.deadline)
}
