package webchat

import (
	"slices"
	"strings"
	"unicode"

	"github.com/crisphandover/handover"
)

// clean returns text without control characters, but for line breaks and tabs, and without those that change the
// direction of what follows: they could make one name or address look like another.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// storable returns a text without what databases refuse. All else stays as the user wrote it, or the bot, of a payload.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// cleanMessage cleans what of a message is shown as text.
func cleanMessage(m handover.Message) handover.Message {
	m.Agent.Name = clean(m.Agent.Name)
	c := &m.Content
	c.Text = clean(c.Text)
	c.QuickReplies = slices.Clone(c.QuickReplies)
	for i := range c.QuickReplies {
		q := &c.QuickReplies[i]
		q.Title, q.Payload = clean(q.Title), storable(q.Payload)
	}
	if c.Attachment == nil {
		return m
	}
	a := *c.Attachment
	a.Payload.Text, a.Payload.Buttons = clean(a.Payload.Text), cleanButtons(a.Payload.Buttons)
	a.Payload.Elements = slices.Clone(a.Payload.Elements)
	for i := range a.Payload.Elements {
		e := &a.Payload.Elements[i]
		e.Title, e.Subtitle, e.Buttons = clean(e.Title), clean(e.Subtitle), cleanButtons(e.Buttons)
	}
	c.Attachment = &a
	return m
}

func cleanButtons(all []handover.Button) []handover.Button {
	all = slices.Clone(all)
	for i := range all {
		all[i].Title, all[i].Payload = clean(all[i].Title), storable(all[i].Payload)
	}
	return all
}
