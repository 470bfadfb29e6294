package systemtest

import (
	"github.com/crisphandover/handover/internal/systemtest/rig"

	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// crowded is an inbox with another bot that never falls silent, and with a rule that assigns every
// conversation to somebody who is not there.
var crowded = rig.Options{Crisp: handovertest.Options{
	Bot:   &handovertest.Bot{Stays: true, Delay: 2 * time.Second},
	Rules: []handovertest.Rule{{Operator: "Bob"}},
}}

func TestAnotherBotAndARuleAreNoHuman(t *testing.T) {
	rig.Bubble(t, crowded, func(r *rig.Rig) {
		conv := r.Opened()
		r.After(5 * time.Second)
		require.Equal(t, "Bob", conv.Assigned())
		require.Equal(t, handover.StateWaiting, r.Session().State)
		require.Equal(t, []string{
			"system: A person will be with you soon. You can already describe your question. [Back to the bot]",
			"system: We are still looking for somebody. Thank you for your patience. [Back to the bot]",
		}, r.Saw(), "its answer is not shown, but the way out is")
		require.False(t, r.Says("Are you a person?").Bot)
		r.After(5 * time.Second)
		require.Empty(t, r.Saw(), "offered once")
		require.Equal(t, 2, r.Count(handover.ActivityOtherBot), "the host hears of each")

		require.False(t, r.Says("Back to the bot").Bot)
		require.Equal(t, []string{"system: You are talking with the bot again."}, r.Saw())
		end := r.Ends()[0]
		require.Equal(t, handover.EndUserLeft, end.Reason)
		require.False(t, end.HumanReplied)
		require.Empty(t, end.Agents)
		require.NotEmpty(t, end.Messages)
		for _, m := range end.Messages {
			require.Equal(t, handover.FromUser, m.From, "nor is it part of the human part")
		}
		require.True(t, r.Says("hello").Bot)
	})
}

func TestAnotherBotDoesNotKeepTheUserWaiting(t *testing.T) {
	rig.Bubble(t, crowded, func(r *rig.Rig) {
		r.Opened()
		for range 10 { // each message of the user gets an answer from the other bot
			require.False(t, r.Says("hello?").Bot)
			r.After(time.Minute)
		}
		require.Len(t, r.Ends(), 1)
		require.Equal(t, handover.EndClaimTimeout, r.Ends()[0].Reason)
		require.Contains(t, r.Saw(), "system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]")
	})
}

func TestAPersonAmongBots(t *testing.T) {
	rig.Bubble(t, crowded, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: handover.UserData{Email: "anakin@example.com"}}))
		r.After(5 * time.Second)
		r.Saw()
		fp := r.Crisp.Last().Operator("Ann").Say("I am a person")
		r.Crisp.Settle()
		r.Says("good")
		r.After(5 * time.Minute)
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: I am a person"}, r.Saw())
		require.NotEmpty(t, r.Crisp.Mails())
		for _, mail := range r.Crisp.Mails() {
			require.NotEqual(t, fp, mail.Fingerprint, "what the user has seen is not mailed")
		}
	})
}
