package handover_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// modelRun is one bubble of conversations.
type modelRun struct {
	seed          uint64
	conversations int
	rounds        int
	cover         *coverage
}

// run lets each conversation do one thing a round, then lets time pass, and compares after both.
func (r modelRun) run(t *testing.T) (ops, unclear int, err error) {
	synctest.Test(t, func(*testing.T) {
		policy := modelPolicy{claimOnAssign: r.seed%2 == 1, refuseUnknown: r.seed%3 == 0, trustHooks: r.seed%4 == 2}
		w, stop, fault := newModelWorld(r.seed, r.conversations, policy, r.cover)
		if fault != nil {
			err = fault
			return
		}
		defer stop()
		rnd := rand.New(rand.NewPCG(r.seed, 1<<32))
		time.Sleep(900 * time.Millisecond)
		for range r.rounds {
			if err = w.round(rnd); err != nil {
				break
			}
		}
		for _, s := range w.subjects {
			if err == nil && s.model.unclear == "" {
				err = s.compareCrisp()
			}
			if s.model.unclear != "" {
				unclear++
			}
		}
		if err == nil && len(w.crisp.Violations()) > 0 {
			err = fmt.Errorf("crisp: %q", w.crisp.Violations())
		}
		ops = w.ops
	})
	return ops, unclear, err
}

// roundStep makes rounds begin ever earlier within a second, so that what an operation begins is
// never due in the second of a later operation before that, but at a look of Run's.
const roundStep = 2 * time.Millisecond

func (w *modelWorld) round(rnd *rand.Rand) error {
	pause := time.Duration(1+rnd.IntN(5)) * time.Second
	if rnd.IntN(8) == 0 {
		pause += time.Duration(rnd.IntN(26)) * time.Second
	}
	for _, s := range w.subjects {
		if s.model.unclear != "" {
			continue
		}
		s.need, s.after, s.unsettled = 0, nil, false
		s.model.now = time.Now()
		do := s.act()
		w.ops++
		pause = max(pause, s.need)
		go do()
	}
	synctest.Wait()
	for _, s := range w.subjects {
		if s.after != nil {
			s.after()
		}
	}
	synctest.Wait()
	if err := w.compare(func(s *subject) bool { return s.unsettled }); err != nil {
		return err
	}
	time.Sleep(pause - roundStep)
	synctest.Wait()
	for _, s := range w.subjects {
		if s.model.unclear == "" {
			s.model.pass(time.Now())
			w.ops++
		}
	}
	return w.compare(func(*subject) bool { return false })
}

// compare holds every conversation against its model.
func (w *modelWorld) compare(skip func(*subject) bool) error {
	var faults []error
	for _, s := range w.subjects {
		if s.model.unclear == "" && !skip(s) {
			faults = append(faults, s.compare())
		}
	}
	return errors.Join(faults...)
}

// number reads a setting from the environment.
func number(t *testing.T, name string, standard int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// modelOps is how many operations TestModel does at least.
const modelOps = 100_000

// TestModel does random things to many conversations, and holds what comes of each against a model
// that was written apart from the table of states. HANDOVER_MODEL_SEED and HANDOVER_MODEL_OPS
// repeat one run, or make it longer.
func TestModel(t *testing.T) {
	seed, want := uint64(number(t, "HANDOVER_MODEL_SEED", 1)), number(t, "HANDOVER_MODEL_OPS", modelOps)
	const conversations, rounds = 100, 30
	cover := &coverage{cells: make(map[[2]string]int)}
	var seeds, ops, unclear atomic.Int64
	t.Run("bubbles", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for ops.Load() < int64(want) {
					seed := seed + uint64(seeds.Add(1)-1)
					r := modelRun{seed: seed, conversations: conversations, rounds: rounds, cover: cover}
					n, u, err := r.run(t)
					require.NoError(t, err, "repeat it with HANDOVER_MODEL_SEED=%d HANDOVER_MODEL_OPS=1", seed)
					ops.Add(int64(n))
					unclear.Add(int64(u))
				}
			})
		}
	})
	all := len(modelEvents) * len(handover.States)
	fmt.Printf("model: seeds=%d..%d conversations=%d operations=%d cells=%d/%d given up as unclear=%d\n",
		seed, int64(seed)+seeds.Load()-1, seeds.Load()*conversations, ops.Load(), len(cover.cells), all, unclear.Load())
	require.Less(t, unclear.Load()*20, seeds.Load()*conversations, "too much is left out")
	if want < modelOps || t.Failed() {
		return
	}
	for _, state := range handover.States {
		for _, event := range modelEvents {
			require.NotZero(t, cover.cells[[2]string{string(state), event}], "not visited: %s, %s", state, event)
		}
	}
}

// TestModelFindsAFlippedCell changes one cell of the table that the code runs, and has the model
// notice it.
func TestModelFindsAFlippedCell(t *testing.T) {
	const human = "human operator's message, newer than the end"
	for _, f := range []struct {
		from handover.State
		on   string
		to   handover.State
		ends handover.EndReason
	}{
		{handover.StateBot, human, handover.StateBot, ""},
		{handover.StateBot, "Mute", handover.StateBot, ""},
		{handover.StateMuted, "End by the host", handover.StateMuted, ""},
		{handover.StateOpening, "opened", handover.StateActive, ""},
		{handover.StateWaiting, human, handover.StateWaiting, ""},
		{handover.StateWaiting, "Timeouts.Claim", handover.StateBot, handover.EndIdle},
		{handover.StateActive, "Crisp says resolved", handover.StateActive, ""},
	} {
		t.Run(fmt.Sprintf("%s on %s", f.from, f.on), func(t *testing.T) {
			require.True(t, handover.CellOf(f.from, f.on).Listed)
			restore := handover.FlipCell(f.from, f.on, f.to, f.ends)
			defer restore()
			cover := &coverage{cells: make(map[[2]string]int)}
			for seed := range uint64(10) {
				_, _, err := modelRun{seed: seed, conversations: 40, rounds: 20, cover: cover}.run(t)
				if err != nil {
					t.Logf("found with seed %d: %s", seed, strings.SplitN(err.Error(), "\n", 2)[0])
					return
				}
			}
			t.Fatal("the model did not notice")
		})
	}
}
