package handover

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// websiteData is what a whole website shares, over all replicas: the Data of its own record, which
// is attended like a conversation's.
type websiteData struct {
	V       int            `json:"v"`
	Lease   lease          `json:"lease,omitzero"`
	Creates []time.Time    `json:"creates,omitempty"` // of conversations, within the last minute
	Next    time.Time      `json:"next,omitzero"`     // of catch-up
	Mark    int64          `json:"mark,omitempty"`    // Crisp's time up to which changes are known, in ms
	Day     string         `json:"day,omitempty"`     // that Calls is about, in UTC
	Calls   int64          `json:"calls,omitempty"`
	NoNotes time.Time      `json:"no_notes,omitzero"` // the plan has no notes, as far as is known until then
	Unknown jsontext.Value `json:",embed"`
}

// websitePrefix begins the keys of websites' records; those of conversations begin with a
// website's id.
const websitePrefix = "website/"

func (h *Handover) websiteKey() string { return websitePrefix + url.PathEscape(h.cfg.WebsiteID) }

// pace takes a place among the conversations made in a minute, or says how long to wait for one.
func (h *Handover) pace(ctx context.Context) (wait time.Duration, err error) {
	limit := h.cfg.Limits.CreatesPerMinute
	if limit < 0 {
		return 0, nil
	}
	_, err = h.updateWebsite(ctx, func(w *websiteData, now time.Time) error {
		w.Creates = slices.DeleteFunc(w.Creates, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
		if wait = 0; len(w.Creates) >= limit {
			wait = w.Creates[0].Add(time.Minute).Sub(now)
			return errKeep
		}
		w.Creates = append(w.Creates, now)
		return nil
	})
	return wait, err
}

// Spent is how many calls to Crisp were made on a day, against the token's daily quota.
type Spent struct {
	Day   string // in UTC, such as "2026-11-23"
	Calls int64  // of all replicas, at most a minute old
}

// Spent returns what this day has cost so far, in calls to Crisp.
func (h *Handover) Spent(ctx context.Context) (Spent, error) {
	if err := h.spend(ctx); err != nil {
		return Spent{}, err
	}
	w, err := h.updateWebsite(ctx, func(*websiteData, time.Time) error { return errKeep })
	return Spent{Day: w.Day, Calls: w.Calls}, err
}

// spend adds this process's calls to the website's.
func (h *Handover) spend(ctx context.Context) error {
	calls := h.crisp.calls.Swap(0)
	if calls == 0 {
		return nil
	}
	_, err := h.updateWebsite(ctx, func(w *websiteData, now time.Time) error {
		if day := now.UTC().Format(time.DateOnly); w.Day != day {
			w.Day, w.Calls = day, 0
		}
		w.Calls += calls
		return nil
	})
	if err != nil {
		h.crisp.calls.Add(calls)
	}
	return err
}

// updateWebsite applies change to the website's record, as update does to a conversation's.
func (h *Handover) updateWebsite(ctx context.Context, change func(*websiteData, time.Time) error) (websiteData, error) {
	key := h.websiteKey()
	for {
		r, err := h.cfg.Store.Load(ctx, key)
		if err != nil {
			return websiteData{}, fmt.Errorf("handover: load from the store: %w", err)
		}
		w := websiteData{V: recordVersion}
		if r.Version != 0 {
			if err := json.Unmarshal(r.Data, &w, recordJSON); err != nil {
				return w, fmt.Errorf("handover: the website's record cannot be read: %w", shapeOf(err))
			}
		}
		if err := change(&w, time.Now()); errors.Is(err, errKeep) {
			return w, nil
		} else if err != nil {
			return w, err
		}
		body, err := json.Marshal(w, recordJSON)
		if err != nil {
			return w, fmt.Errorf("handover: the website's record cannot be written: %w", shapeOf(err))
		}
		due := w.Next
		if !w.Lease.free() {
			due = w.Lease.Until
		}
		switch _, err = h.cfg.Store.Save(ctx, Record{Key: key, Version: r.Version, Due: due, Data: body}); {
		case err == nil:
			return w, nil
		case !errors.Is(err, ErrConflict):
			return w, fmt.Errorf("handover: save to the store: %w", err)
		}
	}
}

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
	return max(24*time.Hour/time.Duration(max(c.Limits.DailyCalls/catchUpShare, 1)), minCatchUp)
}

