package redisstore_test

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/redisstore"
)

// shared is the server that most tests use; each has keys of its own there.
var shared *server

func TestMain(m *testing.M) {
	code := m.Run()
	if shared != nil {
		shared.kill()
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// sharedOptions returns where the server is that HANDOVER_REDIS names, or one that is started once.
func sharedOptions(t testing.TB) *redis.Options {
	t.Helper()
	if address := os.Getenv("HANDOVER_REDIS"); address != "" {
		o, err := redis.ParseURL(address)
		require.NoError(t, err)
		return o
	}
	if shared == nil {
		dir, err := os.MkdirTemp("", "handover-redis")
		require.NoError(t, err)
		shared = &server{dir: dir}
		shared.start(t)
	}
	return shared.options()
}

// server is a redis-server of the tests' own, which they may kill.
type server struct {
	dir    string
	port   int // of TCP; 0 for the socket in dir alone
	bus    int // the port for the other nodes of a cluster; 0 is the one that Redis takes
	args   []string
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

// newServer starts a server that ends with the test.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), args: args}
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

// newNetworkServer is newServer for a server that others connect to.
func newNetworkServer(t testing.TB, args ...string) *server {
	t.Helper()
	return newServerAt(t, freePort, args...)
}

// newServerAt starts a server at ports that free returns. A port that another program takes before the server has it is
// replaced by another one.
func newServerAt(t testing.TB, free func(testing.TB) int, args ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), args: args}
	for range 5 {
		s.port, s.bus = free(t), free(t)
		if s.tryStart(t) {
			t.Cleanup(s.kill)
			return s
		}
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	require.Fail(t, "redis-server does not start", "%s", log)
	return nil
}

func freePort(t testing.TB) int {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer free.Close()
	return free.Addr().(*net.TCPAddr).Port
}

// start starts the server, and waits until it answers. Without redis-server the test is skipped.
func (s *server) start(t testing.TB) {
	t.Helper()
	require.True(t, s.tryStart(t), "redis-server has ended: see the file log in its directory")
}

// tryStart is start, and false for a server that ends before it answers.
func (s *server) tryStart(t testing.TB) bool {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server is installed: not tested on Redis")
	}
	s.cmd = exec.Command(program, append([]string{
		"--port", strconv.Itoa(s.port), "--cluster-port", strconv.Itoa(s.bus), "--bind", "127.0.0.1", "--unixsocket", s.socket(), "--dir", s.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--logfile", filepath.Join(s.dir, "log"),
	}, s.args...)...)
	require.NoError(t, s.cmd.Start())
	cmd, exited := s.cmd, make(chan struct{})
	s.exited = exited
	go func() {
		defer close(exited)
		_ = cmd.Wait()
	}()
	client := redis.NewClient(s.options())
	defer client.Close()
	ended := false
	require.Eventually(t, func() bool {
		select {
		case <-exited:
			ended = true
			return true
		default:
			return client.Ping(context.Background()).Err() == nil
		}
	}, 30*time.Second, 5*time.Millisecond)
	return !ended
}

// kill ends the server at once: it writes nothing more.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

func (s *server) socket() string { return filepath.Join(s.dir, "s") }

func (s *server) address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

func (s *server) options() *redis.Options {
	return &redis.Options{Network: "unix", Addr: s.socket(), MaxRetries: 3}
}

func (s *server) client(t testing.TB) *redis.Client { return newClient(t, s.options()) }

func newClient(t testing.TB, o *redis.Options) *redis.Client {
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// newStore returns a store on this client with keys of its own.
func newStore(t testing.TB, client redis.UniversalClient) *redisstore.Store {
	t.Helper()
	return storeNamed(t, client, "test-"+rand.Text())
}

// storeNamed returns the store with this prefix.
func storeNamed(t testing.TB, client redis.UniversalClient, prefix string) *redisstore.Store {
	t.Helper()
	store, err := redisstore.New(client, redisstore.Options{Prefix: prefix})
	require.NoError(t, err)
	return store
}

// cleared is a store on the shared server, whose keys are deleted after the test.
func cleared(t testing.TB, client redis.UniversalClient, store *redisstore.Store) *redisstore.Store {
	t.Cleanup(func() {
		require.NoError(t, client.Del(context.Background(), redisstore.Keys(store)...).Err())
	})
	return store
}

// saved saves r and returns it with its new version.
func saved(t testing.TB, store handover.Store, r handover.Record) handover.Record {
	t.Helper()
	version, err := store.Save(t.Context(), r)
	require.NoError(t, err)
	r.Version = version
	return r
}

// loaded loads a record, without the time.
func loaded(t testing.TB, store handover.Store, key string) handover.Record {
	t.Helper()
	r, err := store.Load(t.Context(), key)
	require.NoError(t, err)
	r.Now = time.Time{}
	return r
}

// TestTakenPort has another program take the port before the server does.
func TestTakenPort(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	taken, asked := other.Addr().(*net.TCPAddr).Port, 0
	s := newServerAt(t, func(t testing.TB) int {
		if asked++; asked == 1 {
			return taken
		}
		return freePort(t)
	})
	require.NotEqual(t, taken, s.port)
	require.NoError(t, s.client(t).Ping(t.Context()).Err())
}
