package handover

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// retryAfterBusy is what a hook is told that cannot be stored now, in seconds.
const retryAfterBusy = "5"

// ServeHTTP takes Crisp's hooks. A hook is stored before it is answered 200. The other answers:
// 405 wrong method; 413 over 1 MiB; 401 unsigned and without a key; 403 forged; 400 not JSON; 408
// when the body takes longer than 5 s; 503 with Retry-After when the store fails, too much waits or
// is being read, or Shutdown was called. Events that we do
// not know and conversations that are not ours are answered 200. The body says what is wrong, but of
// a 503.
func (h *Handover) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ev, err := h.cfg.Webhook.read(w, r, h.bodies)
	genuine := err == nil
	if genuine {
		err = h.HandleEvent(r.Context(), ev)
	}
	status := hookStatus(err)
	switch status {
	case http.StatusServiceUnavailable:
		if s := h.sites[ev.WebsiteID]; s != nil {
			s.refused.Store(true)
		}
		w.Header().Set("Retry-After", retryAfterBusy)
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	if err == nil || status == http.StatusOK {
		w.WriteHeader(status)
		return
	}
	h.logRefusal(r.Context(), genuine, status, err)
	if status == http.StatusServiceUnavailable {
		w.WriteHeader(status) // the store's own words are not for strangers
		return
	}
	http.Error(w, err.Error(), status)
}

// logRefusal logs that a hook was refused. One without proof may be anybody's, or all of Crisp's when
// the secret is wrong: one in a minute is enough to say so.
func (h *Handover) logRefusal(ctx context.Context, genuine bool, status int, err error) {
	const message = "handover: a hook was refused"
	unproven := status == http.StatusUnauthorized || status == http.StatusForbidden ||
		errors.Is(err, ErrTooSlow) || errors.Is(err, ErrBusy)
	switch now, last := time.Now().Unix(), h.refusal.Load(); {
	case genuine:
		h.cfg.Logger.WarnContext(ctx, message, "status", status)
	case unproven && now-last >= 60 && h.refusal.CompareAndSwap(last, now):
		h.cfg.Logger.WarnContext(ctx, message, "status", status, "error", err)
	default:
		h.cfg.Logger.DebugContext(ctx, message, "status", status)
	}
}

// ErrBusy is returned by HandleEvent when too much waits: let Crisp, or your queue, repeat it.
var ErrBusy = errors.New("handover: too many conversations wait: repeat the event later")

// HandleEvent takes an event that was verified, for hosts that receive hooks on their own. It
// returns when the event is stored.
func (h *Handover) HandleEvent(ctx context.Context, ev Event) error {
	switch {
	case h.pool.closed():
		return ErrShutdown
	case h.sites[ev.WebsiteID] == nil || !validSessionID(ev.SessionID):
		return nil // not ours
	case ev.Raw != nil && !ev.Ambiguous && !h.heeds(&ev):
		return nil
	case h.pool.full():
		return ErrBusy
	}
	asking, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	r, err := h.cfg.Store.Find(asking, ev.WebsiteID+"/"+ev.SessionID)
	if err != nil {
		return fmt.Errorf("handover: find in the store: %w", err)
	}
	if r.Key == "" {
		return nil // a conversation that began in Crisp
	}
	d, err := h.updateFrom(ctx, known{record: r}, r.Key, Conversation{}, func(d *data) error {
		if !d.env.stored || !d.enqueue(ev) {
			return errKeep
		}
		return nil
	})
	if err == nil {
		h.typed(ctx, d, ev)
	}
	return err
}

// hook is an event that was stored before its 200.
type hook struct {
	N      int64          `json:"n"`
	Raw    jsontext.Value `json:"raw,omitempty"` // the whole event; absent: have a look
	Crisp  string         `json:"crisp"`
	Got    time.Time      `json:"got"`
	Brief  bool           `json:"brief,omitzero"` // without Raw: only the messages, not the state
	Tries  int            `json:"tries,omitzero"`
	Missed time.Time      `json:"missed,omitzero"` // by the first good read that did not show it
	Next   time.Time      `json:"next,omitzero"`
	At     int64          `json:"at,omitzero"` // without Raw: Crisp's time of the change, in ms, if known

	read *Event // Raw, once it was decoded
}

// event decodes the stored hook; false when it only says that there is something to look at.
func (k *hook) event() (*Event, bool) {
	if k.read == nil && len(k.Raw) > 0 {
		if ev, err := ParseEvent(k.Raw); err == nil {
			k.read = &ev
		}
	}
	return k.read, k.read != nil
}

