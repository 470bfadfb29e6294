package systemtest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/systemtest/settings"
)

// modelRun is one bubble of conversations.
type modelRun struct {
	seed          uint64
	conversations int
	rounds        int
	hard          hard // each has half of them
}

// run lets each conversation do one thing a round, then lets time pass, and compares after both.
// It stops at the first difference.
func (r modelRun) run(t *testing.T, sum *modelSum) (err error) {
	synctest.Test(t, func(*testing.T) {
		policy := modelPolicy{claimOnAssign: r.seed%2 == 1, refuseUnknown: r.seed%3 == 0}
		w, stop, fault := newModelWorld(r, policy, &sum.coverage)
		if fault != nil {
			err = fault
			return
		}
		defer stop()
		time.Sleep(900 * time.Millisecond)
		for range r.rounds {
			if err = w.round(); err != nil {
				break
			}
		}
		if err == nil {
			err = w.end()
		}
		sum.add(w)
	})
	return err
}

// roundStep makes rounds begin ever earlier within a second, so that what an operation begins is
// never due in the second of a later operation before that, but at a look of Run's.
const roundStep = 2 * time.Millisecond

func (w *modelWorld) round() error {
	pause := time.Duration(1+w.rnd.IntN(5)) * time.Second
	if w.rnd.IntN(8) == 0 {
		pause += time.Duration(w.rnd.IntN(26)) * time.Second
	}
	for _, s := range w.subjects {
		s.need, s.after, s.unsettled = 0, nil, false
		if s.model.unclear != "" {
			continue
		}
		s.model.now = time.Now()
		do := s.act()
		pause = max(pause, s.need)
		go do()
	}
	synctest.Wait()
	var faults []error
	for _, s := range w.subjects {
		if s.after != nil {
			faults = append(faults, s.after())
		}
	}
	synctest.Wait()
	if err := errors.Join(append(faults, w.compare())...); err != nil {
		return err
	}
	return w.pass(pause - roundStep)
}

// pass lets time go by.
func (w *modelWorld) pass(d time.Duration) error {
	time.Sleep(d)
	synctest.Wait()
	for _, s := range w.subjects {
		s.unsettled = false
		if s.model.unclear != "" {
			continue
		}
		s.model.pass(time.Now())
		w.clock++
		if s.model.unclear != "" {
			s.log("  given up: %s", s.model.unclear)
		}
	}
	return w.compare()
}

// compare holds every conversation against its model.
func (w *modelWorld) compare() error {
	w.discover()
	var faults []error
	for _, s := range w.subjects {
		if !s.unsettled {
			faults = append(faults, s.compare())
		}
	}
	synctest.Wait() // until what the bot said is written down
	return errors.Join(faults...)
}

// end makes all well again and lets every deadline pass.
func (w *modelWorld) end() error {
	for _, s := range w.subjects {
		s.becomesWell()
	}
	for range 18 {
		if err := w.pass(5*time.Second - roundStep); err != nil {
			return err
		}
	}
	var faults []error
	for _, s := range w.subjects {
		faults = append(faults, s.finish())
	}
	if wrong := w.crisp.Violations(); len(wrong) > 0 {
		faults = append(faults, fmt.Errorf("crisp: %q", wrong))
	}
	return errors.Join(faults...)
}

// coverage counts the cells of the model's table that were visited, and those that were taken to
// another state.
type coverage struct {
	mu             sync.Mutex
	visited, taken map[cellName]int
}

func (c *coverage) visit(n cellName) { c.count(&c.visited, n) }
func (c *coverage) take(n cellName)  { c.count(&c.taken, n) }

