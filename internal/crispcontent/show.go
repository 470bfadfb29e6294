package crispcontent

import (
	"errors"
	"slices"
	"strings"

	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/weblink"
)

// Why there is nothing to show, besides ErrShape and ErrLink.
var (
	ErrPrivate = errors.New("it is for the agents only")               // a note or an event
	ErrType    = errors.New("it is of a type that is not known")       // so it may be private
	ErrEmpty   = errors.New("there is nothing in it that can be seen") // or nothing that is safe
)

// Part is one of the messages by which an agent's message is shown: a text, perhaps with options under it, or
// cards, or a file.
type Part struct {
	Text    string
	Options []Option
	Cards   []Card
	File    *File
	Kind    string // of the file: image, video, audio or file
	Cut     bool   // a link of the message is not safe, and was left out
}

// Option is a choice that stands under a text.
type Option struct{ Payload, Label string }

// Card has a title, and at least one thing more.
type Card struct {
	Title, Subtitle string
	Image           string // a URL
	Buttons         []Button
}

// Button opens a link.
type Button struct{ Title, URL string }

// text is what a button says where it is none.
func (b Button) text() string { return textsplit.Join(": ", b.Title, b.URL) }

// more is the title of a card that has only a picture.
const more = "…"

// bounds are how much a part holds, whatever agents send. Lengths are in UTF-16 units.
type bounds struct {
	text     int // of a part
	options  int // under one text
	title    int // of an option or a button
	cards    int // of one part
	buttons  int // of a card
	cardText int // of a card's title, and of its subtitle
}

// MaxText is the longest text of a part, in UTF-16 units.
const MaxText = 2000

var most = bounds{text: MaxText, options: 100, title: 200, cards: 50, buttons: 20, cardText: 1000}

// Private reports whether a type of message is for the team alone.
func Private(typ string) bool { return typ == "note" || typ == "event" }

// Show returns what the user is shown of an agent's message with this type, content and fingerprint. It is an
// allow-list: all types but text, file, animation, audio, picker, field and carousel give an error. Text is passed
// on with its Markdown untouched. A link that is not safe is left out, and the rest is shown; a file whose own link
// is not safe is not shown at all.
//
// A text that is too long is cut between words. If a picker has too many choices, or one that is too long, the text
// lists them all by number; the first ones are options as well, whose labels begin with the number. What of a card
// is too long stands in a text before it, and one with too many buttons becomes several.
func Show(typ string, content []byte, fingerprint int64) ([]Part, error) {
	return show(typ, content, fingerprint, most)
}

func show(typ string, content []byte, fingerprint int64, within bounds) ([]Part, error) {
	s := shower{within: within}
	var err error
	if Private(typ) {
		return nil, ErrPrivate
	}
	switch typ {
	case "text":
		var text string
		text, err = ReadText(content)
		s.say(text)
	case "field":
		var f field
		err = read(content, &f)
		s.say(textsplit.Join("\n", string(f.Text), string(f.Explain)))
	case "file", "animation", "audio":
		var f File
		var kind string
		f, kind, err = readFile(typ, content)
		s.parts = []Part{{File: &f, Kind: kind}}
	case "picker":
		var p picker
		p, err = readPicker(content)
		s.picker(p, fingerprint)
	case "carousel":
		var c carousel
		err = read(content, &c)
		s.carousel(c)
	default:
		return nil, ErrType
	}
	if err != nil {
		return nil, err
	}
	if len(s.parts) == 0 {
		return nil, ErrEmpty
	}
	for i := range s.parts {
		s.parts[i].Cut = s.cut
	}
	return s.parts, nil
}

// shower makes the parts of one message.
type shower struct {
	within bounds
	parts  []Part
	cards  []Card // that make the next part
	cut    bool
}

// say adds a text.
func (s *shower) say(text string) {
	texts := textsplit.Split(text, s.within.text)
	if len(texts) == 0 {
		return
	}
	s.flush()
	for _, t := range texts {
		s.parts = append(s.parts, Part{Text: t})
	}
}

