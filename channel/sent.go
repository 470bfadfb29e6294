package channel

import (
	"container/list"
	"context"
	"sync"
)

// Sent is a channel's memory of what it has shown: short texts by keys. A Memory ends with the process; a host that
// gives a Sent of its own, such as a table of its database with the columns key and value, shows nothing twice after a
// restart either. What is older than a week may be dropped.
type Sent interface {
	// Recall returns what was kept under a key.
	Recall(ctx context.Context, key string) (value string, ok bool, err error)
	// Keep keeps a value under a key, in place of one that was kept before.
	Keep(ctx context.Context, key, value string) error
}

// Memory is a Sent in memory. The zero Memory is ready to use, also by several channels.
type Memory struct {
	// Max is how many values are kept; then those are dropped that were kept longest ago. Default: 20,000.
	Max int

	mu     sync.Mutex
	values map[string]*list.Element // in order
	order  list.List                // of kept, the oldest first
}

type kept struct{ key, value string }

// Recall implements Sent. It returns no error.
func (m *Memory) Recall(_ context.Context, key string) (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.values[key]; e != nil {
		return e.Value.(kept).value, true, nil
	}
	return "", false, nil
}

// Keep implements Sent. It returns no error.
func (m *Memory) Keep(_ context.Context, key, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = make(map[string]*list.Element)
	}
	if e := m.values[key]; e != nil {
		m.order.Remove(e)
	}
	m.values[key] = m.order.PushBack(kept{key, value})
	limit := m.Max
	if limit <= 0 {
		limit = 20_000
	}
	for m.order.Len() > limit {
		oldest := m.order.Remove(m.order.Front()).(kept)
		delete(m.values, oldest.key)
	}
	return nil
}
