package handover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/crispapi"

	"github.com/crisphandover/handover/internal/times"

	"github.com/crisphandover/handover/internal/crisplog"
)

// websiteRecord is what a whole website shares, over all replicas: the Data of its own record, which
// is attended like a conversation's.
type websiteRecord struct {
	V       int              `json:"v"`
	Claim   claim            `json:"claim,omitzero"`    // of the process that catches up
	Creates []time.Time      `json:"creates,omitempty"` // of conversations: the newest of a minute, some to come
	Next    time.Time        `json:"next,omitzero"`     // of catch-up
	List    crisplog.Listing `json:"list,omitzero"`     // how far catch-up has come
	Day     string           `json:"day,omitempty"`     // that Calls is about, in UTC
	Calls   int64            `json:"calls,omitzero"`
	NoNotes time.Time        `json:"no_notes,omitzero"` // the plan has no notes, as far as is known until then
	Crisp   crispapi.State   `json:"crisp,omitzero"`    // for how long nothing of the website is called
	Unknown jsontext.Value   `json:",embed,unknown"`
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
	advised   sync.Map     // when the host was told what a person must mend, by call
	refused   atomic.Bool  // hooks were: there is something to catch up with
	accounted atomic.Int64 // the minute in which calls were last added to the website's
	news      atomic.Bool  // what this process knows of Crisp is not in the website's record yet
}

func newSites(cfg *Config, clock *clock, tell func(Activity)) map[string]*site {
	all := make(map[string]*site)
	for _, id := range append([]string{cfg.WebsiteID}, cfg.Websites...) {
		s := &site{id: id, cfg: cfg, clock: clock, presence: newPresence()}
		s.crisp = newCrispClient(cfg, id, tell, func(crispapi.State) { s.news.Store(true) })
		s.accounted.Store(time.Now().Unix() / 60)
		all[id] = s
	}
	return all
}

// website returns the id of the website that a conversation is handed to.
func (h *engine) website(c Conversation) string { return cmp.Or(c.WebsiteID, h.cfg.WebsiteID) }

// site returns the website that a conversation is handed to.
func (h *engine) site(c Conversation) *site { return h.sites[h.website(c)] }

// siteOf returns the website of a record, which is the one that the conversation began with.
func (h *engine) siteOf(rec *record) *site { return h.sites[rec.Website] }

// maxPlaces is how far ahead places among the conversations made in a minute are given: those of a
// clock that ran ahead do not count for longer.
const maxPlaces = 10 * time.Minute

// pace gives a place among the conversations made in a minute, in the order of asking: it may be made at
// that time. When all places are taken for maxPlaces there is none: ask again at that time.
func (s *site) pace(ctx context.Context) (at time.Time, placed bool, err error) {
	limit := s.cfg.Limits.CreatesPerMinute
	if limit < 0 {
		return time.Time{}, true, nil
	}
	_, err = s.update(ctx, func(w *websiteRecord, now time.Time) error {
		w.Creates = slices.DeleteFunc(w.Creates, func(t time.Time) bool { return now.Sub(t) >= time.Minute || t.Sub(now) > maxPlaces })
		at, placed = now, true
		if n := len(w.Creates); n >= limit {
			at = times.Later(now, w.Creates[n-limit].Add(time.Minute))
		}
		if at.Sub(now) > maxPlaces {
			at, placed = now.Add(time.Minute), false
			return errKeep
		}
		w.Creates = append(w.Creates[max(0, len(w.Creates)+1-limit):], at)
		return nil
	})
	return at, placed, err
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

// account adds up once in a minute, and at once when calls to Crisp stop or go on: in Run, and after each
// job, since not every replica has Run.
func (s *site) account(ctx context.Context) error {
	minute := time.Now().Unix() / 60
	if s.accounted.Swap(minute) == minute && !s.news.Load() {
		return nil
	}
	return s.spend(ctx)
}

// spend adds this process's calls to the website's, and tells what it knows of Crisp.
func (s *site) spend(ctx context.Context) error {
	calls, news := s.crisp.calls.Swap(0), s.news.Load()
	if calls == 0 && !news {
		return nil
	}
	_, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		if day := today(now); w.Day != day {
			w.Day, w.Calls = day, 0
		}
		w.Calls += calls
		if news {
			s.news.Store(false)
			w.Crisp = s.crisp.api.State()
		}
		return nil
	})
	if err != nil {
		s.crisp.calls.Add(calls)
		s.news.Store(s.news.Load() || news)
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
		if !s.news.Load() { // else this process knows better
			s.crisp.api.Merge(w.Crisp)
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
	rec, err := h.loadOf(ctx, c)
	if err != nil {
		return Unknown, err
	}
	there, err := h.siteOf(rec).ask(ctx)
	return h.lastWord(ctx, rec, there), err
}

// ask is Available for Start: a fault is Unknown.
func (h *engine) ask(ctx context.Context, key string, t Turn, r Request) Presence {
	asking, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	website, _, _ := strings.Cut(key, "/")
	there, err := h.sites[website].ask(asking)
	if err != nil {
		h.cfg.Logger.Warn("handover: the agents' presence is unknown", "error", err)
	}
	if h.cfg.Presence == nil {
		return there
	}
	rec, err := h.load(ctx, key, t.Conversation)
	if err != nil {
		return there
	}
	if !rec.human() {
		rec.Handover = &handover{Request: r}
	}
	return h.lastWord(ctx, rec, there)
}

func (h *engine) lastWord(ctx context.Context, rec *record, there Presence) Presence {
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
