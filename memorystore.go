package handover

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover/internal/keys"
)

// MemoryStore keeps records in the memory of this process. Its zero value is an empty store,
// ready for use; it must not be copied.
//
// All of it is lost when the process ends. After a restart no handover is known any more: the bot
// speaks again to users whom an agent is still writing to, what the agent writes to them is not
// delivered, messages and notes that were still to be sent are never sent, OnEnd is not called,
// and a user message that the channel repeats is taken for a new one. Several processes do not
// see each other's records. It is right for tests, for development, and for a bot that runs once
// and can bear this; for anything else there is package sqlstore.
//
// A record stays in memory until it is deleted. What a call costs hardly grows with the number of
// records, but for List, which looks at all keys, or at those of the records that are Live.
type MemoryStore struct {
	mu      sync.Mutex
	version int64              // the last one given to any record, so that none ever comes twice
	records map[string]*Record // by Key; replaced by Save, never changed
	owners  map[string]string  // keys by Crisp id
	live    map[string]*Record // those of records whose Live is set, by Key
	queue   keys.Queue         // of the records whose Due is set: when Claim may give them, in microseconds
	feed    keys.Feed
}

var (
	_ Store   = (*MemoryStore)(nil)
	_ Watcher = (*MemoryStore)(nil)
	_ Lister  = (*MemoryStore)(nil)
)

// Load implements Store.
func (s *MemoryStore) Load(ctx context.Context, key string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	s.mu.Lock()
	r := s.records[key]
	s.mu.Unlock()
	return copyRecord(r), nil
}

// Find implements Store.
func (s *MemoryStore) Find(ctx context.Context, crispID string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	s.mu.Lock()
	r := s.records[s.owners[crispID]]
	s.mu.Unlock()
	return copyRecord(r), nil
}

// Save implements Store.
func (s *MemoryStore) Save(ctx context.Context, r Record) (version int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	wake := r.Wake
	r = copyRecord(&r)
	r.Now, r.Wake = time.Time{}, false
	if !r.Due.IsZero() {
		r.Due = time.UnixMicro(r.Due.UnixMicro()).UTC() // as durable stores give it back
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.records[r.Key]
	if old == nil {
		old = new(Record)
	}
	if old.Version != r.Version {
		return 0, ErrConflict
	}
	renamed := !slices.Equal(old.CrispIDs, r.CrispIDs)
	if renamed && s.taken(&r) {
		return 0, ErrTaken
	}
	s.version++
	r.Version = s.version
	s.put(old, &r, renamed)
	if wake {
		s.feed.Tell(r.Key)
	}
	return r.Version, nil
}

// Claim implements Store.
func (s *MemoryStore) Claim(ctx context.Context, limit int, ttl time.Duration) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UnixMicro()
	due := s.queue.Take(now, limit)
	records := make([]Record, len(due))
	for i, key := range due {
		records[i] = copyRecord(s.records[key])
		s.queue.Put(key, now+max(ttl.Microseconds(), 0))
	}
	return records, nil
}

// Delete implements Store.
func (s *MemoryStore) Delete(ctx context.Context, key string, version int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[key]
	if r == nil {
		return nil
	}
	if r.Version != version {
		return ErrConflict
	}
	for _, id := range r.CrispIDs {
		delete(s.owners, id)
	}
	s.queue.Remove(key)
	delete(s.records, key)
	delete(s.live, key)
	return nil
}

// List implements Lister.
func (s *MemoryStore) List(ctx context.Context, q ListQuery) ([]Record, error) {
	if err := ctx.Err(); err != nil || q.Limit < 1 {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.records
	if q.Live {
		from = s.live
	}
	var found []string // the first of those seen so far, in their order
	for key := range from {
		if key <= q.After || !strings.HasPrefix(key, q.Prefix) || len(found) == q.Limit && key > found[q.Limit-1] {
			continue
		}
		at, _ := slices.BinarySearch(found, key)
		found = slices.Insert(found[:min(len(found), q.Limit-1)], at, key)
	}
	records := make([]Record, len(found))
	for i, key := range found {
		records[i] = copyRecord(from[key])
	}
	return records, nil
}

// Watch implements Watcher. It never fails before ctx ends.
func (s *MemoryStore) Watch(ctx context.Context, changed func(key string)) error {
	return s.feed.Listen(ctx, changed)
}

// taken reports whether one of the record's Crisp ids leads to another record. The caller holds s.mu.
func (s *MemoryStore) taken(r *Record) bool {
	return slices.ContainsFunc(r.CrispIDs, func(id string) bool {
		owner, ok := s.owners[id]
		return ok && owner != r.Key
	})
}

// put stores r in the place of old; renamed says that its Crisp ids are others. The caller holds s.mu and
// has seen that they are free.
func (s *MemoryStore) put(old, r *Record, renamed bool) {
	if s.records == nil {
		s.records, s.owners, s.live = make(map[string]*Record), make(map[string]string), make(map[string]*Record)
	}
	if renamed {
		for _, id := range old.CrispIDs {
			delete(s.owners, id)
		}
		for _, id := range r.CrispIDs {
			s.owners[id] = r.Key
		}
	}
	s.records[r.Key] = r
	if r.Live {
		s.live[r.Key] = r
	} else if old.Live {
		delete(s.live, r.Key)
	}
	if r.Due.IsZero() {
		s.queue.Remove(r.Key)
		return
	}
	s.queue.Put(r.Key, r.Due.UnixMicro())
}

// copyRecord returns a record that shares no memory with r; the zero Record of nil.
func copyRecord(r *Record) Record {
	if r == nil {
		return Record{}
	}
	c := *r
	c.CrispIDs = slices.Clone(r.CrispIDs)
	c.Data = bytes.Clone(r.Data)
	return c
}
