package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/crisphandover/handover"
)

// Work that meets a lock or a deadlock is repeated for patience, with pauses that grow to longest.
const (
	patience = 5 * time.Second
	longest  = 50 * time.Millisecond
)

// Migrate makes the tables, or brings those of an earlier release up to date. Any number of
// replicas may call it at once, and at each start; with nothing to do it only looks. Tables
// of a later release are left as they are.
//
// The database role needs the right to create tables. A host that does not give it to the bot
// calls Migrate from its own migration job, or gives Migrations to the tool that does all its migrations.
func (s *Store) Migrate(ctx context.Context) error {
	done := false
	err := s.run(ctx, "Migrate", func() (err error) {
		done, err = s.migrated(ctx)
		return err
	})
	if err != nil || done {
		return err
	}
	return s.write(ctx, "Migrate", func() error {
		return s.inTx(ctx, func(tx *sql.Tx) error { return s.migrate(ctx, tx) })
	})
}

// migrated reports whether nothing is left to migrate. Its statement is one that migrate does not have: PgBouncer takes the
// name of a prepared statement that failed, for want of the table, for used.
func (s *Store) migrated(ctx context.Context) (bool, error) {
	reached, err := scanNumber(s.db.QueryContext(ctx, s.schemaReached, len(s.migrations)))
	if err != nil && s.missing(err) {
		return false, nil
	}
	return reached > 0, err
}

func (s *Store) migrate(ctx context.Context, tx *sql.Tx) error {
	for _, statement := range s.lock {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, s.makeSchema); err != nil {
		return err
	}
	var version int
	if err := tx.QueryRowContext(ctx, s.schemaVersion).Scan(&version); err != nil {
		return err
	}
	for ; version < len(s.migrations); version++ {
		for _, statement := range s.migrations[version].statements {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("to schema version %d: %w", version+1, err)
			}
		}
		if _, err := tx.ExecContext(ctx, s.noteVersion(version+1)); err != nil {
			return err
		}
	}
	return nil
}

// inTx runs work in a transaction, which is undone if it returns an error.
func (s *Store) inTx(ctx context.Context, work func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: s.isolation})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// write is run for work that changes something. Where the database has one writer at a time, so has
// the Store: writers wait for their turn here, as long as their contexts allow.
func (s *Store) write(ctx context.Context, op string, work func() error) error {
	if s.writer != nil {
		select {
		case s.writer <- struct{}{}:
			defer func() { <-s.writer }()
		case <-ctx.Done():
			return fmt.Errorf("handover: sqlstore: %s: %w", op, ctx.Err())
		}
	}
	return s.run(ctx, op, work)
}

// run does work, again while the database asks for that, and says in its error what failed.
func (s *Store) run(ctx context.Context, op string, work func() error) error {
	err := s.retry(ctx, work)
	switch {
	case err == nil, errors.Is(err, handover.ErrConflict), errors.Is(err, handover.ErrTaken):
		return err
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()): // some drivers say it in their own words
		return fmt.Errorf("handover: sqlstore: %s: %w: %w", op, ctx.Err(), err)
	case s.missing(err):
		return fmt.Errorf("handover: sqlstore: %s: the tables are missing: call Migrate first: %w", op, err)
	}
	return fmt.Errorf("handover: sqlstore: %s: %w", op, err)
}

func (s *Store) retry(ctx context.Context, work func() error) error {
	giveUp := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		err := work()
		if err == nil || !s.passing(err) || time.Now().After(giveUp) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}
