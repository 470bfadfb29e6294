// Package crispapi speaks to Crisp's REST API for one website: requests on the official client's
// types, answers that are read leniently and never believed beyond what Crisp documents, errors in
// four classes, and one breaker, which keeps failure from costing calls.
//
// It repeats no call that changes anything: who wants to try again must first know whether the last
// attempt was carried out, see Error.SafeToRetry.
//
// Facts about Crisp are from its REST reference, from its guides "Rate-Limits" and "Token Scopes",
// and from the sources of its clients for Go and Node and of its import tool.
package crispapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover/internal/times"
	"github.com/crisphandover/handover/internal/tokenclient"
)

const (
	// CallTimeout bounds one call. An outcome that is unknown is worth looking for only after it:
	// until then Crisp may still be carrying the call out.
	CallTimeout = 10 * time.Second
	// maxAnswer bounds what is read of an answer, a page of long messages included.
	maxAnswer = 16 << 20
)

var errPanicked = errors.New("the HTTP client panicked")

// Token is one of Crisp's keypairs. Tier is "website" or "plugin".
type Token struct{ Identifier, Key, Tier string }

// String keeps the token out of every form of printing.
func (Token) String() string { return "token" }

// GoString is String.
func (Token) GoString() string { return "token" }

// Config says for which website a Client speaks, and how.
type Config struct {
	BaseURL   string // ends with "/"; empty: https://api.crisp.chat/v1/
	WebsiteID string
	Token     Token
	HTTP      *http.Client // nil: one with http.DefaultTransport. Redirects are never followed
	// OnCall, if set, hears of every call that was made. It may be called by several goroutines.
	// It gets the context of the call.
	OnCall func(context.Context, Call)
	// OnState, if set, hears when calls to the website as a whole stop, and when they go on. It may be
	// called by several goroutines, and must not block.
	OnState func(State)
	// OnPanic, if set, gets the stack of a panic of HTTP, which is an error of the call.
	OnPanic func(stack string)
	// Fault, if set, makes the error that a caller gets of an Error. Nil: that itself.
	Fault func(*Error) error
}

// Call is a call that was made.
type Call struct {
	Op    string // as in Error.Op
	Begun time.Time
	Took  time.Duration
	Err   *Error // nil: it succeeded
}

// Client speaks to Crisp for one website. It is safe for concurrent use.
type Client struct {
	// Calls counts the calls that were made. Whoever adds them up elsewhere may reset it.
	Calls atomic.Int64

	cfg      Config
	requests requester
	http     http.Client
	nonce    atomic.Int64
	ahead    atomic.Pointer[time.Duration] // see Ahead; nil: no answer told

	mu      sync.Mutex
	breaker *breaker
}

// New returns a Client.
func New(cfg Config) *Client {
	c := &Client{cfg: cfg, requests: newRequester(cfg), breaker: newBreaker()}
	c.http = *tokenclient.Of(cfg.HTTP)
	return c
}

// State returns for how long nothing of the website is called, as far as this process knows.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.breaker.state()
}

// HeldOps returns the operations that are held back alone, in all conversations, sorted.
func (c *Client) HeldOps() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.breaker.heldOps()
}

// Ahead returns by how much Crisp's clock is ahead of this machine's, to the second, as Crisp's last answer told it. It is false if
// none has.
func (c *Client) Ahead() (time.Duration, bool) {
	ahead := c.ahead.Load()
	if ahead == nil {
		return 0, false
	}
	return *ahead, true
}

// Merge takes the state that another process learnt: the one that keeps from calling longer counts.
func (c *Client) Merge(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breaker.merge(s, time.Now())
}

// do makes one call. Every failure is an *Error, or what Config.Fault makes of it.
func (c *Client) do(ctx context.Context, r request) error { return c.fault(c.try(ctx, r)) }

// fault is what a caller gets of an Error; nil of nil.
func (c *Client) fault(e *Error) error {
	switch {
	case e == nil:
		return nil
	case c.cfg.Fault != nil:
		return c.cfg.Fault(e)
	}
	return e
}

