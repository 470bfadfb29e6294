package keys

import "sync"

// Counter counts what goes on under each key. It is safe for concurrent use.
type Counter struct {
	mu sync.Mutex
	n  map[string]int
}

// Begin counts one more until end is called, which may be called again.
func (c *Counter) Begin(key string) (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[key]++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.n[key]--; c.n[key] == 0 {
			delete(c.n, key)
		}
	})
}

// Any reports whether anything goes on under a key.
func (c *Counter) Any(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[key] > 0
}
