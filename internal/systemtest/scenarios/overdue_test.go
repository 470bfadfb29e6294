package scenarios

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

const nobodyWorks = "nobody works on it: call go h.Run(ctx)"

// Without Run nothing passes in time, and it says so when the first thing should have.
func TestRunThatIsMissingIsNoticed(t *testing.T) {
	l := new(rig.Log)
	rig.Bubble(t, rig.Options{Still: true, Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = l.Logger() }}, func(r *rig.Rig) {
		r.Opened()
		r.After(3 * time.Minute)
		require.Zero(t, l.Count(nobodyWorks), "Timeouts.Remind is due now")
		r.After(2 * time.Minute)
		require.Equal(t, 1, l.Count(nobodyWorks))
		require.Regexp(t, `(?m)^problem +run +Something was due, and nobody worked on it`, r.H.Check(r.T.Context()).String())
		require.Equal(t, 1, missing(r))

		r.Conv.ID = "user-2"
		r.Opened()
		r.After(time.Hour)
		require.Equal(t, 1, l.Count(nobodyWorks), "it is said once")

		ctx, cancel := context.WithCancel(r.T.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = r.H.Run(ctx) }()
		r.After(time.Second)
		require.Regexp(t, `(?m)^ok +run +`, r.H.Check(r.T.Context()).String())
		cancel()
		<-done
		require.Regexp(t, `(?m)^unknown +run +`, r.H.Check(r.T.Context()).String())
	})
}

// missing counts the activities that tell of it.
func missing(r *rig.Rig) (n int) {
	for _, a := range r.Activities() {
		if a.Kind == handover.ActivityFault && a.Effect == "run" && a.Why == "missing" {
			n++
		}
	}
	return n
}

// Where another replica has Run, or this one, it is not missing.
func TestRunElsewhereIsNotMissing(t *testing.T) {
	for name, o := range map[string]rig.Options{"here": {}, "on another replica": {Still: true}} {
		t.Run(name, func(t *testing.T) {
			l := new(rig.Log)
			o.Config = func(_ *rig.Rig, c *handover.Config) { c.Logger = l.Logger() }
			rig.Bubble(t, o, func(r *rig.Rig) {
				if o.Still {
					r.Replica(rig.Options{Config: o.Config})
				}
				for _, id := range []string{"user-1", "user-2", "user-3"} {
					r.Conv.ID = id
					r.Opened()
					r.After(15 * time.Minute)
				}
				r.After(time.Hour)
				require.Zero(t, l.Count(nobodyWorks))
			})
		})
	}
}

// While the store fails nobody can work, and it is not Run that is missing.
func TestRunIsNotMissingWhileTheStoreFails(t *testing.T) {
	l := new(rig.Log)
	rig.Bubble(t, rig.Options{Still: true, Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = l.Logger() }}, func(r *rig.Rig) {
		r.Opened()
		r.Store.Fails(true)
		r.After(time.Hour)
		require.Zero(t, l.Count(nobodyWorks))
		r.Store.Fails(false)
		r.After(2 * time.Minute)
		require.Equal(t, 1, l.Count(nobodyWorks))
	})
}

// After Shutdown a process says nothing.
func TestRunIsNotMissingAfterShutdown(t *testing.T) {
	l := new(rig.Log)
	rig.Bubble(t, rig.Options{Still: true, Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = l.Logger() }}, func(r *rig.Rig) {
		r.Opened()
		require.NoError(t, r.H.Shutdown(r.T.Context()))
		time.Sleep(time.Hour)
		require.Zero(t, l.Count(nobodyWorks))
	})
}
