package systemtest

import (
	"context"
	"errors"
	"time"

	"github.com/crisphandover/handover"
)

// storeTime is how long the store takes.
const storeTime = 5 * time.Millisecond

// errStoreAway is what the store says while it is away.
var errStoreAway = errors.New("the store is away")

// replicaStore is the store as a replica sees it.
type replicaStore struct{ r *replica }

// at does something in the store, unless that is away: then it fails, or hangs as long as that or
// the caller lasts.
func (s replicaStore) at(ctx context.Context, point string, do func() error) error {
	time.Sleep(storeTime)
	w := s.r.w
	if away, on := w.away(time.Now()); on {
		w.suffers(storeAway)
		if away.n%2 == 1 {
			select {
			case <-time.After(away.end - time.Since(w.begun)):
			case <-ctx.Done():
			}
		}
		return errStoreAway
	}
	return s.r.outside(point, do)
}

func (s replicaStore) Load(ctx context.Context, key string) (record handover.Record, err error) {
	err = s.at(ctx, "load", func() (err error) {
		record, err = s.r.w.store.Load(ctx, key)
		return err
	})
	record.Now = time.Now() // the store's clock is right, whatever a replica's is
	return record, err
}

func (s replicaStore) Find(ctx context.Context, id string) (record handover.Record, err error) {
	err = s.at(ctx, "find", func() (err error) {
		record, err = s.r.w.store.Find(ctx, id)
		return err
	})
	record.Now = time.Now()
	return record, err
}

func (s replicaStore) Save(ctx context.Context, record handover.Record) (version int64, err error) {
	saved := false
	err = s.at(ctx, atSave, func() (err error) {
		version, err = s.r.w.store.Save(ctx, record)
		if saved = err == nil; saved && s.r.w.hits(lostSaves, 0.002, record.Key, version) {
			s.r.w.suffers(lostSaves)
			return errStoreAway
		}
		return err
	})
	if c := s.r.w.chatOfKey(record.Key); c != nil && saved && err != nil {
		c.note("replica %d does not hear that version %d is saved", s.r.n, version)
		c.change(func() { c.untold++ })
	}
	return version, err
}

func (s replicaStore) Claim(ctx context.Context, limit int, ttl time.Duration) (records []handover.Record, err error) {
	err = s.at(ctx, "claim", func() (err error) {
		records, err = s.r.w.store.Claim(ctx, limit, ttl)
		return err
	})
	for i := range records {
		records[i].Now = time.Now()
	}
	return records, err
}

func (s replicaStore) Delete(ctx context.Context, key string, version int64) error {
	return s.at(ctx, "delete", func() error { return s.r.w.store.Delete(ctx, key, version) })
}
