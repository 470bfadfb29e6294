package handover

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/exactjson"
	"github.com/crisphandover/handover/internal/textsplit"
)

// RichMessage is one message as a user sees it, in the syntax of the Messenger Send API's message
// object: text or an attachment, with quick replies under it. What the library builds itself fits
// Messenger's limits and uses no member that the Send API does not know.
//
// JSON members that have no field here are kept in Unknown, at each level, and written out again.
type RichMessage struct {
	QuickReplies []QuickReply    `json:"quick_replies,omitempty"`
	Text         string          `json:"text,omitempty"`
	Attachment   *Attachment     `json:"attachment,omitempty"`
	Unknown      json.RawMessage `json:"-"` // one JSON object, or empty
}

// QuickReply is a choice that is offered once. In a NoAgent, and in what ParseRichMessages reads, one
// without ContentType is of type text, and one without Payload has its title as that.
type QuickReply struct {
	Payload     string          `json:"payload,omitempty"` // comes back as Incoming.Payload
	Title       string          `json:"title,omitempty"`   // required unless ContentType is another than text
	ContentType string          `json:"content_type,omitempty"`
	ImageURL    string          `json:"image_url,omitempty"`
	Unknown     json.RawMessage `json:"-"`
}

// Attachment is a file by URL, or a template.
type Attachment struct {
	Type    string            `json:"type"` // image, video, audio, file or template
	Payload AttachmentPayload `json:"payload"`
	Unknown json.RawMessage   `json:"-"`
}

// AttachmentPayload is the URL of a file, or the content of a template.
type AttachmentPayload struct {
	URL          string          `json:"url,omitempty"`
	TemplateType string          `json:"template_type,omitempty"` // button, generic, or one of the host's own
	Text         string          `json:"text,omitempty"`          // of a button template
	Elements     []Element       `json:"elements,omitempty"`      // of a generic template
	Buttons      []Button        `json:"buttons,omitempty"`       // of a button template
	Unknown      json.RawMessage `json:"-"`
}

// Element is one card of a generic template.
type Element struct {
	Title         string          `json:"title,omitempty"`
	ImageURL      string          `json:"image_url,omitempty"`
	Subtitle      string          `json:"subtitle,omitempty"`
	DefaultAction *Button         `json:"default_action,omitempty"` // has no title
	Buttons       []Button        `json:"buttons,omitempty"`
	Unknown       json.RawMessage `json:"-"`
}

// Button opens a link or sends its payload.
type Button struct {
	Type    string          `json:"type"` // web_url, postback, phone_number, or one of the host's own
	URL     string          `json:"url,omitempty"`
	Title   string          `json:"title,omitempty"`
	Payload string          `json:"payload,omitempty"`
	Unknown json.RawMessage `json:"-"`
}

// The connector's own example, byte for byte.
const defaultNoAgent = `[
{
    "quick_replies": [
        {
            "payload": "Contact me back via email",
            "title": "Contact me back via email",
            "content_type": "text"
        },
        {
            "payload": "Continue with the bot",
            "title": "Continue with the bot",
            "content_type": "text"
        }
    ],
    "text": "It seems that nobody is available right now "
}
]
`

// DefaultNoAgent returns what the user is told when nobody is there and Config.NoAgent is not
// set: that nobody is there, and the choice to be contacted by email or to go on with the bot.
func DefaultNoAgent() []RichMessage {
	messages, _ := ParseRichMessages(defaultNoAgent) // cannot fail: a test parses it
	return messages
}

// TextMessage returns a message that is nothing but text.
func TextMessage(text string) RichMessage { return RichMessage{Text: text} }

// The limits of what the library builds: Messenger's, and for payloads Telegram's.
const (
	maxText         = 2000 // UTF-16 units
	maxTemplateText = 640
	maxCardText     = 80                    // an element's title or subtitle
	maxTitle        = crispcontent.MaxTitle // of a quick reply or button
	maxQuickReplies = crispcontent.MaxTitles
	maxButtons      = 3
	maxElements     = 10
)

// more is the text of a message that only continues the choices of the one before.
const more = "…"

// fit returns the message as one or more that are within the limits; one that is comes back as
// it is, one that shows nothing gives none. The quick replies stand under the last text or
// attachment. Since a channel may hide those of all messages but the last, more than 13 are also
// listed in the text. Titles are left as they are: those of agents are shortened where they are
// built, and Messenger itself shortens a host's, such as the connector's default of 25 characters.
func (m RichMessage) fit() []RichMessage {
	if len(m.QuickReplies) > maxQuickReplies {
		m.Text = joinBlocks([]string{m.Text, numbered(m.titles())})
	}
	return m.parts()
}

