//go:build unix

package benchmarks

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/quickcrisp"
)

// counted counts what a Handover asks of a store.
type counted struct {
	handover.MemoryStore
	calls, loads atomic.Int64
}

// Load implements handover.Store.
func (s *counted) Load(ctx context.Context, key string) (handover.Record, error) {
	s.calls.Add(1)
	s.loads.Add(1)
	return s.MemoryStore.Load(ctx, key)
}

// Save implements handover.Store.
func (s *counted) Save(ctx context.Context, r handover.Record) (int64, error) {
	s.calls.Add(1)
	return s.MemoryStore.Save(ctx, r)
}

// Claim implements handover.Store.
func (s *counted) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	s.calls.Add(1)
	return s.MemoryStore.Claim(ctx, limit, ttl)
}

// BenchmarkIdle is what 10,000 open conversations cost in which nobody writes, beside the polls of three replicas:
// three seconds of them, as store calls a minute, calls to Crisp a minute, and processor time a second. It has no
// counterpart on the official client, which keeps nothing.
func BenchmarkIdle(b *testing.B) {
	const conversations, replicas, lasts = 10_000, 3, 3 * time.Second
	for b.Loop() {
		c, store := quickcrisp.New(), new(counted)
		var first *handover.Handover
		for range replicas {
			h := newBot(b, c, func(cfg *handover.Config) { cfg.Store = store })
			if first == nil {
				first = h
				open(b, h, conversation(1))
				require.NoError(b, handovertest.Drain(b.Context(), h))
				copies(b, store, c, min(conversations, most(b)))
			}
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			go func() { _ = h.Run(ctx) }()
		}
		time.Sleep(time.Second) // the first polls, and what they read of the website
		calls, loads, asked, cpu := store.calls.Load(), store.loads.Load(), c.Calls(), processTime()
		time.Sleep(lasts)
		minutes := lasts.Minutes()
		b.ReportMetric(float64(store.calls.Load()-calls)/minutes, "store-calls/min")
		b.ReportMetric(float64(store.loads.Load()-loads)/minutes, "loads/min")
		b.ReportMetric(float64(c.Calls()-asked)/minutes, "crisp-calls/min")
		b.ReportMetric(float64((processTime()-cpu).Milliseconds())/lasts.Seconds(), "cpu-ms/s")
	}
}
