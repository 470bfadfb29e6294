package handover_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestTyping(t *testing.T) {
	var seen []handover.AgentTyping
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.AgentTyping = func(_ context.Context, _ handover.Session, ty handover.AgentTyping) { seen = append(seen, ty) }
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Type(true)
		r.Crisp.Settle()
		ann.Type(false)
		r.Crisp.Settle()
		require.Len(t, seen, 2)
		require.Equal(t, "Ann", seen[0].Agent.Name)
		require.Equal(t, []bool{true, false}, []bool{seen[0].On, seen[1].On})
		require.NoError(t, r.H.UserTyping(r.Conv, true))
		r.Crisp.Settle()
		require.Equal(t, 1, r.Crisp.CountCalls(handovertest.RouteCompose))
	})
}

// A Typing that hangs holds up neither the answers to hooks nor the messages.
func TestTypingThatHangs(t *testing.T) {
	release, calls := make(chan struct{}), atomic.Int64{}
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.AgentTyping = func(context.Context, handover.Session, handover.AgentTyping) { calls.Add(1); <-release }
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		release = make(chan struct{}) // of this bubble
		defer close(release)
		for range 50 {
			ann.Type(true)
			r.After(2 * time.Second)
		}
		require.LessOrEqual(t, calls.Load(), int64(20))
		ann.Say("done")
		require.Contains(t, r.Saw(), "agent Ann: done")
	})
}

// An AgentTyping that takes 20 s holds no hook, and hears the newest sign after it.
func TestTypingThatIsSlow(t *testing.T) {
	var seen []bool
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Timeouts.Callback = time.Minute
		c.AgentTyping = func(_ context.Context, _ handover.Session, ty handover.AgentTyping) {
			seen = append(seen, ty.On)
			time.Sleep(20 * time.Second)
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		begun := time.Now()
		for i := range 11 {
			require.Equal(t, 200, r.Hooked(r.Hook("message:compose:receive", conv.ID(), map[string]any{
				"type": []string{"start", "stop"}[i%2], "user": map[string]any{"nickname": "Ann"},
			})).Code)
			time.Sleep(time.Second)
		}
		require.Equal(t, 11*time.Second, time.Since(begun), "no hook was held")
		r.After(time.Minute)
		require.Equal(t, []bool{true, true}, seen)
	})
}

// A UserTyping holds no hook of the channel while Crisp hangs.
func TestUserTypingWhileCrispHangs(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, _ *handovertest.Operator) {
		r.Crisp.SetFaults(func(handovertest.CallInfo) handovertest.Fault { return handovertest.Fault{Delay: 8 * time.Second} })
		begun := time.Now()
		for i := range 10 {
			require.NoError(t, r.H.UserTyping(r.Conv, i%2 == 0))
		}
		require.Equal(t, begun, time.Now())
		require.ErrorIs(t, r.H.UserTyping(handover.Conversation{}, true), handover.ErrBadMessage)
		r.After(time.Minute)
		require.LessOrEqual(t, r.Crisp.CountCalls(handovertest.RouteCompose), 3)
	})
}
