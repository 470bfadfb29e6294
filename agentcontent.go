package handover

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/weblink"
)

// Why fromCrisp has nothing to show. None of these errors quotes content.
var (
	errPrivate     = errors.New("handover: for the agents only")              // a note or an event
	errUnknownType = errors.New("handover: a message type that is not known") // so it may be private
	errCannotShow  = errors.New("handover: the message cannot be shown")      // the agent is to be told
	errEmpty       = errors.New("it is empty")
)

// cannotShow is for a message that is for the user and cannot be shown.
func cannotShow(why error) error { return fmt.Errorf("%w: %w", errCannotShow, why) }

// part is one of the messages that an agent's message becomes.
type part struct {
	Content RichMessage
	File    *File
	Cut     bool // a link of the message is not safe, and was left out
}

// fromCrisp turns the type and content of an agent's message in Crisp into what the user is
// shown. It is an allow-list: all types but text, file, animation, audio, picker, field and
// carousel give an error. Text is passed on with its Markdown untouched. Each part is within
// agentLimits. A link that is not safe is left out, and the rest is shown; a file whose
// own link is not safe is not shown at all.
func fromCrisp(typ string, content []byte, fingerprint int64) ([]part, error) {
	var messages []RichMessage
	var cut bool
	var err error
	switch typ {
	case "text":
		messages, err = agentText(content)
	case "file", "animation", "audio":
		return agentFile(typ, content)
	case "picker":
		messages, cut, err = agentPicker(content, fingerprint)
	case "field":
		messages, err = agentField(content)
	case "carousel":
		messages, cut, err = agentCarousel(content)
	case "note", "event":
		return nil, errPrivate
	default:
		return nil, errUnknownType
	}
	if err != nil {
		return nil, cannotShow(err)
	}
	var parts []part
	for _, m := range messages {
		for _, fitting := range m.fitTo(agentLimits) {
			parts = append(parts, part{Content: fitting, Cut: cut})
		}
	}
	if len(parts) == 0 {
		return nil, cannotShow(errEmpty)
	}
	return parts, nil
}

func agentText(content jsontext.Value) ([]RichMessage, error) {
	text, err := crispcontent.ReadText(content)
	return []RichMessage{TextMessage(text)}, err
}

func agentField(content jsontext.Value) ([]RichMessage, error) {
	field, err := crispcontent.ReadField(content)
	return []RichMessage{TextMessage(joinLines([]string{string(field.Text), string(field.Explain)}))}, err
}

// agentFile shows a file, animation or voice message by its URL.
func agentFile(typ string, content jsontext.Value) ([]part, error) {
	file, kind, err := crispcontent.ReadFile(typ, content)
	if err != nil {
		return nil, cannotShow(err)
	}
	message := RichMessage{Attachment: &Attachment{Type: kind, Payload: AttachmentPayload{URL: file.URL}}}
	return []part{{Content: message, File: &File{URL: file.URL, Name: file.Name, MIMEType: file.MIMEType, Size: file.Size, Duration: file.Duration}}}, nil
}

// agentPicker shows a picker as text with quick replies.
func agentPicker(content jsontext.Value, fingerprint int64) (_ []RichMessage, cut bool, err error) {
	p, err := crispcontent.ReadPicker(content)
	if err != nil {
		return nil, false, err
	}
	var m RichMessage
	var links []string
	for i, c := range p.Choices {
		if c.Link != "" {
			links = append(links, c.Label+": "+c.Link)
		}
		m.QuickReplies = append(m.QuickReplies, QuickReply{
			Payload: crispcontent.Payload(fingerprint, i), Title: c.Label, ContentType: ReplyText})
	}
	m.Text = joinBlocks([]string{p.Text, joinLines(links)})
	return []RichMessage{m}, p.Cut, nil
}

// agentCarousel shows a carousel as generic templates. What a card cannot hold stands in a text
// before it. cut is true when a link was left out.
func agentCarousel(content jsontext.Value) (messages []RichMessage, cut bool, err error) {
	carousel, err := crispcontent.ReadCarousel(content)
	if err != nil {
		return nil, false, err
	}
	messages = []RichMessage{TextMessage(string(carousel.Text))}
	var cards []Element
	flush := func() {
		if len(cards) > 0 {
			messages = append(messages, RichMessage{Attachment: &Attachment{Type: AttachmentTemplate,
				Payload: AttachmentPayload{TemplateType: TemplateGeneric, Elements: cards}}})
			cards = nil
		}
	}
	for _, target := range carousel.Targets {
		card, text, less := elementOf(target)
		cut = cut || less
		if text != "" {
			flush()
			messages = append(messages, TextMessage(text))
		}
		if card != nil {
			cards = append(cards, *card)
		}
	}
	flush()
	return messages, cut, nil
}

// elementOf returns the card, and the text of what a card cannot hold: links that are not http or https. A card of nothing but a title is only text, since
// Messenger refuses it. Links that are not safe are left out, and cut is true then.
func elementOf(c crispcontent.Card) (card *Element, text string, cut bool) {
	var e Element
	var lines []string
	if !textsplit.Blank(string(c.Image)) {
		if image, ok := c.Image.Link(); ok && weblink.Web(image) {
			e.ImageURL = image
		} else {
			cut = true
		}
	}
	for _, a := range c.Actions {
		b := Button{Type: ButtonURL, Title: a.Label.Label()}
		if !textsplit.Blank(string(a.URL)) {
			var ok bool
			if b.URL, ok = a.URL.Link(); !ok {
				cut = true
				continue
			}
		}
		full := b.plainText()
		if textsplit.Blank(b.Title) {
			b.Title = strings.TrimPrefix(strings.TrimPrefix(b.URL, "https://"), "http://")
		}
		if !weblink.Web(b.URL) {
			lines = append(lines, full)
			continue
		}
		e.Buttons = append(e.Buttons, b)
	}
	title, subtitle := c.Title.Label(), string(c.Description)
	if textsplit.Blank(title) {
		title, subtitle = c.Description.Label(), ""
	}
	if textsplit.Blank(title) && len(e.Buttons) > 0 {
		title = e.Buttons[0].Title
	}
	e.Title, e.Subtitle = title, subtitle
	if textsplit.Blank(e.Subtitle) && e.ImageURL == "" && len(e.Buttons) == 0 {
		return nil, joinLines(append([]string{title, subtitle}, lines...)), cut
	}
	if textsplit.Blank(e.Title) {
		e.Title = more
	}
	return &e, joinLines(lines), cut
}
