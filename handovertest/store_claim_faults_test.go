package handovertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
)

// claimFaults are faults in how a store gives out work.
var claimFaults = []storeFault{
	{"claim", "too early", dueEarlier(2 * time.Hour)},
	{"claim", "late", dueEarlier(-2 * time.Second)},
	{"claim", "all of them", dueEarlier(291 * 365 * 24 * time.Hour)},
	{"claim", "newest first", onClaimed(func(records []handover.Record) []handover.Record {
		slices.Reverse(records)
		return records
	})},
	{"claim", "by key", onClaimed(func(records []handover.Record) []handover.Record {
		slices.SortFunc(records, func(a, b handover.Record) int { return strings.Compare(a.Key, b.Key) })
		return records
	})},
	{"claim", "1970 is never", onSave(func(r *handover.Record) {
		if r.Due.Unix() == 0 {
			r.Due = time.Time{}
		}
	})},
	{"claim", "before 1970 is never", onSave(func(r *handover.Record) {
		if r.Due.Unix() < 0 {
			r.Due = time.Time{}
		}
	})},
	{"claim", "never is at once", onSave(func(r *handover.Record) {
		if r.Due.IsZero() {
			r.Due = time.Unix(0, 0)
		}
	})},
	{"claim", "counted in 64 bits of nanoseconds", onSave(func(r *handover.Record) {
		if !r.Due.IsZero() {
			r.Due = time.Unix(0, r.Due.UnixNano())
		}
	})},
	{"claim", "keys only", onClaimed(onEach(func(r *handover.Record) { *r = handover.Record{Key: r.Key} }))},
	{"claim", "without Data", onClaimed(onEach(func(r *handover.Record) { r.Data = nil }))},
	{"claim", "without CrispIDs", onClaimed(onEach(func(r *handover.Record) { r.CrispIDs = nil }))},
	{"claim", "without Due", onClaimed(onEach(func(r *handover.Record) { r.Due = time.Time{} }))},
	{"claim", "without Version", onClaimed(onEach(func(r *handover.Record) { r.Version = 0 }))},
	{"claim", "with the end of the hiding for Due", onClaimed(onEach(func(r *handover.Record) { r.Due = r.Due.Add(time.Hour) }))},
	{"claim", "nothing", onClaimed(func([]handover.Record) []handover.Record { return nil })},
	{"claim", "the same record twice in one call", onClaimed(func(records []handover.Record) []handover.Record {
		return append(records, records[:min(1, len(records))]...)
	})},
	{"claim", "a zero Record for none", onClaimed(func(records []handover.Record) []handover.Record {
		if len(records) == 0 {
			return []handover.Record{{}}
		}
		return records
	})},

	{"claim limit", "no limit", onClaim(func(s handover.Store, _ int, ttl time.Duration) ([]handover.Record, error) {
		return s.Claim(context.Background(), 1000, ttl)
	})},
	{"claim limit", "0 is no limit", onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		if limit == 0 {
			limit = 1000
		}
		return s.Claim(context.Background(), limit, ttl)
	})},
	{"claim limit", "-1 is no limit", onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		if limit < 0 {
			limit = 1000
		}
		return s.Claim(context.Background(), limit, ttl)
	})},
	{"claim limit", "one less", onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		return s.Claim(context.Background(), limit-1, ttl)
	})},
	{"claim limit", "hides more than it gives", onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		records, err := s.Claim(context.Background(), 1000, ttl)
		return records[:min(len(records), max(limit, 0))], err
	})},
	{"claim limit", "cut before sorting", booked(bookRules{age: func(r handover.Record, _ time.Time) time.Time {
		return noon.Add(-r.Due.Sub(noon))
	}})},

	{"claim in time", "a second early", dueEarlier(time.Second)},
	{"claim in time", "by milliseconds", dueEarlier(10 * time.Millisecond)},
	{"claim in time", "an hour late", dueEarlier(-time.Hour)},
	{"claim in time", "only what was due when it was saved", onSave(func(r *handover.Record) {
		if r.Due.After(time.Now()) {
			r.Due = time.Time{}
		}
	})},

	{"claim hides", "nothing", onClaim(func(s handover.Store, limit int, _ time.Duration) ([]handover.Record, error) {
		return s.Claim(context.Background(), limit, 0)
	})},
	{"claim hides", "for a second at least", onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		return s.Claim(context.Background(), limit, max(ttl, time.Second))
	})},
	{"claim hides", "a ttl that is negative", onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		return s.Claim(context.Background(), limit, max(ttl, -ttl))
	})},
	{"claim hides", "by a change of the version", changeClaimed(func(*handover.Record) {})},
	{"claim hides", "by a change of Due", changeClaimed(func(r *handover.Record) { r.Due = r.Due.Add(24 * 365 * 50 * time.Hour) })},
	{"claim hides", "until another record is saved", booked(bookRules{saved: func(b book, _ handover.Record, _ error) { clear(b) }})},

	{"claim ends", "never", onClaim(func(s handover.Store, limit int, _ time.Duration) ([]handover.Record, error) {
		return s.Claim(context.Background(), limit, 1000*time.Hour)
	})},
	{"claim ends", "too early", onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		return s.Claim(context.Background(), limit, ttl*9/10)
	})},
	{"claim ends", "too early by the store's clock", func(s handover.Store) handover.Store {
		return onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
			return s.Claim(context.Background(), limit, ttl*9/10)
		})(withClock(s))
	}},
	{"claim ends", "once only", booked(bookRules{saved: func(book, handover.Record, error) {}})},
	{"claim ends", "with a new version", booked(bookRules{ended: func(s handover.Store, b book) []handover.Record {
		for key, until := range b {
			if r, err := s.Load(context.Background(), key); err == nil && !time.Now().Before(until) {
				_, _ = s.Save(context.Background(), r)
			}
		}
		return nil
	}})},

	{"claim turns", "always by Due", booked(bookRules{age: func(r handover.Record, _ time.Time) time.Time { return r.Due }})},

	{"claim and save", "Save does not end the claim", booked(bookRules{saved: func(book, handover.Record, error) {}})},
	{"claim and save", "Save with the same Due does not end the claim", func(s handover.Store) handover.Store {
		dues := book{}
		return booked(bookRules{saved: func(b book, r handover.Record, err error) {
			if err == nil && !r.Due.Equal(dues[r.Key]) {
				delete(b, r.Key)
			}
			dues[r.Key] = r.Due
		}})(s)
	}},
	{"claim and save", "only a later Due ends the claim", func(s handover.Store) handover.Store {
		dues := book{}
		return booked(bookRules{saved: func(b book, r handover.Record, err error) {
			if err == nil && r.Due.After(dues[r.Key]) {
				delete(b, r.Key)
			}
			dues[r.Key] = r.Due
		}})(s)
	}},
	{"claim and save", "a conflict ends the claim", booked(bookRules{saved: func(b book, r handover.Record, err error) {
		if err == nil || errors.Is(err, handover.ErrConflict) {
			delete(b, r.Key)
		}
	}})},
	{"claim and save", "a Crisp id that is taken ends the claim", booked(bookRules{saved: func(b book, r handover.Record, err error) {
		if err == nil || errors.Is(err, handover.ErrTaken) {
			delete(b, r.Key)
		}
	}})},
	{"claim and save", "the end of a claim makes due", func(s handover.Store) handover.Store {
		ended := book{} // claims that a Save ended
		return booked(bookRules{
			saved: func(b book, r handover.Record, err error) {
				if err == nil {
					ended[r.Key] = b[r.Key]
					delete(b, r.Key)
				}
			},
			ended: func(s handover.Store, b book) (records []handover.Record) {
				for key, until := range ended {
					r, _ := s.Load(context.Background(), key)
					late := r.Due.IsZero() || r.Due.After(time.Now())
					if late && !until.IsZero() && !time.Now().Before(until) {
						records = append(records, r)
					}
				}
				return records
			},
		})(s)
	}},

	{"claim and delete", "Delete leaves it to Claim", tombstone(func(r handover.Record) handover.Record {
		return handover.Record{Key: r.Key, Due: r.Due}
	})},
	{"claim and delete", "Delete is refused", func(s handover.Store) handover.Store {
		claimed := map[string]bool{}
		return faultyStore{Store: s,
			claim: func(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
				records, err := s.Claim(ctx, limit, ttl)
				for _, r := range records {
					claimed[r.Key] = true
				}
				return records, err
			},
			remove: func(ctx context.Context, key string, version int64) error {
				if claimed[key] {
					return handover.ErrConflict
				}
				return s.Delete(ctx, key, version)
			},
		}
	}},
	{"claim and delete", "the claim outlives its record", booked(bookRules{
		removed: func(b book, key string) { b[key] = time.Now().Add(time.Hour) },
		saved: func(b book, r handover.Record, err error) {
			if err == nil && r.Version != 0 {
				delete(b, r.Key)
			}
		},
	})},

	{"claim thousands", "a thousand at most are known", func(s handover.Store) handover.Store {
		var mu sync.Mutex
		known := 0
		return faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			mu.Lock()
			defer mu.Unlock()
			if known++; known > 1000 {
				r.Due = time.Time{}
			}
			return s.Save(ctx, r)
		}}
	}},
	{"claim thousands", "256 at most at a time", onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		return s.Claim(context.Background(), min(limit, 256), ttl)
	})},
	{"claim thousands", "sorted in parts", onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		records, err := s.Claim(context.Background(), limit, ttl)
		if len(records) > 100 {
			slices.Reverse(records[100:])
		}
		return records, err
	})},

	{"concurrent claims", "looked, then hidden", booked(bookRules{between: meeting})},
	{"concurrent claims", "one of two loses what it took", func(s handover.Store) handover.Store {
		var calls atomic.Int32
		return onClaimed(func(records []handover.Record) []handover.Record {
			if calls.Add(1)%2 == 0 {
				return records[:min(len(records), 1)]
			}
			return records
		})(s)
	}},
}

