package pace

import (
	"sync"
	"time"
)

// Outage says when to tell of something that fails: at the first failure, then once in Every while it goes
// on, and once when it works again. What fails now and then is told of once in Every, too. It may have
// parts, such as reading and writing: it works again when each part that failed does.
type Outage struct {
	Every time.Duration

	mu      sync.Mutex
	failing map[string]bool // the parts
	fails   int             // since it last worked
	begun   time.Time       // the first of these
	told    time.Time       // when a failure was last told of
	unsaid  bool            // a failure was told of, and not yet that it works again
}

// Failed notes a failure of a part, and reports whether to tell of it, and how many there were in a row.
func (o *Outage) Failed(part string) (fails int, tell bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.failing == nil {
		o.failing = make(map[string]bool)
	}
	o.failing[part] = true
	if o.fails++; o.fails == 1 {
		o.begun = now
	}
	if !o.told.IsZero() && now.Sub(o.told) < o.Every {
		return o.fails, false
	}
	o.told, o.unsaid = now, true
	return o.fails, true
}

// Failing returns since when something fails, and how many failures there were since; 0 if nothing does.
func (o *Outage) Failing() (since time.Time, fails int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.failing) == 0 {
		return time.Time{}, 0
	}
	return o.begun, o.fails
}

// Worked notes a success of a part, and reports whether to tell that all works again, and for how long it
// did not.
func (o *Outage) Worked(part string) (failed time.Duration, tell bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.failing[part] {
		return 0, false
	}
	if delete(o.failing, part); len(o.failing) > 0 {
		return 0, false
	}
	failed, tell = time.Since(o.begun), o.unsaid
	o.fails, o.unsaid = 0, false
	return failed, tell
}
