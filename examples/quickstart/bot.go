package main

import (
	"context"
	"strconv"

	"github.com/crisphandover/handover"
)

// bot answers one user, until a human does. This file is all that handing over takes.
type bot struct {
	*handover.Handover
	screen  *screen
	request handover.Request // what it says when it asks for a human
	heard   int
}

// hear takes one message of the user. The library has the bot answer it, or gives it to the agent.
func (b *bot) hear(ctx context.Context, text string) error {
	b.heard++
	return b.Handle(ctx, handover.Incoming{Conversation: conversation, ID: strconv.Itoa(b.heard), Text: text})
}

// answer answers a message of the user; it is Config.Answer.
func (b *bot) answer(_ context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
	answer, needsHelp := think(m.Text)
	b.screen.say(handover.FromBot, answer)
	if needsHelp {
		return &b.request, nil
	}
	return nil, nil
}
