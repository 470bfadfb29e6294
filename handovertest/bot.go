package handovertest

import (
	"slices"
	"time"
)

// botOrigin is that of Crisp's own bot.
const botOrigin = "urn:crisp.im:bot:0"

// triggerOrigin is that of the triggers of a chatbox.
const triggerOrigin = "urn:crisp.im:triggers:0"

// Bot is another bot in the inbox: Crisp's own AI, or a workflow. It answers each message of a
// user, and falls silent in a conversation once a person has written there, or it was moved out of
// the bot's Inbox. To Crisp's own AI a person is whoever writes as an operator without the mark
// automated, a note too; one integration relies on that.
type Bot struct {
	// Name is the nickname; "Hugo" by default.
	Name string
	// Origin is that of its messages; "urn:crisp.im:bot:0" by default. Human leaves the mark
	// automated out.
	Origin string
	Human  bool
	// Answer says what it answers; a fixed sentence by default.
	Answer func(text string) string
	// Delay is how long it takes.
	Delay time.Duration
	// Inbox is the id of the sub-inbox that new conversations start in; "": the main one.
	Inbox string
	// Stays keeps it answering whatever people do.
	Stays bool
}

func (b Bot) withDefaults() Bot {
	if b.Name == "" {
		b.Name = "Hugo"
	}
	if b.Origin == "" {
		b.Origin = botOrigin
	}
	if b.Answer == nil {
		b.Answer = func(string) string { return "I am a bot, and I am sure that I can help." }
	}
	return b
}

// Rule is a routing rule: a conversation with that segment, or any conversation if Segment is
// empty, is assigned to an operator, or moved to a sub-inbox, or both.
type Rule struct {
	Segment  string
	Operator string // a name
	Inbox    string // an id
}

// applyRules runs the first rule that fits, if nobody is assigned. The caller holds the lock.
func (v *Conversation) applyRules() {
	s := v.last()
	if s.assigned != "" {
		return
	}
	for _, r := range v.crisp.options.Rules {
		if r.Segment != "" && !slices.Contains(s.meta.Segments, r.Segment) {
			continue
		}
		if r.Inbox != "" {
			v.setInbox(r.Inbox)
		}
		if r.Operator != "" {
			v.assign(v.crisp.person(r.Operator).id)
		}
		return
	}
}

// wakeBot lets the other bot answer a user. The caller holds the lock.
func (v *Conversation) wakeBot(m *message) {
	bot := v.crisp.options.Bot
	if bot == nil || v.botSilent(bot) {
		return
	}
	question := m.public().Text()
	v.crisp.spawn(bot.Delay, func() {
		text := bot.Answer(question)
		v.crisp.mu.Lock()
		defer v.crisp.mu.Unlock()
		if text == "" || v.botSilent(bot) {
			return
		}
		v.post(&message{
			Message: Message{
				Type: "text", From: "operator", Origin: bot.Origin, Nickname: bot.Name, Automated: !bot.Human,
			},
			raw: encode(text), userType: "participant",
		})
	})
}

// botSilent says whether the other bot keeps out of the conversation. The caller holds the lock.
func (v *Conversation) botSilent(bot *Bot) bool {
	s := v.last()
	if bot.Stays || s.removed {
		return s.removed
	}
	human := slices.ContainsFunc(s.messages, func(m *message) bool {
		return m.takesOver() && m.Origin != bot.Origin
	})
	return human || s.inbox != bot.Inbox
}

// takesOver says whether another bot takes the message for a person's.
func (m *message) takesOver() bool {
	return m.From == "operator" && !m.Automated && m.Type != "event" && m.Origin != triggerOrigin
}
