package handover_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

const nobodyWorks = "nobody works on it: call go h.Run(ctx)"

// Without Run nothing passes in time, and it says so when the first thing should have.
func TestRunThatIsMissingIsNoticed(t *testing.T) {
	l := new(syncBuffer)
	bubble(t, options{still: true, config: func(_ *rig, c *handover.Config) { c.Logger = l.logger() }}, func(r *rig) {
		r.Opened()
		r.After(3 * time.Minute)
		require.Zero(t, l.count(nobodyWorks), "Timeouts.Remind is due now")
		r.After(2 * time.Minute)
		require.Equal(t, 1, l.count(nobodyWorks))
		require.Contains(t, row(r.check(), "run"), "problem: run: Something was due, and nobody worked on it")
		require.Equal(t, 1, r.missing())

		r.Conv.ID = "user-2"
		r.Opened()
		r.After(time.Hour)
		require.Equal(t, 1, l.count(nobodyWorks), "it is said once")

		ctx, cancel := context.WithCancel(r.T.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = r.H.Run(ctx) }()
		r.After(time.Second)
		require.Contains(t, row(r.check(), "run"), "ok: run:")
		cancel()
		<-done
		require.Contains(t, row(r.check(), "run"), "unknown: run:")
	})
}

// missing counts the activities that tell of it.
func (r *rig) missing() (n int) {
	for _, a := range r.Activities() {
		if a.Kind == handover.ActivityFault && a.Effect == "run" && a.Why == "missing" {
			n++
		}
	}
	return n
}

// Where another replica has Run, or this one, it is not missing.
func TestRunElsewhereIsNotMissing(t *testing.T) {
	for name, o := range map[string]options{"here": {}, "on another replica": {still: true}} {
		t.Run(name, func(t *testing.T) {
			l := new(syncBuffer)
			o.config = func(_ *rig, c *handover.Config) { c.Logger = l.logger() }
			bubble(t, o, func(r *rig) {
				if o.still {
					r.replica(options{config: o.config})
				}
				for _, id := range []string{"user-1", "user-2", "user-3"} {
					r.Conv.ID = id
					r.Opened()
					r.After(15 * time.Minute)
				}
				r.After(time.Hour)
				require.Zero(t, l.count(nobodyWorks))
			})
		})
	}
}

// While the store fails nobody can work, and it is not Run that is missing.
func TestRunIsNotMissingWhileTheStoreFails(t *testing.T) {
	l := new(syncBuffer)
	bubble(t, options{still: true, config: func(_ *rig, c *handover.Config) { c.Logger = l.logger() }}, func(r *rig) {
		r.Opened()
		r.Store.Fails(true)
		r.After(time.Hour)
		require.Zero(t, l.count(nobodyWorks))
		r.Store.Fails(false)
		r.After(2 * time.Minute)
		require.Equal(t, 1, l.count(nobodyWorks))
	})
}

// After Shutdown a process says nothing.
func TestRunIsNotMissingAfterShutdown(t *testing.T) {
	l := new(syncBuffer)
	bubble(t, options{still: true, config: func(_ *rig, c *handover.Config) { c.Logger = l.logger() }}, func(r *rig) {
		r.Opened()
		require.NoError(t, r.H.Shutdown(r.T.Context()))
		time.Sleep(time.Hour)
		require.Zero(t, l.count(nobodyWorks))
	})
}
