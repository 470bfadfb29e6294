package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// mysqlKill ends all connections to a database but those of admin, also those that wait for locks. It returns
// how many there were.
func mysqlKill(t testing.TB, admin *sql.DB, database string) (killed int) {
	t.Helper()
	rows, err := admin.QueryContext(t.Context(), `SELECT ID FROM information_schema.PROCESSLIST
		WHERE DB = ? AND ID <> CONNECTION_ID()`, database)
	require.NoError(t, err)
	var ids []int
	for rows.Next() {
		var id int
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(t, rows.Err())
	for _, id := range ids {
		_, err := admin.ExecContext(t.Context(), fmt.Sprint("KILL CONNECTION ", id))
		const noSuchThread = 1094
		var gone *mysql.MySQLError
		if errors.As(err, &gone) && gone.Number == noSuchThread {
			continue
		}
		require.NoError(t, err)
		killed++
	}
	return killed
}

// TestStoreMySQLInterrupted stops a Save while it waits for a lock in the middle of its work: it is stored whole
// or not at all, and the store works on.
func TestStoreMySQLInterrupted(t *testing.T) {
	blockers := map[string]string{ // what another transaction does, so that Save has to wait for it
		"at the record":   "UPDATE handover_record SET due = 1 WHERE `key` = 'key'",
		"at the Crisp id": "INSERT INTO handover_crisp_id (crisp_id, `key`) VALUES ('b', 'other')",
	}
	for where, blocker := range blockers {
		t.Run("connection killed "+where, func(t *testing.T) {
			config := mysqlConfig(t)
			admin := openMySQL(t, config)
			database := mysqlDatabase(t, config)
			err := interruptMySQL(t, t.Context(), config, database, blocker, func() {
				require.NotZero(t, mysqlKill(t, admin, database.DBName))
			})
			require.ErrorIs(t, err, mysql.ErrInvalidConn)
		})
		t.Run("cancelled "+where, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			config := mysqlConfig(t)
			err := interruptMySQL(t, ctx, config, mysqlDatabase(t, config), blocker, cancel)
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

// interruptMySQL starts a Save with ctx, interrupts it while it waits for the blocker, and returns
// its error. The blocker's connection has no database, so that it is not killed.
func interruptMySQL(t *testing.T, ctx context.Context, config, database *mysql.Config, blocker string, interrupt func()) error {
	t.Helper()
	store := mysqlStore(t, openMySQL(t, database))
	r := saveRecord(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Data: []byte("old")})

	other := openMySQL(t, config)
	tx, err := other.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), strings.Replace(blocker, "handover_", database.DBName+".handover_", 1))
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
			err := other.QueryRowContext(t.Context(), `SELECT count(*) FROM information_schema.INNODB_TRX x
				JOIN information_schema.PROCESSLIST p ON p.ID = x.trx_mysql_thread_id
				WHERE p.DB = ? AND x.trx_state = 'LOCK WAIT'`, database.DBName).Scan(&waiting)
			return err == nil && waiting == want
		}, 30*time.Second, 150*time.Millisecond) // the table is made anew only if nobody has read it for 100 ms
	}
	waiting(1)
	interrupt()
	failure := <-saved
	require.NoError(t, tx.Rollback())
	waiting(0) // the driver returns before the server hears of it

	requireRecord(t, store, r)
	require.Empty(t, findRecord(t, store, "b"))
	require.Empty(t, findRecord(t, store, "c"))
	requireRecord(t, store, saveRecord(t, store, change))
	require.Empty(t, findRecord(t, store, "a"))
	return failure
}

// TestStoreMySQLKilledWriters has two replicas change a record at once, while their connections are killed again
// and again. No change is lost that was told to be stored, and none is stored twice.
func TestStoreMySQLKilledWriters(t *testing.T) {
	config := mysqlConfig(t)
	admin := openMySQL(t, config)
	database := mysqlDatabase(t, config)
	store := mysqlStore(t, openMySQL(t, database))
	saveRecord(t, store, handover.Record{Key: "key", Data: []byte("0")})

	const each = 100
	var writers sync.WaitGroup
	var unknown [2]int
	done := make(chan struct{})
	for i := range unknown {
		replica := mysqlStore(t, openMySQL(t, database))
		writers.Go(func() {
			for stored := 0; stored < each; {
				if err := increment(t.Context(), replica); err == nil {
					stored++
				} else {
					unknown[i]++
				}
			}
		})
	}
	go func() { writers.Wait(); close(done) }()
	killed := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
			if killed < 60 { // where all is slow, nothing would ever end in time
				killed += mysqlKill(t, admin, database.DBName)
			}
		}
	}
	t.Logf("%d connections killed, %d outcomes unknown", killed, unknown[0]+unknown[1])
	require.NotZero(t, killed)
	got := number(t, store)
	require.GreaterOrEqual(t, got, len(unknown)*each)
	require.LessOrEqual(t, got, len(unknown)*each+unknown[0]+unknown[1])
}

// TestStoreMySQLDropsIdle ends all connections while nobody uses them. Each may fail once, with
// nothing stored; then the pool has new ones.
func TestStoreMySQLDropsIdle(t *testing.T) {
	config := mysqlConfig(t)
	database := mysqlDatabase(t, config)
	db := openMySQL(t, database)
	store := mysqlStore(t, db)
	r := saveRecord(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Data: []byte("data")})
	require.NotZero(t, mysqlKill(t, openMySQL(t, config), database.DBName))
	requireRecovers(t, store, r, db.Stats().OpenConnections)
}

// TestStoreMySQLDeadlock lets two writers exchange their Crisp ids at the same moment, which
// InnoDB answers with deadlocks: the store repeats what was undone, and nobody sees them.
func TestStoreMySQLDeadlock(t *testing.T) {
	config := mysqlConfig(t)
	store := mysqlStore(t, openMySQL(t, mysqlDatabase(t, config)))
	deadlocks := func() (n int) {
		require.NoError(t, openMySQL(t, config).QueryRowContext(t.Context(),
			"SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'lock_deadlocks'").Scan(&n))
		return n
	}
	before := deadlocks()
	exchangeCrispIDs(t, store)
	t.Logf("%d deadlocks", deadlocks()-before)
}

// TestStoreMySQLClaimWhileSaving has a Save under way: Claim neither waits for it nor gives what
// it replaces.
func TestStoreMySQLClaimWhileSaving(t *testing.T) {
	db := openMySQL(t, mysqlDatabase(t, mysqlConfig(t)))
	store := mysqlStore(t, db)
	saveRecord(t, store, handover.Record{Key: "saved", Due: time.Unix(1, 0)})
	saveRecord(t, store, handover.Record{Key: "other", Due: time.Unix(2, 0)})
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "UPDATE handover_record SET version = version + 1000 WHERE `key` = 'saved'")
	require.NoError(t, err)

	requireClaim := func(key string) {
		t.Helper()
		claimed, err := store.Claim(t.Context(), 10, time.Minute)
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		require.Equal(t, key, claimed[0].Key)
	}
	requireClaim("other")
	require.NoError(t, tx.Commit())
	requireClaim("saved")
}
