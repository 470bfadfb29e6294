// Package httpbody reads the bodies of HTTP requests that anybody may send: each within a time and a size,
// and not too many at once.
package httpbody

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Limits bound what is read.
type Limits struct {
	Size   int64         // of one body, in bytes
	Time   time.Duration // that one body may take
	AtOnce int           // bodies that are read at the same time; 0: no bound
	// Small is what each body may have without a share in Large, which is what all of them together may
	// have beyond that. So large bodies of strangers take no place of small ones.
	Small, Large int64
}

// Why a body was not read. Any other error is the connection's, or the context's.
var (
	ErrTooLarge = errors.New("the body is too large")
	ErrTooSlow  = errors.New("the body did not come in time")
	ErrBusy     = errors.New("too many bodies are being read")
)

// Reader reads bodies. Make it with New. It may be used concurrently.
type Reader struct {
	limits Limits
	places chan struct{} // has an element for each body that is being read; nil: no bound
	large  atomic.Int64  // bytes held beyond the first Limits.Small of each
}

// New returns a Reader with these limits.
func New(l Limits) *Reader {
	b := &Reader{limits: l}
	if l.AtOnce > 0 {
		b.places = make(chan struct{}, l.AtOnce)
	}
	return b
}

// Reading returns how many bodies are being read, where that is bounded.
func (b *Reader) Reading() int { return len(b.places) }

// Deadline sets the deadline until which the request must have come, and returns what takes it away
// again; nil if it cannot be set, as on a ResponseWriter that hides its connection. w may be nil.
func (b *Reader) Deadline(w http.ResponseWriter) (done func()) {
	if w == nil {
		return nil
	}
	connection := http.NewResponseController(w)
	if connection.SetReadDeadline(time.Now().Add(b.limits.Time)) != nil {
		return nil
	}
	return func() { _ = connection.SetReadDeadline(time.Time{}) }
}

// Read returns the request's body. With watch, which is for requests without a Deadline, it returns in
// time even if the body's Read does not; what has come of it is then kept until Read returns.
func (b *Reader) Read(r *http.Request, watch bool) ([]byte, error) {
	if r.ContentLength > b.limits.Size {
		return nil, ErrTooLarge
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if b.places != nil {
		select {
		case b.places <- struct{}{}:
			defer func() { <-b.places }()
		default:
			return nil, ErrBusy
		}
	}
	if !watch {
		return b.readAll(r.Body)
	}
	type result struct {
		body []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		body, err := b.readAll(r.Body)
		read <- result{body, err}
	}()
	late := time.NewTimer(b.limits.Time)
	defer late.Stop()
	select {
	case got := <-read:
		return got.body, got.err
	case <-late.C:
		return nil, ErrTooSlow
	case <-r.Context().Done():
		return nil, fmt.Errorf("reading the body: %w", r.Context().Err())
	}
}

// readAll reads a body to its end, within the bounds of its size. A panic of a reader that a program has
// put in place of the body becomes an error.
func (b *Reader) readAll(r io.Reader) (body []byte, err error) {
	counted := &countedBody{reader: io.LimitReader(r, b.limits.Size+1), of: b}
	defer counted.release()
	defer func() {
		if recover() != nil {
			body, err = nil, errors.New("reading the body: the reader panicked")
		}
	}()
	body, err = io.ReadAll(counted)
	switch {
	case errors.Is(err, ErrBusy):
		return nil, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, ErrTooSlow
	case err != nil:
		return nil, fmt.Errorf("reading the body: %w", err)
	case int64(len(body)) > b.limits.Size:
		return nil, ErrTooLarge
	}
	return body, nil
}

// countedBody counts what is read of one body, and takes its share in what all may have.
type countedBody struct {
	reader     io.Reader
	of         *Reader
	read, held int64
}

// Read implements io.Reader.
func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.reader.Read(p)
	c.read += int64(n)
	if more := max(c.read-c.of.limits.Small, 0) - c.held; more > 0 {
		c.held += more
		if c.of.large.Add(more) > c.of.limits.Large {
			return n, ErrBusy
		}
	}
	return n, err
}

// release gives the share back.
func (c *countedBody) release() { c.of.large.Add(-c.held) }
