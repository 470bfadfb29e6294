package historypage

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/signedlink"
)

// texts are messages of these words.
func texts(words ...string) []Message {
	var all []Message
	for _, text := range words {
		all = append(all, Message{Author: "User", Class: "user", Text: text})
	}
	return all
}

// pageLinks are those on a page whose text or label is what.
func pageLinks(body, what string) (links []string) {
	for _, a := range regexp.MustCompile(`<a [^>]*href="([^"]*)"([^>]*)>([^<]*)</a>`).FindAllStringSubmatch(body, -1) {
		if a[3] == what || strings.Contains(a[2], `aria-label="`+what+`"`) {
			links = append(links, html.UnescapeString(a[1]))
		}
	}
	return links
}

// follow opens a link of a page, as a browser does.
func follow(link string) func(*http.Request) {
	return func(r *http.Request) {
		query, _, _ := strings.Cut(strings.TrimPrefix(link, "?"), "#")
		r.URL.RawQuery = query
	}
}

// showing is a conversation of these messages.
func showing(messages ...Message) Conversation {
	return Conversation{Title: "webchat chat/1?x=é\x00", Count: len(messages), Message: func(i int) Message { return messages[i] }}
}

// visit asks for the page of a conversation, which the token "good" opens.
func visit(t *testing.T, c Conversation, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://bot.example.com/history?t=good", nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	Handler{Load: func(_ context.Context, token string) (Conversation, error) {
		switch token {
		case "good":
			return c, nil
		case "old":
			return Conversation{}, signedlink.ErrExpired
		case "down":
			return Conversation{}, errors.New("down")
		}
		return Conversation{}, signedlink.ErrWrong
	}, Broken: func(_ context.Context, err error) { require.NoError(t, err) }}.ServeHTTP(w, r)
	return w
}

// asking adds parameters to the link.
func asking(parameters string) func(*http.Request) {
	return func(r *http.Request) { r.URL.RawQuery += "&" + parameters }
}

func TestPagesThatShowNothing(t *testing.T) {
	for token, want := range map[string]int{"good": 200, "old": 410, "down": 503, "": 404, "x": 404} {
		w := visit(t, showing(texts("hi")...), func(r *http.Request) { r.URL.RawQuery = "t=" + token })
		require.Equal(t, want, w.Code)
		require.Equal(t, want == 200, strings.Contains(w.Body.String(), "hi</p>"))
	}
	w := visit(t, showing(texts("hi")...), func(r *http.Request) { r.Method = http.MethodPost })
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	require.Zero(t, visit(t, showing(texts("hi")...), func(r *http.Request) { r.Method = http.MethodHead }).Body.Len())
}

func TestLinksInTexts(t *testing.T) {
	const attributes = ` target="_blank" rel="noopener noreferrer nofollow">`
	for name, tt := range map[string]struct {
		message     Message
		want, never []string
	}{
		"in a sentence": {texts("See https://x.example/a?b=1&c=2.")[0], []string{`dir="auto">See <a class="web" href="https://x.example/a?b=1&amp;c=2"` + attributes + `https://x.example/a?b=1&amp;c=2</a>.</p>`}, nil},
		"hostile":       {texts(`https://x.example/"onclick="alert(1)`)[0], []string{`href="https://x.example/"` + attributes, `&#34;onclick=&#34;alert(1)</p>`}, []string{`"onclick`}},
		"of a script":   {texts("javascript:alert(1) data:text/html,x ftp://x.example/")[0], nil, []string{"<a "}},
		"with a name":   {texts("https://bank.example@evil.example/")[0], nil, []string{"<a "}},
		"with a token":  {texts("https://api.telegram.org/file/bot1:SECRET/x")[0], nil, []string{"<a "}},
		"turned":        {texts("https://x.example/\u202egnp.exe")[0], []string{`href="https://x.example/"`}, nil},
		"of a user":     {texts("**See** [it](https://x.example/p)")[0], []string{`dir="auto">**See** [it](<a class="web" href="https://x.example/p"`}, nil},
		"lines":         {texts("a\n https://x.example/ \n b")[0], []string{"a\n <a class", "</a> \n b</p>"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			body := visit(t, showing(tt.message), nil).Body.String()
			_, list, _ := strings.Cut(body, "<ol start")
			for _, want := range tt.want {
				require.Contains(t, list, want)
			}
			for _, never := range tt.never {
				require.NotContains(t, list, never)
			}
		})
	}
}

