package integration

import (
	"database/sql"
	"errors"
	"sync"
	"testing"

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
	return r
}

// requireRecord requires that r is stored, and that its Crisp ids lead to it.
func requireRecord(t testing.TB, store handover.Store, r handover.Record) {
	t.Helper()
	loaded, err := store.Load(t.Context(), r.Key)
	require.NoError(t, err)
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
	var versions int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM replicas_schema").Scan(&versions))
	require.Equal(t, 1, versions, "each migration ran once")

	r := handover.Record{Key: "key"}
	for _, store := range replicas {
		r = saveRecord(t, store, r)
	}
}

// benchmarkStore measures a change of a record, as the library makes several of for each message:
// one Load and one Save of 4 KiB.
func benchmarkStore(b *testing.B, store handover.Store) {
	b.Helper()
	saveRecord(b, store, handover.Record{Key: "key", CrispIDs: []string{"site/session"}, Data: make([]byte, 4096)})
	for b.Loop() {
		r, err := store.Load(b.Context(), "key")
		require.NoError(b, err)
		saveRecord(b, store, r)
	}
}
