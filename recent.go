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
	// readFirst is for how long each record is read before it is changed, after one was kept that others had changed.
	readFirst = 10 * time.Second
)

// keepRecent keeps a record that was saved for the next change. It belongs to whoever takes it.
func (h *engine) keepRecent(key string, rec *record) {
	rec.env = &env{version: rec.env.version, record: rec.env.record}
	h.recent.Put(key, rec.env.record.CrispIDs, rec.env.version, rec, len(rec.env.record.Data))
}

// recall returns a stored record as this process saved it, which nobody else uses; nil if it is not known. The bytes are
// compared as well: after a failover that loses changes a store may give a version twice.
func (h *engine) recall(k known, r Record) *record {
	if k.reading || r.Version == 0 {
		return nil // it stays for the next change
	}
	rec, ok := h.recent.Take(k.key, r.Version)
	if !ok || !rec.env.record.same(r) {
		return nil
	}
	return rec
}

// same reports whether a store gave the same record again.
func (r *Record) same(again Record) bool {
	return r.Version == again.Version && bytes.Equal(r.Data, again.Data)
}

// updateFound applies change to the record of a Crisp conversation, and returns what was saved; nil if the conversation is none of
// ours, or its record cannot be read, which the log then says. A record that this process saved of late is not read before: Save
// finds whether another writer was faster, and tryUpdate asks the store where change saves nothing.
func (h *engine) updateFound(ctx context.Context, crispID string, change func(*record) error) (rec *record, err error) {
	k, kept := h.keptRecord(crispID)
	if kept {
		rec, err = h.update(ctx, k, change)
	}
	if kept && errors.Is(err, ErrConflict) {
		kept = false
		h.readFirst.Store(time.Now().Add(readFirst).UnixNano())
	}
	if !kept {
		r, notFound := h.store.find(ctx, crispID)
		if notFound != nil || r.Key == "" {
			return nil, notFound
		}
		k = known{key: r.Key, record: r}
		rec, err = h.update(ctx, k, change)
	}
	if hopeless(err) { // and stays so
		h.unreadable(ctx, k.key, err)
		return nil, nil
	}
	return rec, err
}

// keptRecord returns what is known of a record that is kept. Where others have changed such a record, and so may change the next
// one, there is none for a while.
func (h *engine) keptRecord(crispID string) (known, bool) {
	if time.Now().UnixNano() < h.readFirst.Load() {
		return known{}, false
	}
	key, rec, ok := h.recent.TakeAny(crispID)
	if !ok {
		return known{}, false
	}
	return known{key: key, record: rec.env.record, kept: rec}, true
}

// isNewest returns an error unless a record that was kept is stored as it was.
func (h *engine) isNewest(ctx context.Context, k known) error {
	r, err := h.store.load(ctx, k.key)
	if err == nil && !k.record.same(r) {
		err = ErrConflict
	}
	return err
}
