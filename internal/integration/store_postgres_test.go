package integration

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/sqlstore"
)

// postgresAddresses are where the tests look for a PostgreSQL that they may use.
var postgresAddresses = []string{
	os.Getenv("HANDOVER_POSTGRES"),
	"postgres:///test?host=/var/run/postgresql",
	"postgres://postgres@127.0.0.1:5432/test",
}

// postgresConfig returns how to reach PostgreSQL. Without one the test fails, unless
// HANDOVER_POSTGRES=none says that there is none.
func postgresConfig(t testing.TB) *pgx.ConnConfig {
	t.Helper()
	if postgresAddresses[0] == "none" {
		t.Skip("HANDOVER_POSTGRES=none: not tested on PostgreSQL")
	}
	var errs []error
	for _, address := range postgresAddresses {
		if address == "" {
			continue
		}
		config, err := pgx.ParseConfig(address)
		require.NoError(t, err)
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err == nil {
			require.NoError(t, conn.Close(t.Context()))
			return config
		}
		errs = append(errs, err)
	}
	t.Fatalf("no PostgreSQL: start one, or say in HANDOVER_POSTGRES where it is, or that there is none: %v", errors.Join(errs...))
	return nil
}

// postgresSchema makes an empty schema for this test. It returns an address of it that any number
// of pools may be opened with; settings are run-time parameters of their connections.
func postgresSchema(t testing.TB, config *pgx.ConnConfig, settings map[string]string) *pgx.ConnConfig {
	t.Helper()
	schema := "handover_" + strings.ToLower(rand.Text())
	admin := openPostgres(t, config)
	_, err := admin.ExecContext(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.WithoutCancel(t.Context()), "DROP SCHEMA "+schema+" CASCADE")
		require.NoError(t, err)
	})
	config = config.Copy()
	config.RuntimeParams["search_path"] = schema
	config.RuntimeParams["application_name"] = schema
	for name, value := range settings {
		config.RuntimeParams[name] = value
	}
	return config
}

func openPostgres(t testing.TB, config *pgx.ConnConfig) *sql.DB {
	db := stdlib.OpenDB(*config)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func postgresStore(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(db, sqlstore.PostgreSQL, sqlstore.Options{})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

func TestStorePostgres(t *testing.T) {
	for name, settings := range map[string]map[string]string{
		"default":         nil,
		"repeatable read": {"default_transaction_isolation": "repeatable read"},
		"serializable":    {"default_transaction_isolation": "serializable"},
	} {
		t.Run(name, func(t *testing.T) {
			config := postgresConfig(t)
			handovertest.TestStore(t, func(t *testing.T) handover.Store {
				return postgresStore(t, openPostgres(t, postgresSchema(t, config, settings)))
			})
		})
	}
}

func TestStorePostgresMigrateAtOnce(t *testing.T) {
	for _, isolation := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(isolation, func(t *testing.T) {
			config := postgresSchema(t, postgresConfig(t), map[string]string{"default_transaction_isolation": isolation})
			var replicas []*sqlstore.Store
			for range 10 {
				db := openPostgres(t, config)
				store, err := sqlstore.New(db, sqlstore.PostgreSQL, sqlstore.Options{Prefix: "replicas_"})
				require.NoError(t, err)
				require.NoError(t, db.PingContext(t.Context())) // so that they do not queue up for connections
				replicas = append(replicas, store)
			}
			requireMigrateAtOnce(t, openPostgres(t, config), replicas)
		})
	}
}

// TestStorePostgresInterrupted stops a Save while it waits for a lock in the middle of its work:
// nothing of it is stored, and the store works on.
func TestStorePostgresInterrupted(t *testing.T) {
	blockers := map[string]string{ // what another transaction does, so that Save has to wait for it
		"at the record":   "UPDATE handover_record SET due = due WHERE key = 'key'",
		"at the Crisp id": "INSERT INTO handover_crisp_id (crisp_id, key) VALUES ('b', 'other')",
	}
	for where, blocker := range blockers {
		t.Run("connection dropped "+where, func(t *testing.T) {
			config := postgresSchema(t, postgresConfig(t), nil)
			admin := openPostgres(t, config)
			err := interruptSave(t, t.Context(), config, blocker, func() {
				_, err := admin.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
					WHERE application_name = current_setting('application_name') AND wait_event_type = 'Lock'`)
				require.NoError(t, err)
			})
			require.ErrorContains(t, err, "57P01")
		})
		t.Run("cancelled "+where, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			err := interruptSave(t, ctx, postgresSchema(t, postgresConfig(t), nil), blocker, cancel)
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

// interruptSave starts a Save with ctx, interrupts it while it waits for the blocker, and returns
// its error.
func interruptSave(t *testing.T, ctx context.Context, config *pgx.ConnConfig, blocker string, interrupt func()) error {
	t.Helper()
	store := postgresStore(t, openPostgres(t, config))
	r := saveRecord(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Data: []byte("old")})

	other := openPostgres(t, config)
	tx, err := other.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), blocker)
	require.NoError(t, err)

	change := handover.Record{Key: "key", CrispIDs: []string{"b", "c"}, Data: []byte("new"), Version: r.Version}
	saved := make(chan error, 1)
	go func() {
		_, err := store.Save(ctx, change)
		saved <- err
	}()
	waiting := func(want int) {
		t.Helper()
		require.Eventually(t, func() bool {
			var waiting int
			err := other.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity
				WHERE application_name = current_setting('application_name') AND wait_event_type = 'Lock'`).Scan(&waiting)
			return err == nil && waiting == want
		}, 30*time.Second, time.Millisecond)
	}
	waiting(1)
	interrupt()
	failure := <-saved
	waiting(0) // the driver returns before the server hears of it
	require.NoError(t, tx.Rollback())

	requireRecord(t, store, r)
	require.Empty(t, findRecord(t, store, "b"))
	require.Empty(t, findRecord(t, store, "c"))
	requireRecord(t, store, saveRecord(t, store, change))
	require.Empty(t, findRecord(t, store, "a"))
	return failure
}

// TestStorePostgresDropsIdle ends all connections while nobody uses them. Each may fail once, with
// nothing stored; then the pool has new ones.
func TestStorePostgresDropsIdle(t *testing.T) {
	config := postgresSchema(t, postgresConfig(t), nil)
	db := openPostgres(t, config)
	store := postgresStore(t, db)
	r := saveRecord(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Data: []byte("data")})

	_, err := openPostgres(t, config).ExecContext(t.Context(), `SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
		WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()`)
	require.NoError(t, err)
	requireRecovers(t, store, r, db.Stats().OpenConnections)
}

// requireRecovers requires that r is still stored and can be saved, after at most the given number
// of failures.
func requireRecovers(t *testing.T, store handover.Store, r handover.Record, failures int) {
	t.Helper()
	for {
		version, err := store.Save(t.Context(), r)
		if err == nil {
			r.Version = version
			requireRecord(t, store, r)
			return
		}
		require.NotErrorIs(t, err, handover.ErrConflict)
		require.Positive(t, failures, "still failing: %v", err)
		failures--
	}
}

// TestStorePostgresDeadlock lets two writers exchange their Crisp ids at the same moment, which
// PostgreSQL answers with deadlocks: the store repeats what was undone, and nobody sees them.
func TestStorePostgresDeadlock(t *testing.T) {
	config := postgresSchema(t, postgresConfig(t), map[string]string{"deadlock_timeout": "1ms"})
	db := openPostgres(t, config)
	store := postgresStore(t, db)
	exchangeCrispIDs(t, store)
}
