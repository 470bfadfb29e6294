package integration

import (
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/sqlstore"
)

// saveRecord saves r and returns it with its new version.
func saveRecord(t testing.TB, store handover.Store, r handover.Record) handover.Record {
	t.Helper()
	version, err := store.Save(t.Context(), r)
	require.NoError(t, err)
	r.Version = version
	return r
}

func findRecord(t testing.TB, store handover.Store, crispID string) handover.Record {
	t.Helper()
	r, err := store.Find(t.Context(), crispID)
	require.NoError(t, err)
	r.Now = time.Time{} // is no part of what is stored
	return r
}

// requireRecord requires that r is stored, and that its Crisp ids lead to it.
func requireRecord(t testing.TB, store handover.Store, r handover.Record) {
	t.Helper()
	loaded, err := store.Load(t.Context(), r.Key)
	require.NoError(t, err)
	loaded.Now = time.Time{}
	require.Equal(t, r, loaded)
	for _, id := range r.CrispIDs {
		require.Equal(t, r, findRecord(t, store, id))
	}
}

// requireMigrateAtOnce migrates with all replicas at the same time, twice, and uses the result.
// The replicas have the prefix "replicas_"; db is the same database.
func requireMigrateAtOnce(t *testing.T, db *sql.DB, replicas []*sqlstore.Store) {
	t.Helper()
	_, err := replicas[0].Load(t.Context(), "key")
	require.ErrorContains(t, err, "call Migrate first")
	for range 2 {
		errs := make([]error, len(replicas))
		start := make(chan struct{})
		var calls sync.WaitGroup
		for i, store := range replicas {
			calls.Go(func() {
				<-start
				errs[i] = store.Migrate(t.Context())
			})
		}
		close(start)
		calls.Wait()
		require.NoError(t, errors.Join(errs...))
	}
	var migrations, version int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*), max(version) FROM replicas_schema").Scan(&migrations, &version))
	require.Equal(t, version, migrations, "each migration ran once")

	r := handover.Record{Key: "key"}
	for _, store := range replicas {
		r = saveRecord(t, store, r)
	}
}

// benchmarkStore measures a change of a record, as the library makes several of for each message:
// one Load and one Save of 4 KiB with another Due, in one conversation and in 64 at once.
func benchmarkStore(b *testing.B, open func(b *testing.B) handover.Store, after func(b *testing.B)) {
	for _, conversations := range []int{1, 64} {
		b.Run("conversations="+strconv.Itoa(conversations), func(b *testing.B) {
			store := open(b)
			saveAtOnce(b, store, conversations, 1)
			each := b.N/conversations + 1
			start := time.Now()
			b.ResetTimer()
			saveAtOnce(b, store, conversations, each)
			b.ReportMetric(float64(each*conversations)/time.Since(start).Seconds(), "saves/s")
			if after != nil {
				after(b)
			}
		})
	}
}

// saveAtOnce loads and saves so many conversations at the same time, each so often.
func saveAtOnce(t testing.TB, store handover.Store, conversations, each int) {
	t.Helper()
	text := make([]byte, 3072) // base64 makes 4 KiB of it; it is hard to compress, as in the worst case
	_, err := rand.Read(text)
	require.NoError(t, err)
	data := []byte(base64.StdEncoding.EncodeToString(text))
	errs := make([]error, conversations)
	var all sync.WaitGroup
	for i := range conversations {
		all.Go(func() {
			key := "conversation " + strconv.Itoa(i)
			for range each {
				r, err := store.Load(t.Context(), key)
				if err == nil {
					r.Key, r.CrispIDs, r.Data = key, []string{"site/session " + strconv.Itoa(i)}, data
					r.Due = time.Now().Add(time.Minute)
					_, err = store.Save(t.Context(), r)
				}
				if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}

// exchangeCrispIDs has two writers take each other's Crisp ids, again and again.
func exchangeCrispIDs(t *testing.T, store handover.Store) {
	t.Helper()
	var writers sync.WaitGroup
	errs := make([]error, 2)
	for i, key := range []string{"one", "two"} {
		writers.Go(func() {
			r := handover.Record{Key: key}
			for n := range 200 {
				r.CrispIDs = []string{[]string{"a", "b"}[(i+n)%2]}
				version, err := store.Save(t.Context(), r)
				if err == nil {
					r.Version = version
				} else if !errors.Is(err, handover.ErrTaken) {
					errs[i] = err
					return
				}
			}
		})
	}
	writers.Wait()
	require.NoError(t, errors.Join(errs...))
}
