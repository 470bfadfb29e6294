package handover_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
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

// TestMemoryStoreQueue does what comes to random records, and requires that each Claim gives just
// what is due and not hidden, the oldest first.
func TestMemoryStoreQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 5
		var s handover.MemoryStore
		rng := rand.New(rand.NewPCG(1, 2))
		stored := map[string]handover.Record{}
		at := map[string]time.Time{} // when Claim may give it
		for range 20_000 {
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
			key := strconv.Itoa(rng.IntN(200))
			r := stored[key]
			switch rng.IntN(8) {
			case 0:
				require.NoError(t, s.Delete(t.Context(), key, r.Version))
				delete(stored, key)
				delete(at, key)
			case 1:
				ttl := time.Duration(rng.IntN(100)) * time.Millisecond
				records, err := s.Claim(t.Context(), limit, ttl)
				require.NoError(t, err)
				var want []string
				for key := range at {
					if !at[key].After(time.Now()) {
						want = append(want, key)
					}
				}
				slices.SortFunc(want, func(a, b string) int { return cmp.Or(at[a].Compare(at[b]), strings.Compare(a, b)) })
				want = want[:min(len(want), limit)]
				require.Len(t, records, len(want))
				for i, key := range want {
					require.Equal(t, stored[key], records[i])
					at[key] = time.Now().Add(ttl)
				}
			default:
				r.Key, r.Due = key, time.Time{}
				delete(at, key)
				if rng.IntN(4) > 0 {
					r.Due = time.Now().UTC().Add(time.Duration(rng.IntN(200_000)-100_000) * time.Microsecond).Truncate(time.Microsecond)
					at[key] = r.Due
				}
				version, err := s.Save(t.Context(), r)
				require.NoError(t, err)
				r.Version = version
				stored[key] = r
			}
		}
	})
}
