package handover_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// countLines says how often the user saw a line, without forgetting any.
func countLines(r *rig.Rig, line string) (n int) {
	for _, l := range r.Lines() {
		if l == line {
			n++
		}
	}
	return n
}

func TestDeadlinesRunOnceWithThreeReplicas(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.FollowUp = 2 * time.Hour }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Replica(o)
		r.Replica(o)
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: handover.UserData{Email: "a@example.com"}}))
		r.After(11 * time.Minute)
		require.Equal(t, 3, countLines(r, "system: We are still looking for somebody. Thank you for your patience. [Back to the bot]"), "after 3, 6 and 9 minutes")
		require.Equal(t, 1, countLines(r, "system: I am sorry, nobody could answer in time."))
		require.Equal(t, 1, countLines(r, noAgent))
		require.Len(t, r.Ends(), 1)
		require.False(t, r.Says(email).Bot)
		require.True(t, r.Session().FollowUp)
		r.After(3 * time.Hour)
		require.False(t, r.Session().FollowUp)
		require.Equal(t, 1, countWhere(r, func(a handover.Activity) bool { return a.Reason != "" && a.Kind == handover.ActivityState }))
	})
}

func TestDeadlinesAreStoredWithTheHandover(t *testing.T) {
	config := func(claim time.Duration) func(*rig.Rig, *handover.Config) {
		return func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Claim, c.Timeouts.Remind = claim, -1 }
	}
	rig.Bubble(t, rig.Options{Still: true, Config: config(10 * time.Minute)}, func(r *rig.Rig) {
		r.Opened()
		r.Replica(rig.Options{Config: config(time.Minute)}) // a new release, with another setting
		r.After(9*time.Minute + 50*time.Second)
		require.Equal(t, handover.StateWaiting, r.Session().State)
		r.After(20 * time.Second)
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

// dropsHooks loses all hooks, so that only a read of Crisp shows what happened.
func dropsHooks(r *rig.Rig) {
	r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: true} })
}

func TestDeadlinesAreJudgedAfterARead(t *testing.T) {
	t.Run("claim", func(t *testing.T) {
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			conv := r.Opened()
			r.After(9*time.Minute + 55*time.Second)
			r.Saw()
			dropsHooks(r)
			conv.Operator("Ann").Say("just in time")
			r.After(10 * time.Second)
			require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: just in time"}, r.Saw())
			require.Equal(t, handover.StateActive, r.Session().State)
		})
	})
	t.Run("idle", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.After(2*time.Hour - 5*time.Second)
			dropsHooks(r)
			ann.Say("sorry, it took long")
			r.After(10 * time.Second)
			require.Equal(t, []string{"agent Ann: sorry, it took long"}, r.Saw(), "nobody is asked")
		})
	})
	t.Run("while Crisp cannot be read they wait, but Max does not", func(t *testing.T) {
		o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Max = 3 * time.Hour }}
		rig.Bubble(t, o, func(r *rig.Rig) {
			r.Opened()
			r.Saw()
			for _, route := range []string{handovertest.RouteMessages, handovertest.RouteConversation} {
				r.Crisp.Fail(1_000_000, handovertest.Fault{Route: route, Status: 503})
			}
			r.After(3*time.Hour - time.Minute)
			require.Empty(t, r.Saw(), "no reminder, and no end: an agent may be talking")
			require.Equal(t, handover.StateWaiting, r.Session().State)
			r.After(2 * time.Minute)
			require.Equal(t, handover.EndMaxAge, r.Ends()[0].Reason)
		})
	})
}

func TestFollowUpExpires(t *testing.T) {
	rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Away: true}, Still: true}, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeNobodyThere, r.Asks(handover.Request{User: handover.UserData{Email: "a@example.com"}}))
		r.Says(email)
		r.After(7*24*time.Hour - time.Minute)
		r.Replica(rig.Options{})
		r.After(30 * time.Second)
		require.True(t, r.Session().FollowUp)
		r.After(time.Minute)
		require.False(t, r.Session().FollowUp)
		require.True(t, r.Says("hello").Bot)
	})
}

func TestTheReopeningWindow(t *testing.T) {
	for name, tt := range map[string]struct {
		after  time.Duration
		reopen time.Duration // of the request
		want   int
	}{
		"within an hour":         {59 * time.Minute, 0, 1},
		"later":                  {61 * time.Minute, 0, 2},
		"as the request has it":  {61 * time.Minute, 2 * time.Hour, 1},
		"never, for one request": {time.Minute, -1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			ended(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
				r.After(tt.after)
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Timeouts: handover.Timeouts{Reopen: tt.reopen}}))
				require.Len(t, r.Crisp.Conversations(), tt.want)
			})
		})
	}
}

func TestIdleAsksThenEnds(t *testing.T) {
	for name, user := range map[string]handover.UserData{"without an email": {}, "with an email": {Email: "a@example.com"}} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: user}))
				conv := r.Crisp.Last()
				conv.Operator("Ann").Say("Hello")
				r.After(2*time.Hour + 5*time.Minute)
				require.Contains(t, r.Saw(), "system: Are you still there? [Back to the bot]")
				r.Says("yes")
				r.After(2*time.Hour + 5*time.Minute)
				require.Contains(t, r.Saw(), "system: Are you still there? [Back to the bot]")
				r.After(time.Hour)
				require.Equal(t, []string{"system: It has been quiet for a while. You are talking with the bot again."}, r.Saw())
				require.Equal(t, handover.EndIdle, r.Ends()[0].Reason)
				require.Equal(t, user.Email != "", r.Session().FollowUp)
			})
		})
	}
}

func TestWaitingIsReminded(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Saw()
		r.After(7 * time.Minute)
		still := "system: We are still looking for somebody. Thank you for your patience. [Back to the bot]"
		require.Equal(t, []string{still, still}, r.Saw())
		conv.Bot("Hugo").Say("I can help!")
		require.Equal(t, []string{still}, r.Saw(), "another bot answers: the way out is offered")
		conv.Bot("Hugo").Say("Really!")
		require.Empty(t, r.Saw())
	})
}

func TestMaxEndsEveryMute(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Max = 6 * time.Hour }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Say("hello")
		for range 7 {
			r.After(time.Hour)
			conv.Operator("Ann").Say("still here")
		}
		r.Crisp.Settle()
		require.Equal(t, handover.EndMaxAge, r.Ends()[0].Reason)
	})
}
