package handovertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// asLister returns the store as a handover.Lister, or nil if it is none.
func asLister(t storeT, s handover.Store) handover.Lister {
	t.Helper()
	l, ok := s.(handover.Lister)
	if !ok {
		return nil
	}
	if _, err := l.List(t.Context(), handover.ListQuery{Limit: 1}); errors.Is(err, errors.ErrUnsupported) {
		return nil // as it is set up
	}
	return l
}

// checkLive checks that Live is kept, whatever else a Save changes. It is for all stores.
func checkLive(t storeT, s handover.Store) {
	for _, first := range []bool{false, true} {
		r := handover.Record{Key: "first " + strconv.FormatBool(first), Live: first}
		for i, live := range []bool{first, first, !first, !first, first} {
			r.Live = live
			if i == 1 || i == 2 {
				r.CrispIDs, r.Due = []string{r.Key + strconv.Itoa(i)}, noon
			}
			r = mustSave(t, s, r)
			wantRecord(t, s, r)
		}
		claimed := wantClaim(t, s, 10, 0, r.Key)
		if claimed[0].Live != r.Live {
			t.Fatalf("Claim gives a record whose Live is %t, want %t", claimed[0].Live, r.Live)
		}
		mustDelete(t, s, r)
	}
	old := mustSave(t, s, handover.Record{Key: "key", Live: true})
	r := mustSave(t, s, old)
	_, err := s.Save(t.Context(), handover.Record{Key: "key", Version: old.Version})
	wantError(t, "Save with an older version", err, handover.ErrConflict)
	wantRecord(t, s, r)
	mustDelete(t, s, r)
	wantRecord(t, s, mustSave(t, s, handover.Record{Key: "key"}))
}

