// Package crispcontent reads and writes what messages in Crisp say: the JSON in their member "content",
// which has another shape for each type of message.
//
// Crisp's schema is not enforced: what is of another type than Crisp documents is read as far as a
// reader could. Links that are not safe to be shown are left out, and said to be.
package crispcontent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf8"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/weblink"
)

// Why content cannot be read. These errors quote nothing of it.
var (
	ErrShape = errors.New("its content is not as Crisp documents it")
	ErrLink  = errors.New("a plain http or https link is needed")
)

// Text is a string in a message's content. A number or boolean is taken as its text, anything else as no
// text. NUL, which no channel shows, becomes U+FFFD.
type Text string

// UnmarshalJSON never fails on valid JSON.
func (t *Text) UnmarshalJSON(data []byte) error {
	*t = ""
	switch v := jsontext.Value(data); v.Kind() {
	case '"':
		var s string
		if err := json.Unmarshal(v, &s, jsontext.AllowInvalidUTF8(true)); err != nil {
			return err
		}
		*t = Text(strings.ReplaceAll(s, "\x00", "\uFFFD"))
	case '0', 't', 'f':
		*t = Text(v)
	}
	return nil
}

// Label returns the text on one line.
func (t Text) Label() string { return textsplit.OneLine(string(t)) }

// Link returns the text as a link, and whether that may be shown as one.
func (t Text) Link() (string, bool) {
	link := strings.ReplaceAll(strings.TrimSpace(string(t)), " ", "%20")
	return link, weblink.Safe(link)
}

// ReadText returns the content of a text message.
func ReadText(content jsontext.Value) (string, error) {
	var text Text
	if content.Kind() != '"' {
		return "", ErrShape
	}
	err := read(content, &text)
	return string(text), err
}

// field is the content of a question that is answered in a field of Crisp's own chat.
type field struct {
	Text    Text `json:"text"`
	Explain Text `json:"explain"`
}

// carousel is the content of a carousel: cards with links.
type carousel struct {
	Text    Text     `json:"text"`
	Targets []target `json:"targets"`
}

// target is one card of a carousel.
type target struct {
	Title       Text `json:"title"`
	Description Text `json:"description"`
	Image       Text `json:"image"`
	Actions     []struct {
		Label Text `json:"label"`
		URL   Text `json:"url"`
	} `json:"actions"`
}

// read decodes content. Duplicate member names are refused.
func read(content jsontext.Value, out any) error {
	if json.Unmarshal(content, out, jsontext.AllowInvalidUTF8(true)) != nil {
		return ErrShape
	}
	return nil
}

// NewText returns the content of a message of type text: any text as a JSON string.
func NewText(s string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		return jsontext.Value(`""`)
	}
	return b
}

// Hash tells one content of a message from another, in 12 characters. It is the same for other
// spellings of the same JSON, and does not see the link previews that Crisp adds, nor what the user
// chose in a picker. It never fails.
func Hash(typ string, content []byte) string {
	if typ == "picker" {
		if plain, err := Answer(content, -1); err == nil {
			content = plain
		}
	}
	return hash(typ, content)[:12]
}

// hash is Hash with what the user chose, in 32 characters.
func hash(typ string, content []byte) string {
	plain := content
	if n := len(plain); n < 2 || plain[0] != '"' || plain[n-1] != '"' || bytes.IndexByte(plain, '\\') >= 0 || !utf8.Valid(plain) {
		plain = canonical(content) // any other is a text that can be spelled in no other way
	}
	var room [512]byte // most contents are shorter, and need no other
	sum := sha256.Sum256(append(append(append(room[:0], typ...), 0), plain...))
	var text [32]byte
	hex.Encode(text[:], sum[:16])
	return string(text[:])
}

// canonical returns the one spelling of a content, without link previews. What is not JSON stays as it is.
func canonical(content jsontext.Value) jsontext.Value {
	var object struct {
		Preview jsontext.Value `json:"preview"`
		Rest    jsontext.Value `json:",embed,unknown"`
	}
	plain := content.Clone()
	if plain.Kind() == '{' && json.Unmarshal(plain, &object, loose) == nil && object.Preview != nil {
		plain = object.Rest
		if plain == nil { // it was the only member
			plain = jsontext.Value("{}")
		}
	}
	_ = plain.Canonicalize(loose)
	return plain
}

var loose = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
