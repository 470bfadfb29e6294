package redisstore_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/redisstore"
)

// TestRestart kills a server with appendfsync always in the middle of its work and starts it again: whatever Save
// returned nil for is there, with all its parts.
func TestRestart(t *testing.T) {
	server := newServer(t, "--appendfsync", "always")
	store := newStore(t, server.client(t))
	const writers = 4
	last := make([]handover.Record, writers) // that Save returned nil for
	tried := make([]int, writers)
	var all sync.WaitGroup
	started := make(chan struct{}, writers)
	for w := range writers {
		all.Go(func() {
			for n := 1; ; n++ {
				r := last[w]
				r.Key, r.Due, r.Data = strconv.Itoa(w), time.UnixMicro(int64(n)).UTC(), []byte(strconv.Itoa(n))
				r.CrispIDs = []string{fmt.Sprint("id ", w, " ", n)}
				tried[w] = n
				version, err := store.Save(t.Context(), r)
				if err != nil {
					return
				}
				r.Version = version
				if last[w] = r; n == 50 {
					started <- struct{}{}
				}
			}
		})
	}
	for range writers {
		<-started
	}
	server.kill()
	all.Wait()
	server.start(t)
	for w := range writers {
		r := loaded(t, store, strconv.Itoa(w))
		if r.Version != last[w].Version { // the Save that was under way was done, all of it
			require.Equal(t, strconv.Itoa(tried[w]), string(r.Data))
			require.Equal(t, last[w].Due.Add(time.Microsecond), r.Due)
		} else {
			require.Equal(t, last[w], r)
		}
		found, err := store.Find(t.Context(), fmt.Sprint("id ", w, " ", string(r.Data)))
		require.NoError(t, err)
		require.Equal(t, r.Version, found.Version)
		claimed, err := store.Claim(t.Context(), writers, time.Hour)
		require.NoError(t, err)
		require.Len(t, claimed, map[bool]int{true: writers, false: 0}[w == 0])
	}
}

// TestFailover shows what a failover loses, as the package's documentation says: the replica takes over while
// the old master still accepts changes. What it lost is gone, also for who knows its version.
func TestFailover(t *testing.T) {
	master := newNetworkServer(t, "--repl-diskless-sync-delay", "0")
	replica := newNetworkServer(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(master.port))
	old, next := newStore(t, master.client(t)), replica.client(t)
	r := saved(t, old, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: time.Unix(1, 0).UTC(), Data: []byte("kept")})
	require.Eventually(t, func() bool {
		in, err := master.client(t).Wait(t.Context(), 1, time.Second).Result()
		return err == nil && in == 1
	}, 30*time.Second, 10*time.Millisecond)
	_, err := storeNamed(t, next, redisstore.Prefix(old)).Save(t.Context(), r)
	require.ErrorContains(t, err, "READONLY")

	require.NoError(t, next.ReplicaOf(t.Context(), "no", "one").Err())
	lost := r
	lost.Data = []byte("lost")
	lost = saved(t, old, lost)
	master.kill()

	store := storeNamed(t, newClient(t, &redis.Options{Network: "unix", Addr: replica.socket()}), redisstore.Prefix(old))
	require.Equal(t, r, loaded(t, store, "key"))
	_, err = store.Save(t.Context(), lost)
	require.ErrorIs(t, err, handover.ErrConflict)
	again := saved(t, store, r)
	require.NotEqual(t, lost.Version, again.Version)
	require.ErrorIs(t, store.Delete(t.Context(), "key", lost.Version), handover.ErrConflict)
	claimed, err := store.Claim(t.Context(), 10, time.Hour)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	requireWorks(t, store)
}
