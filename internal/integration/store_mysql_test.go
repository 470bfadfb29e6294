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

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/sqlstore"
)

// mysqlAddresses are where the tests look for a MySQL or MariaDB that they may use.
var mysqlAddresses = []string{
	os.Getenv("HANDOVER_MYSQL"),
	"root@tcp(127.0.0.1:3306)/test",
}

// mysqlConfig returns how to reach MySQL. Without one the test fails, unless HANDOVER_MYSQL=none says
// that there is none.
func mysqlConfig(t testing.TB) *mysql.Config {
	t.Helper()
	if mysqlAddresses[0] == "none" {
		t.Skip("HANDOVER_MYSQL=none: not tested on MySQL")
	}
	var errs []error
	for _, address := range mysqlAddresses {
		if address == "" {
			continue
		}
		config, err := mysql.ParseDSN(address)
		require.NoError(t, err)
		config.Logger = &mysql.NopLogger{} // the tests break connections
		err = openMySQL(t, config).PingContext(t.Context())
		if err == nil {
			return config
		}
		errs = append(errs, err)
	}
	t.Fatalf("no MySQL: start one, or say in HANDOVER_MYSQL where it is, or that there is none: %v", errors.Join(errs...))
	return nil
}

// mysqlDatabase makes an empty database for this test. It returns an address of it that any number
// of pools may be opened with.
func mysqlDatabase(t testing.TB, config *mysql.Config, options ...func(*mysql.Config)) *mysql.Config {
	t.Helper()
	name := "handover_" + strings.ToLower(rand.Text())
	admin := openMySQL(t, config)
	_, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE "+name)
		require.NoError(t, err)
	})
	config = config.Clone()
	config.DBName = name
	for _, option := range options {
		option(config)
	}
	return config
}

func openMySQL(t testing.TB, config *mysql.Config) *sql.DB {
	connector, err := mysql.NewConnector(config)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(64)               // as the documentation says
	t.Cleanup(func() { _ = db.Close() }) // fails where the server has ended a connection
	return db
}

