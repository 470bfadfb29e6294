package sqlstore

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersions(t *testing.T) {
	var v versions
	reserved := int64(1)
	reserve := func() (int64, error) {
		first := reserved
		reserved += versionsAtOnce
		return first, nil
	}
	for want := int64(1); want <= 3*versionsAtOnce; want++ {
		got, err := v.give(reserve)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.EqualValues(t, 3*versionsAtOnce+1, reserved)

	lost := errors.New("connection reset by peer")
	_, err := v.give(func() (int64, error) { return 0, lost })
	require.ErrorIs(t, err, lost)
	got, err := v.give(reserve)
	require.NoError(t, err)
	require.EqualValues(t, 3*versionsAtOnce+1, got)
}

// TestVersionsAtOnce lets two processes with many callers each take from one row.
func TestVersionsAtOnce(t *testing.T) {
	const callers, each = 8, 1500
	var row sync.Mutex
	reserved := int64(1)
	reserve := func() (int64, error) {
		row.Lock()
		defer row.Unlock()
		first := reserved
		reserved += versionsAtOnce
		return first, nil
	}
	var processes [2]versions
	given := make([][]int64, len(processes)*callers)
	var all sync.WaitGroup
	for i := range given {
		all.Go(func() {
			for range each {
				version, _ := processes[i%len(processes)].give(reserve)
				given[i] = append(given[i], version)
			}
		})
	}
	all.Wait()
	owner := map[int64]bool{}
	for _, versions := range given {
		for _, version := range versions {
			require.Positive(t, version)
			require.False(t, owner[version], "version %d is given twice", version)
			owner[version] = true
		}
	}
	require.Len(t, owner, len(given)*each)
}