// onClaim claims otherwise than it is asked to.
func onClaim(claim func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error)) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		return faultyStore{Store: s, claim: func(_ context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
			return claim(s, limit, ttl)
		}}
	}
}

// onClaimed changes what Claim returns.
func onClaimed(change func([]handover.Record) []handover.Record) func(handover.Store) handover.Store {
	return onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		records, err := s.Claim(context.Background(), limit, ttl)
		return change(records), err
	})
}

func onEach(change func(r *handover.Record)) func([]handover.Record) []handover.Record {
	return func(records []handover.Record) []handover.Record {
		for i := range records {
			change(&records[i])
		}
		return records
	}
}

// dueEarlier has Claim give records by another time than their Due.
func dueEarlier(d time.Duration) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		moved := onSave(func(r *handover.Record) {
			if !r.Due.IsZero() {
				r.Due = r.Due.Add(-d)
			}
		})(s)
		back := func(r handover.Record, err error) (handover.Record, error) {
			if !r.Due.IsZero() {
				r.Due = r.Due.Add(d)
			}
			return r, err
		}
		return faultyStore{
			Store: moved,
			load:  func(ctx context.Context, key string) (handover.Record, error) { return back(s.Load(ctx, key)) },
			find:  func(ctx context.Context, id string) (handover.Record, error) { return back(s.Find(ctx, id)) },
			claim: func(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
				records, err := s.Claim(ctx, limit, ttl)
				for i, r := range records {
					records[i], _ = back(r, nil)
				}
				return records, err
			},
		}
	}
}

