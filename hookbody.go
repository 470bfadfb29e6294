package handover

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// The bounds of hooks' bodies. Everybody can send one, with an invented signature, which is
// judged only when the body has come.
const (
	// maxHookBody is the largest body that is read. Crisp cuts texts at some thousand characters;
	// files come as URLs.
	maxHookBody = 1 << 20
	// hookBodyTimeout is how long a body may take. Crisp's servers send theirs at once.
	hookBodyTimeout = 5 * time.Second
	// maxHookBodies is how many bodies are read at the same time.
	maxHookBodies = 256
	// smallHookBody is what each of them may have without a share in maxLargeBytes. Nearly all of
	// Crisp's are smaller, so that large ones of strangers take no place of theirs.
	smallHookBody = 64 << 10
	// maxLargeBytes is what all bodies together may have beyond the first smallHookBody of each.
	maxLargeBytes = 32 << 20
)

// hookBodies reads the bodies of hooks: each within a time, and not too many at once.
type hookBodies struct {
	timeout time.Duration
	places  chan struct{} // has an element for each body that is being read; nil: no bound
	large   atomic.Int64  // bytes held beyond the first smallHookBody of each
}

func newHookBodies() *hookBodies {
	return &hookBodies{timeout: hookBodyTimeout, places: make(chan struct{}, maxHookBodies)}
}

// limit sets the deadline until which the request must have come, and returns what takes it away
// again; nil if it cannot be set.
func (b *hookBodies) limit(w http.ResponseWriter) (done func()) {
	if w == nil {
		return nil
	}
	connection := http.NewResponseController(w)
	if connection.SetReadDeadline(time.Now().Add(b.timeout)) != nil {
		return nil
	}
	return func() { _ = connection.SetReadDeadline(time.Time{}) }
}

// read returns the request's body. With watch it returns in time even if the body's Read does not;
// what has come of it is then kept until Read returns.
func (b *hookBodies) read(r *http.Request, watch bool) ([]byte, error) {
	if r.ContentLength > maxHookBody {
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
			return nil, fmt.Errorf("too many bodies are being read: %w", ErrBusy)
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
	late := time.NewTimer(b.timeout)
	defer late.Stop()
	select {
	case got := <-read:
		return got.body, got.err
	case <-late.C:
		return nil, ErrTooSlow
	case <-r.Context().Done():
		return nil, fmt.Errorf("handover: reading the web hook's body: %w", r.Context().Err())
	}
}

// readAll reads a body to its end, within the bounds of its size. A panic of a host's own reader
// becomes an error.
func (b *hookBodies) readAll(r io.Reader) (body []byte, err error) {
	counted := &countedBody{reader: io.LimitReader(r, maxHookBody+1), large: &b.large}
	defer counted.release()
	defer func() {
		if recover() != nil {
			body, err = nil, errors.New("handover: reading the web hook's body: the reader panicked")
		}
	}()
	body, err = io.ReadAll(counted)
	switch {
	case errors.Is(err, ErrBusy):
		return nil, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, ErrTooSlow
	case err != nil:
		return nil, fmt.Errorf("handover: reading the web hook's body: %w", err)
	case len(body) > maxHookBody:
		return nil, ErrTooLarge
	}
	return body, nil
}

// countedBody counts what is read of one body, and takes its share in what all may have.
type countedBody struct {
	reader     io.Reader
	read, held int64
	large      *atomic.Int64
}

// Read implements io.Reader.
func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.reader.Read(p)
	c.read += int64(n)
	if more := max(c.read-smallHookBody, 0) - c.held; more > 0 {
		c.held += more
		if c.large.Add(more) > maxLargeBytes {
			return n, fmt.Errorf("too many large bodies are being read: %w", ErrBusy)
		}
	}
	return n, err
}

// release gives the share back.
func (c *countedBody) release() { c.large.Add(-c.held) }
