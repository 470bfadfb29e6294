// Package httpbody reads the bodies of HTTP requests that anybody may send: each within a time and a size,
// and not too many at once. Where nothing is known of a sender until the whole body is there, as with one
// that is signed, that is all that can be done against those who send much, slowly.
package httpbody

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// The reasons for which a body is not read. Any other error is that of the body's reader, or of the
// request's context.
var (
	ErrTooLarge = errors.New("the body is too large")
	ErrTooSlow  = errors.New("the body did not come in time")
	// ErrCrowded says that others take all that there is: the request may be sent again later.
	ErrCrowded = errors.New("too much is being read")
)

var errPanicked = errors.New("the reader panicked")

// Bounds say how much is read.
type Bounds struct {
	Size   int64         // the largest body
	Time   time.Duration // how long a body may take
	AtOnce int           // how many bodies are read at the same time; 0: no bound
	// Small is what each body may have without a share of Large, in bytes, so that large bodies take no
	// place of small ones.
	Small int64
	Large int64 // what all bodies together may have beyond the first Small of each; 0: no bound
}

// Reader reads bodies. It may be used by several goroutines at once.
type Reader struct {
	bounds Bounds
	places chan struct{} // has an element for each body that is being read; nil: no bound
	large  atomic.Int64  // bytes held beyond the first Bounds.Small of each
}

// New returns a Reader.
func New(b Bounds) *Reader {
	r := &Reader{bounds: b}
	if b.AtOnce > 0 {
		r.places = make(chan struct{}, b.AtOnce)
	}
	return r
}

// Reading returns how many bodies are being read, where Bounds.AtOnce is set.
func (b *Reader) Reading() int { return len(b.places) }

// Limit sets the deadline of a connection by which the request must have come. It reports whether that could be
// done: not if w is nil, or hides the connection.
func (b *Reader) Limit(w http.ResponseWriter) bool {
	return w != nil && http.NewResponseController(w).SetReadDeadline(time.Now().Add(b.bounds.Time)) == nil
}

// Unlimit takes the deadline away that Limit set.
func Unlimit(w http.ResponseWriter) { _ = http.NewResponseController(w).SetReadDeadline(time.Time{}) }

// Take returns the request's body within Bounds.Time: with Limit where that can be, else with watch. After an error
// the deadline stays, and the connection is to be closed: else the server waits for the rest before it answers.
func (b *Reader) Take(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := b.Limit(w)
	body, err := b.Read(r, !limited)
	switch {
	case err != nil:
		w.Header().Set("Connection", "close")
	case limited:
		Unlimit(w)
	}
	return body, err
}

// Read returns the request's body. With watch, which is needed where Limit set no deadline, it returns in
// time even if the body's Read does not; what has come of it is then kept until Read returns.
func (b *Reader) Read(r *http.Request, watch bool) ([]byte, error) {
	if r.ContentLength > b.bounds.Size {
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
			return nil, fmt.Errorf("%w: too many bodies", ErrCrowded)
		}
	}
	if !watch {
		return b.all(r)
	}
	type result struct {
		body []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		body, err := b.all(r)
		read <- result{body, err}
	}()
	late := time.NewTimer(b.bounds.Time)
	defer late.Stop()
	select {
	case got := <-read:
		return got.body, got.err
	case <-late.C:
		return nil, ErrTooSlow
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// all reads a body to its end. A panic of the reader becomes an error.
func (b *Reader) all(r *http.Request) (body []byte, err error) {
	counted := counted{reader: r.Body, of: b}
	defer counted.release()
	defer func() {
		if recover() != nil {
			body, err = nil, errPanicked
		}
	}()
	body, err = counted.all(r.ContentLength)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, ErrTooSlow
	}
	return body, err
}

// counted counts what is read of one body, and takes its share in what all may have.
type counted struct {
	reader     io.Reader
	of         *Reader
	read, held int64
}

// all reads to the end. said is how long the body is to be, if that is above 0.
func (c *counted) all(said int64) ([]byte, error) {
	first := int64(bytes.MinRead)
	if small := c.of.bounds.Small; 0 < said && said < small {
		first = said + 1 // the end is seen without a larger buffer
	}
	body := make([]byte, 0, first)
	for {
		n, err := c.reader.Read(body[len(body):min(int64(cap(body)), c.of.bounds.Size+1)])
		body = body[:len(body)+n]
		if c.crowds(int64(n)) {
			return nil, fmt.Errorf("%w: too many large bodies", ErrCrowded)
		}
		switch {
		case int64(len(body)) > c.of.bounds.Size:
			return nil, ErrTooLarge
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		}
		if len(body) == cap(body) {
			body = slices.Grow(body, 1)
		}
	}
}

// crowds counts n further bytes. It reports whether they are more than all may have.
func (c *counted) crowds(n int64) bool {
	c.read += n
	more := max(c.read-c.of.bounds.Small, 0) - c.held
	if more <= 0 {
		return false
	}
	c.held += more
	most := c.of.bounds.Large
	return c.of.large.Add(more) > most && most > 0
}

// release gives the share back.
func (c *counted) release() { c.of.large.Add(-c.held) }
