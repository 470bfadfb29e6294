package integration

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/sqlstore"
)

// TestStoreMigrations makes the tables from what sqlstore.Migrations gives, as other tools do: statement by statement, and as
// a script. The store works with them, and Migrate has nothing to do: it may not write.
func TestStoreMigrations(t *testing.T) {
	for name, database := range map[string]struct {
		dialect sqlstore.Dialect
		open    func(t *testing.T) (db, readOnly *sql.DB)
	}{
		"PostgreSQL": {sqlstore.PostgreSQL, func(t *testing.T) (db, readOnly *sql.DB) {
			config := postgresSchema(t, postgresConfig(t), nil)
			db = openPostgres(t, config)
			config = config.Copy()
			config.RuntimeParams["default_transaction_read_only"] = "on"
			return db, openPostgres(t, config)
		}},
		"MySQL": {sqlstore.MySQL, func(t *testing.T) (db, readOnly *sql.DB) {
			config := mysqlDatabase(t, mysqlConfig(t), func(c *mysql.Config) { c.MultiStatements = true })
			db = openMySQL(t, config)
			config = config.Clone()
			config.Params = map[string]string{"tx_read_only": "1"} // by its name in MariaDB
			return db, openMySQL(t, config)
		}},
		"SQLite": {sqlstore.SQLite, func(t *testing.T) (db, readOnly *sql.DB) {
			path := filepath.Join(t.TempDir(), "handover.db")
			return openSQLite(t, path, sqliteWAL), openSQLite(t, path, "?_pragma=query_only(1)")
		}},
	} {
		for how, run := range map[string]func(t *testing.T, db *sql.DB, m sqlstore.Migration){
			"statements": func(t *testing.T, db *sql.DB, m sqlstore.Migration) {
				for _, statement := range m.Statements {
					_, err := db.ExecContext(t.Context(), statement)
					require.NoError(t, err, statement)
				}
			},
			"script": func(t *testing.T, db *sql.DB, m sqlstore.Migration) {
				_, err := db.ExecContext(t.Context(), m.SQL())
				require.NoError(t, err)
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				db, readOnly := database.open(t)
				steps, err := sqlstore.Migrations(database.dialect, "")
				require.NoError(t, err)
				for _, m := range steps {
					run(t, db, m)
				}
				reader, err := sqlstore.New(readOnly, database.dialect, sqlstore.Options{})
				require.NoError(t, err)
				require.NoError(t, reader.Migrate(t.Context()))
				_, err = reader.Save(t.Context(), handover.Record{Key: "key"})
				require.Error(t, err, "it may write")

				store, err := sqlstore.New(db, database.dialect, sqlstore.Options{})
				require.NoError(t, err)
				require.NoError(t, store.Migrate(t.Context()))
				r := saveRecord(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Live: true, Data: []byte("data")})
				requireRecord(t, store, r)
			})
		}
	}
}

// TestStorePostgresMigrateAfterDrop drops the tables, which leaves what is not theirs, the function. Migrate makes the tables again, and
// no version comes twice.
func TestStorePostgresMigrateAfterDrop(t *testing.T) {
	db := openPostgres(t, postgresSchema(t, postgresConfig(t), nil))
	first := saveRecord(t, postgresStore(t, db), handover.Record{Key: "key", CrispIDs: []string{"a"}})
	rows, err := db.QueryContext(t.Context(), "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
	require.NoError(t, err)
	var tables []string
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	require.NoError(t, rows.Err())
	require.Len(t, tables, 4)
	_, err = db.ExecContext(t.Context(), "DROP TABLE "+strings.Join(tables, ", "))
	require.NoError(t, err)

	store := postgresStore(t, db)
	r := saveRecord(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Data: []byte("data")})
	requireRecord(t, store, r)
	require.NotEqual(t, first.Version, r.Version)
}
