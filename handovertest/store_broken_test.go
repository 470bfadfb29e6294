package handovertest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
)

// onSave changes what is stored.
func onSave(change func(r *handover.Record)) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			r.CrispIDs, r.Data = slices.Clone(r.CrispIDs), bytes.Clone(r.Data)
			change(&r)
			return s.Save(ctx, r)
		}}
	}
}

// onSaveOver changes what is stored in the place of another record; that one is zero if there is none.
func onSaveOver(change func(old handover.Record, r *handover.Record)) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			old, err := s.Load(ctx, r.Key)
			if err != nil {
				return 0, err
			}
			change(old, &r)
			return s.Save(ctx, r)
		}}
	}
}

// onRead changes what Load and Find return.
func onRead(change func(r *handover.Record)) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		read := func(read func(context.Context, string) (handover.Record, error)) func(context.Context, string) (handover.Record, error) {
			return func(ctx context.Context, name string) (handover.Record, error) {
				r, err := read(ctx, name)
				change(&r)
				return r, err
			}
		}
		return faultyStore{Store: s, load: read(s.Load), find: read(s.Find)}
	}
}

// onKeys changes every key and Crisp id on its way in.
func onKeys(change func(string) string) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		return faultyStore{
			Store: s,
			load: func(ctx context.Context, key string) (handover.Record, error) {
				return s.Load(ctx, change(key))
			},
			find: func(ctx context.Context, id string) (handover.Record, error) {
				return s.Find(ctx, change(id))
			},
			save: func(ctx context.Context, r handover.Record) (int64, error) {
				r.Key = change(r.Key)
				r.CrispIDs = slices.Clone(r.CrispIDs)
				for i, id := range r.CrispIDs {
					r.CrispIDs[i] = change(id)
				}
				return s.Save(ctx, r)
			},
			remove: func(ctx context.Context, key string, version int64) error {
				return s.Delete(ctx, change(key), version)
			},
		}
	}
}

// onError replaces the errors of Save and Delete.
func onError(from, to error) func(handover.Store) handover.Store {
	swap := func(err error) error {
		if errors.Is(err, from) {
			return to
		}
		return err
	}
	return func(s handover.Store) handover.Store {
		return faultyStore{
			Store: s,
			save: func(ctx context.Context, r handover.Record) (int64, error) {
				version, err := s.Save(ctx, r)
				return version, swap(err)
			},
			remove: func(ctx context.Context, key string, version int64) error {
				return swap(s.Delete(ctx, key, version))
			},
		}
	}
}

// forceSave stores r whatever version is stored now, and takes its Crisp ids from other records.
func forceSave(ctx context.Context, s handover.Store, r handover.Record) (int64, error) {
	for {
		old, err := s.Load(ctx, r.Key)
		if err != nil {
			return 0, err
		}
		version, err := s.Save(ctx, withVersion(r, old.Version))
		switch {
		case errors.Is(err, handover.ErrTaken):
			if err := releaseIDs(ctx, s, r); err != nil {
				return 0, err
			}
		case !errors.Is(err, handover.ErrConflict):
			return version, err
		}
	}
}

// releaseIDs takes r's Crisp ids from all other records.
func releaseIDs(ctx context.Context, s handover.Store, r handover.Record) error {
	for _, id := range r.CrispIDs {
		owner, err := s.Find(ctx, id)
		if err != nil {
			return err
		}
		if owner.Key == r.Key || owner.Key == "" {
			continue
		}
		owner.CrispIDs = slices.DeleteFunc(owner.CrispIDs, func(have string) bool { return have == id })
		if _, err := s.Save(ctx, owner); err != nil && !errors.Is(err, handover.ErrConflict) {
			return err
		}
	}
	return nil
}

// forceDelete deletes the record whatever version is stored now.
func forceDelete(ctx context.Context, s handover.Store, key string) error {
	for {
		old, err := s.Load(ctx, key)
		if err != nil {
			return err
		}
		if err := s.Delete(ctx, key, old.Version); !errors.Is(err, handover.ErrConflict) {
			return err
		}
	}
}

// strictRead gives an error for what is not stored.
func strictRead(read func(context.Context, string) (handover.Record, error)) func(context.Context, string) (handover.Record, error) {
	return func(ctx context.Context, name string) (handover.Record, error) {
		r, err := read(ctx, name)
		if err == nil && r.Key == "" {
			err = errNotFound
		}
		return r, err
	}
}