// flush adds the cards.
func (s *shower) flush() {
	for group := range slices.Chunk(s.cards, s.within.cards) {
		s.parts = append(s.parts, Part{Cards: group})
	}
	s.cards = nil
}

// picker adds a text with options.
func (s *shower) picker(p picker, fingerprint int64) {
	var links []string
	long := len(p.choices) > s.within.options
	labels := make([]string, len(p.choices))
	for i, c := range p.choices {
		labels[i] = c.label
		long = long || textsplit.Units(c.label) > s.within.title
		if c.link != "" {
			links = append(links, c.label+": "+c.link)
		}
	}
	text := textsplit.Join("\n\n", p.text, textsplit.Join("\n", links...))
	if long || textsplit.Blank(text) {
		labels = List(labels)
		text = textsplit.Join("\n\n", text, Unlisted(text, labels))
	}
	s.cut = p.cut
	s.say(text)
	for i, label := range labels[:min(len(labels), s.within.options)] {
		label, _ = textsplit.Shorten(label, s.within.title)
		last := &s.parts[len(s.parts)-1]
		last.Options = append(last.Options, Option{Payload: payload(fingerprint, i), Label: label})
	}
}

// carousel adds cards. What a card cannot hold stands in a text before it.
func (s *shower) carousel(c carousel) {
	s.say(string(c.Text))
	for _, target := range c.Targets {
		s.card(target)
	}
	s.flush()
}

// card adds a card, or the text of one that has nothing but a title: Messenger refuses it.
func (s *shower) card(t target) {
	var c Card
	var lines []string
	if !textsplit.Blank(string(t.Image)) {
		if image, ok := t.Image.Link(); ok && weblink.Web(image) {
			c.Image = image
		} else {
			s.cut = true
		}
	}
	for _, a := range t.Actions {
		b := Button{Title: a.Label.Label()}
		if !textsplit.Blank(string(a.URL)) {
			var ok bool
			if b.URL, ok = a.URL.Link(); !ok {
				s.cut = true
				continue
			}
		}
		if !weblink.Web(b.URL) { // a button cannot hold it
			lines = append(lines, b.text())
			continue
		}
		if textsplit.Blank(b.Title) {
			b.Title = strings.TrimPrefix(strings.TrimPrefix(b.URL, "https://"), "http://")
		}
		c.Buttons = append(c.Buttons, b)
	}
	c.Title, c.Subtitle = t.Title.Label(), string(t.Description)
	if textsplit.Blank(c.Title) {
		c.Title, c.Subtitle = t.Description.Label(), ""
	}
	if textsplit.Blank(c.Title) && len(c.Buttons) > 0 {
		c.Title = c.Buttons[0].Title
	}
	if textsplit.Blank(c.Subtitle) && c.Image == "" && len(c.Buttons) == 0 {
		s.say(textsplit.Join("\n", append([]string{c.Title, c.Subtitle}, lines...)...))
		return
	}
	if textsplit.Blank(c.Title) {
		c.Title = more
	}
	s.say(textsplit.Join("\n", lines...))
	s.fit(c)
}

// fit adds a card within the bounds: once for each group of its buttons.
func (s *shower) fit(c Card) {
	var long []string
	title, fits := textsplit.Shorten(c.Title, s.within.cardText)
	subtitle, subtitleFits := textsplit.Shorten(c.Subtitle, s.within.cardText)
	if !fits || !subtitleFits {
		long = []string{c.Title, c.Subtitle}
	}
	for i, b := range c.Buttons {
		if c.Buttons[i].Title, fits = textsplit.Shorten(b.Title, s.within.title); !fits {
			long = append(long, b.text())
		}
	}
	s.say(textsplit.Join("\n", long...))
	c.Title, c.Subtitle = title, subtitle
	if len(c.Buttons) == 0 {
		s.cards = append(s.cards, c)
	}
	for group := range slices.Chunk(c.Buttons, s.within.buttons) {
		c.Buttons = group
		s.cards = append(s.cards, c)
	}
}
