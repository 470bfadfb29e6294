package handover

import (
	"encoding/json"

	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/exactjson"
	"github.com/crisphandover/handover/internal/textsplit"
)

// The words of the syntax.
const (
	// Attachment.Type
	AttachmentImage    = "image"
	AttachmentVideo    = "video"
	AttachmentAudio    = "audio"
	AttachmentFile     = "file"
	AttachmentTemplate = "template"
	// AttachmentPayload.TemplateType
	TemplateButton  = "button"
	TemplateGeneric = "generic"
	// Button.Type
	ButtonURL      = "web_url"
	ButtonPostback = "postback"
	ButtonPhone    = "phone_number"
	// QuickReply.ContentType
	ReplyText  = "text"
	ReplyEmail = "user_email"
	ReplyPhone = "user_phone_number"
)

// RichMessage is one message as a user sees it, in the syntax of the Messenger Send API's message
// object: text or an attachment, with quick replies under it. What the library builds itself uses no member
// that the Send API does not know. Titles, choices, cards and buttons are as long and as many as agents or the
// host made them: package channel brings a message within the limits of a channel that shows less.
// Texts of agents come in parts of at most 2,000 UTF-16 units.
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
	Type    string            `json:"type"` // AttachmentImage, AttachmentVideo, AttachmentAudio, AttachmentFile or AttachmentTemplate
	Payload AttachmentPayload `json:"payload"`
	Unknown json.RawMessage   `json:"-"`
}

// AttachmentPayload is the URL of a file, or the content of a template.
type AttachmentPayload struct {
	URL          string          `json:"url,omitempty"`
	TemplateType string          `json:"template_type,omitempty"` // TemplateButton, TemplateGeneric, or one of the host's own
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
	Type    string          `json:"type"` // ButtonURL, ButtonPostback, ButtonPhone, or one of the host's own
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

// PlainText returns the message for a channel that has text only: choices as a numbered list, if
// the text has none, and one alone as it is; links written out. It is empty when nothing of the
// message can be said so. Text stays as it is: Message.PlainText takes the marks of Markdown out of
// what agents wrote.
func (m RichMessage) PlainText() string { return m.plainText(m.Text) }

// plainText is PlainText with these words for the text.
func (m RichMessage) plainText(text string) string {
	blocks := []string{text}
	if a := m.Attachment; a != nil {
		lines := []string{a.Payload.Text, a.Payload.URL}
		for _, b := range a.Payload.Buttons {
			lines = append(lines, b.plainText())
		}
		blocks = append(blocks, textsplit.Join("\n", lines...))
		for _, e := range a.Payload.Elements {
			blocks = append(blocks, e.plainText())
		}
	}
	return textsplit.Join("\n\n", append(blocks, crispcontent.Unlisted(m.Text, m.lines()))...)
}

// lines are the choices as a list shows them. One without a title keeps its number, and its line is empty.
func (m RichMessage) lines() []string {
	titles := make([]string, len(m.QuickReplies))
	for i, q := range m.QuickReplies {
		titles[i] = q.Title
	}
	return crispcontent.List(titles)
}

func (e Element) plainText() string {
	lines := []string{e.Title, e.Subtitle, e.ImageURL}
	if e.DefaultAction != nil {
		lines = append(lines, e.DefaultAction.plainText())
	}
	for _, b := range e.Buttons {
		lines = append(lines, b.plainText())
	}
	return textsplit.Join("\n", lines...)
}

func (b Button) plainText() string {
	target := b.URL
	if b.Type == ButtonPhone {
		target = b.Payload
	}
	if b.Title == "" || target == "" {
		return b.Title + target
	}
	return b.Title + ": " + target
}

// contentOf returns a part of an agent's message as the user is shown it.
func contentOf(p crispcontent.Part) (m RichMessage, f *File) {
	m.Text = p.Text
	for _, o := range p.Options {
		m.QuickReplies = append(m.QuickReplies, QuickReply{Payload: o.Payload, Title: o.Label, ContentType: ReplyText})
	}
	switch {
	case p.File != nil:
		f = &File{URL: p.File.URL, Name: p.File.Name, MIMEType: p.File.MIMEType, Size: p.File.Size, Duration: p.File.Duration}
		m.Attachment = &Attachment{Type: p.Kind, Payload: AttachmentPayload{URL: f.URL}}
	case len(p.Cards) > 0:
		cards := make([]Element, len(p.Cards))
		for i, c := range p.Cards {
			cards[i] = Element{Title: c.Title, Subtitle: c.Subtitle, ImageURL: c.Image}
			for _, b := range c.Buttons {
				cards[i].Buttons = append(cards[i].Buttons, Button{Type: ButtonURL, Title: b.Title, URL: b.URL})
			}
		}
		m.Attachment = &Attachment{Type: AttachmentTemplate, Payload: AttachmentPayload{TemplateType: TemplateGeneric, Elements: cards}}
	}
	return m, f
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
