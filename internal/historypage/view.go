package historypage

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/crisphandover/handover/internal/weblink"
)

// Conversation is what the page shows. All texts may be a stranger's.
type Conversation struct {
	Title   string // names it where Head does not
	Head    []Field
	Count   int               // of messages
	Message func(int) Message // the one of this place, from 0, the oldest; it is asked for those of one page
}

// Field is a line above the messages, such as "Email: anakin@example.com". The value of one that is called "Name" is the
// page's title.
type Field struct{ Name, Value string }

// Message is a message, with what it shows in this order.
type Message struct {
	Author  string
	Class   string    // of the author: "user", "bot", "agent", "system" or "other"
	At      time.Time // zero: not known
	Text    string
	File    *File
	Panel   *Panel
	Choices []Choice
}

// File is a file, of which any field may be empty.
type File struct {
	URL, Name, MIMEType string
	Kind                string // stands for the name where there is none, and nothing in the URL
	Size                int64
	Duration            time.Duration
	Picture             bool // it can be shown as one
}

// Panel is text with buttons and cards.
type Panel struct {
	Text    string
	Buttons []Button
	Cards   []Card
}

// Card is one of several that stand side by side.
type Card struct {
	Title, Subtitle, URL string
	Picture              string // its URL
	Buttons              []Button
}

// Button leads to a URL, or is only shown.
type Button struct{ Title, URL string }

// Choice is an answer that the user may choose.
type Choice struct {
	Title   string
	Picture string // its URL
}

// name says whose conversation it is.
func (c *Conversation) name() string {
	for _, f := range c.Head {
		if name := plainName(f.Value); name != "" && strings.EqualFold(strings.TrimSpace(f.Name), "name") {
			return name
		}
	}
	return plainName(c.Title)
}

// plainName returns a name in one line, cut at maxName, without what could turn the text around it.
func plainName(name string) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(name, "\uFFFD"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.C, r) {
			return -1
		}
		return r
	}, strings.Join(words, " ")))
	if len(runes) > maxName {
		runes = append(runes[:maxName-1], '…')
	}
	return strings.TrimSpace(string(runes))
}

// words takes a text apart into words and links. A link that holds the token of a bot stays words.
func words(text string) []weblink.Part {
	parts := weblink.Split(text)
	for i, p := range parts {
		parts[i].Link = p.Link && shownURL(p.Text, "https", "http") != ""
	}
	return parts
}

// hasPictures reports whether the page could show any picture of a message.
func (m *Message) hasPictures() bool {
	image := func(s string) bool { return shownURL(s, "https", "http") != "" }
	return m.File != nil && m.File.Shows() ||
		slices.ContainsFunc(m.Choices, func(c Choice) bool { return image(c.Picture) }) ||
		m.Panel != nil && slices.ContainsFunc(m.Panel.Cards, func(c Card) bool { return image(c.Picture) })
}

// Shows reports whether the file is a picture that may be shown.
func (f *File) Shows() bool {
	return (f.Picture || strings.HasPrefix(f.MIMEType, "image/")) && shownURL(f.URL, "https", "http") != ""
}

// Label is the file's name, or what stands for it.
func (f *File) Label() string {
	name := f.Name
	if u, err := url.Parse(shownURL(f.URL, "https", "http")); err == nil && name == "" && u.Host != "" {
		name = strings.Trim(path.Base(u.Path), "/.")
	}
	if name == "" {
		name = f.Kind
	}
	return name
}

// About is the file's type, size and duration, as far as they are known.
func (f *File) About() string {
	var about []string
	if f.MIMEType != "" {
		about = append(about, f.MIMEType)
	}
	switch {
	case f.Size >= 1e6:
		about = append(about, fmt.Sprintf("%.1f MB", float64(f.Size)/1e6))
	case f.Size > 0:
		about = append(about, fmt.Sprintf("%.1f kB", float64(f.Size)/1e3))
	}
	if f.Duration > 0 {
		about = append(about, f.Duration.Round(time.Second).String())
	}
	return strings.Join(about, ", ")
}

// shownURL returns the URL if it is absolute, has one of the schemes and shows no secret; else "".
func shownURL(s string, schemes ...string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.User != nil || weblink.HoldsToken(u) {
		return ""
	}
	if u.Host == "" && (u.Scheme == "https" || u.Scheme == "http") || !slices.Contains(schemes, u.Scheme) {
		return ""
	}
	return u.String()
}