// strictDelete gives an error for what is not stored.
func strictDelete(s handover.Store) handover.Store {
	return faultyStore{Store: s, remove: func(ctx context.Context, key string, version int64) error {
		if old, err := s.Load(ctx, key); err != nil || old.Key == "" {
			return cmp.Or(err, handover.ErrConflict)
		}
		return s.Delete(ctx, key, version)
	}}
}

// saveAnyway stores whatever is given when which says so. Version 0 stands for not stored.
func saveAnyway(which func(given, stored int64) bool) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			if old, err := s.Load(ctx, r.Key); err != nil || !which(r.Version, old.Version) {
				return s.Save(ctx, r)
			}
			return forceSave(ctx, s, r)
		}}
	}
}

// changeInSpite stores something although it gives the error.
func changeInSpite(of error, change func(old, r handover.Record) handover.Record) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			version, err := s.Save(ctx, r)
			if !errors.Is(err, of) {
				return version, err
			}
			old, loadErr := s.Load(ctx, r.Key)
			if loadErr != nil {
				return 0, loadErr
			}
			if _, changeErr := s.Save(ctx, withVersion(change(old, r), old.Version)); changeErr != nil {
				return 0, changeErr
			}
			return 0, err
		}}
	}
}

// countVersions gives versions 1, 2, 3 of each record, and begins again after a Delete.
func countVersions(s handover.Store) handover.Store {
	versions := map[string]int64{}
	return faultyStore{
		Store: s,
		load: func(ctx context.Context, key string) (handover.Record, error) {
			r, err := s.Load(ctx, key)
			return withVersion(r, versions[key]), err
		},
		save: func(ctx context.Context, r handover.Record) (int64, error) {
			if r.Version != versions[r.Key] {
				return 0, handover.ErrConflict
			}
			versions[r.Key]++
			_, err := forceSave(ctx, s, r)
			return versions[r.Key], err
		},
		remove: func(ctx context.Context, key string, version int64) error {
			if version != versions[key] {
				return handover.ErrConflict
			}
			delete(versions, key)
			return forceDelete(ctx, s, key)
		},
	}
}

// tombstone keeps something of a deleted record, which Load hides.
func tombstone(of func(handover.Record) handover.Record) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		dead := map[string]bool{}
		return faultyStore{
			Store: s,
			load: func(ctx context.Context, key string) (handover.Record, error) {
				if dead[key] {
					return handover.Record{}, nil
				}
				return s.Load(ctx, key)
			},
			remove: func(ctx context.Context, key string, version int64) error {
				r, err := s.Load(ctx, key)
				if err != nil || r.Version != version {
					return cmp.Or(err, handover.ErrConflict)
				}
				dead[key] = true
				_, err = s.Save(ctx, withVersion(of(r), version))
				return err
			},
		}
	}
}

// idsForEver never frees a Crisp id.
func idsForEver(s handover.Store) handover.Store {
	owners := map[string]string{}
	return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
		for _, id := range r.CrispIDs {
			if owner, ok := owners[id]; ok && owner != r.Key {
				return 0, handover.ErrTaken
			}
			owners[id] = r.Key
		}
		return s.Save(ctx, r)
	}}
}

// keepGiven keeps a slice that was given to Save.
func keepGiven(share func(to *handover.Record, from handover.Record)) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		var kept handover.Record
		return faultyStore{
			Store: s,
			save: func(ctx context.Context, r handover.Record) (int64, error) {
				kept = r
				return s.Save(ctx, r)
			},
			load: func(ctx context.Context, key string) (handover.Record, error) {
				r, err := s.Load(ctx, key)
				share(&r, kept)
				return r, err
			},
		}
	}
}

// giveKept returns the same slice each time that a record is read.
func giveKept(share func(to *handover.Record, from handover.Record)) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		var kept handover.Record
		return faultyStore{Store: s, load: func(ctx context.Context, key string) (handover.Record, error) {
			r, err := s.Load(ctx, key)
			if kept.Key == "" {
				kept = r
			}
			share(&r, kept)
			return r, err
		}}
	}
}

// meeting returns a function whose first caller waits in it for the second; later ones pass.
func meeting() func() {
	var callers atomic.Int32
	second := make(chan struct{})
	return func() {
		switch callers.Add(1) {
		case 1:
			<-second
		case 2:
			close(second)
		}
	}
}

