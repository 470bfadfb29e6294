package channel

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/markdown"
	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/weblink"
)

const (
	more    = "…"  // the text of a message that only has buttons
	edited  = "✏️" // before a message that corrects one
	nobody  = "👤"  // an agent without a name
	byEmail = "✉️" // before what the user wrote outside the channel
)

// Render returns a message as parts that a channel with these capabilities can show, in order. A message that shows
// nothing gives none.
//
// Nothing is left out. A text that is too long is cut between words. What cannot be a button, or not with its whole
// title, is listed in the text by number: the user may write the number or the title (Screen.Chosen; what agents and
// the library ask, the library also understands by itself). Cards are messages where the channel has no cards, and
// files are links where it shows no files. What an agent wrote is Markdown and becomes the channel's markup; all else
// is plain text. An agent's words begin with their name, unless Capabilities.Names.
//
// Part.Text and Button.Title are valid UTF-8 without control characters, but for line breaks and tabs.
func (c Capabilities) Render(m handover.Message) []Part {
	r := renderer{c: c.whole()}
	text := plainText(m.Content.Text)
	if m.From == handover.FromAgent {
		text = agentText(m.Content.Text)
	}
	r.add(block{text: text})
	if a := m.Content.Attachment; a != nil {
		r.attach(*a, m.File)
	}
	r.choices(m.Content.QuickReplies)
	r.sign(c.sender(m))
	var parts []Part
	for _, b := range r.blocks {
		parts = append(parts, r.parts(b)...)
	}
	return parts
}

// sender is what stands before a message.
func (c Capabilities) sender(m handover.Message) string {
	var words []string
	if m.Corrects != "" {
		words = append(words, edited)
	}
	switch m.From {
	case handover.FromUser:
		words = append(words, byEmail)
	case handover.FromAgent:
		name := oneLine(m.Agent.Name)
		if textsplit.Blank(name) {
			name = nobody
		}
		if !c.Names {
			words = append(words, name+":")
		}
	}
	return strings.Join(words, " ")
}

// renderer makes parts of one message.
type renderer struct {
	c      Capabilities
	blocks []block
	listed int // quick replies, which have the numbers from 1 on
}

// block is a piece of a message: a text with buttons and perhaps a file, or cards.
type block struct {
	text    rich
	buttons []choice
	first   int // the number of the first choice
	of      int // how many choices there are to number; 0: those of the block
	file    *handover.File
	kind    string
	cards   []Card
}

// choice is a button before it is known whether it can be one.
type choice struct {
	Button         // with its whole title
	phone   string // to call
	skipped int    // choices before it that show nothing, and have numbers all the same
}

func (r *renderer) add(b block) {
	if !b.text.blank() || len(b.buttons) > 0 || b.file != nil || len(b.cards) > 0 {
		r.blocks = append(r.blocks, b)
	}
}

// attach adds an attachment.
func (r *renderer) attach(a handover.Attachment, f *handover.File) {
	p := a.Payload
	switch a.Type {
	case handover.AttachmentImage, handover.AttachmentVideo, handover.AttachmentAudio, handover.AttachmentFile:
		if p.URL == "" {
			return
		}
		file := handover.File{URL: p.URL}
		if f != nil {
			file = *f
			file.URL, file.Name = p.URL, oneLine(f.Name)
		}
		r.file(a.Type, file)
	default:
		r.add(block{text: plainText(p.Text), buttons: choicesOf(p.Buttons)})
		r.cards(p.Elements)
		if p.URL != "" {
			r.add(block{text: plainText(p.URL)})
		}
	}
}

// file adds a file, or a link to it.
func (r *renderer) file(kind string, f handover.File) {
	if r.c.Files == NoFiles {
		r.add(block{text: plainText(labeled(f.Name, f.URL))})
		return
	}
	r.add(block{file: &f, kind: kind})
}

// cards adds cards side by side, or each as a message.
func (r *renderer) cards(all []handover.Element) {
	if r.c.Cards <= 0 {
		for _, e := range all {
			r.card(e)
		}
		return
	}
	var row []Card
	flush := func() {
		for group := range slices.Chunk(row, r.c.Cards) {
			r.add(block{cards: group})
		}
		row = nil
	}
	for _, e := range all {
		card, rest := r.short(e)
		row = append(row, card)
		if !rest.text.blank() || len(rest.buttons) > 0 {
			flush()
			r.add(rest)
		}
	}
	flush()
}

