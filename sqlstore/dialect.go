package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// dialect is what differs between the databases.
type dialect struct {
	statements

	// parameter stands for a parameter in this database, "$1" in it for the number.
	parameter string
	// key is the name of the column key, quoted where that is a word of the language.
	key string
	// oneWriter says that the database has one writer at a time, and no clock of its own.
	oneWriter bool
	// isolation is that of transactions, where it matters.
	isolation sql.IsolationLevel
	// lock are the statements that keep others from migrating until the transaction ends. None
	// where a transaction that writes locks the database anyway, or the migrations may run at once.
	lock []string
	// migrations make the schema. Migration n leads from version n to version n+1 and is never
	// changed once released; the previous release must be able to work with what it makes, since
	// replicas are replaced one by one.
	migrations []migration
	// passing reports whether an error says that nothing was done, and that the same work will do later: a
	// lock that others hold, a deadlock, a serialization failure.
	passing func(error) bool
	// missing reports whether an error says that there is no such table.
	missing func(error) bool
	// saveOne, claimOnce and removeOnce try Save, Claim and Delete once. removeOnce removes nothing, and is no
	// error, if the record is not stored in that version.
	saveOne    func(ctx context.Context, s *Store, r handover.Record, row row) (version int64, err error)
	claimOnce  func(ctx context.Context, s *Store, limit int, ttl time.Duration) ([]handover.Record, error)
	removeOnce func(ctx context.Context, s *Store, key string, version int64) (removed bool, err error)
	// saveTogether and undone are together and undone of the joiner of Saves, and readTogether is together, with its
	// statement, of those of reads. Without them each call goes alone.
	saveTogether func(ctx context.Context, s *Store, saves []*joined[save, int64]) error
	readTogether func(ctx context.Context, s *Store, query string, reads []*joined[string, handover.Record]) error
	undone       func(error) bool
}

// statements are SQL. In a dialect "{prefix}" stands for what the tables' names begin with, "{key}" for the
// column key, and "$1" for the first parameter. "{version}" stays in setSchemaVersion.
//
// load and find return the store's time (0 if it has none), and the fields of a record, which are
// NULL where none is stored. claim returns the record's time in the queue before that. In PostgreSQL and SQLite
// insert, update, replace and remove return one number; 0, or no row, if they changed nothing.
type statements struct {
	load, find, claim, remove, insert, update string

	list, listLive string // of the keys after the first parameter, and from the second up to the third; at most the fourth

	loadGiven, findGiven   string // PostgreSQL: load and find for several names
	updateGiven            string // PostgreSQL: update for several records; returns number and version of what it saved
	notify, notifyGiven    string // PostgreSQL: end an insert or update, and an updateGiven, that others are to be told of
	tell                   string // PostgreSQL: tells a word to those who listen
	replace, release, take string // SQLite, MySQL: the parts of a Save that changes Crisp ids
	anyDue, hide           string // MySQL: the parts of a Claim before and after claim

	count, makeSchema, schemaReached, schemaVersion, setSchemaVersion string
}

var dialects = map[Dialect]dialect{PostgreSQL: postgres, SQLite: sqlite, MySQL: mysql}

var parameterPattern = regexp.MustCompile(`\$(\d+)`)

// with returns the dialect for tables whose names begin with prefix.
func (d dialect) with(prefix string) dialect {
	names := strings.NewReplacer("{prefix}", prefix, "{key}", d.key)
	fill := func(statement string) string {
		return parameterPattern.ReplaceAllString(names.Replace(statement), d.parameter)
	}

	d.count = `SELECT count(*) FROM {prefix}record WHERE {key} = $1`
	d.makeSchema = `CREATE TABLE IF NOT EXISTS {prefix}schema (version INTEGER NOT NULL PRIMARY KEY)`
	d.schemaReached = `SELECT count(*) FROM {prefix}schema WHERE version >= $1`
	d.schemaVersion = `SELECT COALESCE(MAX(version), 0) FROM {prefix}schema`
	d.setSchemaVersion = cmp.Or(d.setSchemaVersion, `INSERT INTO {prefix}schema (version) VALUES ({version})`)
	for _, statement := range d.statements.all() {
		*statement = fill(*statement)
	}

	migrations := make([]migration, len(d.migrations))
	for i, step := range d.migrations {
		migrations[i] = step.fill(fill)
	}
	d.migrations = migrations
	return d
}

// noteVersion returns the statement that notes that the tables have this version.
func (d dialect) noteVersion(version int) string {
	return strings.Replace(d.setSchemaVersion, "{version}", strconv.Itoa(version), 1)
}

// all returns all statements, to be changed.
func (s *statements) all() []*string {
	return []*string{
		&s.load, &s.find, &s.loadGiven, &s.findGiven, &s.list, &s.listLive, &s.claim, &s.remove, &s.insert, &s.update, &s.notify, &s.updateGiven, &s.notifyGiven, &s.tell, &s.replace, &s.release, &s.take,
		&s.anyDue, &s.hide,
		&s.count, &s.makeSchema, &s.schemaReached, &s.schemaVersion, &s.setSchemaVersion,
	}
}

// claimInOne is claimOnce where the claim is one statement.
func claimInOne(ctx context.Context, s *Store, limit int, ttl time.Duration) ([]handover.Record, error) {
	args := []any{limit, max(ttl.Microseconds(), 0)}
	if s.oneWriter {
		args = append(args, time.Now().UnixMicro())
	}
	rows, err := s.db.QueryContext(ctx, s.claim, args...)
	if err != nil {
		return nil, err
	}
	return scanClaim(rows)
}

// removeInOne is removeOnce where the removal is one statement that returns how many records it removed.
func removeInOne(ctx context.Context, s *Store, key string, version int64) (bool, error) {
	removed, err := scanNumber(s.db.QueryContext(ctx, s.remove, key, version))
	return removed > 0, err
}
