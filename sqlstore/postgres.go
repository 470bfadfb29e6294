package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/crisphandover/handover"
)

// postgresNow is PostgreSQL's clock in microseconds since 1970. It goes on within a transaction.
const postgresNow = `CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)`

// postgres is one statement, and so one round trip, for each call.
//
// What changes at each Save is kept apart from what is indexed. The table record has no index but
// its primary key, and room in its pages, so that PostgreSQL writes the new row beside the old one
// and touches no index ("heap-only tuple"). The times that Claim goes by are in a narrow table.
var postgres = dialect{
	parameter: "$$$1",
	key:       "key",

	statements: statements{
		load: `SELECT n.now, r.key, r.version, r.due, r.crisp_ids, r.data, r.live
		FROM (SELECT ` + postgresNow + ` AS now) n
		LEFT JOIN {prefix}record r ON r.key = $1`,
		find: `SELECT n.now, r.key, r.version, r.due, r.crisp_ids, r.data, r.live
		FROM (SELECT ` + postgresNow + ` AS now) n
		LEFT JOIN ({prefix}crisp_id c JOIN {prefix}record r ON r.key = c.key) ON c.crisp_id = $1`,

		// loadGiven and findGiven are load and find for a JSON list of names: a row for each, with its number.
		loadGiven: `SELECT g.n, t.now, r.key, r.version, r.due, r.crisp_ids, r.data, r.live
		FROM (SELECT ` + postgresNow + ` AS now) t,
		json_array_elements_text(CAST($1 AS json)) WITH ORDINALITY g (name, n)
		LEFT JOIN LATERAL (SELECT * FROM {prefix}record WHERE key = g.name) r ON true`,
		findGiven: `SELECT g.n, t.now, r.key, r.version, r.due, r.crisp_ids, r.data, r.live
		FROM (SELECT ` + postgresNow + ` AS now) t,
		json_array_elements_text(CAST($1 AS json)) WITH ORDINALITY g (name, n)
		LEFT JOIN LATERAL (
			SELECT r.* FROM {prefix}crisp_id c JOIN {prefix}record r ON r.key = c.key WHERE c.crisp_id = g.name
		) r ON true`,

		// The parts see the same state of the tables, that of the statement's beginning. Both rows of
		// a record are locked: what is given is the newest version, and a Save that is under way is
		// let finish first.
		claim: `WITH clock AS (SELECT ` + postgresNow + ` AS now),
		taken AS (
			SELECT d.at, r.key, r.version, r.due, r.crisp_ids, r.data, r.live
			FROM {prefix}due d JOIN {prefix}record r ON r.key = d.key
			WHERE d.at <= (SELECT now FROM clock)
			ORDER BY d.at LIMIT $1
			FOR UPDATE OF d SKIP LOCKED FOR SHARE OF r SKIP LOCKED
		),
		hidden AS (
			UPDATE {prefix}due d SET at = (SELECT now FROM clock) + $2 FROM taken WHERE d.key = taken.key
		)
		SELECT at, (SELECT now FROM clock), key, version, due, crisp_ids, data, live FROM taken`,

		// A Crisp id of another record breaks the primary key of crisp_id, which undoes the statement: the
		// trigger of the table record writes it.
		insert: `WITH saved AS (
			INSERT INTO {prefix}record (key, version, due, data, crisp_ids, live)
			VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (key) DO NOTHING RETURNING key, version, due
		),
		queued AS (
			INSERT INTO {prefix}due (key, at) SELECT key, due FROM saved WHERE due IS NOT NULL
		)
		SELECT version FROM saved`,

		// Only what changes is written: Due does not always. Claim may have changed the record's time in the
		// queue: "ON CONFLICT" compares with what is there now.
		update: `WITH saved AS (
			UPDATE {prefix}record SET version = $2, due = $3, data = $4, crisp_ids = $5, live = $6
			WHERE key = $1 AND version = $7 RETURNING key, version, due
		),
		dequeued AS (
			DELETE FROM {prefix}due d USING saved WHERE d.key = saved.key AND saved.due IS NULL
		),
		queued AS (
			INSERT INTO {prefix}due AS d (key, at) SELECT key, due FROM saved WHERE due IS NOT NULL
			ON CONFLICT (key) DO UPDATE SET at = excluded.at WHERE d.at <> excluded.at
		)
		SELECT version FROM saved`,
		// notify tells when the transaction commits, and only if the record was saved.
		notify: ` WHERE pg_notify('{prefix}changed', key) IS NOT NULL`,

		// updateGiven is update for several records whose Crisp ids stay: $1 has a givenRow for each, $2 their
		// data end to end. It passes over records that others have locked. So it waits for nobody but a Claim,
		// which has rows of the queue locked and waits for nobody: no deadlock has a part in it.
		updateGiven: `WITH free AS (
			SELECT g.*, r.place
			FROM json_to_recordset(CAST($1 AS json)) g (n int, key text, version bigint, next bigint, due bigint, ids text, live boolean, first int, size int, wake boolean),
			LATERAL (
				SELECT ctid AS place FROM {prefix}record
				WHERE key = g.key AND version = g.version AND crisp_ids = g.ids
				FOR NO KEY UPDATE SKIP LOCKED
			) r
		),
		saved AS (
			UPDATE {prefix}record r SET version = f.next, due = f.due, live = f.live,
				data = substring(CAST($2 AS bytea) FROM f.first FOR f.size)
			FROM free f WHERE r.ctid = ANY (ARRAY(SELECT place FROM free)) AND r.key = f.key
			RETURNING f.n, f.wake, r.key, r.version, r.due
		),
		dequeued AS (
			DELETE FROM {prefix}due d USING saved WHERE d.key = saved.key AND saved.due IS NULL
		),
		queued AS (
			INSERT INTO {prefix}due AS d (key, at) SELECT key, due FROM saved WHERE due IS NOT NULL
			ON CONFLICT (key) DO UPDATE SET at = excluded.at WHERE d.at <> excluded.at
		)
		SELECT n, version FROM saved`,
		notifyGiven: ` WHERE CASE WHEN wake THEN pg_notify('{prefix}changed', key) IS NOT NULL ELSE true END`,

		tell: `SELECT pg_notify('{prefix}changed', $1)`,

		list: `SELECT n.now, r.key, r.version, r.due, r.crisp_ids, r.data, r.live
		FROM (SELECT ` + postgresNow + ` AS now) n, {prefix}record r
		WHERE r.key > $1 AND r.key >= $2 AND r.key < $3 ORDER BY r.key LIMIT $4`,
		listLive: `SELECT n.now, r.key, r.version, r.due, r.crisp_ids, r.data, r.live
		FROM (SELECT ` + postgresNow + ` AS now) n, {prefix}record r
		WHERE r.key > $1 AND r.key >= $2 AND r.key < $3 AND r.live ORDER BY r.key LIMIT $4`,

		remove: `WITH removed AS (
			DELETE FROM {prefix}record WHERE key = $1 AND version = $2 RETURNING key
		),
		released AS (DELETE FROM {prefix}crisp_id c USING removed WHERE c.key = removed.key),
		dequeued AS (DELETE FROM {prefix}due d USING removed WHERE d.key = removed.key)
		SELECT count(*) FROM removed`,
	},

	lock: []string{
		// The stricter levels would not show what was migrated while this one waited for the lock.
		"SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
		"SELECT pg_advisory_xact_lock(7521414230331254130)", // "handover" in ASCII
	},
	migrations: []migration{{"tables", []string{
		`CREATE TABLE {prefix}record (
			key       text COLLATE "C" PRIMARY KEY,
			version   bigint NOT NULL,
			due       bigint,
			crisp_ids text NOT NULL,
			data      bytea NOT NULL
		) WITH (fillfactor = 60)`,
		`CREATE TABLE {prefix}due (
			key text COLLATE "C" PRIMARY KEY,
			at  bigint NOT NULL
		) WITH (fillfactor = 80)`,
		`CREATE INDEX {prefix}due_at ON {prefix}due (at)`,
		`CREATE TABLE {prefix}crisp_id (
			crisp_id text COLLATE "C" PRIMARY KEY,
			key      text COLLATE "C" NOT NULL
		)`,
		`CREATE INDEX {prefix}crisp_id_key ON {prefix}crisp_id (key)`,
		// A trigger costs nothing at the many Saves that change no Crisp id; parts of the statement would cost
		// as much as the rest of it. Who drops the tables leaves the function.
		`CREATE OR REPLACE FUNCTION {prefix}name_record() RETURNS trigger LANGUAGE plpgsql AS '
		DECLARE ids text[] := ARRAY(SELECT DISTINCT id FROM json_array_elements_text(CAST(NEW.crisp_ids AS json)) i (id) ORDER BY id);
		BEGIN
			DELETE FROM {prefix}crisp_id WHERE key = NEW.key AND crisp_id <> ALL (ids);
			INSERT INTO {prefix}crisp_id (crisp_id, key)
			SELECT id, NEW.key FROM unnest(ids) i (id)
			WHERE NOT EXISTS (SELECT FROM {prefix}crisp_id c WHERE c.crisp_id = id AND c.key = NEW.key);
			RETURN NULL;
		END'`,
		`CREATE TRIGGER {prefix}name_new AFTER INSERT ON {prefix}record
		FOR EACH ROW EXECUTE PROCEDURE {prefix}name_record()`,
		`CREATE TRIGGER {prefix}name_renamed AFTER UPDATE ON {prefix}record
		FOR EACH ROW WHEN (OLD.crisp_ids <> NEW.crisp_ids) EXECUTE PROCEDURE {prefix}name_record()`,
	}}, {"live", []string{
		// What was stored before, or is first stored by a replica of the previous release, counts as live until it is saved
		// again. An update by such a replica leaves live as it is: a conversation that it opens again is not listed as
		// live until a replica of this release saves it.
		// A Save that leaves live as it is still writes no index.
		`ALTER TABLE {prefix}record ADD COLUMN live boolean NOT NULL DEFAULT true`,
		`CREATE INDEX {prefix}record_live ON {prefix}record (key) WHERE live`,
	}}},
	passing: func(err error) bool {
		const serializationFailure, deadlockDetected = "40001", "40P01"
		state := sqlState(err)
		return state == serializationFailure || state == deadlockDetected
	},
	missing: func(err error) bool {
		const undefinedTable = "42P01"
		return sqlState(err) == undefinedTable
	},

	saveOne: func(ctx context.Context, s *Store, r handover.Record, row row) (version int64, err error) {
		query, args := s.insert, []any{r.Key, row.version, row.due, row.data, row.ids, r.Live}
		if r.Version != 0 {
			query, args = s.update, append(args, r.Version)
		}
		if r.Wake && s.listen != nil {
			query += s.notify
		}
		version, err = scanNumber(s.db.QueryContext(ctx, query, args...))
		const uniqueViolation = "23505"
		switch {
		case sqlState(err) == uniqueViolation:
			return 0, handover.ErrTaken
		case err == nil && version == 0:
			return 0, handover.ErrConflict
		}
		return version, err
	},
	claimOnce:    claimInOne,
	removeOnce:   removeInOne,
	saveTogether: savePostgres,
	readTogether: readPostgres,
	undone: func(err error) bool {
		// Bad data, constraints, deadlocks and serialization, missing tables and rights, limits. Errors of other
		// classes may come after the commit.
		const completionUnknown = "40003"
		state := sqlState(err)
		return len(state) == 5 && state != completionUnknown && slices.Contains([]string{"22", "23", "40", "42", "54"}, state[:2])
	},
}

