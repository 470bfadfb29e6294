// Package sqlstore is a handover.Store in PostgreSQL, MySQL, MariaDB or SQLite, over database/sql. The host opens
// the database with a driver of its choice; this package imports none.
//
//	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
//	...
//	store, err := sqlstore.New(db, sqlstore.PostgreSQL, sqlstore.Options{})
//	...
//	if err := store.Migrate(ctx); err != nil { ... } // makes the tables, or brings them up to date
//	h, err := handover.New(handover.Config{Store: store, ...})
//
// PostgreSQL serves several replicas of the bot, whose times are all taken from the database's clock.
// Each call is one statement; Saves that are made at the same time share one, and its commit, each with an
// outcome of its own. Migrate also makes a function in PL/pgSQL, for a trigger. A busy bot keeps its
// connections: database/sql closes all but two when they are idle, and opening one costs more than a Save.
// Options.Listen lets replicas hear from each other at once.
//
//	db.SetMaxOpenConns(32)
//	db.SetMaxIdleConns(32)
//
// MySQL and MariaDB serve several replicas too, with the database's clock, and the same number of connections does. See MySQL for
// what the server and the driver have to be like. They cannot notify: a replica finds by polling what another one has saved.
//
//	db, err := sql.Open("mysql", "bot:password@tcp(db.example.com)/bot?interpolateParams=true")
//
// SQLite serves one machine: several processes may share the file, but not over a network file
// system. Within a process the Store has writers take turns, with any number of connections. Set its
// busy_timeout, and for more than one process the WAL journal; with modernc.org/sqlite:
//
//	db, err := sql.Open("sqlite", "file:handover.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
//
// A database in memory has to be kept to one connection, by db.SetMaxOpenConns(1).
//
// The tables hold nothing but the fields of handover.Record, and until when Claim hides each record.
// Data contains what users and agents wrote, and contact data, in clear text: treat the database
// accordingly.
package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/keys"
)

// Dialect says which database a Store talks to.
type Dialect int

// The databases that Store knows. Its tests run on PostgreSQL 15 with pgx, on MariaDB 10.11 with
// github.com/go-sql-driver/mysql, and on SQLite with modernc.org/sqlite. docs/stores.md compares them.
const (
	// PostgreSQL is version 9.5 or later, in a database with the encoding UTF8.
	PostgreSQL Dialect = iota + 1

	// SQLite is version 3.35 or later.
	SQLite

	// MySQL is MySQL 8.0 or later, or MariaDB 10.6 or later, with InnoDB. The tests run on MariaDB; the statements are such as
	// MySQL's manual has as well, but nobody has tried them there.
	//
	// The driver needs no options. With those that send a statement and its parameters apart, such as
	// github.com/go-sql-driver/mysql, interpolateParams=true saves a round trip for each statement. The driver must let a
	// transaction choose its isolation level, as that one does.
	//
	// The server's settings are of no account but for these, which the defaults meet: autocommit is on; transaction_isolation is not
	// READ-UNCOMMITTED; binlog_format is ROW or MIXED, since transactions are READ COMMITTED; innodb_page_size is
	// 16 KiB or more, since keys have up to 1,024 bytes; sql_mode is without EMPTY_STRING_IS_NULL. max_allowed_packet must be
	// larger than a record; all in it is bounded, and the smaller of the defaults, 16 MiB, holds it. Collations and
	// character sets have no part in it, since all text is kept and compared as bytes. Times are numbers, in UTC.
	//
	// A cancelled context makes the driver close its connection, of which the server hears only when the statement has
	// ended: a Save may be done after it.
	MySQL
)

// Options are the settings of a Store. The zero value is right for most hosts.
type Options struct {
	// Prefix begins the name of each table: lower-case letters, digits and underscores, at most
	// 32, no digit first. Defaults to "handover_".
	Prefix string

	// Listen, with PostgreSQL, is how the Store hears from other replicas that a record which
	// somebody waits for has changed (handover.Watcher). Without it they load the record again and
	// again, which takes up to half a second and costs calls. Give it to all replicas or to none.
	//
	// It connects, executes LISTEN with this channel, calls notified with "" as soon as that is
	// done, and then with the payload of each notification, until ctx ends or the connection is
	// lost; it returns why. It is called again after that. database/sql cannot wait for
	// notifications; with pgx:
	//
	//	Listen: func(ctx context.Context, channel string, notified func(payload string)) error {
	//		conn, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	//		if err != nil {
	//			return err
	//		}
	//		defer conn.Close(context.WithoutCancel(ctx))
	//		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
	//			return err
	//		}
	//		for notified(""); ; {
	//			n, err := conn.WaitForNotification(ctx)
	//			if err != nil {
	//				return err
	//			}
	//			notified(n.Payload)
	//		}
	//	}
	//
	// A connection that breaks without a word is noticed by TCP keepalive, which pgx leaves on. A
	// pooler that hands connections out by transaction, such as PgBouncer, cannot be listened through: Watch notices and
	// fails, and the replicas load again and again. Let Listen connect to PostgreSQL itself.
	Listen func(ctx context.Context, channel string, notified func(payload string)) error
}

// Store is a handover.Store in an SQL database. All its methods may be called concurrently.
//
// An error other than handover.ErrConflict and handover.ErrTaken wraps what the driver gave, and
// the context's error if that has ended. Deadlocks, serialization failures and locked databases are
// not errors at first: the work is repeated for five seconds.
type Store struct {
	dialect
	db      *sql.DB
	saves   *joiner[save, int64] // nil where each call goes alone, as are the next two
	loads   *joiner[string, handover.Record]
	finds   *joiner[string, handover.Record]
	writer  chan struct{} // full while somebody writes; nil where several may
	channel string        // of PostgreSQL's notifications
	listen  func(ctx context.Context, channel string, notified func(payload string)) error
}

