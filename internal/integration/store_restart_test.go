//go:build unix

package integration

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// TestStorePostgresRestart crashes a server of its own and starts it again under a store in use.
func TestStorePostgresRestart(t *testing.T) {
	postgresConfig(t) // skips where there is no PostgreSQL
	server := newPostgresServer(t)
	server.start(t)
	config, err := pgx.ParseConfig("postgres://postgres@/postgres?host=" + server.dir)
	require.NoError(t, err)
	db := openPostgres(t, config)
	store := postgresStore(t, db)
	r := saveRecord(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Data: []byte("data")})

	server.crash(t)
	_, err = store.Load(t.Context(), "key")
	require.Error(t, err)
	_, err = store.Save(t.Context(), r)
	require.Error(t, err)
	require.NotErrorIs(t, err, handover.ErrConflict)

	server.start(t)
	requireRecovers(t, store, r, db.Stats().OpenConnections)
}

// postgresServer is a PostgreSQL server that a test may stop. It listens on a socket in dir only.
type postgresServer struct {
	dir string
	as  *syscall.SysProcAttr // who runs it: PostgreSQL refuses to run as root
}

func newPostgresServer(t *testing.T) *postgresServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "handover-postgres") // t.TempDir is closed to other users
	require.NoError(t, err)
	s := &postgresServer{dir: dir}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	if os.Geteuid() == 0 {
		postgres, err := user.Lookup("postgres")
		require.NoError(t, err, "root needs a user postgres to run a server")
		uid, err := strconv.Atoi(postgres.Uid)
		require.NoError(t, err)
		gid, err := strconv.Atoi(postgres.Gid)
		require.NoError(t, err)
		require.NoError(t, os.Chown(dir, uid, gid))
		s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	s.command(t, "initdb", "--pgdata", s.data(), "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
	t.Cleanup(func() { s.stop(t) })
	return s
}

func (s *postgresServer) data() string { return filepath.Join(s.dir, "data") }

func (s *postgresServer) start(t *testing.T) {
	t.Helper()
	s.command(t, "pg_ctl", "start", "--wait", "--pgdata", s.data(), "--log", filepath.Join(s.dir, "log"),
		"--options", "-k "+s.dir+" -c listen_addresses=''")
}

// crash stops the server without letting it finish anything.
func (s *postgresServer) crash(t *testing.T) {
	t.Helper()
	s.command(t, "pg_ctl", "stop", "--wait", "--pgdata", s.data(), "--mode=immediate")
}

func (s *postgresServer) stop(t *testing.T) {
	if _, err := os.Stat(filepath.Join(s.data(), "postmaster.pid")); err == nil {
		s.crash(t)
	}
}

// command runs a program of PostgreSQL's, from the PATH or from where Debian has it.
func (s *postgresServer) command(t *testing.T, program string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
		require.NotEmpty(t, installed, "%s is not installed", program)
		path = installed[len(installed)-1]
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = s.as
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", program, output)
}
