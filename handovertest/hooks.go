package handovertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HookCall is one attempt to send a hook.
type HookCall struct {
	HookInfo
	Body   []byte
	Status int // 0: nobody listened, the receiver panicked or took too long
	At     time.Time
	// Dropped is true of a hook that a HookFault took away: it was never sent.
	Dropped bool
}

// hook is an event on its way to the receivers. Only its own goroutine changes it.
type hook struct {
	HookInfo
	conversation *Conversation // nil: the website's own event
	body         []byte
	stamp        string        // of the first attempt
	twice        bool          // to be sent again although it was answered
	tried        chan struct{} // closed after the first attempt, or when there is none yet to be
}

// queue holds the hooks of one conversation that wait for their first attempt, in order.
type queue struct {
	waiting []*hook
	newest  *hook // the last that was queued
	swapped *hook // to be sent after the next one
	running bool
}

const (
	swapTime   = 2 * time.Second // that a swapped hook waits for the next one
	retryDelay = time.Second     // before the second attempt
)

// websiteEvents are those that website hooks carry, as far as sources say so.
var websiteEvents = []string{
	"message:send", "message:received", "message:updated", "message:removed",
	"session:set_state", "session:set_email", "session:sync:rating", "session:removed",
}

// push queues a hook with these data, if its event is one of those sent. info has what is known of
// it besides the conversation, which is nil for the website's own hooks. The caller holds the lock.
func (c *Crisp) push(website string, v *Conversation, info HookInfo, at int64, data json.RawMessage) {
	event := info.Event
	switch {
	case !c.attached,
		c.options.Hooks == WebsiteHooks && !slices.Contains(websiteEvents, event),
		c.options.Events != nil && !slices.Contains(c.options.Events, event):
		return
	}
	h := &hook{HookInfo: info, conversation: v}
	h.Conversation, h.Attempt = -1, 1
	if v != nil {
		h.Conversation, h.Nickname = v.number, v.last().meta.Nickname
	}
	h.Ordinal = c.ordinal(h.Conversation, event)
	h.body = encode(map[string]any{
		"website_id": website, "event": event, "data": data, "timestamp": at,
	})
	if v != nil && v.held != nil {
		v.held.hooks = append(v.held.hooks, h)
		return
	}
	c.enqueue(h)
}

// enqueue puts a hook at the end of its queue. The caller holds the lock.
func (c *Crisp) enqueue(h *hook) {
	h.tried = make(chan struct{})
	q := c.queues[h.conversation]
	if q == nil {
		q = &queue{}
		c.queues[h.conversation] = q
	}
	q.waiting, q.newest = append(q.waiting, h), h
	c.begin()
	if !q.running {
		q.running = true
		c.spawn(0, func() { c.send(q) })
	}
}

// send empties a queue: it makes the first attempt of each hook, in order, apart from those that
// have a fault.
func (c *Crisp) send(q *queue) {
	for {
		c.mu.Lock()
		if len(q.waiting) == 0 || c.closed {
			q.running = false
			c.mu.Unlock()
			return
		}
		h := q.waiting[0]
		q.waiting = q.waiting[1:]
		decide := c.hookFaults
		c.mu.Unlock()
		var f HookFault
		if decide != nil {
			f = decide(h.HookInfo)
		}
		c.start(q, h, f)
	}
}

// start makes the first attempt of a hook, or does what its fault says instead.
func (c *Crisp) start(q *queue, h *hook, f HookFault) {
	h.twice = f.Twice
	if f.Rewrite != nil {
		h.body = f.Rewrite(h.body)
	}
	switch {
	case f.Drop:
		c.mu.Lock()
		c.faultCount["hook dropped"]++
		c.hooks = keep(append(c.hooks, HookCall{HookInfo: h.HookInfo, Body: h.body, At: time.Now(), Dropped: true}))
		c.mu.Unlock()
		c.finish(h)
	case f.Delay > 0:
		c.mu.Lock()
		c.faultCount["hook delayed"]++
		c.spawn(f.Delay, func() { c.attempt(h) })
		c.mu.Unlock()
		c.release(h)
	case f.Swap:
		c.swap(q, h)
	default:
		c.attempt(h)
		c.mu.Lock()
		swapped := q.swapped
		q.swapped = nil
		c.mu.Unlock()
		if swapped != nil {
			c.attempt(swapped)
		}
	}
}

// swap puts a hook aside until the next one was sent, or swapTime passed. One that was put aside
// before goes first.
func (c *Crisp) swap(q *queue, h *hook) {
	c.mu.Lock()
	c.faultCount["hook swapped"]++
	before := q.swapped
	q.swapped = h
	c.spawn(swapTime, func() {
		c.mu.Lock()
		mine := q.swapped == h
		if mine {
			q.swapped = nil
		}
		c.mu.Unlock()
		if mine {
			c.attempt(h)
		}
	})
	c.mu.Unlock()
	c.release(h)
	if before != nil {
		c.attempt(before)
	}
}

