package main

import (
	"context"
	"errors"
	"time"

	"github.com/crisphandover/handover"
)

// This file is all that it takes to hand a webchat's conversations to human agents. Copy it, and
// put your own channel in the place of chat and your own bot in the place of think.

// bot answers the users of a chat, until a human does.
type bot struct{ *handover.Handover }

// newBot connects the bot with Crisp. config says which Crisp, with which token and store; all that
// is the channel's is set here.
func newBot(config handover.Config, c *chat) (*bot, error) {
	config.Answer = c.answer
	config.Deliver = c.deliver         // agents' messages and the library's own sentences
	config.Revise = c.revise           // agents' edits and removals; leave it out if your channel has none
	config.AgentTyping = c.agentTyping // likewise
	config.Transcript = c.transcript   // for the history page, which agents get a link to
	config.Observe = c.observe         // so that the page can say who is speaking
	h, err := handover.New(config)
	if err != nil {
		return nil, err
	}
	return &bot{h}, nil
}

// answer lets the bot speak, and asks for a human if the bot wants one. On an error it is called again.
func (c *chat) answer(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
	c.typing(m.Conversation, "Bot", true)
	defer c.typing(m.Conversation, "Bot", false)
	select {
	case <-ctx.Done(): // a human took over while the bot was thinking, and gets the message
		return nil, ctx.Err()
	case <-time.After(thinkingTime):
	}
	answer, needsHelp := think(m.Text)
	c.say(m.Conversation, m.ID, answer)
	if !needsHelp {
		return nil, nil
	}
	// The library tells the user what comes of it. Pass on what you know of the user, from where
	// you trust it: a page can be made to say anything.
	return &handover.Request{Segments: []string{"Customer"}, User: c.room(m.Conversation.ID).who()}, nil
}

// callHuman is the page's button for users who do not want to ask the bot first.
func (b *bot) callHuman(ctx context.Context, c handover.Conversation, user handover.UserData) error {
	s, err := b.Session(ctx, c)
	if err != nil {
		return err
	}
	_, err = b.Start(ctx, s.Turn(), handover.Request{Segments: []string{"Customer"}, User: user})
	if errors.Is(err, handover.ErrNotYourTurn) {
		return nil // somebody was quicker
	}
	return err
}

// leave is the page's button back to the bot.
func (b *bot) leave(ctx context.Context, c handover.Conversation) error {
	return b.End(ctx, c, handover.EndOptions{UserLeft: true})
}
