package systemtest

import (
	"github.com/crisphandover/handover/internal/systemtest/rig"

	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// freePlan is Crisp's free plan as the connector's customers have it: a website token, unsigned
// hooks, and only the four events that the connector's text ticks.
func freePlan(away bool, config func(*handover.Config)) rig.Options {
	return rig.Options{
		Crisp: handovertest.Options{
			Tier: "website", Hooks: handovertest.WebsiteHooks, FreePlan: true, Away: away,
			Events: []string{"message:send", "message:updated", "message:received", "session:set_state"},
		},
		Config: func(r *rig.Rig, c *handover.Config) {
			c.Token.Tier = handover.TierWebsite
			c.Webhook = handover.Webhook{URLKeys: r.HookKeys()}
			if config != nil {
				config(c)
			}
		},
	}
}

func TestFreePlanWholeFlow(t *testing.T) {
	rig.Bubble(t, freePlan(false, nil), func(r *rig.Rig) {
		r.Says("hello")
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{
			Segments: []string{"Customer"}, Note: "asked twice", Resume: "step 7",
			User: handover.UserData{FirstName: "Anakin", Email: "anakin@example.com", Data: map[string]any{"gtu_accepted": "false"}},
		}))
		conv := r.Crisp.Last()
		require.Equal(t, "Anakin", conv.Meta().Nickname)
		require.Equal(t, []string{"Customer"}, conv.Segments())
		require.Equal(t, []string{"bot: You said: hello", "system: A person will be with you soon. You can already describe your question. [Back to the bot]"}, r.Saw())

		require.False(t, r.Says("my order is late").Bot)
		ann := conv.Operator("Ann")
		note := ann.Note("a difficult one")
		fp := ann.Say("Let me look")
		ann.Picker("Which one?", "Red", "Blue")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: Let me look", "agent Ann: Which one? [Red] [Blue]"}, r.Saw())
		ann.Edit(fp, "Let me look it up")
		ann.Edit(note, "a very difficult one")
		require.Equal(t, []string{"agent Ann: Let me look it up"}, r.Saw())
		r.Says("Blue")
		require.Equal(t, []string{"Hi, this user need your help.", "my order is late"}, rig.UserTexts(conv), "the answer went into the picker")

		ann.Say("It comes tomorrow")
		ann.Resolve()
		require.Equal(t, []string{"agent Ann: It comes tomorrow", "system: This conversation was closed. You are talking with the bot again."}, r.Saw())
		require.Len(t, r.Ends(), 1)
		require.Equal(t, handover.EndResolved, r.Ends()[0].Reason)
		require.Equal(t, "step 7", r.Ends()[0].Resume)
		require.True(t, r.Says("thanks").Bot)

		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{Resolve: true}))
		r.After(time.Minute)
		require.Equal(t, "resolved", conv.State(), "a note that cannot be never holds up the rest")
		require.Len(t, r.Ends(), 2)
	})
}

func TestFreePlanNobodyThere(t *testing.T) {
	rig.Bubble(t, freePlan(true, nil), func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeNobodyThere, r.Asks(handover.Request{}))
		require.Equal(t, []string{"system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]"}, r.Saw())
		require.False(t, r.Says("Contact me back via email").Bot)
		require.False(t, r.Says("anakin@example.com").Bot)
		require.Equal(t, []string{"system: Which email address may we write to? [Continue with the bot]", "system: Thank you. We will answer by email."}, r.Saw())
		require.Equal(t, "anakin@example.com", r.Crisp.Last().Meta().Email)
		require.True(t, r.Says("meanwhile").Bot)
		r.Crisp.Last().Operator("Ann").Say("Here I am")
		require.Contains(t, r.Saw(), "agent Ann: Here I am")
		require.False(t, r.Says("good").Bot)
	})
}

func TestFreePlanRemovedAndBlockedWithoutTheirEvents(t *testing.T) {
	for reason, act := range map[handover.EndReason]func(*handovertest.Conversation){
		handover.EndRemoved: func(c *handovertest.Conversation) { c.Remove() },
		handover.EndBlocked: func(c *handovertest.Conversation) { c.Block(true) },
	} {
		t.Run(string(reason), func(t *testing.T) {
			rig.Bubble(t, freePlan(false, nil), func(r *rig.Rig) {
				conv := r.Opened()
				conv.Operator("Ann").Say("hello")
				r.Crisp.Settle()
				act(conv)
				r.Says("are you there?")
				r.After(10 * time.Minute)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Len(t, r.Ends(), 1)
				require.Equal(t, reason, r.Ends()[0].Reason)
			})
		})
	}
}

func TestNoteFallback(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fallback handover.NoteFallback
		want     any
	}{
		"dropped": {handover.NoteDropped, nil},
		"in data": {handover.NoteInData, "the second note"},
	} {
		t.Run(name, func(t *testing.T) {
			o := freePlan(false, func(c *handover.Config) { c.Policy.NoteFallback = tt.fallback })
			rig.Bubble(t, o, func(r *rig.Rig) {
				user := handover.UserData{Data: map[string]any{"plan": "free"}}
				for _, note := range []string{"the first note", "the second note"} {
					require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Note: note, User: user}))
					r.Crisp.Last().Operator("Ann").Resolve()
					r.After(time.Minute)
				}
				conv := r.Crisp.Last()
				require.Equal(t, tt.want, conv.Meta().Data["handover_note"])
				require.Equal(t, "free", conv.Meta().Data["plan"])
				require.Equal(t, 1, refusalsIn(r), "the first 402 is remembered")

				r.After(25 * time.Hour)
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Note: "the third note", User: user}))
				require.Equal(t, 2, refusalsIn(r), "plans change: it is tried again the next day")
			})
		})
	}
}

// refusals counts the calls that Crisp's plan refused.
func refusalsIn(r *rig.Rig) (n int) {
	for _, c := range r.Crisp.Calls() {
		if c.Status == 402 {
			n++
		}
	}
	return n
}

func TestNotesWhereThePlanHasThem(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.Crisp.Fail(2, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{Note: "the user closed the app"}))
		r.After(time.Minute)
		require.Equal(t, []string{"note: the user closed the app"}, rig.Kinds(conv)[2:])
		require.Equal(t, fmt.Sprint(handover.EndHostEnded), string(r.Ends()[0].Reason))
	})
}
