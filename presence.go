package handover

import (
	"context"
	"time"
)

// presenceFor is how long an answer about the agents' presence is used again.
const presenceFor = 10 * time.Second

// presence remembers the last answer for a short time, and lets one caller at a time ask. A
// channel guards it, since the wait for Crisp must end with a caller's context.
type presence struct {
	slot chan lastPresence
}

type lastPresence struct {
	value Presence
	err   error
	at    time.Time
}

func newPresence() presence {
	p := presence{slot: make(chan lastPresence, 1)}
	p.slot <- lastPresence{}
	return p
}

// Available reports whether somebody is there to answer. The answer may be 10 s old; Unknown comes
// with the error of asking Crisp, or without one when Crisp's answer is not known to us.
// Config.Presence has the last word.
func (h *Handover) Available(ctx context.Context, c Conversation) (Presence, error) {
	if err := h.checkConversation(c); err != nil {
		return Unknown, err
	}
	rec, err := h.load(ctx, h.key(c), c)
	if err != nil {
		return Unknown, err
	}
	there, err := h.site(c).ask(ctx)
	return h.lastWord(ctx, rec, there), err
}

// ask is Available for Start: a fault is Unknown.
func (h *Handover) ask(ctx context.Context, t Turn, r Request) Presence {
	asking, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	there, err := h.site(t.Conversation).ask(asking)
	if err != nil {
		h.cfg.Logger.Warn("handover: the agents' presence is unknown", "error", err)
	}
	if h.cfg.Presence == nil {
		return there
	}
	rec, err := h.load(ctx, h.key(t.Conversation), t.Conversation)
	if err != nil {
		return there
	}
	if !rec.human() {
		rec.Handover = &handover{Request: r}
	}
	return h.lastWord(ctx, rec, there)
}

func (h *Handover) lastWord(ctx context.Context, rec *record, there Presence) Presence {
	if h.cfg.Presence != nil {
		s := h.view(rec)
		said, err := callback(context.WithoutCancel(ctx), h, rec, func(ctx context.Context) (Presence, error) { return h.cfg.Presence(ctx, s, there), nil })
		if err == nil {
			return said
		}
	}
	return there
}

// ask asks at most once in presenceFor, for all callers.
func (s *site) ask(ctx context.Context) (Presence, error) {
	select {
	case <-ctx.Done():
		return Unknown, context.Cause(ctx)
	case last := <-s.presence.slot:
		if last.at.IsZero() || time.Since(last.at) >= presenceFor {
			last.value, last.err = s.crisp.availability(ctx)
			if ctx.Err() == nil {
				last.at = time.Now()
			}
		}
		s.presence.slot <- last
		return last.value, last.err
	}
}