func TestTitle(t *testing.T) {
	title := func(head ...Field) string {
		page := showing(texts("hi")...)
		page.Head = head
		body := visit(t, page, nil).Body.String()
		name := html.UnescapeString(regexp.MustCompile(`<title>(.*)</title>`).FindStringSubmatch(body)[1])
		require.Contains(t, body, "<h1>Conversation: <bdi>"+html.EscapeString(strings.NewReplacer("Conversation: ", "", "\u2068", "", "\u2069", "").Replace(name))+"</bdi></h1>")
		return name
	}
	require.Equal(t, "Conversation: \u2068webchat chat/1?x=é\u2069", title(), "source and id")
	require.Equal(t, "Conversation: \u2068Anakin\u2069", title(Field{"Email", "a@b.c"}, Field{" NAME", " Anakin\n"}))
	require.Equal(t, "Conversation: \u2068webchat chat/1?x=é\u2069", title(Field{"Name", " \u202e\t"}), "an empty name is none")
	require.Equal(t, "Conversation: \u2068</title><script>x\u2069", title(Field{"name", "</title><script>x"}))
	require.Equal(t, "Conversation: \u2068a gnp.exe שלום\u2069", title(Field{"name", "a\n\u202egnp.exe\u2066 שלום"}))
	long := title(Field{"name", strings.Repeat("é", 10_000)})
	require.Equal(t, maxName+len("Conversation: ")+2, utf8.RuneCountInString(long))
	require.Contains(t, long, "…")
	require.Contains(t, visit(t, Conversation{}, func(r *http.Request) { r.URL.RawQuery = "" }).Body.String(), "<title>Conversation</title>", "a link that opens nothing names nobody")
}

func TestPages(t *testing.T) {
	words := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("word-%d.", i+1))
		}
		return all
	}
	page := showing(texts(words(245)...)...)
	seen := func(body string) (first, last string) {
		found := regexp.MustCompile(`word-\d+\.`).FindAllString(body, -1)
		return found[0], found[len(found)-1]
	}
	body := visit(t, page, asking("tenant=a%26b")).Body.String()
	first, last := seen(body)
	require.Equal(t, "word-146. word-245.", first+" "+last, "the newest come first, in their order")
	require.Contains(t, body, "Messages 146 to 245 of 245")
	require.Contains(t, body, `<ol start="146">`)
	require.Len(t, pageLinks(body, "Older messages"), 2, "above and below")
	require.Empty(t, pageLinks(body, "Newer messages"))
	require.Contains(t, body, `<nav aria-label="Pages">`)

	for _, want := range []string{"word-46. word-145.", "word-1. word-45."} {
		older := pageLinks(body, "Older messages")[0]
		require.Contains(t, older, "tenant=a%26b", "the host's own parameters stay")
		body = visit(t, page, follow(older)).Body.String()
		first, last = seen(body)
		require.Equal(t, want, first+" "+last)
	}
	require.Empty(t, pageLinks(body, "Older messages"))
	body = visit(t, page, follow(pageLinks(body, "Newer messages")[0])).Body.String()
	first, _ = seen(body)
	require.Equal(t, "word-46.", first)

	for _, odd := range []string{"0", "-1", "4", "x", "99999999999999999999", ""} {
		first, _ = seen(visit(t, page, asking("page="+odd)).Body.String())
		require.Equal(t, "word-146.", first, "page %q is the newest", odd)
	}
	for n, pages := range map[int]int{0: 1, 1: 1, 100: 1, 101: 2} {
		body := visit(t, showing(texts(words(n)...)...), nil).Body.String()
		require.Equal(t, pages > 1, strings.Contains(body, "<nav"), n)
	}
}

// The page's number is not signed: without a good token it opens nothing.
func TestPageNumbersOpenNothing(t *testing.T) {
	page := showing(texts("hi")...)
	for _, query := range []string{"page=1", "page=1&pictures=all", "t=x&page=1"} {
		require.Equal(t, http.StatusNotFound, visit(t, page, func(r *http.Request) { r.URL.RawQuery = query }).Code)
	}
}

