package handover

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// aloneAfter is how long something must have been due until it is taken for left alone: who has claimed a
	// record saves it far sooner, and again while the work takes long; if they die, others do after claimTTL.
	aloneAfter = 2 * claimTTL
	// overdueRest is for how long nothing is followed once somebody was seen to work.
	overdueRest = 10 * time.Minute
)

// overdue notices that Run was called on no replica: nobody works on what is due. Of the records that this
// process saves it follows one, the one that is due first. If that is still as it was saved when it has been
// due for aloneAfter, then nobody works, and say is called, once. Where another replica has Run that costs
// a load in overdueRest at the most; where this one has, nothing.
type overdue struct {
	store *storage
	say   func(key string)
	off   atomic.Bool // Run was called in this process, or all was said

	mu      sync.Mutex
	running int    // calls of Run under way in this process
	missed  bool   // it was said
	key     string // of the record that is followed; empty: none
	version int64
	due     time.Time
	rest    time.Time // no record is followed before
	timer   *time.Timer
}

// facts are what Check says about Run.
func (o *overdue) facts() runFacts {
	o.mu.Lock()
	defer o.mu.Unlock()
	return runFacts{runs: o.running > 0, missed: o.missed}
}

// runs notes that Run was called, and returns what notes its end.
func (o *overdue) runs() (ends func()) {
	o.stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running, o.missed = o.running+1, false
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.running--
	}
}

// stop ends the following for good.
func (o *overdue) stop() {
	o.off.Store(true)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop()
}

// drop follows nothing any more. The caller holds the lock.
func (o *overdue) drop() {
	if o.key = ""; o.timer != nil {
		o.timer.Stop()
	}
}

// saved notes a save of this process. A zero due means that nothing waits in the record.
func (o *overdue) saved(key string, version int64, due time.Time) {
	if o.off.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.store.now()
	switch {
	case o.off.Load() || now.Before(o.rest):
		return
	case key == o.key && due.IsZero():
		o.drop()
		return
	case due.IsZero() || key != o.key && o.key != "" && !due.Before(o.due):
		return
	}
	o.drop()
	o.key, o.version, o.due = key, version, due
	o.timer = time.AfterFunc(due.Sub(now)+aloneAfter, func() { o.look(key, version) })
}

// look finds out whether somebody has worked on the record, and says so if nobody has.
func (o *overdue) look(key string, version int64) {
	r, err := o.store.load(context.Background(), key)
	if o.leftAlone(key, version, r.Version, err) {
		o.say(key)
	}
}

// leftAlone reports whether nobody has worked on the record that is followed, as a load has shown.
func (o *overdue) leftAlone(key string, version, stored int64, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.off.Load() || key != o.key || version != o.version:
	case err != nil: // nobody could work on it
		o.timer = time.AfterFunc(aloneAfter, func() { o.look(key, version) })
	case stored != version:
		o.drop()
		o.rest = o.store.now().Add(overdueRest)
	default:
		o.drop()
		o.missed = true
		o.off.Store(true)
		return true
	}
	return false
}
