package handover_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// Two responders at once: complaints_test.go has the threads.

func TestNoBotReplyAfterHandover(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		slow, err := r.receive(handover.Incoming{Text: "Where is my parcel?"})
		require.NoError(t, err)
		conv := r.opened() // meanwhile they asked for a human
		r.saw()
		require.ErrorIs(t, r.reply(slow, "It is in Lyon."), handover.ErrNotYourTurn, "the model was slow")
		require.Empty(t, r.saw(), "the bot keeps silent")
		require.Equal(t, []string{"Hi, this user need your help.", "Where is my parcel?"}, userTexts(conv), "who answers has the question")

		conv.Operator("Ann").Say("I look for it")
		r.saw()
		require.False(t, r.says("Thank you").Bot, "the bot is not even asked")
		s := r.session()
		require.ErrorIs(t, r.reply(s.Turn(), "Can I help you with anything else?"), handover.ErrNotYourTurn, "nor may it speak unasked")
		require.Empty(t, r.saw())
	})
}

func TestBotIsSilentWhenAnAgentAnswersFromElsewhere(t *testing.T) {
	for name, origin := range map[string]string{
		"from Slack": "urn:crisp.im:slack:0", "from the app on a phone": "chat", "by email": "email", "from a tool of their own": "urn:acme:crm:1",
	} {
		t.Run(name, func(t *testing.T) {
			ended(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				slow, err := r.receive(handover.Incoming{Text: "And when does it come?"})
				require.NoError(t, err)
				ann.From(origin).Say("Tomorrow at nine")
				r.crisp.Settle()
				require.ErrorIs(t, r.reply(slow, "I do not know."), handover.ErrNotYourTurn)
				require.False(t, r.says("Great!").Bot)
				require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: Tomorrow at nine"}, r.saw())
				require.Equal(t, []string{"And when does it come?", "Great!"}, userTexts(conv)[1:])
			})
		})
	}
}

func TestNoSecondClosingLineWhenTheStateLags(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Twice: true, Delay: 7 * time.Second}
		})
		require.NoError(t, r.h.End(r.t.Context(), r.conv, handover.EndOptions{Resolve: true}))
		r.after(time.Second)
		require.NoError(t, r.h.End(r.t.Context(), r.conv, handover.EndOptions{Resolve: true}), "the host's tool is called again")
		require.True(t, r.says("hello").Bot)
		r.after(10 * time.Minute) // the state comes late, twice, and is read again by catch-up
		require.Equal(t, "resolved", conv.State())
		require.Equal(t, []string{"system: You are talking with the bot again.", "bot: You said: hello"}, r.saw(), "one closing line")
		require.Len(t, r.allEnds(), 1)
	})
}

func TestReopeningAssigningAndAnsweringAreOneTakeover(t *testing.T) {
	for name, late := range map[string]string{"in order": "", "the message's hook comes last": "message:received", "the state's hook comes last": "session:set_state"} {
		t.Run(name, func(t *testing.T) {
			o := options{config: func(_ *rig, c *handover.Config) { c.Policy.ClaimOnAssign = true }}
			ended(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				before := r.count(handover.ActivityState)
				r.crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
					if i.Event == late {
						return handovertest.HookFault{Delay: 4 * time.Second}
					}
					return handovertest.HookFault{}
				})
				ann.Reopen()
				ann.Assign()
				r.after(time.Second)
				require.Equal(t, handover.StateBot, r.session().State, "nobody has said anything: the bot still has the user")
				require.True(t, r.says("hello?").Bot)
				r.saw()
				ann.Say("me again")
				r.after(time.Minute)
				require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: me again"}, r.saw())
				require.Equal(t, before+1, r.count(handover.ActivityState), "one step from the bot to the agent")
				require.False(t, r.says("hi").Bot)
			})
		})
	}
}
