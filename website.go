package handover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// websiteData is what a whole website shares, over all replicas: the Data of its own record, which
// is attended like a conversation's.
type websiteRecord struct {
	V       int            `json:"v"`
	Claim   claim          `json:"claim,omitzero"`    // of the process that catches up
	Creates []time.Time    `json:"creates,omitempty"` // of conversations, within the last minute
	Next    time.Time      `json:"next,omitzero"`     // of catch-up
	Mark    int64          `json:"mark,omitzero"`     // Crisp's time up to which changes are known, in ms
	Day     string         `json:"day,omitempty"`     // that Calls is about, in UTC
	Calls   int64          `json:"calls,omitzero"`
	NoNotes time.Time      `json:"no_notes,omitzero"` // the plan has no notes, as far as is known until then
	Unknown jsontext.Value `json:",embed,unknown"`
}

// websitePrefix begins the keys of websites' records; those of conversations begin with a
// website's id.
const websitePrefix = "website/"

// site is one website that the token speaks for.
type site struct {
	id        string
	cfg       *Config
	clock     *clock
	crisp     *crispClient
	presence  presence
	refused   atomic.Bool  // hooks were: there is something to catch up with
	accounted atomic.Int64 // the minute in which calls were last added to the website's
}

func newSites(cfg *Config, clock *clock, tell func(Activity)) map[string]*site {
	all := make(map[string]*site)
	for _, id := range append([]string{cfg.WebsiteID}, cfg.Websites...) {
		s := &site{id: id, cfg: cfg, clock: clock, crisp: newCrispClient(cfg, id, tell), presence: newPresence()}
		s.accounted.Store(time.Now().Unix() / 60)
		all[id] = s
	}
	return all
}

// website returns the id of the website that a conversation is handed to.
func (h *Handover) website(c Conversation) string { return cmp.Or(c.WebsiteID, h.cfg.WebsiteID) }

// site returns the website that a conversation is handed to.
func (h *Handover) site(c Conversation) *site { return h.sites[h.website(c)] }

// siteOf returns the website of a record: it stays where it began.
func (h *Handover) siteOf(rec *record) *site { return h.sites[rec.Website] }

// pace takes a place among the conversations made in a minute, or says how long to wait for one. Places
// of a clock that ran ahead do not count.
func (s *site) pace(ctx context.Context) (wait time.Duration, err error) {
	limit := s.cfg.Limits.CreatesPerMinute
	if limit < 0 {
		return 0, nil
	}
	_, err = s.update(ctx, func(w *websiteRecord, now time.Time) error {
		w.Creates = slices.DeleteFunc(w.Creates, func(t time.Time) bool { return now.Sub(t).Abs() >= time.Minute })
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
	Calls int64  // of all replicas; what each did last may be missing
}

// Spent returns what this day has cost so far, in calls to Crisp for all websites.
func (h *Handover) Spent(ctx context.Context) (Spent, error) {
	sum := Spent{Day: today(time.Now())}
	for _, s := range h.sites {
		if err := s.spend(ctx); err != nil {
			return Spent{}, err
		}
		w, err := s.update(ctx, func(*websiteRecord, time.Time) error { return errKeep })
		if err != nil {
			return Spent{}, err
		}
		if w.Day == sum.Day {
			sum.Calls += w.Calls
		}
	}
	return sum, nil
}

func today(now time.Time) string { return now.UTC().Format(time.DateOnly) }

// account adds up once in a minute: in Run, and after each job, since not every replica has Run.
func (s *site) account(ctx context.Context) error {
	minute := time.Now().Unix() / 60
	if s.accounted.Swap(minute) == minute {
		return nil
	}
	return s.spend(ctx)
}

// spend adds this process's calls to the website's.
func (s *site) spend(ctx context.Context) error {
	calls := s.crisp.calls.Swap(0)
	if calls == 0 {
		return nil
	}
	_, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		if day := today(now); w.Day != day {
			w.Day, w.Calls = day, 0
		}
		w.Calls += calls
		return nil
	})
	if err != nil {
		s.crisp.calls.Add(calls)
	}
	return err
}

// update applies change to the website's record, as update does to a conversation's.
func (s *site) update(ctx context.Context, change func(*websiteRecord, time.Time) error) (websiteRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	key := websitePrefix + s.id
	for {
		r, err := s.cfg.Store.Load(ctx, key)
		if err != nil {
			return websiteRecord{}, fmt.Errorf("handover: load from the store: %w", err)
		}
		s.clock.follow(r.Now)
		w := websiteRecord{V: recordVersion}
		if r.Version != 0 {
			if err := json.Unmarshal(r.Data, &w, recordJSON); err != nil {
				return w, fmt.Errorf("handover: the website's record cannot be read: %w", shapeOf(err))
			}
		}
		if err := change(&w, s.clock.now()); errors.Is(err, errKeep) {
			return w, nil
		} else if err != nil {
			return w, err
		}
		body, err := json.Marshal(w, recordJSON)
		if err != nil {
			return w, fmt.Errorf("handover: the website's record cannot be written: %w", shapeOf(err))
		}
		due := w.Next
		if !w.Claim.free() {
			due = w.Claim.Until
		}
		switch _, err = s.cfg.Store.Save(ctx, Record{Key: key, Version: r.Version, Due: due, Data: body}); {
		case err == nil:
			return w, nil
		case !errors.Is(err, ErrConflict):
			return w, fmt.Errorf("handover: save to the store: %w", err)
		}
	}
}

// noNotesFor is how long it is remembered that the plan has no notes: plans change.
const noNotesFor = 24 * time.Hour

func (s *site) noNotes(ctx context.Context) (bool, error) {
	w, err := s.update(ctx, func(*websiteRecord, time.Time) error { return errKeep })
	return s.clock.now().Before(w.NoNotes), err
}

func (s *site) rememberNoNotes(ctx context.Context) error {
	_, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		w.NoNotes = now.Add(noNotesFor)
		return nil
	})
	return err
}
