package handovertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
)

// listFaults are faults in how a store keeps Live, and lists its records.
var listFaults = []storeFault{
	{"live", "lost", onSave(func(r *handover.Record) { r.Live = false })},
	{"live", "always", onSave(func(r *handover.Record) { r.Live = true })},
	{"live", "not cleared", onSaveOver(func(old handover.Record, r *handover.Record) { r.Live = r.Live || old.Live })},
	{"live", "as it was first", onSaveOver(func(old handover.Record, r *handover.Record) {
		if old.Key != "" {
			r.Live = old.Live
		}
	})},
	{"live", "changed only if nothing else is", onSaveOver(func(old handover.Record, r *handover.Record) {
		if old.Key != "" && !slices.Equal(old.CrispIDs, r.CrispIDs) {
			r.Live = old.Live
		}
	})},
	{"live", "not given by Claim", onClaimed(onEach(func(r *handover.Record) { r.Live = false }))},
	{"live", "stored in spite of a conflict", changeInSpite(handover.ErrConflict, func(old, r handover.Record) handover.Record {
		old.Live = r.Live
		return old
	})},

	{"list", "not in order", onListed(func(_ handover.ListQuery, all []handover.Record) []handover.Record {
		slices.Reverse(all)
		return all
	})},
	{"list", "in the order of a language", onListedAll(func(a, b string) int {
		return strings.Compare(strings.ToLower(a), strings.ToLower(b))
	})},
	{"list", "in the order of UTF-16", onListedAll(func(a, b string) int { return slices.Compare(utf16Of(a), utf16Of(b)) })},
	{"list", "no limit", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		q.Limit = 1000
		return l.List(ctx, q)
	})},
	{"list", "0 is no limit", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		if q.Limit == 0 {
			q.Limit = 1000
		}
		return l.List(ctx, q)
	})},
	{"list", "-1 is no limit", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		if q.Limit < 0 {
			q.Limit = 1000
		}
		return l.List(ctx, q)
	})},
	{"list", "After is among them", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		all, err := l.List(ctx, q)
		if r, _ := l.(handover.Store).Load(ctx, q.After); r.Key != "" {
			all = append([]handover.Record{r}, all...)
		}
		return all, err
	})},
	{"list", "After has to be stored", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		if r, _ := l.(handover.Store).Load(ctx, q.After); q.After != "" && r.Key == "" {
			return nil, nil
		}
		return l.List(ctx, q)
	})},
	{"list", "without Data", onListedEach(func(r *handover.Record) { r.Data = nil })},
	{"list", "without CrispIDs", onListedEach(func(r *handover.Record) { r.CrispIDs = nil })},
	{"list", "without Due", onListedEach(func(r *handover.Record) { r.Due = time.Time{} })},
	{"list", "without Version", onListedEach(func(r *handover.Record) { r.Version = 0 })},
	{"list", "without Live", onListedEach(func(r *handover.Record) { r.Live = false })},
	{"list", "with Wake", onListedEach(func(r *handover.Record) { r.Wake = true })},
	{"list", "with a Now that Load has not", onListedEach(func(r *handover.Record) { r.Now = time.Now() })},
	{"list", "without Now", func(s handover.Store) handover.Store {
		return listable{clocked(func(_ string, now time.Time) time.Time { return now })(s), s.(handover.Lister).List}
	}},
	{"list", "hides from Claim", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		all, err := l.List(ctx, q)
		if len(all) > 10 {
			_, _ = l.(handover.Store).Claim(ctx, 1, time.Hour)
		}
		return all, err
	})},
	{"list", "as it was before", func(s handover.Store) handover.Store {
		kept := map[handover.ListQuery][]handover.Record{}
		return onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
			all, err := l.List(ctx, handover.ListQuery{Limit: 1000})
			if have := kept[handover.ListQuery{}]; len(have) > 0 {
				all = have
			}
			kept[handover.ListQuery{}] = all
			all = slices.DeleteFunc(slices.Clone(all), func(r handover.Record) bool { return r.Key <= q.After || !strings.HasPrefix(r.Key, q.Prefix) })
			for i := range all {
				all[i].Data, all[i].CrispIDs = slices.Clone(all[i].Data), slices.Clone(all[i].CrispIDs)
			}
			return all[:min(len(all), max(q.Limit, 0))], err
		})(s)
	}},
	{"list", "shares memory", func(s handover.Store) handover.Store {
		kept := map[string]handover.Record{}
		wrapped := faultyStore{Store: s, load: func(ctx context.Context, key string) (handover.Record, error) {
			r, err := s.Load(ctx, key)
			if k, ok := kept[key]; ok {
				r.Data = k.Data
			}
			return r, err
		}}
		return listable{wrapped, func(ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
			all, err := s.(handover.Lister).List(ctx, q)
			for _, r := range all {
				kept[r.Key] = r
			}
			return all, err
		}}
	}},
	{"list", "regardless of its context", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		return l.List(context.WithoutCancel(ctx), q)
	})},

	{"list prefixes", "as patterns", onPrefix(func(key, prefix string) bool { return like(key, prefix) })},
	{"list prefixes", "of any case", onPrefix(func(key, prefix string) bool {
		return strings.HasPrefix(strings.ToLower(key), strings.ToLower(prefix))
	})},
	{"list prefixes", "anywhere", onPrefix(strings.Contains)},
	{"list prefixes", "ignored", onPrefix(func(string, string) bool { return true })},
	{"list prefixes", "cut", onPrefix(func(key, prefix string) bool { return strings.HasPrefix(key, prefix[:min(len(prefix), 255)]) })},
	{"list prefixes", "up to the largest letter", onPrefix(func(key, prefix string) bool {
		return key >= prefix && key < prefix+"\uffff"
	})},
	{"list prefixes", "as the last byte's successor", onPrefix(func(key, prefix string) bool {
		if prefix == "" {
			return true
		}
		return strings.HasPrefix(key, prefix) && key < strings.ToValidUTF8(prefix[:len(prefix)-1]+string([]byte{prefix[len(prefix)-1] + 1}), "?")
	})},
	{"list prefixes", "After first", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		if q.After != "" && !strings.HasPrefix(q.After, q.Prefix) {
			q.Prefix = ""
		}
		return l.List(ctx, q)
	})},

	{"list live", "all", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		q.Live = false
		return l.List(ctx, q)
	})},
	{"list live", "only live ones, always", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		q.Live = true
		return l.List(ctx, q)
	})},
	{"list live", "new ones only", liveSet(func(set map[string]bool, r handover.Record, err error) {
		if err == nil && r.Version == 0 {
			set[r.Key] = r.Live
		}
	}, func(set map[string]bool, key string) { delete(set, key) })},
	{"list live", "never taken out", liveSet(func(set map[string]bool, r handover.Record, err error) {
		set[r.Key] = set[r.Key] || err == nil && r.Live
	}, func(set map[string]bool, key string) { delete(set, key) })},
	{"list live", "of what was deleted before", liveSet(func(set map[string]bool, r handover.Record, err error) {
		if err == nil && (r.Live || r.Version != 0) {
			set[r.Key] = r.Live
		}
	}, func(map[string]bool, string) {})},
	{"list live", "put in by a conflict", liveSet(func(set map[string]bool, r handover.Record, err error) {
		if err == nil || errors.Is(err, handover.ErrConflict) {
			set[r.Key] = r.Live
		}
	}, func(set map[string]bool, key string) { delete(set, key) })},
	{"list live", "put in by a taken Crisp id", liveSet(func(set map[string]bool, r handover.Record, err error) {
		if err == nil || errors.Is(err, handover.ErrTaken) {
			set[r.Key] = r.Live
		}
	}, func(set map[string]bool, key string) { delete(set, key) })},

	{"list pages", "by number", func(s handover.Store) handover.Store {
		seen := map[string]int{}
		return onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
			limit, before := q.Limit, seen[q.After]
			q.After, q.Limit = "", 1000
			all, err := l.List(ctx, q)
			all = all[min(len(all), before):]
			all = all[:min(len(all), limit)]
			if len(all) > 0 {
				seen[all[len(all)-1].Key] = before + len(all)
			}
			return all, err
		})(s)
	}},
	{"list pages", "no more than its limit before it looks", onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		q.Live, q.Prefix = false, ""
		all, err := l.List(ctx, q)
		return slices.DeleteFunc(all, func(r handover.Record) bool { return !strings.HasPrefix(r.Key, "true/") }), err
	})},
	{"list and others", "the keys first", listInTwoSteps(func(r handover.Record) bool { return r.Key != "" })},
	{"list and others", "a zero Record for a deleted one", listInTwoSteps(func(handover.Record) bool { return true })},
	{"list and others", "nothing while one is saved", func(s handover.Store) handover.Store {
		var calls atomic.Int32
		return onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
			if calls.Add(1) == 2 {
				return nil, nil
			}
			return l.List(ctx, q)
		})(s)
	}},
}

