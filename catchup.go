package handover

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Catch-up takes at most a tenth of the quota of calls, and looks this often at the most.
const (
	catchUpShare  = 10
	minCatchUp    = time.Second
	maxListPages  = 100
	listPageSize  = 50
	soonAfterFail = 5 * time.Second
)

// catchUpEvery is how often the list of conversations is read: hooks that never came are noticed
// after this time.
func (c *Config) catchUpEvery() time.Duration {
	looks := max(c.Limits.DailyCalls/catchUpShare/(1+len(c.Websites)), 1)
	return max(24*time.Hour/time.Duration(looks), minCatchUp)
}

// catchUpSoon asks for catch-up now: at the start, and after hooks that we refused.
func (s *site) catchUpSoon(ctx context.Context) error {
	_, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		if !w.Next.IsZero() && !w.Next.After(now) {
			return errKeep
		}
		w.Next = now
		return nil
	})
	return err
}

// catchUp pages through Crisp's list of conversations, newest change first, down to where it last
// was, and has those looked at that changed.
func (h *Handover) catchUp(ctx context.Context, s *site) error {
	w, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		if w.Next.IsZero() || w.Next.After(now) || w.Claim.heldByOther(h.process, now) {
			return nil // saved all the same: that ends the hiding by the store's claim
		}
		w.Claim.take(h.process, now)
		return nil
	})
	if err != nil || w.Claim.Holder != h.process {
		return err
	}
	newest, pages, fault := h.listed(ctx, s, w.Mark)
	_, err = s.update(ctx, func(w *websiteRecord, now time.Time) error {
		if w.Claim.Holder != h.process {
			return errKeep
		}
		w.Claim.release()
		wait := h.cfg.catchUpEvery() * time.Duration(max(pages, 1)) // a failed call costs as much
		if fault != nil {
			wait = max(wait, soonAfterFail)
		} else {
			w.Mark = max(w.Mark, newest)
		}
		w.Next = now.Add(wait)
		return nil
	})
	return errors.Join(fault, err)
}

// listed reads the list down to mark. It returns the newest change.
func (h *Handover) listed(ctx context.Context, s *site, mark int64) (newest int64, pages int, err error) {
	for pages = 1; pages <= maxListPages; pages++ {
		list, err := s.crisp.list(ctx, pages)
		if err != nil {
			return 0, pages, err
		}
		oldest := int64(0)
		for _, c := range list {
			at := c.Changed()
			newest, oldest = max(newest, at), at
			if err := h.listedOne(ctx, s, c, at); err != nil {
				return 0, pages, err
			}
		}
		if len(list) < listPageSize || mark == 0 || oldest < mark-overlap.Milliseconds() {
			break
		}
		_, err = s.update(ctx, func(w *websiteRecord, now time.Time) error {
			if w.Claim.Holder != h.process {
				return ErrConflict
			}
			w.Claim.take(h.process, now)
			return nil
		})
		if err != nil {
			return 0, pages, err
		}
	}
	return newest, pages, nil
}

// listedOne has a conversation looked at if it is one of ours that changed since it last was.
func (h *Handover) listedOne(ctx context.Context, site *site, c crispConversation, at int64) error {
	if !validSessionID(c.SessionID) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	r, err := h.cfg.Store.Find(ctx, site.id+"/"+c.SessionID)
	if err != nil {
		return fmt.Errorf("handover: find in the store: %w", err)
	}
	if r.Key == "" {
		return nil
	}
	_, err = h.update(ctx, r.Key, Conversation{}, func(rec *record) error {
		s := rec.Sessions.byID(c.SessionID)
		if !rec.env.stored || s == nil || at <= s.Listed {
			return errKeep
		}
		s.Listed = at
		rec.Hooks.put(hook{
			N: rec.next(), Crisp: s.ID, Got: rec.env.now, Listed: true, At: at,
			State: c.State == saysResolved || c.Blocked || s.State.Resolved,
		})
		return nil
	})
	if errors.Is(err, errUnreadable) { // and stays so: the others must not wait for it
		h.cfg.Logger.Warn("handover: a conversation cannot be caught up with", "error", err)
		return nil
	}
	return err
}
