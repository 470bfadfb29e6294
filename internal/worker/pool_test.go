package worker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/worker"
)

// diary notes which jobs ran, and when.
type diary struct {
	mu      sync.Mutex
	begun   time.Time
	entries []entry
}

type entry struct {
	job worker.Job
	at  time.Duration
}

func newDiary() *diary { return &diary{begun: time.Now()} }

func (d *diary) note(j worker.Job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entry{j, time.Since(d.begun)})
}

// of are the times at which jobs of a class ran.
func (d *diary) of(class string) (all []time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.entries {
		if e.job.Class == class {
			all = append(all, e.at)
		}
	}
	return all
}

// slow returns a pool whose jobs take 10 s each, and what it did.
func slow(o worker.PoolOptions) (*worker.Pool, *diary) {
	d := newDiary()
	return worker.NewPool(func(j worker.Job) {
		d.note(j)
		time.Sleep(10 * time.Second)
	}, o), d
}

// nudge has n jobs of a class run in the lane "in".
func nudge(t *testing.T, p *worker.Pool, class string, n int) {
	for i := range n {
		require.True(t, p.Nudge(worker.Job{Key: fmt.Sprint(class, " ", i), Lane: "in", Class: class}))
	}
}

// startedBy counts the jobs of a class that began within d.
func startedBy(all []time.Duration, d time.Duration) (n int) {
	for _, at := range all {
		if at <= d {
			n++
		}
	}
	return n
}

func TestPoolRunsEachJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := slow(worker.PoolOptions{Workers: 4})
		require.NoError(t, p.Drain(t.Context()), "there is nothing to do")
		nudge(t, p, "a", 10)
		require.Equal(t, map[string]worker.LaneStats{"in": {Queued: 6, Running: 4, Classes: 1}}, p.Stats())
		require.NoError(t, p.Drain(t.Context()))
		require.Len(t, d.of("a"), 10)
		require.Equal(t, 30*time.Second, time.Since(d.begun))
		require.Equal(t, map[string]worker.LaneStats{"in": {}}, p.Stats())
		for i, e := range d.entries {
			require.Equal(t, time.Duration(i/4)*10*time.Second, e.at)
		}
	})
}

// 400 conversations of a channel in which each call hangs: another channel's message is shown at once,
// and many of them get half of the workers before long.
func TestPoolIsFairToClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := slow(worker.PoolOptions{Workers: 32})
		nudge(t, p, "hangs", 400)
		synctest.Wait()
		require.Len(t, d.of("hangs"), 32, "a class that is alone uses all workers")
		time.Sleep(time.Second)
		nudge(t, p, "other", 1)
		synctest.Wait()
		require.Equal(t, []time.Duration{time.Second}, d.of("other"))
		time.Sleep(time.Second)
		nudge(t, p, "third", 1)
		synctest.Wait()
		require.Equal(t, []time.Duration{2 * time.Second}, d.of("third"))

		time.Sleep(23 * time.Second)
		nudge(t, p, "many", 200)
		synctest.Wait()
		require.Equal(t, 7, startedBy(d.of("many"), 25*time.Second))
		time.Sleep(32 * time.Second)
		many := startedBy(d.of("many"), 57*time.Second) - startedBy(d.of("many"), 47*time.Second)
		hangs := startedBy(d.of("hangs"), 57*time.Second) - startedBy(d.of("hangs"), 47*time.Second)
		require.InDelta(t, hangs, many, 2, "each ten seconds both get as many")
		require.GreaterOrEqual(t, many+hangs, 32)
		require.NoError(t, p.Drain(t.Context()))
		require.Len(t, d.of("hangs"), 400)
		require.Len(t, d.of("many"), 200)
	})
}

// A class that nudges without an end does not fill the queue for others.
func TestPoolQueueIsFairToClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := slow(worker.PoolOptions{Workers: 1, Queue: 8})
		nudge(t, p, "greedy", 9) // one runs
		require.True(t, p.Full())
		require.False(t, p.Accepts())
		require.False(t, p.Nudge(worker.Job{Key: "x", Lane: "in", Class: "greedy"}))
		nudge(t, p, "other", 2) // one runs
		require.False(t, p.Nudge(worker.Job{Key: "x", Lane: "in", Class: "greedy"}))
		require.True(t, p.Nudge(worker.Job{Key: "greedy 0", Lane: "in", Class: "greedy"}), "what runs may always run again")
		require.True(t, p.Nudge(worker.Job{Key: "greedy 8", Lane: "in", Class: "greedy"}), "it waits already")
		require.True(t, p.Nudge(worker.Job{Key: "x", Lane: "out", Class: "greedy"}), "each lane has a queue of its own")
		require.NoError(t, p.Drain(t.Context()))
		require.False(t, p.Full())
		require.True(t, p.Accepts())
		require.Len(t, d.of("greedy"), 11)
		require.Len(t, d.of("other"), 2)
	})
}

func TestPoolLanesDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := slow(worker.PoolOptions{Workers: 1})
		nudge(t, p, "a", 5)
		require.True(t, p.Nudge(worker.Job{Key: "a 0", Lane: "out", Class: "back"}), "the same key in the other lane")
		synctest.Wait()
		require.Equal(t, []time.Duration{0}, d.of("back"))
		require.NoError(t, p.Drain(t.Context()))
	})
}

func TestPoolRunsAJobOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := slow(worker.PoolOptions{})
		j := worker.Job{Key: "k", Lane: "in", Class: "first"}
		require.True(t, p.Nudge(j))
		time.Sleep(time.Second)
		for _, class := range []string{"second", "third"} {
			j.Class = class
			require.True(t, p.Nudge(j))
		}
		time.Sleep(8 * time.Second)
		require.Empty(t, d.of("third"), "it runs still")
		require.NoError(t, p.Drain(t.Context()))
		require.Equal(t, []time.Duration{0}, d.of("first"))
		require.Empty(t, d.of("second"))
		require.Equal(t, []time.Duration{10 * time.Second}, d.of("third"), "once more for both, as the newest says")
	})
}

// A reserved place is its job's: nobody else runs that, and Drain waits. What is asked for meanwhile runs after it.
func TestPoolReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := slow(worker.PoolOptions{})
		j := worker.Job{Key: "k", Lane: "in", Class: "a"}
		place := p.Reserve(j)
		require.NotNil(t, place)
		require.True(t, p.Runs("k", "in"))
		require.Nil(t, p.Reserve(j), "it is taken")
		require.True(t, p.Nudge(worker.Job{Key: "k", Lane: "in", Class: "a", Known: "old"}))
		time.AfterFunc(time.Second, func() { place.Run("new") })
		require.NoError(t, p.Drain(t.Context()))
		place.Release() // it was used
		j.Known = "new"
		require.Equal(t, []entry{{j, time.Second}, {worker.Job{Key: "k", Lane: "in", Class: "a"}, 11 * time.Second}}, d.entries)
		require.False(t, p.Runs("k", "in"))
	})
}

// A place that is given back is free, and a job that was asked for meanwhile has it.
func TestPoolRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := slow(worker.PoolOptions{Workers: 1})
		j := worker.Job{Key: "k", Lane: "in", Class: "a"}
		place := p.Reserve(j)
		place.Release()
		place.Release()
		require.NoError(t, p.Drain(t.Context()))
		require.Empty(t, d.entries)
		place = p.Reserve(j)
		require.True(t, p.Nudge(j))
		time.AfterFunc(time.Second, place.Release)
		require.NoError(t, p.Drain(t.Context()))
		require.Equal(t, []entry{{j, time.Second}}, d.entries)
		require.Equal(t, 0, p.Stats()["in"].Classes)
		var none *worker.Place
		none.Release()
	})
}

// Who would have to wait gets no place: for a worker, behind others of any class, or for a closed pool.
func TestPoolReserveNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := slow(worker.PoolOptions{Workers: 1})
		nudge(t, p, "a", 1)
		require.Nil(t, p.Reserve(worker.Job{Key: "k", Lane: "in", Class: "a"}), "its class has all that it may")
		place := p.Reserve(worker.Job{Key: "k", Lane: "in", Class: "b"})
		require.NotNil(t, place)
		place.Release()
		nudge(t, p, "a", 2)
		require.Nil(t, p.Reserve(worker.Job{Key: "k", Lane: "in", Class: "b"}), "others wait")
		require.NoError(t, p.Drain(t.Context()))
		place = p.Reserve(worker.Job{Key: "k", Lane: "in", Class: "b"})
		p.Close()
		require.Nil(t, p.Reserve(worker.Job{Key: "new", Lane: "in", Class: "b"}))
		place.Run(nil) // what was reserved is done
		begun := time.Now()
		require.NoError(t, p.Drain(t.Context()))
		require.Equal(t, 10*time.Second, time.Since(begun))
	})
}

func TestPoolClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := slow(worker.PoolOptions{Workers: 1})
		nudge(t, p, "a", 3)
		require.False(t, p.Closed())
		p.Close()
		p.Close()
		require.True(t, p.Closed())
		require.False(t, p.Accepts())
		require.False(t, p.Nudge(worker.Job{Key: "a 0", Lane: "in", Class: "a"}))
		require.False(t, p.Nudge(worker.Job{Key: "new", Lane: "in", Class: "a"}))

		away := errors.New("no more patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 15*time.Second, away)
		defer cancel()
		err := p.Drain(ctx)
		require.ErrorIs(t, err, away)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 15*time.Second, time.Since(d.begun))
		require.NoError(t, p.Drain(t.Context()), "it may be called again")
		require.Equal(t, 30*time.Second, time.Since(d.begun))
		require.Len(t, d.of("a"), 3, "what waited was done")
	})
}

func TestPoolDrainsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := slow(worker.PoolOptions{})
		nudge(t, p, "a", 3)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { _ = p.Drain(context.Background()) })
		}
		all.Wait()
		require.Equal(t, 10*time.Second, time.Since(d.begun))
		nudge(t, p, "a", 1)
		require.NoError(t, p.Drain(t.Context()))
		require.Equal(t, 20*time.Second, time.Since(d.begun))
	})
}

// A job that panics, or ends its goroutine, costs nobody else a worker, and is not forgotten when it is
// nudged again.
func TestPoolSurvivesItsWork(t *testing.T) {
	for name, row := range map[string]struct {
		fails  func()
		stacks int
	}{
		"panic": {func() { buggy("words of a user") }, 40},
		"exit":  {runtime.Goexit, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ran atomic.Int64
				var mu sync.Mutex
				var keys, stacks []string
				p := worker.NewPool(func(j worker.Job) {
					ran.Add(1)
					if j.Class == "bad" {
						row.fails()
					}
				}, worker.PoolOptions{Workers: 2, Panicked: func(j worker.Job, stack string) {
					mu.Lock()
					defer mu.Unlock()
					keys, stacks = append(keys, j.Key), append(stacks, stack)
					panic("the logger is broken too")
				}})
				for range 2 {
					nudge(t, p, "bad", 20)
					nudge(t, p, "good", 20)
					require.NoError(t, p.Drain(t.Context()))
				}
				require.EqualValues(t, 80, ran.Load())
				require.Len(t, stacks, row.stacks)
				for i := range stacks {
					require.Contains(t, keys[i], "bad")
					require.Contains(t, stacks[i], "buggy")
					require.NotContains(t, stacks[i], "words of a user")
				}
			})
		})
	}
}

// Without anybody to hear of it a panic is kept in all the same.
func TestPoolPanicUnheard(t *testing.T) {
	p := worker.NewPool(func(worker.Job) { buggy("x") }, worker.PoolOptions{})
	require.True(t, p.Nudge(worker.Job{Key: "k"}))
	require.NoError(t, p.Drain(t.Context()))
}

// Everybody nudges at once: no job runs twice at a time, the bounds hold, and after the last nudge of a
// key its job runs once more.
func TestPoolUnderLoad(t *testing.T) {
	const keys, workers = 50, 3
	var seen, asked [keys]atomic.Int64 // what the last run saw, of what was asked for
	var running [keys]atomic.Bool
	var busy atomic.Int64
	var faults atomic.Int64
	p := worker.NewPool(func(j worker.Job) {
		var k int
		_, _ = fmt.Sscan(j.Key, &k)
		if !running[k].CompareAndSwap(false, true) || busy.Add(1) > workers+1 {
			faults.Add(1)
		}
		seen[k].Store(asked[k].Load())
		runtime.Gosched()
		busy.Add(-1)
		running[k].Store(false)
		if k%7 == 0 {
			runtime.Goexit()
		}
	}, worker.PoolOptions{Workers: workers})
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(n)))
			for range 5000 {
				k := r.IntN(keys)
				asked[k].Add(1)
				if !p.Nudge(worker.Job{Key: fmt.Sprint(k), Lane: "in", Class: fmt.Sprint(k % 5)}) {
					faults.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, p.Drain(t.Context()))
	require.Zero(t, faults.Load())
	for k := range keys {
		require.Equal(t, asked[k].Load(), seen[k].Load())
	}
}

// BenchmarkNudge has a nudge while 10,000 jobs wait, and the run of the job.
func BenchmarkNudge(b *testing.B) {
	for _, classes := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(classes, " classes"), func(b *testing.B) {
			gate := make(chan struct{})
			p := worker.NewPool(func(worker.Job) { <-gate }, worker.PoolOptions{Queue: 20_000})
			job := func(i int) worker.Job {
				return worker.Job{Key: fmt.Sprint(i), Lane: "in", Class: fmt.Sprint(i % classes)}
			}
			for i := range 10_040 {
				p.Nudge(job(i))
			}
			jobs := make([]worker.Job, 20_000)
			for i := range jobs {
				jobs[i] = job(i + 20_000)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Nudge(jobs[i%len(jobs)])
				gate <- struct{}{} // one is done, the next runs
			}
			close(gate)
			_ = p.Drain(context.Background())
		})
	}
}

// BenchmarkNudgeAgain has a nudge of a job that waits already.
func BenchmarkNudgeAgain(b *testing.B) {
	gate := make(chan struct{})
	p := worker.NewPool(func(worker.Job) { <-gate }, worker.PoolOptions{})
	jobs := make([]worker.Job, 10_000)
	for i := range jobs {
		jobs[i] = worker.Job{Key: fmt.Sprint(i), Lane: "in"}
		p.Nudge(jobs[i])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Nudge(jobs[i%len(jobs)])
	}
	close(gate)
	_ = p.Drain(context.Background())
}
