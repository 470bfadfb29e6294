// Package website is one website in Crisp, as all processes of a bot share it: the pace at which conversations are
// made, the count of calls, for how long Crisp wants none, whether the plan has notes, when the last web hook came, and
// catch-up, which goes through Crisp's list of conversations to find what no hook told. What is shared stands in a
// Record, in a Store whose clock all go by.
package website

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/pace"
	"github.com/crisphandover/handover/internal/times"
)

// Store keeps the record of one website.
type Store interface {
	// Change loads the record, has f make another of it, and saves that with the time at which it wants attention: again,
	// until no other process was faster. What was never stored is empty. Nothing is saved after an error of f, which is
	// returned as it is.
	Change(ctx context.Context, f func(data []byte) (changed []byte, due time.Time, err error)) error
	// Now is the time by the store's clock.
	Now() time.Time
}

// Config is what a Site needs.
type Config struct {
	API       crispapi.Config // without OnState
	Store     Store
	Process   string        // names this process among those that share the website
	PerMinute int           // how many conversations are made; -1: as many as are wanted
	Every     time.Duration // how often the list is read, such as Every says
	Broken    func(error)   // hears of a record that cannot be read, and begins anew: all of it is learnt again
}

// Site is one website.
type Site struct {
	ID    string
	API   *crispapi.Client
	Every time.Duration // Config.Every

	cfg       Config
	presence  pace.Memo[string] // Crisp's word for it
	advised   sync.Map          // when Advise last said yes, by operation
	missed    atomic.Bool       // hooks were not taken: there is something to catch up with
	accounted atomic.Int64      // the minute in which calls were last added to the website's
	hook      atomic.Int64      // when one last came to this process, in Unix seconds by the store's clock
	hookTold  atomic.Int64      // which of these is in the record
	unsaved   atomic.Bool       // what this process knows of Crisp is not in the record yet
	known     atomic.Pointer[known]
}

// known is a record as it was last read, and when that was.
type known struct {
	record Record
	at     time.Time
}

// presenceFor is how long an answer about the agents' presence is used again.
const presenceFor = 10 * time.Second

// New returns a website. It asks nobody.
func New(c Config) *Site {
	s := &Site{ID: c.API.WebsiteID, Every: c.Every, cfg: c, presence: pace.NewMemo[string](presenceFor)}
	c.API.OnState = func(crispapi.State) { s.unsaved.Store(true) }
	s.API = crispapi.New(c.API)
	s.accounted.Store(time.Now().Unix() / 60)
	return s
}

// errKeep returned by a change saves nothing.
var errKeep = errors.New("nothing to save")

// update applies change to the record and saves it.
func (s *Site) update(ctx context.Context, change func(*Record, time.Time) error) (w Record, err error) {
	err = s.cfg.Store.Change(ctx, func(data []byte) ([]byte, time.Time, error) {
		var broken, err error
		if w, broken, err = decode(data); err != nil {
			return nil, time.Time{}, err
		}
		if broken != nil {
			s.cfg.Broken(broken)
		}
		now := s.cfg.Store.Now()
		mended := w.mend(s.cfg.Every, now)
		if !s.unsaved.Load() { // else this process knows better
			s.API.Merge(w.Crisp.Shift(time.Since(now)))
		}
		if err := change(&w, now); err != nil && !(mended && errors.Is(err, errKeep)) {
			return nil, time.Time{}, err
		}
		if data, err = json.Marshal(w, recordJSON); err != nil {
			return nil, time.Time{}, fmt.Errorf("the website's record cannot be written: %w", err)
		}
		return data, w.due(), nil
	})
	if errors.Is(err, errKeep) {
		err = nil
	}
	if err == nil {
		s.known.Store(&known{w, time.Now()})
	}
	return w, err
}

// Read returns what all processes share.
func (s *Site) Read(ctx context.Context) (Record, error) {
	return s.update(ctx, func(*Record, time.Time) error { return errKeep })
}

// Known returns the record as it was last read or written here.
func (s *Site) Known() Record {
	if k := s.known.Load(); k != nil {
		return k.record
	}
	return Record{}
}

