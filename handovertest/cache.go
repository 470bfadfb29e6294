package handovertest

import (
	"net/http"
	"time"
)

// cached is an answer that the cache keeps.
type cached struct {
	answer
	until time.Time
}

// maxCached is how many answers the cache keeps before it is emptied of the old ones.
const maxCached = 1000

// cached returns the answer of the cache to a read, or what get returns, with the header by which
// Crisp says which it was. Data in a kept answer is never changed. The caller holds the lock.
func (c *Crisp) cached(q *request, get func() answer) (answer, http.Header) {
	if c.options.CacheFor <= 0 || q.Method != http.MethodGet && q.Method != http.MethodHead {
		return get(), http.Header{"Bloom-Status": {"DIRECT"}}
	}
	now, key := time.Now(), q.Method+" "+q.uri
	if kept, ok := c.cache[key]; ok && now.Before(kept.until) {
		c.faultCount["cached"]++
		return kept.answer, http.Header{"Bloom-Status": {"HIT"}}
	}
	if len(c.cache) >= maxCached {
		for key, kept := range c.cache {
			if !now.Before(kept.until) {
				delete(c.cache, key)
			}
		}
	}
	a := get()
	c.cache[key] = cached{answer: a, until: now.Add(c.options.CacheFor)}
	return a, http.Header{"Bloom-Status": {"MISS"}}
}
