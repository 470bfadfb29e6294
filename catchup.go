package handover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crisphandover/handover/internal/crisplog"
)

// Catch-up takes at most a tenth of the quota of calls, and reads the list at most once in minCatchUp.
const (
	catchUpShare = 10
	minCatchUp   = time.Second
)

// catchUpEvery is how often the list of conversations is read: hooks that never came are noticed
// after this time.
func (c *Config) catchUpEvery() time.Duration {
	looks := max(c.Limits.DailyCalls/catchUpShare/(1+len(c.Websites)), 1)
	return max(24*time.Hour/time.Duration(looks), minCatchUp)
}

// catchUpSoon asks for catch-up now, or as soon as its share allows: at the start, and after hooks that
// we refused.
func (s *site) catchUpSoon(ctx context.Context) error {
	_, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		at := w.List.Soon(s.cfg.catchUpEvery(), now)
		if !w.Next.IsZero() && !w.Next.After(at) {
			return errKeep
		}
		w.Next = at
		return nil
	})
	return err
}

// catchUp pages through Crisp's list of conversations, the newest change first, down to where it last
// was, and has the Crisp sessions read that changed.
func (h *engine) catchUp(ctx context.Context, s *site) error {
	begins := false
	w, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		begins = !w.Next.IsZero() && !w.Next.After(now) && !w.Claim.heldByOther(h.process, now)
		if !begins {
			if !w.Claim.heldByOther(h.process, now) {
				w.Claim.release() // of a look whose end could not be stored
			}
			return nil // saved all the same: that ends the hiding by the store's claim
		}
		w.Claim.take(h.process, now)
		w.List.Pay(h.cfg.catchUpEvery(), now)
		w.Next = w.List.Paid
		return nil
	})
	if err != nil || !begins {
		return err
	}
	done, fault := h.listed(ctx, s, &w.List)
	_, err = s.update(ctx, func(now *websiteRecord, at time.Time) error {
		if now.Claim.Holder != h.process {
			return errKeep
		}
		list := w.List
		list.Read(done.next, done.whole, at)
		list.Paid = now.List.Paid
		now.Claim.release()
		now.List, now.Next = list, list.Paid
		return nil
	})
	return errors.Join(fault, err)
}

// look is what one look at the list came to.
type look struct {
	next  int  // page
	whole bool // the round came to its end
}

// listed reads the list from where it last was down to the mark, or as many pages as one look may.
func (h *engine) listed(ctx context.Context, s *site, l *crisplog.Listing) (done look, err error) {
	for done.next = max(l.Page, 1); ; {
		rows, err := s.crisp.list(ctx, done.next)
		if err != nil {
			return done, err
		}
		now := h.clock.now()
		known := l.Take(rows, now)
		for i := range rows {
			if err := h.listedOne(ctx, s, rows[i], crisplog.ChangedAt(&rows[i], now)); err != nil {
				return done, err
			}
		}
		done.next++
		if done.whole = known; known || done.next > max(l.Page, 1)+crisplog.ListPages-1 {
			return done, nil
		}
		_, err = s.update(ctx, func(w *websiteRecord, now time.Time) error {
			if w.Claim.Holder != h.process {
				return ErrConflict
			}
			w.Claim.take(h.process, now)
			w.List.Pay(h.cfg.catchUpEvery(), now)
			return nil
		})
		if err != nil {
			return done, err
		}
	}
}

// listedOne puts a hook into the record of a listed conversation, if it is one of ours and has changed
// since it was last listed. at is 0 if it is not known when it has.
func (h *engine) listedOne(ctx context.Context, site *site, c crispConversation, at int64) error {
	if !validSessionID(c.SessionID) || at == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	r, err := h.cfg.Store.Find(ctx, site.id+"/"+c.SessionID)
	if err != nil {
		return fmt.Errorf("handover: find in the store: %w", err)
	}
	h.clock.follow(r.Now)
	if r.Key == "" {
		return nil
	}
	_, err = h.update(ctx, r.Key, Conversation{}, func(rec *record) error {
		s := rec.Sessions.ByID(c.SessionID)
		if !rec.env.stored || s == nil || at <= s.Listed || s.Knows(c, at) {
			return errKeep
		}
		s.Listed = at
		rec.Hooks.put(hook{
			N: rec.next(), Crisp: s.ID, Got: rec.env.now, Listed: true, At: at,
			State: c.State == saysResolved || c.Blocked || s.State.Resolved,
		})
		return nil
	})
	if errors.Is(err, errUnreadable) { // it will not be readable later: the others must not wait
		h.unreadable(ctx, r.Key, err)
		return nil
	}
	return err
}

// unreadable puts a record off that cannot be read, and names it in the log, ever more rarely.
func (h *engine) unreadable(ctx context.Context, key string, err error) {
	if h.failing.Left(key) == 0 {
		h.putOff(ctx, key, &h.failing, err)
	}
}
