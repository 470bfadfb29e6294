package main

import (
	"context"
	"errors"
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

// hear takes one message of the user.
func (b *bot) hear(ctx context.Context, text string) error {
	b.heard++
	m := handover.Incoming{Conversation: conversation, ID: strconv.Itoa(b.heard), Text: text}
	turn, err := b.Receive(ctx, m)
	if err != nil || !turn.Bot {
		return err // without an error a human has it, or it answered a question of the library's
	}
	answer, needsHelp := think(text)
	err = b.Reply(ctx, turn, func(context.Context) error { return b.screen.say(handover.FromBot, answer) })
	if err == nil && needsHelp {
		_, err = b.Start(ctx, turn, b.request)
	}
	if errors.Is(err, handover.ErrNotYourTurn) {
		return nil // a human took over meanwhile, and has the user's message
	}
	return err
}
