package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// What joined statements do in a real database is tested in internal/integration.

var errUndone = errors.New("undone")

// joinRig is a joiner whose statements are the test's.
type joinRig struct {
	*joiner[save, int64]
	t      *testing.T
	hold   chan struct{} // what goes alone with the key "held" waits for it
	joined [][]string    // keys
	all    sync.WaitGroup
}

// newJoinRig returns a joiner all of whose turns are taken, until close(hold).
func newJoinRig(t *testing.T, together func(ctx context.Context, saves []*joined[save, int64]) error) *joinRig {
	rig := &joinRig{t: t, hold: make(chan struct{})}
	rig.joiner = &joiner[save, int64]{
		together: func(ctx context.Context, saves []*joined[save, int64]) error {
			var keys []string
			for _, w := range saves {
				keys = append(keys, w.given.record.Key)
			}
			rig.mu.Lock()
			rig.joined = append(rig.joined, keys)
			rig.mu.Unlock()
			return together(ctx, saves)
		},
		undone: func(err error) bool { return errors.Is(err, errUndone) },
		key:    func(w save) string { return w.record.Key },
		data:   func(w *save) *[]byte { return &w.row.data },
	}
	for range joinTurns {
		rig.save(t.Context(), "held")
	}
	return rig
}

// saving is a call of save.
type saving struct {
	version  int64
	err      error
	panicked any
	alone    bool
}

func (rig *joinRig) save(ctx context.Context, key string) *saving {
	return rig.saveData(ctx, key, []byte(key))
}

func (rig *joinRig) saveData(ctx context.Context, key string, data []byte) *saving {
	s := new(saving)
	rig.all.Go(func() {
		defer func() { s.panicked = recover() }()
		s.version, s.err = rig.do(ctx, save{handover.Record{Key: key, Version: 1}, row{data: data}}, func() (int64, error) {
			s.alone = true
			if key == "held" {
				<-rig.hold
			}
			return 1, nil
		})
	})
	synctest.Wait()
	return s
}

// end lets all go on, and requires that no turn is left over.
func (rig *joinRig) end() {
	close(rig.hold)
	rig.all.Wait()
	synctest.Wait()
	require.Zero(rig.t, rig.taken)
	require.Empty(rig.t, rig.waiting)
}

func saveAll(_ context.Context, saves []*joined[save, int64]) error {
	for _, w := range saves {
		w.result, w.done = 2, true
	}
	return nil
}

func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rig := newJoinRig(t, func(_ context.Context, saves []*joined[save, int64]) error {
			for _, w := range saves {
				if w.given.record.Key != "conflict" {
					w.result, w.done = 2, true
				}
			}
			return nil
		})
		a, conflict, b, again := rig.save(t.Context(), "a"), rig.save(t.Context(), "conflict"), rig.save(t.Context(), "b"), rig.save(t.Context(), "a")
		require.Empty(t, rig.joined, "nothing goes before a turn is free")
		rig.end()
		require.Equal(t, [][]string{{"a", "conflict", "b"}}, rig.joined, "no key goes twice in one statement")
		require.Equal(t, &saving{version: 2}, a)
		require.Equal(t, &saving{version: 2}, b)
		require.Equal(t, &saving{version: 1, alone: true}, conflict)
		require.Equal(t, &saving{version: 1, alone: true}, again, "one by itself takes the turn")
	})
}

func TestJoinFails(t *testing.T) {
	unknown := errors.New("connection reset by peer")
	for _, c := range []struct {
		err  error
		want saving
	}{
		{fmt.Errorf("one bad record: %w", errUndone), saving{version: 1, alone: true}},
		{unknown, saving{err: unknown}},
	} {
		synctest.Test(t, func(t *testing.T) {
			rig := newJoinRig(t, func(context.Context, []*joined[save, int64]) error { return c.err })
			a, b := rig.save(t.Context(), "a"), rig.save(t.Context(), "b")
			rig.end()
			require.Equal(t, &c.want, a)
			require.Equal(t, &c.want, b)
		})
	}
}

func TestJoinPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rig := newJoinRig(t, func(context.Context, []*joined[save, int64]) error { panic("of the driver") })
		a, b := rig.save(t.Context(), "a"), rig.save(t.Context(), "b")
		rig.end()
		for _, s := range []*saving{a, b} {
			require.Contains(t, s.panicked, "of the driver")
			require.Contains(t, s.panicked, "join_test.go", "the stack")
		}
	})
}

func TestJoinLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		rig := newJoinRig(t, func(ctx context.Context, saves []*joined[save, int64]) error {
			select {
			case <-finish:
				return saveAll(ctx, saves)
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		gone := rig.save(ctx, "gone")
		cancel()
		synctest.Wait()
		require.ErrorIs(t, gone.err, context.Canceled)
		require.Empty(t, rig.waiting, "it left before its turn")
		require.ErrorIs(t, rig.save(ctx, "gone before").err, context.Canceled)

		ctx, cancel = context.WithCancel(t.Context())
		leaves, stays := rig.save(ctx, "leaves"), rig.save(t.Context(), "stays")
		time.Sleep(joinWait)
		synctest.Wait()
		require.Equal(t, [][]string{{"leaves", "stays"}}, rig.joined)
		cancel()
		synctest.Wait()
		require.ErrorIs(t, leaves.err, context.Canceled)
		require.Equal(t, &saving{}, stays, "the statement goes on for it")
		close(finish)
		synctest.Wait()
		require.Equal(t, &saving{version: 2}, stays)

		finish = make(chan struct{})
		ctx, cancel = context.WithCancel(t.Context())
		rig.save(ctx, "a")
		rig.save(ctx, "b")
		time.Sleep(joinWait)
		cancel()
		rig.end() // the statement is cancelled, or this would wait for ever
	})
}

// TestJoinHangs has all turns taken by statements that hang.
func TestJoinHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rig := newJoinRig(t, saveAll)
		begun := time.Now()
		a, b := rig.save(t.Context(), "a"), rig.save(t.Context(), "b")
		time.Sleep(joinWait)
		synctest.Wait()
		require.Equal(t, &saving{version: 2}, a)
		require.Equal(t, &saving{version: 2}, b)
		require.Equal(t, joinWait, time.Since(begun))
		require.Equal(t, joinTurns, rig.taken, "a turn too many ends")

		one := rig.save(t.Context(), "one")
		time.Sleep(joinWait)
		synctest.Wait()
		require.Equal(t, &saving{version: 1, alone: true}, one)
		rig.end()
	})
}

func TestJoinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rig := newJoinRig(t, saveAll)
		for n := range joinCalls + 3 {
			rig.save(t.Context(), fmt.Sprint("small ", n))
		}
		rig.end()
		require.Len(t, slices.MaxFunc(rig.joined, func(a, b []string) int { return len(a) - len(b) }), joinCalls)
	})
	synctest.Test(t, func(t *testing.T) {
		rig := newJoinRig(t, saveAll)
		for n := range 4 {
			rig.saveData(t.Context(), fmt.Sprint("large ", n), make([]byte, joinBytes/2))
		}
		rig.saveData(t.Context(), "too large", make([]byte, joinBytes+1))
		rig.end()
		require.ElementsMatch(t, [][]string{{"large 0", "large 1"}, {"large 2", "large 3"}}, rig.joined)
	})
}

// TestJoinKeepsCount has many callers, contexts that end at any time, and statements that fail.
func TestJoinKeepsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rig := newJoinRig(t, func(ctx context.Context, saves []*joined[save, int64]) error {
			time.Sleep(rand.N(2 * time.Millisecond))
			if rand.N(4) == 0 {
				return errUndone
			}
			return saveAll(ctx, saves)
		})
		rig.all.Go(func() { time.Sleep(time.Second) })
		for n := range 100 {
			rig.all.Go(func() {
				for range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), 1+rand.N(5*time.Millisecond))
					_, err := rig.do(ctx, save{record: handover.Record{Key: strings.Repeat("k", n/2)}}, func() (int64, error) {
						time.Sleep(rand.N(time.Millisecond))
						return 1, nil
					})
					cancel()
					if err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
				}
			})
		}
		rig.end()
		require.NotEmpty(t, rig.joined)
	})
}

// state is an error of PostgreSQL's.
type state string

func (s state) Error() string    { return "ERROR " + string(s) }
func (s state) SQLState() string { return string(s) }

// Only what certainly was not saved is saved once more.
func TestJoinUndone(t *testing.T) {
	for code, want := range map[state]bool{
		"22P05": true, "23505": true, "40001": true, "40P01": true, "42P01": true, "54000": true,
		"40003": false, // it is not known whether the statement was completed
		"08006": false, "57014": false, "57P01": false, "58000": false, "": false,
	} {
		require.Equal(t, want, postgres.undone(fmt.Errorf("save: %w", code)), code)
	}
	require.False(t, postgres.undone(errUndone))
}
