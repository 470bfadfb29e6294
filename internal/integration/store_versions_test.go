package integration

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// TestStoreVersionsAfterAFailover has two databases with the same past, such as a standby that took over without the last transactions,
// and the primary that had them. What is saved in one never gets a version of the other: a replica of the bot that has a record
// of the lost transactions would overwrite what was stored since.
func TestStoreVersionsAfterAFailover(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) handover.Store{
		"PostgreSQL": func(t *testing.T) handover.Store {
			return postgresStore(t, openPostgres(t, postgresSchema(t, postgresConfig(t), nil)))
		},
		"MySQL": func(t *testing.T) handover.Store {
			return mysqlStore(t, openMySQL(t, mysqlDatabase(t, mysqlConfig(t))))
		},
		"SQLite": func(t *testing.T) handover.Store {
			return sqliteStore(t, openSQLite(t, filepath.Join(t.TempDir(), "handover.db"), sqliteWAL))
		},
	} {
		t.Run(name, func(t *testing.T) {
			primary, standby := open(t), open(t)
			given := versionsGiven(t, primary)
			for version := range versionsGiven(t, standby) {
				require.False(t, given[version], "version %d", version)
			}
		})
	}
}

// versionsGiven saves some records three times, at the same time, and returns their versions.
func versionsGiven(t *testing.T, store handover.Store) map[int64]bool {
	given := make(map[int64]bool)
	var mu sync.Mutex
	var saves sync.WaitGroup
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		saves.Go(func() {
			version := int64(0)
			for range 3 {
				var err error
				version, err = store.Save(t.Context(), handover.Record{Key: key, Version: version})
				if err != nil {
					t.Errorf("Save: %v", err)
					return
				}
				mu.Lock()
				given[version] = true
				mu.Unlock()
			}
		})
	}
	saves.Wait()
	require.Len(t, given, 24)
	return given
}
