package sqlstore

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// joinTurns is how many statements of a joiner may be under way before further calls wait.
	joinTurns = 2
	// joinWait is the longest that a call waits for its turn. Then a further statement begins: the others hang.
	joinWait = 250 * time.Millisecond
	// joinCalls and joinBytes are how many calls go together at most, and with how much data.
	joinCalls, joinBytes = 32, 1 << 20
)

// joiner lets calls of one kind that are made at the same time share a statement, and so a round trip and a
// transaction, which are most of what a call costs a database. For Saves this is known as group commit. G is
// what a call is given, and R what it returns.
//
// A call that finds a free turn goes alone and at once. While all turns are taken, calls wait; as soon as a
// turn ends, those that wait go together in it. So nobody waits for company, and the more there is to do, the
// more is joined.
//
// Each call succeeds or fails by itself. A joined statement does what it can do without waiting for anybody,
// and says which calls it did. The callers of the others go alone, as if nothing had been tried: a Save finds
// the conflict, or waits for the lock. They also do so when the database has undone the whole, since one bad
// call may be why. Where nobody knows what the database has done, such as when the connection broke, all
// callers get the error. A caller whose context ends leaves, and the others do not notice. When all have
// left, the statement is cancelled.
type joiner[G, R any] struct {
	// together does what can be done at once, and sets result and done of each call that it did.
	together func(ctx context.Context, calls []*joined[G, R]) error
	// undone reports whether an error of together says for certain that nothing was done.
	undone func(error) bool
	// key names what a call is about: no key goes twice in one statement.
	key func(G) string
	// data is what a call brings that its caller may change after it has left; nil for nothing.
	data func(*G) *[]byte

	mu      sync.Mutex
	taken   int             // turns; more than joinTurns while some hang
	waiting []*joined[G, R] // in the order in which they came
}

// joined is a call that had to wait for its turn.
type joined[G, R any] struct {
	given  G
	result R
	done   bool          // by the joined statement
	ready  chan struct{} // closed when its caller goes on

	// At most one of these is set before ready is closed, besides turn.
	err      error  // nobody knows whether it was done
	panicked string // of the driver, with its stack
	alone    bool   // it was not done, and is to be done alone
	turn     bool   // so it is, and the caller has a turn to do so

	leave func() // called, with the joiner locked, when the caller stops waiting after this was taken from waiting
}

// do does a call, by alone or together with others.
func (j *joiner[G, R]) do(ctx context.Context, given G, alone func() (R, error)) (none R, _ error) {
	j.mu.Lock()
	if j.taken < joinTurns {
		j.taken++
		j.mu.Unlock()
		defer j.pass()
		return alone()
	}
	if err := ctx.Err(); err != nil {
		j.mu.Unlock()
		return none, err
	}
	if j.data != nil {
		data := j.data(&given)
		*data = slices.Clone(*data) // the caller may leave before the statement ends
	}
	w := &joined[G, R]{given: given, ready: make(chan struct{})}
	j.waiting = append(j.waiting, w)
	j.mu.Unlock()

	if err := j.wait(ctx, w); err != nil {
		return none, err
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
	return w.result, w.err
}

// wait waits until w is ready. Its only error is that of ctx.
func (j *joiner[G, R]) wait(ctx context.Context, w *joined[G, R]) error {
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
func (j *joiner[G, R]) pass() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.passLocked()
}

func (j *joiner[G, R]) passLocked() {
	if len(j.waiting) == 0 || j.taken > joinTurns {
		j.taken--
		return
	}
	j.begin()
}

// begin gives a turn to those who wait: one goes alone, several go together. The caller holds j.mu.
func (j *joiner[G, R]) begin() {
	calls := j.next()
	if len(calls) == 1 {
		w := calls[0]
		w.alone, w.turn, w.leave = true, true, j.passLocked
		close(w.ready)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	left := 0
	for _, w := range calls {
		w.leave = func() {
			if left++; left == len(calls) {
				cancel()
			}
		}
	}
	go func() {
		defer cancel()
		defer j.pass()
		j.run(ctx, calls)
	}()
}

// next takes from those who wait who goes together. No key is among them twice. The caller holds j.mu.
func (j *joiner[G, R]) next() (calls []*joined[G, R]) {
	bytes, keys, left := 0, make(map[string]bool), j.waiting[:0]
	for _, w := range j.waiting {
		key, size := j.key(w.given), 0
		if j.data != nil {
			size = len(*j.data(&w.given))
		}
		if len(calls) == joinCalls || keys[key] || len(calls) > 0 && bytes+size > joinBytes {
			left = append(left, w)
			continue
		}
		calls, keys[key], bytes = append(calls, w), true, bytes+size
	}
	clear(j.waiting[len(left):])
	j.waiting = left
	return calls
}

// run does calls together, and lets the callers go on.
func (j *joiner[G, R]) run(ctx context.Context, calls []*joined[G, R]) {
	err, panicked := error(nil), ""
	func() {
		defer func() {
			if p := recover(); p != nil {
				panicked = fmt.Sprintf("%v\n\n%s", p, debug.Stack())
			}
		}()
		err = j.together(ctx, calls)
	}()
	for _, w := range calls {
		switch {
		case panicked != "":
			w.panicked = panicked
		case err != nil && !j.undone(err):
			w.err = err
		default:
			w.alone = err != nil || !w.done
		}
		close(w.ready)
	}
}