// try makes one call.
func (c *Client) try(ctx context.Context, r request) *Error {
	if r.session != "" && !ValidSessionID(r.session) {
		return r.op.failed(0, fmt.Errorf("%w: this is no id of a conversation", errBuild))
	}
	if err := ctx.Err(); err != nil {
		return r.op.failed(0, err)
	}
	last, t := false, target{op: r.op.name, session: r.session}
	c.mu.Lock()
	probes, held := c.breaker.admit(t, time.Now())
	c.mu.Unlock()
	if held != nil {
		held.Scope, held.Read = r.op.scope, r.op.reads()
		switch {
		case forced(ctx) && ruleOf(held).Class != Later:
			probes = c.force(t)
		case !lastTry(ctx):
			return held
		default:
			if held.Wait = min(held.Wait, c.waitLast(t)); held.Wait > 0 {
				return held
			}
			last = true
		}
	}
	call := Call{Op: r.op.name, Begun: time.Now()}
	call.Err = c.exchange(ctx, r)
	switch left := call.Err != nil && call.Err.StatusCode == 0 && ctx.Err() != nil; {
	case !last:
		c.settle(t, probes, call.Err, left)
	case call.Err == nil:
		c.settle(t, c.force(t), nil, false)
	case call.Err.told():
		c.settle(t, nil, call.Err, left)
	}
	call.Took = time.Since(call.Begun)
	c.Calls.Add(1)
	if c.cfg.OnCall != nil {
		c.cfg.OnCall(ctx, call)
	}
	return call.Err
}

// force makes a call one that tries, for all circuits that it goes through.
func (c *Client) force(t target) (probes []scope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range t.scopes() {
		if circuit := c.breaker.circuits[s]; circuit.open() {
			circuit.probing = true // others wait for what it finds
			probes = append(probes, s)
		}
	}
	return probes
}

// waitLast is how long a last try has to wait; 0 if it is made now.
func (c *Client) waitLast(t target) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.breaker.waitLast(t, time.Now())
}

// settle tells the breaker of a call; left is true if nobody waited for the answer.
func (c *Client) settle(t target, probes []scope, e *Error, left bool) {
	c.mu.Lock()
	before := c.breaker.state()
	if left {
		c.breaker.abandon(probes)
	} else {
		c.breaker.settle(t, probes, e, time.Now())
	}
	after := c.breaker.state()
	c.mu.Unlock()
	if before != after && c.cfg.OnState != nil {
		c.cfg.OnState(after)
	}
}

// exchange is try without the breaker. A panic of the caller's transport is an error like one of the
// network: whether the request was sent is not known.
func (c *Client) exchange(ctx context.Context, r request) (e *Error) {
	defer func() {
		if recover() == nil {
			return
		}
		e = r.op.failed(0, errPanicked)
		if c.cfg.OnPanic != nil {
			c.cfg.OnPanic(string(debug.Stack()))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	req, err := c.requests.request(ctx, r)
	if err != nil {
		return r.op.failed(0, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return r.op.failed(0, err)
	}
	defer resp.Body.Close()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		ahead := min(time.Until(date), times.MaxSpan)
		c.ahead.Store(&ahead)
	}
	body, err := readBody(resp)
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		e = r.op.failed(resp.StatusCode, nil)
		e.Reason, e.RetryAfter = reasonOf(body), retryAfter(resp.Header, time.Now())
		return e
	case err != nil:
		return r.op.failed(0, fmt.Errorf("the answer was cut: %w", err))
	case len(body) > maxAnswer:
		return r.op.failed(0, errors.New("the answer is too large"))
	}
	a, err := readAnswer(body)
	if err == nil {
		err = a.done(r, resp.StatusCode)
	}
	if err != nil {
		e = r.op.failed(resp.StatusCode, fmt.Errorf("the answer is not what Crisp documents: %w", err))
		e.Reason = a.reason
		return e
	}
	return nil
}

// readBody reads the body of an answer, up to a little more than what is taken of one.
func readBody(resp *http.Response) ([]byte, error) {
	var body bytes.Buffer
	body.Grow(int(min(max(resp.ContentLength, 0), 64<<10)) + bytes.MinRead) // a server may say anything
	_, err := body.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	return body.Bytes(), err
}
