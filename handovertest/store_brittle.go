package handovertest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// ErrStoreDown is the error of a BrittleStore that is broken.
var ErrStoreDown = errors.New("handovertest: the store is down")

// BrittleStore is a handover.Store that fails when a test asks it to. Else it passes everything on to the store
// below it. While it is broken every access but Watch returns ErrStoreDown:
//
//	store := crisp.Store() // that of Crisp.Config
//	store.Break()
//	// … nothing can be stored, so h.Handle returns an error, and the channel repeats the message …
//	store.Mend()
//
// BreakBeforeSave and BreakAfterSave break it at one of the steps that the library takes, each of which is a save.
// To the library that is as if its process had died there, if the callbacks and the HTTP client fail as well
// once the store is Broken. A test that does so for every step, until the store is not broken any more, has
// tried a crash everywhere; docs/testing.md has one.
type BrittleStore struct {
	below handover.Store

	mu      sync.Mutex
	broken  bool
	saves   int
	breaks  int  // the number of the save that breaks it; 0: none
	after   bool // that save is stored
	claimed bool
}

var (
	_ handover.Store   = (*BrittleStore)(nil)
	_ handover.Watcher = (*BrittleStore)(nil)
	_ handover.Lister  = (*BrittleStore)(nil)
)

// NewBrittleStore returns a store on top of another one; nil: of a new handover.MemoryStore. Several may share
// the one below: they are the stores of several processes, of which one can lose its connection alone.
func NewBrittleStore(below handover.Store) *BrittleStore {
	if below == nil {
		below = new(handover.MemoryStore)
	}
	return &BrittleStore{below: below}
}

// Break makes every access fail, until Mend.
func (s *BrittleStore) Break() { s.set(func() { s.broken = true }) }

// Mend takes back what Break, BreakBeforeSave and BreakAfterSave said.
func (s *BrittleStore) Mend() { s.set(func() { s.broken, s.breaks = false, 0 }) }

// BreakBeforeSave breaks the store at its n-th save from now: that one is not stored any more. 1 is the next. It stays
// broken until Mend.
func (s *BrittleStore) BreakBeforeSave(n int) {
	s.set(func() { s.breaks, s.after = s.saves+max(n, 1), false })
}

// BreakAfterSave breaks the store at its n-th save from now, which is stored, though the caller is told that it
// failed: a connection that is lost before the answer. 1 is the next.
func (s *BrittleStore) BreakAfterSave(n int) {
	s.set(func() { s.breaks, s.after = s.saves+max(n, 1), true })
}

// Broken reports whether the store is broken.
func (s *BrittleStore) Broken() (broken bool) {
	s.set(func() { broken = s.broken })
	return broken
}

// Saves is how many conversations were to be saved so far, those that failed included. What the library keeps of
// a whole website does not count: the clock alone decides when that is saved.
func (s *BrittleStore) Saves() (n int) {
	s.set(func() { n = s.saves })
	return n
}

// everClaimed reports whether work was ever asked for.
func (s *BrittleStore) everClaimed() (claimed bool) {
	s.set(func() { claimed = s.claimed })
	return claimed
}

// set does something under the lock.
func (s *BrittleStore) set(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// up is ErrStoreDown while the store is broken.
func (s *BrittleStore) up() error {
	if s.Broken() {
		return ErrStoreDown
	}
	return nil
}

// Load implements handover.Store.
func (s *BrittleStore) Load(ctx context.Context, key string) (handover.Record, error) {
	if err := s.up(); err != nil {
		return handover.Record{}, err
	}
	return s.below.Load(ctx, key)
}

// Find implements handover.Store.
func (s *BrittleStore) Find(ctx context.Context, crispID string) (handover.Record, error) {
	if err := s.up(); err != nil {
		return handover.Record{}, err
	}
	return s.below.Find(ctx, crispID)
}

// Save implements handover.Store.
func (s *BrittleStore) Save(ctx context.Context, r handover.Record) (version int64, err error) {
	stored, err := s.count(r.Key)
	if !stored {
		return 0, err
	}
	version, failed := s.below.Save(ctx, r)
	if err != nil {
		return 0, err
	}
	return version, failed
}

// count counts a save. It tells whether it is to be stored, and what the caller is to be told.
func (s *BrittleStore) count(key string) (stored bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored = !s.broken
	if !strings.HasPrefix(key, "website/") {
		s.saves++
		if s.breaks != 0 && s.saves >= s.breaks {
			stored = stored && s.after
			s.broken, s.breaks = true, 0
		}
	}
	if s.broken {
		err = ErrStoreDown
	}
	return stored, err
}

// Claim implements handover.Store.
func (s *BrittleStore) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	s.set(func() { s.claimed = true })
	if err := s.up(); err != nil {
		return nil, err
	}
	return s.below.Claim(ctx, limit, ttl)
}

// Delete implements handover.Store.
func (s *BrittleStore) Delete(ctx context.Context, key string, version int64) error {
	if err := s.up(); err != nil {
		return err
	}
	return s.below.Delete(ctx, key, version)
}

// Watch implements handover.Watcher, if the store below does.
func (s *BrittleStore) Watch(ctx context.Context, changed func(key string)) error {
	if w, ok := s.below.(handover.Watcher); ok {
		return w.Watch(ctx, changed)
	}
	return errors.ErrUnsupported
}

// List implements handover.Lister, if the store below does.
func (s *BrittleStore) List(ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
	if err := s.up(); err != nil {
		return nil, err
	}
	if l, ok := s.below.(handover.Lister); ok {
		return l.List(ctx, q)
	}
	return nil, errors.ErrUnsupported
}
