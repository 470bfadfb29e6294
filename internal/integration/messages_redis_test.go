package integration

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/redisstore"
)

// redisClient starts a redis-server for this benchmark alone, and returns a client of it.
func redisClient(b *testing.B, fsync string) *redis.Client {
	b.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		b.Skip("no redis-server is installed: not measured on Redis")
	}
	dir := b.TempDir()
	cmd := exec.Command(program, "--port", "0", "--unixsocket", filepath.Join(dir, "s"), "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", fsync, "--auto-aof-rewrite-percentage", "0")
	require.NoError(b, cmd.Start())
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: filepath.Join(dir, "s"), PoolSize: 64})
	b.Cleanup(func() {
		_ = client.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(b, func() bool { return client.Ping(context.Background()).Err() == nil }, 30*time.Second, 5*time.Millisecond)
	return client
}

func redisStore(b *testing.B, client *redis.Client) handover.Store {
	b.Helper()
	store, err := redisstore.New(client, redisstore.Options{})
	require.NoError(b, err)
	return store
}

// BenchmarkRedisMessages is BenchmarkPostgresMessages on Redis: commands are those that clients sent, and AOF is
// what the server wrote to its log.
func BenchmarkRedisMessages(b *testing.B) {
	for _, fsync := range []string{"always", "everysec"} {
		for _, conversations := range []int{1, 64} {
			b.Run(fmt.Sprintf("appendfsync=%s/conversations=%d", fsync, conversations), func(b *testing.B) {
				client := redisClient(b, fsync)
				talk := newTalk(b, conversations, redisStore(b, client))
				talk(0, 5)
				commands, aof, cpu := redisScripts(b, client), redisInfo(b, client, "aof_current_size:"), processTime(b)
				b.ResetTimer()
				begun := time.Now()
				talk(5, b.N)
				b.StopTimer()
				took := time.Since(begun)
				messages := float64(b.N * conversations)
				b.ReportMetric(messages/took.Seconds(), "messages/s")
				b.ReportMetric((processTime(b)-cpu).Seconds()*1000/messages, "CPU-ms/message")
				b.ReportMetric(float64(redisInfo(b, client, "aof_current_size:")-aof)/messages, "AOF-B/message")
				b.ReportMetric(float64(redisScripts(b, client)-commands)/messages, "commands/message")
			})
		}
	}
}

// BenchmarkStoreRedis is BenchmarkStorePostgres on Redis.
func BenchmarkStoreRedis(b *testing.B) {
	for _, fsync := range []string{"always", "everysec"} {
		b.Run("appendfsync="+fsync, func(b *testing.B) {
			benchmarkStore(b, func(b *testing.B) handover.Store { return redisStore(b, redisClient(b, fsync)) }, nil)
		})
	}
}

// redisInfo returns a number of the server's statistics.
func redisInfo(b *testing.B, client *redis.Client, name string) int64 {
	text, err := client.Info(b.Context(), "everything").Result()
	require.NoError(b, err)
	_, rest, found := strings.Cut(text, name)
	require.True(b, found, name)
	end := strings.IndexAny(rest, "\r,")
	n, err := strconv.ParseInt(rest[:end], 10, 64)
	require.NoError(b, err)
	return n
}

// redisScripts returns how many scripts were called, which are the calls of the store.
func redisScripts(b *testing.B, client *redis.Client) int64 {
	return redisInfo(b, client, "cmdstat_evalsha:calls=")
}