func mysqlStore(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(db, sqlstore.MySQL, sqlstore.Options{})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

// odd are settings of a driver and a server that change what statements and their results mean: the store
// needs none of them, and minds none.
func odd(c *mysql.Config) {
	c.InterpolateParams, c.ClientFoundRows, c.ParseTime = true, true, true
	_ = c.Apply(mysql.Charset("latin1", "")) // never fails
	c.Params = map[string]string{
		"tx_isolation":     "'SERIALIZABLE'", // by its name in MariaDB
		"sql_mode":         "'ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
		"time_zone":        "'+05:30'",
		"sql_safe_updates": "1",
	}
}

func TestStoreMySQL(t *testing.T) {
	for name, options := range map[string][]func(*mysql.Config){"default": nil, "odd settings": {odd}} {
		t.Run(name, func(t *testing.T) {
			config := mysqlConfig(t)
			handovertest.TestStore(t, func(t *testing.T) handover.Store {
				return mysqlStore(t, openMySQL(t, mysqlDatabase(t, config, options...)))
			})
		})
	}
}

func TestStoreMySQLMigrateAtOnce(t *testing.T) {
	config := mysqlDatabase(t, mysqlConfig(t))
	var replicas []*sqlstore.Store
	for range 10 {
		db := openMySQL(t, config)
		store, err := sqlstore.New(db, sqlstore.MySQL, sqlstore.Options{Prefix: "replicas_"})
		require.NoError(t, err)
		require.NoError(t, db.PingContext(t.Context())) // so that they do not queue up for connections
		replicas = append(replicas, store)
	}
	requireMigrateAtOnce(t, openMySQL(t, config), replicas)
}

// TestStoreMySQLMigrateAgain interrupts a migration: MySQL has kept what was done, and the next Migrate does the rest.
func TestStoreMySQLMigrateAgain(t *testing.T) {
	db := openMySQL(t, mysqlDatabase(t, mysqlConfig(t)))
	store := mysqlStore(t, db)
	r := saveRecord(t, store, handover.Record{Key: "key", Data: []byte("data")})
	for _, statement := range []string{"DROP TABLE handover_crisp_id", "DELETE FROM handover_schema"} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	store = mysqlStore(t, db)
	r.CrispIDs = []string{"a"}
	r = saveRecord(t, store, r)
	requireRecord(t, store, r)
}

// TestStoreMySQLStatements counts what the store sends to the server. BEGIN and COMMIT count, and what sets the isolation.
func TestStoreMySQLStatements(t *testing.T) {
	db := openMySQL(t, mysqlDatabase(t, mysqlConfig(t), func(c *mysql.Config) { c.InterpolateParams = true }))
	db.SetMaxOpenConns(1)
	store := mysqlStore(t, db)
	r := saveRecord(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: time.Unix(1, 0)})

	questions := func() (name string, n int) {
		require.NoError(t, db.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Questions'").Scan(&name, &n))
		return name, n
	}
	count := func(what string, want int, call func() error) {
		t.Helper()
		_, before := questions()
		err := call()
		_, after := questions()
		require.NoError(t, err, what)
		require.Equal(t, want, after-before-1, what)
	}
	save := func() (err error) { r.Version, err = store.Save(t.Context(), r); return err }
	count("Load", 1, func() error { _, err := store.Load(t.Context(), "key"); return err })
	count("Find", 1, func() error { _, err := store.Find(t.Context(), "a"); return err })
	count("Save", 1, save)
	r.Due = time.Unix(2, 0)
	count("Save with another Due", 1, save)
	claim := func() error { _, err := store.Claim(t.Context(), 10, time.Hour); return err }
	count("Claim", 6, claim)
	count("Claim of nothing", 1, claim)
	r.CrispIDs = []string{"b", "c"}
	count("Save with two other Crisp ids", 8, save)
	count("Delete", 1, func() error { return store.Delete(t.Context(), "key", r.Version) })
}

// TestStoreMySQLReadsLittle counts the rows that InnoDB reads among 20,000 that are due: no more than are given.
func TestStoreMySQLReadsLittle(t *testing.T) {
	db := openMySQL(t, mysqlDatabase(t, mysqlConfig(t)))
	db.SetMaxOpenConns(1)
	store := mysqlStore(t, db)
	_, err := db.ExecContext(t.Context(), `INSERT INTO handover_record (`+"`key`"+`, version, due, at, live, crisp_ids, data)
		WITH RECURSIVE d (d) AS (SELECT 0 UNION ALL SELECT d + 1 FROM d WHERE d < 99)
		SELECT concat('site/chat/', 100 * a.d + b.d), 1, a.d, b.d, b.d = 7, '[]', '' FROM d a, d b, (SELECT 1 UNION SELECT 2 LIMIT 1) c`)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "ANALYZE TABLE handover_record")
	require.NoError(t, err)
	read := func() (all int) {
		rows, err := db.QueryContext(t.Context(), "SHOW SESSION STATUS LIKE 'Handler_read%'")
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var name string
			var n int
			require.NoError(t, rows.Scan(&name, &n))
			all += n
		}
		require.NoError(t, rows.Err())
		return all
	}
	for what, list := range map[string]func() ([]handover.Record, error){
		"all": func() ([]handover.Record, error) {
			return store.List(t.Context(), handover.ListQuery{Limit: 50, Prefix: "site/", After: "site/chat/5"})
		},
		"live": func() ([]handover.Record, error) {
			return store.List(t.Context(), handover.ListQuery{Limit: 50, Live: true, Prefix: "site/", After: "site/chat/5"})
		},
		"claim":       func() ([]handover.Record, error) { return store.Claim(t.Context(), 50, time.Hour) },
		"claim again": func() ([]handover.Record, error) { return store.Claim(t.Context(), 50, time.Hour) },
	} {
		before := read()
		records, err := list()
		require.NoError(t, err)
		require.Len(t, records, 50, what)
		require.Less(t, read()-before, 400, what)
		t.Log(what, read()-before)
	}
}

func BenchmarkStoreMySQL(b *testing.B) {
	for name, interpolate := range map[string]bool{"default": false, "interpolated": true} {
		b.Run(name, func(b *testing.B) {
			benchmarkStore(b, func(b *testing.B) handover.Store {
				return mysqlStore(b, openMySQL(b, mysqlDatabase(b, mysqlConfig(b), func(c *mysql.Config) { c.InterpolateParams = interpolate })))
			}, nil)
		})
	}
}
