package handover

import (
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/crisphandover/handover/internal/weblink"
)

//go:embed history.html.tmpl
var historyHTML string

var historyTemplate = template.Must(template.New("history").Funcs(template.FuncMap{
	"author": pageAuthor,
	"choice": pageChoice,
	"file":   newPageFile,
	"image":  func(s string) string { return pageURL(s, "https", "http") },
	"link":   func(s string) template.URL { return template.URL(pageURL(s, "https", "http", "mailto", "tel")) },
	"words":  pageWords,
}).Parse(historyHTML))

const (
	// pageSize is how many messages the page shows at a time.
	pageSize = 100
	// maxPageName is how many characters of a name are in the title.
	maxPageName = 60
	// maxPageQuery is how long the query of the page's address may be: its links repeat it.
	maxPageQuery = 16 << 10
)

// The parameters of the page's own links. They are not signed: they choose among what the link's token opens anyway.
const (
	pageParameter    = "page"     // which page, from 1, the newest
	pictureParameter = "pictures" // the number of a message whose pictures are loaded, or allPictures; any number of times
	allPictures      = "all"
)

// pageData is what the template shows: a conversation, or a notice in its place with what to do.
type pageData struct {
	Nonce    string
	Notice   string
	Hint     string
	Name     string // whose conversation it is
	Head     []HistoryField
	Messages []pageMessage
	First    int // number of the first message, from 1
	Total    int // of all pages
	Page     int // from 1, the newest
	Pages    int
	Older    string // links; empty: there is no such page
	Newer    string
	Load     string // loads all pictures of the page; empty: there are none
	Loaded   bool   // some are loaded
}

// pageMessage is a message on the page.
type pageMessage struct {
	Message
	Number int    // from 1, the conversation's oldest
	Load   string // loads its pictures; empty: they are loaded, or there are none
	Loaded bool
}

// Title is the page's title. It is a plain text, in which a name of the other direction stands apart.
func (d pageData) Title() string {
	if d.Name == "" {
		return "Conversation"
	}
	return "Conversation: \u2068" + d.Name + "\u2069"
}

// Last is the number of the last message.
func (d pageData) Last() int { return d.First + len(d.Messages) - 1 }

// newPage returns the page of a conversation that a query asks for. What is no page is the newest one.
func newPage(c Conversation, head []HistoryField, all []Message, query url.Values) pageData {
	d := pageData{Name: pageName(c, head), Head: head, Total: len(all), Pages: max((len(all)+pageSize-1)/pageSize, 1)}
	if d.Page, _ = strconv.Atoi(query.Get(pageParameter)); d.Page < 1 || d.Page > d.Pages {
		d.Page = 1
	}
	end := len(all) - (d.Page-1)*pageSize
	begin := max(end-pageSize, 0)
	d.First = begin + 1
	loaded := loadedPictures(query[pictureParameter], d.First, end)
	for i, m := range all[begin:end] {
		p := pageMessage{Message: m.WithoutMarkdown(), Number: d.First + i}
		if number := strconv.Itoa(p.Number); m.hasPictures() {
			if p.Loaded = slices.Contains(loaded, number) || slices.Contains(loaded, allPictures); !p.Loaded {
				p.Load = pageLink(query, d.Page, append(slices.Clone(loaded), number)...) + "#m" + number
				d.Load = pageLink(query, d.Page, allPictures)
			}
			d.Loaded = d.Loaded || p.Loaded
		}
		d.Messages = append(d.Messages, p)
	}
	if d.Page < d.Pages {
		d.Older = pageLink(query, d.Page+1)
	}
	if d.Page > 1 {
		d.Newer = pageLink(query, d.Page-1)
	}
	return d
}

