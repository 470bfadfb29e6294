package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/redisstore"
)

// TestCheck sets a server up in each way that Check tells of.
func TestCheck(t *testing.T) {
	server := newServer(t, "--appendonly", "no")
	client := server.client(t)
	store := newStore(t, client)
	set := func(settings ...string) {
		for i := 0; i < len(settings); i += 2 {
			require.NoError(t, client.ConfigSet(t.Context(), settings[i], settings[i+1]).Err())
		}
	}
	found, err := store.Check(t.Context())
	require.ErrorIs(t, err, redisstore.ErrNotDurable)
	require.Contains(t, found.Loses(), "everything")
	require.NotEmpty(t, found.Version)

	set("save", "60 1")
	found, err = store.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, "60 1", found.Snapshots)
	require.Contains(t, found.Loses(), "last snapshot")

	client = newServer(t).client(t) // turning appendonly on would leave a process that writes
	store = newStore(t, client)
	for fsync, loses := range map[string]string{"always": "nothing is lost", "everysec": "two seconds", "no": "half minute"} {
		set("appendfsync", fsync)
		found, err = store.Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, fsync, found.Fsync)
		require.Contains(t, found.Loses(), loses)
	}

	for policy, fault := range map[string]string{"noeviction": "", "volatile-lru": "", "allkeys-lru": "allkeys-lru"} {
		set("maxmemory-policy", policy)
		_, err = store.Check(t.Context())
		if fault == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, fault)
		}
	}
	require.NoError(t, client.Do(t.Context(), "replicaof", "127.0.0.1", "1").Err())
	_, err = store.Check(t.Context())
	require.ErrorContains(t, err, "replica")
}

// TestCheckWithoutConfig has a server that keeps its settings to itself, as those of clouds do.
func TestCheckWithoutConfig(t *testing.T) {
	server := newServer(t)
	require.NoError(t, server.client(t).ACLSetUser(t.Context(), "bot", "on", ">secret", "~*", "&*", "+@all", "-config").Err())
	o := server.options()
	o.Username, o.Password = "bot", "secret"
	found, err := newStore(t, newClient(t, o)).Check(t.Context())
	require.NoError(t, err)
	require.True(t, found.AOF)
	require.Contains(t, found.Loses(), "does not tell")
}

// TestAccessList runs a store as a user of Redis that may do no more than the documentation says.
func TestAccessList(t *testing.T) {
	server := newServer(t)
	require.NoError(t, server.client(t).ACLSetUser(t.Context(), "bot", "on", ">secret", "~{handover}:*", "&{handover}:*",
		"-@all", "+@connection", "+eval", "+evalsha", "+time", "+hget", "+hset", "+hdel", "+zadd", "+zrem", "+zrange", "+spublish", "+ssubscribe", "+sunsubscribe").Err())
	o := server.options()
	o.Username, o.Password = "bot", "secret"
	requireWorks(t, storeNamed(t, newClient(t, o), "handover"))
	require.ErrorContains(t, func() error {
		_, err := newStore(t, newClient(t, o)).Load(t.Context(), "key")
		return err
	}(), "NOPERM")
}

// TestCheckWithoutServer returns the client's error.
func TestCheckWithoutServer(t *testing.T) {
	_, err := newStore(t, newClient(t, &redis.Options{Network: "unix", Addr: "/nonexistent", MaxRetries: -1, DialerRetries: 1})).Check(t.Context())
	require.Error(t, err)
}