// parts is fit without the list of many choices.
func (m RichMessage) parts() []RichMessage {
	var out []RichMessage
	for _, t := range textsplit.Split(m.Text, maxText) {
		out = append(out, TextMessage(t))
	}
	if m.Attachment != nil {
		out = append(out, m.Attachment.parts()...)
	}
	if len(out) == 0 && len(m.QuickReplies) == 0 {
		return nil
	}
	for i, group := range slices.Collect(slices.Chunk(m.QuickReplies, maxQuickReplies)) {
		if i > 0 || len(out) == 0 {
			out = append(out, TextMessage(more))
		}
		out[len(out)-1].QuickReplies = group
	}
	out[len(out)-1].Unknown = m.Unknown
	return out
}

// parts returns the attachment as messages that stay within the limits.
func (a Attachment) parts() []RichMessage {
	with := func(p AttachmentPayload) RichMessage {
		return RichMessage{Attachment: &Attachment{Type: a.Type, Payload: p, Unknown: a.Unknown}}
	}
	p := a.Payload
	var out []RichMessage
	switch {
	case a.Type == "template" && p.TemplateType == "button":
		if texts := textsplit.Split(p.Text, maxTemplateText); len(texts) > 1 {
			p.Text = texts[len(texts)-1]
			for _, t := range texts[:len(texts)-1] {
				out = append(out, TextMessage(t))
			}
		}
		for rest := p.Buttons; len(rest) > maxButtons; p.Buttons = rest {
			p.Buttons, rest = rest[:maxButtons:maxButtons], rest[maxButtons:]
			out = append(out, with(p))
			p.Text = more
		}
	case a.Type == "template" && p.TemplateType == "generic":
		p.Elements = fewButtons(p.Elements)
		for rest := p.Elements; len(rest) > maxElements; p.Elements = rest {
			p.Elements, rest = rest[:maxElements:maxElements], rest[maxElements:]
			out = append(out, with(p))
		}
	}
	return append(out, with(p))
}

// fewButtons repeats an element that has more than three buttons, each time with the next three.
func fewButtons(elements []Element) []Element {
	var out []Element
	for _, e := range elements {
		if len(e.Buttons) <= maxButtons {
			out = append(out, e)
			continue
		}
		for buttons := range slices.Chunk(e.Buttons, maxButtons) {
			e.Buttons = buttons
			out = append(out, e)
		}
	}
	return out
}

func (m RichMessage) titles() []string {
	titles := make([]string, len(m.QuickReplies))
	for i, q := range m.QuickReplies {
		titles[i] = textsplit.OneLine(q.Title)
	}
	return titles
}

// PlainText returns the message for a channel that has text only: choices as a numbered list, if
// the text has none, and one alone as it is; links written out. It is empty when nothing of the
// message can be said so.
func (m RichMessage) PlainText() string {
	blocks := []string{m.Text}
	if a := m.Attachment; a != nil {
		lines := []string{a.Payload.Text, a.Payload.URL}
		for _, b := range a.Payload.Buttons {
			lines = append(lines, b.plainText())
		}
		blocks = append(blocks, joinLines(lines))
		for _, e := range a.Payload.Elements {
			blocks = append(blocks, e.plainText())
		}
	}
	return joinBlocks(append(blocks, m.unlisted()))
}

// unlisted lists the choices that the text does not list already.
func (m RichMessage) unlisted() string {
	var lines []string
	titles := m.titles()
	for _, line := range strings.Split(numbered(titles), "\n") {
		_, title, _ := strings.Cut(line, ". ")
		if len(titles) == 1 { // there is nothing to choose from
			line = title
		}
		if n, _, found := strings.Cut(title, ". "); found {
			if _, err := strconv.Atoi(n); err == nil { // it has its number in a longer list
				line = title
			}
		}
		start, cut := strings.CutSuffix(line, "…")
		if !cut {
			start += "\n"
		}
		if !strings.Contains("\n"+m.Text+"\n", "\n"+start) {
			lines = append(lines, line)
		}
	}
	return joinLines(lines)
}

func (e Element) plainText() string {
	lines := []string{e.Title, e.Subtitle, e.ImageURL}
	if e.DefaultAction != nil {
		lines = append(lines, e.DefaultAction.plainText())
	}
	for _, b := range e.Buttons {
		lines = append(lines, b.plainText())
	}
	return joinLines(lines)
}

