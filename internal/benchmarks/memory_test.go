//go:build unix

package benchmarks

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/quickcrisp"
)

// BenchmarkSessionMemory is how much memory an open session takes in a MemoryStore, B/session, without messages and
// with ten, and how much of that is the record as it is stored, in any store.
func BenchmarkSessionMemory(b *testing.B) {
	for _, messages := range []int{0, 10} {
		for _, n := range []int64{1_000, 100_000, 1_000_000} {
			if n > most(b) {
				continue
			}
			b.Run(fmt.Sprintf("messages=%d/sessions=%d", messages, n), func(b *testing.B) {
				for b.Loop() {
					sessionMemory(b, messages, n)
				}
			})
		}
	}
}

func sessionMemory(b *testing.B, messages int, n int64) {
	c, store := quickcrisp.New(), new(handover.MemoryStore)
	h := newBot(b, c, func(cfg *handover.Config) {
		cfg.Store = store
		cfg.Deliver = func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
			return fmt.Sprint("m-", m.At.UnixMilli()), nil // as channels name their messages
		}
	})
	open(b, h, conversation(1))
	for i := range messages / 2 {
		_, err := h.Receive(b.Context(), handover.Incoming{Conversation: conversation(1), ID: fmt.Sprint(i), Text: "It does not turn on. What now?"})
		require.NoError(b, err)
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, c.Hook("/", c.Says(quickcrisp.SessionID(1), "Have you tried turning it off and on again?")))
		require.Equal(b, 200, answer.Code)
		require.NoError(b, handovertest.Drain(b.Context(), h))
	}
	require.NoError(b, handovertest.Drain(b.Context(), h))
	stored, err := store.Load(b.Context(), keyOf(c, 1))
	require.NoError(b, err)
	before := heap()
	copies(b, store, c, n)
	b.ReportMetric(float64(heap()-before)/float64(n-1), "B/session")
	b.ReportMetric(float64(len(stored.Data)), "record-B")
	runtime.KeepAlive(store)
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
