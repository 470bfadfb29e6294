package scenarios

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// fails is a bot that answers nothing.
func fails(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
	return nil, errors.New("the model is down")
}

// A process without Config.Answer, on the same store, leaves what waits for the bot to those that have it.
func TestAProcessWithoutAnswerIsNotInTheWay(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		var log rig.Log
		r.Replica(rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Answer, c.Logger = nil, log.Logger() }})
		b.Think = fails
		begun := time.Now()
		r.Handles("hello")
		for len(b.Turns()) < 6 {
			r.After(time.Second)
		}
		require.Less(t, time.Since(begun), 45*time.Second, "1, 2, 4, 8 and 16 s, and the polls")
		b.Thinks(nil)
		r.After(time.Minute)
		require.Equal(t, []string{"bot: You said: hello"}, r.Saw())
		require.Empty(t, log.String())
	})
}

// Where no process with Config.Answer is left, one without it says so, and asks for a human in time.
func TestOnlyAProcessWithoutAnswerIsLeft(t *testing.T) {
	for name, tried := range map[string]bool{"the bot has failed once": true, "nobody has tried": false} {
		t.Run(name, func(t *testing.T) {
			var log rig.Log
			rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = log.Logger() }}, func(r *rig.Rig) {
				cfg := r.Config()
				cfg.Answer = fails
				dies, err := handover.New(cfg)
				require.NoError(t, err)
				ctx, die := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				if tried {
					go func() { ended <- dies.Run(ctx) }()
				}
				require.NoError(t, dies.Handle(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "1", Text: "hello"}))
				if tried {
					r.After(500 * time.Millisecond)
					die()
					require.ErrorIs(t, <-ended, context.Canceled)
				}
				require.NoError(t, dies.Shutdown(context.Background()))
				r.After(14 * time.Minute)
				require.Equal(t, handover.StateBot, r.Session().State, "the bot may come back")
				require.Equal(t, 1, log.Count("none that has it answers"))
				r.After(2 * time.Minute)
				require.Equal(t, handover.StateWaiting, r.Session().State)
				require.Equal(t, "hello", rig.UserTexts(r.Crisp.Conversations()[0])[1], "behind the opening")
				die()
			})
		})
	}
}

// A process without Config.Answer counts from when it is a message's turn: those before it may have taken long.
func TestAMessageBehindOthersIsNotUnanswered(t *testing.T) {
	busy := func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Unanswered, c.Limits.Answers = time.Minute, 1 }
	rig.Managed(t, rig.Options{Config: busy}, func(r *rig.Rig, b *rig.Brain) {
		r.Replica(rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Unanswered = time.Minute }})
		b.Think = rig.Takes(40 * time.Second)
		for _, text := range []string{"one", "two", "three", "four", "five"} {
			r.Handles(text)
		}
		r.After(time.Second)
		r.Conv.ID = "user-2"
		for _, text := range []string{"one", "two", "three", "four", "five"} {
			r.Handles(text)
		}
		r.After(10 * time.Minute)
		require.Len(t, r.Saw(), 10)
		require.Empty(t, r.Crisp.Conversations())
	})
}
