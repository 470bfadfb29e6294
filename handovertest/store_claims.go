package handovertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

func checkClaim(t storeT, s handover.Store) {
	now := storeNow(t, s)
	at := map[string]time.Time{ // the keys in another order than the times
		"a": now, "c": now.Add(-time.Hour), "b": now.Add(-time.Minute), "d1990": noon.In(time.FixedZone("", 3600)),
		"e1970": time.Unix(0, 0), "f1969": time.Unix(-1, 0),
		"never": {}, "future": now.Add(time.Hour), "far": now.AddDate(290, 0, 0), // beyond what 64 bits of nanoseconds count
	}
	for key, due := range at {
		mustSave(t, s, handover.Record{Key: key, CrispIDs: []string{"of " + key, "and" + key}, Due: due, Data: []byte("data of " + key)})
	}
	wantClaim(t, s, 10, time.Hour, "f1969", "e1970", "d1990", "c", "b", "a")
	wantClaim(t, s, 10, time.Hour)
}

func checkClaimLimit(t storeT, s handover.Store) {
	const n = 20
	keys := make([]string, n)
	for _, i := range rand.Perm(n) {
		keys[i] = "key" + strconv.Itoa((i*7)%n) // neither by key nor by age
		mustSave(t, s, handover.Record{Key: keys[i], Due: noon.Add(time.Duration(i) * time.Second)})
	}
	wantClaim(t, s, -1, time.Hour)
	wantClaim(t, s, 0, time.Hour)
	wantClaim(t, s, 1, time.Hour, keys[0])
	wantClaim(t, s, 7, time.Hour, keys[1:8]...)
	wantClaim(t, s, n, time.Hour, keys[8:]...)
}

// checkClaimInTime has a record become due while it is asked for.
func checkClaimInTime(t storeT, s handover.Store) {
	due := storeNow(t, s).Add(50 * time.Millisecond)
	mustSave(t, s, handover.Record{Key: "key", Due: due})
	r := waitClaim(t, s, "a record that becomes due")
	if r.Now.IsZero() {
		r.Now = time.Now()
	}
	if r.Now.Before(due) {
		t.Fatalf("Claim gives a record %v before it is due", due.Sub(r.Now))
	}
}

// waitClaim claims until there is a record, which it hides for an hour.
func waitClaim(t storeT, s handover.Store, what string) (r handover.Record) {
	t.Helper()
	wait(t, "Claim of "+what, func() bool {
		records := mustClaim(t, s, 1, time.Hour)
		if len(records) > 0 {
			r = records[0]
		}
		return len(records) > 0
	})
	return r
}

func checkClaimHides(t storeT, s handover.Store) {
	a := mustSave(t, s, handover.Record{Key: "a", CrispIDs: []string{"site/a"}, Due: noon, Data: []byte("data")})
	wantClaim(t, s, 1, time.Hour, "a")
	wantClaim(t, s, 10, time.Hour)
	wantClaim(t, s, 10, 0)
	wantRecord(t, s, a)

	mustSave(t, s, handover.Record{Key: "b", Due: noon.Add(-time.Hour)}) // another one changes nothing
	wantClaim(t, s, 10, time.Hour, "b")
	wantClaim(t, s, 10, time.Hour)

	mustSave(t, s, handover.Record{Key: "c", Due: noon})
	wantClaim(t, s, 10, 0, "c") // hides nothing
	wantClaim(t, s, 10, -time.Hour, "c")
	wantClaim(t, s, 10, time.Hour, "c")
	wantClaim(t, s, 10, time.Hour)
	wantRecord(t, s, a)
}

// checkClaimEnds has a claim run out, twice.
func checkClaimEnds(t storeT, s handover.Store) {
	const ttl, slack = 50 * time.Millisecond, time.Millisecond // clocks are not that even
	stored := mustSave(t, s, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: noon, Data: []byte("data")})
	for range 2 {
		before := time.Now()
		first := wantClaim(t, s, 10, ttl, "key")[0]
		again := waitClaim(t, s, "a record whose claim has ended")
		hidden := time.Since(before)
		if !again.Now.IsZero() {
			hidden = again.Now.Sub(first.Now)
		}
		if hidden < ttl-slack {
			t.Fatalf("a record claimed for %v is given again after %v", ttl, hidden)
		}
		wantRecord(t, s, stored)
		wantClaim(t, s, 10, ttl)
		stored = mustSave(t, s, stored)
	}
}

// checkClaimTurns has records that nobody saves, more than one Claim takes: they do not keep others
// from their turn.
func checkClaimTurns(t storeT, s handover.Store) {
	mustSave(t, s, handover.Record{Key: "a bad one", Due: noon})
	mustSave(t, s, handover.Record{Key: "another bad one", Due: noon.Add(time.Second)})
	mustSave(t, s, handover.Record{Key: "good", Due: noon.Add(time.Hour)})
	wantClaim(t, s, 2, 0, "a bad one", "another bad one")
	wantClaim(t, s, 1, time.Hour, "good")
	wantDue(t, s, "a bad one", "another bad one")
}

