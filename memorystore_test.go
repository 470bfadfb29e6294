package handover_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

func TestMemoryStore(t *testing.T) {
	handovertest.TestStore(t, func(*testing.T) handover.Store { return new(handover.MemoryStore) })
}

// TestMemoryStoreDue requires of a Due what durable stores do to it, so that code which expects more
// fails with a MemoryStore as well.
func TestMemoryStoreDue(t *testing.T) {
	var s handover.MemoryStore
	due := time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	_, err := s.Save(t.Context(), handover.Record{Key: "key", Due: due})
	require.NoError(t, err)
	r, err := s.Load(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 1, 2, 11, 0, 0, 123456000, time.UTC), r.Due)
}

// BenchmarkMemoryStore measures what Run does each second with 10,000 open conversations of which
// 50 are due: it asks for them, and saves each with a later Due.
func BenchmarkMemoryStore(b *testing.B) {
	const open, due = 10_000, 50
	s := new(handover.MemoryStore)
	now := time.Unix(1_800_000_000, 0)
	for i := range open {
		_, err := s.Save(b.Context(), handover.Record{
			Key:      "conversation" + strconv.Itoa(i),
			CrispIDs: []string{"site/session_" + strconv.Itoa(i)},
			Due:      now.Add(time.Duration(i) * time.Second / due),
			Data:     make([]byte, 2048),
		})
		require.NoError(b, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		keys, err := s.Due(b.Context(), now, due)
		require.NoError(b, err)
		for _, key := range keys {
			r, err := s.Load(b.Context(), key)
			require.NoError(b, err)
			r.Due = r.Due.Add(open / due * time.Second)
			_, err = s.Save(b.Context(), r)
			require.NoError(b, err)
		}
		now = now.Add(time.Second)
	}
}
