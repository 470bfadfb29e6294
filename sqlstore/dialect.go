package sqlstore

import (
	"context"
	"errors"
	"strings"

	"github.com/crisphandover/handover"
)

// dialect is what differs between the databases.
type dialect struct {
	statements

	// parameter is the sign before a parameter's number.
	parameter string
	// oneWriter says that the database has one writer at a time, and no clock of its own.
	oneWriter bool
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
	// saveOne tries Save once.
	saveOne func(ctx context.Context, s *Store, r handover.Record, row row) (version int64, err error)
	// saveTogether and undone are together and undone of the joiner of Saves, and readTogether is together, with its
	// statement, of those of reads. Without them each call goes alone.
	saveTogether func(ctx context.Context, s *Store, saves []*joined[save, int64]) error
	readTogether func(ctx context.Context, s *Store, query string, reads []*joined[string, handover.Record]) error
	undone       func(error) bool
}

// statements are SQL. In a dialect "{prefix}" stands for what the tables' names begin with, and
// "$1" for the first parameter.
//
// load and find return the store's time (0 if it has none), and the fields of a record, which are
// NULL where none is stored. claim returns the record's time in the queue before that. insert,
// update, replace and remove return one number; 0, or no row, if they changed nothing.
type statements struct {
	load, find, claim, remove, insert, update string

	list, listLive string // of the keys after the first parameter, and from the second up to the third; at most the fourth

	loadGiven, findGiven   string // PostgreSQL: load and find for several names
	updateGiven            string // PostgreSQL: update for several records; returns number and version of what it saved
	notify, notifyGiven    string // PostgreSQL: end an insert or update, and an updateGiven, that others are to be told of
	replace, release, take string // SQLite: the parts of a Save that changes Crisp ids

	count, makeSchema, schemaVersion, setSchemaVersion string
}

var dialects = map[Dialect]dialect{PostgreSQL: postgres, SQLite: sqlite}

// with returns the dialect for tables whose names begin with prefix.
func (d dialect) with(prefix string) dialect {
	fill := strings.NewReplacer("{prefix}", prefix, "$", d.parameter).Replace

	d.count = `SELECT count(*) FROM {prefix}record WHERE key = $1`
	d.makeSchema = `CREATE TABLE IF NOT EXISTS {prefix}schema (version INTEGER NOT NULL)`
	d.schemaVersion = `SELECT COALESCE(MAX(version), 0) FROM {prefix}schema`
	d.setSchemaVersion = `INSERT INTO {prefix}schema (version) VALUES ($1)`
	for _, statement := range d.statements.all() {
		*statement = fill(*statement)
	}

	migrations := make([][]string, len(d.migrations))
	for i, statements := range d.migrations {
		for _, statement := range statements {
			migrations[i] = append(migrations[i], fill(statement))
		}
	}
	d.migrations = migrations
	return d
}

// all returns all statements, to be changed.
func (s *statements) all() []*string {
	return []*string{
		&s.load, &s.find, &s.loadGiven, &s.findGiven, &s.list, &s.listLive, &s.claim, &s.remove, &s.insert, &s.update, &s.notify, &s.updateGiven, &s.notifyGiven, &s.replace, &s.release, &s.take,
		&s.count, &s.makeSchema, &s.schemaVersion, &s.setSchemaVersion,
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
