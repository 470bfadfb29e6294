// Package sqlstore is a handover.Store in PostgreSQL or SQLite, over database/sql. The host opens
// the database with a driver of its choice; this package imports none.
//
//	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
//	...
//	store, err := sqlstore.New(db, sqlstore.PostgreSQL, sqlstore.Options{})
//	...
//	if err := store.Migrate(ctx); err != nil { ... } // makes the tables, or brings them up to date
//	h, err := handover.New(handover.Config{Store: store, ...})
//
// PostgreSQL serves several replicas of the bot. SQLite serves one machine: several processes may
// share the file, but not over a network file system. Set its busy_timeout, and for more than one
// process the WAL journal; with modernc.org/sqlite:
//
//	db, err := sql.Open("sqlite", "file:handover.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
//
// A database in memory has to be kept to one connection, by db.SetMaxOpenConns(1).
//
// The tables hold nothing but the fields of handover.Record. Their Data contains what users and
// agents wrote, and contact data, in clear text: treat the database accordingly.
package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/crisphandover/handover"
)

// Dialect says which database a Store talks to.
type Dialect int

// The databases that Store knows. Its tests run on PostgreSQL 15 with pgx, and on SQLite with
// modernc.org/sqlite.
const (
	PostgreSQL Dialect = iota + 1 // 9.5 or later, in a database with the encoding UTF8
	SQLite                        // 3.35 or later
)

// Options are the settings of a Store. The zero value is right for most hosts.
type Options struct {
	// Prefix begins the name of each table: lower-case letters, digits and underscores, at most
	// 32, no digit first. Defaults to "handover_".
	Prefix string
}

// Store is a handover.Store in an SQL database. All its methods may be called concurrently.
//
// An error other than handover.ErrConflict and handover.ErrTaken wraps what the driver gave, and
// the context's error if that has ended. Deadlocks, serialization failures and locked databases are
// not errors at first: the work is repeated for five seconds.
type Store struct {
	db      *sql.DB
	dialect dialect
	queries queries
}

var _ handover.Store = (*Store)(nil)

var prefixPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,31}$`)

// New returns a store in db. It does no I/O; the tables must have been made by Migrate, by this
// process or another one, before the store is used. Closing db is left to the host.
func New(db *sql.DB, d Dialect, o Options) (*Store, error) {
	var errs []error
	if db == nil {
		errs = append(errs, errors.New("handover: sqlstore.New: db is nil: open it with database/sql"))
	}
	known, ok := dialects[d]
	if !ok {
		errs = append(errs, fmt.Errorf("handover: sqlstore.New: dialect %d is unknown: use PostgreSQL or SQLite", d))
	}
	if o.Prefix == "" {
		o.Prefix = "handover_"
	}
	if !prefixPattern.MatchString(o.Prefix) {
		errs = append(errs, fmt.Errorf("handover: sqlstore.New: Options.Prefix %q must match %s", o.Prefix, prefixPattern))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Store{db: db, dialect: known, queries: known.queries(o.Prefix)}, nil
}

// Load implements handover.Store.
func (s *Store) Load(ctx context.Context, key string) (handover.Record, error) {
	return s.read(ctx, "Load", s.queries.load, key)
}

// Find implements handover.Store.
func (s *Store) Find(ctx context.Context, crispID string) (handover.Record, error) {
	return s.read(ctx, "Find", s.queries.find, crispID)
}

// read returns the one record that the query selects, or the zero Record.
func (s *Store) read(ctx context.Context, op, query, name string) (r handover.Record, err error) {
	err = s.run(ctx, op, func() error {
		var due sql.NullInt64
		var ids []byte
		err := s.db.QueryRowContext(ctx, query, name).Scan(&r.Key, &r.Version, &due, &ids, &r.Data)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if due.Valid {
			r.Due = time.UnixMicro(due.Int64).UTC()
		}
		return json.Unmarshal(ids, &r.CrispIDs)
	})
	if err != nil {
		return handover.Record{}, err
	}
	return r, nil
}

// Save implements handover.Store. Most changes leave the Crisp ids alone: they are one statement.
func (s *Store) Save(ctx context.Context, r handover.Record) (version int64, err error) {
	row, err := newRow(r)
	if err != nil {
		return 0, err
	}
	err = s.run(ctx, "Save", func() (err error) {
		if r.Version != 0 {
			version, err = scanVersion(s.db.QueryContext(ctx, s.queries.update, r.Key, r.Version, row.due, row.data, row.ids))
			if err != nil || version != 0 {
				return err
			}
		}
		return s.inTx(ctx, func(tx *sql.Tx) error {
			version, err = s.replace(ctx, tx, r, row)
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// replace inserts or updates the record, and lets its Crisp ids lead to it and no others.
func (s *Store) replace(ctx context.Context, tx *sql.Tx, r handover.Record, row row) (version int64, err error) {
	if r.Version == 0 {
		version, err = scanVersion(tx.QueryContext(ctx, s.queries.insert, r.Key, row.due, row.data, row.ids))
	} else {
		version, err = scanVersion(tx.QueryContext(ctx, s.queries.replace, r.Key, r.Version, row.due, row.data, row.ids))
	}
	if err != nil {
		return 0, err
	}
	if version == 0 {
		return 0, handover.ErrConflict
	}
	if _, err := tx.ExecContext(ctx, s.queries.release, r.Key); err != nil {
		return 0, err
	}
	// Sorted: two transactions that take the same ids must not wait for each other.
	for _, id := range slices.Compact(slices.Sorted(slices.Values(r.CrispIDs))) {
		claimed, err := affected(tx.ExecContext(ctx, s.queries.claim, id, r.Key))
		if err != nil {
			return 0, err
		}
		if claimed == 0 {
			return 0, handover.ErrTaken
		}
	}
	return version, nil
}

// Due implements handover.Store.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) (keys []string, err error) {
	if err := ctx.Err(); err != nil || limit <= 0 {
		return nil, err
	}
	err = s.run(ctx, "Due", func() error {
		keys = nil
		rows, err := s.db.QueryContext(ctx, s.queries.due, now.UnixMicro(), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key string
			if err := rows.Scan(&key); err != nil {
				return err
			}
			keys = append(keys, key)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// Delete implements handover.Store.
func (s *Store) Delete(ctx context.Context, key string, version int64) error {
	return s.run(ctx, "Delete", func() error {
		return s.inTx(ctx, func(tx *sql.Tx) error {
			deleted, err := affected(tx.ExecContext(ctx, s.queries.remove, key, version))
			if err != nil {
				return err
			}
			if deleted == 0 {
				var stored int
				if err := tx.QueryRowContext(ctx, s.queries.count, key).Scan(&stored); err != nil || stored == 0 {
					return err
				}
				return handover.ErrConflict
			}
			_, err = tx.ExecContext(ctx, s.queries.release, key)
			return err
		})
	})
}

// row holds the fields of a record in the form that they are stored in.
type row struct {
	due  sql.NullInt64 // microseconds since 1970; NULL for never
	data []byte        // never nil, which would be NULL
	ids  string        // a JSON list
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
		due:  sql.NullInt64{Int64: r.Due.UnixMicro(), Valid: !r.Due.IsZero()},
		data: data,
		ids:  string(ids),
	}, nil
}

// scanVersion returns the version that a statement wrote, 0 if it wrote no row. It reads to the
// end: SQLite commits a statement only then, and may fail to.
func scanVersion(rows *sql.Rows, err error) (version int64, _ error) {
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&version); err != nil {
			return 0, err
		}
	}
	return version, rows.Err()
}

func affected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Claim implements handover.Store: not yet.
func (s *Store) Claim(context.Context, int, time.Duration) ([]handover.Record, error) {
	return nil, fmt.Errorf("handover: sqlstore: Claim: %w", errors.ErrUnsupported)
}