// retry sets the next look: after 1, 2, 4 s, and when the time of holding back is up; for what the list
// of conversations told of only then.
func (k *hook) retry(now time.Time) {
	k.Tries++
	k.Next = now.Add(delay(k.Tries))
	if end := k.Missed.Add(holdFor); end.After(now) && (k.At != 0 || k.Next.After(end)) {
		k.Next = end
	}
}

// ripe reports whether the hook has waited long enough for the log: a read did not show what it says,
// and another one does not holdFor later, or the log cannot be read at all, or is known to be gone. In
// an adopted session it may also have to wait for our opening message.
func (k *hook) ripe(s *crispSession, n *news, now time.Time) bool {
	if n.err != nil {
		return s.Gone || s.Fails >= blindAfter
	}
	if k.Missed.IsZero() {
		k.Missed = now
	}
	wait := holdFor
	if s.early() {
		wait = earlyFor
	}
	return !now.Before(k.Missed.Add(wait))
}

// maxHookRaw is the largest event that is kept whole; of a larger one it is kept that there is
// something to look at.
const maxHookRaw = 64 << 10

// maxInbox is how many events are kept until new messages are only looked up.
const maxInbox = 64

// enqueue puts an event into the inbox, and reports whether it concerns us. An echo of our own
// message costs no look.
func (d *data) enqueue(ev Event) bool {
	s := d.session(ev.SessionID)
	if s == nil {
		return false
	}
	if ev.Ambiguous {
		d.observe(Activity{Kind: ActivityHook, CrispID: s.ID, Why: "ambiguous"})
		ev = Event{SessionID: ev.SessionID}
	}
	s.Gone = s.Gone || ev.Name == eventSessionRemoved
	k := hook{N: d.next(), Raw: ev.Raw, Crisp: s.ID, Got: d.env.now}
	if ev.Raw != nil {
		k.read = &ev
	}
	switch {
	case ev.Rating != nil:
		d.observe(Activity{Kind: ActivityRated, CrispID: s.ID, Stars: int(ev.Rating.Stars)})
		return true
	case ev.Message != nil && d.echo(s, ev.Message):
		return true
	case ev.State != "" && ev.State != "resolved":
		s.Resolved, s.Closed = time.Time{}, false // open again; never a reason to mute
		return true
	case ev.Raw != nil && !concerns(&ev):
		return false
	case d.State == StateOpening && d.Stay.CrispID == s.ID && ev.At.UnixMilli() > s.Mark && ev.Blocked != nil && *ev.Blocked:
		d.fire(onBlocked, happening{at: ev.At.UnixMilli()}) // other hooks wait until it is open
		return true
	}
	message := strings.HasPrefix(ev.Name, "message:") && ev.Removed == 0 && ev.Update == nil
	if ev.Raw == nil || len(ev.Raw) > maxHookRaw || len(d.Inbox) >= maxInbox && message {
		k.Raw, k.read = nil, nil
		for i := range d.Inbox {
			if x := &d.Inbox[i]; x.Crisp == s.ID && len(x.Raw) == 0 {
				x.N, x.Next, x.Brief = k.N, time.Time{}, false
				return true // one look finds all
			}
		}
	}
	d.Inbox = append(d.Inbox, k)
	return true
}

// heeds reports whether anything could come of an event: most only tell that something was read.
func (h *Handover) heeds(ev *Event) bool {
	return concerns(ev) || ev.Rating != nil || ev.Compose != nil && h.cfg.Typing != nil
}

// concerns reports whether an event can change something.
func concerns(ev *Event) bool {
	switch ev.Name {
	case eventMessageSend, eventMessageReceived, eventMessageUpdated, eventMessageRemoved,
		eventSessionSetState, eventSessionSetRouting, eventSessionSetBlock, eventSessionRemoved:
		return true
	}
	return false
}

// echo takes the hook of a message that we posted ourselves: it is proof that Crisp has it.
func (d *data) echo(s *crispSession, m *EventMessage) bool {
	e := s.entry(m.Fingerprint)
	if e == nil || e.Fate != fateOurs {
		return false
	}
	e.At = m.Timestamp
	s.Newest = max(s.Newest, m.Timestamp)
	s.opened(m)
	d.proved(s, m.Fingerprint)
	return true
}