// knownFor is for how long Refresh does not read again.
const knownFor = time.Minute

// Refresh reads what other processes know of the website, now and then.
func (s *Site) Refresh(ctx context.Context) error {
	if k := s.known.Load(); k != nil && time.Since(k.at) < knownFor {
		return nil
	}
	_, err := s.Read(ctx)
	return err
}

// maxPlaces is how far ahead places among the conversations made in a minute are given: those of a
// clock that ran ahead do not count for longer.
const maxPlaces = 10 * time.Minute

// Place gives a place among the conversations made in a minute, in the order of asking: it may be made at
// that time. When all places are taken for maxPlaces there is none: ask again at that time.
func (s *Site) Place(ctx context.Context) (at time.Time, placed bool, err error) {
	if s.cfg.PerMinute < 0 {
		return time.Time{}, true, nil
	}
	window := pace.Window{Span: time.Minute, Limit: s.cfg.PerMinute, Ahead: maxPlaces}
	_, err = s.update(ctx, func(w *Record, now time.Time) error {
		if w.Creates, at, placed = window.Place(w.Creates, now); !placed {
			return errKeep
		}
		return nil
	})
	return at, placed, err
}

// Account adds this process's calls to the website's once in a minute, and at once when calls to Crisp stop or go on.
// It may be called often.
func (s *Site) Account(ctx context.Context) error {
	minute := time.Now().Unix() / 60
	if s.accounted.Swap(minute) == minute && !s.unsaved.Load() {
		return nil
	}
	return s.Spend(ctx)
}

// hookEvery is how often it is noted for other processes, at the least, that hooks come.
const hookEvery = time.Hour

// Spend adds this process's calls to the website's, and tells what it knows of Crisp.
func (s *Site) Spend(ctx context.Context) error {
	calls, unsaved, hook := s.API.Calls.Swap(0), s.unsaved.Load(), s.hook.Load()
	if calls == 0 && !unsaved && hook-s.hookTold.Load() < int64(hookEvery/time.Second) {
		return nil
	}
	_, err := s.update(ctx, func(w *Record, now time.Time) error {
		w.spend(calls, now)
		w.Hook = s.LastHook(w)
		if unsaved {
			s.unsaved.Store(false)
			w.Crisp = s.API.State().Shift(time.Until(now))
		}
		return nil
	})
	if err != nil {
		s.API.Calls.Add(calls)
		s.unsaved.Store(s.unsaved.Load() || unsaved)
		return err
	}
	s.hookTold.Store(hook)
	return nil
}

// HookCame notes that a web hook came to this process.
func (s *Site) HookCame() { s.hook.Store(s.cfg.Store.Now().Unix()) }

// LastHook is when a hook last came to any process, as far as this one and the record know; zero: none did.
func (s *Site) LastHook(w *Record) time.Time {
	if hook := s.hook.Load(); hook > 0 {
		return times.Later(w.Hook, time.Unix(hook, 0))
	}
	return w.Hook
}

// Presence is Crisp's word for whether visitors see the website as online, asked at most once in presenceFor for all
// callers; empty: none that is known.
func (s *Site) Presence(ctx context.Context) (string, error) {
	return s.presence.Get(ctx, s.API.Availability)
}

// NoNotes reports whether it is known that the plan has no notes.
func (s *Site) NoNotes(ctx context.Context) (bool, error) {
	w, err := s.Read(ctx)
	return s.cfg.Store.Now().Before(w.NoNotes), err
}

// RememberNoNotes notes that the plan has no notes, for a day.
func (s *Site) RememberNoNotes(ctx context.Context) error {
	_, err := s.update(ctx, func(w *Record, now time.Time) error {
		w.NoNotes = now.Add(noNotesFor)
		return nil
	})
	return err
}

// Advise reports, once an hour for each operation, that a person is to be told of it.
func (s *Site) Advise(op string) bool {
	now := time.Now()
	if last, ok := s.advised.Load(op); ok && now.Sub(last.(time.Time)) < time.Hour {
		return false
	}
	s.advised.Store(op, now)
	return true
}
