package handovertest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

var errNotFound = errors.New("not found")

// storeFaults are faults in what a store keeps.
var storeFaults = []storeFault{
	{"unknown", "Load gives an error", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, load: strictRead(s.Load)}
	}},
	{"unknown", "Find gives an error", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, find: strictRead(s.Find)}
	}},
	{"unknown", "Delete gives an error", strictDelete},
	{"unknown", "Save with a version inserts", saveAnyway(func(given, stored int64) bool { return stored == 0 && given != 0 })},

	{"fields", "Crisp ids sorted", onSave(func(r *handover.Record) { slices.Sort(r.CrispIDs) })},
	{"fields", "one Crisp id only", onSave(func(r *handover.Record) { r.CrispIDs = r.CrispIDs[:min(1, len(r.CrispIDs))] })},
	{"fields", "Due lost", onRead(func(r *handover.Record) { r.Due = time.Time{} })},
	{"fields", "Due without its zone", onSave(func(r *handover.Record) {
		r.Due = time.Date(r.Due.Year(), r.Due.Month(), r.Due.Day(), r.Due.Hour(), r.Due.Minute(), 0, 0, time.UTC)
	})},
	{"fields", "Due set from the start", onSave(func(r *handover.Record) {
		if r.Due.IsZero() {
			r.Due = time.Unix(0, 0)
		}
	})},
	{"fields", "Data lost", onSave(func(r *handover.Record) { r.Data = nil })},
	{"fields", "Key not returned", onRead(func(r *handover.Record) { r.Key = "" })},
	{"fields", "Version not returned", onRead(func(r *handover.Record) { r.Version = 0 })},

	{"replace", "Crisp ids only added", onSaveOver(func(old handover.Record, r *handover.Record) {
		r.CrispIDs = append(slices.Clone(old.CrispIDs), r.CrispIDs...)
	})},
	{"replace", "Due not cleared", onSaveOver(func(old handover.Record, r *handover.Record) {
		if r.Due.IsZero() {
			r.Due = old.Due
		}
	})},
	{"replace", "Data not cleared", onSaveOver(func(old handover.Record, r *handover.Record) {
		if len(r.Data) == 0 {
			r.Data = old.Data
		}
	})},
	{"replace", "Crisp ids not cleared", onSaveOver(func(old handover.Record, r *handover.Record) {
		if len(r.CrispIDs) == 0 {
			r.CrispIDs = old.CrispIDs
		}
	})},

	{"conflict", "any version", saveAnyway(func(_, stored int64) bool { return stored != 0 })},
	{"conflict", "version 0 overwrites", saveAnyway(func(given, stored int64) bool { return given == 0 && stored != 0 })},
	{"conflict", "an older version overwrites", saveAnyway(func(given, stored int64) bool { return given != 0 && given < stored })},
	{"conflict", "a newer version overwrites", saveAnyway(func(given, stored int64) bool { return stored != 0 && given > stored })},
	{"conflict", "another error", onError(handover.ErrConflict, errNotFound)},
	{"conflict", "no error", onError(handover.ErrConflict, nil)},
	{"conflict", "Due is stored all the same", changeInSpite(handover.ErrConflict, func(old, r handover.Record) handover.Record {
		old.Due = r.Due
		return old
	})},

	{"versions", "counted by record", countVersions},
	{"versions", "always 1", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			_, err := forceSave(ctx, s, r)
			return 1, err
		}}
	}},

	{"save deleted", "inserts again", saveAnyway(func(given, stored int64) bool { return stored == 0 && given != 0 })},
	{"save deleted", "a tombstone that Find knows", tombstone(func(r handover.Record) handover.Record { return handover.Record{Key: r.Key, CrispIDs: r.CrispIDs} })},
	{"save deleted", "a tombstone that is due", tombstone(func(r handover.Record) handover.Record { return handover.Record{Key: r.Key, Due: r.Due} })},

	{"delete", "any version", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, remove: func(ctx context.Context, key string, _ int64) error { return forceDelete(ctx, s, key) }}
	}},
	{"delete", "nothing happens", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, remove: func(context.Context, string, int64) error { return nil }}
	}},
	{"delete", "an error the second time", strictDelete},
	{"delete", "no error for another version", onError(handover.ErrConflict, nil)},

	{"crisp ids", "never free again", idsForEver},
	{"crisp ids", "taken by itself when named twice", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			ids := slices.Sorted(slices.Values(r.CrispIDs))
			if len(slices.Compact(slices.Clone(ids))) != len(ids) {
				return 0, handover.ErrTaken
			}
			return s.Save(ctx, r)
		}}
	}},
	{"crisp ids", "one name for both", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, find: func(ctx context.Context, id string) (handover.Record, error) {
			if r, err := s.Find(ctx, id); err != nil || r.Key != "" {
				return r, err
			}
			return s.Load(ctx, id)
		}}
	}},
	{"crisp ids", "one name for both in Load", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, load: func(ctx context.Context, key string) (handover.Record, error) {
			if r, err := s.Load(ctx, key); err != nil || r.Key != "" {
				return r, err
			}
			return s.Find(ctx, key)
		}}
	}},

	{"taken", "the last one wins", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			if err := releaseIDs(ctx, s, r); err != nil {
				return 0, err
			}
			return s.Save(ctx, r)
		}}
	}},
	{"taken", "another error", onError(handover.ErrTaken, handover.ErrConflict)},
	{"taken", "before the version", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			for _, id := range r.CrispIDs {
				if owner, err := s.Find(ctx, id); err == nil && owner.Key != "" && owner.Key != r.Key {
					return 0, handover.ErrTaken
				}
			}
			return s.Save(ctx, r)
		}}
	}},
	{"taken", "the record is stored all the same", changeInSpite(handover.ErrTaken, func(_, r handover.Record) handover.Record {
		r.CrispIDs = nil
		return r
	})},
	{"taken", "the free ids are stored all the same", changeInSpite(handover.ErrTaken, func(old, r handover.Record) handover.Record {
		old.Key, old.CrispIDs = r.Key, append(old.CrispIDs, r.CrispIDs[0])
		return old
	})},
	{"taken", "Data is stored all the same", changeInSpite(handover.ErrTaken, func(old, r handover.Record) handover.Record {
		old.Key, old.Data = r.Key, r.Data
		return old
	})},
	{"taken", "the version is raised all the same", changeInSpite(handover.ErrTaken, func(old, r handover.Record) handover.Record {
		old.Key = r.Key
		return old
	})},

	{"microseconds", "milliseconds", onSave(func(r *handover.Record) { r.Due = r.Due.Truncate(time.Millisecond) })},
	{"microseconds", "rounded to 2 microseconds", onSave(func(r *handover.Record) { r.Due = r.Due.Round(2 * time.Microsecond) })},
	{"microseconds", "seconds where it is finer", onSave(func(r *handover.Record) {
		if r.Due.Nanosecond()%1000 != 0 {
			r.Due = r.Due.Truncate(time.Second)
		}
	})},

	{"data", "cut at a line's end", onSave(func(r *handover.Record) { r.Data, _, _ = bytes.Cut(r.Data, []byte("\n")) })},
	{"data", "made UTF-8", onSave(func(r *handover.Record) { r.Data = bytes.ToValidUTF8(r.Data, []byte("\ufffd")) })},
	{"data", "numbers as float64", onSave(func(r *handover.Record) {
		r.Data = bytes.ReplaceAll(r.Data, []byte("9007199254740993"), []byte("9007199254740992"))
	})},
	{"data", "JSON made compact", onSave(func(r *handover.Record) { r.Data = bytes.ReplaceAll(r.Data, []byte(" : "), []byte(":")) })},
	{"data", "trimmed", onSave(func(r *handover.Record) { r.Data = bytes.TrimSpace(r.Data) })},
	{"data", "escapes taken as bytes", onSave(func(r *handover.Record) { r.Data = bytes.ReplaceAll(r.Data, []byte(`\x41`), []byte("A")) })},
	{"data", "64 KiB at most", onSave(func(r *handover.Record) { r.Data = r.Data[:min(len(r.Data), 65535)] })},
	{"data", "empty is refused", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			if len(r.Data) == 0 {
				return 0, errNotFound
			}
			return s.Save(ctx, r)
		}}
	}},

	{"keys", "case folded", onKeys(strings.ToLower)},
	{"keys", "trimmed", onKeys(strings.TrimSpace)},
	{"keys", "accents normalised", onKeys(func(key string) string { return strings.ReplaceAll(key, "a\u0301", "á") })},
	{"keys", "255 bytes", onKeys(func(key string) string { return key[:min(len(key), 255)] })},
	{"keys", "1,023 bytes", onKeys(func(key string) string { return key[:min(len(key), 1023)] })},
	{"keys", "quotes doubled", onKeys(func(key string) string { return strings.ReplaceAll(key, "''", "'") })},
	{"keys", "backslashes doubled", onKeys(func(key string) string { return strings.ReplaceAll(key, `\\`, `\`) })},
	{"keys", "paths cleaned", onKeys(func(key string) string { return strings.TrimPrefix(key, "../") })},
	{"keys", "numbers", onKeys(func(key string) string { return strings.TrimPrefix(key, "0") })},

	{"contexts", "Load", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, load: func(_ context.Context, key string) (handover.Record, error) { return s.Load(context.Background(), key) }}
	}},
	{"contexts", "Find", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, find: func(_ context.Context, id string) (handover.Record, error) { return s.Find(context.Background(), id) }}
	}},
	{"contexts", "Save", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(_ context.Context, r handover.Record) (int64, error) { return s.Save(context.Background(), r) }}
	}},
	{"contexts", "Claim", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, claim: func(_ context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
			return s.Claim(context.Background(), limit, ttl)
		}}
	}},
	{"contexts", "Claim hides all the same", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, claim: func(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
			records, err := s.Claim(context.WithoutCancel(ctx), limit, ttl)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return records, err
		}}
	}},
	{"contexts", "Delete", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, remove: func(_ context.Context, key string, version int64) error {
			return s.Delete(context.Background(), key, version)
		}}
	}},
	{"contexts", "the error is given, the work done", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			version, err := s.Save(context.WithoutCancel(ctx), r)
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return version, err
		}}
	}},
	{"contexts", "another error", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			if ctx.Err() != nil {
				return 0, errNotFound
			}
			return s.Save(ctx, r)
		}}
	}},

	{"copies", "of Data on Save", keepGiven(func(to *handover.Record, from handover.Record) { to.Data = bytes.Clone(from.Data) })},
	{"copies", "of CrispIDs on Save", keepGiven(func(to *handover.Record, from handover.Record) { to.CrispIDs = slices.Clone(from.CrispIDs) })},
	{"copies", "of Data on Load", giveKept(func(to *handover.Record, from handover.Record) { to.Data = from.Data })},
	{"copies", "of CrispIDs on Load", giveKept(func(to *handover.Record, from handover.Record) { to.CrispIDs = from.CrispIDs })},
	{"copies", "of Data on Claim", claimKept(func(to *handover.Record, from handover.Record) { to.Data = from.Data })},
	{"copies", "of CrispIDs on Claim", claimKept(func(to *handover.Record, from handover.Record) { to.CrispIDs = from.CrispIDs })},

	{"concurrent updates", "checked, then written", checkThenWrite(false)},
	{"concurrent inserts", "checked, then written", checkThenWrite(true)},
	{"concurrent inserts", "nobody wins", func(s handover.Store) handover.Store {
		return faultyStore{Store: s, save: func(context.Context, handover.Record) (int64, error) { return 0, handover.ErrConflict }}
	}},
	{"concurrent crisp ids", "checked, then written", checkThenWrite(true)},
	{"concurrent crisp ids", "checked, then written, by stored records", checkThenWrite(false)},
	{"concurrent crisp ids", "the losers are stored", changeInSpite(handover.ErrTaken, func(_, r handover.Record) handover.Record {
		r.CrispIDs = nil
		return r
	})},
	{"concurrent deletes", "checked, then written", checkThenWrite(false)},
	{"whole records", "saved in two steps", saveInTwoSteps},
	{"whole records", "found in two steps", findInTwoSteps},
	{"whole records", "claimed in two steps", claimInTwoSteps},
}
