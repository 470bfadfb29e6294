package website

import (
	"context"
	"errors"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crisplog"
)

// Catch-up takes at most a tenth of the quota of calls, and reads the list at most once in minEvery.
const (
	catchUpShare = 10
	minEvery     = time.Second
)

// Every is how often the list of conversations is read, where a token may make so many calls a day for so many
// websites: hooks that never came are noticed after this time.
func Every(dailyCalls, websites int) time.Duration {
	reads := max(dailyCalls/catchUpShare/websites, 1)
	return max(24*time.Hour/time.Duration(reads), minEvery)
}

// HooksMissed notes that hooks may have come and were not taken, so that there is something to catch up with.
func (s *Site) HooksMissed() { s.missed.Store(true) }

// CatchUpSoon asks for catch-up now, or as soon as its share allows, if hooks were missed.
func (s *Site) CatchUpSoon(ctx context.Context) error {
	if !s.missed.CompareAndSwap(true, false) {
		return nil
	}
	_, err := s.update(ctx, func(w *Record, now time.Time) error {
		at := w.List.Soon(s.cfg.Every, now)
		if !w.Next.IsZero() && !w.Next.After(at) {
			return errKeep
		}
		w.Next = at
		return nil
	})
	if err != nil {
		s.missed.Store(true)
	}
	return err
}

// Listed is called with a conversation of Crisp's list, and when it has changed, by Crisp's clock in ms; 0 if the list
// does not tell.
type Listed func(ctx context.Context, c crispapi.Conversation, at int64) error

// CatchUp pages through Crisp's list of conversations, the newest change first, down to where it last was, if that is
// due and no other process is at it.
func (s *Site) CatchUp(ctx context.Context, each Listed) error {
	begins, process := false, s.cfg.Process
	w, err := s.update(ctx, func(w *Record, now time.Time) error {
		begins = !w.Next.IsZero() && !w.Next.After(now) && !w.Claim.HeldByOther(process, now)
		if !begins {
			if !w.Claim.HeldByOther(process, now) {
				w.Claim.Release() // of a batch whose end could not be stored
			}
			return nil // saved all the same: that ends the hiding by the store's claim
		}
		s.renew(w, now)
		w.Next = w.List.Paid
		return nil
	})
	if err != nil || !begins {
		return err
	}
	done, fault := s.readBatch(ctx, &w.List, each)
	_, err = s.update(ctx, func(now *Record, at time.Time) error {
		if now.Claim.Holder != process {
			return errKeep
		}
		list := w.List
		list.Read(done.next, done.whole, at)
		list.Paid = now.List.Paid
		if done.whole && fault == nil {
			now.CaughtUp = at
		}
		now.Claim.Release()
		now.List, now.Next = list, list.Paid
		return nil
	})
	return errors.Join(fault, err)
}

// renew takes the claim of catch-up, and pays for the next page.
func (s *Site) renew(w *Record, now time.Time) {
	w.Claim.Take(s.cfg.Process, now)
	w.List.Pay(s.cfg.Every, now)
}

// batch is what one batch of pages came to.
type batch struct {
	next  int  // page
	whole bool // the round came to its end
}

// errOvertaken ends a batch whose claim another process has.
var errOvertaken = errors.New("another process goes through the list of conversations")

// readBatch reads the list from where it last was down to the mark, or as many pages as one batch may.
func (s *Site) readBatch(ctx context.Context, l *crisplog.Listing, each Listed) (done batch, err error) {
	for done.next = max(l.Page, 1); ; {
		rows, err := s.API.List(ctx, done.next)
		if err != nil {
			return done, err
		}
		now := s.cfg.Store.Now()
		known := l.Take(rows, now)
		for i := range rows {
			if err := each(ctx, rows[i], crisplog.ChangedAt(&rows[i], now)); err != nil {
				return done, err
			}
		}
		done.next++
		if done.whole = known; known || done.next > max(l.Page, 1)+crisplog.ListPages-1 {
			return done, nil
		}
		_, err = s.update(ctx, func(w *Record, now time.Time) error {
			if w.Claim.Holder != s.cfg.Process {
				return errOvertaken
			}
			s.renew(w, now)
			return nil
		})
		if err != nil {
			return done, err
		}
	}
}
