package keys_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/keys"
)

func TestQueueGivesKeysInTheOrderOfTheirTimes(t *testing.T) {
	var q keys.Queue
	require.Empty(t, q.Take(9, 1))
	later, x := &keys.Item{Key: "later"}, &keys.Item{Key: "x"}
	q.Put(later, 9)
	for key, at := range map[string]int64{"c": 3, "b": 1, "a": 3} {
		q.Put(&keys.Item{Key: key}, at)
	}
	require.Equal(t, []string{"b", "a"}, taken(&q, 5, 2))
	require.Equal(t, []string{"c"}, taken(&q, 5, 2))
	require.Empty(t, q.Take(8, 2))
	require.Empty(t, q.Take(9, 0))
	q.Put(later, 1)
	require.Equal(t, []string{"later"}, taken(&q, 1, 2), "it was moved")
	q.Put(x, 1)
	q.Remove(x)
	q.Remove(x)
	require.Empty(t, q.Take(9, 2))
}

// taken returns the keys of what the queue gives.
func taken(q *keys.Queue, now int64, limit int) (of []string) {
	for _, i := range q.Take(now, limit) {
		of = append(of, i.Key)
	}
	return of
}

// TestQueueAgainstAModel compares the queue with the simplest one.
func TestQueueAgainstAModel(t *testing.T) {
	var q keys.Queue
	model, items := map[string]int64{}, map[string]*keys.Item{}
	rnd := rand.New(rand.NewPCG(1, 2))
	for now := range int64(3000) {
		key := strconv.Itoa(rnd.IntN(50))
		if items[key] == nil {
			items[key] = &keys.Item{Key: key}
		}
		switch rnd.IntN(4) {
		case 0, 1:
			model[key] = now + rnd.Int64N(40)
			q.Put(items[key], model[key])
		case 2:
			delete(model, key)
			q.Remove(items[key])
		case 3:
			var due []string
			for k, at := range model {
				if at <= now {
					due = append(due, k)
				}
			}
			slices.SortFunc(due, func(a, b string) int {
				if model[a] != model[b] {
					return int(model[a] - model[b])
				}
				return slices.Compare([]byte(a), []byte(b))
			})
			due = due[:min(len(due), 3)]
			require.Equal(t, due, taken(&q, now, 3))
			for _, k := range due {
				delete(model, k)
			}
		}
	}
}

func TestFeedTellsThoseWhoListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f keys.Feed
		f.Tell("before")
		ctx, cancel := context.WithCancel(t.Context())
		var heard [2][]string
		busy := make(chan struct{})
		for i := range heard {
			go func() {
				err := f.Listen(ctx, func(key string) {
					heard[i] = append(heard[i], key)
					if i == 1 && key == "" {
						<-busy
					}
				})
				require.ErrorIs(t, err, context.Canceled)
			}()
		}
		synctest.Wait()
		for range 3 {
			f.Tell("a")
			synctest.Wait()
		}
		f.Tell("b")
		close(busy)
		synctest.Wait()
		cancel()
		synctest.Wait()
		f.Tell("after")
		require.Equal(t, []string{"", "a", "a", "a", "b"}, heard[0])
		require.Equal(t, []string{"", "a", "b"}, heard[1], "who is busy hears of each once")
		require.ErrorIs(t, f.Listen(ctx, nil), context.Canceled)
	})
}

func TestCounter(t *testing.T) {
	var c keys.Counter
	require.False(t, c.Any("a"))
	one, two := c.Begin("a"), c.Begin("a")
	one()
	one()
	require.True(t, c.Any("a"), "an end counts once")
	require.False(t, c.Any("b"))
	two()
	require.False(t, c.Any("a"))
}
