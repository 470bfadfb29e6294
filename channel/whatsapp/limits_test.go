package whatsapp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/whatsapp"
)

// FuzzDeliver makes messages of every kind of these words and numbers: nothing is sent that Meta would not take.
func FuzzDeliver(f *testing.F) {
	f.Add("Which *bike*?", "The red one", "RED", 3, 2, true)
	f.Add(strings.Repeat("word ", 700), strings.Repeat("title ", 30), strings.Repeat("payload ", 200), 40, 20, false)
	f.Add("", "", "", 14, 11, true)
	f.Add("👩‍👩‍👧‍👦", "👍🏽", " ", 1, 1, false)
	f.Fuzz(func(t *testing.T, text, title, payload string, choices, cards int, agent bool) {
		choices, cards = choices&15, cards&15
		fake := channeltest.NewWhatsApp()
		fake.User("1")
		number, err := whatsapp.New(whatsapp.Config{PhoneNumberID: fake.PhoneNumberID(), Token: handover.NewSecret(fake.Token()), Client: fake.Client(), BaseURL: fake.URL()})
		require.NoError(t, err)
		m := handover.Message{From: handover.FromSystem, Content: handover.RichMessage{Text: text}}
		if agent {
			m.From, m.Agent = handover.FromAgent, handover.Agent{Name: title}
		}
		var buttons []handover.Button
		for i := range choices {
			m.Content.QuickReplies = append(m.Content.QuickReplies, handover.QuickReply{Title: fmt.Sprint(title, i%7), Payload: payload})
			kind := []string{handover.ButtonURL, handover.ButtonPostback, handover.ButtonPhone}[i%3]
			buttons = append(buttons, handover.Button{Type: kind, Title: title, URL: "https://a.invalid/", Payload: payload})
		}
		var elements []handover.Element
		for i := range cards {
			elements = append(elements, handover.Element{ImageURL: []string{"", "https://cdn.invalid/a.png"}[i%2], Title: title[:min(len(title), i*20)], Subtitle: text[:min(len(text), i*50)], Buttons: buttons[:min(len(buttons), i%6)]})
		}
		button := handover.AttachmentPayload{TemplateType: handover.TemplateButton, Text: text, Buttons: buttons}
		generic := handover.AttachmentPayload{TemplateType: handover.TemplateGeneric, Elements: elements}
		for i, a := range []*handover.Attachment{nil, {Type: handover.AttachmentTemplate, Payload: button}, {Type: handover.AttachmentTemplate, Payload: generic},
			{Type: handover.AttachmentFile, Payload: handover.AttachmentPayload{URL: "https://cdn.invalid/a"}},
			{Type: handover.AttachmentImage, Payload: handover.AttachmentPayload{URL: "https://cdn.invalid/" + strings.Repeat("a", 900)}}} {
			m.ID, m.Content.Attachment = fmt.Sprint(i), a
			if m.File = nil; a != nil && a.Type == handover.AttachmentImage {
				m.File = &handover.File{MIMEType: "image/webp"} // which WhatsApp does not take
			}
			_, _ = number.Deliver(t.Context(), handover.Session{Conversation: handover.Conversation{Source: "whatsapp", ID: "1"}}, m)
			require.Empty(t, fake.Faults())
		}
	})
}
