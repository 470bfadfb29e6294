package redisstore_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/redisstore"
)

func TestStore(t *testing.T) {
	options := sharedOptions(t)
	t.Run("one client", func(t *testing.T) {
		client := newClient(t, options)
		handovertest.TestStore(t, func(t *testing.T) handover.Store { return cleared(t, client, newStore(t, client)) })
	})
	t.Run("RESP2", func(t *testing.T) {
		old := *options
		old.Protocol = 2
		client := newClient(t, &old)
		handovertest.TestStore(t, func(t *testing.T) handover.Store { return cleared(t, client, newStore(t, client)) })
	})
	t.Run("replicas", func(t *testing.T) {
		clients := []*redis.Client{newClient(t, options), newClient(t, options), newClient(t, options)}
		handovertest.TestStore(t, func(t *testing.T) handover.Store {
			stores := &replicas{}
			first := newStore(t, clients[0])
			for _, client := range clients {
				stores.all = append(stores.all, storeNamed(t, client, redisstore.Prefix(first)))
			}
			cleared(t, clients[0], first)
			return stores
		})
	})
}

// replicas are several stores that take turns.
type replicas struct {
	all  []*redisstore.Store
	next atomic.Int64
}

func (s *replicas) one() *redisstore.Store { return s.all[int(s.next.Add(1))%len(s.all)] }

func (s *replicas) Load(ctx context.Context, key string) (handover.Record, error) {
	return s.one().Load(ctx, key)
}

func (s *replicas) Find(ctx context.Context, crispID string) (handover.Record, error) {
	return s.one().Find(ctx, crispID)
}

func (s *replicas) Save(ctx context.Context, r handover.Record) (int64, error) {
	return s.one().Save(ctx, r)
}

func (s *replicas) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	return s.one().Claim(ctx, limit, ttl)
}

func (s *replicas) Delete(ctx context.Context, key string, version int64) error {
	return s.one().Delete(ctx, key, version)
}

func (s *replicas) Watch(ctx context.Context, changed func(key string)) error {
	return s.one().Watch(ctx, changed)
}

func (s *replicas) List(ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
	return s.one().List(ctx, q)
}

// TestStoreCluster runs the suite on Redis Cluster, which refuses scripts whose keys are not all on one
// shard. The cluster has three of them.
func TestStoreCluster(t *testing.T) {
	nodes := newCluster(t, 3)
	addresses := make([]string, len(nodes))
	for i, node := range nodes {
		addresses[i] = node.address()
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, ReadOnly: true, RouteRandomly: true})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	handovertest.TestStore(t, func(t *testing.T) handover.Store { return newStore(t, client) })
	found, err := newStore(t, client).Check(t.Context())
	require.NoError(t, err)
	require.True(t, found.AOF)
	require.Equal(t, "everysec", found.Fsync)
}

// newCluster starts a cluster of so many masters.
func newCluster(t *testing.T, masters int) []*server {
	t.Helper()
	nodes := make([]*server, masters)
	const slots = 16384
	for i := range nodes {
		nodes[i] = newNetworkServer(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
		client := nodes[i].client(t)
		require.NoError(t, client.ClusterAddSlotsRange(t.Context(), slots*i/masters, slots*(i+1)/masters-1).Err())
		require.NoError(t, client.Do(t.Context(), "cluster", "set-config-epoch", i+1).Err())
		if i > 0 {
			require.NoError(t, client.Do(t.Context(), "cluster", "meet", "127.0.0.1", nodes[0].port, nodes[0].bus).Err())
		}
	}
	for _, node := range nodes {
		client := node.client(t)
		require.Eventually(t, func() bool {
			info, err := client.ClusterInfo(t.Context()).Result()
			shards, shardsErr := client.ClusterShards(t.Context()).Result()
			return err == nil && shardsErr == nil && len(shards) == masters && strings.Contains(info, "cluster_state:ok")
		}, 30*time.Second, 10*time.Millisecond)
	}
	return nodes
}

func TestNewRefuses(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	ring := redis.NewRing(&redis.RingOptions{})
	t.Cleanup(func() { require.NoError(t, ring.Close()) })
	for what, f := range map[string]func() (*redisstore.Store, error){
		"client is nil": func() (*redisstore.Store, error) { return redisstore.New(nil, redisstore.Options{}) },
		"client is nil: make": func() (*redisstore.Store, error) {
			return redisstore.New((*redis.Client)(nil), redisstore.Options{})
		},
		"redis.NewClient": func() (*redisstore.Store, error) {
			return redisstore.New((*redis.ClusterClient)(nil), redisstore.Options{})
		},
		"redis.Ring": func() (*redisstore.Store, error) { return redisstore.New(ring, redisstore.Options{}) },
		"Prefix":     func() (*redisstore.Store, error) { return redisstore.New(client, redisstore.Options{Prefix: "a}b"}) },
	} {
		_, err := f()
		require.ErrorContains(t, err, what)
	}
}

// TestSaveRefuses has names that no record may have.
func TestSaveRefuses(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	store, err := redisstore.New(client, redisstore.Options{})
	require.NoError(t, err)
	for _, r := range []handover.Record{{}, {Key: "a\x00b"}, {Key: "key", CrispIDs: []string{""}}, {Key: "key", CrispIDs: []string{"a\x00b"}}} {
		_, err := store.Save(t.Context(), r)
		require.ErrorContains(t, err, "NUL")
	}
}
