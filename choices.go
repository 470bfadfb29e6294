package handover

import (
	"errors"
	"fmt"
	"slices"
)

// Choices are payloads of quick replies. A choice matches by its payload, by the title of the quick
// reply that carries it, since keyboards send titles, or by the number that RichMessage.PlainText
// gives it.
type Choices struct {
	// Email asks for an answer by email. Default: "Contact me back via email".
	Email string
	// Bot goes back to the bot. Default: "Continue with the bot".
	Bot string
}

// check refuses choices that the host has set and no user can make. Those that are not set need no
// quick reply: a host may offer only one of them, or none.
func (c Choices) check(messages []RichMessage) error {
	var faults []error
	for _, choice := range []struct{ name, payload string }{{"Email", c.Email}, {"Bot", c.Bot}} {
		if choice.payload != "" && !slices.ContainsFunc(messages, func(m RichMessage) bool { return m.offers(choice.payload) }) {
			faults = append(faults, fmt.Errorf("no message of NoAgent has the payload Choices.%s: give it to a quick reply there, or leave Choices.%[1]s empty", choice.name))
		}
	}
	if c.Email != "" && means(c.Email, c.Bot) {
		faults = append(faults, errors.New("the payloads Choices.Email and Choices.Bot must differ"))
	}
	return errors.Join(faults...)
}

// offers reports whether a quick reply or button of the message makes the choice with this payload.
func (m RichMessage) offers(payload string) bool {
	button := func(b Button) bool { return b.Payload == payload }
	quick := func(q QuickReply) bool { return q.Payload == payload || means(q.Title, payload) }
	if slices.ContainsFunc(m.QuickReplies, quick) {
		return true
	}
	return m.Attachment != nil && (slices.ContainsFunc(m.Attachment.Payload.Buttons, button) ||
		slices.ContainsFunc(m.Attachment.Payload.Elements, func(e Element) bool { return slices.ContainsFunc(e.Buttons, button) }))
}

// noAgent is what the offer shows.
func (rec *record) noAgent() []RichMessage {
	if rec.Offer != nil && len(rec.Offer.Request.NoAgent) > 0 {
		return rec.Offer.Request.NoAgent
	}
	return rec.env.cfg.NoAgent
}

// choice returns the offer's quick reply with this payload; one of the same title if there is none.
func (rec *record) choice(payload string) QuickReply {
	for _, m := range rec.noAgent() {
		for _, q := range m.QuickReplies {
			if q.Payload == payload {
				return q
			}
		}
	}
	return QuickReply{ContentType: "text", Title: payload, Payload: payload}
}
