//go:build unix

package engine

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// BenchmarkMemoryStoreSave changes records at random: it must cost about the same however many
// there are.
func BenchmarkMemoryStoreSave(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run("records="+strconv.Itoa(n), func(b *testing.B) {
			var s handover.MemoryStore
			now := time.Now()
			records := make([]handover.Record, n)
			for i := range records {
				records[i] = handover.Record{
					Key:      "site/conversation_" + strconv.Itoa(i),
					CrispIDs: []string{"site/session_" + strconv.Itoa(i)},
					Due:      now.Add(time.Duration(i) * time.Second),
					Data:     make([]byte, 512),
				}
				version, err := s.Save(b.Context(), records[i])
				require.NoError(b, err)
				records[i].Version = version
			}
			rng := rand.New(rand.NewPCG(1, 2))
			runtime.GC()
			cpu := processTime()
			b.ReportAllocs()
			for b.Loop() {
				r := &records[rng.IntN(n)]
				r.Due = now.Add(time.Duration(rng.IntN(n)) * time.Second)
				version, err := s.Save(b.Context(), *r)
				if err != nil {
					b.Fatal(err)
				}
				r.Version = version
			}
			b.ReportMetric(float64((processTime()-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkMemoryStoreClaim measures what Run does with 10,000 open conversations of which 50 are
// due: it claims them, and saves each with a later Due.
func BenchmarkMemoryStoreClaim(b *testing.B) {
	const open, due = 10_000, 50
	s := new(handover.MemoryStore)
	now := time.Now()
	for i := range open {
		d := now.Add(time.Hour)
		if i < due {
			d = now
		}
		_, err := s.Save(b.Context(), handover.Record{
			Key:      "conversation" + strconv.Itoa(i),
			CrispIDs: []string{"site/session_" + strconv.Itoa(i)},
			Due:      d,
			Data:     make([]byte, 2048),
		})
		require.NoError(b, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		records, err := s.Claim(b.Context(), due, time.Minute)
		require.NoError(b, err)
		require.Len(b, records, due)
		for _, r := range records {
			_, err = s.Save(b.Context(), r) // due again at once
			require.NoError(b, err)
		}
	}
}