func (b Button) plainText() string {
	target := b.URL
	if b.Type == "phone_number" {
		target = b.Payload
	}
	if b.Title == "" || target == "" {
		return b.Title + target
	}
	return b.Title + ": " + target
}

// numbered lists titles from 1; an empty one keeps its number and has no line.
func numbered(titles []string) string {
	lines := make([]string, 0, len(titles))
	for i, t := range titles {
		if !textsplit.Blank(t) {
			lines = append(lines, strconv.Itoa(i+1)+". "+t)
		}
	}
	return joinLines(lines)
}

func joinLines(lines []string) string   { return joinShown(lines, "\n") }
func joinBlocks(blocks []string) string { return joinShown(blocks, "\n\n") }

// joinShown joins what is not blank. Text keeps its spaces where nothing is joined to it.
func joinShown(parts []string, sep string) string {
	shown := make([]string, 0, len(parts))
	for _, p := range parts {
		if !textsplit.Blank(p) {
			shown = append(shown, p)
		}
	}
	return strings.Join(shown, sep)
}

// The methods below keep unknown members, also when a host marshals an inner value by itself.

// MarshalJSON writes the Send API's syntax.
func (m RichMessage) MarshalJSON() ([]byte, error) {
	type plain RichMessage
	return exactjson.Marshal(plain(m), m.Unknown)
}

// UnmarshalJSON reads the Send API's syntax, without checks of what it holds.
func (m *RichMessage) UnmarshalJSON(data []byte) error {
	type plain RichMessage
	fields, unknown, err := exactjson.Unmarshal[plain](data)
	if err == nil {
		*m = RichMessage(fields)
		m.Unknown = unknown
	}
	return err
}

// MarshalJSON writes the Send API's syntax.
func (q QuickReply) MarshalJSON() ([]byte, error) {
	type plain QuickReply
	return exactjson.Marshal(plain(q), q.Unknown)
}

// UnmarshalJSON reads the Send API's syntax.
func (q *QuickReply) UnmarshalJSON(data []byte) error {
	type plain QuickReply
	fields, unknown, err := exactjson.Unmarshal[plain](data)
	if err == nil {
		*q = QuickReply(fields)
		q.Unknown = unknown
	}
	return err
}

// MarshalJSON writes the Send API's syntax.
func (a Attachment) MarshalJSON() ([]byte, error) {
	type plain Attachment
	return exactjson.Marshal(plain(a), a.Unknown)
}

// UnmarshalJSON reads the Send API's syntax.
func (a *Attachment) UnmarshalJSON(data []byte) error {
	type plain Attachment
	fields, unknown, err := exactjson.Unmarshal[plain](data)
	if err == nil {
		*a = Attachment(fields)
		a.Unknown = unknown
	}
	return err
}

// MarshalJSON writes the Send API's syntax.
func (p AttachmentPayload) MarshalJSON() ([]byte, error) {
	type plain AttachmentPayload
	return exactjson.Marshal(plain(p), p.Unknown)
}

// UnmarshalJSON reads the Send API's syntax.
func (p *AttachmentPayload) UnmarshalJSON(data []byte) error {
	type plain AttachmentPayload
	fields, unknown, err := exactjson.Unmarshal[plain](data)
	if err == nil {
		*p = AttachmentPayload(fields)
		p.Unknown = unknown
	}
	return err
}

// MarshalJSON writes the Send API's syntax.
func (e Element) MarshalJSON() ([]byte, error) {
	type plain Element
	return exactjson.Marshal(plain(e), e.Unknown)
}

// UnmarshalJSON reads the Send API's syntax.
func (e *Element) UnmarshalJSON(data []byte) error {
	type plain Element
	fields, unknown, err := exactjson.Unmarshal[plain](data)
	if err == nil {
		*e = Element(fields)
		e.Unknown = unknown
	}
	return err
}

// MarshalJSON writes the Send API's syntax.
func (b Button) MarshalJSON() ([]byte, error) {
	type plain Button
	return exactjson.Marshal(plain(b), b.Unknown)
}

// UnmarshalJSON reads the Send API's syntax.
func (b *Button) UnmarshalJSON(data []byte) error {
	type plain Button
	fields, unknown, err := exactjson.Unmarshal[plain](data)
	if err == nil {
		*b = Button(fields)
		b.Unknown = unknown
	}
	return err
}
