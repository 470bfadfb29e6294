package redisstore_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/redisstore"
)

// requireWorks requires that each call of the store does what it should.
func requireWorks(t *testing.T, store *redisstore.Store) {
	t.Helper()
	r := saved(t, store, handover.Record{Key: "works", CrispIDs: []string{"of works"}, Due: time.Unix(1, 0).UTC(), Data: []byte("data"), Wake: true})
	r.Wake = false
	require.Equal(t, r, loaded(t, store, r.Key))
	found, err := store.Find(t.Context(), "of works")
	require.NoError(t, err)
	require.Equal(t, r.Version, found.Version)
	claimed, err := store.Claim(t.Context(), 100, time.Hour)
	require.NoError(t, err)
	require.NotEmpty(t, claimed)
	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, store.Watch(ctx, func(string) { cancel() }), context.Canceled)
	require.NoError(t, store.Delete(t.Context(), r.Key, r.Version))
}

// TestScriptsForgotten has the server forget the scripts, as it does at each restart.
func TestScriptsForgotten(t *testing.T) {
	server := newServer(t)
	store := newStore(t, server.client(t))
	for range 2 {
		require.NoError(t, server.client(t).ScriptFlush(t.Context()).Err())
		requireWorks(t, store)
	}
}

// TestConnectionsCut kills all connections again and again while two writers count: nothing is lost, nothing is done
// twice, and no Save finds its own change in its way.
func TestConnectionsCut(t *testing.T) {
	server := newServer(t)
	store, admin := newStore(t, server.client(t)), server.client(t)
	const writers, each = 2, 200
	var all, cuts sync.WaitGroup
	var killed atomic.Int64
	cut := func() {
		cuts.Go(func() {
			n, _ := admin.Do(context.Background(), "client", "kill", "type", "normal", "skipme", "yes").Int64()
			killed.Add(n)
		})
	}
	for w := range writers {
		all.Go(func() { countTo(t, store, strconv.Itoa(w), each, cut) })
	}
	all.Wait()
	cuts.Wait()
	require.Positive(t, killed.Load())
	for w := range writers {
		require.Equal(t, strconv.Itoa(each), string(loaded(t, store, strconv.Itoa(w)).Data))
	}
}

// countTo counts in a record of which it is the only writer. So there is never a conflict but with what
// it saved itself without hearing of it, of which Load tells. Now and then it calls cut.
func countTo(t *testing.T, store handover.Store, key string, last int, cut func()) {
	r := handover.Record{Key: key}
	for n := 1; n <= last; n++ {
		if n%10 == 0 {
			cut()
		}
		r.Data = []byte(strconv.Itoa(n))
		for unsure := false; ; {
			version, err := store.Save(t.Context(), r)
			if err == nil {
				r.Version = version
				break
			}
			if errors.Is(err, handover.ErrConflict) && !unsure {
				t.Errorf("%d: a Save that nobody overtook conflicts", n)
				return
			}
			stored, err := store.Load(t.Context(), key)
			if unsure = err != nil; !unsure && string(stored.Data) == strconv.Itoa(n) {
				r.Version = stored.Version
				break
			}
		}
	}
}

// TestLostAnswer cuts the connection after the server has done the work and before its answer comes. The error is
// neither nil nor ErrConflict, though the client is told to repeat: nothing was sent twice.
func TestLostAnswer(t *testing.T) {
	server := newServer(t)
	store := newStore(t, server.client(t))
	r := saved(t, store, handover.Record{Key: "key", Due: time.Unix(1, 0).UTC(), Data: []byte("old")})
	line := newLine(t, server.socket())
	o := &redis.Options{Addr: line.address(), MaxRetries: 5}
	cut := storeNamed(t, newClient(t, o), redisstore.Prefix(store))
	requireWorks(t, cut) // the server knows all scripts now
	var err error

	line.loseAnswer()
	r.Data = []byte("new")
	_, err = cut.Save(t.Context(), r)
	require.Error(t, err)
	require.NotErrorIs(t, err, handover.ErrConflict)
	r.Version = loaded(t, store, "key").Version
	require.Equal(t, r, loaded(t, cut, "key"))

	line.loseAnswer()
	require.Error(t, cut.Delete(t.Context(), "key", r.Version))
	require.Empty(t, loaded(t, cut, "key"))
}