func checkClaimAndSave(t storeT, s handover.Store) {
	mustSave(t, s, handover.Record{Key: "owner", CrispIDs: []string{"taken"}})
	mustSave(t, s, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: noon, Data: []byte("old")})
	r := wantClaim(t, s, 10, time.Hour, "key")[0]
	_, err := s.Save(t.Context(), handover.Record{Key: "key", Due: noon})
	wantError(t, "Save of a claimed record with version 0", err, handover.ErrConflict)
	_, err = s.Save(t.Context(), handover.Record{Key: "key", Version: r.Version, CrispIDs: []string{"taken"}, Due: noon})
	wantError(t, "Save of a claimed record with another's Crisp id", err, handover.ErrTaken)
	wantClaim(t, s, 10, time.Hour) // what failed has not ended the claim

	for what, due := range map[string]time.Time{"the same Due": r.Due, "an earlier Due": r.Due.Add(-time.Hour), "a later Due": r.Due.Add(time.Hour)} {
		r.Due, r.Data = due, []byte(what)
		r = mustSave(t, s, r)
		got := wantClaim(t, s, 10, time.Hour, "key")[0] // the save has ended it
		if !sameRecord(got, r) {
			t.Fatalf("Claim after a Save with %s gives %.300s, want %.300s", what, showRecord(got), showRecord(r))
		}
		wantClaim(t, s, 10, time.Hour)
	}

	// The end of a claim does not make due what was saved with another Due.
	r = mustSave(t, s, r)
	never := mustSave(t, s, handover.Record{Key: "never", Due: noon})
	mustSave(t, s, handover.Record{Key: "marker", Due: noon.Add(2 * time.Hour)})
	if got := len(mustClaim(t, s, 10, 50*time.Millisecond)); got != 3 {
		t.Fatalf("Claim gives %d of 3 records", got)
	}
	r.Due = storeNow(t, s).Add(time.Hour)
	r = mustSave(t, s, r)
	never.Due = time.Time{}
	never = mustSave(t, s, never)
	if got := waitClaim(t, s, "a record whose claim has ended"); got.Key != "marker" {
		t.Fatalf("the end of a claim makes %q due, which is saved as %s", got.Key, showRecord(got))
	}
	wantClaim(t, s, 10, time.Hour)
	wantRecord(t, s, r)
	wantRecord(t, s, never)
}

func checkClaimAndDelete(t storeT, s handover.Store) {
	for _, key := range []string{"deleted", "stored again", "marker"} {
		mustSave(t, s, handover.Record{Key: key, CrispIDs: []string{"of " + key}, Due: noon})
	}
	for _, r := range mustClaim(t, s, 10, 50*time.Millisecond) {
		if r.Key == "marker" {
			continue
		}
		wantError(t, "Delete of another version", s.Delete(t.Context(), r.Key, r.Version+1_000_000), handover.ErrConflict)
		mustDelete(t, s, r)
		wantNone(t, s, r.Key, r.CrispIDs...)
	}
	again := mustSave(t, s, handover.Record{Key: "stored again", Due: noon.Add(time.Second)})
	if got := waitClaim(t, s, "a record stored again after its Delete"); !sameRecord(got, again) {
		t.Fatalf("Claim gives %q as %.300s, want %q as %.300s", got.Key, showRecord(got), again.Key, showRecord(again))
	}
	if got := waitClaim(t, s, "a record whose claim has ended"); got.Key != "marker" {
		t.Fatalf("Claim gives %q, want %q", got.Key, "marker")
	}
	wantClaim(t, s, 10, time.Hour)
}

// checkClaimThousands claims many records in parts, each once and in order.
func checkClaimThousands(t storeT, s handover.Store) {
	const n, part, workers = 1200, 300, 8
	order := rand.Perm(n)
	for _, err := range together(workers, func(worker int) error {
		for i := worker; i < n; i += workers {
			age := order[i]
			_, err := s.Save(t.Context(), handover.Record{Key: strconv.Itoa(age), Due: noon.Add(time.Duration(age) * time.Millisecond)})
			if err != nil {
				return err
			}
		}
		return nil
	}) {
		wantError(t, "a concurrent insert", err, nil)
	}
	for next := 0; next < n; {
		records, err := s.Claim(t.Context(), part, time.Hour)
		wantError(t, "Claim", err, nil)
		if len(records) != min(part, n-next) {
			t.Fatalf("Claim of at most %d gives %d records, %d are due", part, len(records), n-next)
		}
		for _, r := range records {
			if r.Key != strconv.Itoa(next) {
				t.Fatalf("of %d records due, Claim gives %q where %d comes next", n, r.Key, next)
			}
			next++
		}
	}
	wantClaim(t, s, part, time.Hour)
}

// checkConcurrentClaims has many claim at once: each record is given to one of them.
func checkConcurrentClaims(t storeT, s handover.Store) {
	const n = 200
	for i := range n {
		mustSave(t, s, handover.Record{Key: strconv.Itoa(i), Due: noon.Add(time.Duration(i) * time.Second)})
	}
	var mu sync.Mutex
	given := map[string]int{}
	claim := func() (int, error) {
		records, err := s.Claim(t.Context(), 7, time.Hour)
		mu.Lock()
		defer mu.Unlock()
		for _, r := range records {
			if given[r.Key]++; given[r.Key] > 1 {
				err = errors.Join(err, fmt.Errorf("%q is given twice", r.Key))
			}
		}
		return len(records), err
	}
	all := func(int) error {
		for {
			if got, err := claim(); err != nil || got == 0 {
				return err
			}
		}
	}
	for _, err := range together(8, all) {
		wantError(t, "a concurrent Claim", err, nil)
	}
	wantError(t, "Claim", all(0), nil) // what others had locked for a moment
	if len(given) != n {
		t.Fatalf("of %d records due, Claim gives %d", n, len(given))
	}
}
