package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// This file is all that it takes to hand a webchat's conversations to human agents. Copy it, and
// put your own channel in the place of chat and your own bot in the place of think.

// bot answers the users of a chat, until a human does.
type bot struct {
	*handover.Handover
	chat      *chat
	answering sync.Map       // the ids of messages that are being answered
	work      sync.WaitGroup // to wait for at the end
}

// newBot connects the bot with Crisp. config says which Crisp, with which token and store; all that
// is the channel's is set here.
func newBot(config handover.Config, c *chat) (*bot, error) {
	config.Deliver = c.deliver       // agents' messages and the library's own sentences
	config.Revise = c.revise         // agents' edits and removals; leave it out if your channel has none
	config.Typing = c.agentTyping    // likewise
	config.Transcript = c.transcript // for the history page, which agents get a link to
	config.Observe = c.observe       // so that the page can say who is speaking
	h, err := handover.New(config)
	if err != nil {
		return nil, err
	}
	return &bot{Handover: h, chat: c}, nil
}

// hear takes a message of the user. On an error the page sends it again, with the same id, so that
// nothing is lost; the library sees to it that nothing is doubled.
func (b *bot) hear(ctx context.Context, m handover.Incoming, user handover.UserData) error {
	// Until it is answered, the same message again would be answered again.
	key := m.Conversation.ID + "/" + m.ID
	if _, busy := b.answering.LoadOrStore(key, true); busy {
		return errAnswering
	}
	turn, err := b.Receive(ctx, m)
	if err != nil || !turn.Bot {
		b.answering.Delete(key)
		return err // without an error: a human has it, or it answered a question of the library's
	}
	// A bot whose answers must outlive a crash puts the turn, which is plain data, into its queue here.
	b.work.Go(func() {
		defer b.answering.Delete(key)
		if err := b.answer(context.WithoutCancel(ctx), turn, m, user); err != nil {
			slog.Error("webchat: a message was not answered", "error", err)
		}
	})
	return nil
}

var errAnswering = errors.New("webchat: this message is being answered already")

// answer lets the bot speak, and asks for a human if the bot wants one.
func (b *bot) answer(ctx context.Context, turn handover.Turn, m handover.Incoming, user handover.UserData) error {
	needsHelp := false
	err := b.Reply(ctx, turn, func(ctx context.Context) error {
		b.chat.typing(m.Conversation, "Bot", true)
		defer b.chat.typing(m.Conversation, "Bot", false)
		select {
		case <-ctx.Done(): // a human took over while the bot was thinking
			return ctx.Err()
		case <-time.After(thinkingTime):
		}
		answer, help := think(m.Text)
		needsHelp = help
		b.chat.say(m.Conversation, m.ID, answer)
		return nil
	})
	if err == nil && needsHelp {
		// The library tells the user what comes of it. Pass on what you know of the user, from
		// where you trust it: a page can be made to say anything.
		err = b.ask(ctx, turn, handover.Request{Segments: []string{"Customer"}, User: user})
	}
	if errors.Is(err, handover.ErrNotYourTurn) {
		return nil // a human took over meanwhile, and has the user's message
	}
	return err
}

// ask asks for a human, again when that fails (the store is down): the bot has announced it.
func (b *bot) ask(ctx context.Context, turn handover.Turn, r handover.Request) error {
	for wait := time.Second; ; wait *= 2 {
		outcome, err := b.Start(ctx, turn, r)
		if err == nil || outcome != "" || errors.Is(err, handover.ErrNotYourTurn) || wait > time.Minute {
			return err
		}
		time.Sleep(wait)
	}
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
	return b.End(ctx, c, handover.EndOptions{Reason: handover.EndUserLeft})
}
