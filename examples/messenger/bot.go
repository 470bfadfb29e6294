package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// bot answers the users of a Facebook page in Messenger, until a human does. This file and
// channel.go are what a host copies.
type bot struct {
	*handover.Handover
	channel   *channel
	answering sync.Map       // the ids of messages that are being answered
	work      sync.WaitGroup // to wait for at the end
}

// newBot connects the bot with Crisp. config says which Crisp, with which token and store.
func newBot(config handover.Config, c *channel) (*bot, error) {
	config.Deliver = c.deliver // agents' messages and the library's own sentences
	config.Typing = c.typing
	// Messenger can neither edit nor remove what was sent: without Revise an edit is delivered as a
	// correction. A history page needs History and Transcript, as in the webchat example.
	h, err := handover.New(config)
	if err != nil {
		return nil, err
	}
	return &bot{Handover: h, channel: c}, nil
}

// hear takes a message of the user. Meta is answered when it returns: on an error Meta sends the
// message again, so that nothing is lost; the library sees to it that nothing is doubled.
func (b *bot) hear(ctx context.Context, m handover.Incoming) error {
	// Until it is answered, the same message again would be answered again.
	if _, busy := b.answering.LoadOrStore(m.ID, true); busy {
		return errAnswering
	}
	turn, err := b.Receive(ctx, m)
	if err != nil || !turn.Bot {
		b.answering.Delete(m.ID)
		return err // without an error: a human has it, or it answered a question of the library's
	}
	// A bot whose answers must outlive a crash puts the turn, which is plain data, into its queue here.
	b.work.Go(func() {
		defer b.answering.Delete(m.ID)
		if err := b.answer(context.WithoutCancel(ctx), turn, m); err != nil {
			slog.Error("messenger: a message was not answered", "error", err)
		}
	})
	return nil
}

var errAnswering = errors.New("messenger: this message is being answered already")

// answer lets the bot speak, and asks for a human if the bot wants one.
func (b *bot) answer(ctx context.Context, turn handover.Turn, m handover.Incoming) error {
	user := m.Conversation.ID
	answer, needsHelp := think(m)
	err := b.Reply(ctx, turn, func(ctx context.Context) error {
		b.channel.graph.act(ctx, user, "typing_on", "")
		_, err := b.channel.graph.send(ctx, user, answer, "")
		return err
	})
	if err == nil && needsHelp {
		// The library tells the user what comes of it.
		err = b.ask(ctx, turn, handover.Request{Segments: []string{"Messenger"}, User: b.channel.graph.profile(ctx, user)})
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
