package main

import (
	"context"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/webchat"
	"github.com/crisphandover/handover/translations"
)

// bot answers the users of a chat, until a human does. Put your own in its place.
type bot struct{ chat *webchat.Chat }

// thinkingTime makes the bot look as if it had to think.
const thinkingTime = 500 * time.Millisecond

// answer lets the bot speak, and asks for a human if the bot wants one. On an error it is called again.
func (b bot) answer(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
	b.chat.BotTyping(m.Conversation, true)
	defer b.chat.BotTyping(m.Conversation, false)
	select {
	case <-ctx.Done(): // a human took over while the bot was thinking, and gets the message
		return nil, ctx.Err()
	case <-time.After(thinkingTime):
	}
	answer, needsHelp := think(m.Text)
	if err := b.chat.SendOnce(ctx, m.Conversation.ID, m.ID, answer); err != nil || !needsHelp {
		return nil, err
	}
	visitor, err := b.chat.Visitor(ctx, m.Conversation)
	request := ask(visitor)
	return &request, err
}

// ask asks for a human, also for the page's button.
func ask(v webchat.Visitor) handover.Request {
	return handover.Request{Segments: []string{"Customer"}, User: v.User, Locale: v.Locale, NoAgent: translations.NoAgent(v.Locale)}
}

// welcome is what a user sees who has said nothing yet.
func welcome(webchat.Visitor) handover.RichMessage {
	return replies("Welcome to Acorn Bikes! I am the bot. What can I do for you?", "Where is my order?", "Opening hours", "Talk to a human")
}

// think is the bot's brain: what it answers, and whether the user needs a human.
func think(text string) (answer handover.RichMessage, needsHelp bool) {
	text = strings.ToLower(text)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("human", "person", "agent", "somebody"):
		return handover.TextMessage("Ok, I will check if an agent is available right now."), true
	case has("open", "hours"):
		return handover.TextMessage("We are open from 9 to 18, every day but Sunday."), false
	case has("order", "bike", "deliver"):
		return replies("Your bike left our workshop this morning. It should be with you on Friday.",
			"It is Friday!", "Talk to a human"), false
	case has("friday"):
		return replies("Then something went wrong, and that is beyond me.", "Talk to a human"), false
	case has("bye", "thank"):
		return handover.TextMessage("My pleasure. Ride safely!"), false
	}
	return replies("Hello, I am the bot of Acorn Bikes. How can I help?",
		"Where is my order?", "Opening hours", "Talk to a human"), false
}

// replies is a text with quick replies.
func replies(text string, titles ...string) handover.RichMessage {
	m := handover.TextMessage(text)
	for _, t := range titles {
		m.QuickReplies = append(m.QuickReplies, handover.QuickReply{ContentType: handover.ReplyText, Title: t, Payload: t})
	}
	return m
}
