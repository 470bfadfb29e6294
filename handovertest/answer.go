package handovertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// answer is what a route answers.
type answer struct {
	status int
	reason string
	data   any
	// violation is set where no sane client would have asked; it says what is wrong.
	violation string
}

// envelope returns the body: {"data":…,"error":…,"reason":…}.
func (a answer) envelope() []byte {
	data, ready := a.data.(json.RawMessage)
	switch {
	case a.data == nil:
		data = json.RawMessage("{}")
	case !ready:
		data = encode(a.data)
	}
	return fmt.Appendf(nil, `{"data":%s,"error":%t,"reason":%s}`, data, a.status >= 400, encode(a.reason))
}

func ok(data any) answer { return answer{status: http.StatusOK, reason: "resolved", data: data} }
func updated() answer    { return answer{status: http.StatusOK, reason: "updated"} }
func notFound() answer   { return answer{status: http.StatusNotFound, reason: "not_found"} }
func deleted() answer    { return answer{status: http.StatusOK, reason: "deleted"} }
func listed(data any) answer {
	return answer{status: http.StatusPartialContent, reason: "listed", data: data}
}
func says(t string) any { return map[string]any{"message": t} }

// invalid answers a body that a check complains of.
func invalid(c *complaint) answer {
	a := answer{status: http.StatusBadRequest, reason: "invalid_data", data: says(c.message)}
	if !c.tolerable {
		a.violation = "invalid_data: " + c.message
	}
	return a
}

// noRoute answers a path that leads nowhere, or that holds an id that is none.
func noRoute() answer {
	return answer{
		status: http.StatusNotFound, reason: "not_found", data: says("the route does not exist"),
		violation: "the route does not exist",
	}
}

// response is an answer that was written in memory: an http.ResponseWriter without a socket.
type response struct {
	header  http.Header
	status  int
	body    bytes.Buffer
	refused bool // the connection never was
}

func newResponse() *response { return &response{header: http.Header{}} }

// Header implements http.ResponseWriter.
func (r *response) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter. Only the first final status counts.
func (r *response) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
}

// Write implements http.ResponseWriter.
func (r *response) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// serve lets h answer req and says whether it did, instead of cutting the connection by a panic.
// A panic other than http.ErrAbortHandler is returned.
func (r *response) serve(h http.Handler, req *http.Request) (answered bool, panicked any) {
	defer func() {
		if p := recover(); p != nil {
			answered = false
			if p != http.ErrAbortHandler {
				panicked = p
			}
		}
	}()
	h.ServeHTTP(r, req)
	r.WriteHeader(http.StatusOK)
	return true, nil
}

// readAll reads a body that may be nil, up to 10 MiB.
func readAll(body io.ReadCloser) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, 10<<20))
}
