package handovertest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
)

// watchFaults are faults in how a store tells the time, and of changes.
var watchFaults = []storeFault{
	{"now", "Load only", clocked(func(read string, now time.Time) time.Time { return only(read == "Load", now) })},
	{"now", "not by Load", clocked(func(read string, now time.Time) time.Time { return only(read != "Load", now) })},
	{"now", "not by Find", clocked(func(read string, now time.Time) time.Time { return only(read != "Find", now) })},
	{"now", "not by Claim", clocked(func(read string, now time.Time) time.Time { return only(read != "Claim", now) })},
	{"now", "not in a zero Record", func(s handover.Store) handover.Store {
		return onRead(func(r *handover.Record) {
			if r.Key == "" {
				r.Now = time.Time{}
			}
		})(withClock(s))
	}},
	{"now", "Find is a second behind", clocked(func(read string, now time.Time) time.Time {
		if read == "Find" {
			return now.Add(-time.Second)
		}
		return now
	})},
	{"now", "stands still", func(s handover.Store) handover.Store {
		start := time.Now()
		return clocked(func(string, time.Time) time.Time { return start })(s)
	}},
	{"now", "what Save was given", onRead(func(r *handover.Record) { r.Now = noon })},

	{"wake", "kept", func(s handover.Store) handover.Store {
		var woken atomic.Bool
		wrapped := onRead(func(r *handover.Record) { r.Wake = woken.Load() })(s).(faultyStore)
		wrapped.save = func(ctx context.Context, r handover.Record) (int64, error) {
			if r.Wake {
				woken.Store(true)
			}
			return s.Save(ctx, r)
		}
		return wrapped
	}},
	{"wake", "given by Claim", onClaimed(onEach(func(r *handover.Record) { r.Wake = true }))},
	{"wake", "saves nothing else", onSave(func(r *handover.Record) {
		if r.Wake {
			r.Data = nil
		}
	})},
	{"wake", "makes due", func(s handover.Store) handover.Store {
		return onSave(func(r *handover.Record) {
			if !r.Wake {
				r.Due = time.Time{}
			}
		})(s)
	}},

	{"watch", "nothing is told", onWatch(func(_ handover.Watcher, ctx context.Context, changed func(string)) error {
		changed("")
		<-ctx.Done()
		return ctx.Err()
	})},
	{"watch", "the beginning is not told", onWatch(func(w handover.Watcher, ctx context.Context, changed func(string)) error {
		return w.Watch(ctx, func(key string) {
			if key != "" {
				changed(key)
			}
		})
	})},
	{"watch", "other keys", onWatch(func(w handover.Watcher, ctx context.Context, changed func(string)) error {
		return w.Watch(ctx, func(key string) { changed(key[:min(len(key), 255)]) })
	})},
	{"watch", "inserts only", onWatch(func(w handover.Watcher, ctx context.Context, changed func(string)) error {
		told := map[string]bool{}
		return w.Watch(ctx, func(key string) {
			if !told[key] {
				changed(key)
			}
			told[key] = true
		})
	})},
	{"watch", "one watcher only", func(s handover.Store) handover.Store {
		var watched atomic.Bool
		return onWatch(func(w handover.Watcher, ctx context.Context, changed func(string)) error {
			if watched.Swap(true) {
				changed("")
				<-ctx.Done()
				return ctx.Err()
			}
			return w.Watch(ctx, changed)
		})(s)
	}},
	{"watch", "all saves", watchedSaves(func(_ handover.Record, err error) bool { return err == nil })},
	{"watch", "saves that failed", watchedSaves(func(r handover.Record, err error) bool { return r.Wake })},
	{"watch", "does not end", onWatch(func(w handover.Watcher, ctx context.Context, changed func(string)) error {
		later, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*storePatience)
		defer cancel()
		return w.Watch(later, changed)
	})},
	{"watch", "tells after its end", onWatch(func(w handover.Watcher, ctx context.Context, changed func(string)) error {
		later, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*storePatience)
		go func() {
			defer cancel()
			_ = w.Watch(later, changed)
		}()
		<-ctx.Done()
		return ctx.Err()
	})},
	{"watch", "ends at once", onWatch(func(_ handover.Watcher, _ context.Context, changed func(string)) error {
		return errNotFound
	})},
	{"watch", "ends by itself", onWatch(func(w handover.Watcher, ctx context.Context, changed func(string)) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		return w.Watch(ctx, func(key string) {
			changed(key)
			if key != "" {
				cancel()
			}
		})
	})},
	{"watch", "another error at the end", onWatch(func(w handover.Watcher, ctx context.Context, changed func(string)) error {
		_ = w.Watch(ctx, changed)
		return errNotFound
	})},
	{"watch", "unsupported the second time", func(s handover.Store) handover.Store {
		var watched atomic.Bool
		return onWatch(func(w handover.Watcher, ctx context.Context, changed func(string)) error {
			if watched.Swap(true) {
				return errors.ErrUnsupported
			}
			return w.Watch(ctx, changed)
		})(s)
	}},
}

func only(yes bool, now time.Time) time.Time {
	if yes {
		return now
	}
	return time.Time{}
}

// withClock is a store that has a clock of its own, some minutes ahead of this process's.
func withClock(s handover.Store) handover.Store {
	const ahead = 7 * time.Minute
	shifted := watchable{dueEarlier(ahead)(s), s.(handover.Watcher).Watch}
	return clocked(func(_ string, now time.Time) time.Time { return now.Add(ahead) })(shifted)
}

// clocked is a store that has a clock of its own, which shows differently in each way of reading.
func clocked(show func(read string, now time.Time) time.Time) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		stamp := func(read string, r handover.Record, err error) (handover.Record, error) {
			r.Now = show(read, time.Now())
			return r, err
		}
		return watchable{faultyStore{
			Store: s,
			load: func(ctx context.Context, key string) (handover.Record, error) {
				r, err := s.Load(ctx, key)
				return stamp("Load", r, err)
			},
			find: func(ctx context.Context, id string) (handover.Record, error) {
				r, err := s.Find(ctx, id)
				return stamp("Find", r, err)
			},
			claim: func(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
				records, err := s.Claim(ctx, limit, ttl)
				for i := range records {
					records[i], _ = stamp("Claim", records[i], nil)
				}
				return records, err
			},
		}, s.(handover.Watcher).Watch}
	}
}

// watchable is a store with another Watch.
type watchable struct {
	handover.Store
	watch func(ctx context.Context, changed func(key string)) error
}

func (s watchable) Watch(ctx context.Context, changed func(key string)) error {
	return s.watch(ctx, changed)
}

// onWatch watches otherwise.
func onWatch(watch func(w handover.Watcher, ctx context.Context, changed func(key string)) error) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		return watchable{s, func(ctx context.Context, changed func(key string)) error {
			return watch(s.(handover.Watcher), ctx, changed)
		}}
	}
}

// watchedSaves tells of other saves than it was asked to.
func watchedSaves(tell func(r handover.Record, err error) bool) func(handover.Store) handover.Store {
	return func(s handover.Store) handover.Store {
		told := new(handover.MemoryStore) // tells of what is saved in it
		saved := faultyStore{Store: s, save: func(ctx context.Context, r handover.Record) (int64, error) {
			version, err := s.Save(ctx, r)
			if tell(r, err) {
				_, _ = forceSave(ctx, told, handover.Record{Key: r.Key, Wake: true})
			}
			return version, err
		}}
		return watchable{saved, told.Watch}
	}
}
