package integration

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/sqlstore"
)

const (
	sqliteWAL      = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
	sqliteNoWait   = "?_pragma=busy_timeout(0)&_pragma=journal_mode(WAL)"
	sqliteRollback = "?_pragma=busy_timeout(0)&_pragma=journal_mode(DELETE)"
)

func openSQLite(t testing.TB, path, options string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func sqliteStore(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

func TestStoreSQLite(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{
		"WAL": sqliteWAL, "no busy timeout": sqliteNoWait, "rollback journal": sqliteRollback,
		"immediate": sqliteWAL + "&_txlock=immediate",
	} {
		t.Run(name, func(t *testing.T) {
			handovertest.TestStore(t, func(t *testing.T) handover.Store {
				return sqliteStore(t, openSQLite(t, filepath.Join(t.TempDir(), "handover.db"), options))
			})
		})
	}
	t.Run("in memory", func(t *testing.T) {
		handovertest.TestStore(t, func(t *testing.T) handover.Store {
			db := openSQLite(t, ":memory:", "")
			db.SetMaxOpenConns(1)
			return sqliteStore(t, db)
		})
	})
}

func TestStoreSQLiteMigrateAtOnce(t *testing.T) {
	for name, options := range map[string]string{"WAL": sqliteNoWait, "rollback journal": sqliteRollback} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "handover.db")
			openSQLite(t, path, options)
			var replicas []*sqlstore.Store
			for range 10 {
				store, err := sqlstore.New(openSQLite(t, path, options), sqlstore.SQLite, sqlstore.Options{Prefix: "replicas_"})
				require.NoError(t, err)
				replicas = append(replicas, store)
			}
			requireMigrateAtOnce(t, openSQLite(t, path, options), replicas)
		})
	}
}

// TestStoreSQLiteReaderInTheWay holds a read lock while a Save commits. With a rollback journal
// that commit fails, and must not pass for one that worked.
func TestStoreSQLiteReaderInTheWay(t *testing.T) {
	for name, ids := range map[string][]string{"same Crisp ids": {"a"}, "other Crisp ids": {"a", "b"}} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "handover.db")
			store := sqliteStore(t, openSQLite(t, path, sqliteRollback))
			r := saveRecord(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Data: []byte("old")})
			saveRecord(t, store, handover.Record{Key: "other"})

			reader, err := openSQLite(t, path, sqliteRollback).QueryContext(t.Context(), "SELECT key FROM handover_record")
			require.NoError(t, err)
			require.True(t, reader.Next())
			change := handover.Record{Key: "key", CrispIDs: ids, Version: r.Version, Data: []byte("new")}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err = store.Save(ctx, change)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NoError(t, reader.Close())

			requireRecord(t, store, r)
			requireRecord(t, store, saveRecord(t, store, change))
		})
	}
}

// sqliteWriter is the environment variable that makes TestStoreSQLiteWriter write: to the database
// that it names.
const sqliteWriter = "HANDOVER_TEST_SQLITE_WRITER"

// TestStoreSQLiteWriter is the body of a second process. It adds one to the number in the record
// "key" until its input ends, and says so each time.
func TestStoreSQLiteWriter(t *testing.T) {
	address := os.Getenv(sqliteWriter)
	if address == "" {
		return // not started by startWriter
	}
	db, err := sql.Open("sqlite", address)
	require.NoError(t, err)
	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	require.NoError(t, err)
	stop := make(chan struct{})
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		close(stop)
	}()
	for {
		select {
		case <-stop:
			return
		default:
			require.NoError(t, increment(t.Context(), store))
			_, err := os.Stdout.WriteString("saved\n")
			require.NoError(t, err)
		}
	}
}