func TestPicturesAreLoadedOnDemand(t *testing.T) {
	picture := func(n int) Message {
		return Message{File: &File{Picture: true, URL: fmt.Sprintf("https://x.example/%d.png", n)}}
	}
	page := showing(picture(1), texts("between")[0], picture(3))
	shown := func(body string) (all []string) {
		for _, m := range regexp.MustCompile(`<img src="https://x.example/(\d).png"`).FindAllStringSubmatch(body, -1) {
			all = append(all, m[1])
		}
		return all
	}
	w := visit(t, page, nil)
	body := w.Body.String()
	require.Empty(t, shown(body))
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "img-src data:;")
	require.Len(t, pageLinks(body, "https://x.example/1.png"), 0, "its name stands there")
	require.Equal(t, []string{"1.png", "3.png"}, regexp.MustCompile(`\d\.png`).FindAllString(strings.Join(regexp.MustCompile(`<bdi>\d\.png`).FindAllString(body, -1), " "), -1))
	load := pageLinks(body, "Load pictures")
	require.Len(t, load, 2)
	require.True(t, strings.HasSuffix(load[1], "#m3"))

	body = visit(t, page, follow(load[1])).Body.String()
	require.Equal(t, []string{"3"}, shown(body))
	body = visit(t, page, follow(pageLinks(body, "Load pictures")[0])).Body.String()
	require.Equal(t, []string{"1", "3"}, shown(body), "those that were loaded stay")
	require.Empty(t, pageLinks(body, "Load pictures"))
	require.NotContains(t, body, "<nav")

	w = visit(t, page, follow(pageLinks(visit(t, page, nil).Body.String(), "Load all pictures on this page")[0]))
	require.Equal(t, []string{"1", "3"}, shown(w.Body.String()))
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "img-src https: http: data:;")
	for _, odd := range []string{"2", "0", "x", "1.0", " 1"} {
		require.Empty(t, shown(visit(t, page, asking("pictures="+odd)).Body.String()))
	}
}

// Each message's link repeats what is loaded, so that it must be little whatever the address says.
func TestPageStaysSmall(t *testing.T) {
	var all []Message
	for n := range 150 {
		all = append(all, Message{File: &File{Picture: true, URL: fmt.Sprintf("https://x.example/%d.png", n)}})
	}
	page := showing(all...)
	plain := visit(t, page, nil).Body.Len()
	for name, asked := range map[string]string{
		"long": "pictures=" + strings.Repeat("x", 10_000), "odd": strings.Repeat("pictures=x&", 1000), "of another page": "pictures=1&pictures=50&pictures=151&pictures=-1",
	} {
		require.InDelta(t, plain, visit(t, page, asking(asked)).Body.Len(), 100, name)
	}
	body := visit(t, page, asking("pictures=60&pictures=52&pictures=60&pictures=07&pictures=51")).Body.String()
	links := pageLinks(body, "Load pictures")
	require.Len(t, links, 97)
	require.Contains(t, links[0], "&pictures=51&pictures=52&pictures=60&pictures=53&")
	body = visit(t, page, asking(strings.Repeat("pictures=all&", 100))).Body.String()
	require.Empty(t, pageLinks(body, "Load pictures"))
	for _, asked := range []string{"pictures=", "tenant="} {
		w := visit(t, page, asking(asked+strings.Repeat("x", 950_000)))
		require.Equal(t, http.StatusRequestURITooLong, w.Code)
		require.Less(t, w.Body.Len(), 20_000)
	}
}

// Whatever is in a transcript, the page has no tag of it, and links lead to the web alone.
func FuzzPage(f *testing.F) {
	f.Add("See https://x.example/.", "Anakin", "1", "all")
	f.Add(`"><script>alert(1)</script>`, "</title>", "-1", "3")
	f.Add("[a](javascript:x) https://x.example/\u202e", "\u202e\xff", "", "")
	f.Fuzz(func(t *testing.T, text, name, number, pictures string) {
		query := map[string][]string{"t": {"token"}, pageParameter: {number}, pictureParameter: {pictures}}
		c := showing(texts(text, name)...)
		c.Title, c.Head = name+" "+text, []Field{{"name", name}, {text, name}}
		d := newPage(c, query)
		require.LessOrEqual(t, utf8.RuneCountInString(d.Name), maxName)
		require.False(t, strings.ContainsFunc(d.Name, unicode.IsControl))
		var b strings.Builder
		require.NoError(t, pageTemplate.Execute(&b, d))
		for _, tag := range regexp.MustCompile(`<[a-z]+`).FindAllString(b.String(), -1) {
			require.Contains(t, []string{"<html", "<head", "<meta", "<title", "<link", "<style", "<body", "<main", "<h", "<dl", "<dt", "<dd", "<ol", "<li", "<p", "<b", "<bdi", "<a", "<script", "<nav", "<span"}, tag)
		}
		require.Equal(t, 1, strings.Count(b.String(), "<script"))
		for _, a := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(b.String(), -1) {
			require.Regexp(t, `^(?i:https?://|\?|data:,$)`, a[1])
		}
	})
}