// checkThenWrite looks at versions and Crisp ids first and stores later, without a lock between.
// The first insert, or the first change, waits there for a second one.
func checkThenWrite(inserts bool) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		meet := meeting()
		check := func(ctx context.Context, key string, version int64) error {
			if old, err := s.Load(ctx, key); err != nil || old.Version != version {
				return cmp.Or(err, handover.ErrConflict)
			}
			if inserts == (version == 0) {
				meet()
			}
			return nil
		}
		return faultyStore{
			Store: s,
			save: func(ctx context.Context, r handover.Record) (int64, error) {
				for _, id := range r.CrispIDs {
					if owner, err := s.Find(ctx, id); err != nil || owner.Key != "" && owner.Key != r.Key {
						return 0, cmp.Or(err, handover.ErrTaken)
					}
				}
				if err := check(ctx, r.Key, r.Version); err != nil {
					return 0, err
				}
				return forceSave(ctx, s, r)
			},
			remove: func(ctx context.Context, key string, version int64) error {
				if err := check(ctx, key, version); err != nil {
					return err
				}
				return forceDelete(ctx, s, key)
			},
		}
	}
}

// saveInTwoSteps stores the data first and the rest later. The first time it waits in between
// until a reader has seen that.
func saveInTwoSteps(s handover.Store) handover.Store {
	var half atomic.Int64
	seen := make(chan struct{})
	see := sync.OnceFunc(func() { close(seen) })
	return faultyStore{
		Store: s,
		load: func(ctx context.Context, key string) (handover.Record, error) {
			r, err := s.Load(ctx, key)
			if r.Version == half.Load() && r.Key != "" {
				see()
			}
			return r, err
		},
		save: func(ctx context.Context, r handover.Record) (int64, error) {
			if r.Version == 0 {
				return s.Save(ctx, r)
			}
			first, err := s.Load(ctx, r.Key)
			if err != nil {
				return 0, err
			}
			first.Data = r.Data
			if r.Version, err = s.Save(ctx, first); err != nil {
				return 0, err
			}
			half.Store(r.Version)
			<-seen
			return s.Save(ctx, r)
		},
	}
}

// findInTwoSteps looks up the key first and loads the record later. The first time that it finds
// "a1", that id is taken from the record in between.
func findInTwoSteps(s handover.Store) handover.Store {
	found, moved, loaded := make(chan struct{}), make(chan struct{}), make(chan struct{})
	find := sync.OnceFunc(func() { close(found); <-moved })
	move := sync.OnceFunc(func() { close(moved); <-loaded })
	load := sync.OnceFunc(func() { close(loaded) })
	return faultyStore{
		Store: s,
		find: func(ctx context.Context, id string) (handover.Record, error) {
			r, err := s.Find(ctx, id)
			if err != nil || r.Key == "" {
				return r, err
			}
			if id == "a1" {
				find()
				defer load()
			}
			return s.Load(ctx, r.Key)
		},
		save: func(ctx context.Context, r handover.Record) (int64, error) {
			if r.Version == 0 || slices.Contains(r.CrispIDs, "a1") {
				return s.Save(ctx, r)
			}
			<-found
			defer move()
			return s.Save(ctx, r)
		},
	}
}

// claimKept returns the same slice each time that a record is claimed.
func claimKept(share func(to *handover.Record, from handover.Record)) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		var kept handover.Record
		return onClaimed(onEach(func(r *handover.Record) {
			if kept.Key == "" {
				kept = *r
			}
			share(r, kept)
		}))(s)
	}
}

// claimInTwoSteps takes the record's Data from a second look. The first time, the record is saved
// in between.
func claimInTwoSteps(s handover.Store) handover.Store {
	looked, saved, loaded := make(chan struct{}), make(chan struct{}), make(chan struct{})
	look := sync.OnceFunc(func() { close(looked); <-saved })
	load := sync.OnceFunc(func() { close(loaded) })
	save := sync.OnceFunc(func() { close(saved); <-loaded })
	return faultyStore{
		Store: s,
		claim: func(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
			records, err := s.Claim(ctx, limit, ttl)
			look()
			defer load()
			for i := range records {
				now, err := s.Load(ctx, records[i].Key)
				if err != nil {
					return nil, err
				}
				records[i].Data = now.Data
			}
			return records, err
		},
		save: func(ctx context.Context, r handover.Record) (int64, error) {
			if r.Version != 0 {
				<-looked
				defer save()
			}
			return s.Save(ctx, r)
		},
	}
}
