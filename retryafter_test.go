package handover_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// A channel that asks for a pause gets it, to the second, and the message is shown then.
func TestDeliverRetriesAfterTheChannelsPause(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		var tries []time.Time
		r.Fails(func(handover.Message) error {
			if tries = append(tries, time.Now()); len(tries) == 1 {
				return fmt.Errorf("show: %w", handover.RetryAfter(291*time.Second, errors.New("flood wait")))
			}
			return nil
		})
		ann.Say("hello")
		r.After(10 * time.Minute)
		require.Len(t, tries, 2)
		require.GreaterOrEqual(t, tries[1].Sub(tries[0]), 291*time.Second)
		require.Less(t, tries[1].Sub(tries[0]), 294*time.Second)
		require.Equal(t, []string{"agent Ann: hello"}, r.Saw())
	})
	require.EqualError(t, handover.RetryAfter(time.Second, nil), "the channel is busy")
}

// A pause that is longer than the message is tried for gives it up at once, and the agents hear why.
func TestDeliverGivesUpForALongPause(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(handover.Message) error { return handover.RetryAfter(24*time.Hour, errors.New("banned")) })
		ann.Say("hello")
		r.After(time.Minute)
		require.Equal(t, 1, r.Count(handover.ActivityGivenUp))
		require.Contains(t, everything(r), handover.DefaultTexts().NoteNotReached)
	})
}

// While the channel is down the order is kept, however long that lasts; a message that alone cannot be shown
// keeps nobody waiting.
func TestDeliverKeepsTheOrderThroughAnOutage(t *testing.T) {
	for _, minutes := range []int{1, 3, 10, 60} {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
			for i := range 5 {
				ann.Say(fmt.Sprint("message ", i))
			}
			r.After(time.Duration(minutes) * time.Minute)
			r.Fails(nil)
			r.After(5 * time.Minute)
			var want []string
			for i := range 5 {
				want = append(want, fmt.Sprint("agent Ann: message ", i))
			}
			require.Equal(t, want, r.Saw())
		})
	}
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(m handover.Message) error {
			if m.Content.Text == "cursed" {
				return rig.ErrChannelDown
			}
			return nil
		})
		ann.Say("cursed")
		for i := range 3 {
			ann.Say(fmt.Sprint("message ", i))
		}
		r.After(5 * time.Minute)
		require.Equal(t, []string{"agent Ann: message 0", "agent Ann: message 1", "agent Ann: message 2"}, r.Saw())
		r.Fails(nil)
		r.After(2 * time.Minute)
		require.Equal(t, []string{"agent Ann (late): cursed"}, r.Saw())
	})
}

// What Deliver documents as answers are no faults.
func TestAnswersOfDeliverAreNoFaults(t *testing.T) {
	for _, answer := range []error{handover.ErrUserAway, errors.ErrUnsupported} {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			r.Fails(func(handover.Message) error { return answer })
			ann.Say("hello")
			r.After(time.Minute)
			require.Zero(t, r.Count(handover.ActivityFault))
		})
	}
}

// An upload may take its time: Timeouts.Callback bounds a call.
func TestDeliverMayTakeAsLongAsCallbackSays(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Timeouts.Callback = 3 * time.Minute
		deliver := c.Deliver
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if m.From == handover.FromAgent {
				if err := sleep(ctx, 2*time.Minute); err != nil {
					return "", err
				}
			}
			return deliver(ctx, s, m)
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(5 * time.Minute)
		r.Saw()
		ann.Say("hello")
		r.After(3 * time.Minute)
		require.Equal(t, []string{"agent Ann: hello"}, r.Saw())
		require.Zero(t, r.Count(handover.ActivityFault))
		require.Equal(t, 1, r.Last().Attempt)
	})
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		c := r.Config()
		c.Timeouts.Callback = time.Hour
		_, err := handover.New(c)
		require.ErrorContains(t, err, "Timeouts.Callback")
	})
}
