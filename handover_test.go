package handover_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

func TestWholeHandover(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		r.says("hello")
		require.Equal(t, []string{"bot: You said: hello"}, r.saw())

		require.Equal(t, handover.Opened, r.asks(handover.Request{Segments: []string{"Customer"}, Resume: "step 7"}))
		conv := r.crisp.Last()
		require.Equal(t, []string{"Customer"}, conv.Segments())
		require.Len(t, r.saw(), 1)
		require.Equal(t, handover.StateWaiting, r.session().State)

		require.False(t, r.says("my order is late").Bot)
		require.Equal(t, []string{"Hi, this user need your help.", "my order is late"}, userTexts(conv))

		conv.Operator("Ann").Note("a difficult one")
		conv.Operator("Ann").Say("Let me look")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: Let me look"}, r.saw())
		require.Equal(t, handover.StateActive, r.session().State)

		conv.Operator("Ann").Say("It comes tomorrow")
		conv.Operator("Ann").Resolve()
		require.Equal(t, []string{"agent Ann: It comes tomorrow", "system: This conversation was closed. You are talking with the bot again."}, r.saw())
		require.Len(t, r.allEnds(), 1)
		end := r.allEnds()[0]
		require.Equal(t, handover.EndResolved, end.Reason)
		require.Equal(t, "step 7", end.Resume)
		require.True(t, end.HumanReplied)
		require.Len(t, end.Messages, 3)

		require.True(t, r.says("thanks").Bot)
		require.Equal(t, []string{"bot: You said: thanks"}, r.saw())
		r.after(time.Minute)
		require.Len(t, r.allEnds(), 1)
	})
}
