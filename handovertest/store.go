package handovertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/crisphandover/handover"
)

// TestStore checks that a handover.Store keeps every promise of that interface. It calls open once
// for each of its subtests; open returns a store that holds nothing, and cleans up after itself
// with t.Cleanup. A store's own test is this one call:
//
//	func TestStore(t *testing.T) {
//		handovertest.TestStore(t, func(t *testing.T) handover.Store { return openEmptyStore(t) })
//	}
//
// What happens when the database behind a store goes away is the store's own to test. So is what a
// store keeps in its process, such as a lock or a cache, and replicas do not share: run the suite
// once more with an open that returns several stores on one database as one, which take turns.
func TestStore(t *testing.T, open func(t *testing.T) handover.Store) {
	for _, c := range storeChecks {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// storeT is what a check needs of a *testing.T. The suite's own test passes another one, to see
// each check fail.
type storeT interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// storeCheck is one promise of handover.Store, and the way to find it broken.
type storeCheck struct {
	name string
	run  func(storeT, handover.Store)
}

// storeChecks are all promises of handover.Store.
var storeChecks = []storeCheck{
	{"unknown", checkUnknown},
	{"fields", checkFields},
	{"replace", checkReplace},
	{"conflict", checkConflict},
	{"versions", checkVersions},
	{"save deleted", checkSaveDeleted},
	{"delete", checkDelete},
	{"crisp ids", checkCrispIDs},
	{"taken", checkTaken},
	{"claim", checkClaim},
	{"claim limit", checkClaimLimit},
	{"claim in time", checkClaimInTime},
	{"claim hides", checkClaimHides},
	{"claim ends", checkClaimEnds},
	{"claim turns", checkClaimTurns},
	{"claim and save", checkClaimAndSave},
	{"claim and delete", checkClaimAndDelete},
	{"claim thousands", checkClaimThousands},
	{"now", checkNow},
	{"wake", checkWake},
	{"watch", checkWatch},
	{"microseconds", checkMicroseconds},
	{"data", checkData},
	{"keys", checkKeys},
	{"contexts", checkContexts},
	{"copies", checkCopies},
	{"concurrent updates", checkConcurrentUpdates},
	{"concurrent inserts", checkConcurrentInserts},
	{"concurrent crisp ids", checkConcurrentCrispIDs},
	{"concurrent claims", checkConcurrentClaims},
	{"concurrent deletes", checkConcurrentDeletes},
	{"whole records", checkWholeRecords},
	{"live", checkLive},
	{"list", checkList},
	{"list prefixes", checkListPrefixes},
	{"list live", checkListLive},
	{"list pages", checkListPages},
	{"list and others", checkListAndOthers},
}

// together runs n calls at once and returns their errors.
func together(n int, call func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	calls.Wait()
	return errs
}

// wantOneWinner returns the index of the one nil among errs; all others must be the given error.
func wantOneWinner(t storeT, errs []error, others error) int {
	t.Helper()
	winner := slices.Index(errs, nil)
	if winner < 0 {
		t.Fatalf("of %d concurrent calls none succeeded: %v", len(errs), errs[0])
	}
	for i, err := range errs {
		if i != winner {
			wantError(t, "a concurrent call that lost", err, others)
		}
	}
	return winner
}

// mustSave stores r and returns it with its new version.
func mustSave(t storeT, s handover.Store, r handover.Record) handover.Record {
	t.Helper()
	version, err := s.Save(t.Context(), r)
	wantError(t, fmt.Sprintf("Save of %.40q in version %d", r.Key, r.Version), err, nil)
	return withVersion(r, version)
}

func mustLoad(t storeT, s handover.Store, key string) handover.Record {
	t.Helper()
	r, err := s.Load(t.Context(), key)
	wantError(t, fmt.Sprintf("Load of %.40q", key), err, nil)
	return r
}

func mustFind(t storeT, s handover.Store, crispID string) handover.Record {
	t.Helper()
	r, err := s.Find(t.Context(), crispID)
	wantError(t, fmt.Sprintf("Find of %.40q", crispID), err, nil)
	return r
}

func mustDelete(t storeT, s handover.Store, r handover.Record) {
	t.Helper()
	wantError(t, fmt.Sprintf("Delete of %.40q", r.Key), s.Delete(t.Context(), r.Key, r.Version), nil)
}

func withVersion(r handover.Record, version int64) handover.Record {
	r.Version = version
	return r
}

// wantRecord checks that exactly r is stored, by its key and by each of its Crisp ids.
func wantRecord(t storeT, s handover.Store, r handover.Record) {
	t.Helper()
	if got := mustLoad(t, s, r.Key); !sameRecord(got, r) {
		t.Fatalf("Load of %.40q gives %.300s, want %.300s", r.Key, showRecord(got), showRecord(r))
	}
	for _, id := range r.CrispIDs {
		if got := mustFind(t, s, id); !sameRecord(got, r) {
			t.Fatalf("Find of %.40q gives %.300s, want %.300s", id, showRecord(got), showRecord(r))
		}
	}
}

// wantNone checks that neither the key nor the Crisp ids are known.
func wantNone(t storeT, s handover.Store, key string, crispIDs ...string) {
	t.Helper()
	if got := mustLoad(t, s, key); !sameRecord(got, handover.Record{}) {
		t.Fatalf("Load of %.40q gives %.300s, want the zero Record", key, showRecord(got))
	}
	wantNotFound(t, s, crispIDs...)
}

func wantNotFound(t storeT, s handover.Store, crispIDs ...string) {
	t.Helper()
	for _, id := range crispIDs {
		if got := mustFind(t, s, id); !sameRecord(got, handover.Record{}) {
			t.Fatalf("Find of %.40q gives %.300s, want the zero Record", id, showRecord(got))
		}
	}
}

// mustClaim claims once and checks that each record is given as Load gives it.
func mustClaim(t storeT, s handover.Store, limit int, ttl time.Duration) []handover.Record {
	t.Helper()
	records, err := s.Claim(t.Context(), limit, ttl)
	wantError(t, fmt.Sprintf("Claim of at most %d", limit), err, nil)
	for _, r := range records {
		if stored := mustLoad(t, s, r.Key); !sameRecord(r, stored) {
			t.Fatalf("Claim gives %q as %.300s, stored is %.300s", r.Key, showRecord(r), showRecord(stored))
		}
	}
	return records
}

// wantClaim claims once and checks which keys it gives, in their order.
func wantClaim(t storeT, s handover.Store, limit int, ttl time.Duration, want ...string) []handover.Record {
	t.Helper()
	records := mustClaim(t, s, limit, ttl)
	if got := keysOf(records); !slices.Equal(got, want) {
		t.Fatalf("Claim of at most %d gives %.300q, want %.300q", limit, got, want)
	}
	return records
}

// wantDue checks that just these keys could be claimed, in any order. It hides none of them.
func wantDue(t storeT, s handover.Store, want ...string) {
	t.Helper()
	got := keysOf(mustClaim(t, s, len(want)+10, 0))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("Claim gives %.300q, want in any order %.300q", got, want)
	}
}

// mustList lists once.
func mustList(t storeT, l handover.Lister, q handover.ListQuery) []handover.Record {
	t.Helper()
	records, err := l.List(t.Context(), q)
	wantError(t, fmt.Sprintf("List of %+.100v", q), err, nil)
	return records
}

// wantList lists once and checks which keys it gives, in their order.
func wantList(t storeT, l handover.Lister, q handover.ListQuery, want ...string) []handover.Record {
	t.Helper()
	records := mustList(t, l, q)
	if got := keysOf(records); !slices.Equal(got, want) {
		t.Fatalf("List of %+.100v gives %.500q, want %.500q", q, got, want)
	}
	return records
}

func keysOf(records []handover.Record) []string {
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	return keys
}

// storeNow reads the clock of the store; that of this process if the store has none of its own.
func storeNow(t storeT, s handover.Store) time.Time {
	t.Helper()
	now := mustLoad(t, s, "no such key").Now
	if now.IsZero() {
		now = time.Now()
	}
	return now.Truncate(time.Microsecond)
}

// storePatience bounds how long a check waits for what has to come.
const storePatience = 30 * time.Second

// wait asks again and again until the answer is yes.
func wait(t storeT, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(storePatience); !yes(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, storePatience)
		}
	}
}

func wantError(t storeT, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("%s: the error is %v, want %v", what, got, want)
	}
}

// sameRecord compares what is kept; no data and empty data are the same.
func sameRecord(a, b handover.Record) bool {
	return a.Key == b.Key && a.Version == b.Version && a.Due.Equal(b.Due) && a.Live == b.Live &&
		slices.Equal(a.CrispIDs, b.CrispIDs) && bytes.Equal(a.Data, b.Data)
}

func showRecord(r handover.Record) string {
	return fmt.Sprintf("{version %d, due %v, live %t, ids %.100q, data %.100q}", r.Version, r.Due, r.Live, r.CrispIDs, r.Data)
}