// catchUpSoon asks for catch-up now: at the start, and after hooks that we refused.
func (h *Handover) catchUpSoon(ctx context.Context) error {
	_, err := h.updateWebsite(ctx, func(w *websiteData, now time.Time) error {
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
func (h *Handover) catchUp(ctx context.Context) error {
	holder := newID()
	w, err := h.updateWebsite(ctx, func(w *websiteData, now time.Time) error {
		if w.Next.IsZero() || w.Next.After(now) || !w.Lease.free() && !h.watched.stale(websitePrefix, w.Lease.mark(), leaseTTL) {
			return errKeep
		}
		w.Lease.beat(holder, now)
		return nil
	})
	if err != nil || w.Lease.Holder != holder {
		return err
	}
	newest, pages, fault := h.listed(ctx, holder, w.Mark)
	_, err = h.updateWebsite(ctx, func(w *websiteData, now time.Time) error {
		if w.Lease.Holder != holder {
			return errKeep
		}
		w.Lease.release()
		w.Next = now.Add(h.cfg.catchUpEvery() * time.Duration(max(pages, 1)))
		if fault != nil {
			w.Next = now.Add(max(soonAfterFail, min(h.cfg.catchUpEvery(), time.Minute)))
		} else {
			w.Mark = max(w.Mark, newest)
		}
		return nil
	})
	return errors.Join(fault, err)
}

// listed reads the list down to mark. It returns the newest change.
func (h *Handover) listed(ctx context.Context, holder string, mark int64) (newest int64, pages int, err error) {
	for pages = 1; pages <= maxListPages; pages++ {
		list, err := h.crisp.list(ctx, pages)
		if err != nil {
			return 0, pages, err
		}
		oldest := int64(0)
		for _, c := range list {
			at := positive(c.UpdatedAt)
			newest, oldest = max(newest, at), at
			if err := h.listedOne(ctx, c, at); err != nil {
				return 0, pages, err
			}
		}
		if len(list) < listPageSize || mark == 0 || oldest < mark-overlap.Milliseconds() {
			break
		}
		_, err = h.updateWebsite(ctx, func(w *websiteData, now time.Time) error {
			if w.Lease.Holder != holder {
				return ErrConflict
			}
			w.Lease.beat(holder, now)
			return nil
		})
		if err != nil {
			return 0, pages, err
		}
	}
	return newest, pages, nil
}

// listedOne has a conversation looked at if it is one of ours that changed since it last was.
func (h *Handover) listedOne(ctx context.Context, c crispConversation, at int64) error {
	if !validSessionID(c.SessionID) {
		return nil
	}
	r, err := h.cfg.Store.Find(ctx, h.cfg.WebsiteID+"/"+c.SessionID)
	if err != nil {
		return fmt.Errorf("handover: find in the store: %w", err)
	}
	if r.Key == "" {
		return nil
	}
	_, err = h.update(ctx, r.Key, Conversation{}, func(d *data) error {
		s := d.session(c.SessionID)
		if !d.env.stored || s == nil || at <= s.Listed {
			return errKeep
		}
		s.Listed = at
		d.Inbox = append(d.Inbox, hook{N: d.next(), Crisp: s.ID, Got: d.env.now, Brief: c.State != "resolved" && !c.Blocked})
		return nil
	})
	return err
}

// isWebsite reports whether a key is that of a website's record.
func isWebsite(key string) bool { return strings.HasPrefix(key, websitePrefix) }

// noNotesFor is how long it is remembered that the plan has no notes: plans change.
const noNotesFor = 24 * time.Hour

func (h *Handover) noNotes(ctx context.Context) (bool, error) {
	w, err := h.updateWebsite(ctx, func(*websiteData, time.Time) error { return errKeep })
	return time.Now().Before(w.NoNotes), err
}

func (h *Handover) rememberNoNotes(ctx context.Context) error {
	_, err := h.updateWebsite(ctx, func(w *websiteData, now time.Time) error {
		w.NoNotes = now.Add(noNotesFor)
		return nil
	})
	return err
}
