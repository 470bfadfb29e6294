package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// channel is a database in which one thing works: what a statement is given is told to the channel. A nil one tells
// nothing, as through a pooler.
type channel chan string

func (c channel) Connect(context.Context) (driver.Conn, error) { return c, nil }
func (c channel) Driver() driver.Driver                        { return nil }
func (c channel) Prepare(string) (driver.Stmt, error)          { return nil, errors.ErrUnsupported }
func (c channel) Begin() (driver.Tx, error)                    { return nil, errors.ErrUnsupported }
func (c channel) Close() error                                 { return nil }

func (c channel) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if query != "SELECT pg_notify('bot_changed', $1)" {
		return nil, errors.ErrUnsupported
	}
	if c != nil {
		c <- args[0].Value.(string)
	}
	return driver.RowsAffected(1), nil
}

// watched returns a store whose Listen tells what comes on the channel, until that is closed or ctx ends.
func watched(t *testing.T, c channel, lost error) *Store {
	t.Helper()
	s, err := New(sql.OpenDB(c), PostgreSQL, Options{Prefix: "bot_", Listen: func(ctx context.Context, name string, notified func(string)) error {
		require.Equal(t, "bot_changed", name)
		notified("")
		for {
			select {
			case payload, ok := <-c:
				if !ok {
					return lost
				}
				notified(payload)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.db.Close()) })
	return s
}

func TestWatch(t *testing.T) {
	lost := errors.New("connection reset by peer")
	for _, lost := range []error{lost, nil} {
		synctest.Test(t, func(t *testing.T) {
			c := make(channel)
			var heard []string
			err := watched(t, c, lost).Watch(t.Context(), func(key string) {
				if heard = append(heard, key); key != "" {
					return
				}
				go func() {
					c <- "key"
					close(c)
				}()
			})
			require.Error(t, err, "it has to be called again")
			require.NotErrorIs(t, err, errors.ErrUnsupported)
			if lost != nil {
				require.ErrorIs(t, err, lost)
			}
			require.Equal(t, []string{"", "key"}, heard)
		})
	}
}

func TestWatchTellsNothingBeforeItHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := make(channel, 1)
		c <- "key" // between LISTEN and what Watch tells itself
		var heard []string
		ctx, cancel := context.WithCancel(t.Context())
		err := watched(t, c, nil).Watch(ctx, func(key string) {
			heard = append(heard, key)
			cancel()
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, []string{""}, heard)
	})
}

// TestWatchThatHearsNothing listens through a pooler: LISTEN is no error, and nothing comes.
func TestWatchThatHearsNothing(t *testing.T) {
	never := func(key string) { t.Errorf("%q is told", key) }
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		err := watched(t, nil, nil).Watch(t.Context(), never)
		require.ErrorIs(t, err, errDeaf)
		require.NotErrorIs(t, err, errors.ErrUnsupported)
		require.Equal(t, listenPatience, time.Since(begun))
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, watched(t, nil, nil).Watch(ctx, never), context.DeadlineExceeded)
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, watched(t, nil, nil).Watch(ctx, never), context.Canceled)
}

func TestWatchWithoutListen(t *testing.T) {
	for d := range dialects {
		s, err := New(new(sql.DB), d, Options{})
		require.NoError(t, err)
		err = s.Watch(t.Context(), func(key string) { t.Errorf("%q is told", key) })
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
}
