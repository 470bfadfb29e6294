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
		r.opened()
		r.conv.WebsiteID = second
		conv := r.opened()
		require.Len(t, r.crisp.Conversations(), 2)
		r.saw()
		conv.Operator("Ann").Say("hello from the second")
		require.Contains(t, r.saw(), "agent Ann: hello from the second")
		require.Equal(t, second, r.seen.Conversation.WebsiteID, "the conversation comes back as it was given")
		r.crisp.SetHookFaults(dropHooks)
		conv.Operator("Ann").Say("no hook told of this")
		r.after(7 * time.Minute)
		require.Contains(t, r.saw(), "agent Ann: no hook told of this")
		require.NoError(t, r.h.Check(context.Background()))
		r.conv.WebsiteID = "7a3c5e10-6f0b-4d55-9c1e-000000000003"
		_, err := r.trySay("hello")
		require.ErrorIs(t, err, handover.ErrBadMessage)
	})
}

func TestCreationIsPacedPerWebsite(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) { c.Limits.CreatesPerMinute = 3 }}
	bubble(t, o, func(r *rig) {
		begin := time.Now()
		for _, id := range []string{"a", "b", "c", "d"} {
			r.conv.ID = id
			turn, err := r.receive(handover.Incoming{Text: "help"})
			require.NoError(t, err)
			outcome, err := r.h.Start(context.Background(), turn, handover.Request{Timeouts: handover.Timeouts{Open: 5 * time.Minute}})
			require.NoError(t, err)
			require.Equal(t, handover.Opened, outcome)
		}
		require.GreaterOrEqual(t, time.Since(begin), time.Minute)
		require.Len(t, r.crisp.Conversations(), 4)
	})
}

// Replicas that only take messages and hooks make calls as well.
func TestSpentCountsReplicasWithoutRun(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		running := r.h
		r.h = r.replica(options{still: true})
		r.opened()
		for range 3 {
			r.after(time.Minute)
			require.False(t, r.says("hello?").Bot)
		}
		r.crisp.Settle()
		spent, err := running.Spent(context.Background())
		require.NoError(t, err)
		require.GreaterOrEqual(t, spent.Calls, int64(len(r.crisp.Calls())-1), "all but what the last minute cost")
	})
}

// A clock that ran ahead, and was set right, does not stop the making of conversations.
func TestCreationAfterAClockThatRanAhead(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		r.after(time.Second)
		rec, err := r.store.Load(context.Background(), "website/"+r.crisp.WebsiteID())
		require.NoError(t, err)
		ahead := strings.Repeat(time.Now().Add(time.Hour).UTC().Format(`,"`+time.RFC3339+`"`), 25)
		rec.Data = fmt.Appendf(nil, `{"v":1,"creates":[%s]}`, ahead[1:])
		_, err = r.store.Save(context.Background(), rec)
		require.NoError(t, err)
		r.opened()
	})
}
