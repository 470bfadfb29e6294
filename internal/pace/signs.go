package pace

import (
	"sync"
	"time"
)

// Signs passes on signs that are on or off, such as that somebody is typing. Each of the two is passed on
// at once, but not twice within Every; the newest sign of those that came too soon follows then. Signs of
// different keys have nothing to do with each other. No key is remembered for longer than Every after its
// last sign.
type Signs struct {
	Every time.Duration

	mu   sync.Mutex
	last map[string]*sign
}

// sign is the last sign of a key that was passed on, and the newest of those that came too soon after it.
type sign struct{ told, both, on, waits bool }

// Now reports whether a sign is passed on now. Otherwise, if it differs from the last one, or is on still,
// it is given to later when it may be passed on; later is called on a goroutine of its own.
func (s *Signs) Now(key string, on bool, later func(on bool)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch l := s.last[key]; {
	case l == nil:
	case on != l.told && !l.both:
		l.told, l.both, l.waits = on, true, false
		return true
	default:
		l.on, l.waits = on, on || l.told
		return false
	}
	s.told(key, on, later)
	return true
}

// Forget lets the next sign of a key be passed on at once.
func (s *Signs) Forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, key)
}

// told notes a sign. The caller holds the lock.
func (s *Signs) told(key string, on bool, later func(on bool)) {
	if s.last == nil {
		s.last = make(map[string]*sign)
	}
	l := &sign{told: on}
	s.last[key] = l
	time.AfterFunc(s.Every, func() {
		if s.after(key, l, later) {
			later(l.on)
		}
	})
}

// after ends the time of a sign, and reports whether one that waited is to be passed on now.
func (s *Signs) after(key string, l *sign, later func(on bool)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last[key] != l { // forgotten
		return false
	}
	delete(s.last, key)
	if l.waits {
		s.told(key, l.on, later)
	}
	return l.waits
}
