package sqlstore

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/crisphandover/handover"
)

// row holds the fields of a record in the form that they are stored in.
type row struct {
	version int64         // a new one
	due     sql.NullInt64 // microseconds since 1970; NULL for never
	data    []byte        // never nil, which would be NULL
	ids     string        // a JSON list
}

func newRow(r handover.Record) (row, error) {
	ids, err := json.Marshal(append([]string{}, r.CrispIDs...))
	if err != nil {
		return row{}, fmt.Errorf("handover: sqlstore: Save: %w", err)
	}
	data := r.Data
	if data == nil {
		data = []byte{}
	}
	return row{
		version: newVersion(),
		due:     sql.NullInt64{Int64: r.Due.UnixMicro(), Valid: !r.Due.IsZero()},
		data:    data,
		ids:     string(ids),
	}, nil
}

// newVersion returns a version that no record ever had. A counter's would come again after a failover or a restore that has
// lost some of them, and a writer who has a record of before would overwrite what was stored since. Of 62 random bits, a key that
// is saved a million times has one twice with a probability of 1 in 9 million.
func newVersion() int64 { return 1 + rand.Int64N(1<<62) }

// scanRecord reads the store's time and the fields of a record, after what goes to before.
func scanRecord(scan func(...any) error, before ...any) (handover.Record, error) {
	var now int64
	var key sql.NullString
	var version, due sql.NullInt64
	var live sql.NullBool
	var ids []byte
	var r handover.Record
	if err := scan(append(before, &now, &key, &version, &due, &ids, &r.Data, &live)...); err != nil {
		return handover.Record{}, err
	}
	if now != 0 {
		r.Now = time.UnixMicro(now).UTC()
	}
	if !key.Valid {
		return r, nil // not stored
	}
	r.Key, r.Version, r.Live = key.String, version.Int64, live.Bool
	if due.Valid {
		r.Due = time.UnixMicro(due.Int64).UTC()
	}
	return r, json.Unmarshal(ids, &r.CrispIDs)
}

// scanClaim reads the records of a claim, and puts them in the order of the queue.
func scanClaim(rows *sql.Rows) ([]handover.Record, error) {
	defer rows.Close()
	type claimed struct {
		at     int64
		record handover.Record
	}
	var all []claimed
	for rows.Next() {
		var c claimed
		var err error
		if c.record, err = scanRecord(rows.Scan, &c.at); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b claimed) int { return cmp.Compare(a.at, b.at) })
	records := make([]handover.Record, len(all))
	for i, c := range all {
		records[i] = c.record
	}
	return records, nil
}

// scanList reads records.
func scanList(rows *sql.Rows) (records []handover.Record, err error) {
	defer rows.Close()
	for rows.Next() {
		r, err := scanRecord(rows.Scan)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

// scanNumber returns the one number that a statement returns, 0 if it returns no row. It reads to
// the end: SQLite commits a statement only then, and may fail to.
func scanNumber(rows *sql.Rows, err error) (n int64, _ error) {
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	return n, rows.Err()
}
