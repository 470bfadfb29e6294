package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// The events that a handover needs.
const (
	eventSend     = "message:send"
	eventReceived = "message:received"
	eventUpdated  = "message:updated"
	eventState    = "session:set_state"
	eventRemoved  = "session:removed"
)

const (
	maxHook  = 1 << 20
	maxHooks = 1000 // that are remembered
)

// hooks takes Crisp's web hooks while a check runs. Those about its own conversation are remembered. Those about
// others are answered 503, so that Crisp repeats them for the bot. The first one of the event that Crisp repeats is
// answered so too, which shows how Crisp repeats.
type hooks struct {
	webhook handover.Webhook

	mu      sync.Mutex
	session string
	came    []hook
	refused map[string]int // hooks that do not verify, by why
	ours    bool           // one of them was about the check's own conversation
	others  int            // that verify, and are about other conversations
	changed chan struct{}  // closed at the next hook
}

// hook is one web hook about the check's own conversation.
type hook struct {
	event       string
	fingerprint int64
	state       string
	at          time.Time
	emitted     time.Time
	signed      bool
	stamp, sign string // headers
	attempt     int
	limit       int // how often Crisp tries; 0: it does not say
	path        string
}

func newHooks(w handover.Webhook) *hooks {
	return &hooks{webhook: w, refused: map[string]int{}, changed: make(chan struct{})}
}

// expect says which conversation the hooks will be about.
func (h *hooks) expect(session string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.session = session
}

// ServeHTTP verifies a hook as Handover.ServeHTTP does.
func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	ev, err := handover.ReadEvent(w, r, h.webhook)
	if err != nil {
		h.refuse(w, body, err)
		return
	}
	w.WriteHeader(h.take(hookOf(r, &ev)))
}

// refuse answers a hook that does not verify.
func (h *hooks) refuse(w http.ResponseWriter, body []byte, err error) {
	status := http.StatusServiceUnavailable
	if e, ok := errors.AsType[*handover.HookError](err); ok {
		status = e.Status()
	}
	why, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "handover: "), ": it is about")
	claimed, unread := handover.ParseEvent(body)
	h.mu.Lock()
	h.refused[why]++
	// Nobody but Crisp knows the id of the conversation.
	h.ours = h.ours || unread == nil && h.session != "" && claimed.SessionID == h.session
	h.tell()
	h.mu.Unlock()
	http.Error(w, err.Error(), status)
}

// take remembers a hook, and returns what to answer it.
func (h *hooks) take(n hook, session string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.session == "" || session != h.session {
		h.others++
		return http.StatusServiceUnavailable
	}
	first := n.event == eventReceived && n.attempt <= 1 && !slices.ContainsFunc(h.came, func(o hook) bool { return o.event == eventReceived })
	if len(h.came) < maxHooks {
		h.came = append(h.came, n)
	}
	h.tell()
	if first {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// tell wakes who waits. The caller holds the lock.
func (h *hooks) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// hookOf is what is remembered of a hook.
func hookOf(r *http.Request, ev *handover.Event) (hook, string) {
	n := hook{
		event: ev.Name, state: ev.State, at: time.Now(), emitted: ev.At, signed: ev.Signed, path: r.URL.Path,
		stamp: r.Header.Get("X-Crisp-Request-Timestamp"), sign: r.Header.Get("X-Crisp-Signature"),
	}
	n.attempt, _ = strconv.Atoi(r.Header.Get("X-Delivery-Attempt-Count"))
	n.limit, _ = strconv.Atoi(r.Header.Get("X-Delivery-Attempt-Limit"))
	switch {
	case ev.Message != nil:
		n.fingerprint = ev.Message.Fingerprint
	case ev.Update != nil:
		n.fingerprint = ev.Update.Fingerprint
	}
	return n, ev.SessionID
}

// await waits until hooks that fit have come, and reports whether they have; for as long as wait at most.
func (h *hooks) await(ctx context.Context, wait time.Duration, fits func(came []hook) bool) bool {
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		h.mu.Lock()
		done, changed := fits(h.came), h.changed
		h.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-end.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// all are the hooks that came so far.
func (h *hooks) all() []hook {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.came)
}

// why are the reasons for which hooks were refused, and whether one was about the check's own conversation.
func (h *hooks) why() (reasons []string, ours bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.refused)), h.ours
}

// elsewhere is how many hooks came about other conversations.
func (h *hooks) elsewhere() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.others
}

// has reports whether a hook of an event came.
func has(came []hook, event string) bool {
	return slices.ContainsFunc(came, func(n hook) bool { return n.event == event })
}

// repeated returns the first hook that came again, with its repetition.
func repeated(came []hook) (first, again hook, found bool) {
	for i, n := range came {
		j := slices.IndexFunc(came[:i], func(o hook) bool {
			return o.event == eventReceived && o.event == n.event && o.fingerprint == n.fingerprint
		})
		if j >= 0 {
			return came[j], n, true
		}
	}
	return hook{}, hook{}, false
}

// unit is the unit of a hook's time, or "": the one by which the hook is from now.
func (n hook) unit() string {
	stamp, err := strconv.ParseInt(n.stamp, 10, 64)
	switch {
	case err != nil:
		return ""
	case n.at.Sub(time.Unix(stamp, 0)).Abs() < n.at.Sub(time.UnixMilli(stamp)).Abs():
		return "seconds"
	}
	return "milliseconds"
}

// printable is what may be printed of a path or of an event's name.
var printable = regexp.MustCompile(`^[A-Za-z0-9_:./-]{1,64}$`)
