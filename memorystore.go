package handover

import (
	"context"
	"maps"
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
	records map[string]*stored // by Key
	owners  map[string]*stored // by Crisp id
	live    []*stored          // those of records whose Live is set
	queue   keys.Queue         // of the records whose Due is set: when Claim may give them, in microseconds
	feed    keys.Feed
}

// stored is a record as MemoryStore keeps it. There may be very many, so it is small.
type stored struct {
	keys.Item
	version int64
	due     int64  // in microseconds, of the zero time as well
	ids     string // with NUL between them, which is in none
	data    string
	live    int32 // its place among those that are live, from 1; 0 for none
}

// record returns it as the caller of a store gets it, who shares no memory with it; the zero Record of nil.
func (s *stored) record() Record {
	if s == nil {
		return Record{}
	}
	return Record{
		Key: s.Key, CrispIDs: s.crispIDs(), Version: s.version, Due: time.UnixMicro(s.due).UTC(), Live: s.live > 0, Data: append([]byte(nil), s.data...),
	}
}

func (s *stored) crispIDs() []string {
	if s.ids == "" {
		return nil
	}
	return strings.Split(s.ids, "\x00")
}

var (
	_ Store   = (*MemoryStore)(nil)
	_ Watcher = (*MemoryStore)(nil)
	_ Lister  = (*MemoryStore)(nil)
)

// Load implements Store.
func (s *MemoryStore) Load(ctx context.Context, key string) (Record, error) {
	return s.read(ctx, &s.records, key)
}

// Find implements Store.
func (s *MemoryStore) Find(ctx context.Context, crispID string) (Record, error) {
	return s.read(ctx, &s.owners, crispID)
}

// read returns what is under a name; the zero Record if nothing is.
func (s *MemoryStore) read(ctx context.Context, under *map[string]*stored, name string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return (*under)[name].record(), nil
}

// Save implements Store.
func (s *MemoryStore) Save(ctx context.Context, r Record) (version int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	data := string(r.Data)

	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.records[r.Key]
	if r.Version != 0 && kept == nil || kept != nil && kept.version != r.Version {
		return 0, ErrConflict
	}
	if kept == nil {
		kept = &stored{Item: keys.Item{Key: r.Key}}
	}
	if ids := strings.Join(r.CrispIDs, "\x00"); ids != kept.ids {
		if s.taken(&r) {
			return 0, ErrTaken
		}
		s.rename(kept, ids)
	}
	s.version++
	kept.version, kept.data = s.version, data
	s.put(kept, r.Due, r.Live)
	if r.Wake {
		s.feed.Tell(r.Key)
	}
	return kept.version, nil
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
	for i, item := range due {
		records[i] = s.records[item.Key].record()
		s.queue.Put(item, now+max(ttl.Microseconds(), 0))
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
	if r.version != version {
		return ErrConflict
	}
	s.rename(r, "")
	s.put(r, time.Time{}, false)
	delete(s.records, key)
	return nil
}

// List implements Lister.
func (s *MemoryStore) List(ctx context.Context, q ListQuery) ([]Record, error) {
	if err := ctx.Err(); err != nil || q.Limit < 1 {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := maps.Values(s.records)
	if q.Live {
		from = slices.Values(s.live)
	}
	var found []*stored // the first of those seen so far, in their order
	for r := range from {
		if r.Key <= q.After || !strings.HasPrefix(r.Key, q.Prefix) || len(found) == q.Limit && r.Key > found[q.Limit-1].Key {
			continue
		}
		at, _ := slices.BinarySearchFunc(found, r.Key, func(f *stored, key string) int { return strings.Compare(f.Key, key) })
		found = slices.Insert(found[:min(len(found), q.Limit-1)], at, r)
	}
	records := make([]Record, len(found))
	for i, r := range found {
		records[i] = r.record()
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
		owner := s.owners[id]
		return owner != nil && owner.Key != r.Key
	})
}

// rename has these Crisp ids lead to a record, and no others. The caller holds s.mu and has seen that they are free.
func (s *MemoryStore) rename(r *stored, ids string) {
	for _, id := range r.crispIDs() {
		delete(s.owners, id)
	}
	r.ids = ids
	if ids != "" && s.owners == nil {
		s.owners = make(map[string]*stored)
	}
	for _, id := range r.crispIDs() {
		s.owners[id] = r
	}
}

// put has the record found by its key, its Due and its Live. The caller holds s.mu.
func (s *MemoryStore) put(r *stored, due time.Time, live bool) {
	if s.records == nil {
		s.records = make(map[string]*stored)
	}
	s.records[r.Key] = r
	switch {
	case live && r.live == 0:
		s.live = append(s.live, r)
		r.live = int32(len(s.live))
	case !live && r.live > 0:
		last := s.live[len(s.live)-1]
		s.live[r.live-1], last.live = last, r.live
		s.live[len(s.live)-1] = nil
		s.live, r.live = s.live[:len(s.live)-1], 0
	}
	r.due = due.UnixMicro()
	if due.IsZero() {
		s.queue.Remove(&r.Item)
		return
	}
	s.queue.Put(&r.Item, r.due)
}
