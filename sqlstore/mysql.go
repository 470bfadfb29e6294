package sqlstore

import (
	"context"
	"database/sql"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// mysqlNow is MySQL's clock in microseconds since 1970, as the statement began. No time zone has a part in it.
const mysqlNow = `TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6))`

// mysql is one statement for most calls, which InnoDB commits by itself. A Claim that finds something, and a
// Save of other Crisp ids, is a transaction.
//
// Text is kept as bytes, so that no collation compares it. InnoDB writes a changed row in place and touches
// only the indexes of what changed: all that belongs to a record is in one row. The column at is the record's
// time in the queue.
//
// Transactions are READ COMMITTED, so that they lock the rows that they give or change, and no gaps between
// them. The statements that go alone are right at every level but READ UNCOMMITTED.
var mysql = dialect{
	parameter: "?", // in the order of the text
	key:       "`key`",
	isolation: sql.LevelReadCommitted,

	statements: statements{
		load: `SELECT n.now, r.{key}, r.version, r.due, r.crisp_ids, r.data, r.live
		FROM (SELECT ` + mysqlNow + ` AS now) n
		LEFT JOIN {prefix}record r ON r.{key} = $1`,
		find: `SELECT n.now, r.{key}, r.version, r.due, r.crisp_ids, r.data, r.live
		FROM (SELECT ` + mysqlNow + ` AS now) n
		LEFT JOIN ({prefix}crisp_id c JOIN {prefix}record r ON r.{key} = c.{key}) ON c.crisp_id = $1`,

		// anyDue locks nothing. It spares a replica that has nothing to do the transaction.
		anyDue: `SELECT EXISTS (SELECT * FROM {prefix}record FORCE INDEX ({prefix}record_at) WHERE at <= ` + mysqlNow + `)`,
		// The index has the order. Another plan would lock what it does not give.
		claim: `SELECT at, ` + mysqlNow + `, {key}, version, due, crisp_ids, data, live
		FROM {prefix}record FORCE INDEX ({prefix}record_at)
		WHERE at <= ` + mysqlNow + ` ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED`,
		hide: `UPDATE {prefix}record FORCE INDEX (PRIMARY) SET at = $1 WHERE {key} IN `, // a list follows

		insert: `INSERT INTO {prefix}record (version, due, at, live, data, crisp_ids, {key}) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		// update changes a record whose Crisp ids stay, replace any.
		update: `UPDATE {prefix}record SET version = $1, due = $2, at = $3, live = $4, data = $5
		WHERE crisp_ids = $6 AND {key} = $7 AND version = $8`,
		replace: `UPDATE {prefix}record SET version = $1, due = $2, at = $3, live = $4, data = $5, crisp_ids = $6
		WHERE {key} = $7 AND version = $8`,
		release: `DELETE FROM {prefix}crisp_id WHERE {key} = $1`,
		take:    `INSERT INTO {prefix}crisp_id (crisp_id, {key}) VALUES ($1, $2)`,
		list: `SELECT ` + mysqlNow + `, {key}, version, due, crisp_ids, data, live FROM {prefix}record
		WHERE {key} > $1 AND {key} >= $2 AND {key} < $3 ORDER BY {key} LIMIT $4`,
		listLive: `SELECT ` + mysqlNow + `, {key}, version, due, crisp_ids, data, live
		FROM {prefix}record FORCE INDEX ({prefix}record_live)
		WHERE live = 1 AND {key} > $1 AND {key} >= $2 AND {key} < $3 ORDER BY {key} LIMIT $4`,
		remove: `DELETE r, c FROM {prefix}record r LEFT JOIN {prefix}crisp_id c ON c.{key} = r.{key}
		WHERE r.{key} = $1 AND r.version = $2`,

		setSchemaVersion: `INSERT INTO {prefix}schema (version) VALUES ({version}) ON DUPLICATE KEY UPDATE version = version`,
	},

	// MySQL commits each of these by itself. One that was interrupted is done again from its beginning, and several
	// processes may be at it: a statement that is repeated changes nothing.
	migrations: []migration{{"tables", []string{
		`CREATE TABLE IF NOT EXISTS {prefix}record (
			{key}     VARBINARY(1024) NOT NULL PRIMARY KEY,
			version   BIGINT NOT NULL,
			due       BIGINT,
			at        BIGINT,
			live      BOOLEAN NOT NULL,
			crisp_ids LONGBLOB NOT NULL,
			data      LONGBLOB NOT NULL,
			INDEX {prefix}record_at (at),
			INDEX {prefix}record_live (live, {key})
		) ENGINE=InnoDB ROW_FORMAT=DYNAMIC`,
		`CREATE TABLE IF NOT EXISTS {prefix}crisp_id (
			crisp_id VARBINARY(1024) NOT NULL PRIMARY KEY,
			{key}    VARBINARY(1024) NOT NULL,
			INDEX {prefix}crisp_id_key ({key})
		) ENGINE=InnoDB ROW_FORMAT=DYNAMIC`,
	}}},
	passing: func(err error) bool {
		const recordChanged, lockWaitTimeout, deadlock = 1020, 1205, 1213 // recordChanged: MariaDB's snapshots
		return slices.Contains([]int{recordChanged, lockWaitTimeout, deadlock}, mysqlNumber(err))
	},
	missing: func(err error) bool {
		const noSuchTable = 1146
		return mysqlNumber(err) == noSuchTable
	},

	saveOne:   saveMySQL,
	claimOnce: claimMySQL,
	removeOnce: func(ctx context.Context, s *Store, key string, version int64) (bool, error) {
		return changed(s.db.ExecContext(ctx, s.remove, key, version))
	},
}

var mysqlNumberPattern = regexp.MustCompile(`(?:[Ee]rror|ERROR|Received) #?(\d{4})\b`)

// mysqlNumber returns MySQL's number of an error, 0 if it has none. Each driver has its own type for errors;
// all begin the text with the number, and what MySQL quotes comes after it.
func mysqlNumber(err error) int {
	found := mysqlNumberPattern.FindStringSubmatch(err.Error())
	if found == nil {
		return 0
	}
	number, _ := strconv.Atoi(found[1]) // four digits
	return number
}

// changed reports whether a statement changed anything.
func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// unique is changed of a statement that says by an error that the row is there already.
func unique(result sql.Result, err error) (bool, error) {
	const duplicateEntry = 1062
	if err != nil && mysqlNumber(err) == duplicateEntry {
		return false, nil
	}
	return changed(result, err)
}

func saveMySQL(ctx context.Context, s *Store, r handover.Record, row row) (int64, error) {
	args := []any{row.version, row.due, row.due, r.Live, row.data, row.ids, r.Key}
	if r.Version != 0 {
		saved, err := changed(s.db.ExecContext(ctx, s.update, append(args, r.Version)...))
		if err != nil || saved {
			return row.version, err
		}
	}
	return row.version, s.inTx(ctx, func(tx *sql.Tx) (err error) {
		var saved bool
		if r.Version == 0 {
			saved, err = unique(tx.ExecContext(ctx, s.insert, args...))
		} else {
			saved, err = changed(tx.ExecContext(ctx, s.replace, append(args, r.Version)...))
		}
		switch {
		case err != nil:
			return err
		case !saved:
			return handover.ErrConflict
		}
		return nameMySQL(ctx, s, tx, r)
	})
}

// nameMySQL lets the Crisp ids of a record lead to it and no others.
func nameMySQL(ctx context.Context, s *Store, tx *sql.Tx, r handover.Record) error {
	if r.Version != 0 {
		if _, err := tx.ExecContext(ctx, s.release, r.Key); err != nil {
			return err
		}
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(r.CrispIDs))) {
		switch taken, err := unique(tx.ExecContext(ctx, s.take, id, r.Key)); {
		case err != nil:
			return err
		case !taken:
			return handover.ErrTaken
		}
	}
	return nil
}

// hideAtOnce is how many records one statement of a Claim hides.
const hideAtOnce = 500

func claimMySQL(ctx context.Context, s *Store, limit int, ttl time.Duration) (records []handover.Record, err error) {
	due, err := scanNumber(s.db.QueryContext(ctx, s.anyDue))
	if err != nil || due == 0 {
		return nil, err
	}
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, s.claim, limit)
		if err != nil {
			return err
		}
		if records, err = scanClaim(rows); err != nil {
			return err
		}
		for some := range slices.Chunk(records, hideAtOnce) {
			args := []any{some[0].Now.UnixMicro() + max(ttl.Microseconds(), 0)}
			for _, r := range some {
				args = append(args, r.Key)
			}
			list := "(?" + strings.Repeat(", ?", len(some)-1) + ")"
			if _, err := tx.ExecContext(ctx, s.hide+list, args...); err != nil {
				return err
			}
		}
		return nil
	})
	return records, err
}
