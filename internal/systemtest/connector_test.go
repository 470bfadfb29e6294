package systemtest

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// The tests in this file follow the connector's page from end to end; docs/connector.md has the table.

// connector is Crisp as the connector's page sets it up: the free plan, a hook of the website,
// which is unsigned, with the four events ticked.
var connector = rig.Options{
	Crisp: handovertest.Options{
		Tier: "website", FreePlan: true, Hooks: handovertest.WebsiteHooks,
		Events: []string{"message:send", "message:updated", "message:received", "session:set_state"},
	},
	Config: func(r *rig.Rig, c *handover.Config) {
		c.Token.Tier = handover.TierWebsite
		c.Webhook = handover.Webhook{URLKeys: r.HookKeys()}
		c.History = handover.History{URL: "https://bot.example.com/history", SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
		c.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) {
			return []handover.Message{{From: handover.FromUser, Content: handover.TextMessage("Where is my parcel?")}}, nil
		}
	},
}

func TestConnectorOnTheFreePlanWithTheFourEvents(t *testing.T) {
	rig.Bubble(t, connector, func(r *rig.Rig) {
		var data handover.UserData
		require.NoError(t, json.Unmarshal(readFile(t, "../../testdata/userdata/connector.json"), &data))
		req := handover.Request{User: data, Note: "asked twice", Resume: "parcel"}
		need := handover.BotOutput{Muted: true, NeedHelp: true, Category: "Customer"}
		asks := func() handover.Outcome {
			turn := r.Says("help")
			outcome, err := r.H.Apply(context.Background(), turn, need, req)
			require.NoError(t, err)
			return outcome
		}

		// Nobody there: the message with its choices, and back to the bot.
		r.Crisp.Away()
		require.Equal(t, handover.OutcomeNobodyThere, asks())
		require.Equal(t, []string{
			"bot: You said: help",
			"system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]",
		}, r.Saw())
		require.False(t, r.Says("Continue with the bot").Bot)
		require.True(t, r.Says("hm").Bot)
		require.Empty(t, r.Crisp.Conversations())

		// Somebody there: the conversation is opened, and the user can already describe the request.
		r.Crisp.Online("Ann")
		r.After(time.Minute)
		r.Saw()
		require.Equal(t, handover.OutcomeOpened, asks())
		require.Len(t, r.Saw(), 2)
		conv := r.Crisp.Last()
		require.Equal(t, []string{"Customer"}, conv.Segments())
		require.Equal(t, "Anakin Skywalker", conv.Meta().Nickname)
		require.Equal(t, "pending", conv.State(), "Crisp notifies the agents")
		require.False(t, r.Says("my parcel is late").Bot)

		// The agent answers, corrects, asks, keeps a note, and resolves.
		ann := conv.Operator("Ann")
		said := ann.Say("I look for it")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: I look for it"}, r.Saw())
		ann.Edit(said, "I look for your parcel")
		require.Equal(t, []string{"agent Ann: I look for your parcel"}, r.Saw())
		picker := ann.Picker("Which one?", "the blue", "the red")
		require.Equal(t, []string{"agent Ann: Which one? [the blue] [the red]"}, r.Saw())
		require.False(t, r.Says("the red").Bot)
		chosen, _ := conv.Message(picker)
		require.Contains(t, string(mustJSON(t, chosen.Content)), `"label":"the red","selected":true`)
		require.False(t, r.Says("thanks").Bot)
		ann.Say("It comes tomorrow")
		ann.Resolve()
		require.Equal(t, []string{
			"agent Ann: It comes tomorrow", "system: This conversation was closed. You are talking with the bot again.",
		}, r.Saw())
		require.True(t, r.Says("hello bot").Bot)

		require.Len(t, r.Ends(), 1)
		require.Equal(t, handover.EndResolved, r.Ends()[0].Reason)
		require.Equal(t, "parcel", r.Ends()[0].Resume)
		require.Len(t, r.Crisp.Conversations(), 1)
		for _, m := range conv.Messages() {
			require.NotEqual(t, "note", m.Type, "the plan has none")
		}
		for _, event := range connector.Crisp.Events {
			require.NotZero(t, r.Crisp.CountHooks(event), event)
		}
		for _, hook := range r.Crisp.Hooks() {
			require.Contains(t, connector.Crisp.Events, hook.Event)
			require.Equal(t, http.StatusOK, hook.Status)
		}
	})
}

func TestConnectorTokens(t *testing.T) {
	for _, tier := range []handover.Tier{handover.TierWebsite, handover.TierPlugin, handover.TierUser} {
		t.Run(string(tier), func(t *testing.T) {
			o := rig.Options{
				Crisp:  handovertest.Options{Tier: string(tier)},
				Config: func(_ *rig.Rig, c *handover.Config) { c.Token.Tier = tier },
			}
			rig.Bubble(t, o, func(r *rig.Rig) {
				require.NoError(t, r.H.Check(context.Background()).Err())
				r.Opened()
			})
		})
	}
}

func TestConnectorTokenThatIsWrong(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Token.Key = handover.NewSecret("a password") }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		err := r.H.Check(context.Background()).Err()
		var api *handover.APIError
		require.ErrorAs(t, err, &api)
		require.Equal(t, http.StatusUnauthorized, api.StatusCode)
		require.NotContains(t, err.Error(), "a password")
	})
}

// Two bots in one process, each with a website, a token, a hook and a store of its own.
func TestConnectorSeveralBots(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		other := rig.New(r.T, rig.Options{Crisp: handovertest.Options{WebsiteID: "7a3c5e10-6f0b-4d55-9c1e-000000000009", Seed: 9}})
		mine, theirs := r.Opened(), other.Opened()
		r.Saw()
		other.Saw()
		mine.Operator("Ann").Say("for the one")
		theirs.Operator("Bob").Say("for the other")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: for the one"}, r.Saw())
		require.Equal(t, []string{"system: Bob joined the conversation.", "agent Bob: for the other"}, other.Saw())
		mine.Operator("Ann").Resolve()
		r.Crisp.Settle()
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Equal(t, handover.StateActive, other.Session().State)
	})
}

// A sound is the channel's to play: one for each new message of an agent, which comes with Attempt
// 1 and corrects none, and none for anything else.
func TestConnectorOneSoundForEachAgentMessage(t *testing.T) {
	sounds := 0
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if m.From == handover.FromAgent && m.Attempt == 1 && m.Corrects == "" {
				sounds++
			}
			return r.Deliver(ctx, s, m)
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		ann := conv.Operator("Ann")
		first := ann.Say("one")
		ann.Note("not for the user")
		r.Crisp.Settle()
		ann.Edit(first, "ONE")
		ann.Say("two")
		conv.Bot("Hugo").Say("I can help too")
		r.Crisp.Settle()
		require.Equal(t, 2, sounds)
	})
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return b
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}