// short returns a card within the limits, and what of it did not fit.
func (r *renderer) short(e handover.Element) (card Card, rest block) {
	fit := func(s string) string {
		s = oneLine(s)
		short, whole := textsplit.ShortenBy(s, r.c.CardText, r.c.Unit.Len)
		if !whole {
			rest.text = rest.text.add(s)
		}
		return short
	}
	card = Card{Title: fit(e.Title), Subtitle: fit(e.Subtitle), Image: e.ImageURL}
	if textsplit.Blank(card.Title) {
		card.Title = more
	}
	if a := e.DefaultAction; a != nil {
		card.URL = a.URL
	}
	for _, b := range choicesOf(e.Buttons) {
		title, whole := textsplit.ShortenBy(b.Title, r.c.Title, r.c.Unit.Len)
		if len(card.Buttons) >= r.c.CardButtons || !whole || b.phone != "" || len(b.URL) > r.c.URL {
			rest.buttons = append(rest.buttons, b)
			continue
		}
		b.Title = title
		card.Buttons = append(card.Buttons, b.Button)
	}
	return card, rest
}

// card adds a card as a message of its own.
func (r *renderer) card(e handover.Element) {
	b := block{buttons: choicesOf(e.Buttons)}
	if title := plainText(e.Title); !title.blank() {
		title[0].Style = markdown.Bold
		b.text = title
	}
	b.text = b.text.add(e.Subtitle)
	if a := e.DefaultAction; a != nil && a.URL != "" {
		b.text = b.text.add(labeled(a.Title, a.URL))
	}
	switch {
	case e.ImageURL == "":
	case r.c.Files == NoFiles:
		b.text = b.text.add(e.ImageURL)
	default:
		b.file, b.kind = &handover.File{URL: e.ImageURL}, handover.AttachmentImage
	}
	r.add(b)
}

// choicesOf returns the buttons of a template.
func choicesOf(buttons []handover.Button) (all []choice) {
	for _, b := range buttons {
		one := choice{Button: Button{Title: oneLine(b.Title), URL: b.URL}}
		switch {
		case b.Type == handover.ButtonPhone:
			one.phone, one.URL = b.Payload, ""
		case b.URL == "":
			one.Payload = b.Payload
		}
		if u, err := url.Parse(one.URL); one.URL != "" && textsplit.Blank(one.Title) {
			if one.Title = one.URL; err == nil && u.Host != "" {
				one.Title = oneLine(u.Host)
			}
		}
		if one.URL != "" || one.Payload != "" || one.phone != "" || !textsplit.Blank(one.Title) {
			all = append(all, one)
		}
	}
	return all
}

// choices puts quick replies under the last block.
func (r *renderer) choices(replies []handover.QuickReply) {
	b := block{first: 1, of: len(replies)}
	for i, q := range replies {
		title := oneLine(q.Title)
		if textsplit.Blank(title) {
			if q.ContentType != handover.ReplyText && q.ContentType != "" {
				continue // it asks for an address or a number, which the user may write
			}
			title = strconv.Itoa(i + 1)
		}
		b.buttons = append(b.buttons, choice{Button: Button{Title: title, Payload: q.Payload, Image: q.ImageURL}, skipped: i - len(b.buttons)})
	}
	if r.listed = len(replies); len(b.buttons) == 0 {
		return
	}
	if n := len(r.blocks); n > 0 {
		if last := &r.blocks[n-1]; !last.text.blank() && len(last.buttons) == 0 && len(last.cards) == 0 {
			last.buttons, last.first, last.of = b.buttons, b.first, b.of
			return
		}
	}
	r.add(b)
}

// sign puts who speaks before the message.
func (r *renderer) sign(who string) {
	if who == "" || len(r.blocks) == 0 {
		return
	}
	first := &r.blocks[0]
	if first.text.blank() && first.file == nil || len(first.cards) > 0 {
		r.blocks = slices.Insert(r.blocks, 0, block{text: plainText(who)})
		return
	}
	first.text = plainText(who).join(" ", first.text)
}

