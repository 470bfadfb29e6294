package handover_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestWholeHandover(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Says("hello")
		require.Equal(t, []string{"bot: You said: hello"}, r.Saw())

		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Segments: []string{"Customer"}, Resume: "step 7"}))
		conv := r.Crisp.Last()
		require.Equal(t, []string{"Customer"}, conv.Segments())
		require.Len(t, r.Saw(), 1)
		require.Equal(t, handover.StateWaiting, r.Session().State)

		require.False(t, r.Says("my order is late").Bot)
		require.Equal(t, []string{"Hi, this user need your help.", "my order is late"}, rig.UserTexts(conv))

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

// A conversation that is forgotten while something is under way stays forgotten.
func TestForgetWhileSomethingIsUnderWay(t *testing.T) {
	forget := func(r *rig.Rig) { require.NoError(r.T, r.H.Forget(context.Background(), r.Conv)) }
	for name, during := range map[string]func(r *rig.Rig, conv *handovertest.Conversation){
		"Reply, with a Crisp session": func(r *rig.Rig, conv *handovertest.Conversation) {
			require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
			turn, err := r.Receive(handover.Incoming{Text: "bot?"})
			require.NoError(r.T, err)
			require.NoError(r.T, r.H.Reply(r.T.Context(), turn, func(context.Context) error { forget(r); return nil }))
		},
		"Reply, without": func(r *rig.Rig, _ *handovertest.Conversation) {
			r.Conv.ID = "somebody else"
			turn, err := r.Receive(handover.Incoming{Text: "bot?"})
			require.NoError(r.T, err)
			require.NoError(r.T, r.H.Reply(r.T.Context(), turn, func(context.Context) error { forget(r); return nil }))
		},
		"Receive": func(r *rig.Rig, _ *handovertest.Conversation) {
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Delay: 5 * time.Second})
			time.AfterFunc(time.Second, func() { forget(r) })
			_, err := r.Receive(handover.Incoming{Text: "hi"})
			require.ErrorContains(r.T, err, "forgotten")
		},
		"Deliver": func(r *rig.Rig, conv *handovertest.Conversation) {
			r.Fails(func(handover.Message) error { forget(r); return nil })
			conv.Operator("Ann").Say("hello")
		},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				r.After(time.Minute)
				during(r, conv)
				r.After(time.Minute)
				require.Zero(r.T, r.Record().Version)
			})
		})
	}
}
