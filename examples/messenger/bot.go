package main

import (
	"context"
	"errors"
	"strings"

	"github.com/crisphandover/handover"
)

// newBot makes a bot that answers the users of a Facebook page in Messenger, until a human does. This file
// and channel.go are what a host copies. config says which Crisp, with which token and store.
func newBot(config handover.Config, c *channel) (*handover.Handover, error) {
	config.Answer = c.answer
	config.Deliver = c.deliver // agents' messages and the library's own sentences
	config.AgentTyping = c.typing
	// Messenger can neither edit nor remove what was sent: without Revise an edit is delivered as a
	// correction. A history page needs History and Transcript, as in the webchat example.
	return handover.New(config)
}

// answer lets the bot speak, and asks for a human if the bot wants one. On an error it is called again.
func (c *channel) answer(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
	user := m.Conversation.ID
	answer, needsHelp := think(m)
	c.graph.act(ctx, user, "typing_on", "")
	_, err := c.graph.send(ctx, user, answer, "")
	switch {
	case errors.Is(err, handover.ErrUserAway):
		return nil, nil // neither the bot nor a human can reach the user
	case err != nil || !needsHelp:
		return nil, err
	}
	// The library tells the user what comes of it.
	return &handover.Request{Segments: []string{"Messenger"}, User: c.graph.profile(ctx, user)}, nil
}

// think is the bot's brain: what it answers, and whether the user needs a human.
func think(m handover.Incoming) (answer handover.RichMessage, needsHelp bool) {
	said := strings.ToLower(m.Text + " " + m.Payload)
	switch {
	case strings.Contains(said, "human"):
		return handover.TextMessage("Ok, I will check if an agent is available right now."), true
	case strings.Contains(said, "open"):
		return handover.TextMessage("We are open from 9 to 18, every day but Sunday."), false
	}
	answer = handover.TextMessage("Hello, I am a bot. Ask me when we open, or for a human.")
	for _, title := range []string{"When do you open?", "Talk to a human"} {
		answer.QuickReplies = append(answer.QuickReplies, handover.QuickReply{ContentType: "text", Title: title, Payload: title})
	}
	return answer, false
}
