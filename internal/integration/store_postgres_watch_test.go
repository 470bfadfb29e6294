package integration

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/sqlstore"
)

// listen is Options.Listen for pgx, as the package's documentation has it.
func listen(config *pgx.ConnConfig) func(ctx context.Context, channel string, notified func(payload string)) error {
	return func(ctx context.Context, channel string, notified func(payload string)) error {
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return err
		}
		for notified(""); ; {
			n, err := conn.WaitForNotification(ctx)
			if err != nil {
				return err
			}
			notified(n.Payload)
		}
	}
}

// watchedStore has tables with a prefix of their own: notifications go to the whole database, and
// other tests may use it.
func watchedStore(t *testing.T, db *sql.DB, config *pgx.ConnConfig) *sqlstore.Store {
	t.Helper()
	_, random, _ := strings.Cut(config.RuntimeParams["search_path"], "_")
	store, err := sqlstore.New(db, sqlstore.PostgreSQL, sqlstore.Options{
		Prefix: "test_" + random[:20] + "_", Listen: listen(config),
	})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

func TestStorePostgresListen(t *testing.T) {
	config := postgresConfig(t)
	handovertest.TestStore(t, func(t *testing.T) handover.Store {
		config := postgresSchema(t, config, nil)
		return watchedStore(t, openPostgres(t, config), config)
	})
}

// TestStorePostgresListenLost drops the connection that listens: Watch ends with an error, and works
// when it is called again. Another replica's save is heard both times.
func TestStorePostgresListenLost(t *testing.T) {
	config := postgresSchema(t, postgresConfig(t), nil)
	store, other := watchedStore(t, openPostgres(t, config), config), watchedStore(t, openPostgres(t, config), config)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := handover.Record{Key: "key"}
	for range 2 {
		keys, ended := make(chan string, 100), make(chan error, 1)
		go func() { ended <- store.Watch(ctx, func(key string) { keys <- key }) }()
		require.Equal(t, "", <-keys)
		r.Wake = true
		r = saveRecord(t, other, r)
		require.Equal(t, "key", <-keys)
		_, err := openPostgres(t, config).ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE application_name = current_setting('application_name') AND query LIKE 'LISTEN %'`)
		require.NoError(t, err)
		err = <-ended
		require.Error(t, err)
		require.NoError(t, ctx.Err())
	}
}

// TestStorePostgresClaimWhileSaving has a Save under way: Claim neither waits for it nor gives what
// it replaces.
func TestStorePostgresClaimWhileSaving(t *testing.T) {
	config := postgresSchema(t, postgresConfig(t), nil)
	db := openPostgres(t, config)
	store := postgresStore(t, db)
	saveRecord(t, store, handover.Record{Key: "saved", Due: time.Unix(1, 0)})
	saveRecord(t, store, handover.Record{Key: "other", Due: time.Unix(2, 0)})
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "UPDATE handover_record SET version = version + 1000 WHERE key = 'saved'")
	require.NoError(t, err)

	claimed, err := store.Claim(t.Context(), 10, time.Minute)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.Equal(t, "other", claimed[0].Key)
	require.NoError(t, tx.Commit())
	claimed, err = store.Claim(t.Context(), 10, time.Minute)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.Equal(t, "saved", claimed[0].Key)
	saveRecord(t, store, claimed[0])
}
