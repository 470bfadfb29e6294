package integration

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/sqlstore"
)

// joinRig is a store whose Saves have to wait and then go together: other transactions keep those that went
// first from ending.
type joinRig struct {
	*testing.T
	*sqlstore.Store
	config *pgx.ConnConfig
	sent   *queryLog
	first  sync.WaitGroup
	unlock func() // lets those end that went first
}

// queryLog notes what is sent to PostgreSQL, and what fails.
type queryLog struct {
	mu     sync.Mutex
	joined int // Saves
	reads  int // joined
	errs   []error
}

func (l *queryLog) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.Contains(q.SQL, "json_to_recordset") {
		l.joined++
	}
	if strings.Contains(q.SQL, "WITH ORDINALITY") {
		l.reads++
	}
	return ctx
}

func (l *queryLog) TraceQueryEnd(_ context.Context, _ *pgx.Conn, q pgx.TraceQueryEndData) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.Err != nil {
		l.errs = append(l.errs, q.Err)
	}
}

func newJoinRig(t *testing.T) *joinRig {
	rig := &joinRig{T: t, sent: new(queryLog)}
	rig.config = postgresSchema(t, postgresConfig(t), nil)
	traced := rig.config.Copy()
	traced.Tracer = rig.sent
	rig.Store = postgresStore(t, openPostgres(t, traced))
	var held []handover.Record
	for n := range 8 { // more than may be under way at once
		held = append(held, saveRecord(t, rig, handover.Record{Key: fmt.Sprint("held ", n)}))
	}
	rig.unlock = rig.lock("SELECT FROM handover_record WHERE key LIKE 'held %' FOR UPDATE")
	for _, r := range held {
		rig.first.Go(func() {
			_, err := rig.Save(context.WithoutCancel(t.Context()), r)
			if err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		rig.unlock()
		rig.first.Wait()
	})
	rig.waiting(len(held)) // they were joined, passed over, and go alone
	return rig
}

// lock does what another transaction does, until the function that it returns is called.
func (rig *joinRig) lock(statement string) (unlock func()) {
	tx, err := openPostgres(rig, rig.config).BeginTx(context.WithoutCancel(rig.Context()), nil)
	require.NoError(rig, err)
	_, err = tx.ExecContext(rig.Context(), statement)
	require.NoError(rig, err)
	return func() { _ = tx.Rollback() }
}

// waiting waits until so many statements of the store wait for locks.
func (rig *joinRig) waiting(want int) {
	rig.Helper()
	rig.countWaiting("application_name = current_setting('application_name') AND wait_event_type = 'Lock'", func(n int) bool { return n == want })
}

func (rig *joinRig) countWaiting(which string, ok func(n int) bool) {
	rig.Helper()
	db := openPostgres(rig, rig.config)
	require.Eventually(rig, func() bool {
		var n int
		err := db.QueryRowContext(rig.Context(), "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "+which).Scan(&n)
		return err == nil && ok(n)
	}, 30*time.Second, 5*time.Millisecond)
}

// records saves new records.
func (rig *joinRig) records(n int) (records []handover.Record) {
	rig.Helper()
	for i := range n {
		key := fmt.Sprint("key ", i)
		records = append(records, saveRecord(rig, rig, handover.Record{Key: key, CrispIDs: []string{"site/" + key}, Data: []byte(key), Due: time.UnixMicro(1).UTC()}))
	}
	return records
}

// saveAll saves records at once, and returns the errors. The versions of those that were saved are set.
func (rig *joinRig) saveAll(ctx context.Context, records []handover.Record) []error {
	errs := make([]error, len(records))
	var all sync.WaitGroup
	for i := range records {
		all.Go(func() {
			version, err := rig.Save(ctx, records[i])
			if errs[i] = err; err == nil {
				records[i].Version = version
			}
		})
	}
	all.Wait()
	return errs
}

// TestStorePostgresJoin saves records at once of which each has another outcome, while rows are locked that
// the first Saves want. Each caller gets its own outcome, and nobody waits for the locks of others.
func TestStorePostgresJoin(t *testing.T) {
	rig := newJoinRig(t)
	records := rig.records(30)
	const stale, deleted, renamed, taken, poisoned, odd, twice, undue, empty = 0, 1, 2, 3, 4, 5, 6, 7, 8
	changed := make([]handover.Record, len(records))
	for i, r := range records {
		r.Data = append([]byte("new "), strings.Repeat("text ", i)...)
		if r.Due = time.UnixMicro(int64(i + 2)).UTC(); i == undue {
			r.Due = time.Time{}
		}
		changed[i] = r
	}
	changed[stale].Version--
	require.NoError(t, rig.Delete(t.Context(), records[deleted].Key, records[deleted].Version))
	changed[renamed].CrispIDs = []string{"site/another", "site/key 2"}
	changed[taken].CrispIDs = []string{"site/key 9"}
	changed[poisoned].Key = "\x00"
	changed[odd].Key = "\xff"
	changed[twice+3] = changed[twice]
	changed[empty].Data = []byte{}
	wrong := map[int]error{stale: handover.ErrConflict, deleted: handover.ErrConflict, taken: handover.ErrTaken}

	errs := rig.saveAll(t.Context(), changed)
	require.Positive(t, rig.sent.joined, "nothing was joined")
	won := 0
	for i, err := range errs {
		switch {
		case wrong[i] != nil:
			require.ErrorIs(t, err, wrong[i], i)
			if i != deleted {
				requireRecord(t, rig, records[i])
			}
		case i == poisoned || i == odd:
			require.ErrorContains(t, err, "22021")
		case i == twice || i == twice+3:
			if err == nil {
				won++
				requireRecord(t, rig, changed[i])
				continue
			}
			require.ErrorIs(t, err, handover.ErrConflict)
		default:
			require.NoError(t, err, i)
			requireRecord(t, rig, changed[i])
		}
	}
	require.Equal(t, 1, won)
	due, err := rig.Claim(t.Context(), 100, time.Minute)
	require.NoError(t, err)
	var keys []string
	for _, r := range due {
		keys = append(keys, r.Key)
	}
	require.Len(t, keys, len(records)-2)
	require.NotContains(t, keys, records[deleted].Key)
	require.NotContains(t, keys, changed[undue].Key)
	require.ElementsMatch(t, []string{"key 0", "key 3", "key 4", "key 5", "key 9"}, keys[:5], "what was not saved has its old Due")
}

// TestStorePostgresJoinLocked saves records at once of which another transaction has one locked.
func TestStorePostgresJoinLocked(t *testing.T) {
	rig := newJoinRig(t)
	records := rig.records(10)
	unlock := rig.lock("SELECT FROM handover_record WHERE key = 'key 3' FOR UPDATE")
	locked := make(chan error, 1)
	go func() {
		version, err := rig.Save(context.WithoutCancel(t.Context()), records[3])
		records[3].Version = version
		locked <- err
	}()
	others := append(records[:3:3], records[4:]...)
	require.NoError(t, errors.Join(rig.saveAll(t.Context(), others)...))
	require.Empty(t, locked)
	unlock()
	require.NoError(t, <-locked)
	requireRecord(t, rig, records[3])
	require.Positive(t, rig.sent.joined)
}

// TestStorePostgresJoinInterrupted stops joined statements in the middle of their work: nothing of them is
// stored, their callers get an error, and the store works on. When only some callers leave, they go on.
func TestStorePostgresJoinInterrupted(t *testing.T) {
	for _, how := range []string{"connection dropped", "all callers leave", "some callers leave"} {
		t.Run(how, func(t *testing.T) {
			rig := newJoinRig(t)
			records := rig.records(20)
			changed := make([]handover.Record, len(records))
			for i, r := range records {
				r.Data, r.Due = []byte("new"), time.UnixMicro(2).UTC()
				changed[i] = r
			}
			unlock := rig.lock("SELECT FROM handover_due FOR UPDATE") // as a Claim has them, but for longer
			defer unlock()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			stay := ctx
			if how == "some callers leave" {
				stay = context.WithoutCancel(ctx)
			}
			var all, some sync.WaitGroup
			var errs, left []error
			some.Go(func() { left = rig.saveAll(ctx, changed[:10]) })
			all.Go(func() { errs = rig.saveAll(stay, changed[10:]) })
			rig.joinedWaiting(func(n int) bool { return n > 0 })

			want := "57P01"
			if how == "connection dropped" {
				_, err := openPostgres(t, rig.config).ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
					WHERE `+joinedWaits)
				require.NoError(t, err)
				unlock()
			} else {
				leave()
				want = context.Canceled.Error()
			}
			some.Wait()
			if how == "all callers leave" {
				rig.joinedWaiting(func(n int) bool { return n == 0 }) // the driver returns before the server hears of it
			}
			unlock()
			all.Wait()

			var again []handover.Record
			for i, err := range append(left, errs...) {
				if err == nil { // not in such a statement
					requireRecord(t, rig, changed[i])
					continue
				}
				again = append(again, records[i])
				require.ErrorContains(t, err, want)
				if how != "some callers leave" {
					requireRecord(t, rig, records[i])
				}
			}
			require.Greater(t, len(again), 1)
			if how == "some callers leave" {
				require.NoError(t, errors.Join(errs...))
				return
			}
			require.NoError(t, errors.Join(rig.saveAll(t.Context(), again)...))
		})
	}
}

// joinedWaits says of a row of pg_stat_activity that it is a joined statement which waits for a lock.
const joinedWaits = `application_name = current_setting('application_name') AND wait_event_type = 'Lock' AND query LIKE '%json_to_recordset%'`

// joinedWaiting waits until ok says that so many joined statements wait for locks.
func (rig *joinRig) joinedWaiting(ok func(n int) bool) {
	rig.Helper()
	rig.countWaiting(joinedWaits, ok)
}

// TestStorePostgresJoinReplicas has replicas save the same records at once, in any order: none of what they
// join ends in a deadlock, and no change is lost.
func TestStorePostgresJoinReplicas(t *testing.T) {
	config := postgresSchema(t, postgresConfig(t), map[string]string{"deadlock_timeout": "1ms"})
	const replicas, keys, times = 3, 20, 5
	var sent queryLog
	config.Tracer = &sent
	var all sync.WaitGroup
	var stores []*sqlstore.Store
	for range replicas {
		store := postgresStore(t, openPostgres(t, config))
		stores = append(stores, store)
		for key := range keys {
			all.Go(func() {
				for range times {
					if err := addOne(t.Context(), store, fmt.Sprint(key)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Go(func() {
			for range 10 {
				if _, err := store.Claim(t.Context(), 10, time.Microsecond); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for key := range keys {
		r, err := stores[0].Load(t.Context(), fmt.Sprint(key))
		require.NoError(t, err)
		require.Len(t, r.Data, replicas*times)
	}
	require.Positive(t, sent.joined)
	for _, err := range sent.errs {
		var coded *pgconn.PgError
		require.False(t, errors.As(err, &coded) && coded.Code == "40P01", "a deadlock")
	}
}

// addOne makes the record's Data one byte longer.
func addOne(ctx context.Context, store handover.Store, key string) error {
	for {
		r, err := store.Load(ctx, key)
		if err != nil {
			return err
		}
		r.Key, r.Data, r.Due = key, append(r.Data, 'x'), time.Now()
		if _, err := store.Save(ctx, r); !errors.Is(err, handover.ErrConflict) {
			return err
		}
	}
}

// TestStorePostgresJoinReads reads records at once, some of which are not stored, while the first reads wait for
// a lock. Each caller gets its own record.
func TestStorePostgresJoinReads(t *testing.T) {
	rig := &joinRig{T: t, sent: new(queryLog)}
	rig.config = postgresSchema(t, postgresConfig(t), nil)
	traced := rig.config.Copy()
	traced.Tracer = rig.sent
	rig.Store = postgresStore(t, openPostgres(t, traced))
	records := rig.records(20)
	unlock := rig.lock("LOCK TABLE handover_record IN ACCESS EXCLUSIVE MODE")
	var all sync.WaitGroup
	read := func(call func(context.Context, string) (handover.Record, error), name string, want handover.Record) {
		all.Go(func() {
			got, err := call(t.Context(), name)
			if err != nil || got.Now.IsZero() {
				t.Errorf("%q: %v, at %v", name, err, got.Now)
			}
			got.Now = time.Time{}
			if !reflect.DeepEqual(want, got) {
				t.Errorf("%q: got %v", name, got)
			}
		})
	}
	for i := range 2 { // all that goes alone
		read(rig.Load, records[i].Key, records[i])
		read(rig.Find, records[i].CrispIDs[0], records[i])
	}
	rig.waiting(4)
	for _, r := range records {
		read(rig.Load, r.Key, r)
		read(rig.Find, r.CrispIDs[0], r)
		read(rig.Load, "no "+r.Key, handover.Record{})
		read(rig.Find, "no "+r.Key, handover.Record{})
	}
	all.Go(func() {
		if _, err := rig.Load(t.Context(), "\x00"); err == nil {
			t.Error("PostgreSQL has no such text") // nor does it spoil what it goes with
		}
	})
	rig.waiting(8) // two more of each: 32 names, and the rest
	unlock()
	all.Wait()
	require.GreaterOrEqual(t, rig.sent.reads, 4)
}
