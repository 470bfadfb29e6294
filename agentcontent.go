package handover

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/textsplit"
)

// Why fromCrisp has nothing to show. None of these errors quotes content.
var (
	errPrivate     = errors.New("handover: for the agents only")              // a note or an event
	errUnknownType = errors.New("handover: a message type that is not known") // so it may be private
	errCannotShow  = errors.New("handover: the message cannot be shown")      // the agent is to be told
)

// cannotShow says why a message that is for the user cannot be shown, in words for the agent.
func cannotShow(why string) error { return fmt.Errorf("%w: %s", errCannotShow, why) }

// part is one of the messages that an agent's message becomes.
type part struct {
	Content RichMessage
	File    *File
	Cut     bool // a link of the message is not safe, and was left out
}

// fromCrisp turns the type and content of an agent's message in Crisp into what the user is
// shown. It is an allow-list: all types but text, file, animation, audio, picker, field and
// carousel give an error. Text is passed on with its Markdown untouched. Each part fits the
// limits of RichMessage.fit. A link that is not safe is left out, and the rest is shown; a file whose
// own link is not safe is not shown at all.
func fromCrisp(typ string, content jsontext.Value, fingerprint int64) ([]part, error) {
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
		return nil, err
	}
	var parts []part
	for _, m := range messages {
		for _, fitting := range m.parts() {
			parts = append(parts, part{Content: fitting, Cut: cut})
		}
	}
	if len(parts) == 0 {
		return nil, cannotShow("it is empty")
	}
	return parts, nil
}

// crispText is a string in a message's content. Crisp's schema is not ours to enforce: a number or
// boolean is taken as its text, anything else as no text. NUL, which no channel shows, becomes
// U+FFFD.
type crispText string

// UnmarshalJSON never fails on valid JSON.
func (t *crispText) UnmarshalJSON(data []byte) error {
	*t = ""
	switch v := jsontext.Value(data); v.Kind() {
	case '"':
		var s string
		if err := json.Unmarshal(v, &s, jsontext.AllowInvalidUTF8(true)); err != nil {
			return err
		}
		*t = crispText(strings.ReplaceAll(s, "\x00", "\uFFFD"))
	case '0', 't', 'f':
		*t = crispText(v)
	}
	return nil
}

// label returns the text on one line.
func (t crispText) label() string { return textsplit.OneLine(string(t)) }

// link returns the text as a link that may be shown as one.
func (t crispText) link() (string, bool) {
	link := strings.ReplaceAll(strings.TrimSpace(string(t)), " ", "%20")
	return link, safeLink(link)
}

// readContent decodes content of an agent's message. Duplicate member names are refused.
func readContent(content jsontext.Value, out any) error {
	if err := json.Unmarshal(content, out, jsontext.AllowInvalidUTF8(true)); err != nil {
		return cannotShow("its content is not as Crisp documents it")
	}
	return nil
}

func agentText(content jsontext.Value) ([]RichMessage, error) {
	var text crispText
	if content.Kind() != '"' {
		return nil, cannotShow("its content is not as Crisp documents it")
	}
	err := readContent(content, &text)
	return []RichMessage{TextMessage(string(text))}, err
}

func agentField(content jsontext.Value) ([]RichMessage, error) {
	var field struct {
		Text    crispText `json:"text"`
		Explain crispText `json:"explain"`
	}
	err := readContent(content, &field)
	return []RichMessage{TextMessage(joinLines([]string{string(field.Text), string(field.Explain)}))}, err
}

// agentFile shows a file, animation or voice message by its URL.
func agentFile(typ string, content jsontext.Value) ([]part, error) {
	var file struct {
		Name     crispText      `json:"name"`
		URL      crispText      `json:"url"`
		Type     crispText      `json:"type"`
		Size     jsontext.Value `json:"size"`
		Duration jsontext.Value `json:"duration"` // seconds
	}
	if err := readContent(content, &file); err != nil {
		return nil, err
	}
	link, ok := file.URL.link()
	if !ok || !webLink(link) {
		return nil, cannotShow("a plain http or https link is needed")
	}
	mime := mediaType(file.Type)
	message := RichMessage{Attachment: &Attachment{Type: fileKind(typ, mime), Payload: AttachmentPayload{URL: link}}}
	return []part{{Content: message, File: &File{
		URL:      link,
		Name:     fileName(file.Name),
		MIMEType: mime,
		Size:     int64(amount(file.Size, 1<<53)),
		Duration: time.Duration(amount(file.Duration, 1e9) * float64(time.Second)).Round(time.Millisecond),
	}}}, nil
}

// mediaType returns a MIME type without its parameters, in lower case; empty if it is none.
func mediaType(t crispText) string {
	mime, _, _ := strings.Cut(strings.ToLower(string(t)), ";")
	mime = strings.TrimSpace(mime)
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("/.+-_", r)
	}
	if strings.Count(mime, "/") != 1 || strings.ContainsFunc(mime, odd) {
		return ""
	}
	return mime
}

// fileKind returns the attachment type for a file. An SVG may hold script: it is no picture.
func fileKind(typ, mime string) string {
	kind, _, _ := strings.Cut(mime, "/")
	switch {
	case typ == "audio":
		return "audio"
	case mime == "image/svg+xml":
		return "file"
	case kind == "image", kind == "video", kind == "audio" && typ == "file":
		return kind
	case typ == "animation":
		return "image"
	}
	return "file"
}

