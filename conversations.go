package handover

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/keys"
	"github.com/crisphandover/handover/internal/worker"
)

// ConversationFilter says which conversations Conversations lists. The zero value lists all in which something goes on:
// a handover, a mute, an offer, a follow-up, or something that waits.
type ConversationFilter struct {
	// Idle lists the others as well, which only have their bot. There may be very many.
	Idle bool
	// States, WebsiteID and Source list only conversations that are in one of these states, on this website, and on
	// this channel. Empty: any.
	States    []State
	WebsiteID string
	Source    string
	// OlderThan and YoungerThan list only conversations that have been in their state for as long at the least, or for
	// less. 0: any.
	OlderThan, YoungerThan time.Duration
	// Troubled lists only those that somebody should look at (ConversationStatus.Troubled).
	Troubled bool
	// After is ConversationStatus.Cursor of the last conversation of the page before; empty: the beginning.
	After string
}

// listPage is how many records are read at a time.
const listPage = 100

// Conversations lists conversations and how each goes, in the order of website, source and id. To end it, break; to go
// on later, set ConversationFilter.After. What is saved meanwhile may be told as it was before or after. A record that
// cannot be read is listed, as broken.
//
//	for s, err := range h.Conversations(ctx, handover.ConversationFilter{Troubled: true}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(s.Conversation.Source, s.Conversation.ID, s.Condition, s.Fault)
//	}
//
// An error ends the list. The Cursor beside it is where to go on: all before it was listed. The error wraps
// errors.ErrUnsupported if the Store is no Lister, and ErrBadMessage if the filter can be none. Each access to the store, for 100
// records, has 20 s. Source, States, ages and Troubled are judged after records are read.
func (h *Handover) Conversations(ctx context.Context, f ConversationFilter) iter.Seq2[ConversationStatus, error] {
	return func(yield func(ConversationStatus, error) bool) {
		if err := h.made(); err != nil {
			yield(ConversationStatus{}, err)
			return
		}
		if !storable(f.After) || !storable(f.WebsiteID) {
			yield(ConversationStatus{}, fmt.Errorf("%w: ConversationFilter.After and WebsiteID must be UTF-8 without NUL", ErrBadMessage))
			return
		}
		for q := f.query(); ; {
			records, err := h.store.list(ctx, q)
			if err != nil {
				yield(ConversationStatus{Cursor: q.After}, err)
				return
			}
			for _, r := range records {
				if q.After = r.Key; notConversation(r.Key) != "" {
					continue
				}
				if s := h.statusOf(ctx, r); f.matches(&s, h.store.now()) && !yield(s, nil) {
					return
				}
			}
			if len(records) < q.Limit {
				return
			}
			if prefix := notConversation(q.After); prefix != "" {
				q.After = keys.AfterPrefix(prefix)
			}
		}
	}
}

// query is what the filter asks of the store.
func (f *ConversationFilter) query() ListQuery {
	q := ListQuery{After: f.After, Live: !f.Idle, Limit: listPage}
	if f.WebsiteID != "" {
		if q.Prefix = f.WebsiteID + "/"; f.Source != "" {
			q.Prefix += url.PathEscape(f.Source) + "/"
		}
	}
	return q
}

// notConversation returns what the key of a record begins with that is of no conversation, or "".
func notConversation(key string) string {
	for _, prefix := range []string{oldLogPrefix, websitePrefix} {
		if strings.HasPrefix(key, prefix) {
			return prefix
		}
	}
	return ""
}

// matches reports whether the filter lets a conversation pass. Of one whose record cannot be read the state is not
// known: it passes.
func (f *ConversationFilter) matches(s *ConversationStatus, now time.Time) bool {
	if f.WebsiteID != "" && s.WebsiteID != f.WebsiteID || f.Source != "" && s.Conversation.Source != f.Source || f.Troubled && !s.Troubled() {
		return false
	}
	if s.State == "" {
		return true
	}
	age := now.Sub(s.Since)
	return (len(f.States) == 0 || slices.Contains(f.States, s.State)) &&
		(f.OlderThan <= 0 || age >= f.OlderThan) && (f.YoungerThan <= 0 || age < f.YoungerThan) &&
		(f.Idle || s.live || s.Troubled())
}

// Status tells how one conversation goes. One that is not known yet has its bot, and no Cursor. It reads the store, for
// 20 s at the most, once for each of Config.Websites.
func (h *Handover) Status(ctx context.Context, c Conversation) (ConversationStatus, error) {
	if err := h.checkConversation(c); err != nil {
		return ConversationStatus{}, err
	}
	k, err := h.locate(ctx, c)
	if err != nil {
		return ConversationStatus{}, err
	}
	if k.record.Version == 0 {
		if k.record, err = h.store.load(ctx, k.key); err != nil {
			return ConversationStatus{}, err
		}
	}
	if k.record.Version == 0 {
		return ConversationStatus{Conversation: c, WebsiteID: h.cfg.website(c), State: StateBot, Condition: ConditionWell}, nil
	}
	return h.statusOf(ctx, k.record), nil
}

// statusOf tells how the conversation of a stored record goes.
func (h *engine) statusOf(ctx context.Context, r Record) ConversationStatus {
	var s ConversationStatus
	err := errPanicked
	worker.Guard(func(stack string) {
		h.cfg.Logger.Error("handover: a record cannot be told of", "key", r.Key, "stack", stack)
	}, func() {
		var rec *record
		if rec, err = h.open(ctx, known{key: r.Key, record: r, reading: true}); err == nil {
			s = rec.status(r.Due)
		}
	})
	switch {
	case errors.Is(err, errLaterVersion):
		s = brokenStatus(r.Key, "later_version")
	case errors.Is(err, errPanicked):
		s = brokenStatus(r.Key, "panicked")
	case err != nil:
		s = brokenStatus(r.Key, "unreadable")
	case h.failing.Left(r.Key) > 0:
		s.worse(ConditionBroken, "put_off")
	}
	s.Cursor = r.Key
	return s
}

// Retry makes what waits in a conversation due now, once: deliveries, messages to Crisp, a message that the bot has
// failed to answer, reads of Crisp. What fails again waits as it would have. It passes over nothing that protects
// others: no call to Crisp is made while calls are held back, conversations are made in their pace, and what a channel
// asked for with RetryAfter is kept. A message for a user who is away is tried once more. Where nothing waits it does nothing.
// It returns when that is stored; accesses to the store have 20 s each.
func (h *Handover) Retry(ctx context.Context, c Conversation) error {
	if err := h.checkConversation(c); err != nil {
		return err
	}
	k, err := h.locate(ctx, c)
	if err != nil {
		return err
	}
	putOff := h.failing.Left(k.key) > 0
	h.failing.Succeeded(k.key)
	_, err = h.update(ctx, k, func(rec *record) error {
		return keepUnless(rec.env.stored && (rec.retryNow() || putOff))
	})
	return err
}