// listable is a store with another List.
type listable struct {
	handover.Store
	list func(ctx context.Context, q handover.ListQuery) ([]handover.Record, error)
}

func (s listable) List(ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
	return s.list(ctx, q)
}

// onList lists otherwise.
func onList(list func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error)) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		return listable{s, func(ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
			return list(s.(handover.Lister), ctx, q)
		}}
	}
}

// onListed changes what List returns.
func onListed(change func(q handover.ListQuery, all []handover.Record) []handover.Record) func(handover.Store) handover.Store {
	return onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		all, err := l.List(ctx, q)
		return change(q, all), err
	})
}

func onListedEach(change func(*handover.Record)) func(handover.Store) handover.Store {
	return onListed(func(_ handover.ListQuery, all []handover.Record) []handover.Record { return onEach(change)(all) })
}

// onListedAll lists in another order.
func onListedAll(compare func(a, b string) int) func(handover.Store) handover.Store {
	return onListed(func(_ handover.ListQuery, all []handover.Record) []handover.Record {
		slices.SortStableFunc(all, func(a, b handover.Record) int { return compare(a.Key, b.Key) })
		return all
	})
}

func utf16Of(s string) (units []rune) {
	for _, r := range s {
		if r > 0xffff {
			units = append(units, 0xd800+(r-0x10000)>>10)
			r = 0xdc00 + (r-0x10000)&0x3ff
		}
		units = append(units, r)
	}
	return units
}

