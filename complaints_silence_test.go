package handover_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// Nobody came, and coming back: complaints_test.go has the threads.

func TestNobodyCameIsSaidAndTheBotComesBack(t *testing.T) {
	bubble(t, options{}, func(r *rig) { // Crisp says "online", as it does in office hours
		conv := r.opened()
		require.False(t, r.says("My parcel is lost").Bot)
		r.after(9*time.Minute + 30*time.Second)
		reminder := "system: We are still looking for somebody. Thank you for your patience. [Back to the bot]"
		require.Equal(t, []string{
			"system: A person will be with you soon. You can already describe your question. [Back to the bot]", reminder, reminder, reminder,
		}, r.saw(), "whoever waits hears so, with a way out")
		r.after(time.Minute)
		require.Equal(t, []string{
			"system: I am sorry, nobody could answer in time.",
			"system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]",
		}, r.saw())
		require.Equal(t, handover.EndClaimTimeout, r.allEnds()[0].Reason)
		require.Equal(t, "note", conv.Messages()[len(conv.Messages())-1].Type, "the agents know")

		// The form for those whom nobody answered.
		require.False(t, r.says("Contact me back via email").Bot)
		require.False(t, r.says("anakin@example.com").Bot)
		r.saw()
		require.Equal(t, "anakin@example.com", conv.Meta().Email)
		require.Contains(t, userTexts(conv), "My parcel is lost", "the same conversation, with the question")
		require.True(t, r.says("What are your prices?").Bot)
		require.Equal(t, []string{"bot: You said: What are your prices?"}, r.saw())
	})
}

func TestOutsideOfOfficeHoursNothingIsPromised(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) { c.Presence = presence(handover.Away) }} // the host's opening hours
	bubble(t, o, func(r *rig) {
		require.Equal(t, handover.NobodyThere, r.asks(handover.Request{}))
		require.Equal(t, []string{"system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]"}, r.saw())
		require.Empty(t, r.crisp.Conversations())
		r.after(time.Hour)
		require.Empty(t, r.saw())
		require.True(t, r.says("Hm. What are your prices?").Bot, "the bot goes on")
	})
}

func TestTheAnswerByEmailReachesTheMailbox(t *testing.T) {
	user := handover.UserData{Email: "anakin@example.com"}
	nobody(t, handover.Request{User: user}, nil, func(r *rig) {
		r.says(email)
		r.crisp.Settle()
		conv := r.crisp.Last()
		require.Equal(t, "pending", conv.State(), "Crisp tells agents who are not there")
		require.Equal(t, []string{"Hi, this user asks for an answer by email."}, userTexts(conv))
		require.True(t, r.says("bye").Bot)
		r.fails(func(handover.Message) error { return handover.ErrUserAway })
		r.after(20 * time.Hour)
		conv.Operator("Ann").Say("Your parcel comes today.")
		r.after(5 * time.Minute)
		mails := r.crisp.Mails()
		require.Len(t, mails, 1)
		require.Equal(t, "anakin@example.com", mails[0].To)
		require.Equal(t, "Your parcel comes today.", mails[0].Text)
		require.Equal(t, handover.StateBot, r.session().State, "who is gone is not taken over")
	})
}

func TestHandoverWithoutAMessageNotifiesTheAgents(t *testing.T) {
	bubble(t, options{}, func(r *rig) { // the button "talk to a human", before any message
		outcome, err := r.h.Start(r.t.Context(), r.session().Turn(), handover.Request{})
		require.NoError(t, err)
		require.Equal(t, handover.Opened, outcome)
		conv := r.crisp.Last()
		require.Equal(t, []string{"Hi, this user need your help."}, userTexts(conv), "a message of the user's is what Crisp notifies of")
		require.Equal(t, "pending", conv.State())
		require.Len(t, r.saw(), 1)
	})
}

