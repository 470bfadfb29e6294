package handovertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// noon is a time that is past by every clock, also where tests begin in the year 2000.
var noon = time.Date(1990, 1, 2, 12, 0, 0, 0, time.UTC)

func checkUnknown(t storeT, s handover.Store) {
	wantNone(t, s, "key", "site/session_1")
	wantDue(t, s)
	wantError(t, "Delete of an unknown key", s.Delete(t.Context(), "key", 7), nil)
	_, err := s.Save(t.Context(), handover.Record{Key: "key", CrispIDs: []string{"site/session_1"}, Version: 7})
	wantError(t, "Save of an unknown key with a version", err, handover.ErrConflict)
	wantNone(t, s, "key", "site/session_1")
}

func checkFields(t storeT, s handover.Store) {
	full := mustSave(t, s, handover.Record{
		Key:      "full",
		CrispIDs: []string{"site/session_c", "site/session_a", "site/session_b"},
		Due:      noon.In(time.FixedZone("", -5*3600)),
		Data:     []byte(`{"v":1}`),
	})
	bare := mustSave(t, s, handover.Record{Key: "bare"})
	wantRecord(t, s, full)
	wantRecord(t, s, bare)
}

func checkReplace(t storeT, s handover.Store) {
	r := mustSave(t, s, handover.Record{Key: "key", CrispIDs: []string{"a", "b"}, Due: noon, Data: []byte("old")})
	r.CrispIDs, r.Due, r.Data = []string{"b", "c"}, noon.Add(-time.Hour), []byte("new")
	r = mustSave(t, s, r)
	wantRecord(t, s, r)
	wantNotFound(t, s, "a")
	wantDue(t, s, "key")

	r.CrispIDs, r.Due, r.Data = nil, time.Time{}, nil
	r = mustSave(t, s, r)
	wantRecord(t, s, r)
	wantNotFound(t, s, "a", "b", "c")
	wantDue(t, s)
}

func checkConflict(t storeT, s handover.Store) {
	old := mustSave(t, s, handover.Record{Key: "key", CrispIDs: []string{"a"}, Data: []byte("old")})
	r := old
	r.Data = []byte("new")
	r = mustSave(t, s, r)
	for what, version := range map[string]int64{
		"an older version": old.Version, "version 0": 0, "a version never given": r.Version + 1_000_000,
	} {
		_, err := s.Save(t.Context(), handover.Record{
			Key: "key", CrispIDs: []string{"b"}, Version: version, Due: noon.Add(-time.Hour), Data: []byte("late"),
		})
		wantError(t, "Save with "+what, err, handover.ErrConflict)
		wantRecord(t, s, r)
		wantNotFound(t, s, "b")
		wantDue(t, s)
	}
}

func checkVersions(t storeT, s handover.Store) {
	given := map[int64]bool{0: true}
	for range 3 {
		r := handover.Record{Key: "key"}
		for range 3 {
			r = mustSave(t, s, r)
			if given[r.Version] {
				t.Fatalf("version %d was given before, or is 0", r.Version)
			}
			given[r.Version] = true
		}
		mustDelete(t, s, r)
	}
	r := mustSave(t, s, handover.Record{Key: "key"})
	delete(given, 0)
	for version := range given {
		_, err := s.Save(t.Context(), handover.Record{Key: "key", Version: version})
		wantError(t, "Save with a version from before a Delete", err, handover.ErrConflict)
		wantError(t, "Delete with a version from before a Delete", s.Delete(t.Context(), "key", version), handover.ErrConflict)
	}
	wantRecord(t, s, r)
}

func checkSaveDeleted(t storeT, s handover.Store) {
	r := mustSave(t, s, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: noon, Data: []byte("data")})
	mustDelete(t, s, r)
	wantNone(t, s, "key", "a")
	wantDue(t, s)
	_, err := s.Save(t.Context(), r)
	wantError(t, "Save of a deleted record", err, handover.ErrConflict)
	wantNone(t, s, "key", "a")
	wantDue(t, s)
	wantRecord(t, s, mustSave(t, s, handover.Record{Key: "other", CrispIDs: []string{"a"}}))
}

