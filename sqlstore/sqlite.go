package sqlstore

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/crisphandover/handover"
)

// sqlite has one writer at a time, which the Store waits for in this process: connections that wait
// for each other in the database give up in no order. Its clock is this process's.
//
// Triggers keep the table of due records, so that most calls are one statement, which SQLite
// commits by itself.
var sqlite = dialect{
	parameter: "?$1",
	key:       "key",
	oneWriter: true,

	statements: statements{
		load: `SELECT 0, key, version, due, crisp_ids, data, live FROM {prefix}record WHERE key = $1`,
		find: `SELECT 0, r.key, r.version, r.due, r.crisp_ids, r.data, r.live
		FROM {prefix}crisp_id c JOIN {prefix}record r ON r.key = c.key WHERE c.crisp_id = $1`,

		// since is the place that the record had in the queue: what is returned has no order.
		claim: `UPDATE {prefix}due SET since = at, at = $3 + $2
		WHERE key IN (SELECT key FROM {prefix}due WHERE at <= $3 ORDER BY at LIMIT $1)
		RETURNING since, 0, key,
			(SELECT version FROM {prefix}record r WHERE r.key = {prefix}due.key),
			(SELECT due FROM {prefix}record r WHERE r.key = {prefix}due.key),
			(SELECT crisp_ids FROM {prefix}record r WHERE r.key = {prefix}due.key),
			(SELECT data FROM {prefix}record r WHERE r.key = {prefix}due.key),
			(SELECT live FROM {prefix}record r WHERE r.key = {prefix}due.key)`,

		insert: `INSERT INTO {prefix}record (key, version, due, data, crisp_ids, live)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (key) DO NOTHING RETURNING version`,
		// update changes a record whose Crisp ids stay, replace any.
		update: `UPDATE {prefix}record SET version = $2, due = $3, data = $4, live = $6
		WHERE key = $1 AND version = $7 AND crisp_ids = $5 RETURNING version`,
		replace: `UPDATE {prefix}record SET version = $2, due = $3, data = $4, crisp_ids = $5, live = $6
		WHERE key = $1 AND version = $7 RETURNING version`,
		release: `DELETE FROM {prefix}crisp_id WHERE key = $1`,
		take:    `INSERT INTO {prefix}crisp_id (crisp_id, key) VALUES ($1, $2) ON CONFLICT (crisp_id) DO NOTHING`,
		list: `SELECT 0, key, version, due, crisp_ids, data, live FROM {prefix}record
		WHERE key > $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT $4`,
		listLive: `SELECT 0, key, version, due, crisp_ids, data, live FROM {prefix}record
		WHERE key > $1 AND key >= $2 AND key < $3 AND live ORDER BY key LIMIT $4`,
		remove: `DELETE FROM {prefix}record WHERE key = $1 AND version = $2 RETURNING 1`,
	},

	migrations: []migration{{"tables", []string{
		`CREATE TABLE {prefix}record (
			key       TEXT PRIMARY KEY NOT NULL,
			version   INTEGER NOT NULL,
			due       INTEGER,
			crisp_ids TEXT NOT NULL,
			data      BLOB NOT NULL
		)`,
		`CREATE TABLE {prefix}due (
			key   TEXT PRIMARY KEY NOT NULL,
			at    INTEGER NOT NULL,
			since INTEGER
		) WITHOUT ROWID`,
		`CREATE INDEX {prefix}due_at ON {prefix}due (at)`,
		`CREATE TABLE {prefix}crisp_id (
			crisp_id TEXT PRIMARY KEY NOT NULL,
			key      TEXT NOT NULL
		) WITHOUT ROWID`,
		`CREATE INDEX {prefix}crisp_id_key ON {prefix}crisp_id (key)`,
		`CREATE TRIGGER {prefix}record_inserted AFTER INSERT ON {prefix}record BEGIN
			INSERT INTO {prefix}due (key, at) SELECT new.key, new.due WHERE new.due IS NOT NULL;
		END`,
		`CREATE TRIGGER {prefix}record_updated AFTER UPDATE ON {prefix}record BEGIN
			DELETE FROM {prefix}due WHERE key = new.key AND new.due IS NULL;
			INSERT INTO {prefix}due (key, at) SELECT new.key, new.due WHERE new.due IS NOT NULL
				ON CONFLICT (key) DO UPDATE SET at = excluded.at WHERE at <> excluded.at;
		END`,
		`CREATE TRIGGER {prefix}record_deleted AFTER DELETE ON {prefix}record BEGIN
			DELETE FROM {prefix}due WHERE key = old.key;
			DELETE FROM {prefix}crisp_id WHERE key = old.key;
		END`,
	}}, {"live", []string{
		// What was stored before counts as live until it is saved again.
		`ALTER TABLE {prefix}record ADD COLUMN live INTEGER NOT NULL DEFAULT 1`,
		`CREATE INDEX {prefix}record_live ON {prefix}record (key) WHERE live`,
	}}},
	passing: func(err error) bool {
		// SQLITE_BUSY and SQLITE_LOCKED; each driver has its own type for them, all keep the text.
		return strings.Contains(err.Error(), "database is locked") ||
			strings.Contains(err.Error(), "database table is locked")
	},
	missing: func(err error) bool { return strings.Contains(err.Error(), "no such table") },

	saveOne: func(ctx context.Context, s *Store, r handover.Record, row row) (version int64, err error) {
		if r.Version != 0 {
			version, err = scanNumber(s.db.QueryContext(ctx, s.update, r.Key, row.version, row.due, row.data, row.ids, r.Live, r.Version))
			if err != nil || version != 0 {
				return version, err
			}
		}
		err = s.inTx(ctx, func(tx *sql.Tx) error {
			version, err = s.saveWithIDs(ctx, tx, r, row)
			return err
		})
		return version, err
	},
	claimOnce:  claimInOne,
	removeOnce: removeInOne,
}

// saveWithIDs inserts or updates the record, and lets its Crisp ids lead to it and no others. Its first
// statement writes: a transaction that has read first may find that it cannot write any more.
func (s *Store) saveWithIDs(ctx context.Context, tx *sql.Tx, r handover.Record, row row) (version int64, err error) {
	if r.Version == 0 {
		version, err = scanNumber(tx.QueryContext(ctx, s.insert, r.Key, row.version, row.due, row.data, row.ids, r.Live))
	} else {
		version, err = scanNumber(tx.QueryContext(ctx, s.replace, r.Key, row.version, row.due, row.data, row.ids, r.Live, r.Version))
	}
	if err != nil {
		return 0, err
	}
	if version == 0 {
		return 0, handover.ErrConflict
	}
	if _, err := tx.ExecContext(ctx, s.release, r.Key); err != nil {
		return 0, err
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(r.CrispIDs))) {
		result, err := tx.ExecContext(ctx, s.take, id, r.Key)
		if err != nil {
			return 0, err
		}
		switch taken, err := result.RowsAffected(); {
		case err != nil:
			return 0, err
		case taken == 0:
			return 0, handover.ErrTaken
		}
	}
	return version, nil
}
