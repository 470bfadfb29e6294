//go:build unix

package integration

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// TestStoreMySQLRestart crashes a MariaDB of its own and starts it again under a store in use.
func TestStoreMySQLRestart(t *testing.T) {
	mysqlConfig(t) // skips where there is no MySQL
	server := newMySQLServer(t)
	server.start(t)
	db := openMySQL(t, server.config)
	store := mysqlStore(t, db)
	r := saveRecord(t, store, handover.Record{Key: "key", CrispIDs: []string{"a"}, Due: time.Unix(1, 0).UTC(), Data: []byte("data")})
	claimed, err := store.Claim(t.Context(), 1, time.Hour)
	require.NoError(t, err)
	require.Len(t, claimed, 1)

	server.crash(t)
	_, err = store.Load(t.Context(), "key")
	require.Error(t, err)
	_, err = store.Save(t.Context(), r)
	require.Error(t, err)
	require.NotErrorIs(t, err, handover.ErrConflict)

	server.start(t)
	claimed, err = mysqlStore(t, openMySQL(t, server.config)).Claim(t.Context(), 1, time.Hour)
	require.NoError(t, err)
	require.Empty(t, claimed, "it is still hidden")
	requireRecovers(t, store, r, db.Stats().OpenConnections)
}

// serverProgram returns where a program is that is perhaps for administrators only. Without it the test is skipped.
func serverProgram(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} { // where Debian has it
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// mysqlServer is a MariaDB server that a test may stop. It listens on a socket in dir only.
type mysqlServer struct {
	dir     string
	config  *mysql.Config
	options []string
	process *exec.Cmd // nil while it is down
}

func newMySQLServer(t *testing.T) *mysqlServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "handover-mysql") // t.TempDir is closed to other users
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.DBName = "unix", filepath.Join(dir, "socket"), "root", "handover"
	config.Logger = &mysql.NopLogger{}
	s := &mysqlServer{dir: dir, config: config, options: []string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data")}}
	if os.Geteuid() == 0 {
		_, err := user.Lookup("mysql")
		require.NoError(t, err, "root needs a user mysql to run a server")
		s.options = append(s.options, "--user=mysql")
		output, err := exec.Command("chown", "mysql", dir).CombinedOutput()
		require.NoError(t, err, string(output))
	}
	install := exec.Command(serverProgram(t, "mariadb-install-db"), append(s.options, "--auth-root-authentication-method=normal", "--skip-test-db")...)
	output, err := install.CombinedOutput()
	require.NoError(t, err, string(output))
	t.Cleanup(func() {
		if s.process != nil {
			s.crash(t)
		}
	})
	return s
}

func (s *mysqlServer) start(t *testing.T) {
	t.Helper()
	s.process = exec.Command(serverProgram(t, "mariadbd"), append(s.options, "--socket="+s.config.Addr, "--skip-networking")...)
	require.NoError(t, s.process.Start())
	all := s.config.Clone()
	all.DBName = ""
	db := openMySQL(t, all)
	require.Eventually(t, func() bool {
		_, err := db.ExecContext(t.Context(), "CREATE DATABASE IF NOT EXISTS handover")
		return err == nil
	}, time.Minute, 20*time.Millisecond)
}

// crash stops the server without letting it finish anything.
func (s *mysqlServer) crash(t *testing.T) {
	t.Helper()
	require.NoError(t, s.process.Process.Kill())
	require.Error(t, s.process.Wait())
	s.process = nil
}
