// Package worker runs work that is kept somewhere else, such as in a database, and calls code that
// may hang or panic. It knows nothing of what the work is.
//
//   - [Pool] runs jobs on a bounded number of goroutines, shared fairly between the sources that jobs
//     come from. A job never runs twice at a time.
//   - [Call] runs a callback within a [Bulkhead]: what hangs is abandoned, what panics is an error.
//   - [Waiters] wait until a value that others change is as they want it.
//   - [Pushback] gives growing pauses to keys that fail.
//   - [Guard] keeps a panic in, [Backoff] and [Jitter] say how long to wait before the next attempt,
//     [Ended] why a context has ended.
//
// A program puts them together like this:
//
//	var pauses worker.Pushback
//	pool := worker.NewPool(func(j worker.Job) {
//		if pauses.Left(j.Key) > 0 {
//			return // the record stays due, and is found again
//		}
//		_, err := worker.Call(ctx, bulkhead, j.Class, 10*time.Second, deliver)
//		…
//		pauses.Succeeded(j.Key)
//	}, worker.PoolOptions{
//		Workers:  32,
//		Queue:    10_000,
//		Panicked: func(j worker.Job, stack string) { pauses.Failed(j.Key); log(j.Key, stack) },
//	})
//	for _, key := range due {
//		pool.Nudge(worker.Job{Key: key, Lane: "in", Class: channelOf(key)})
//	}
//
// Everything here lives in one process and is lost with it. What must be done after a crash belongs
// in a store, with a time at which it is due.
//
// All types may be used by several goroutines at once. Stacks that are reported name functions and
// lines; they never hold what a panic was raised with, which may quote people.
package worker