// onPrefix takes other keys for those with a prefix.
func onPrefix(has func(key, prefix string) bool) func(handover.Store) handover.Store {
	return onList(func(l handover.Lister, ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
		prefix, limit := q.Prefix, q.Limit
		q.Prefix, q.Limit = "", 1000
		all, err := l.List(ctx, q)
		all = slices.DeleteFunc(all, func(r handover.Record) bool { return !has(r.Key, prefix) })
		return all[:min(len(all), limit)], err
	})
}

// like reports whether SQL's LIKE takes a key for one that begins with a prefix which was not escaped.
func like(key, prefix string) bool {
	if prefix == "" {
		return true
	}
	switch prefix[0] {
	case '%':
		return like(key, prefix[1:]) || key != "" && like(key[1:], prefix)
	case '_':
		return key != "" && like(key[1:], prefix[1:])
	}
	return key != "" && key[0] == prefix[0] && like(key[1:], prefix[1:])
}

// liveSet is a store that keeps the keys of what is live in a set beside the records.
func liveSet(saved func(set map[string]bool, r handover.Record, err error), removed func(set map[string]bool, key string)) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		set := map[string]bool{}
		kept := faultyStore{
			Store: s,
			save: func(ctx context.Context, r handover.Record) (int64, error) {
				version, err := s.Save(ctx, r)
				saved(set, r, err)
				return version, err
			},
			remove: func(ctx context.Context, key string, version int64) error {
				err := s.Delete(ctx, key, version)
				if err == nil {
					removed(set, key)
				}
				return err
			},
		}
		return listable{kept, func(ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
			live := q.Live
			q.Live = false
			all, err := s.(handover.Lister).List(ctx, q)
			return slices.DeleteFunc(all, func(r handover.Record) bool { return live && !set[r.Key] }), err
		}}
	}
}

// listInTwoSteps looks up the keys first and loads the records later.
func listInTwoSteps(give func(handover.Record) bool) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		slow := faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			time.Sleep(time.Millisecond)
			return s.Save(ctx, r)
		}}
		return listable{slow, func(ctx context.Context, q handover.ListQuery) (all []handover.Record, err error) {
			keys, err := s.(handover.Lister).List(ctx, q)
			time.Sleep(time.Millisecond / 2)
			for _, k := range keys {
				if r, _ := s.Load(ctx, k.Key); give(r) {
					all = append(all, r)
				}
			}
			return all, err
		}}
	}
}
