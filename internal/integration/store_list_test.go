package integration

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/sqlstore"
)

// statementsSent keeps what is sent to PostgreSQL.
type statementsSent struct {
	mu   sync.Mutex
	last pgx.TraceQueryStartData
}

func (s *statementsSent) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = data
	return ctx
}

func (s *statementsSent) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Among many records that are not live, those that are live are found by an index of theirs, and a page of all
// records is found by the primary key.
func TestStorePostgresListPlans(t *testing.T) {
	config := postgresSchema(t, postgresConfig(t), nil)
	sent := new(statementsSent)
	config.Tracer = sent
	db := openPostgres(t, config)
	store := postgresStore(t, db)
	_, err := db.ExecContext(t.Context(), `INSERT INTO handover_record (key, version, crisp_ids, data, live)
		SELECT 'site/chat/' || n, n, '[]', '', n % 1000 = 0 FROM generate_series(1, 20000) n`)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "ANALYZE handover_record")
	require.NoError(t, err)
	for _, q := range []handover.ListQuery{
		{Live: true, Limit: 100}, {Live: true, Limit: 100, Prefix: "site/", After: "site/chat/19"}, {Limit: 100, Prefix: "site/chat/", After: "site/chat/2"},
	} {
		records, err := store.List(t.Context(), q)
		require.NoError(t, err)
		require.NotEmpty(t, records)
		rows, err := db.QueryContext(t.Context(), "EXPLAIN "+sent.last.SQL, sent.last.Args...)
		require.NoError(t, err)
		plan := textOf(t, rows)
		index := "using handover_record_pkey"
		if q.Live {
			index = "handover_record_live" // by its order, or all of it if there is little
		}
		require.Contains(t, plan, index)
		require.NotContains(t, plan, "Seq Scan")
	}
}

// textOf returns the lines that a query tells its plan in.
func textOf(t *testing.T, rows *sql.Rows) string {
	t.Helper()
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		lines = append(lines, line)
	}
	require.NoError(t, rows.Err())
	return strings.Join(lines, "\n")
}

// TestStoreListsWhatWasStoredBefore migrates tables of the first schema version: what is stored counts as live until it is
// saved again.
func TestStoreListsWhatWasStoredBefore(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (*sql.DB, *sqlstore.Store){
		"PostgreSQL": func(t *testing.T) (*sql.DB, *sqlstore.Store) {
			db := openPostgres(t, postgresSchema(t, postgresConfig(t), nil))
			return db, postgresStore(t, db)
		},
		"SQLite": func(t *testing.T) (*sql.DB, *sqlstore.Store) {
			db := openSQLite(t, filepath.Join(t.TempDir(), "handover.db"), sqliteWAL)
			return db, sqliteStore(t, db)
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, store := open(t)
			r := saveRecord(t, store, handover.Record{Key: "key", Data: []byte("data")})
			for _, statement := range []string{
				"DROP INDEX handover_record_live", "ALTER TABLE handover_record DROP COLUMN live", "DELETE FROM handover_schema WHERE version > 1",
			} {
				_, err := db.ExecContext(t.Context(), statement)
				require.NoError(t, err, statement)
			}
			live := func() []handover.Record {
				all, err := store.List(t.Context(), handover.ListQuery{Live: true, Limit: 10})
				require.NoError(t, err)
				return all
			}
			require.NoError(t, store.Migrate(t.Context()))
			require.Len(t, live(), 1)
			r = saveRecord(t, store, r)
			require.Empty(t, live())
			r.Live = true
			saveRecord(t, store, r)
			require.Len(t, live(), 1)
		})
	}
}