// increment adds one to the number in the record "key", whose Crisp id is that number.
func increment(ctx context.Context, store handover.Store) error {
	for {
		r, err := store.Load(ctx, "key")
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(r.Data))
		if err != nil {
			return err
		}
		r.Data = []byte(strconv.Itoa(n + 1))
		r.CrispIDs = []string{"site/" + string(r.Data)}
		if _, err := store.Save(ctx, r); !errors.Is(err, handover.ErrConflict) {
			return err
		}
	}
}

// writer is another process that writes to the same database.
type writer struct {
	cmd    *exec.Cmd
	saved  *bufio.Scanner // a line for each change
	finish func() error   // asks it to end
}

func startWriter(t *testing.T, address string) *writer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStoreSQLiteWriter$")
	cmd.Env = append(os.Environ(), sqliteWriter+"="+address)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return &writer{cmd: cmd, saved: bufio.NewScanner(stdout), finish: stdin.Close}
}

// wait waits until the writer has saved n times, or ended, and returns how often it saved.
func (w *writer) wait(n int) (saved int) {
	for saved < n && w.saved.Scan() {
		if w.saved.Text() == "saved" {
			saved++
		}
	}
	return saved
}

// TestStoreSQLiteTwoWriters lets this process and another one change a record at once: no change
// is lost. Then the other one is killed in the middle: what it said is there, and nothing is torn.
func TestStoreSQLiteTwoWriters(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{"WAL": sqliteWAL, "no busy timeout": sqliteNoWait, "rollback journal": sqliteRollback} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "handover.db")
			db := openSQLite(t, path, options)
			store := sqliteStore(t, db)
			saveRecord(t, store, handover.Record{Key: "key", Data: []byte("0")})

			other := startWriter(t, "file:"+path+options)
			require.Equal(t, 1, other.wait(1))
			const ours = 50
			for range ours {
				require.NoError(t, increment(t.Context(), store))
			}
			require.NoError(t, other.finish())
			theirs := 1 + other.wait(1<<30)
			require.NoError(t, other.cmd.Wait())
			require.Equal(t, ours+theirs, number(t, store))

			other = startWriter(t, "file:"+path+options)
			said := other.wait(20)
			require.NoError(t, other.cmd.Process.Kill())
			said += other.wait(1 << 30)
			require.Error(t, other.cmd.Wait(), "it was not killed in the middle")
			done := number(t, store) - ours - theirs
			require.Contains(t, []int{said, said + 1}, done) // it may have saved without saying so
			require.NoError(t, increment(t.Context(), store))
			var check string
			require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&check))
			require.Equal(t, "ok", check)
		})
	}
}

// number returns the number in the record "key", after seeing that its Crisp id is the same and
// the only one known.
func number(t *testing.T, store handover.Store) int {
	t.Helper()
	r, err := store.Load(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, []string{"site/" + string(r.Data)}, r.CrispIDs)
	r.Now = time.Time{}
	requireRecord(t, store, r)
	n, err := strconv.Atoi(string(r.Data))
	require.NoError(t, err)
	require.Zero(t, findRecord(t, store, "site/"+strconv.Itoa(n-1)))
	return n
}

// TestStoreSQLiteAtOnce saves 64 conversations at once with the driver's own pool, and no busy
// timeout: the store has them take turns, and nobody finds the database locked.
func TestStoreSQLiteAtOnce(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{"WAL": sqliteNoWait, "rollback journal": sqliteRollback} {
		t.Run(name, func(t *testing.T) {
			store := sqliteStore(t, openSQLite(t, filepath.Join(t.TempDir(), "handover.db"), options))
			saveAtOnce(t, store, 64, 5)
			for i := range 64 {
				r := findRecord(t, store, "site/session "+strconv.Itoa(i))
				require.Equal(t, "conversation "+strconv.Itoa(i), r.Key)
			}
		})
	}
}

func BenchmarkStoreSQLite(b *testing.B) {
	benchmarkStore(b, func(b *testing.B) handover.Store {
		return sqliteStore(b, openSQLite(b, filepath.Join(b.TempDir(), "handover.db"), sqliteWAL))
	}, nil)
}