func checkDelete(t storeT, s handover.Store) {
	old := mustSave(t, s, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: noon})
	r := mustSave(t, s, old)
	other := mustSave(t, s, handover.Record{Key: "other", CrispIDs: []string{"b"}})
	for _, version := range []int64{0, old.Version, r.Version + 1_000_000} {
		wantError(t, "Delete of another version", s.Delete(t.Context(), "key", version), handover.ErrConflict)
		wantRecord(t, s, r)
		wantDue(t, s, "key")
	}
	mustDelete(t, s, r)
	wantNone(t, s, "key", "a")
	wantError(t, "second Delete", s.Delete(t.Context(), "key", r.Version), nil)
	wantRecord(t, s, other)
}

func checkCrispIDs(t storeT, s handover.Store) {
	one := mustSave(t, s, handover.Record{Key: "one", CrispIDs: []string{"a", "b"}})
	one.CrispIDs = []string{"b"}
	one = mustSave(t, s, one)
	two := mustSave(t, s, handover.Record{Key: "two", CrispIDs: []string{"c", "a"}})
	wantRecord(t, s, one)
	wantRecord(t, s, two)
	one.CrispIDs = []string{"b", "d", "b"} // a record's own id, named twice, belongs to nobody else
	one = mustSave(t, s, one)
	wantRecord(t, s, one)
	wantNotFound(t, s, "one", "two")
	wantNone(t, s, "a")
}

func checkTaken(t storeT, s handover.Store) {
	owner := mustSave(t, s, handover.Record{Key: "owner", CrispIDs: []string{"a"}})
	other := mustSave(t, s, handover.Record{Key: "other", CrispIDs: []string{"b"}, Due: noon, Data: []byte("data")})

	_, err := s.Save(t.Context(), handover.Record{Key: "new", CrispIDs: []string{"c", "a"}, Due: noon})
	wantError(t, "insert with another record's Crisp id", err, handover.ErrTaken)
	change := handover.Record{Key: "other", CrispIDs: []string{"d", "a"}, Version: other.Version, Data: []byte("changed")}
	_, err = s.Save(t.Context(), change)
	wantError(t, "update with another record's Crisp id", err, handover.ErrTaken)
	change.Version += 1_000_000
	_, err = s.Save(t.Context(), change)
	wantError(t, "update of a wrong version with another record's Crisp id", err, handover.ErrConflict)

	wantNone(t, s, "new", "c", "d")
	wantDue(t, s, "other")
	wantRecord(t, s, owner)
	wantRecord(t, s, other)
	wantRecord(t, s, mustSave(t, s, other))
	wantRecord(t, s, mustSave(t, s, owner))
}

func checkMicroseconds(t storeT, s handover.Store) {
	due := noon.Add(123456 * time.Microsecond)
	late := mustSave(t, s, handover.Record{Key: "a", Due: due.Add(time.Microsecond)})
	early := mustSave(t, s, handover.Record{Key: "b", Due: due})
	wantRecord(t, s, early)
	wantRecord(t, s, late)
	finer := due.Add(time.Second + 999*time.Nanosecond)
	mustSave(t, s, handover.Record{Key: "c", Due: finer})
	if off := mustLoad(t, s, "c").Due.Sub(finer).Abs(); off >= time.Microsecond {
		t.Fatalf("Load gives a Due that is off by %v", off)
	}
	wantClaim(t, s, 10, time.Hour, "b", "a", "c")
}

func checkData(t storeT, s handover.Store) {
	big := make([]byte, 1<<20)
	chacha := rand.NewChaCha8([32]byte{})
	_, _ = chacha.Read(big) // never fails
	r := handover.Record{Key: "key"}
	for _, data := range [][]byte{
		[]byte("\xff\xfe\xc3("), []byte(`{"n":9007199254740993}`), []byte(` {"b" : 1, "a":1e0, "b":2} `),
		[]byte("\\x41 ' \" \r\n"), {}, []byte("x"), nil, big,
	} {
		r.Data = data
		r = mustSave(t, s, r)
		wantRecord(t, s, r)
	}
}

