package handover

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
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
// A record stays in memory until it is deleted.
type MemoryStore struct {
	mu      sync.Mutex
	version int64              // the last one given to any record, so that none ever comes twice
	records map[string]*Record // by Key; a stored record is replaced, never changed
	owners  map[string]*Record // by Crisp id
	due     []*Record          // the records whose Due is set, in the order of compareDue
}

var _ Store = (*MemoryStore)(nil)

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
	r := s.owners[crispID]
	s.mu.Unlock()
	return copyRecord(r), nil
}

// Save implements Store.
func (s *MemoryStore) Save(ctx context.Context, r Record) (version int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r = copyRecord(&r)
	if !r.Due.IsZero() {
		r.Due = time.UnixMicro(r.Due.UnixMicro()).UTC() // as durable stores give it back
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.records[r.Key]
	if storedVersion(old) != r.Version {
		return 0, ErrConflict
	}
	for _, id := range r.CrispIDs {
		if owner := s.owners[id]; owner != nil && owner.Key != r.Key {
			return 0, ErrTaken
		}
	}
	s.remove(old)
	s.version++
	r.Version = s.version
	s.insert(&r)
	return r.Version, nil
}

// Due implements Store.
func (s *MemoryStore) Due(ctx context.Context, now time.Time, limit int) (keys []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.due {
		if len(keys) >= limit || r.Due.After(now) {
			break
		}
		keys = append(keys, r.Key)
	}
	return keys, nil
}

// Delete implements Store.
func (s *MemoryStore) Delete(ctx context.Context, key string, version int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.records[key]
	if old != nil && old.Version != version {
		return ErrConflict
	}
	s.remove(old)
	return nil
}

// insert adds a record whose key and Crisp ids are free. The caller holds s.mu.
func (s *MemoryStore) insert(r *Record) {
	if s.records == nil {
		s.records = make(map[string]*Record)
		s.owners = make(map[string]*Record)
	}
	s.records[r.Key] = r
	for _, id := range r.CrispIDs {
		s.owners[id] = r
	}
	if !r.Due.IsZero() {
		i, _ := slices.BinarySearchFunc(s.due, r, compareDue)
		s.due = slices.Insert(s.due, i, r)
	}
}

// remove takes a stored record out again; nil stands for none. The caller holds s.mu.
func (s *MemoryStore) remove(r *Record) {
	if r == nil {
		return
	}
	delete(s.records, r.Key)
	for _, id := range r.CrispIDs {
		delete(s.owners, id)
	}
	if i, found := slices.BinarySearchFunc(s.due, r, compareDue); found {
		s.due = slices.Delete(s.due, i, i+1)
	}
}

// compareDue puts the longest due first. The key tells records apart that are due at once.
func compareDue(a, b *Record) int {
	return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Key, b.Key))
}

// storedVersion is the version that a change of the stored record must name.
func storedVersion(r *Record) int64 {
	if r == nil {
		return 0
	}
	return r.Version
}

// copyRecord returns a record that shares no memory with r; for nil the zero Record.
func copyRecord(r *Record) Record {
	if r == nil {
		return Record{}
	}
	c := *r
	c.CrispIDs = slices.Clone(r.CrispIDs)
	c.Data = bytes.Clone(r.Data)
	return c
}
