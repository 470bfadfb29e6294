package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// The store fails while a process shuts down whose callback has just shown a message. Nobody died: the process notes it once
// the store works again, and the next process does not show it again.
func TestShutdownNotesWhatWasDone(t *testing.T) {
	rig.Bubble(t, rig.Options{Config: rig.Slowly(3*time.Second, nil)}, func(r *rig.Rig) {
		ann := r.Opened().Operator("Ann")
		r.After(time.Minute)
		ann.Say("Which one?")
		time.Sleep(4 * time.Second) // 3 s of it the user is told that Ann has come
		require.Empty(t, r.AgentLines(), "it is on its way")
		r.Store.Fails(true)
		time.AfterFunc(10*time.Second, func() { r.Store.Fails(false) })
		require.NoError(t, r.H.Shutdown(r.T.Context()))
		require.Equal(t, []string{"agent Ann: Which one?"}, r.AgentLines())
		r.H = r.Replica(rig.Options{})
		r.After(5 * time.Minute)
		require.Equal(t, []string{"agent Ann: Which one?"}, r.AgentLines())
		require.Equal(t, handover.StateActive, r.Session().State)
	})
}