// sqlState returns PostgreSQL's code of an error, empty if it has none.
func sqlState(err error) string {
	var coded interface{ SQLState() string } // pgx and lib/pq
	if !errors.As(err, &coded) {
		return ""
	}
	return coded.SQLState()
}

// givenRow is a row of updateGiven.
type givenRow struct {
	N       int    `json:"n"`
	Key     string `json:"key"`
	Version int64  `json:"version"`
	Next    int64  `json:"next"` // the version that it gets
	Due     *int64 `json:"due"`
	IDs     string `json:"ids"`
	Live    bool   `json:"live"`
	First   int    `json:"first"` // byte of the data, from 1
	Size    int    `json:"size"`
	Wake    bool   `json:"wake"`
}

// savePostgres saves several records with one statement.
func savePostgres(ctx context.Context, s *Store, saves []*joined[save, int64]) error {
	given, data, wake := make([]givenRow, len(saves)), []byte{}, false
	for n, w := range saves {
		r, row := w.given.record, w.given.row
		given[n] = givenRow{
			N: n, Key: r.Key, Version: r.Version, Next: row.version, IDs: row.ids, Live: r.Live,
			First: len(data) + 1, Size: len(row.data), Wake: r.Wake,
		}
		if row.due.Valid {
			given[n].Due = &row.due.Int64
		}
		data = append(data, row.data...)
		wake = wake || r.Wake
	}
	rows, err := json.Marshal(given)
	if err != nil {
		return err
	}
	query := s.updateGiven
	if wake && s.listen != nil {
		query += s.notifyGiven
	}
	result, err := s.db.QueryContext(ctx, query, string(rows), data)
	if err != nil {
		return err
	}
	defer result.Close()
	for result.Next() {
		var n int
		var version int64
		if err := result.Scan(&n, &version); err != nil {
			return err
		}
		saves[n].result, saves[n].done = version, true
	}
	return result.Err()
}

// readPostgres reads the records with several names with one statement, loadGiven or findGiven.
func readPostgres(ctx context.Context, s *Store, query string, reads []*joined[string, handover.Record]) error {
	names := make([]string, len(reads))
	for n, w := range reads {
		names[n] = w.given
	}
	given, err := json.Marshal(names)
	if err != nil {
		return err
	}
	rows, err := s.db.QueryContext(ctx, query, string(given))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		r, err := scanRecord(rows.Scan, &n)
		if err != nil {
			return err
		}
		reads[n-1].result, reads[n-1].done = r, true
	}
	return rows.Err()
}