// loadedPictures returns what of a pictures parameter means something on the page of these messages: allPictures alone, or
// their numbers, each once. Each link of the page repeats it.
func loadedPictures(asked []string, first, last int) []string {
	if slices.Contains(asked, allPictures) {
		return []string{allPictures}
	}
	var numbers []string
	for n := first; n <= last; n++ {
		if number := strconv.Itoa(n); slices.Contains(asked, number) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// pageLink returns a link to a page of the same conversation, relative to this one, that loads these pictures.
func pageLink(query url.Values, page int, pictures ...string) string {
	to := maps.Clone(query) // with the host's own parameters
	to.Set(pageParameter, strconv.Itoa(page))
	if to.Del(pictureParameter); len(pictures) > 0 {
		to[pictureParameter] = pictures
	}
	return "?" + to.Encode()
}

// pageName says whose conversation it is: by the name above the messages, else by its ids.
func pageName(c Conversation, head []HistoryField) string {
	for _, f := range head {
		if name := plainName(f.Value); name != "" && strings.EqualFold(strings.TrimSpace(f.Name), "name") {
			return name
		}
	}
	return plainName(c.Source + " " + c.ID)
}

// plainName returns a name in one line, cut at maxPageName, without what could turn the text around it.
func plainName(name string) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(name, "\uFFFD"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.C, r) {
			return -1
		}
		return r
	}, strings.Join(words, " ")))
	if len(runes) > maxPageName {
		runes = append(runes[:maxPageName-1], '…')
	}
	return strings.TrimSpace(string(runes))
}

// pageWords takes a text apart into words and links. A link that holds the token of a bot stays words.
func pageWords(text string) []weblink.Part {
	parts := weblink.Split(text)
	for i, p := range parts {
		parts[i].Link = p.Link && pageURL(p.Text, "https", "http") != ""
	}
	return parts
}

// hasPictures reports whether the page could show any picture of a message.
func (m Message) hasPictures() bool {
	if f := newPageFile(m); f != nil && f.IsImage {
		return true
	}
	image := func(s string) bool { return pageURL(s, "https", "http") != "" }
	for _, q := range m.Content.QuickReplies {
		if image(q.ImageURL) {
			return true
		}
	}
	if a := m.Content.Attachment; a != nil && a.Type == "template" {
		for _, e := range a.Payload.Elements {
			if image(e.ImageURL) {
				return true
			}
		}
	}
	return false
}

// pageAuthor returns who wrote the message, and the class that the page shows it in.
func pageAuthor(m Message) struct{ Name, Class string } {
	a := struct{ Name, Class string }{"Unknown", "other"}
	switch m.From {
	case FromUser:
		a.Name, a.Class = "User", "user"
	case FromBot:
		a.Name, a.Class = "Bot", "bot"
	case FromSystem:
		a.Name, a.Class = "System", "system"
	case FromAgent:
		a.Name, a.Class = "Agent", "agent"
		if name := strings.TrimSpace(m.Agent.Name); name != "" {
			a.Name = name + " (agent)"
		}
	}
	return a
}

// pageChoice returns what a quick reply says.
func pageChoice(q QuickReply) string {
	switch {
	case q.Title != "":
		return q.Title
	case q.ContentType == ReplyEmail:
		return "(the user's email address)"
	case q.ContentType == "user_phone_number":
		return "(the user's phone number)"
	}
	return q.Payload
}

// pageFile is a file as the page shows it.
type pageFile struct {
	URL     string // empty if it must not be shown
	Name    string
	About   string // type, size and duration, as far as they are known
	IsImage bool
}

// newPageFile returns the file that a message shows, or nil.
func newPageFile(m Message) *pageFile {
	var f File
	kind := AttachmentFile
	if a := m.Content.Attachment; a != nil {
		f.URL, kind = a.Payload.URL, a.Type
	}
	if m.File != nil {
		f = *m.File
	}
	if f == (File{}) {
		return nil
	}
	p := &pageFile{URL: pageURL(f.URL, "https", "http"), Name: f.Name}
	p.IsImage = p.URL != "" && (kind == AttachmentImage || strings.HasPrefix(f.MIMEType, "image/"))
	if u, err := url.Parse(p.URL); err == nil && p.Name == "" && p.URL != "" {
		p.Name = strings.Trim(path.Base(u.Path), "/.")
	}
	if p.Name == "" {
		p.Name = kind
	}
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
	p.About = strings.Join(about, ", ")
	return p
}

// pageURL returns the URL if it is absolute, has one of the schemes and shows no secret; else "".
func pageURL(s string, schemes ...string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.User != nil || weblink.HoldsToken(u) {
		return ""
	}
	if u.Host == "" && (u.Scheme == "https" || u.Scheme == "http") {
		return ""
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme {
			return u.String()
		}
	}
	return ""
}
