package worker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/worker"
)

func TestLatestDoesTheNewestOfThoseThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var latest worker.Latest
		p := worker.NewPool(func(j worker.Job) { latest.Do(j) }, worker.PoolOptions{Workers: 8, Queue: 8})
		done := make(chan string, 10)
		put := func(key, lane, what string) {
			latest.Put(p, worker.Job{Key: key, Lane: lane}, func() { time.Sleep(time.Second); done <- what })
		}
		put("a", "x", "first")
		synctest.Wait() // it runs
		for _, what := range []string{"second", "third", "fourth"} {
			put("a", "x", what)
		}
		put("a", "y", "of another lane")
		put("b", "x", "of another key")
		require.NoError(t, p.Drain(t.Context()))
		close(done)
		var all []string
		for what := range done {
			all = append(all, what)
		}
		require.ElementsMatch(t, []string{"first", "fourth", "of another lane", "of another key"}, all)

		p.Close()
		put("a", "x", "too late")
		latest.Do(worker.Job{Key: "a", Lane: "x"})
		require.NoError(t, p.Drain(context.Background()))
	})
}
