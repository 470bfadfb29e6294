package claims

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// aloneAfter is how long something must have been due until it is taken for left alone: who has claimed a
	// record saves it far sooner, and again while the work takes long; if they die, others do after TTL.
	aloneAfter = 2 * TTL
	// overdueRest is for how long nothing is followed once somebody was seen to work.
	overdueRest = 10 * time.Minute
)

// Overdue notices that no process works on what is due. Of the records that this
// process saves it follows one, the one that is due first. If that is still as it was saved when it has been
// due for aloneAfter, then nobody works, and Say is called, once. If it is not, it is followed once more as it
// is stored: two saves of this process may have been noted in the wrong order. Where another process works that costs
// two loads in overdueRest at the most; where this one does, nothing.
type Overdue struct {
	// Load returns the version of a record, 0 of one that is not stored, and when it is due, and Now the store's time.
	Load func(ctx context.Context, key string) (version int64, due time.Time, err error)
	Now  func() time.Time
	// Say is called once, when nobody works.
	Say func(key string)

	off atomic.Bool // this process works, or all was said

	mu      sync.Mutex
	running int    // of Begin, without their ends
	missed  bool   // it was said
	key     string // of the record that is followed; empty: none
	version int64
	due     time.Time
	again   bool      // it is followed as it was found to be stored
	rest    time.Time // no record is followed before
	timer   *time.Timer
}

// Works reports whether this process works on what is due, and whether it was said that nobody does.
func (o *Overdue) Works() (works, missed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.running > 0, o.missed
}

// Begin notes that this process works, and returns what notes its end.
func (o *Overdue) Begin() (ends func()) {
	o.Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running, o.missed = o.running+1, false
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.running--
	}
}

// Stop ends the following for good.
func (o *Overdue) Stop() {
	o.off.Store(true)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop()
}

// drop follows nothing any more. The caller holds the lock.
func (o *Overdue) drop() {
	if o.key = ""; o.timer != nil {
		o.timer.Stop()
	}
}

// Saved notes a save of this process. A zero due means that nothing waits in the record.
func (o *Overdue) Saved(key string, version int64, due time.Time) {
	if o.off.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.Now()
	switch {
	case o.off.Load() || now.Before(o.rest):
		return
	case key == o.key && due.IsZero():
		o.drop()
		return
	case due.IsZero() || key != o.key && o.key != "" && !due.Before(o.due):
		return
	}
	o.follow(key, version, due, now)
	o.again = false
}

// follow follows a record from now on. The caller holds the lock.
func (o *Overdue) follow(key string, version int64, due, now time.Time) {
	o.drop()
	o.key, o.version, o.due = key, version, due
	o.timer = time.AfterFunc(due.Sub(now)+aloneAfter, func() { o.check(key, version) })
}

// check finds out whether somebody has worked on the record, and says so if nobody has.
func (o *Overdue) check(key string, version int64) {
	stored, due, err := o.Load(context.Background(), key)
	if o.leftAlone(key, version, stored, due, err) {
		o.Say(key)
	}
}

// leftAlone reports whether nobody has worked on the record that is followed, as a load has shown.
func (o *Overdue) leftAlone(key string, version, stored int64, due time.Time, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.off.Load() || key != o.key || version != o.version:
	case err != nil: // nobody could work on it
		o.timer = time.AfterFunc(aloneAfter, func() { o.check(key, version) })
	case stored != version && !due.IsZero() && !o.again:
		now := o.Now()
		if due.Before(now) {
			due = now // somebody may be at it
		}
		o.follow(key, stored, due, now)
		o.again = true
	case stored != version:
		o.drop()
		o.rest = o.Now().Add(overdueRest)
	default:
		o.drop()
		o.missed = true
		o.off.Store(true)
		return true
	}
	return false
}