// TestContextEnds has a server that does not answer: each call returns when its context ends, whatever the
// client's time-outs are.
func TestContextEnds(t *testing.T) {
	server := newServer(t)
	client := newClient(t, &redis.Options{Network: "unix", Addr: server.socket(), ReadTimeout: -1})
	store := newStore(t, client)
	requireWorks(t, store)
	require.NoError(t, server.client(t).ClientPause(t.Context(), time.Minute).Err())
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 5)
	go func() { _, err := store.Load(ctx, "key"); errs <- err }()
	go func() { _, err := store.Find(ctx, "key"); errs <- err }()
	go func() { _, err := store.Save(ctx, handover.Record{Key: "key"}); errs <- err }()
	go func() { _, err := store.Claim(ctx, 1, time.Hour); errs <- err }()
	go func() { errs <- store.Delete(ctx, "key", 1) }()
	cancel()
	for range cap(errs) {
		require.ErrorIs(t, <-errs, context.Canceled)
	}
	server.kill() // else the calls that were left alone wait for the minute
}

// TestFullMemory has saves fail as long as the server's memory is full, with nothing half done; what frees memory works.
func TestFullMemory(t *testing.T) {
	server := newServer(t)
	store, admin := newStore(t, server.client(t)), server.client(t)
	r := saved(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Data: []byte("data")})
	require.NoError(t, admin.ConfigSet(t.Context(), "maxmemory", "1").Err())
	_, err := store.Save(t.Context(), handover.Record{Key: "key", Version: r.Version, CrispIDs: []string{"b"}})
	require.ErrorContains(t, err, "OOM")
	require.Equal(t, r, loaded(t, store, "key"))
	found, err := store.Find(t.Context(), "b")
	require.NoError(t, err)
	require.Empty(t, found.Key)
	require.NoError(t, store.Delete(t.Context(), "key", r.Version))
	require.NoError(t, admin.ConfigSet(t.Context(), "maxmemory", "0").Err())
	requireWorks(t, store)
}

// TestWatchLost ends the connection that watches: Watch ends with an error, and works when it is called again.
func TestWatchLost(t *testing.T) {
	server := newServer(t)
	store, other := newStore(t, server.client(t)), server.client(t)
	r := handover.Record{Key: "key"}
	for range 2 {
		keys, ended := make(chan string, 100), make(chan error, 1)
		go func() { ended <- store.Watch(t.Context(), func(key string) { keys <- key }) }()
		require.Empty(t, heard(t, keys, ended))
		r.Wake = true
		r = saved(t, store, r)
		require.Equal(t, "key", heard(t, keys, ended))
		require.NoError(t, other.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
		require.Error(t, <-ended)
	}
}

// TestWatchSilent has a connection break without a word: Watch asks, and ends.
func TestWatchSilent(t *testing.T) {
	server := newServer(t)
	line := newLine(t, server.socket())
	store := newStore(t, newClient(t, &redis.Options{Addr: line.address()}))
	redisstore.SetSilence(store, 2*time.Second) // long enough to begin on a busy machine
	keys, ended := make(chan string, 100), make(chan error, 1)
	go func() { ended <- store.Watch(t.Context(), func(key string) { keys <- key }) }()
	require.Empty(t, heard(t, keys, ended))
	line.swallow()
	require.ErrorContains(t, <-ended, "silent")
}

// heard returns the next key of a Watch, which must not end before.
func heard(t *testing.T, keys <-chan string, ended <-chan error) string {
	t.Helper()
	select {
	case key := <-keys:
		return key
	case err := <-ended:
		require.Fail(t, "Watch ended", "%v", err)
		return ""
	}
}