// checkList checks which records are listed, in which order, and how.
func checkList(t storeT, s handover.Store) {
	l := asLister(t, s)
	if l == nil {
		return
	}
	wantList(t, l, handover.ListQuery{Limit: 10})
	want := []string{ // in the order of their bytes
		"\t", " a", "!", "%", "'", "-", "/", "0", "1", "10", "2", "A", "B", "Z", `\`, "_", "a", "a ", "a!", "a-b", "a/b", "aB", "ab", "b",
		"z", "~", "\u007f", "Ä", "ß", "é", "א", "\ud7ff", "\ue000", "ａ", "\uffff", "👩",
	}
	records := map[string]handover.Record{}
	for i := range want {
		key := want[(i*17+5)%len(want)] // in another order
		r := mustSave(t, s, handover.Record{
			Key: key, CrispIDs: []string{"of " + key, "and " + key}, Live: i%3 == 0,
			Due: noon.Add(time.Duration(i%2) * time.Minute), Data: []byte("data of " + key), Wake: true,
		})
		records[key] = r
	}
	for _, r := range wantList(t, l, handover.ListQuery{Limit: 1000}, want...) {
		if !sameRecord(r, records[r.Key]) || r.Wake {
			t.Fatalf("List gives %.300s, want %.300s", showRecord(r), showRecord(records[r.Key]))
		}
		if own := !mustLoad(t, s, r.Key).Now.IsZero(); own == r.Now.IsZero() {
			t.Fatalf("List gives Now as %v, Load gives one: %t", r.Now, own)
		}
		clear(r.CrispIDs)
		clear(r.Data[:cap(r.Data)]) // no memory is shared
		wantRecord(t, s, records[r.Key])
	}
	wantDue(t, s, slices.Clone(want)...) // none is hidden

	for i, key := range want {
		wantList(t, l, handover.ListQuery{After: key, Limit: 1000}, want[i+1:]...)
	}
	wantList(t, l, handover.ListQuery{After: "a0", Limit: 2}, "aB", "ab") // which is not stored
	wantList(t, l, handover.ListQuery{Limit: 1}, want[0])
	for _, limit := range []int{0, -1} {
		wantList(t, l, handover.ListQuery{Limit: limit})
	}
	changed := records["b"]
	changed.Data = bytes.Repeat([]byte("more"), 1000)
	changed = mustSave(t, s, changed)
	if got := mustList(t, l, handover.ListQuery{Prefix: "b", Limit: 1}); len(got) != 1 || !sameRecord(got[0], changed) {
		t.Fatalf("List does not give the record as it was saved last")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.List(ctx, handover.ListQuery{Limit: 1})
	wantError(t, "List whose context has ended", err, context.Canceled)
}

// checkListPrefixes checks the listing of keys that begin alike.
func checkListPrefixes(t storeT, s handover.Store) {
	l := asLister(t, s)
	if l == nil {
		return
	}
	keys := []string{
		"a", "a%", "a%b", "a/", "a/b", "a/B", "a/b/c", "a0", "aXb", "a\\", "a\\b", "a\\\\", "a_", "a_b", "ab", "a\u007f", "a\u0080",
		"A", "A/b", "b", "b/", "é", "éa", "e\u0301", "\ud7ff", "\ud7ffa", "\ue000", "\U0010ffff", "\U0010ffffa", "\U0010ffff\U0010ffff",
		"'", "' OR 1=1", "$1", "?1", "*", "a*", strings.Repeat("k", 1023), strings.Repeat("k", 1024), strings.Repeat("\U0010ffff", 256),
	}
	slices.Sort(keys)
	for i, key := range keys {
		mustSave(t, s, handover.Record{Key: key, Live: i%2 == 0})
	}
	for _, prefix := range append(slices.Clone(keys), "", "a%%", "%", "_", "\\", "kk", "éb", "nothing", "a\U0010ffff") {
		var all, live []string
		for i, key := range keys {
			if strings.HasPrefix(key, prefix) {
				all = append(all, key)
				if i%2 == 0 {
					live = append(live, key)
				}
			}
		}
		wantList(t, l, handover.ListQuery{Prefix: prefix, Limit: 100}, all...)
		wantList(t, l, handover.ListQuery{Prefix: prefix, Limit: 100, Live: true}, live...)
		for i := range all {
			wantList(t, l, handover.ListQuery{Prefix: prefix, After: all[i], Limit: 2}, all[i+1:min(len(all), i+3)]...)
		}
	}
	wantList(t, l, handover.ListQuery{Prefix: "a/", After: "A", Limit: 2}, "a/", "a/B") // After is less than all of them
	wantList(t, l, handover.ListQuery{Prefix: "a/", After: "b", Limit: 2})              // and greater
}

// checkListLive checks that a listing of what is live follows each Save and Delete.
func checkListLive(t storeT, s handover.Store) {
	l := asLister(t, s)
	if l == nil {
		return
	}
	all := handover.ListQuery{Limit: 10}
	live := handover.ListQuery{Limit: 10, Live: true}
	a := mustSave(t, s, handover.Record{Key: "a", Live: true})
	b := mustSave(t, s, handover.Record{Key: "b", CrispIDs: []string{"of b"}, Due: noon})
	wantList(t, l, live, "a")

	b.Live = true
	b = mustSave(t, s, b)
	wantList(t, l, live, "a", "b")
	a.Live = false
	old := a
	a = mustSave(t, s, a)
	wantList(t, l, live, "b")
	b.CrispIDs, b.Due, b.Data = []string{"of b", "too"}, time.Time{}, []byte("data")
	b = mustSave(t, s, b)
	for _, r := range wantList(t, l, live, "b") {
		if !sameRecord(r, b) {
			t.Fatalf("List gives %.300s, want %.300s", showRecord(r), showRecord(b))
		}
	}

	old.Live = true
	_, err := s.Save(t.Context(), old)
	wantError(t, "Save with an older version", err, handover.ErrConflict)
	_, err = s.Save(t.Context(), handover.Record{Key: "new", CrispIDs: []string{"too"}, Live: true})
	wantError(t, "Save with another's Crisp id", err, handover.ErrTaken)
	a.CrispIDs, a.Live = []string{"of b"}, true
	_, err = s.Save(t.Context(), a)
	wantError(t, "Save with another's Crisp id", err, handover.ErrTaken)
	wantList(t, l, live, "b")
	wantList(t, l, all, "a", "b")

	mustClaim(t, s, 10, time.Hour)
	wantList(t, l, live, "b")
	mustDelete(t, s, b)
	wantList(t, l, live)
	wantList(t, l, all, "a")
	mustSave(t, s, handover.Record{Key: "b"})
	wantList(t, l, live)
	a.CrispIDs = nil
	mustSave(t, s, a)
	wantList(t, l, live, "a")
}

// checkListPages reads pages while others write between them: what is there all the time is in one of them.
func checkListPages(t storeT, s handover.Store) {
	l := asLister(t, s)
	if l == nil {
		return
	}
	const n = 30
	for _, live := range []bool{false, true} {
		prefix := fmt.Sprintf("%t/", live)
		key := func(i int) string { return fmt.Sprintf("%s%03d", prefix, i) }
		records := map[string]handover.Record{}
		var steady []string
		for i := range n {
			records[key(i)] = mustSave(t, s, handover.Record{Key: key(i), Live: live || i%2 == 0, Data: []byte("old")})
			if i%3 != 0 {
				steady = append(steady, key(i))
			}
		}
		var got []string
		after := ""
		for page := 0; ; page++ {
			records, full := pageBetweenWrites(t, s, l, handover.ListQuery{Prefix: prefix, After: after, Live: live, Limit: 4}, records, page)
			got = append(got, keysOf(records)...)
			if !full {
				break
			}
			after = got[len(got)-1]
		}
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Fatalf("the pages of a listing give %.500q: not in order, or some twice", got)
		}
		for _, key := range steady {
			if !slices.Contains(got, key) {
				t.Fatalf("the pages of a listing give %.500q: not %q, which was there all the time", got, key)
			}
		}
		for _, r := range mustList(t, l, handover.ListQuery{Limit: 1000}) {
			mustDelete(t, s, r)
		}
	}
}

// pageBetweenWrites lists a page, and then deletes a record before its end, one after it, and saves one of both; a new
// one stands before it. Every third record is deleted, the others stay.
func pageBetweenWrites(t storeT, s handover.Store, l handover.Lister, q handover.ListQuery, records map[string]handover.Record, page int) ([]handover.Record, bool) {
	t.Helper()
	all := mustList(t, l, q)
	if len(all) > q.Limit {
		t.Fatalf("List gives %d records, more than its limit", len(all))
	}
	for _, i := range []int{3 * page, 27 - 3*page} {
		key := fmt.Sprintf("%s%03d", q.Prefix, i)
		if r, ok := records[key]; ok && i%3 == 0 {
			mustDelete(t, s, r)
			delete(records, key)
		}
	}
	for _, i := range []int{1, 28} {
		key := fmt.Sprintf("%s%03d", q.Prefix, i)
		r := records[key]
		r.Data = strconv.AppendInt([]byte("changed "), int64(page), 10)
		records[key] = mustSave(t, s, r)
	}
	mustSave(t, s, handover.Record{Key: fmt.Sprintf("%s000 new %d", q.Prefix, page), Live: true})
	return all, len(all) == q.Limit
}

// checkListAndOthers lists while records are saved, and while one is deleted and stored again.
func checkListAndOthers(t storeT, s handover.Store) {
	l := asLister(t, s)
	if l == nil {
		return
	}
	steady := mustSave(t, s, handover.Record{Key: "b", Live: true, Data: []byte("steady")})
	version := func(i int) handover.Record {
		live := i%2 == 0
		return handover.Record{Key: "a", Live: live, Data: []byte(strconv.FormatBool(live)), Due: noon}
	}
	done := make(chan struct{})
	list := func(q handover.ListQuery) error {
		for {
			all, err := l.List(t.Context(), q)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(all, func(r handover.Record) bool { return sameRecord(r, steady) }) {
				return errors.New("List does not give a record that is there all the time")
			}
			for _, r := range all {
				if r.Key == "a" && (string(r.Data) != strconv.FormatBool(r.Live) || q.Live && !r.Live) {
					return fmt.Errorf("List gives %s: fields of two versions", showRecord(r))
				}
			}
			select {
			case <-done:
				return nil
			case <-time.After(time.Millisecond):
			}
		}
	}
	errs := together(3, func(i int) error {
		if i < 2 {
			return list(handover.ListQuery{Limit: 10, Live: i == 0})
		}
		defer close(done)
		var stored int64
		for i := range 40 {
			r := version(i)
			r.Version = stored
			var err error
			if stored, err = s.Save(t.Context(), r); err != nil {
				return err
			}
			if i%10 == 9 {
				if err := s.Delete(t.Context(), "a", stored); err != nil {
					return err
				}
				stored = 0
			}
		}
		return nil
	})
	for _, err := range errs {
		wantError(t, "listing while others write", err, nil)
	}
}
