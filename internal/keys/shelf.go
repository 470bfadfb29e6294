package keys

import (
	"container/list"
	"sync"
	"time"
)

// Shelf keeps values for whoever takes them next: each for one, for a time, under a key and further names, and in a version
// of that. What was put there longest ago goes when there is no more room. It is safe for concurrent use. Make it with NewShelf.
type Shelf[V any] struct {
	room int           // for the sizes of all values together
	keep time.Duration // how long each is kept

	mu    sync.Mutex
	used  int
	all   map[string]*list.Element // by key, and by name; no key is a name of another
	order list.List                // of placed[V], the oldest first
}

type placed[V any] struct {
	names   []string // the key first
	version int64
	value   V
	size    int
	until   time.Time
}

// NewShelf returns a Shelf with room for values of this size together, each of which is kept for so long.
func NewShelf[V any](room int, keep time.Duration) *Shelf[V] {
	return &Shelf[V]{room: room, keep: keep, all: make(map[string]*list.Element)}
}

// Put keeps a value in the place of what was there under this key. The caller does not use it any more.
func (s *Shelf[V]) Put(key string, names []string, version int64, value V, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(s.all[key])
	if size > s.room/16 { // one must not take the room of many
		return
	}
	names = append([]string{key}, names...)
	e := s.order.PushBack(placed[V]{names, version, value, size, time.Now().Add(s.keep)})
	for _, name := range names {
		s.all[name] = e
	}
	for s.used += size; s.used > s.room; {
		s.remove(s.order.Front())
	}
}

// Take gives what is kept under a key, if it is of this version, and keeps it no longer.
func (s *Shelf[V]) Take(key string, version int64) (value V, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.all[key]
	if e == nil {
		return value, false
	}
	p := e.Value.(placed[V])
	s.remove(e)
	if p.version != version {
		return value, false // it is older than what is stored, or will be before long
	}
	return p.value, true
}

// TakeAny gives what is kept under a key or a name, whatever its version, and keeps it no longer.
func (s *Shelf[V]) TakeAny(name string) (key string, value V, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.all[name]
	if e == nil {
		return "", value, false
	}
	p := e.Value.(placed[V])
	s.remove(e)
	return p.names[0], p.value, true
}

// Remove takes off what is kept under a key.
func (s *Shelf[V]) Remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(s.all[key])
}

// Clear takes off all.
func (s *Shelf[V]) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = 0
	clear(s.all)
	s.order.Init()
}

// Expire takes off what has been kept for long enough.
func (s *Shelf[V]) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for now := time.Now(); ; {
		e := s.order.Front()
		if e == nil || e.Value.(placed[V]).until.After(now) {
			return
		}
		s.remove(e)
	}
}

// remove takes an element off; nil is none. The caller holds s.mu.
func (s *Shelf[V]) remove(e *list.Element) {
	if e == nil {
		return
	}
	p := s.order.Remove(e).(placed[V])
	for _, name := range p.names {
		if s.all[name] == e {
			delete(s.all, name)
		}
	}
	s.used -= p.size
}
