package handover

import (
	"bytes"
	"time"
)

const (
	// recentBytes is how much of saved records, as they are written, is kept decoded; that takes some times as much.
	recentBytes = 4 << 20
	// recentFor is how long it is kept.
	recentFor = 5 * time.Minute
)

// keepRecent keeps a record that was saved for the next change. It belongs to whoever takes it.
func (h *engine) keepRecent(key string, rec *record) {
	rec.env = &env{version: rec.env.version, record: rec.env.record}
	h.recent.Put(key, rec.env.version, rec, len(rec.env.record.Data))
}

// recall returns a stored record as this process saved it, which nobody else uses; nil if it is not known. The bytes are
// compared as well: after a failover that loses changes a store may give a version twice.
func (h *engine) recall(k known, r Record) *record {
	if k.reading || r.Version == 0 {
		return nil // it stays for the next change
	}
	rec, ok := h.recent.Take(k.key, r.Version)
	if !ok || !bytes.Equal(rec.env.record.Data, r.Data) {
		return nil
	}
	return rec
}
