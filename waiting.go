package handover

import (
	"context"
	"sync"
	"time"

	"github.com/crisphandover/handover/internal/worker"
)

// Receive, Start and Reply wait for what becomes of a conversation. What this process saves wakes them
// at once, and so does what others save where the store can tell of it. Else they load the record now
// and then.

const (
	pollFirst = 50 * time.Millisecond  // the first pause, where another process may be at work
	pollAway  = 500 * time.Millisecond // the longest pause then
	pollKnown = 5 * time.Second        // each pause, where this process is at work or the store tells
)

// laneWake is the lane of the pool in which records are loaded that another process saved.
const laneWake = "wake"

// listening hears of each save of one record that this process makes, or is told of.
type listening struct {
	h       *engine
	key     string
	works   bool  // what is waited for comes of the work on the record
	version int64 // the newest that was loaded
	waiter  *worker.Waiter[*record]

	mu   sync.Mutex
	ok   func(*record) bool // what is waited for
	said bool               // ok has said yes, and is not asked again
}

// listen prepares to wait until the record is as ok wants it. ok is called while others wait: it only
// looks. begin must be called, and stop after it.
func (h *engine) listen(key string, ok func(*record) bool) *listening {
	return &listening{h: h, key: key, ok: ok}
}

// begin listens from now on. Called at the end of a change to the record, it misses nothing that is
// saved after that change. Whoever changes what ok uses calls stop before.
func (l *listening) begin(rec *record) {
	l.stop()
	l.said = false // of a change that was not saved after all
	epoch, serial := rec.Epoch, rec.Serial
	l.version = rec.env.version
	l.waiter = l.h.waiters.Listen(l.key, func(rec *record) bool {
		// One save may be told of after a later one.
		older := rec.Epoch < epoch || rec.Epoch == epoch && rec.Serial <= serial
		return !older && l.ask(rec)
	})
}

// ask reports whether the record, or one before it, is as it is wanted.
func (l *listening) ask(rec *record) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = l.said || l.ok(rec)
	return l.said
}

// stop ends the listening: ok is not called any more.
func (l *listening) stop() {
	if l.waiter != nil {
		l.waiter.Stop()
	}
}

// wait waits until the record is as it is wanted. rec is what the caller knows of it.
func (l *listening) wait(ctx context.Context, rec *record) error {
	if l.ask(rec) {
		return nil
	}
	l.version = rec.env.version
	first, most := pollFirst, pollAway
	if l.h.watching.Load() || l.works && rec.Claim.Holder == l.h.process {
		first, most = pollKnown, pollKnown
	}
	return l.poll(ctx, first, most)
}

// waitIdly is wait for what hardly ever happens: it costs no loads where the store tells, and few where
// it does not.
func (l *listening) waitIdly(ctx context.Context, rec *record) error {
	if l.ask(rec) {
		return nil
	}
	l.version = rec.env.version
	if l.h.watching.Load() {
		_, err := l.waiter.Wait(ctx, nil, 0, 0)
		return err
	}
	return l.poll(ctx, pollKnown, pollKnown)
}

// poll waits, and loads the record after a first pause, and then with pauses that double up to most.
func (l *listening) poll(ctx context.Context, first, most time.Duration) error {
	_, err := l.waiter.Wait(ctx, l.load, first, most)
	return err
}

// load is a worker.PollFunc.
func (l *listening) load(ctx context.Context) (*record, bool, error) {
	r, err := l.h.store.load(ctx, l.key)
	if err != nil {
		return nil, false, err
	}
	if r.Version == l.version {
		return nil, false, nil
	}
	l.version = r.Version
	rec, err := decodeRecord(r, l.key, Conversation{}, l.h.store.now())
	return rec, err == nil, nil
}

// awaited is what callers in other processes may wait to see changed.
type awaited struct {
	epoch   int64
	opening string   // the handover that opens
	pending []string // the user's messages that are on their way to Crisp, or given to somebody to answer them
}

// awaited returns what may be waited for now.
func (rec *record) awaited() (a awaited) {
	a.epoch = rec.Epoch
	if rec.State == StateOpening {
		a.opening = rec.Handover.ID
	}
	for _, m := range rec.UserMessages {
		if m.pending() {
			a.pending = append(a.pending, m.ID)
		}
	}
	return a
}

// pending reports whether it is open what becomes of a message, so that a Receive waits for it.
func (m *userMessage) pending() bool {
	return m.Status == messagePosting || m.Status == messageTurn && !m.Managed && !m.Given.IsZero()
}

// over reports whether something that was waited for has happened in the record.
func (a awaited) over(rec *record) bool {
	if a.epoch != rec.Epoch || a.opening != "" && (rec.State != StateOpening || rec.Handover.ID != a.opening) {
		return true
	}
	for _, id := range a.pending {
		if m := rec.UserMessages.find(id); m == nil || !m.pending() {
			return true
		}
	}
	return false
}
