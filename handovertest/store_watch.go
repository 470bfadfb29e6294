package handovertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// checkNow checks that all reads tell the store's time, or none does.
func checkNow(t storeT, s handover.Store) {
	r := mustSave(t, s, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: noon, Now: noon})
	own := !mustLoad(t, s, "key").Now.IsZero()
	var last time.Time
	check := func(read string, now time.Time) {
		t.Helper()
		switch {
		case now.IsZero() == own:
			t.Fatalf("%s gives Now as %v, Load of a stored key gives one: %t", read, now, own)
		case now.Before(last):
			t.Fatalf("%s gives Now as %v, which is before %v, given earlier", read, now, last)
		case own && !now.After(r.Due):
			t.Fatalf("%s gives Now as %v: that was given to Save, or is not the time that Claim goes by", read, now)
		}
		last = now
	}
	checkAll := func() {
		t.Helper()
		check("Load", mustLoad(t, s, "key").Now)
		check("Load of an unknown key", mustLoad(t, s, "unknown").Now)
		check("Find", mustFind(t, s, "a").Now)
		check("Find of an unknown id", mustFind(t, s, "unknown").Now)
		for _, r := range wantClaim(t, s, 10, 0, "key") {
			check("Claim", r.Now)
		}
	}
	checkAll()
	if first := last; own {
		wait(t, "a later Now", func() bool { checkAll(); return last.After(first) })
	}
}

// checkWake checks that Save obeys Wake, does not keep it, and does the same otherwise.
func checkWake(t storeT, s handover.Store) {
	r := mustSave(t, s, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: noon, Data: []byte("data"), Wake: true})
	wantRecord(t, s, r)
	r.Data, r.Wake = []byte("changed"), false
	r = mustSave(t, s, r)
	wantRecord(t, s, r)
	for read, got := range map[string]handover.Record{
		"Load": mustLoad(t, s, "key"), "Find": mustFind(t, s, "a"), "Claim": wantClaim(t, s, 10, 0, "key")[0],
	} {
		if got.Wake {
			t.Fatalf("%s gives a record with Wake set", read)
		}
	}
}

// checkWatch checks the store as a handover.Watcher, if it is one.
func checkWatch(t storeT, s handover.Store) {
	watcher, ok := s.(handover.Watcher)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	shorter, end := context.WithCancel(ctx)
	defer end()
	old := mustSave(t, s, handover.Record{Key: "old", CrispIDs: []string{"a"}, Wake: true})
	one := watch(ctx, watcher)
	err := one.begun(t)
	if errors.Is(err, errors.ErrUnsupported) {
		return // as it is set up
	}
	wantError(t, "Watch", err, nil)
	two := watch(shorter, watcher)
	wantError(t, "a second Watch", two.begun(t), nil)

	quiet := mustSave(t, s, handover.Record{Key: "quiet"})
	mustSave(t, s, quiet)
	_, err = s.Save(t.Context(), handover.Record{Key: "old", Version: old.Version + 1_000_000, Wake: true})
	wantError(t, "Save with a wrong version", err, handover.ErrConflict)
	_, err = s.Save(t.Context(), handover.Record{Key: "taker", CrispIDs: []string{"a"}, Wake: true})
	wantError(t, "Save with another's Crisp id", err, handover.ErrTaken)
	keys := []string{"new", "שלום", "'\"\\ ", strings.Repeat("k", 1024)}
	for _, key := range keys {
		r := mustSave(t, s, handover.Record{Key: key, Wake: true})
		one.waitFor(t, key)
		two.waitFor(t, key)
		r.Wake = true // an update is told like an insert
		mustSave(t, s, r)
		one.waitFor(t, key)
		two.waitFor(t, key)
	}

	end()
	wantError(t, "Watch whose context ends", two.ended(t), context.Canceled)
	after := two.told()
	old.Wake = true
	mustSave(t, s, old)
	one.waitFor(t, "old")
	if late := two.told(); len(late) > len(after) {
		t.Fatalf("Watch calls changed after it has returned")
	}
	for _, key := range []string{"quiet", "taker"} {
		if slices.Contains(one.told(), key) {
			t.Fatalf("Watch tells of %q, which was not saved with Wake", key)
		}
	}
	wantError(t, "Watch whose context has ended", watch(shorter, watcher).ended(t), context.Canceled)
	cancel()
	wantError(t, "Watch whose context ends", one.ended(t), context.Canceled)
}

// watching is a Watch under way.
type watching struct {
	done chan error // what Watch returned

	mu   sync.Mutex
	keys []string // all that it told
	seen int      // how many of them waitFor has seen
}

func watch(ctx context.Context, s handover.Watcher) *watching {
	w := &watching{done: make(chan error, 1)}
	go func() {
		w.done <- s.Watch(ctx, func(key string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.keys = append(w.keys, key)
		})
	}()
	return w
}

func (w *watching) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.keys)
}

// begun waits until Watch has said that it watches, and returns its error if it ended instead.
func (w *watching) begun(t storeT) (err error) {
	t.Helper()
	wait(t, `Watch telling ""`, func() bool {
		select {
		case err = <-w.done:
			return true
		default:
			return len(w.told()) > 0
		}
	})
	if told := w.told(); len(told) > 0 && told[0] != "" {
		t.Fatalf(`Watch tells %.40q first, want ""`, told[0])
	}
	return err
}

// ended waits until Watch has returned, and gives its error.
func (w *watching) ended(t storeT) (err error) {
	t.Helper()
	wait(t, "the end of Watch", func() bool {
		select {
		case err = <-w.done:
			return true
		default:
			return false
		}
	})
	return err
}

// waitFor waits until the key is told after all that was waited for before.
func (w *watching) waitFor(t storeT, key string) {
	t.Helper()
	wait(t, "Watch telling "+key[:min(len(key), 40)], func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for ; w.seen < len(w.keys); w.seen++ {
			if w.keys[w.seen] == key {
				w.seen++
				return true
			}
		}
		return false
	})
}
