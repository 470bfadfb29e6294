package scenarios

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestRecordsAreDeletedWhenNothingIsLeft(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(r *rig.Rig)
		after  time.Duration
	}{
		"a conversation with its bot, after a day": {func(r *rig.Rig) { r.Says("hello") }, 24 * time.Hour},
		"an ended handover, after Timeouts.Late": {func(r *rig.Rig) {
			r.Opened().Operator("Ann").Resolve()
			r.After(time.Minute)
		}, 7 * 24 * time.Hour},
		"an expired offer": {func(r *rig.Rig) {
			r.Crisp.Away()
			require.Equal(r.T, handover.OutcomeNobodyThere, r.Asks(handover.Request{}))
			time.Sleep(7 * 24 * time.Hour)
			r.Runs(time.Second)
		}, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
				tt.before(r)
				time.Sleep(tt.after - 2*time.Minute)
				r.Runs(time.Second)
				require.NotZero(t, r.Record().Version)
				time.Sleep(2 * time.Minute)
				r.Runs(time.Second)
				r.Runs(time.Second)
				require.Zero(t, r.Record().Version)
			})
		})
	}
}

func TestRecordsWithSomethingOpenStay(t *testing.T) {
	o := rig.Options{Still: true, Config: func(_ *rig.Rig, c *handover.Config) {
		c.Timeouts = handover.Timeouts{Max: 1000 * 24 * time.Hour, Claim: -1, Idle: -1, Remind: -1}
	}}
	for name, open := range map[string]func(r *rig.Rig){
		"a mute":     func(r *rig.Rig) { require.NoError(r.T, r.H.Mute(r.T.Context(), r.Says("hush"))) },
		"a handover": func(r *rig.Rig) { r.Opened() },
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, o, func(r *rig.Rig) {
				open(r)
				state := r.Session().State
				for range 10 {
					time.Sleep(30 * 24 * time.Hour)
					r.Runs(time.Second)
				}
				require.Equal(t, state, r.Session().State)
			})
		})
	}
}

func TestManyMessagesKeepTheRecordSmall(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		for burst := range 6 {
			for range 20 {
				ann.Say("from the agent")
			}
			r.Says(fmt.Sprint("user ", burst))
			r.After(time.Second)
		}
		require.Len(t, rig.AgentsIn(r.Saw()), 120)
		require.Less(t, len(r.Record().Data), 60<<10)
		require.Len(t, rig.UserTexts(conv), 7)
	})
}

// A follow-up leaves nothing behind once its late window is over, as a handover does.
func TestFollowUpsAreForgotten(t *testing.T) {
	short := func(_ *rig.Rig, c *handover.Config) {
		c.Timeouts = handover.Timeouts{FollowUp: time.Hour, Reopen: time.Minute, Late: 2 * time.Hour}
	}
	rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Away: true}, Config: short}, func(r *rig.Rig) {
		byEmail := handover.Request{User: handover.UserData{Email: "a@example.com"}}
		require.Equal(t, handover.OutcomeNobodyThere, r.Asks(byEmail))
		for range 5 {
			_, err := r.Receive(handover.Incoming{Payload: "Contact me back via email"})
			require.NoError(t, err)
			for range 2 {
				r.After(90 * time.Minute)
				_, err = r.Receive(handover.Incoming{Text: "hello"}) // so that the record stays
				require.NoError(t, err)
			}
			require.Equal(t, handover.OutcomeNobodyThere, r.Asks(byEmail))
		}
		require.Less(t, len(r.Record().CrispIDs), 3)
	})
}

// A hook of an older conversation, whose late window has just passed, leaves nothing behind either.
func TestAHookAfterTheLateWindow(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Timeouts = handover.Timeouts{Reopen: -1, Late: 2 * time.Hour}
		c.Limits.DailyCalls = 10 // so that catch-up does not touch the record
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		older := r.Opened()
		older.Operator("Ann").Resolve()
		r.After(119 * time.Minute)
		r.Opened().Operator("Ann").Resolve()
		r.After(5 * time.Minute)
		r.Saw()
		older.Operator("Ann").Note("done")
		r.After(2 * time.Hour)
		require.Zero(t, r.Record().Version)
	})
}
