package handover

import (
	"strings"

	"github.com/crisphandover/handover/internal/historypage"
)

// historyOf is a conversation as the history page shows it.
func historyOf(c Conversation, head []HistoryField, all []Message) historypage.Conversation {
	h := historypage.Conversation{Title: c.Source + " " + c.ID, Count: len(all), Message: func(i int) historypage.Message { return onPage(all[i]) }}
	for _, f := range head {
		h.Head = append(h.Head, historypage.Field(f))
	}
	return h
}

// onPage is a message as the history page shows it.
func onPage(m Message) historypage.Message {
	p := historypage.Message{At: m.At, Text: m.WithoutMarkdown().Content.Text, File: fileOnPage(m)}
	p.Author, p.Class = authorOnPage(m)
	for _, q := range m.Content.QuickReplies {
		p.Choices = append(p.Choices, historypage.Choice{Title: choiceOnPage(q), Picture: q.ImageURL})
	}
	if a := m.Content.Attachment; a != nil && a.Type == "template" {
		p.Panel = &historypage.Panel{Text: a.Payload.Text, Buttons: buttonsOnPage(a.Payload.Buttons)}
		for _, e := range a.Payload.Elements {
			card := historypage.Card{Title: e.Title, Subtitle: e.Subtitle, Picture: e.ImageURL, Buttons: buttonsOnPage(e.Buttons)}
			if e.DefaultAction != nil {
				card.URL = e.DefaultAction.URL
			}
			p.Panel.Cards = append(p.Panel.Cards, card)
		}
	}
	return p
}

// authorOnPage returns who wrote the message, and the class that the page shows it in.
func authorOnPage(m Message) (name, class string) {
	switch m.From {
	case FromUser:
		return "User", "user"
	case FromBot:
		return "Bot", "bot"
	case FromSystem:
		return "System", "system"
	case FromAgent:
		if name := strings.TrimSpace(m.Agent.Name); name != "" {
			return name + " (agent)", "agent"
		}
		return "Agent", "agent"
	}
	return "Unknown", "other"
}

// choiceOnPage returns what a quick reply says.
func choiceOnPage(q QuickReply) string {
	switch {
	case q.Title != "":
		return q.Title
	case q.ContentType == ReplyEmail:
		return "(the user's email address)"
	case q.ContentType == "user_phone_number":
		return "(the user's phone number)"
	}
	return q.Payload
}

func buttonsOnPage(all []Button) (buttons []historypage.Button) {
	for _, b := range all {
		buttons = append(buttons, historypage.Button{Title: b.Title, URL: b.URL})
	}
	return buttons
}

// fileOnPage returns the file that a message shows, or nil.
func fileOnPage(m Message) *historypage.File {
	var f File
	kind := AttachmentFile
	if a := m.Content.Attachment; a != nil {
		f.URL, kind = a.Payload.URL, a.Type
	}
	if m.File != nil {
		f = *m.File
	}
	if f == (File{}) {
		return nil
	}
	return &historypage.File{URL: f.URL, Name: f.Name, MIMEType: f.MIMEType, Kind: kind, Size: f.Size, Duration: f.Duration, Picture: kind == AttachmentImage}
}
