package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/llm"
)

// seen is what the user writes and sees, and what the model does.
const seen = `user: My invoice 42 is wrong. I want a human
bot: I will ask for a person.
(the model calls ask_for_human: {"reason": "The user wants a human.", "summary": "Invoice 42 has a wrong amount.", "category": "billing"})
(the model hears: NobodyThere)
bot: Nobody is there at the moment, so let me try: which amount is wrong?
system: It seems that nobody is available right now 

1. Contact me back via email
2. Continue with the bot
user: It says 100 and must be 10
bot: Thank you. I cannot change that myself, but I will remember it.
user: Is a human there now?
bot: I will ask for a person.
(the model calls ask_for_human: {"reason": "The user wants a human.", "summary": "Invoice 42 has a wrong amount.", "category": "billing"})
(the model hears: Asked)
system: A person will be with you soon. You can already describe your question.

Back to the bot
user: Invoice 42 says 100 and must be 10
system: Ann joined the conversation.
agent Ann: I have corrected invoice 42: it says 10 now.
system: This conversation was closed. You are talking with the bot again.
user: What about my invoice?
bot: It is settled, you need no person for it. The agent wrote: I have corrected invoice 42: it says 10 now.
`

func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, play(t.Context(), &out))
		sentences := llm.DefaultSentences()
		text := strings.NewReplacer(sentences.NobodyThere, "NobodyThere", sentences.Asked, "Asked").Replace(out.String())
		// The conversation is opened while the model hears of it: either line may come first.
		const hears = "(the model hears: Asked)\n"
		require.Equal(t, 1, strings.Count(text, hears))
		require.Equal(t, strings.Replace(seen, hears, "", 1), strings.Replace(text, hears, "", 1))
	})
}

// TestStoryInterrupted stops before the beginning.
func TestStoryInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, play(ctx, new(bytes.Buffer)), context.Canceled)
	})
}

// The part of a handover is in the history once, however often OnEnd is called.
func TestOnEndIsCalledAgain(t *testing.T) {
	b := &bot{history: map[handover.Conversation][]message{}, ended: map[string]bool{}}
	for range 2 {
		require.NoError(t, b.onEnd(t.Context(), handover.Session{Conversation: conversation}, handover.Summary{HandoverID: "1"}))
	}
	require.Len(t, b.history[conversation], 1)
}

// fails is a model that cannot be reached, or that calls the tool without end.
type fails struct{ err error }

func (m fails) complete(_ context.Context, _ string, tool *llm.Tool, _ []message) (message, error) {
	return message{Role: "assistant", Call: &call{tool.Name, "{"}}, m.err
}

func TestAnswerWhenTheModelFails(t *testing.T) {
	crisp := strings.Repeat("identifier", 4)
	b, err := newBot(handover.Config{
		WebsiteID: "7a3c5e10-6f0b-4d55-9c1e-000000000001", Sources: []string{"nowhere"},
		Token: handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(crisp), Key: handover.NewSecret(strings.Repeat("key", 10))},
	}, fails{errors.New("no network")}, func(string, string) {})
	require.NoError(t, err)
	_, err = b.answer(t.Context(), handover.Turn{}, handover.Incoming{Conversation: conversation})
	require.EqualError(t, err, "no network", "the library calls it again")
	require.Empty(t, b.history[conversation])

	b.model = fails{}
	s, err := b.Session(t.Context(), conversation)
	require.NoError(t, err)
	_, err = b.answer(t.Context(), s.Turn(), handover.Incoming{Conversation: conversation})
	require.NoError(t, err)
	require.Len(t, b.history[conversation], 1+2*maxCalls, "the user's words, and calls with their results")
}