func (c *coverage) count(in *map[cellName]int, n cellName) {
	if _, known := modelCells[n]; !known {
		panic(fmt.Sprintf("the model's table lacks %s on %q", n.state, n.event))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if *in == nil {
		*in = make(map[cellName]int)
	}
	(*in)[n]++
}

// modelSum is what came of several runs.
type modelSum struct {
	hard          hard
	coverage      coverage
	mu            sync.Mutex
	seeds         int
	open          int // runs that are under way
	conversations int
	ops           map[doer]int
	clock         int
	unclear       map[string]int
	suffered      map[hardship]int
}

func (s *modelSum) add(w *modelWorld) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ops == nil {
		s.ops, s.unclear, s.suffered = make(map[doer]int), make(map[string]int), make(map[hardship]int)
	}
	for h, n := range w.suffered {
		s.suffered[h] += n
	}
	s.open--
	s.conversations += len(w.subjects)
	s.clock += w.clock
	for by, n := range w.ops {
		s.ops[by] += n
	}
	for _, subject := range w.subjects {
		if why := subject.model.unclear; why != "" {
			s.unclear[why]++
		}
	}
}

// total adds counts up.
func total[K comparable](counts map[K]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// next gives a run to do, or false when there are enough operations.
func (s *modelSum) next(first uint64, ops int) (r modelRun, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r = modelRun{seed: first + uint64(s.seeds), conversations: 50, rounds: 30, hard: s.hard}
	if total(s.ops)+s.open*r.conversations*r.rounds >= ops {
		return r, false
	}
	s.seeds++
	s.open++
	return r, true
}

// allModelOps is from how many operations on every cell must have been visited.
const allModelOps = 100_000

// modelOps is how many operations the tests do: settings.ModelOps, or a few.
func modelOps(t *testing.T) int {
	standard := 5_000
	if testing.Short() {
		standard = 1_000
	}
	return settings.ModelOps.Int(t, standard)
}

// TestModel does random things to many conversations, and holds what comes of each against a model
// that was written apart from the table of states. HANDOVER_MODEL_OPS=100000 does all of it.
//
// The model knows what comes first except where two things happen in the same look of Run's and
// nobody promises an order, such as a repeated attempt that succeeds and the deadline that ends the
// handover. It then gives the conversation up as unclear: no more is done to it, and of what comes
// of it only the invariants are checked. Less than one conversation in a hundred may be.
func TestModel(t *testing.T) {
	seed, want := settings.ModelSeed.Get(t, 1), modelOps(t)
	sum := modelSum{hard: chosen(t, "none")}
	t.Run("bubbles", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for {
					run, more := sum.next(seed, want)
					if !more {
						return
					}
					require.NoError(t, run.run(t, &sum), "repeat it with HANDOVER_MODEL_SEED=%d HANDOVER_MODEL_OPS=1", run.seed)
				}
			})
		}
	})
	sum.report(seed)
	require.LessOrEqual(t, total(sum.unclear), max(3, sum.conversations/100), "too much is left out")
	if want < allModelOps || t.Failed() {
		return
	}
	for n := range modelCells {
		require.NotZero(t, sum.coverage.visited[n], "not visited: %s on %q", n.state, n.event)
		if n.leads() {
			require.NotZero(t, sum.coverage.taken[n], "never led on: %s on %q", n.state, n.event)
		}
	}
}

// report prints what was done. The rarest cell tells how far the coverage is from a gap.
func (s *modelSum) report(first uint64) {
	var leading int
	var rarest cellName
	for n := range modelCells {
		if n.leads() {
			leading++
		}
		if rarest == (cellName{}) || s.coverage.visited[n] < s.coverage.visited[rarest] {
			rarest = n
		}
	}
	fmt.Printf("model: seeds=%d..%d operations=%d %v clock=%d cells=%d/%d transitions=%d/%d rarest=%d (%s on %q) conversations=%d given up as unclear=%d %v hardships=%v\n",
		first, first+uint64(s.seeds)-1, total(s.ops), s.ops, s.clock,
		len(s.coverage.visited), len(modelCells), len(s.coverage.taken), leading, s.coverage.visited[rarest], rarest.state, rarest.event,
		s.conversations, total(s.unclear), s.unclear, s.suffered)
}
