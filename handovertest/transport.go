package handovertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// inProcessURL is where the fake is when it does not listen. The name can never be resolved, so a
// client that is not the fake's own fails.
const inProcessURL = "https://api.crisp.invalid/v1/"

// Client returns an HTTP client that reaches the fake without a socket, by Crisp.URL, and nothing
// else.
func (c *Crisp) Client() *http.Client { return &http.Client{Transport: transport{c}} }

// URL returns the base of the REST API, ending in "/v1/". Only Client reaches it, unless the fake
// listens.
func (c *Crisp) URL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.serverURL != "" {
		return c.serverURL
	}
	return inProcessURL
}

// Listen makes the fake reach for other processes, on a free port of the loopback interface, until
// Close. URL says where from then on.
func (c *Crisp) Listen() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("handovertest: cannot listen: %w", err)
	}
	server := &http.Server{Handler: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.server != nil {
		_ = listener.Close()
		return errors.New("handovertest: closed, or listening already")
	}
	c.server = server
	c.serverURL = "http://" + listener.Addr().String() + "/v1/"
	c.work.Go(func() { _ = server.Serve(listener) })
	return nil
}

// transport is the round tripper of Client.
type transport struct{ c *Crisp }

// RoundTrip implements http.RoundTripper: the fake answers in this process.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	base, err := url.Parse(t.c.URL())
	if err != nil || r.URL.Host != base.Host && !strings.HasPrefix(r.URL.String(), inProcessURL) {
		return nil, fmt.Errorf("handovertest: %s is not the fake Crisp: let calls begin with Crisp.URL, %s", r.URL.Host, t.c.URL())
	}
	w := newResponse()
	answered, panicked := w.serve(t.c, serverRequest(r.Context(), r, body))
	switch {
	case panicked != nil:
		panic(panicked) // a bug of the fake, or of a test's function
	case w.refused:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case !answered && w.status != 0: // cut in the middle
		return w.result(r, io.MultiReader(&w.body, errReader{io.ErrUnexpectedEOF})), nil
	case !answered && r.Context().Err() != nil:
		return nil, r.Context().Err()
	case !answered:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return w.result(r, &w.body), nil
}

// serverRequest returns r as a server sees it.
func serverRequest(ctx context.Context, r *http.Request, body []byte) *http.Request {
	in := r.Clone(ctx)
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.ContentLength = int64(len(body))
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	return in
}

// result returns what was written as a client sees it.
func (r *response) result(request *http.Request, body io.Reader) *http.Response {
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)),
		StatusCode:    r.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        r.header,
		Body:          io.NopCloser(body),
		ContentLength: -1,
		Request:       request,
	}
}

// errReader is a reader that only fails.
type errReader struct{ err error }

// Read implements io.Reader.
func (r errReader) Read([]byte) (int, error) { return 0, r.err }
