package handover_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// The tests in this file follow the connector's page from end to end; README.md has the table.

// connector is Crisp as the connector's page sets it up: the free plan, a hook of the website,
// which is unsigned, with the four events ticked.
var connector = options{
	crisp: handovertest.Options{
		Tier: "website", FreePlan: true, Hooks: handovertest.WebsiteHooks,
		Events: []string{"message:send", "message:updated", "message:received", "session:set_state"},
	},
	config: func(r *rig, c *handover.Config) {
		c.Token.Tier = handover.TierWebsite
		c.Webhook = handover.Webhook{Keys: []string{r.crisp.HookKey()}}
		c.History = handover.History{URL: "https://bot.example.com/history", Key: strings.Repeat("k", 32)}
		c.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) {
			return []handover.Message{{From: handover.FromUser, Content: handover.TextMessage("Where is my parcel?")}}, nil
		}
	},
}

func TestConnectorOnTheFreePlanWithTheFourEvents(t *testing.T) {
	bubble(t, connector, func(r *rig) {
		var data handover.UserData
		require.NoError(t, json.Unmarshal(readFile(t, "testdata/userdata/connector.json"), &data))
		req := handover.Request{User: data, Note: "asked twice", Resume: "parcel"}
		need := handover.BotOutput{Muted: true, NeedHelp: true, Category: "Customer"}
		asks := func() handover.Outcome {
			turn := r.says("help")
			outcome, err := r.h.Apply(context.Background(), turn, need, req)
			require.NoError(t, err)
			return outcome
		}

		// Nobody there: the message with its choices, and back to the bot.
		r.crisp.Away()
		require.Equal(t, handover.NobodyThere, asks())
		require.Equal(t, []string{
			"bot: You said: help",
			"system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]",
		}, r.saw())
		require.False(t, r.says("Continue with the bot").Bot)
		require.True(t, r.says("hm").Bot)
		require.Empty(t, r.crisp.Conversations())

		// Somebody there: the conversation is opened, and the user can already describe the request.
		r.crisp.Online("Ann")
		r.after(time.Minute)
		r.saw()
		require.Equal(t, handover.Opened, asks())
		require.Len(t, r.saw(), 2)
		conv := r.crisp.Last()
		require.Equal(t, []string{"Customer"}, conv.Segments())
		require.Equal(t, "Anakin Skywalker", conv.Meta().Nickname)
		require.Equal(t, "pending", conv.State(), "Crisp notifies the agents")
		require.False(t, r.says("my parcel is late").Bot)

		// The agent answers, corrects, asks, keeps a note, and resolves.
		ann := conv.Operator("Ann")
		said := ann.Say("I look for it")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: I look for it"}, r.saw())
		ann.Edit(said, "I look for your parcel")
		require.Equal(t, []string{"agent Ann: I look for your parcel"}, r.saw())
		picker := ann.Picker("Which one?", "the blue", "the red")
		require.Equal(t, []string{"agent Ann: Which one? [the blue] [the red]"}, r.saw())
		require.False(t, r.says("the red").Bot)
		chosen, _ := conv.Message(picker)
		require.Contains(t, string(mustJSON(t, chosen.Content)), `"label":"the red","selected":true`)
		require.False(t, r.says("thanks").Bot)
		ann.Say("It comes tomorrow")
		ann.Resolve()
		require.Equal(t, []string{
			"agent Ann: It comes tomorrow", "system: This conversation was closed. You are talking with the bot again.",
		}, r.saw())
		require.True(t, r.says("hello bot").Bot)

		require.Len(t, r.allEnds(), 1)
		require.Equal(t, handover.EndResolved, r.allEnds()[0].Reason)
		require.Equal(t, "parcel", r.allEnds()[0].Resume)
		require.Len(t, r.crisp.Conversations(), 1)
		for _, m := range conv.Messages() {
			require.NotEqual(t, "note", m.Type, "the plan has none")
		}
		for _, event := range connector.crisp.Events {
			require.NotZero(t, r.crisp.CountHooks(event), event)
		}
		for _, hook := range r.crisp.Hooks() {
			require.Contains(t, connector.crisp.Events, hook.Event)
			require.Equal(t, http.StatusOK, hook.Status)
		}
	})
}

func TestConnectorTokens(t *testing.T) {
	for _, tier := range []handover.Tier{handover.TierWebsite, handover.TierPlugin, handover.TierUser} {
		t.Run(string(tier), func(t *testing.T) {
			o := options{
				crisp:  handovertest.Options{Tier: string(tier)},
				config: func(_ *rig, c *handover.Config) { c.Token.Tier = tier },
			}
			bubble(t, o, func(r *rig) {
				require.NoError(t, r.h.Check(context.Background()))
				r.opened()
			})
		})
	}
}

func TestConnectorTokenThatIsWrong(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) { c.Token.Key = "a password" }}
	bubble(t, o, func(r *rig) {
		err := r.h.Check(context.Background())
		var api *handover.APIError
		require.ErrorAs(t, err, &api)
		require.Equal(t, http.StatusUnauthorized, api.StatusCode)
		require.NotContains(t, err.Error(), "a password")
	})
}

// Two bots in one process, each with a website, a token, a hook and a store of its own.
func TestConnectorSeveralBots(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		other := newRig(r.t, options{crisp: handovertest.Options{WebsiteID: "7a3c5e10-6f0b-4d55-9c1e-000000000009", Seed: 9}})
		mine, theirs := r.opened(), other.opened()
		r.saw()
		other.saw()
		mine.Operator("Ann").Say("for the one")
		theirs.Operator("Bob").Say("for the other")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: for the one"}, r.saw())
		require.Equal(t, []string{"system: Bob joined the conversation.", "agent Bob: for the other"}, other.saw())
		mine.Operator("Ann").Resolve()
		r.crisp.Settle()
		require.Equal(t, handover.StateBot, r.session().State)
		require.Equal(t, handover.StateActive, other.session().State)
	})
}

// A sound is the channel's to play: one for each new message of an agent, which comes with Attempt
// 1 and corrects none, and none for anything else.
func TestConnectorOneSoundForEachAgentMessage(t *testing.T) {
	sounds := 0
	o := options{config: func(r *rig, c *handover.Config) {
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if m.From == handover.FromAgent && m.Attempt == 1 && m.Corrects == "" {
				sounds++
			}
			return r.deliver(ctx, s, m)
		}
	}}
	bubble(t, o, func(r *rig) {
		conv := r.opened()
		ann := conv.Operator("Ann")
		first := ann.Say("one")
		ann.Note("not for the user")
		r.crisp.Settle()
		ann.Edit(first, "ONE")
		ann.Say("two")
		conv.Bot("Hugo").Say("I can help too")
		r.crisp.Settle()
		require.Equal(t, 2, sounds)
	})
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}
