package handover

import (
	"bytes"
	"container/heap"
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
// A record stays in memory until it is deleted. What a call costs hardly grows with the number of
// records.
type MemoryStore struct {
	mu       sync.Mutex
	version  int64                   // the last one given to any record, so that none ever comes twice
	records  map[string]*memoryEntry // by Key
	owners   map[string]*memoryEntry // by Crisp id
	queue    claimQueue              // the records whose Due is set
	watchers map[*memoryWatcher]bool
}

var (
	_ Store   = (*MemoryStore)(nil)
	_ Watcher = (*MemoryStore)(nil)
)

// memoryEntry is a stored record and its place in the queue.
type memoryEntry struct {
	record *Record // replaced by Save, never changed
	index  int     // in the claimQueue; -1 when it is not in there
}

// Load implements Store.
func (s *MemoryStore) Load(ctx context.Context, key string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	s.mu.Lock()
	r := s.records[key].stored()
	s.mu.Unlock()
	return copyRecord(r), nil
}

// Find implements Store.
func (s *MemoryStore) Find(ctx context.Context, crispID string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	s.mu.Lock()
	r := s.owners[crispID].stored()
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
	if old.stored().Version != r.Version {
		return 0, ErrConflict
	}
	renamed := !slices.Equal(old.stored().CrispIDs, r.CrispIDs)
	if renamed && s.taken(r.CrispIDs, old) {
		return 0, ErrTaken
	}
	s.version++
	r.Version = s.version
	s.put(old, &r, renamed)
	if wake {
		for w := range s.watchers {
			w.tell(r.Key)
		}
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
	var claimed []*memoryEntry
	for len(claimed) < limit && len(s.queue) > 0 && s.queue[0].at <= now {
		claimed = append(claimed, heap.Pop(&s.queue).(place).entry)
	}
	records := make([]Record, len(claimed))
	for i, e := range claimed {
		records[i] = copyRecord(e.record)
		s.queue.put(e, now+max(ttl.Microseconds(), 0))
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
	e := s.records[key]
	if e == nil {
		return nil
	}
	if e.record.Version != version {
		return ErrConflict
	}
	for _, id := range e.record.CrispIDs {
		delete(s.owners, id)
	}
	s.queue.remove(e)
	delete(s.records, key)
	return nil
}

// Watch implements Watcher. It never fails before ctx ends.
func (s *MemoryStore) Watch(ctx context.Context, changed func(key string)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &memoryWatcher{told: make(chan struct{}, 1)}
	s.mu.Lock()
	if s.watchers == nil {
		s.watchers = make(map[*memoryWatcher]bool)
	}
	s.watchers[w] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, w)
		s.mu.Unlock()
	}()

	for changed(""); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.told:
		}
		for _, key := range w.take() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			changed(key)
		}
	}
}

// taken reports whether one of the Crisp ids leads to another entry. The caller holds s.mu.
func (s *MemoryStore) taken(crispIDs []string, by *memoryEntry) bool {
	return slices.ContainsFunc(crispIDs, func(id string) bool {
		owner := s.owners[id]
		return owner != nil && owner != by
	})
}

// put stores r in the place of old, which is nil for a new key; renamed says that its Crisp ids are
// others. The caller holds s.mu and has seen that they are free.
func (s *MemoryStore) put(old *memoryEntry, r *Record, renamed bool) {
	e := old
	if e == nil {
		e = &memoryEntry{record: new(Record), index: -1}
		if s.records == nil {
			s.records = make(map[string]*memoryEntry)
			s.owners = make(map[string]*memoryEntry)
		}
		s.records[r.Key] = e
	}
	if renamed {
		for _, id := range e.record.CrispIDs {
			delete(s.owners, id)
		}
		for _, id := range r.CrispIDs {
			s.owners[id] = e
		}
	}
	e.record = r
	if r.Due.IsZero() {
		s.queue.remove(e)
		return
	}
	s.queue.put(e, r.Due.UnixMicro())
}

// stored returns the entry's record; the zero Record for no entry.
func (e *memoryEntry) stored() *Record {
	if e == nil {
		return new(Record)
	}
	return e.record
}

// claimQueue is a heap: what Claim gives next stands first.
type claimQueue []place

// place is an entry's place in the queue.
type place struct {
	at    int64 // when Claim may give it, in microseconds since 1970: its Due, or the end of the hiding
	entry *memoryEntry
}

// put adds the entry, or moves it, so that it comes at the time given.
func (q *claimQueue) put(e *memoryEntry, at int64) {
	if e.index < 0 {
		heap.Push(q, place{at, e})
		return
	}
	(*q)[e.index].at = at
	heap.Fix(q, e.index)
}

// remove takes the entry out, if it is in.
func (q *claimQueue) remove(e *memoryEntry) {
	if e.index >= 0 {
		heap.Remove(q, e.index)
	}
}

// Len, Less, Swap, Push and Pop implement heap.Interface.

func (q claimQueue) Len() int { return len(q) }

// Less tells records apart by their keys when their times are the same: tests want one order.
func (q claimQueue) Less(i, j int) bool {
	if q[i].at == q[j].at {
		return q[i].entry.record.Key < q[j].entry.record.Key
	}
	return q[i].at < q[j].at
}

func (q claimQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].entry.index, q[j].entry.index = i, j
}

func (q *claimQueue) Push(x any) {
	p := x.(place)
	p.entry.index = len(*q)
	*q = append(*q, p)
}

func (q *claimQueue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = place{}
	*q = (*q)[:last]
	p.entry.index = -1
	return p
}

// memoryWatcher collects the keys that one Watch has still to tell.
type memoryWatcher struct {
	told chan struct{} // has an element while keys may hold something

	mu   sync.Mutex
	keys []string
	have map[string]bool
}

func (w *memoryWatcher) tell(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.have[key] {
		return
	}
	if w.have == nil {
		w.have = make(map[string]bool)
	}
	w.have[key] = true
	w.keys = append(w.keys, key)
	select {
	case w.told <- struct{}{}:
	default:
	}
}

func (w *memoryWatcher) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	keys := w.keys
	w.keys, w.have = nil, nil
	return keys
}

// copyRecord returns a record that shares no memory with r.
func copyRecord(r *Record) Record {
	c := *r
	c.CrispIDs = slices.Clone(r.CrispIDs)
	c.Data = bytes.Clone(r.Data)
	return c
}
