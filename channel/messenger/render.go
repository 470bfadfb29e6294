package messenger

import (
	"slices"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

// Limits of the Send API, from Meta's reference: "Message object", "Quick replies", "Button template", "Generic
// template" and "Buttons". Meta does not say what a character is there; UTF-16 units are on the safe side.
const (
	maxText       = 2000
	maxReplies    = 13
	maxTitle      = 20
	maxPayload    = 1000
	maxElements   = 10
	maxCardText   = 80
	maxButtons    = 3   // of a template
	maxButtonText = 640 // of a button template
)

// Capabilities is what Messenger can show. Names is false: whether agents have a persona is found out for each.
func (c *Channel) Capabilities() channel.Capabilities {
	return channel.Capabilities{
		Unit: channel.UTF16, Text: maxText,
		Buttons: maxReplies, Title: maxTitle, Links: true,
		Cards: maxElements, CardButtons: maxButtons, CardText: maxCardText,
		Files: channel.FilesByURL, Typing: true,
	}
}

// render returns a message as parts, each of which is one call of the Send API.
func (c *Channel) render(m handover.Message, named bool) (parts []channel.Part) {
	can := c.Capabilities()
	can.Names = named
	for _, p := range can.Render(m) {
		parts = append(parts, fit(p)...)
	}
	return askFor(parts, m.Content.QuickReplies)
}

// askFor puts what Messenger fills in by itself, the user's address and phone number, under the last part.
func askFor(parts []channel.Part, replies []handover.QuickReply) []channel.Part {
	for _, q := range replies {
		if q.ContentType != handover.ReplyEmail && q.ContentType != handover.ReplyPhone {
			continue
		}
		if n := len(parts) - 1; n >= 0 && len(parts[n].Buttons) < maxReplies && !slices.ContainsFunc(parts[n].Buttons, isLink) {
			parts[n].Buttons = append(parts[n].Buttons, channel.Button{Payload: q.ContentType})
		}
	}
	return parts
}

func isLink(b channel.Button) bool { return b.URL != "" }

// bare reports whether a card has nothing but a title, which the Send API refuses.
func bare(c channel.Card) bool {
	return c.Subtitle == "" && c.Image == "" && c.URL == "" && len(c.Buttons) == 0
}

// fit returns a part as parts that are one call each. Buttons are quick replies, unless one is a link: links stand
// in button templates, of up to three, and the quick replies under the last message.
func fit(p channel.Part) (fitting []channel.Part) {
	if len(p.Cards) > 0 {
		return fitCards(p.Cards)
	}
	var links, replies []channel.Button
	for _, b := range p.Buttons {
		if isLink(b) {
			links = append(links, b)
		} else {
			replies = append(replies, b)
		}
	}
	if len(links) == 0 {
		return []channel.Part{p}
	}
	if len(p.Buttons) <= maxButtons && p.File == nil && channel.UTF16.Len(p.Text) <= maxButtonText && len(p.Listed) == 0 {
		return []channel.Part{p} // one template holds it all
	}
	text := p
	text.Buttons = nil
	if text.File != nil || channel.UTF16.Len(p.Text) > maxButtonText {
		fitting = append(fitting, text)
		text = channel.Part{Text: more, Plain: more}
	}
	text.Listed = nil
	for group := range slices.Chunk(links, maxButtons) {
		text.Buttons = group
		fitting = append(fitting, text)
		text = channel.Part{Text: more, Plain: more}
	}
	if len(replies) > 0 {
		fitting = append(fitting, channel.Part{Text: more, Plain: more, Buttons: replies, Listed: p.Listed})
	}
	return fitting
}

// more is the text of a message that only has buttons.
const more = "…"

// fitCards returns cards side by side, and those that have only a title as texts.
func fitCards(cards []channel.Card) (fitting []channel.Part) {
	var row []channel.Card
	flush := func() {
		if len(row) > 0 {
			fitting = append(fitting, channel.Part{Cards: row})
		}
		row = nil
	}
	for _, card := range cards {
		if bare(card) {
			flush()
			fitting = append(fitting, channel.Part{Text: card.Title, Plain: card.Title})
			continue
		}
		row = append(row, card)
	}
	flush()
	return fitting
}

// written is a part in the Send API's syntax. data is what a button sends for a payload.
func written(p channel.Part, data func(payload string) string) (m handover.RichMessage) {
	switch {
	case len(p.Cards) > 0:
		m.Attachment = template(handover.AttachmentPayload{TemplateType: handover.TemplateGeneric, Elements: elements(p.Cards, data)})
	case p.File != nil:
		m.Attachment = &handover.Attachment{Type: p.Kind, Payload: handover.AttachmentPayload{URL: p.File.URL}}
	case slices.ContainsFunc(p.Buttons, isLink):
		m.Attachment = template(handover.AttachmentPayload{TemplateType: handover.TemplateButton, Text: p.Text, Buttons: buttons(p.Buttons, data)})
		return m
	default:
		m.Text = p.Text
	}
	for i, b := range p.Buttons {
		if b.Title == "" { // askFor
			m.QuickReplies = append(m.QuickReplies, handover.QuickReply{ContentType: b.Payload})
			continue
		}
		if b.Payload == "" { // the Send API wants one
			if b.Payload = b.Title; i < len(p.Listed) {
				b.Payload = p.Listed[i].Title
			}
		}
		m.QuickReplies = append(m.QuickReplies, handover.QuickReply{ContentType: handover.ReplyText, Title: b.Title, Payload: data(b.Payload), ImageURL: b.Image})
	}
	return m
}

func template(p handover.AttachmentPayload) *handover.Attachment {
	return &handover.Attachment{Type: handover.AttachmentTemplate, Payload: p}
}

func elements(cards []channel.Card, data func(string) string) (all []handover.Element) {
	for _, c := range cards {
		e := handover.Element{Title: c.Title, Subtitle: c.Subtitle, ImageURL: c.Image, Buttons: buttons(c.Buttons, data)}
		if c.URL != "" {
			e.DefaultAction = &handover.Button{Type: handover.ButtonURL, URL: c.URL}
		}
		all = append(all, e)
	}
	return all
}

func buttons(all []channel.Button, data func(string) string) (made []handover.Button) {
	for _, b := range all {
		switch {
		case isLink(b):
			made = append(made, handover.Button{Type: handover.ButtonURL, Title: b.Title, URL: b.URL})
		case b.Payload == "":
			made = append(made, handover.Button{Type: handover.ButtonPostback, Title: b.Title, Payload: data(b.Title)})
		default:
			made = append(made, handover.Button{Type: handover.ButtonPostback, Title: b.Title, Payload: data(b.Payload)})
		}
	}
	return made
}
