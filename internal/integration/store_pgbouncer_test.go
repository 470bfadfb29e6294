//go:build unix

package integration

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/sqlstore"
)

// startPgBouncer runs a PgBouncer in transaction mode before the server that config leads to, and returns how to
// reach that through it.
func startPgBouncer(t *testing.T, config *pgx.ConnConfig) *pgx.ConnConfig {
	t.Helper()
	dir, err := os.MkdirTemp("", "handover-pgbouncer") // t.TempDir is closed to other users
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	const port = 6432 // of a socket in dir
	settings := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(settings, fmt.Appendf(nil, `[databases]
* = host=%s port=%d user=%s
[pgbouncer]
listen_port = %d
unix_socket_dir = %s
auth_type = any
pool_mode = transaction
default_pool_size = 8
`, config.Host, config.Port, config.User, port, dir), 0o644))
	path := serverProgram(t, "pgbouncer")
	cmd := exec.Command(path, "-q", settings)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, "postgres")}
		require.NoError(t, os.Chown(dir, int(cmd.SysProcAttr.Credential.Uid), -1))
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	config = config.Copy()
	config.Host, config.Port = dir, port
	config.TLSConfig, config.Fallbacks = nil, nil // they would go past the pooler, to the server
	require.Eventually(t, func() bool {
		conn, err := pgx.ConnectConfig(t.Context(), config)
		return err == nil && conn.Close(t.Context()) == nil
	}, 30*time.Second, 20*time.Millisecond)
	return config
}

// credential returns those of another user.
func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	other, err := user.Lookup(name)
	require.NoError(t, err, "root needs a user %s", name)
	uid, err := strconv.Atoi(other.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(other.Gid)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// bouncedStore has tables with a prefix of their own, since a pooler takes no run-time parameter such as search_path. direct
// leads to the same server.
func bouncedStore(t *testing.T, db, direct *sql.DB, o sqlstore.Options) *sqlstore.Store {
	t.Helper()
	o.Prefix = "b_" + strings.ToLower(rand.Text()) + "_"
	store, err := sqlstore.New(db, sqlstore.PostgreSQL, o)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, drop := range []string{"TABLE P_schema, P_record, P_due, P_crisp_id", "FUNCTION P_name_record"} {
			_, err := direct.ExecContext(ctx, "DROP "+strings.ReplaceAll(drop, "P_", o.Prefix))
			require.NoError(t, err)
		}
	})
	return store
}

// TestStorePgBouncer has a pooler in transaction mode between the store and PostgreSQL, in the modes of pgx that leave no
// prepared statements behind. Listening through it is noticed.
func TestStorePgBouncer(t *testing.T) {
	config := postgresConfig(t)
	direct := openPostgres(t, config)
	bounced := startPgBouncer(t, config)
	inMode := func(t *testing.T, mode pgx.QueryExecMode) *sql.DB {
		config := bounced.Copy()
		config.DefaultQueryExecMode = mode
		return openPostgres(t, config)
	}

	deaf := bouncedStore(t, inMode(t, pgx.QueryExecModeExec), direct, sqlstore.Options{Listen: listen(bounced)})
	watched := make(chan error, 1)
	go func() {
		watched <- deaf.Watch(t.Context(), func(string) { t.Error("something is told") })
	}()

	t.Run("the suite", func(t *testing.T) {
		db := inMode(t, pgx.QueryExecModeExec)
		handovertest.TestStore(t, func(t *testing.T) handover.Store { return bouncedStore(t, db, direct, sqlstore.Options{}) })
	})
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheDescribe} {
		t.Run(mode.String(), func(t *testing.T) {
			store := bouncedStore(t, inMode(t, mode), direct, sqlstore.Options{})
			saveAtOnce(t, store, 32, 5)
			claimed, err := store.Claim(t.Context(), 10, time.Minute)
			require.NoError(t, err)
			require.Empty(t, claimed)
		})
	}
	require.ErrorContains(t, <-watched, "pooler")
}
