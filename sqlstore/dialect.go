package sqlstore

import (
	"errors"
	"strings"
)

// dialect is what differs between the databases.
type dialect struct {
	// version is the expression for a record's next version. It has to grow with each record
	// written, whichever it is: so no version ever comes twice, also when a key is stored again
	// after a Delete, whatever the clocks of the replicas show.
	version string
	// parameter is the sign before a parameter's number.
	parameter string
	// lock are the statements that keep others from migrating until the transaction ends. None
	// where a transaction that writes locks the database anyway.
	lock []string
	// migrations make the schema. Migration n leads from version n to version n+1 and is never
	// changed once released; the previous release must be able to work with what it makes, since
	// replicas are replaced one by one.
	migrations [][]string
	// passing reports whether an error says that the same work will do later: a lock that others
	// hold, a deadlock, a serialization failure.
	passing func(error) bool
}

var dialects = map[Dialect]dialect{
	PostgreSQL: {
		version:   "nextval('{prefix}version')",
		parameter: "$",
		lock: []string{
			// The stricter levels would not show what was migrated while this one waited for the lock.
			"SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
			"SELECT pg_advisory_xact_lock(7521414230331254130)", // "handover" in ASCII
		},
		migrations: [][]string{{
			`CREATE SEQUENCE {prefix}version`,
			`CREATE TABLE {prefix}record (
				key       TEXT COLLATE "C" PRIMARY KEY,
				version   BIGINT NOT NULL,
				due       BIGINT,
				crisp_ids TEXT NOT NULL,
				data      BYTEA NOT NULL
			)`,
			`CREATE INDEX {prefix}record_due ON {prefix}record (due)`,
			`CREATE TABLE {prefix}crisp_id (
				crisp_id TEXT COLLATE "C" PRIMARY KEY,
				key      TEXT COLLATE "C" NOT NULL
			)`,
			`CREATE INDEX {prefix}crisp_id_key ON {prefix}crisp_id (key)`,
		}},
		passing: func(err error) bool {
			const serializationFailure, deadlockDetected = "40001", "40P01"
			state := sqlState(err)
			return state == serializationFailure || state == deadlockDetected
		},
	},
	SQLite: {
		version:   "(SELECT last + 1 FROM {prefix}version)",
		parameter: "?",
		migrations: [][]string{{
			`CREATE TABLE {prefix}version (last INTEGER NOT NULL)`,
			`INSERT INTO {prefix}version (last) VALUES (0)`,
			`CREATE TABLE {prefix}record (
				key       TEXT PRIMARY KEY NOT NULL,
				version   INTEGER NOT NULL,
				due       INTEGER,
				crisp_ids TEXT NOT NULL,
				data      BLOB NOT NULL
			)`,
			`CREATE TRIGGER {prefix}record_inserted AFTER INSERT ON {prefix}record
				BEGIN UPDATE {prefix}version SET last = new.version; END`,
			`CREATE TRIGGER {prefix}record_updated AFTER UPDATE ON {prefix}record
				BEGIN UPDATE {prefix}version SET last = new.version; END`,
			`CREATE INDEX {prefix}record_due ON {prefix}record (due)`,
			`CREATE TABLE {prefix}crisp_id (
				crisp_id TEXT PRIMARY KEY NOT NULL,
				key      TEXT NOT NULL
			)`,
			`CREATE INDEX {prefix}crisp_id_key ON {prefix}crisp_id (key)`,
		}},
		passing: func(err error) bool {
			// SQLITE_BUSY and SQLITE_LOCKED; each driver has its own type for them, all keep the text.
			return strings.Contains(err.Error(), "database is locked") ||
				strings.Contains(err.Error(), "database table is locked")
		},
	},
}

// queries are the statements that both databases understand.
type queries struct {
	load, find, update, replace, insert, release, claim, due, remove, count string

	makeSchema, schemaVersion, setSchemaVersion string
	migrations                                  [][]string
}

func (d dialect) queries(prefix string) queries {
	fill := strings.NewReplacer(
		"{prefix}", prefix,
		"{version}", strings.ReplaceAll(d.version, "{prefix}", prefix),
		"$", d.parameter,
	).Replace
	migrations := make([][]string, len(d.migrations))
	for i, statements := range d.migrations {
		for _, statement := range statements {
			migrations[i] = append(migrations[i], fill(statement))
		}
	}
	return queries{
		load: fill(`SELECT key, version, due, crisp_ids, data FROM {prefix}record WHERE key = $1`),
		find: fill(`SELECT r.key, r.version, r.due, r.crisp_ids, r.data
			FROM {prefix}crisp_id c JOIN {prefix}record r ON r.key = c.key WHERE c.crisp_id = $1`),

		// update changes a record whose Crisp ids stay, replace any.
		update: fill(`UPDATE {prefix}record SET version = {version}, due = $3, data = $4
			WHERE key = $1 AND version = $2 AND crisp_ids = $5 RETURNING version`),
		replace: fill(`UPDATE {prefix}record SET version = {version}, due = $3, data = $4, crisp_ids = $5
			WHERE key = $1 AND version = $2 RETURNING version`),
		insert: fill(`INSERT INTO {prefix}record (key, version, due, data, crisp_ids)
			VALUES ($1, {version}, $2, $3, $4) ON CONFLICT (key) DO NOTHING RETURNING version`),
		release: fill(`DELETE FROM {prefix}crisp_id WHERE key = $1`),
		claim:   fill(`INSERT INTO {prefix}crisp_id (crisp_id, key) VALUES ($1, $2) ON CONFLICT (crisp_id) DO NOTHING`),

		due:    fill(`SELECT key FROM {prefix}record WHERE due <= $1 ORDER BY due LIMIT $2`),
		remove: fill(`DELETE FROM {prefix}record WHERE key = $1 AND version = $2`),
		count:  fill(`SELECT count(*) FROM {prefix}record WHERE key = $1`),

		makeSchema:       fill(`CREATE TABLE IF NOT EXISTS {prefix}schema (version INTEGER NOT NULL)`),
		schemaVersion:    fill(`SELECT COALESCE(MAX(version), 0) FROM {prefix}schema`),
		setSchemaVersion: fill(`INSERT INTO {prefix}schema (version) VALUES ($1)`),
		migrations:       migrations,
	}
}

// missingTable reports whether an error says that there is no such table.
func missingTable(err error) bool {
	const undefinedTable = "42P01"
	return sqlState(err) == undefinedTable || strings.Contains(err.Error(), "no such table")
}

// sqlState returns PostgreSQL's code of an error, empty if it has none.
func sqlState(err error) string {
	var coded interface{ SQLState() string } // pgx and lib/pq
	if !errors.As(err, &coded) {
		return ""
	}
	return coded.SQLState()
}
