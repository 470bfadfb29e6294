package handover

import (
	"context"
	"sync"
	"time"
)

// typingEvery is how often the agents are told at the most that a user is typing: Crisp shows it for
// some seconds.
const typingEvery = 4 * time.Second

// Typing shows the agents that the user is typing, or no longer. Without an agent in the
// conversation it does nothing. It may be called at each key: in 4 seconds each of the two signs costs
// a call to Crisp at the most, and the newest sign counts.
func (h *Handover) Typing(ctx context.Context, c Conversation, on bool) error {
	if err := h.checkConversation(c); err != nil {
		return err
	}
	key := h.key(c)
	if !h.typing.now(key, on, func(on bool) { h.typedLater(c, on) }) {
		return nil
	}
	return h.tellTyping(ctx, c, on)
}

// tellTyping tells the agents, if there is one in the conversation.
func (h *engine) tellTyping(ctx context.Context, c Conversation, on bool) error {
	rec, err := h.load(ctx, h.key(c), c)
	if err != nil || rec.State != StateActive {
		h.typing.forget(h.key(c))
		return err
	}
	return h.site(c).crisp.typing(ctx, rec.Handover.CrispID, on)
}

// typedLater tells the agents what came too soon after another sign. Nobody waits for it, and a sign
// that is lost does no harm.
func (h *engine) typedLater(c Conversation, on bool) {
	if h.pool.Closed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	_ = h.tellTyping(ctx, c, on)
}

// typing keeps signs of typing apart, for each conversation in which one was told in the last typingEvery. The
// zero value is ready.
type typing struct {
	mu   sync.Mutex
	last map[string]*typed
}

// typed is the last sign of one conversation that was told, and the newest of those that came too soon
// after it.
type typed struct{ told, both, on, waits bool }

// now reports whether a sign is told now: the first, and one other than it. Otherwise, if it differs from
// the last one, or is on still, it is given to later when it may be told.
func (t *typing) now(key string, on bool, later func(on bool)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch l := t.last[key]; {
	case l == nil:
	case on != l.told && !l.both:
		l.told, l.both, l.waits = on, true, false
		return true
	default:
		l.on, l.waits = on, on || l.told
		return false
	}
	t.told(key, on, later)
	return true
}

// forget lets the next sign of a conversation be told at once.
func (t *typing) forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.last, key)
}

// told notes a sign. The caller holds the lock.
func (t *typing) told(key string, on bool, later func(on bool)) {
	if t.last == nil {
		t.last = make(map[string]*typed)
	}
	l := &typed{told: on}
	t.last[key] = l
	time.AfterFunc(typingEvery, func() {
		t.mu.Lock()
		if t.last[key] != l { // forgotten
			t.mu.Unlock()
			return
		}
		delete(t.last, key)
		if l.waits {
			t.told(key, l.on, later)
		}
		t.mu.Unlock()
		if l.waits {
			later(l.on)
		}
	})
}