// fileName returns a name without folders, control characters, or those that turn the direction of
// text, which make an .exe look like a .pdf.
func fileName(t crispText) string {
	name := string(t)[strings.LastIndexAny(string(t), `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.C, r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	return strings.TrimLeft(strings.TrimSpace(name), ".")
}

// amount returns a number that is not negative and at most limit; 0 for anything else.
func amount(v jsontext.Value, limit float64) float64 {
	n, err := strconv.ParseFloat(string(v), 64)
	if v.Kind() != '0' || err != nil || n < 0 || n > limit || math.IsNaN(n) {
		return 0
	}
	return n
}

// contentHash identifies what a message says: the same for other spellings of the same JSON, and
// without the link previews that Crisp adds. It never fails.
func contentHash(typ string, content jsontext.Value) string {
	plain := content
	if n := len(plain); n < 2 || plain[0] != '"' || plain[n-1] != '"' || bytes.IndexByte(plain, '\\') >= 0 || !utf8.Valid(plain) {
		plain = canonical(content) // else it is a text that can be spelled in no other way
	}
	h := sha256.New()
	_, _ = io.WriteString(h, typ+"\x00")
	_, _ = h.Write(plain)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// canonical returns the one spelling of a content, without link previews. What is not JSON stays as it is.
func canonical(content jsontext.Value) jsontext.Value {
	var object struct {
		Preview jsontext.Value `json:"preview"`
		Rest    jsontext.Value `json:",embed,unknown"`
	}
	plain := content.Clone()
	if plain.Kind() == '{' && json.Unmarshal(plain, &object, looseJSON) == nil && object.Preview != nil {
		plain = object.Rest
		if plain == nil { // it was the only member
			plain = jsontext.Value("{}")
		}
	}
	_ = plain.Canonicalize(looseJSON)
	return plain
}

var looseJSON = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// A carousel in Crisp: cards with links.
type crispCard struct {
	Title       crispText `json:"title"`
	Description crispText `json:"description"`
	Image       crispText `json:"image"`
	Actions     []struct {
		Label crispText `json:"label"`
		URL   crispText `json:"url"`
	} `json:"actions"`
}

// agentCarousel shows a carousel as generic templates. What a card cannot hold stands in a text
// before it. cut is true when a link was left out.
func agentCarousel(content jsontext.Value) (messages []RichMessage, cut bool, err error) {
	var carousel struct {
		Text    crispText   `json:"text"`
		Targets []crispCard `json:"targets"`
	}
	if err := readContent(content, &carousel); err != nil {
		return nil, false, err
	}
	messages = []RichMessage{TextMessage(string(carousel.Text))}
	var cards []Element
	flush := func() {
		if len(cards) > 0 {
			messages = append(messages, RichMessage{Attachment: &Attachment{Type: "template",
				Payload: AttachmentPayload{TemplateType: "generic", Elements: cards}}})
			cards = nil
		}
	}
	for _, target := range carousel.Targets {
		card, text, less := target.element()
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

// element returns the card, and the text of what a card cannot hold: links that are not http or
// https, and the whole of what had to be cut. A card of nothing but a title is only text, since
// Messenger refuses it. Links that are not safe are left out, and cut is true then.
func (c crispCard) element() (card *Element, text string, cut bool) {
	var e Element
	var lines []string
	if !blank(string(c.Image)) {
		if image, ok := c.Image.link(); ok && webLink(image) {
			e.ImageURL = image
		} else {
			cut = true
		}
	}
	for _, a := range c.Actions {
		b := Button{Type: "web_url", Title: a.Label.label()}
		if !blank(string(a.URL)) {
			var ok bool
			if b.URL, ok = a.URL.link(); !ok {
				cut = true
				continue
			}
		}
		full := b.plainText()
		if blank(b.Title) {
			b.Title = strings.TrimPrefix(strings.TrimPrefix(b.URL, "https://"), "http://")
		}
		var whole bool
		if b.Title, whole = textsplit.Shorten(b.Title, maxTitle); !whole || !webLink(b.URL) {
			lines = append(lines, full)
		}
		if webLink(b.URL) {
			e.Buttons = append(e.Buttons, b)
		}
	}
	title, subtitle := c.Title.label(), string(c.Description)
	if blank(title) {
		title, subtitle = c.Description.label(), ""
	}
	if blank(title) && len(e.Buttons) > 0 {
		title = e.Buttons[0].Title
	}
	var wholeTitle, wholeSubtitle bool
	e.Title, wholeTitle = textsplit.Shorten(title, maxCardText)
	e.Subtitle, wholeSubtitle = textsplit.Shorten(subtitle, maxCardText)
	onlyText := blank(e.Subtitle) && e.ImageURL == "" && len(e.Buttons) == 0
	if !wholeTitle || !wholeSubtitle || onlyText {
		lines = append([]string{title, subtitle}, lines...)
	}
	if onlyText {
		return nil, joinLines(lines), cut
	}
	if blank(e.Title) {
		e.Title = more
	}
	return &e, joinLines(lines), cut
}
