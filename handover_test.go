package handover_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	systemrig "github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestWholeHandover(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		r.Says("hello")
		require.Equal(t, []string{"bot: You said: hello"}, r.Saw())

		require.Equal(t, handover.Opened, r.Asks(handover.Request{Segments: []string{"Customer"}, Resume: "step 7"}))
		conv := r.Crisp.Last()
		require.Equal(t, []string{"Customer"}, conv.Segments())
		require.Len(t, r.Saw(), 1)
		require.Equal(t, handover.StateWaiting, r.Session().State)

		require.False(t, r.Says("my order is late").Bot)
		require.Equal(t, []string{"Hi, this user need your help.", "my order is late"}, systemrig.UserTexts(conv))

		conv.Operator("Ann").Note("a difficult one")
		conv.Operator("Ann").Say("Let me look")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: Let me look"}, r.Saw())
		require.Equal(t, handover.StateActive, r.Session().State)

		conv.Operator("Ann").Say("It comes tomorrow")
		conv.Operator("Ann").Resolve()
		require.Equal(t, []string{"agent Ann: It comes tomorrow", "system: This conversation was closed. You are talking with the bot again."}, r.Saw())
		require.Len(t, r.Ends(), 1)
		end := r.Ends()[0]
		require.Equal(t, handover.EndResolved, end.Reason)
		require.Equal(t, "step 7", end.Resume)
		require.True(t, end.HumanReplied)
		require.Len(t, end.Messages, 3)

		require.True(t, r.Says("thanks").Bot)
		require.Equal(t, []string{"bot: You said: thanks"}, r.Saw())
		r.After(time.Minute)
		require.Len(t, r.Ends(), 1)
	})
}
