package handover_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	systemrig "github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestRecordsAreDeletedWhenNothingIsLeft(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(r *rig)
		after  time.Duration
	}{
		"a conversation with its bot, after a day": {func(r *rig) { r.Says("hello") }, 24 * time.Hour},
		"an ended handover, after Timeouts.Late": {func(r *rig) {
			r.Opened().Operator("Ann").Resolve()
			r.After(time.Minute)
		}, 7 * 24 * time.Hour},
		"an expired offer": {func(r *rig) {
			r.Crisp.Away()
			require.Equal(r.T, handover.OutcomeNobodyThere, r.Asks(handover.Request{}))
			time.Sleep(7 * 24 * time.Hour)
			r.runs(time.Second)
		}, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, options{still: true}, func(r *rig) {
				tt.before(r)
				time.Sleep(tt.after - 2*time.Minute)
				r.runs(time.Second)
				require.NotZero(t, r.record().Version)
				time.Sleep(2 * time.Minute)
				r.runs(time.Second)
				r.runs(time.Second)
				require.Zero(t, r.record().Version)
			})
		})
	}
}

// runs lets the library run for a while: a process that sleeps for days is quicker than one that
// polls for days.
func (r *rig) runs(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	require.ErrorIs(r.T, r.H.Run(ctx), context.DeadlineExceeded)
	r.Crisp.Settle()
}

func TestRecordsWithSomethingOpenStay(t *testing.T) {
	o := options{still: true, config: func(_ *rig, c *handover.Config) {
		c.Timeouts = handover.Timeouts{Max: 1000 * 24 * time.Hour, Claim: -1, Idle: -1, Remind: -1}
	}}
	for name, open := range map[string]func(r *rig){
		"a mute":     func(r *rig) { require.NoError(r.T, r.H.Mute(r.T.Context(), r.Says("hush"))) },
		"a handover": func(r *rig) { r.Opened() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, o, func(r *rig) {
				open(r)
				state := r.Session().State
				for range 10 {
					time.Sleep(30 * 24 * time.Hour)
					r.runs(time.Second)
				}
				require.Equal(t, state, r.Session().State)
			})
		})
	}
}

// recordOf is the data of a record with one Crisp session, whose log has these entries.
func recordOf(t *testing.T, watermark int64, rows []map[string]any, seen []map[string]any) []byte {
	b, err := json.Marshal(map[string]any{
		"v": 1, "conversation": map[string]any{"id": "1"}, "state": "bot", "in": map[string]any{}, "out": map[string]any{},
		"sessions": []any{map[string]any{"id": "session_x", "log": map[string]any{"sampled": true, "watermark": watermark, "entries": rows}}}, "user_messages": seen,
	})
	require.NoError(t, err)
	return b
}

// Of most messages of a log it is only kept that they are known.
func TestTrimKeepsOfAMessageWhatIsNeeded(t *testing.T) {
	var rows []map[string]any
	add := func(status string, at int64) {
		rows = append(rows, map[string]any{"fp": len(rows) + 1, "at": at, "status": status})
	}
	for i := range int64(500) {
		add("withheld", 1+i)
		add("ours", 1+i)
	}
	for _, status := range []string{"removed", "failed", "shown"} {
		add(status, 600)
	}
	add("ours", 0)
	trimmed, err := handover.Trimmed(recordOf(t, 600, rows, nil))
	require.NoError(t, err)
	var d struct {
		Sessions []struct {
			Log struct {
				Entries []string // each with its time, fingerprint and the letter of its status
				Known   string
			}
		}
	}
	require.NoError(t, json.Unmarshal(trimmed, &d))
	log := d.Sessions[0].Log
	var kept []string
	for _, row := range log.Entries {
		kept = append(kept, strings.Fields(row)[2])
	}
	require.Equal(t, []string{"o", "o", "r", "f", "s", "o"}, kept)
	require.Less(t, len(log.Known), 1000)
}

func TestTrimKeepsWhatIsOnItsWay(t *testing.T) {
	var seen []map[string]any
	for i := range handover.MaxSeen + 50 {
		outcome := "answered"
		if i < 10 {
			outcome = "posting"
		}
		seen = append(seen, map[string]any{"id": fmt.Sprint(i), "status": outcome, "incoming": map[string]any{"id": fmt.Sprint(i)}})
	}
	trimmed, err := handover.Trimmed(recordOf(t, 0, nil, seen))
	require.NoError(t, err)
	status, err := handover.MessageStatuses(trimmed)
	require.NoError(t, err)
	for i := range handover.MaxSeen + 50 {
		want := ""
		if i < 10 {
			want = "posting"
		} else if i >= 60 {
			want = "answered"
		}
		require.Equal(t, want, status(fmt.Sprint(i)), i)
	}
}

func TestManyMessagesKeepTheRecordSmall(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		for burst := range 6 {
			for range 20 {
				ann.Say("from the agent")
			}
			r.Says(fmt.Sprint("user ", burst))
			r.After(time.Second)
		}
		require.Len(t, agentsIn(r.Saw()), 120)
		require.Less(t, len(r.record().Data), 60<<10)
		require.Len(t, systemrig.UserTexts(conv), 7)
	})
}

// A follow-up leaves nothing behind once its late window is over, as a handover does.
func TestFollowUpsAreForgotten(t *testing.T) {
	short := func(_ *rig, c *handover.Config) {
		c.Timeouts = handover.Timeouts{FollowUp: time.Hour, Reopen: time.Minute, Late: 2 * time.Hour}
	}
	nobody(t, handover.Request{User: handover.UserData{Email: "a@example.com"}}, short, func(r *rig) {
		for range 5 {
			_, err := r.Receive(handover.Incoming{Payload: email})
			require.NoError(t, err)
			for range 2 {
				r.After(90 * time.Minute)
				_, err = r.Receive(handover.Incoming{Text: "hello"}) // so that the record stays
				require.NoError(t, err)
			}
			require.Equal(t, handover.OutcomeNobodyThere, r.Asks(handover.Request{User: handover.UserData{Email: "a@example.com"}}))
		}
		require.Less(t, len(r.record().CrispIDs), 3)
	})
}

// A hook of an older conversation, whose late window has just passed, leaves nothing behind either.
func TestAHookAfterTheLateWindow(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) {
		c.Timeouts = handover.Timeouts{Reopen: -1, Late: 2 * time.Hour}
		c.Limits.DailyCalls = 10 // so that catch-up does not touch the record
	}}
	bubble(t, o, func(r *rig) {
		older := r.Opened()
		older.Operator("Ann").Resolve()
		r.After(119 * time.Minute)
		r.Opened().Operator("Ann").Resolve()
		r.After(5 * time.Minute)
		r.Saw()
		older.Operator("Ann").Note("done")
		r.After(2 * time.Hour)
		require.Zero(t, r.record().Version)
	})
}
