package keys

import (
	"context"
	"sync"
)

// Feed tells those who listen of keys. It is safe for concurrent use.
type Feed struct {
	mu        sync.Mutex
	listeners map[*listener]bool
}

// Tell has all who listen now hear of a key, soon. It waits for nobody.
func (f *Feed) Tell(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.listeners {
		l.tell(key)
	}
}

// Listen calls hear with each key that is told, until ctx ends, whose error it returns: first with "",
// as soon as no later key is missed. A key that was told several times before hear came to it is heard
// once. hear is called from this goroutine alone, and never after the end of ctx.
func (f *Feed) Listen(ctx context.Context, hear func(key string)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l := &listener{told: make(chan struct{}, 1)}
	f.mu.Lock()
	if f.listeners == nil {
		f.listeners = make(map[*listener]bool)
	}
	f.listeners[l] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, l)
	}()

	for hear(""); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.told:
		}
		for _, key := range l.take() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			hear(key)
		}
	}
}

// listener collects the keys that one Listen has still to tell of.
type listener struct {
	told chan struct{} // has an element while keys may hold something

	mu   sync.Mutex
	keys []string
	have map[string]bool
}

func (l *listener) tell(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.have[key] {
		return
	}
	if l.have == nil {
		l.have = make(map[string]bool)
	}
	l.have[key] = true
	l.keys = append(l.keys, key)
	select {
	case l.told <- struct{}{}:
	default:
	}
}

func (l *listener) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := l.keys
	l.keys, l.have = nil, nil
	return keys
}
