package scenarios

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// queued is how many deliveries wait for the user, or are kept until the user is there again.
func queued(r *rig.Rig) int { return bytes.Count(r.Record().Data, []byte(`"kind":"deliver"`)) }

// hooksComeRarely has one hook tell of twenty messages, for these tests are about what is kept of them.
func hooksComeRarely(r *rig.Rig) {
	r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
		return handovertest.HookFault{Drop: i.Event == "message:received" && i.Ordinal%20 != 0}
	})
}

// TestWhatWaitsForTheUserIsBounded has an agent write more than a record may hold while the channel fails.
func TestWhatWaitsForTheUserIsBounded(t *testing.T) {
	const written = 400
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Saw()
		r.Fails(func(handover.Message) error { return errors.New("the channel is down") })
		hooksComeRarely(r)
		most := 0
		for i := range written {
			ann.Say(strconv.Itoa(i))
			if i%100 == 0 {
				r.After(time.Minute)
				most = max(most, queued(r))
			}
		}
		r.After(10 * time.Minute)
		most = max(most, queued(r))
		require.Less(r.T, most, 310)
		calls := len(r.Crisp.Calls())
		r.After(time.Hour)
		require.Less(r.T, len(r.Crisp.Calls())-calls, 200, "nothing is read for what has no place")
		r.Fails(nil)
		r.After(20 * time.Minute)
		shown := rig.AgentsIn(r.Saw())
		require.Len(r.T, shown, written)
		for i, line := range shown {
			require.Equal(r.T, "agent Ann: "+strconv.Itoa(i), line)
		}
		require.Zero(r.T, queued(r))
	})
}

// TestAnAbsentUserKeepsABoundedNumberOfMessages has an agent write more than is kept for a user who is away.
func TestAnAbsentUserKeepsABoundedNumberOfMessages(t *testing.T) {
	var kept atomic.Int64
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Observe = func(_ context.Context, a handover.Activity) {
			if a.Kind == handover.ActivityNotShown && a.Why == "away" {
				kept.Add(-1)
			}
		}
	}}
	const written = 380
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Saw()
		r.Fails(func(handover.Message) error { return handover.ErrUserAway })
		hooksComeRarely(r)
		for i := range written {
			kept.Add(1)
			ann.Say(strconv.Itoa(i))
			if i%50 == 49 {
				r.After(time.Minute)
			}
		}
		r.After(10 * time.Minute)
		require.Less(r.T, queued(r), 310)
		require.EqualValues(r.T, queued(r), kept.Load())
		require.Contains(r.T, rig.Notes(conv), handover.DefaultTexts().NoteAway)
		r.Fails(nil)
		r.Says("here again")
		r.After(10 * time.Minute)
		require.Len(r.T, rig.AgentsIn(r.Saw()), int(kept.Load()))
	})
}
