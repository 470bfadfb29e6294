package systemtest

import (
	"github.com/crisphandover/handover/internal/systemtest/rig"

	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// Nobody knows all that Crisp does: the same flow must come out of each Crisp that may be.
func TestTheWholeFlowInEveryCrispThatMayBe(t *testing.T) {
	t.Parallel()
	for name, crisp := range map[string]handovertest.Options{
		"fingerprints of its own":         {OwnFingerprints: true},
		"repeated fingerprints refused":   {Repeated: handovertest.RepeatedRefused},
		"repeated fingerprints dropped":   {Repeated: handovertest.RepeatedDropped},
		"answers from a cache":            {CacheFor: 30 * time.Second},
		"two messages at one time":        {Ties: true},
		"a clock that is ahead":           {Skew: 3 * time.Hour},
		"a clock that is behind":          {Skew: -3 * time.Hour},
		"a clock that is days ahead":      {Skew: 47 * time.Hour},
		"a clock that is days behind":     {Skew: -47 * time.Hour},
		"events in the log":               {EventMessages: true},
		"data replaced":                   {DataReplaced: true},
		"a website token and its hooks":   {Tier: "website", Hooks: handovertest.WebsiteHooks},
		"a user token":                    {Tier: "user"},
		"rules that assign by themselves": {Rules: []handovertest.Rule{{Operator: "Bob"}}},
		"another bot that answers":        {Bot: &handovertest.Bot{}},
		"another bot that never stops":    {Bot: &handovertest.Bot{Stays: true, Delay: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			o := rig.Options{Crisp: crisp, Config: func(r *rig.Rig, c *handover.Config) {
				c.Token.Tier = handover.Tier(r.Crisp.Tier())
				c.Webhook.URLKeys = r.HookKeys()
			}}
			rig.Bubble(t, o, func(r *rig.Rig) {
				for round := range 2 {
					wholeFlow(r, round)
				}
				require.Len(t, r.Ends(), 2)
			})
		})
	}
}

// wholeFlow is a handover from the question to the bot's next answer.
func wholeFlow(r *rig.Rig, round int) {
	t := r.T
	require.True(t, r.Says("hello").Bot)
	require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: handover.UserData{Data: map[string]any{"round": float64(round)}}}))
	conv := r.Crisp.Last()
	r.After(5 * time.Second)
	require.Equal(t, handover.StateWaiting, r.Session().State)
	r.Saw()
	before := len(ours(conv))
	for i := range 5 {
		require.False(t, r.Says(fmt.Sprint("question ", i)).Bot)
		time.Sleep(time.Millisecond) // messages of one time have no order
	}
	r.After(5 * time.Second)
	require.Equal(t, []string{"question 0", "question 1", "question 2", "question 3", "question 4"}, ours(conv)[before:])

	ann := conv.Operator("Ann")
	ann.Note("private")
	fp := ann.Say("one")
	time.Sleep(time.Millisecond)
	ann.Say("two")
	r.After(5 * time.Second)
	ann.Edit(fp, "one, edited")
	r.After(5 * time.Second)
	require.Equal(t, []string{"agent Ann: one", "agent Ann: two", "agent Ann: one, edited"}, rig.AgentsIn(r.Saw()))
	require.Equal(t, handover.StateActive, r.Session().State)
	r.Says("thanks")
	time.Sleep(time.Millisecond)
	ann.Say("bye")
	ann.Resolve()
	r.After(20 * time.Second)
	lines := r.Saw()
	require.Equal(t, []string{"agent Ann: bye"}, rig.AgentsIn(lines))
	require.Equal(t, "system: This conversation was closed. You are talking with the bot again.", lines[len(lines)-1])
	require.Equal(t, handover.StateBot, r.Session().State)
	end := r.Ends()[round]
	require.Equal(t, handover.EndResolved, end.Reason)
	var said []string
	for _, m := range end.Messages {
		said = append(said, strings.TrimSpace(m.Content.Text))
	}
	require.Equal(t, []string{"question 0", "question 1", "question 2", "question 3", "question 4", "one, edited", "two", "thanks", "bye"}, said)
	require.True(t, r.Says("and now?").Bot)
	require.NotContains(t, strings.Join(lines, "\n"), "private")
	r.After(time.Minute)
}

// ours are the texts that the library posted for the user.
func ours(c *handovertest.Conversation) (texts []string) {
	for _, m := range c.Messages() {
		if m.From == "user" && m.Type == "text" {
			texts = append(texts, m.Text())
		}
	}
	return texts
}

func TestLostAnswersWithFingerprintsOfCrispsOwn(t *testing.T) {
	o := rig.Options{Crisp: handovertest.Options{OwnFingerprints: true}}
	for name, hooks := range map[string]bool{"with the echo": true, "without it": false} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, o, func(r *rig.Rig) {
				conv := r.Opened()
				r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
					return handovertest.HookFault{Drop: !hooks && i.Event == "message:send"}
				})
				for i := range 4 {
					if i%2 == 0 {
						r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, CutAfter: true})
					}
					require.False(t, r.Says("the same words").Bot)
				}
				r.After(time.Minute)
				require.Equal(t, []string{"the same words", "the same words", "the same words", "the same words"}, rig.UserTexts(conv)[1:])
				require.Equal(t, handover.StateWaiting, r.Session().State)
			})
		})
	}
}

// Users repeat themselves: what they wrote long ago is no proof that Crisp has it once more.
func TestALostMessageIsNotTakenForAnOlderOne(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.Says("ok")
		for i := range 80 { // more than are known by their fingerprints
			r.Says(fmt.Sprint(i))
		}
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, CutBefore: true})
		r.Says("ok")
		texts := rig.UserTexts(conv)
		require.Equal(t, "ok", texts[len(texts)-1])
	})
}
