package historypage

import (
	_ "embed"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strconv"
)

//go:embed page.html.tmpl
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"image": func(s string) string { return shownURL(s, "https", "http") },
	"link":  func(s string) template.URL { return template.URL(shownURL(s, "https", "http", "mailto", "tel")) },
	"words": words,
}).Parse(pageHTML))

const (
	// pageSize is how many messages the page shows at a time.
	pageSize = 100
	// maxName is how many characters of a name are in the title.
	maxName = 60
	// maxQuery is how long the query of the page's address may be: its links repeat it.
	maxQuery = 16 << 10
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
	Head     []Field
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
func newPage(c Conversation, query url.Values) pageData {
	d := pageData{Name: c.name(), Head: c.Head, Total: c.Count, Pages: max((c.Count+pageSize-1)/pageSize, 1)}
	if d.Page, _ = strconv.Atoi(query.Get(pageParameter)); d.Page < 1 || d.Page > d.Pages {
		d.Page = 1
	}
	end := c.Count - (d.Page-1)*pageSize
	begin := max(end-pageSize, 0)
	d.First = begin + 1
	loaded := loadedPictures(query[pictureParameter], d.First, end)
	for i := begin; i < end; i++ {
		p := pageMessage{Message: c.Message(i), Number: i + 1}
		if number := strconv.Itoa(p.Number); p.hasPictures() {
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
