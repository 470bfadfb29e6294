package handovertest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

func TestBrittleStoreIsAStore(t *testing.T) {
	handovertest.TestStore(t, func(*testing.T) handover.Store { return handovertest.NewBrittleStore(nil) })
}

func TestBrittleStoreBreaks(t *testing.T) {
	s := handovertest.NewBrittleStore(nil)
	version, err := s.Save(t.Context(), handover.Record{Key: "a", CrispIDs: []string{"w/s"}})
	require.NoError(t, err)
	s.Break()
	require.True(t, s.Broken())
	for name, access := range map[string]func() error{
		"load":   func() error { _, err := s.Load(t.Context(), "a"); return err },
		"find":   func() error { _, err := s.Find(t.Context(), "w/s"); return err },
		"save":   func() error { _, err := s.Save(t.Context(), handover.Record{Key: "b"}); return err },
		"claim":  func() error { _, err := s.Claim(t.Context(), 1, time.Minute); return err },
		"delete": func() error { return s.Delete(t.Context(), "a", version) },
		"list":   func() error { _, err := s.List(t.Context(), handover.ListQuery{Limit: 1}); return err },
	} {
		require.ErrorIs(t, access(), handovertest.ErrStoreDown, name)
	}
	s.Mend()
	r, err := s.Load(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, version, r.Version)
	r, err = s.Load(t.Context(), "b")
	require.NoError(t, err)
	require.Zero(t, r)
}

func TestBrittleStoreBreaksAtASave(t *testing.T) {
	for name, row := range map[string]struct {
		breaks func(s *handovertest.BrittleStore)
		stored bool
	}{
		"before": {func(s *handovertest.BrittleStore) { s.BreakBeforeSave(2) }, false},
		"after":  {func(s *handovertest.BrittleStore) { s.BreakAfterSave(2) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			below := new(handover.MemoryStore)
			s := handovertest.NewBrittleStore(below)
			save := func(key string) error {
				_, err := s.Save(t.Context(), handover.Record{Key: key})
				return err
			}
			require.NoError(t, save("before"))
			row.breaks(s)
			require.NoError(t, save("one"))
			require.NoError(t, save("website/site"), "what is kept of a website does not count")
			require.False(t, s.Broken())
			require.ErrorIs(t, save("two"), handovertest.ErrStoreDown)
			require.True(t, s.Broken())
			require.ErrorIs(t, save("three"), handovertest.ErrStoreDown)
			require.Equal(t, 4, s.Saves())
			for key, stored := range map[string]bool{"one": true, "two": row.stored, "three": false} {
				r, err := below.Load(t.Context(), key)
				require.NoError(t, err)
				require.Equal(t, stored, r.Version != 0, key)
			}
			s.Mend()
			require.NoError(t, save("four"), "it breaks once")
		})
	}
}

// blind is a store that cannot tell of changes.
type blind struct{ handover.Store }

func TestBrittleStoreWatches(t *testing.T) {
	err := handovertest.NewBrittleStore(blind{new(handover.MemoryStore)}).Watch(t.Context(), nil)
	require.ErrorContains(t, err, "unsupported")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, handovertest.NewBrittleStore(nil).Watch(ctx, func(string) {}), context.Canceled)
}