// parts returns a block as the channel can show it.
func (r *renderer) parts(b block) (parts []Part) {
	if len(b.cards) > 0 {
		return []Part{{Cards: b.cards}}
	}
	text, buttons, listed := r.list(b)
	text = text.trim()
	if text.blank() && len(buttons) > 0 {
		text = plainText(more)
	}
	if b.file != nil && (len(buttons) == 0 || r.c.Caption > 0) && r.c.size(text) <= r.c.Caption {
		part := r.part(text)
		part.File, part.Kind, part.Buttons, part.Listed = b.file, b.kind, buttons, listed
		return []Part{part}
	}
	texts := r.c.split(text, r.c.Text)
	switch n := len(texts) - 1; {
	case n < 0 || len(buttons) == 0:
	case r.c.hasLongWord(texts[n]):
		texts = append(texts, plainText(more)) // a link is not cut to have buttons under it
	default:
		texts = append(texts[:n], r.c.split(texts[n], r.c.ButtonText)...)
	}
	for _, t := range texts {
		parts = append(parts, r.part(t))
	}
	if n := len(parts) - 1; n >= 0 {
		parts[n].Buttons, parts[n].Listed = buttons, listed
	}
	if b.file != nil { // after the text, which says whose it is
		parts = append(parts, Part{File: b.file, Kind: b.kind})
	}
	return parts
}

// hasLongWord reports whether a text of a message with buttons would have to be cut within a word, such as a link.
func (c Capabilities) hasLongWord(t rich) bool {
	return slices.ContainsFunc(strings.Fields(t.plain()), func(word string) bool { return c.Unit.Len(word) > c.ButtonText })
}

func (r *renderer) part(t rich) Part {
	return Part{Text: t.markup(r.c.Markup), Plain: t.plain()}
}

// list returns the buttons that the channel can show, and the text with what it cannot.
func (r *renderer) list(b block) (text rich, buttons []Button, listed []Choice) {
	text = b.text
	first, of := b.first, b.of
	if first == 0 {
		first, of = r.listed+1, 0
	}
	var all []Choice
	long := false // a choice is not whole as a button
	for _, x := range b.buttons {
		title, whole := textsplit.ShortenBy(x.Title, r.c.Title, r.c.Unit.Len)
		switch {
		case x.phone != "":
			text = text.add(labeled(x.Title, x.phone))
		case x.URL != "" && (!r.c.Links || !weblink.Web(x.URL) || len(x.URL) > r.c.URL || len(buttons) >= r.c.Buttons):
			text = text.add(labeled(x.Title, x.URL))
		case x.URL != "":
			if !whole {
				text = text.add(x.Title)
			}
			x.Title = title
			buttons = append(buttons, x.Button)
		default:
			all = append(all, Choice{Number: first + len(all) + x.skipped, Title: x.Title, Payload: x.Payload})
			if long = long || !whole || len(buttons) >= r.c.Buttons; len(buttons) < r.c.Buttons {
				buttons = append(buttons, x.Button)
			}
		}
	}
	if len(all) == 0 || !long && !(b.text.blank() && b.file == nil) {
		return text, buttons, nil
	}
	of = max(of, all[len(all)-1].Number)
	lines := make(map[string]string, len(all)) // by payload and title
	var list []string
	for _, x := range all {
		line := crispcontent.Listed(x.Title, x.Number, of)
		lines[x.Payload+"\x00"+x.Title] = line
		if !strings.Contains("\n"+text.body()+"\n", "\n"+line+"\n") {
			list = append(list, line)
		}
	}
	text = text.join("\n\n", rich(nil).add(list...))
	for i, x := range buttons {
		if line, ok := lines[x.Payload+"\x00"+x.Title]; ok && x.URL == "" {
			buttons[i].Title, _ = textsplit.ShortenBy(line, r.c.Title, r.c.Unit.Len)
		}
	}
	return text, buttons, all
}

// labeled writes a link or the like out.
func labeled(title, target string) string {
	title, target = oneLine(title), oneLine(target)
	switch {
	case title == "" || title == target:
		return target
	case target == "":
		return title
	}
	return title + ": " + target
}
