package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// What the store does with a real database is tested in internal/integration.

func TestNew(t *testing.T) {
	for _, prefix := range []string{"", "h", "handover_2_", "_x", strings.Repeat("p", 32)} {
		_, err := New(new(sql.DB), SQLite, Options{Prefix: prefix})
		require.NoError(t, err)
	}
	for _, prefix := range []string{"2x", "H", "a-b", "a.b", "a b", `a"`, "é", "$1", strings.Repeat("p", 33)} {
		_, err := New(new(sql.DB), PostgreSQL, Options{Prefix: prefix})
		require.ErrorContains(t, err, "the prefix")
	}
	_, err := New(nil, 0, Options{Prefix: "A"})
	require.ErrorContains(t, err, "db is nil")
	require.ErrorContains(t, err, "dialect 0 is unknown")
	require.ErrorContains(t, err, "the prefix")
}

func TestStatements(t *testing.T) {
	for _, d := range dialects {
		d = d.with("other_")
		filled := slices.Clone(d.migrations[0].statements)
		for _, statement := range d.statements.all() {
			filled = append(filled, *statement)
		}
		for _, statement := range filled {
			if statement == "" {
				continue // of another database
			}
			require.Contains(t, statement, "other_")
			require.NotRegexp(t, "[{}]", strings.ReplaceAll(statement, "{version}", ""))
		}
	}
	require.Contains(t, postgres.with("").load, "key = $1")
	require.Contains(t, sqlite.with("").load, "key = ?1", "SQLite numbers $1 by its place, not by its number")
	require.Contains(t, mysql.with("").load, "r.`key` = ?")
	require.Contains(t, sqlite.load, "{prefix}", "the dialect itself stays as it is")
}

func TestListenIsForPostgreSQL(t *testing.T) {
	listen := func(context.Context, string, func(string)) error { return nil }
	for _, d := range []Dialect{SQLite, MySQL} {
		_, err := New(new(sql.DB), d, Options{Listen: listen})
		require.ErrorContains(t, err, "Options.Listen")
	}
	_, err := New(new(sql.DB), PostgreSQL, Options{Listen: listen})
	require.NoError(t, err)
}

// stateError is an error of a PostgreSQL driver.
type stateError string

func (e stateError) Error() string    { return "from the driver" }
func (e stateError) SQLState() string { return string(e) }

func TestRunRepeats(t *testing.T) {
	for _, c := range []struct {
		dialect Dialect
		err     error
		repeats bool
	}{
		{PostgreSQL, stateError("40001"), true},
		{PostgreSQL, stateError("40P01"), true},
		{PostgreSQL, stateError("23505"), false},
		{PostgreSQL, stateError("57P01"), false},
		{PostgreSQL, errors.New("database is locked"), false},
		{SQLite, errors.New("database is locked (5) (SQLITE_BUSY)"), true},
		{SQLite, errors.New("sqlite3: database is locked"), true},
		{SQLite, errors.New("database table is locked: handover_record"), true},
		{SQLite, errors.New("disk I/O error"), false},
		{MySQL, errors.New("Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction"), true},
		{MySQL, errors.New("Error 1205 (HY000): Lock wait timeout exceeded; try restarting transaction"), true},
		{MySQL, errors.New("Error 1062 (23000): Duplicate entry 'key' for key 'PRIMARY'"), false},
		{MySQL, errors.New("invalid connection"), false},
		{SQLite, handover.ErrConflict, false},
		{SQLite, handover.ErrTaken, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &Store{dialect: dialects[c.dialect]}
			calls := 0
			err := s.run(t.Context(), "Save", func() error {
				if calls++; calls < 5 {
					return c.err
				}
				return nil
			})
			if c.repeats {
				require.NoError(t, err)
				require.Equal(t, 5, calls)
				return
			}
			require.ErrorIs(t, err, c.err)
			require.Equal(t, 1, calls)
		})
	}
}

func TestRunGivesUp(t *testing.T) {
	locked := errors.New("database is locked")
	synctest.Test(t, func(t *testing.T) {
		s := &Store{dialect: dialects[SQLite]}
		start := time.Now()
		err := s.run(t.Context(), "Save", func() error { return locked })
		require.ErrorIs(t, err, locked)
		require.ErrorContains(t, err, "handover: sqlstore: Save: ")
		require.GreaterOrEqual(t, time.Since(start), patience)
		require.Less(t, time.Since(start), patience+2*longest)
	})
	synctest.Test(t, func(t *testing.T) {
		s := &Store{dialect: dialects[SQLite]}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := s.run(ctx, "Save", func() error { return locked })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 100*time.Millisecond, time.Since(start))
	})
}

func TestRunErrors(t *testing.T) {
	s := &Store{dialect: dialects[PostgreSQL]}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	fail := func(ctx context.Context, err error) error {
		return s.run(ctx, "Save", func() error { return err })
	}
	require.NoError(t, fail(t.Context(), nil))
	require.Equal(t, handover.ErrConflict, fail(cancelled, handover.ErrConflict))
	require.Equal(t, handover.ErrTaken, fail(cancelled, handover.ErrTaken))
	inItsOwnWords := errors.New("pq: canceling statement due to user request")
	require.ErrorIs(t, fail(cancelled, inItsOwnWords), context.Canceled)
	require.ErrorIs(t, fail(cancelled, inItsOwnWords), inItsOwnWords)
	require.EqualError(t, fail(cancelled, context.Canceled), "handover: sqlstore: Save: context canceled")
	require.ErrorContains(t, fail(t.Context(), stateError("42P01")), "call Migrate first")
	s = &Store{dialect: dialects[SQLite]}
	require.ErrorContains(t, fail(t.Context(), errors.New("no such table: handover_record")), "call Migrate first")
	s = &Store{dialect: dialects[MySQL]}
	require.ErrorContains(t, fail(t.Context(), errors.New("Error 1146 (42S02): Table 'test.handover_record' doesn't exist")), "call Migrate first")
}

func TestWritersWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{dialect: sqlite, writer: make(chan struct{}, 1)}
		first := make(chan struct{})
		go func() {
			_ = s.write(t.Context(), "Save", func() error { <-first; return nil })
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		work := func() error { t.Error("two write at once"); return nil }
		err := s.write(ctx, "Claim", work)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "Claim")
		close(first)
		wrote := false
		require.NoError(t, s.write(t.Context(), "Save", func() error { wrote = true; return nil }))
		require.True(t, wrote)
	})
}