// book is where a store keeps its claims: until when each key is hidden.
type book map[string]time.Time

// bookRules are what is wrong with such a store; with none set it is a right one.
type bookRules struct {
	saved   func(b book, r handover.Record, err error) // what Save does; ends the claim if it went well
	removed func(b book, key string)                   // what Delete does; ends the claim
	age     func(r handover.Record, until time.Time) time.Time
	between func() func()                                    // done between looking and hiding
	ended   func(s handover.Store, b book) []handover.Record // given beside what is due
}

// booked is a store that keeps its claims in a book of their own.
func booked(rules bookRules) func(handover.Store) handover.Store {
	if rules.saved == nil {
		rules.saved = func(b book, r handover.Record, err error) {
			if err == nil {
				delete(b, r.Key)
			}
		}
	}
	if rules.removed == nil {
		rules.removed = func(b book, key string) { delete(b, key) }
	}
	if rules.age == nil {
		rules.age = func(r handover.Record, until time.Time) time.Time {
			if r.Due.After(until) {
				return r.Due
			}
			return until
		}
	}
	return func(s handover.Store) handover.Store {
		var mu sync.Mutex
		b, between := book{}, func() {}
		if rules.between != nil {
			between = rules.between()
		}
		return faultyStore{
			Store: s,
			claim: func(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
				mu.Lock()
				defer mu.Unlock()
				records, err := s.Claim(ctx, 10_000, 0)
				if rules.ended != nil {
					records = append(records, rules.ended(s, b)...)
				}
				now := time.Now()
				records = slices.DeleteFunc(records, func(r handover.Record) bool { return b[r.Key].After(now) })
				slices.SortStableFunc(records, func(x, y handover.Record) int {
					return rules.age(x, b[x.Key]).Compare(rules.age(y, b[y.Key]))
				})
				records = records[:min(len(records), max(limit, 0))]
				mu.Unlock()
				between()
				mu.Lock()
				for _, r := range records {
					b[r.Key] = now.Add(ttl)
				}
				return records, err
			},
			save: func(ctx context.Context, r handover.Record) (int64, error) {
				mu.Lock()
				defer mu.Unlock()
				version, err := s.Save(ctx, r)
				rules.saved(b, r, err)
				return version, err
			},
			remove: func(ctx context.Context, key string, version int64) error {
				mu.Lock()
				defer mu.Unlock()
				err := s.Delete(ctx, key, version)
				if err == nil {
					rules.removed(b, key)
				}
				return err
			},
		}
	}
}

// changeClaimed saves what it claims, and gives it as it is stored then.
func changeClaimed(change func(r *handover.Record)) func(handover.Store) handover.Store {
	return onClaim(func(s handover.Store, limit int, ttl time.Duration) ([]handover.Record, error) {
		records, err := s.Claim(context.Background(), limit, ttl)
		for i, r := range records {
			change(&r)
			version, err := s.Save(context.Background(), r)
			if err != nil {
				return nil, err
			}
			records[i] = withVersion(r, version)
		}
		return records, err
	})
}
