package handovertest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"time"
)

// receiver takes hooks: a handler in this process, or a URL.
type receiver struct {
	crisp   *Crisp
	handler http.Handler
	url     string
	client  *http.Client
}

// hookRequest is a hook ready to be sent.
type hookRequest struct {
	path, query string
	header      http.Header
	body        []byte
}

// Attach sends hooks to h from now on, by calling it. Several attached handlers are replicas
// behind one address: each attempt goes to one of them, in turn unless SetChooser says otherwise.
// The function that it returns takes h away again; while nobody is left, attempts fail.
func (c *Crisp) Attach(h http.Handler) (detach func()) {
	return c.attach(&receiver{crisp: c, handler: h})
}

// AttachURL is Attach for a receiver that listens. Website hooks get their key added to url.
func (c *Crisp) AttachURL(url string) (detach func()) {
	// A transport of its own, since Crisp follows no proxy of the test's environment.
	transport := &http.Transport{IdleConnTimeout: 10 * time.Second}
	remove := c.attach(&receiver{crisp: c, url: url, client: &http.Client{Transport: transport}})
	return func() {
		remove()
		transport.CloseIdleConnections()
	}
}

// SetChooser lets choose pick the receiver of each attempt: a number below n, in the order of
// attaching. It must not call the fake.
func (c *Crisp) SetChooser(choose func(h HookInfo, n int) int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.choose = choose
}

func (c *Crisp) attach(r *receiver) (detach func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receivers = append(c.receivers, r)
	c.attached = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.receivers = slices.DeleteFunc(slices.Clone(c.receivers), func(x *receiver) bool { return x == r })
	}
}

// receiverFor returns who gets the next attempt of a hook, or nil. The caller holds the lock.
func (c *Crisp) receiverFor(h *hook) *receiver {
	n := len(c.receivers)
	if n == 0 {
		return nil
	}
	i := h.Ordinal + h.Attempt - 1
	if c.choose != nil {
		i = c.choose(h.HookInfo, n)
	}
	return c.receivers[max(i, 0)%n]
}

// receive sends a hook and returns the status of the answer, 0 for none within ctx.
func (r *receiver) receive(ctx context.Context, h hookRequest) int {
	if r.handler == nil {
		return r.post(ctx, h)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		joinQuery("https://bot.invalid"+h.path, h.query), bytes.NewReader(h.body))
	if err != nil {
		r.crisp.violated("Options.HookPath: %v", err)
		return 0
	}
	request.Header = h.header
	status := make(chan int, 1)
	r.crisp.mu.Lock()
	r.crisp.spawn(0, func() { status <- r.call(serverRequest(ctx, request, h.body)) })
	r.crisp.mu.Unlock()
	select {
	case s := <-status:
		return s
	case <-ctx.Done():
		return 0
	}
}

// call lets the handler answer.
func (r *receiver) call(request *http.Request) int {
	w := newResponse()
	answered, panicked := w.serve(r.handler, request)
	if panicked != nil {
		r.crisp.violated("the handler of hooks panicked: %v", panicked)
	}
	if !answered {
		return 0
	}
	return w.status
}

// post sends a hook over the network.
func (r *receiver) post(ctx context.Context, h hookRequest) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, joinQuery(r.url, h.query), bytes.NewReader(h.body))
	if err != nil {
		r.crisp.violated("AttachURL: %v", err)
		return 0
	}
	request.Header = h.header
	response, err := r.client.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return response.StatusCode
}
