package handover

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
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
	case h.pool.Closed():
		return ErrShutdown
	case h.sites[ev.WebsiteID] == nil || !validSessionID(ev.SessionID):
		return nil // not ours
	case ev.Raw != nil && !ev.Ambiguous && !h.heeds(&ev):
		return nil
	case h.pool.Full():
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
	rec, err := h.updateFrom(ctx, known{record: r}, r.Key, Conversation{}, func(rec *record) error {
		if !rec.env.stored || !rec.receive(&ev) {
			return errKeep
		}
		return nil
	})
	if err == nil {
		h.typed(ctx, rec, ev)
	}
	return err
}

// heeds reports whether anything could come of an event: most only tell that something was read.
func (h *Handover) heeds(ev *Event) bool {
	return concerns(ev) || ev.Rating != nil || ev.Compose != nil && h.cfg.Typing != nil
}
