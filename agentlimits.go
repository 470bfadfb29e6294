package handover

import (
	"math"
	"slices"

	"github.com/crisphandover/handover/internal/textsplit"
)

// messageLimits bound one message. Lengths are in UTF-16 units. Zero is no limit.
type messageLimits struct {
	Text         int // of a message
	QuickReplies int // under one message
	Title        int // of a quick reply or button; less than 8, which a number and a letter need, count as 8
	Elements     int // of one generic template
	Buttons      int // of an element, or of a button template
	ElementText  int // of an element's title, and of its subtitle
	TemplateText int // of a button template's text
}

// agentLimits bound what agents make of one message, whatever they send.
var agentLimits = messageLimits{
	Text: 2000, QuickReplies: 100, Title: 200, Elements: 50, Buttons: 20, ElementText: 1000, TemplateText: 2000,
}

// minTitle is the shortest limit of titles.
const minTitle = 8

// fitTo returns the message as one or more within these limits, in order. One that is
// within them comes back as it is; one that shows nothing gives none.
//
// If there are more quick replies than the limit, or one whose title is too long, the text lists them
// all by number. The first ones are buttons as well, whose titles begin with the number, as in
// "2. Contact me back…". The user may press a button, or write its title or a number of the list: whatever
// they do chooses, as with PlainText. Quick replies stand under the last message.
//
// A text that is too long is cut between words. A template with too many elements or buttons becomes several,
// and what of an element or button is too long stands in a text before it.
func (m RichMessage) fitTo(l messageLimits) []RichMessage {
	for _, limit := range []*int{&l.Text, &l.QuickReplies, &l.Title, &l.Elements, &l.Buttons, &l.ElementText, &l.TemplateText} {
		if *limit <= 0 {
			*limit = math.MaxInt
		}
	}
	l.Title = max(l.Title, minTitle)
	m = m.listChoices(l)
	var out []RichMessage
	for _, t := range textsplit.Split(m.Text, l.Text) {
		out = append(out, TextMessage(t))
	}
	if m.Attachment != nil {
		out = append(out, m.Attachment.fitTo(l)...)
	}
	if len(out) == 0 && len(m.QuickReplies) == 0 {
		return nil
	}
	if len(out) == 0 {
		out = []RichMessage{TextMessage(more)} // quick replies without titles
	}
	last := &out[len(out)-1]
	last.QuickReplies, last.Unknown = m.QuickReplies, m.Unknown
	return out
}

// more is the text of a message that only continues the one before.
const more = "…"

// listChoices lists the quick replies in the text, if they are too many or too long, or if there is
// nothing else to show.
func (m RichMessage) listChoices(l messageLimits) RichMessage {
	long := func(q QuickReply) bool { return textsplit.Units(q.Title) > l.Title }
	if len(m.QuickReplies) <= l.QuickReplies && !slices.ContainsFunc(m.QuickReplies, long) && !(textsplit.Blank(m.Text) && m.Attachment == nil) {
		return m
	}
	titles := m.lines()
	m.Text = joinBlocks([]string{m.Text, m.unlisted()})
	m.QuickReplies = slices.Clone(m.QuickReplies[:min(len(m.QuickReplies), l.QuickReplies)])
	for i := range m.QuickReplies {
		m.QuickReplies[i].Title, _ = textsplit.Shorten(titles[i], l.Title)
	}
	return m
}

// fitTo returns the attachment as messages that stay within the limits.
func (a Attachment) fitTo(l messageLimits) []RichMessage {
	with := func(p AttachmentPayload) RichMessage {
		return RichMessage{Attachment: &Attachment{Type: a.Type, Payload: p, Unknown: a.Unknown}}
	}
	p := a.Payload
	var out []RichMessage
	say := func(text string) {
		for _, t := range textsplit.Split(text, l.Text) {
			out = append(out, TextMessage(t))
		}
	}
	switch {
	case a.Type == AttachmentTemplate && p.TemplateType == TemplateButton:
		if texts := textsplit.Split(p.Text, l.TemplateText); len(texts) > 1 {
			p.Text = texts[len(texts)-1]
			for _, t := range texts[:len(texts)-1] {
				say(t)
			}
		}
		buttons, whole := fitButtons(p.Buttons, l)
		say(whole)
		for group := range slices.Chunk(buttons, l.Buttons) {
			p.Buttons = group
			out = append(out, with(p))
			p.Text = more
		}
		return out
	case a.Type == AttachmentTemplate && p.TemplateType == TemplateGeneric:
		var cards []Element
		flush := func() {
			for group := range slices.Chunk(cards, l.Elements) {
				p.Elements = group
				out = append(out, with(p))
			}
			cards = nil
		}
		for _, e := range p.Elements {
			fitting, whole := e.fitTo(l)
			if whole != "" {
				flush()
				say(whole)
			}
			cards = append(cards, fitting...)
		}
		flush()
		return out
	}
	return []RichMessage{with(p)}
}

// fitTo returns the element once for each group of its buttons, and what of it is too long, in whole.
func (e Element) fitTo(l messageLimits) (fitting []Element, whole string) {
	buttons, whole := fitButtons(e.Buttons, l)
	title, titleFits := textsplit.Shorten(e.Title, l.ElementText)
	subtitle, subtitleFits := textsplit.Shorten(e.Subtitle, l.ElementText)
	if !titleFits || !subtitleFits {
		whole = joinLines([]string{e.Title, e.Subtitle, whole})
	}
	e.Title, e.Subtitle = title, subtitle
	if len(buttons) == 0 {
		return []Element{e}, whole
	}
	for group := range slices.Chunk(buttons, l.Buttons) {
		e.Buttons = group
		fitting = append(fitting, e)
	}
	return fitting, whole
}

// fitButtons shortens titles, and returns what those buttons say in whole.
func fitButtons(buttons []Button, l messageLimits) (fitting []Button, whole string) {
	var lines []string
	fitting = slices.Clone(buttons)
	for i := range fitting {
		b := &fitting[i]
		line, fits := b.plainText(), false
		if b.Title, fits = textsplit.Shorten(b.Title, l.Title); !fits {
			lines = append(lines, line)
		}
	}
	return fitting, joinLines(lines)
}
