package handover_test

import (
	"context"
	"fmt"
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

func TestMute(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn := r.Says("be quiet")
		require.NoError(t, r.H.Mute(context.Background(), turn))
		require.Equal(t, handover.StateMuted, r.Session().State)
		r.Saw()
		for i := range 25 {
			require.False(t, r.Says(fmt.Sprint("kept ", i)).Bot)
		}
		require.Empty(t, r.Saw())
		require.ErrorIs(t, r.Reply(turn, "late"), handover.ErrNotYourTurn)

		outcome, err := r.H.Start(context.Background(), turn, handover.Request{})
		require.NoError(t, err, "the turn that muted may ask for a human")
		require.Equal(t, handover.OutcomeOpened, outcome)
		r.Crisp.Settle()
		texts := rig.UserTexts(r.Crisp.Last())
		require.Len(t, texts, 21, "the last 20 go along, behind the opening message")
		require.Equal(t, "kept 5", texts[1])
		require.Equal(t, "kept 24", texts[20])
	})
}

func TestMuteEnds(t *testing.T) {
	for name, end := range map[string]func(*rig.Rig){
		"by End": func(r *rig.Rig) {
			require.NoError(r.T, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		},
		"by Timeouts.Max": func(r *rig.Rig) { r.After(25 * time.Hour) },
		"when nobody is there": func(r *rig.Rig) {
			r.Crisp.Away()
			outcome, err := r.H.Start(context.Background(), r.Session().Turn(), handover.Request{})
			require.NoError(r.T, err)
			require.Equal(r.T, handover.OutcomeNobodyThere, outcome)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				require.NoError(t, r.H.Mute(context.Background(), r.Says("hush")))
				end(r)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.True(t, r.Says("hello again").Bot)
				require.Empty(t, r.Ends(), "a mute is no handover")
			})
		})
	}
}

func TestEndByTheHost(t *testing.T) {
	for name, tt := range map[string]struct {
		o       handover.EndOptions
		reason  handover.EndReason
		note    string
		resolve string
	}{
		"by default":       {handover.EndOptions{}, handover.EndHostEnded, "The user is talking with the bot again.", "pending"},
		"the user left":    {handover.EndOptions{UserLeft: true}, handover.EndUserLeft, "The user is talking with the bot again.", "pending"},
		"with words":       {handover.EndOptions{Note: "closed the app"}, handover.EndHostEnded, "closed the app", "pending"},
		"resolved as well": {handover.EndOptions{Resolve: true}, handover.EndHostEnded, "The user is talking with the bot again.", "resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				require.NoError(t, r.H.End(context.Background(), r.Conv, tt.o))
				require.NoError(t, r.H.End(context.Background(), r.Conv, tt.o), "idempotent")
				r.After(time.Minute)
				require.Len(t, r.Ends(), 1)
				require.Equal(t, tt.reason, r.Ends()[0].Reason)
				require.Equal(t, tt.resolve, conv.State())
				last := conv.Messages()[len(conv.Messages())-1]
				require.Equal(t, "note", last.Type)
				require.Equal(t, tt.note, last.Content)
				require.True(t, r.Says("hello").Bot)
			})
		})
	}
}

func TestEndGuardsItsHandover(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Opened()
		first := r.Session().HandoverID
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{HandoverID: first}))
		r.Opened()
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{HandoverID: first}))
		require.Equal(t, handover.StateWaiting, r.Session().State, "a late End does not end the next handover")
	})
}

func TestEndGuardsItsEpoch(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		require.NoError(t, r.H.Mute(context.Background(), r.Says("hello")))
		muted := status(r).Epoch
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Epoch: muted}))
		require.Equal(t, handover.StateBot, r.Session().State)
		r.Greeted()
		require.ErrorIs(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Epoch: muted}), handover.ErrNotYourTurn)
		require.Equal(t, handover.StateActive, r.Session().State)
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Epoch: r.Session().Epoch}))
		require.Equal(t, handover.StateBot, r.Session().State)
		in(r, "webchat", "unknown")
		require.ErrorIs(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Epoch: 1}), handover.ErrNotYourTurn)
	})
}

func TestEndWhileOpeningResolvesTheHalfMadeConversation(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(2, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
		defer cancel()
		outcome, _ := r.H.Start(ctx, turn, handover.Request{})
		require.Equal(t, handover.OutcomeOpening, outcome)
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		r.After(time.Minute)
		require.Equal(t, "resolved", r.Crisp.Last().State())
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Len(t, r.Ends(), 1)
	})
}

// The handover is over before Crisp has said which conversation it made: nobody would ever close that.
func TestTheEndComesWhileTheConversationIsMade(t *testing.T) {
	for name, end := range map[string]func(r *rig.Rig){
		"by the host":     func(r *rig.Rig) { require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{})) },
		"the user leaves": func(r *rig.Rig) { _, _ = r.Receive(handover.Incoming{Payload: "handover:leave"}) },
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				r.OpensSlowly(handover.Request{}, handovertest.RouteCreate)
				end(r)
				r.After(time.Minute)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Len(t, r.Ends(), 1)
				require.Equal(t, "resolved", r.Crisp.Last().State())
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}), "the next handover is not disturbed")
			})
		})
	}
}
