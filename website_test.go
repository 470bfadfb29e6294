package handover_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

func TestSeveralWebsites(t *testing.T) {
	const second = "7a3c5e10-6f0b-4d55-9c1e-000000000002"
	o := options{
		crisp:  handovertest.Options{Websites: []string{second}},
		config: func(_ *rig, c *handover.Config) { c.Websites = []string{second} },
	}
	bubble(t, o, func(r *rig) {
		r.Opened()
		r.Conv.WebsiteID = second
		conv := r.Opened()
		require.Len(t, r.Crisp.Conversations(), 2)
		r.Saw()
		conv.Operator("Ann").Say("hello from the second")
		require.Contains(t, r.Saw(), "agent Ann: hello from the second")
		require.Equal(t, second, r.Seen().Conversation.WebsiteID, "the conversation comes back as it was given")
		r.Crisp.SetHookFaults(dropHooks)
		conv.Operator("Ann").Say("no hook told of this")
		r.After(7 * time.Minute)
		require.Contains(t, r.Saw(), "agent Ann: no hook told of this")
		require.NoError(t, r.H.Check(context.Background()))
		r.Conv.WebsiteID = "7a3c5e10-6f0b-4d55-9c1e-000000000003"
		_, err := r.TrySay("hello")
		require.ErrorIs(t, err, handover.ErrBadMessage)
	})
}

func TestCreationIsPacedPerWebsite(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) { c.Limits.CreatesPerMinute = 3 }}
	bubble(t, o, func(r *rig) {
		begin := time.Now()
		for _, id := range []string{"a", "b", "c", "d"} {
			r.Conv.ID = id
			turn, err := r.Receive(handover.Incoming{Text: "help"})
			require.NoError(t, err)
			outcome, err := r.H.Start(context.Background(), turn, handover.Request{Timeouts: handover.Timeouts{Open: 5 * time.Minute}})
			require.NoError(t, err)
			require.Equal(t, handover.Opened, outcome)
		}
		require.GreaterOrEqual(t, time.Since(begin), time.Minute)
		require.Len(t, r.Crisp.Conversations(), 4)
	})
}

// Replicas that only take messages and hooks make calls as well.
func TestSpentCountsReplicasWithoutRun(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		running := r.H
		r.H = r.replica(options{still: true})
		r.Opened()
		for range 3 {
			r.After(time.Minute)
			require.False(t, r.Says("hello?").Bot)
		}
		r.Crisp.Settle()
		spent, err := running.Spent(context.Background())
		require.NoError(t, err)
		require.GreaterOrEqual(t, spent.Calls, int64(len(r.Crisp.Calls())-1), "all but what the last minute cost")
	})
}

// A clock that ran ahead, and was set right, does not stop the making of conversations.
func TestCreationAfterAClockThatRanAhead(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		r.After(time.Second)
		rec, err := r.Store.Load(context.Background(), "website/"+r.Crisp.WebsiteID())
		require.NoError(t, err)
		ahead := strings.Repeat(time.Now().Add(time.Hour).UTC().Format(`,"`+time.RFC3339+`"`), 25)
		rec.Data = fmt.Appendf(nil, `{"v":1,"creates":[%s]}`, ahead[1:])
		_, err = r.Store.Save(context.Background(), rec)
		require.NoError(t, err)
		r.Opened()
	})
}