func checkKeys(t storeT, s handover.Store) {
	keys := []string{
		"a", "A", "a ", " a", "a\t", "a\n", "á", "a\u0301", "ａ", "ß", "ss", "1", "01", "1.0", "1e0", "null", "NULL", "true",
		"a/b", "../a", "a%", "%", "_", "a*", "a?", "$1", "?1", "{a}", "'", "''", `"`, `\`, `\\`, "`", "; --", "' OR '1'='1",
		"👩‍👩‍👧", "שלום", "\u200b", "\ufeff", strings.Repeat("k", 1023), strings.Repeat("k", 1024), strings.Repeat("k", 1023) + "l",
		strings.Repeat("é", 512),
	}
	records := make([]handover.Record, len(keys))
	for i, key := range keys {
		records[i] = mustSave(t, s, handover.Record{Key: key, CrispIDs: []string{key}, Due: noon, Data: []byte(strconv.Itoa(i))})
	}
	for i, r := range records {
		wantDue(t, s, slices.Clone(keys[i:])...)
		for _, left := range records[i:] {
			wantRecord(t, s, left)
		}
		mustDelete(t, s, r)
		wantNone(t, s, r.Key, r.Key)
	}
	wantDue(t, s)
}

func checkContexts(t storeT, s handover.Store) {
	r := mustSave(t, s, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: noon, Data: []byte("data")})
	changed := handover.Record{Key: "key", CrispIDs: []string{"b"}, Version: r.Version}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	for _, ctx := range []context.Context{cancelled, expired} {
		_, err := s.Load(ctx, "key")
		wantError(t, "Load", err, ctx.Err())
		_, err = s.Find(ctx, "a")
		wantError(t, "Find", err, ctx.Err())
		_, err = s.Save(ctx, changed)
		wantError(t, "Save of a stored key", err, ctx.Err())
		_, err = s.Save(ctx, handover.Record{Key: "new"})
		wantError(t, "Save of a new key", err, ctx.Err())
		_, err = s.Claim(ctx, 10, time.Hour)
		wantError(t, "Claim", err, ctx.Err())
		wantError(t, "Delete", s.Delete(ctx, "key", r.Version), ctx.Err())
		wantRecord(t, s, r)
		wantNone(t, s, "new", "b")
		wantDue(t, s, "key")
	}
}

func checkCopies(t storeT, s handover.Store) {
	ids := make([]string, 2, 4)
	ids[0], ids[1] = "a", "b"
	given := handover.Record{Key: "key", CrispIDs: ids, Due: noon, Data: []byte("data")}
	stored := mustSave(t, s, given)
	stored.CrispIDs, stored.Data = slices.Clone(ids), bytes.Clone(given.Data)
	scribble := func(r handover.Record) {
		clear(r.CrispIDs[:cap(r.CrispIDs)])
		clear(r.Data[:cap(r.Data)])
	}
	scribble(given)
	wantRecord(t, s, stored)

	scribble(mustLoad(t, s, "key"))
	wantRecord(t, s, stored)
	scribble(mustFind(t, s, "a"))
	wantRecord(t, s, stored)

	for _, r := range mustClaim(t, s, 10, 0) {
		scribble(r)
	}
	wantRecord(t, s, stored)
	wantDue(t, s, "key")
}

func checkConcurrentUpdates(t storeT, s handover.Store) {
	const workers, each = 8, 10
	mustSave(t, s, handover.Record{Key: "key", Data: []byte("0")})
	increment := func() error {
		for {
			r, err := s.Load(t.Context(), "key")
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(r.Data))
			if err != nil {
				return err
			}
			r.Data = []byte(strconv.Itoa(n + 1))
			if _, err = s.Save(t.Context(), r); !errors.Is(err, handover.ErrConflict) {
				return err
			}
		}
	}
	for _, err := range together(workers, func(int) error {
		for range each {
			if err := increment(); err != nil {
				return err
			}
		}
		return nil
	}) {
		wantError(t, "a concurrent update", err, nil)
	}
	if got := string(mustLoad(t, s, "key").Data); got != strconv.Itoa(workers*each) {
		t.Fatalf("of %d updates that were stored, %s are left", workers*each, got)
	}
}

