package sqlstore

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

const (
	// joinTurns is how many statements with Saves may be under way before further Saves wait.
	joinTurns = 2
	// joinWait is the longest that a Save waits for its turn. Then a further statement begins: the others hang.
	joinWait = 250 * time.Millisecond
	// joinRows and joinBytes are how many Saves go together at most, and with how much of Record.Data.
	joinRows, joinBytes = 32, 1 << 20
)

// joiner lets Saves that are made at the same time share a statement, a round trip and a commit, which are
// most of what a Save costs a database. This is known as group commit.
//
// A Save that finds a free turn goes alone and at once. While all turns are taken, Saves wait; as soon as a
// turn ends, those that wait go together in it. So nobody waits for company, and the more there is to do, the
// more is joined.
//
// Each Save succeeds or fails by itself. A joined statement saves the records that it can save without waiting
// for anybody, and says which. The callers of the others save them alone, as if nothing had been tried: they
// find the conflict, or wait for the lock. They also do so when the database has undone the whole, since one bad
// record may be why. Where nobody knows what the database has done, such as when the connection broke, all
// callers get the error. A caller whose context ends leaves, and the others do not notice. When all have
// left, the statement is cancelled.
type joiner struct {
	// together saves what can be saved at once, and sets the version of each that it saved.
	together func(ctx context.Context, saves []*joinedSave) error
	// undone reports whether an error of together says for certain that nothing was saved.
	undone func(error) bool

	mu      sync.Mutex
	taken   int           // turns; more than joinTurns while some hang
	waiting []*joinedSave // in the order in which they came
}

// joinedSave is a Save that had to wait for its turn.
type joinedSave struct {
	record handover.Record
	row    row
	ready  chan struct{} // closed when its caller goes on

	// One of these is set before ready is closed.
	version  int64  // it was saved
	err      error  // nobody knows whether it was saved
	panicked string // of the driver, with its stack
	alone    bool   // it was not saved, and is to be saved alone
	turn     bool   // so it is, and the caller has a turn to do so

	leave func() // called, with the joiner locked, when the caller stops waiting after this was taken from waiting
}

// save saves a record, by alone or together with others.
func (j *joiner) save(ctx context.Context, r handover.Record, row row, alone func() (int64, error)) (int64, error) {
	j.mu.Lock()
	if j.taken < joinTurns {
		j.taken++
		j.mu.Unlock()
		defer j.pass()
		return alone()
	}
	if err := ctx.Err(); err != nil {
		j.mu.Unlock()
		return 0, err
	}
	row.data = slices.Clone(row.data) // the caller may leave before the statement ends
	w := &joinedSave{record: r, row: row, ready: make(chan struct{})}
	j.waiting = append(j.waiting, w)
	j.mu.Unlock()

	if err := j.wait(ctx, w); err != nil {
		return 0, err
	}
	if w.turn {
		defer j.pass()
	}
	if w.alone {
		return alone()
	}
	if w.panicked != "" {
		panic(w.panicked) // as it would have without the joiner
	}
	return w.version, w.err
}

// wait waits until w is ready. Its only error is that of ctx.
func (j *joiner) wait(ctx context.Context, w *joinedSave) error {
	late := time.NewTimer(joinWait)
	defer late.Stop()
	for {
		select {
		case <-w.ready:
			return nil
		case <-late.C:
			j.mu.Lock()
			if slices.Contains(j.waiting, w) {
				j.taken++
				j.begin()
				late.Reset(joinWait)
			}
			j.mu.Unlock()
		case <-ctx.Done():
			j.mu.Lock()
			defer j.mu.Unlock()
			if i := slices.Index(j.waiting, w); i >= 0 {
				j.waiting = slices.Delete(j.waiting, i, i+1)
			} else {
				w.leave()
			}
			return ctx.Err()
		}
	}
}

// pass ends a turn, or gives it to those who wait.
func (j *joiner) pass() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.passLocked()
}

func (j *joiner) passLocked() {
	if len(j.waiting) == 0 || j.taken > joinTurns {
		j.taken--
		return
	}
	j.begin()
}

// begin gives a turn to those who wait: one goes alone, several go together. The caller holds j.mu.
func (j *joiner) begin() {
	saves := j.next()
	if len(saves) == 1 {
		w := saves[0]
		w.alone, w.turn, w.leave = true, true, j.passLocked
		close(w.ready)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	left := 0
	for _, w := range saves {
		w.leave = func() {
			if left++; left == len(saves) {
				cancel()
			}
		}
	}
	go func() {
		defer cancel()
		defer j.pass()
		j.run(ctx, saves)
	}()
}

// next takes from those who wait who goes together. No key is among them twice. The caller holds j.mu.
func (j *joiner) next() (saves []*joinedSave) {
	bytes, keys, left := 0, make(map[string]bool), j.waiting[:0]
	for _, w := range j.waiting {
		size := len(w.row.data)
		if len(saves) == joinRows || keys[w.record.Key] || len(saves) > 0 && bytes+size > joinBytes {
			left = append(left, w)
			continue
		}
		saves, keys[w.record.Key], bytes = append(saves, w), true, bytes+size
	}
	clear(j.waiting[len(left):])
	j.waiting = left
	return saves
}

// run saves together, and lets the callers go on.
func (j *joiner) run(ctx context.Context, saves []*joinedSave) {
	err, panicked := error(nil), ""
	func() {
		defer func() {
			if p := recover(); p != nil {
				panicked = fmt.Sprintf("%v\n\n%s", p, debug.Stack())
			}
		}()
		err = j.together(ctx, saves)
	}()
	for _, w := range saves {
		switch {
		case panicked != "":
			w.panicked = panicked
		case err != nil && !j.undone(err):
			w.err = err
		default:
			w.alone = err != nil || w.version == 0
		}
		close(w.ready)
	}
}
