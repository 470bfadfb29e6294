package integration

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// queryCounter counts what is sent to PostgreSQL.
type queryCounter struct{ n atomic.Int64 }

func (c *queryCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}

func (c *queryCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestStorePostgresRoundTrips requires that each call is one statement.
func TestStorePostgresRoundTrips(t *testing.T) {
	config := postgresSchema(t, postgresConfig(t), nil)
	var sent queryCounter
	config.Tracer = &sent
	store := postgresStore(t, openPostgres(t, config))
	one := func(what string, err error) {
		t.Helper()
		require.NoError(t, err, what)
		require.EqualValues(t, 1, sent.n.Swap(0), what)
	}
	sent.n.Store(0)
	r := handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: time.Unix(1, 0), Data: []byte("data")}
	save := func(what string) {
		t.Helper()
		var err error
		r.Version, err = store.Save(t.Context(), r)
		one(what, err)
	}
	save("insert")
	save("nothing changes")
	r.Due = time.Unix(2, 0)
	save("another Due")
	r.CrispIDs = []string{"b", "c"}
	save("other Crisp ids")
	r.Due = time.Time{}
	save("no Due")
	r.Due = time.Unix(3, 0)
	save("a Due again")
	_, err := store.Load(t.Context(), "key")
	one("Load", err)
	_, err = store.Find(t.Context(), "b")
	one("Find", err)
	claimed, err := store.Claim(t.Context(), 10, time.Minute)
	one("Claim", err)
	require.Len(t, claimed, 1)
	_, err = store.List(t.Context(), handover.ListQuery{Prefix: "k", Live: true, Limit: 10})
	one("List", err)

	_, err = store.Save(t.Context(), handover.Record{Key: "other", CrispIDs: []string{"b"}})
	require.ErrorIs(t, err, handover.ErrTaken)
	one("a taken Crisp id", nil)
	_, err = store.Save(t.Context(), handover.Record{Key: "key"})
	require.ErrorIs(t, err, handover.ErrConflict)
	one("a conflict", nil)
	one("Delete", store.Delete(t.Context(), "key", r.Version))
}

// TestStorePostgresHeapOnly requires that most saves write no index of the records: conversations
// that grow, are claimed, and change their Due and at times their Crisp ids.
func TestStorePostgresHeapOnly(t *testing.T) {
	config := postgresSchema(t, postgresConfig(t), nil)
	db := openPostgres(t, config)
	store := postgresStore(t, db)
	records := make([]handover.Record, 50)
	for i := range records {
		records[i] = saveRecord(t, store, handover.Record{Key: string(rune('A' + i)), CrispIDs: []string{string(rune('A' + i))}, Live: i%2 == 0, Data: make([]byte, 1000)})
	}
	const rounds = 20
	for round := range rounds {
		for i, r := range records {
			r.Due = time.Unix(int64(round), 0)
			r.Data = append(r.Data, "a line of text"...)
			if round%10 == 5 {
				r.CrispIDs = append(r.CrispIDs, r.CrispIDs[0]+string(rune('0'+round/10)))
			}
			records[i] = saveRecord(t, store, r)
		}
		claimed, err := store.Claim(t.Context(), 10, time.Minute)
		require.NoError(t, err)
		require.Len(t, claimed, 10)
	}
	require.NoError(t, db.Close())
	all, heapOnly := tableUpdates(t, openPostgres(t, config), "handover_record", rounds*len(records))
	require.EqualValues(t, rounds*len(records), all, "each save writes its record once, and Claim none")
	require.Greater(t, heapOnly, all*9/10, "saves that wrote no index, of %d", all)
}

// tableUpdates returns how many rows of a table were updated, and how many of them without an index
// being written, as soon as there were as many as wanted. The connections that wrote them are
// closed: until then they may keep their numbers for themselves.
func tableUpdates(t testing.TB, db *sql.DB, table string, want int) (all, heapOnly int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		return db.QueryRowContext(t.Context(), `SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
			WHERE schemaname = current_schema() AND relname = $1`, table).Scan(&all, &heapOnly) == nil && all >= int64(want)
	}, time.Minute, 10*time.Millisecond)
	return all, heapOnly
}

// BenchmarkStorePostgres counts the write-ahead log of all that use the server meanwhile.
func BenchmarkStorePostgres(b *testing.B) {
	var config *pgx.ConnConfig
	var before int64
	wal := func(db *sql.DB) (bytes int64) {
		require.NoError(b, db.QueryRowContext(b.Context(), "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").Scan(&bytes))
		return bytes
	}
	var db *sql.DB
	benchmarkStore(b, func(b *testing.B) handover.Store {
		config = postgresSchema(b, postgresConfig(b), nil)
		db = openPostgres(b, config)
		db.SetMaxIdleConns(64) // as a host does that has much to do: opening a connection costs more than a Save
		store := postgresStore(b, db)
		before = wal(db)
		return store
	}, func(b *testing.B) {
		b.ReportMetric(float64(wal(db)-before)/float64(b.N), "WAL-B/save")
		require.NoError(b, db.Close())
		all, heapOnly := tableUpdates(b, openPostgres(b, config), "handover_record", b.N)
		b.ReportMetric(100*float64(heapOnly)/float64(max(all, 1)), "%heap-only")
	})
}