var (
	_ handover.Store   = (*Store)(nil)
	_ handover.Watcher = (*Store)(nil)
	_ handover.Lister  = (*Store)(nil)
)

var prefixPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,31}$`)

// New returns a store in db. It does no I/O; the tables must have been made by Migrate, by this
// process or another one, before the store is used. Closing db is left to the host.
func New(db *sql.DB, d Dialect, o Options) (*Store, error) {
	known, prefix, errs := check(d, o.Prefix)
	if db == nil {
		errs = append(errs, errors.New("db is nil: open it with database/sql"))
	}
	if o.Listen != nil && d != PostgreSQL {
		errs = append(errs, errors.New("Options.Listen is for PostgreSQL: other databases cannot notify"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("handover: sqlstore.New: %w", errors.Join(errs...))
	}
	s := &Store{dialect: known.with(prefix), db: db, channel: prefix + "changed", listen: o.Listen}
	if s.saveTogether != nil {
		s.saves = &joiner[save, int64]{
			together: func(ctx context.Context, saves []*joined[save, int64]) error { return s.saveTogether(ctx, s, saves) },
			undone:   s.undone,
			key:      func(w save) string { return w.record.Key },
			data:     func(w *save) *[]byte { return &w.row.data },
		}
		s.loads, s.finds = s.reads(s.loadGiven), s.reads(s.findGiven)
	}
	if s.oneWriter {
		s.writer = make(chan struct{}, 1)
	}
	return s, nil
}

// check returns the dialect, and the prefix or its default.
func check(d Dialect, prefix string) (_ dialect, _ string, errs []error) {
	known, ok := dialects[d]
	if !ok {
		errs = append(errs, fmt.Errorf("dialect %d is unknown: use PostgreSQL, SQLite or MySQL", d))
	}
	prefix = cmp.Or(prefix, "handover_")
	if !prefixPattern.MatchString(prefix) {
		errs = append(errs, fmt.Errorf("the prefix %q must match %s", prefix, prefixPattern))
	}
	return known, prefix, errs
}

// save is what a Save is given.
type save struct {
	record handover.Record
	row    row
}

// reads returns a joiner of reads with this statement. A read that failed changed nothing: it is tried alone.
func (s *Store) reads(query string) *joiner[string, handover.Record] {
	return &joiner[string, handover.Record]{
		together: func(ctx context.Context, reads []*joined[string, handover.Record]) error {
			return s.readTogether(ctx, s, query, reads)
		},
		undone: func(error) bool { return true },
		key:    func(name string) string { return name },
	}
}

// Load implements handover.Store.
func (s *Store) Load(ctx context.Context, key string) (handover.Record, error) {
	return s.readOne(ctx, "Load", s.loads, s.load, key)
}

// Find implements handover.Store.
func (s *Store) Find(ctx context.Context, crispID string) (handover.Record, error) {
	return s.readOne(ctx, "Find", s.finds, s.find, crispID)
}

// readOne returns the one record that the query selects, or the zero Record.
func (s *Store) readOne(ctx context.Context, op string, joiner *joiner[string, handover.Record], query, name string) (r handover.Record, err error) {
	alone := func() (handover.Record, error) {
		r, err := scanRecord(s.db.QueryRowContext(ctx, query, name).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return handover.Record{}, nil
		}
		return r, err
	}
	err = s.run(ctx, op, func() (err error) {
		if joiner != nil && utf8.ValidString(name) {
			r, err = joiner.do(ctx, name, alone)
		} else {
			r, err = alone()
		}
		return err
	})
	if err != nil {
		return handover.Record{}, err
	}
	return r, nil
}

// Save implements handover.Store.
func (s *Store) Save(ctx context.Context, r handover.Record) (version int64, err error) {
	row, err := newRow(r)
	if err != nil {
		return 0, err
	}
	alone := func() (int64, error) { return s.saveOne(ctx, s, r, row) }
	err = s.write(ctx, "Save", func() (err error) {
		if s.saves != nil && r.Version != 0 && utf8.ValidString(r.Key) {
			version, err = s.saves.do(ctx, save{r, row}, alone)
		} else {
			version, err = alone()
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// Claim implements handover.Store.
func (s *Store) Claim(ctx context.Context, limit int, ttl time.Duration) (records []handover.Record, err error) {
	if err := ctx.Err(); err != nil || limit <= 0 {
		return nil, err
	}
	err = s.write(ctx, "Claim", func() error {
		records, err = s.claimOnce(ctx, s, limit, ttl)
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// List implements handover.Lister.
func (s *Store) List(ctx context.Context, q handover.ListQuery) (records []handover.Record, err error) {
	if err := ctx.Err(); err != nil || q.Limit <= 0 {
		return nil, err
	}
	query := s.list
	if q.Live {
		query = s.listLive
	}
	err = s.run(ctx, "List", func() error {
		rows, err := s.db.QueryContext(ctx, query, q.After, q.Prefix, keys.AfterPrefix(q.Prefix), q.Limit)
		if err != nil {
			return err
		}
		records, err = scanList(rows)
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// Delete implements handover.Store.
func (s *Store) Delete(ctx context.Context, key string, version int64) error {
	return s.write(ctx, "Delete", func() error {
		removed, err := s.removeOnce(ctx, s, key, version)
		if err != nil || removed {
			return err
		}
		stored, err := scanNumber(s.db.QueryContext(ctx, s.count, key))
		if err == nil && stored > 0 {
			err = handover.ErrConflict
		}
		return err
	})
}