func checkConcurrentInserts(t storeT, s handover.Store) {
	errs := together(16, func(i int) error {
		_, err := s.Save(t.Context(), handover.Record{Key: "key", Data: []byte(strconv.Itoa(i))})
		return err
	})
	winner := wantOneWinner(t, errs, handover.ErrConflict)
	if got := string(mustLoad(t, s, "key").Data); got != strconv.Itoa(winner) {
		t.Fatalf("insert %d was told that it is stored; stored is %s", winner, got)
	}
}

// checkConcurrentCrispIDs has one Crisp id wanted by new records, and another by stored ones.
func checkConcurrentCrispIDs(t storeT, s handover.Store) {
	for _, kind := range []string{"new", "stored"} {
		before, changes := make([]handover.Record, 16), make([]handover.Record, 16)
		for i := range before {
			key := kind + strconv.Itoa(i)
			if kind == "stored" {
				before[i] = mustSave(t, s, handover.Record{Key: key})
			}
			changes[i] = handover.Record{Key: key, CrispIDs: []string{"own " + key, kind}, Version: before[i].Version}
		}
		errs := together(len(changes), func(i int) error {
			_, err := s.Save(t.Context(), changes[i])
			return err
		})
		winner := wantOneWinner(t, errs, handover.ErrTaken)
		for i, change := range changes {
			got := mustLoad(t, s, change.Key)
			if i == winner {
				wantRecord(t, s, withVersion(change, got.Version))
				continue
			}
			if !sameRecord(got, before[i]) {
				t.Fatalf("Load of %q gives %.300s after ErrTaken, want %.300s", change.Key, showRecord(got), showRecord(before[i]))
			}
			wantNotFound(t, s, change.CrispIDs[0])
		}
	}
}

func checkConcurrentDeletes(t storeT, s handover.Store) {
	for range 10 {
		r := mustSave(t, s, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: noon})
		errs := together(2, func(i int) error {
			if i == 0 {
				return s.Delete(t.Context(), r.Key, r.Version)
			}
			_, err := s.Save(t.Context(), r)
			return err
		})
		if wantOneWinner(t, errs, handover.ErrConflict) == 0 {
			wantNone(t, s, "key", "a")
			wantDue(t, s)
			continue
		}
		saved := mustLoad(t, s, "key")
		wantRecord(t, s, saved)
		mustDelete(t, s, saved)
	}
}

// checkWholeRecords reads while records are written: fields of two versions never mix.
func checkWholeRecords(t storeT, s handover.Store) {
	version := func(i int) handover.Record {
		i %= 2
		return handover.Record{
			Key: "key", CrispIDs: []string{"both", "a" + strconv.Itoa(i)},
			Due: noon.Add(time.Duration(i) * time.Hour), Data: []byte(strconv.Itoa(i)),
		}
	}
	stored := mustSave(t, s, version(0))
	done := make(chan struct{})
	claim := func(context.Context, string) (handover.Record, error) {
		records, err := s.Claim(t.Context(), 1, 0)
		if len(records) == 0 {
			return handover.Record{}, err
		}
		return records[0], err
	}
	read := func(read func(context.Context, string) (handover.Record, error), name string) error {
		for {
			r, err := read(t.Context(), name)
			if err != nil {
				return err
			}
			whole := sameRecord(r, withVersion(version(0), r.Version)) || sameRecord(r, withVersion(version(1), r.Version))
			named := name == r.Key || slices.Contains(r.CrispIDs, name)
			if r.Key != "" && !(whole && named) {
				return fmt.Errorf("reading %q gives %s: fields of two versions", name, showRecord(r))
			}
			// Save has to have a chance: where readers keep writers out, some of them always read.
			select {
			case <-done:
				return nil
			case <-time.After(time.Millisecond):
			}
		}
	}
	errs := together(5, func(i int) error {
		switch i {
		case 0:
			return read(s.Load, "key")
		case 1:
			return read(s.Find, "both")
		case 2:
			return read(s.Find, "a1")
		case 3:
			return read(claim, "key")
		}
		defer close(done)
		for i := range 50 {
			var err error
			if stored.Version, err = s.Save(t.Context(), withVersion(version(i+1), stored.Version)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, err := range errs {
		wantError(t, "reading while others write", err, nil)
	}
}
