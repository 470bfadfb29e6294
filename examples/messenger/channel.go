package main

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/crisphandover/handover"
	channels "github.com/crisphandover/handover/channel"
)

// channel shows messages to users in Messenger.
type channel struct {
	graph *graph
	shown memory
}

// limits are what the Send API takes.
var limits = channels.Capabilities{
	Unit: channels.UTF16, Text: 2000, Buttons: 13, Title: 20, Cards: 10, CardButtons: 3, CardText: 80, Files: channels.FilesByURL, Names: true,
}

// deliver shows a message of an agent's or of the library's.
func (c *channel) deliver(ctx context.Context, s handover.Session, m handover.Message) (channelID string, err error) {
	content := m
	content.Corrects = "" // signed says so
	parts := limits.Render(content)
	for i, part := range parts {
		m := m
		if m.Content = contentOf(part); len(parts) > 1 {
			m.ID += "/" + strconv.Itoa(i+1)
		}
		if channelID, err = c.send(ctx, s, m); err != nil {
			return "", err
		}
	}
	return channelID, nil
}

// contentOf writes a part in the Send API's syntax, which is that of our RichMessage.
func contentOf(p channels.Part) (m handover.RichMessage) {
	m.Text = p.Text
	for _, b := range p.Buttons {
		m.QuickReplies = append(m.QuickReplies, handover.QuickReply{ContentType: handover.ReplyText, Title: b.Title, Payload: b.Payload, ImageURL: b.Image})
	}
	if p.File != nil {
		m.Attachment = &handover.Attachment{Type: p.Kind, Payload: handover.AttachmentPayload{URL: p.File.URL}}
	}
	if len(p.Cards) == 0 {
		return m
	}
	cards := handover.AttachmentPayload{TemplateType: handover.TemplateGeneric}
	for _, c := range p.Cards {
		e := handover.Element{Title: c.Title, Subtitle: c.Subtitle, ImageURL: c.Image}
		for _, b := range c.Buttons {
			button := handover.Button{Type: handover.ButtonPostback, Title: b.Title, Payload: b.Payload, URL: b.URL}
			if b.URL != "" {
				button.Type = handover.ButtonURL
			}
			e.Buttons = append(e.Buttons, button)
		}
		cards.Elements = append(cards.Elements, e)
	}
	m.Attachment = &handover.Attachment{Type: handover.AttachmentTemplate, Payload: cards}
	return m
}

// send shows what fits one message of Messenger's.
func (c *channel) send(ctx context.Context, s handover.Session, m handover.Message) (channelID string, err error) {
	if id, ok := c.shown.recall(m.ID); ok {
		return id, nil // it was sent, and only our note of it was lost
	}
	user := s.Conversation.ID
	persona := ""
	if m.From == handover.FromAgent && m.Corrects == "" {
		persona = c.graph.persona(ctx, m.Agent)
	}
	if persona != "" {
		channelID, err = c.graph.send(ctx, user, m.Content, persona)
		if e, ok := errors.AsType[*graphError](err); !ok || e.Code != codeInvalid {
			c.shown.keep(m.ID, channelID, err)
			return channelID, err
		}
	}
	name, content := signed(m)
	if _, said := c.shown.recall(m.ID + "/name"); name != "" && !said {
		if _, err = c.graph.send(ctx, user, handover.TextMessage(name), ""); err != nil {
			return "", err
		}
		c.shown.keep(m.ID+"/name", "", nil) // what follows may have to be tried again
	}
	if channelID, err = c.graph.send(ctx, user, content, ""); err != nil {
		return "", err
	}
	if persona != "" {
		c.graph.forget(m.Agent) // somebody deleted the persona, or this page may have none
	}
	c.shown.keep(m.ID, channelID, nil)
	return channelID, nil
}

// signed puts the agent's name before a message, since it comes from the page. Where it does not
// fit, it is returned, to be a message of its own.
func signed(m handover.Message) (name string, content handover.RichMessage) {
	if m.From != handover.FromAgent {
		return "", m.Content
	}
	who := m.Agent.Name
	if who == "" {
		who = "Agent"
	}
	if m.Corrects != "" {
		who += " (correction)"
	}
	text := who + ": " + m.Content.Text
	if m.Content.Text == "" || len(utf16.Encode([]rune(text))) > limits.Text {
		return who + ":", m.Content
	}
	m.Content.Text = text
	return "", m.Content
}

const typingTime = 5 * time.Second // for a hint that somebody is typing

// typing shows that an agent is typing. It returns at once, as the library asks.
func (c *channel) typing(ctx context.Context, s handover.Session, t handover.AgentTyping) {
	action := "typing_off"
	if t.On {
		action = "typing_on"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), typingTime)
	go func() {
		defer cancel()
		c.graph.act(ctx, s.Conversation.ID, action, c.graph.known(t.Agent))
	}()
}

// maxMemory is how many messages are remembered as shown.
const maxMemory = 10_000

// memory remembers which messages were shown, so that none is shown twice when the library tries
// again. It ends with the process; a host with a database keeps it there.
type memory struct {
	mu    sync.Mutex
	ids   map[string]string
	order []string
}

func (m *memory) recall(id string) (channelID string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	channelID, ok = m.ids[id]
	return channelID, ok
}

// keep remembers a message that was sent without an error.
func (m *memory) keep(id, channelID string, err error) {
	if err != nil {
		slog.Warn("messenger: a message was not sent", "error", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ids == nil {
		m.ids = map[string]string{}
	}
	m.ids[id] = channelID
	if m.order = append(m.order, id); len(m.order) > maxMemory {
		delete(m.ids, m.order[0])
		m.order = m.order[1:]
	}
}
