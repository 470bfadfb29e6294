package handover_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/internal/testhook"
)

// wallClock is a store with a clock of its own.
type wallClock struct{ handover.Store }

func (s wallClock) Load(ctx context.Context, key string) (handover.Record, error) {
	r, err := s.Store.Load(ctx, key)
	r.Now = time.Now()
	return r, err
}

func (s wallClock) Find(ctx context.Context, id string) (handover.Record, error) {
	r, err := s.Store.Find(ctx, id)
	r.Now = time.Now()
	return r, err
}

func (s wallClock) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	all, err := s.Store.Claim(ctx, limit, ttl)
	for i := range all {
		all[i].Now = time.Now()
	}
	return all, err
}

// Clocks of processes that differ by an hour change no deadline: those are by the store's clock.
func TestClocksThatDiffer(t *testing.T) {
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		var all []*handover.Handover
		for _, skew := range []time.Duration{time.Hour, -time.Hour, 0} {
			cfg := r.Config()
			cfg.Store = wallClock{r.Store}
			h, err := handover.New(cfg)
			require.NoError(r.T, err)
			testhook.Set(h, testhook.Hooks{Skew: skew})
			detach := r.Crisp.Attach(h)
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() { _ = h.Run(ctx) })
			r.T.Cleanup(func() { cancel(); running.Wait(); detach(); _ = h.Shutdown(context.Background()) })
			all = append(all, h)
		}
		for i, h := range all {
			r.H, r.Conv.ID = h, fmt.Sprint("user ", i)
			begun := time.Now()
			conv := r.Opened()
			require.Zero(r.T, time.Since(begun))
			r.After(9 * time.Minute)
			require.Equal(r.T, handover.StateWaiting, r.Session().State)
			conv.Operator("Ann").Say("hello")
			for j := range all {
				r.H = all[j]
				begun = time.Now()
				require.False(r.T, r.Says("and me?").Bot)
				require.Less(r.T, time.Since(begun), time.Second)
			}
			r.After(100 * time.Minute)
			require.Equal(r.T, handover.StateActive, r.Session().State)
			conv.Operator("Ann").Resolve()
			r.After(time.Minute)
			require.Equal(r.T, handover.StateBot, r.Session().State)

			r.Conv.ID += " alone"
			r.Opened()
			begun = time.Now()
			for r.Session().State == handover.StateWaiting {
				r.After(time.Second)
			}
			require.InDelta(r.T, 600, time.Since(begun).Seconds(), 5)
		}
		require.Len(r.T, r.Ends(), 6)
	})
}