// attempt sends a hook once, again at once if that is its fault, and later if it was not taken.
func (c *Crisp) attempt(h *hook) {
	status := c.deliver(h)
	c.release(h)
	if h.twice {
		h.twice = false
		c.mu.Lock()
		c.faultCount["hook twice"]++
		c.mu.Unlock()
		h.Attempt++
		status = c.deliver(h)
	}
	if !retried(status) || h.Attempt >= c.options.HookAttempts {
		c.noteLost(h, status)
		c.finish(h)
		return
	}
	delay := retryDelay << (h.Attempt - 1)
	h.Attempt++
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spawn(delay, func() { c.attempt(h) })
}

// noteLost says in the record that a hook was not taken, and is not sent again.
func (c *Crisp) noteLost(h *hook, status int) {
	if status/100 == 2 {
		return
	}
	of, answer := "website", "not answered"
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.conversation != nil {
		of = h.conversation.label()
	}
	if status != 0 {
		answer = fmt.Sprintf("answered HTTP %d", status)
	}
	c.note("%s: hook %s is lost: %s, attempt %d", of, h.Event, answer, h.Attempt)
}

// retried says whether Crisp tries a hook again after this answer.
func retried(status int) bool {
	return status == 0 || status == http.StatusTooManyRequests || status >= 500
}

// release lets go who waits for the first attempt.
func (c *Crisp) release(h *hook) {
	select {
	case <-h.tried:
	default:
		close(h.tried)
	}
}

// finish counts a hook as done with.
func (c *Crisp) finish(h *hook) {
	c.release(h)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end()
}

// deliver makes one attempt and returns the status, 0 for none.
func (c *Crisp) deliver(h *hook) int {
	c.mu.Lock()
	r := c.receiverFor(h)
	request := c.hookRequest(h)
	c.mu.Unlock()
	call := HookCall{HookInfo: h.HookInfo, Body: h.body, At: time.Now()}
	if r != nil {
		ctx, cancel := context.WithTimeout(c.ctx, c.options.HookTimeout)
		call.Status = r.receive(ctx, request)
		cancel()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = keep(append(c.hooks, call))
	if call.Status/100 == 2 {
		c.hookCount[h.Event]++
	}
	c.activity++
	c.wake()
	return call.Status
}

// hookRequest returns the headers and the body that a hook is sent with. The caller holds the
// lock.
func (c *Crisp) hookRequest(h *hook) hookRequest {
	stamp := h.stamp
	if stamp == "" || !c.options.KeepSignature {
		now := c.now()
		if c.options.HeaderSeconds {
			now /= 1000
		}
		stamp = strconv.FormatInt(now, 10)
	}
	h.stamp = stamp
	out := hookRequest{body: h.body, header: http.Header{}, path: c.options.HookPath}
	setHookHeader(out.header, h.Attempt, c.options.HookAttempts, stamp)
	if c.options.Hooks == WebsiteHooks {
		out.header.Set("X-Crisp-Hook-Origin", "website")
		out.query = "key=" + c.hookKey
	} else {
		out.header.Set("X-Crisp-Signature", Sign(c.secret, stamp, h.body))
	}
	return out
}

// awaitHooks waits until the hooks about the conversation of a call were tried: the newest of them,
// as first attempts are in order.
func (c *Crisp) awaitHooks(ctx context.Context, q *request) {
	c.mu.Lock()
	queue := c.queues[c.bySession[q.sessionID]]
	var newest *hook
	if queue != nil && q.sessionID != "" {
		newest = queue.newest
	}
	c.mu.Unlock()
	if newest == nil {
		return
	}
	select {
	case <-newest.tried:
	case <-ctx.Done():
		panic(http.ErrAbortHandler)
	case <-c.ctx.Done():
		panic(http.ErrAbortHandler)
	}
}

// Hooks returns the newest 20,000 attempts to send hooks, in the order of their end. Events that
// are not ticked, or happened before anything was attached, are not among them.
func (c *Crisp) Hooks() []HookCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.hooks)
}

// CountHooks returns how many attempts were answered 2xx, by event; "" for all events.
func (c *Crisp) CountHooks(event string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for name, count := range c.hookCount {
		if event == "" || name == event {
			n += count
		}
	}
	return n
}

// joinQuery adds a query to a URL.
func joinQuery(url, query string) string {
	switch {
	case query == "":
		return url
	case strings.Contains(url, "?"):
		return url + "&" + query
	}
	return url + "?" + query
}
