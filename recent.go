package handover

import (
	"bytes"
	"context"
	"errors"
	"time"
)

const (
	// recentBytes is how much of saved records, as they are written, is kept decoded; that takes some times as much.
	recentBytes = 4 << 20
	// recentFor is how long it is kept.
	recentFor = 5 * time.Minute
	// readFirst is for how long each record is read before it is changed, after others had changed one that was kept.
	readFirst = 10 * time.Second
)

// keepRecent keeps a record that was saved for the next change. It belongs to whoever takes it.
func (rs *records) keepRecent(key string, rec *record) {
	rec.env = &env{version: rec.env.version, record: rec.env.record}
	rs.recent.Put(key, rec.env.record.CrispIDs, rec.env.version, rec, len(rec.env.record.Data))
}

// recall returns a stored record as this process saved it, which nobody else uses; nil if it is not known. The bytes are
// compared as well: after a failover that loses changes a store may give a version twice.
func (rs *records) recall(k known, r Record) *record {
	if k.reading || r.Version == 0 {
		return nil // it stays for the next change
	}
	rec, ok := rs.recent.Take(k.key, r.Version)
	if !ok || !rec.env.record.same(r) {
		return nil
	}
	return rec
}

// same reports whether a store gave the same record again.
func (r *Record) same(again Record) bool {
	return r.Version == again.Version && bytes.Equal(r.Data, again.Data)
}

// updateFound is update for the record of a Crisp conversation, and returns its key as well; "" if the conversation is none of ours.
// A record that this process saved of late is not read before: Save finds whether another writer was faster, and
// tryUpdate asks the store where change saves nothing.
func (rs *records) updateFound(ctx context.Context, crispID string, change func(*record) error) (rec *record, key string, err error) {
	if k, kept := rs.kept(crispID); kept {
		rec, err = rs.update(ctx, k, change)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, errPanicked) {
			return rec, k.key, err
		}
		rs.readFirst.Store(time.Now().Add(readFirst).UnixNano())
	}
	r, err := rs.store.find(ctx, crispID)
	if err != nil || r.Key == "" {
		return nil, "", err
	}
	rec, err = rs.update(ctx, known{key: r.Key, record: r}, change)
	return rec, r.Key, err
}

// kept returns what is known of a record that is kept. Where others have changed such a record, and so may change the next
// one, there is none for a while.
func (rs *records) kept(crispID string) (known, bool) {
	if time.Now().UnixNano() < rs.readFirst.Load() {
		return known{}, false
	}
	key, rec, ok := rs.recent.TakeAny(crispID)
	if !ok {
		return known{}, false
	}
	return known{key: key, record: rec.env.record, kept: rec}, true
}

// isNewest returns an error unless a record that was kept is stored as it was.
func (rs *records) isNewest(ctx context.Context, k known) error {
	r, err := rs.store.load(ctx, k.key)
	if err == nil && !k.record.same(r) {
		err = ErrConflict
	}
	return err
}
