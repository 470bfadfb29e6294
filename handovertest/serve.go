package handovertest

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP answers the REST API.
func (c *Crisp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	c.begin()
	c.mu.Unlock()
	w.Header().Set("Date", c.clock().UTC().Format(http.TimeFormat))
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.end()
	}()
	body, err := readAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	q, refusal := c.find(r, body)
	if refusal != nil {
		c.report(r, refusal.violation)
		write(w, r, *refusal, nil)
		return
	}
	c.call(w, r, q)
}

// call answers one call, with what goes wrong with it.
func (c *Crisp) call(w http.ResponseWriter, r *http.Request, q *request) {
	c.introduce(q)
	call := Call{CallInfo: q.CallInfo, At: time.Now()}
	call.Early = c.early(q.website, call.At)
	defer func() { c.recordCall(call) }()
	if a, header := c.overQuota(q); a != nil {
		call.Status = a.status
		c.noteRetryAfter(q.website, header)
		write(w, r, *a, header)
		return
	}
	f := c.faultFor(q.CallInfo)
	if f.LateCommit > 0 {
		c.commitLater(r, q, f.LateCommit)
	}
	c.wait(r.Context(), f.Delay)
	switch {
	case f.Refuse:
		if w, ok := w.(*response); ok {
			w.refused = true
		}
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		if f.Commit {
			c.do(r, q)
		}
		call.Status = f.Status
		header := f.header(c.clock())
		c.noteRetryAfter(q.website, header)
		f.write(w, r, header)
		return
	case f.CutBefore, f.LateCommit > 0:
		panic(http.ErrAbortHandler)
	}
	if f.Stale > 0 && (q.Method == http.MethodGet || q.Method == http.MethodHead) {
		q.asOf = time.Now().Add(-f.Stale)
	}
	a, header := c.do(r, q)
	if f.EchoFirst {
		c.awaitHooks(r.Context(), q)
	}
	c.wait(r.Context(), f.DelayAnswer)
	if f.CutAfter {
		panic(http.ErrAbortHandler)
	}
	call.Status = a.status
	if f.CutBody {
		call.Status = 0
		writeHalf(w, a)
	}
	write(w, r, a, header)
}

// introduce completes what is known of a call before it is answered.
func (c *Crisp) introduce(q *request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q.Conversation, q.WebsiteID = -1, q.website
	if v := c.bySession[q.sessionID]; v != nil && v.website == q.website {
		q.Conversation = v.number
		q.Nickname = v.last().meta.Nickname
	}
	q.Ordinal = c.ordinal(q.Conversation, q.Route)
	if q.Route == RouteSend {
		var message struct{ Type, From json.RawMessage }
		_ = json.Unmarshal(q.raw, &message) // it is judged later
		q.Type, _ = asString(message.Type)
		q.From, _ = asString(message.From)
	}
}

// do does the work of a call, or finds its answer in the cache.
func (c *Crisp) do(r *http.Request, q *request) (answer, http.Header) {
	c.mu.Lock()
	a, header := c.cached(q, func() answer { return c.answer(q) })
	c.mu.Unlock()
	c.report(r, a.violation)
	return a, header
}

// commitLater does the work of a call after d, though nobody hears of it.
func (c *Crisp) commitLater(r *http.Request, q *request, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spawn(d, func() { c.do(r, q) })
}

// wait waits for d. When the caller leaves meanwhile, the call ends as a cut one.
func (c *Crisp) wait(ctx context.Context, d time.Duration) {
	if d > 0 && c.sleep(ctx, d) != nil {
		panic(http.ErrAbortHandler)
	}
}

// report records a violation, if it is one.
func (c *Crisp) report(r *http.Request, violation string) {
	if violation != "" {
		c.violated("%s %s: %s", r.Method, r.URL.Path, violation)
	}
}

// write sends an answer.
func write(w http.ResponseWriter, r *http.Request, a answer, header http.Header) {
	for name, values := range header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.envelope())
	}
}

// writeHalf sends the first half of an answer and cuts.
func writeHalf(w http.ResponseWriter, a answer) {
	body := a.envelope()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(body[:len(body)/2])
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// header returns the header of the fault's answer. now is Crisp's time.
func (f Fault) header(now time.Time) http.Header {
	header := f.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if f.RetryAfter > 0 {
		header.Set("Retry-After", retryAfter(f.RetryAfter, f.RetryDate, now))
	}
	return header
}

// write sends the answer that the fault has.
func (f Fault) write(w http.ResponseWriter, r *http.Request, header http.Header) {
	reason := f.Reason
	if reason == "" {
		reason = reasons[f.Status]
	}
	if f.Body == "" && !f.NoBody {
		write(w, r, answer{status: f.Status, reason: reason}, header)
		return
	}
	if strings.HasPrefix(f.Body, "<") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	} else {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(f.Body))
	}
}

// reasons are those that Crisp is known to give, or likely to.
var reasons = map[int]string{
	http.StatusBadRequest:          "invalid_data",
	http.StatusUnauthorized:        "invalid_session",
	http.StatusPaymentRequired:     "subscription_upgrade_required",
	http.StatusForbidden:           "not_allowed",
	http.StatusNotFound:            "not_found",
	http.StatusConflict:            "too_many_messages",
	420:                            "rate_limited",
	http.StatusLocked:              "quota_limit_exceeded",
	http.StatusTooManyRequests:     "rate_limited",
	http.StatusInternalServerError: "server_error",
	http.StatusBadGateway:          "server_error",
	http.StatusServiceUnavailable:  "server_error",
	http.StatusGatewayTimeout:      "server_error",
}