func TestNoHandoverLoopOnTechnicalErrors(t *testing.T) {
	bubble(t, options{}, func(r *rig) { // a bot that hands over when it fails, while Crisp is down
		r.crisp.SetFaults(func(handovertest.CallInfo) handovertest.Fault { return handovertest.Fault{Status: 503} })
		turn, err := r.receive(handover.Incoming{Text: "hello"})
		require.NoError(t, err)
		failed := r.h.Reply(r.t.Context(), turn, func(ctx context.Context) error { return errors.New("the model is down") })
		require.EqualError(t, failed, "the model is down")
		outcome, err := r.h.Start(r.t.Context(), turn, handover.Request{})
		require.NoError(t, err)
		require.Equal(t, handover.OpenFailed, outcome)
		for range 3 {
			_, err = r.h.Start(r.t.Context(), turn, handover.Request{})
			require.ErrorIs(t, err, handover.ErrNotYourTurn, "one message, one attempt")
		}
		require.Equal(t, []string{"system: I am sorry, I could not reach anybody. You are talking with the bot again."}, r.saw())
		require.Len(t, r.allEnds(), 1)
	})
}

func TestNoHandoverLoopAfterResolve(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		m := handover.Incoming{ID: "m", Text: "I want a human"}
		turn, err := r.receive(m)
		require.NoError(t, err)
		_, err = r.h.Start(r.t.Context(), turn, handover.Request{})
		require.NoError(t, err)
		conv := r.crisp.Last()
		conv.Operator("Ann").Say("Done")
		r.crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Twice: true} })
		conv.Operator("Ann").Resolve()
		r.after(time.Minute)
		again, err := r.receive(m) // the channel repeats what asked for a human
		require.NoError(t, err)
		require.False(t, again.Bot, "it has its answer")
		_, err = r.h.Start(r.t.Context(), turn, handover.Request{})
		require.ErrorIs(t, err, handover.ErrNotYourTurn, "so has its turn")
		r.after(24 * time.Hour)
		require.Equal(t, handover.StateBot, r.session().State)
		require.Len(t, r.allEnds(), 1)
		require.Len(t, r.crisp.Conversations(), 1)
		for _, line := range r.saw() { // a bot that remembers the talk can tell what was the library's
			require.Regexp(t, "^(agent Ann|system): ", line)
		}
	})
}

func TestAForgottenTakeoverComesBack(t *testing.T) {
	for name, asks := range map[string]bool{"the user keeps silent": false, "the user asks again and again": true} {
		t.Run(name, func(t *testing.T) {
			o := options{config: func(_ *rig, c *handover.Config) { c.Timeouts.Max = 6 * time.Hour }}
			ended(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				ann.Say("By the way") // and never again
				r.saw()
				for begun := time.Now(); time.Since(begun) < 7*time.Hour; r.after(50 * time.Minute) {
					if asks && r.session().State == handover.StateActive {
						require.False(t, r.says("Are you there?").Bot)
					}
				}
				require.Equal(t, handover.StateBot, r.session().State)
				require.True(t, r.says("And you?").Bot)
				saw := r.saw()
				require.Equal(t, "system: Are you still there? [Back to the bot]", saw[0], "two hours after the agent's last word, not the user's")
				if !asks {
					require.Equal(t, handover.EndIdle, r.allEnds()[1].Reason)
				}
			})
		})
	}
}

func TestEchoesDoNotRearmTheMute(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		said := ann.Say("I will be back")
		r.says("fine") // the last word
		r.saw()
		begun := time.Now()
		for r.session().State == handover.StateActive && time.Since(begun) < 12*time.Hour {
			// All that is no word of a person's, again and again.
			m, _ := conv.Message(said)
			r.hooked(r.hook("message:received", conv.ID(), map[string]any{
				"type": "text", "from": "operator", "origin": "chat", "content": "I will be back", "fingerprint": said, "timestamp": m.Timestamp,
			}))
			ann.Note("he waits")
			conv.Bot("Hugo").Say("I am a bot")
			ann.Type(true)
			ann.Read()
			r.after(20 * time.Minute)
		}
		require.Equal(t, 3*time.Hour, time.Since(begun).Truncate(20*time.Minute), "Idle, and half of it")
		require.Equal(t, handover.EndIdle, r.allEnds()[0].Reason)
	})
}

func TestOnlyUnclaimedHandoversTimeOut(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		conv := r.opened()
		r.after(9 * time.Minute)
		conv.Operator("Ann").Say("I am here")
		r.saw()
		r.after(90 * time.Minute)
		require.Empty(t, r.saw(), "no reminder, no timeout")
		require.Equal(t, handover.StateActive, r.session().State)
		require.Empty(t, r.allEnds())
	})
}
