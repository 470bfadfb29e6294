package channel

import (
	"slices"
	"strings"
	"unicode"

	"github.com/crisphandover/handover/internal/markdown"
	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/weblink"
)

// rich is text with styles and links.
type rich []markdown.Span

// plainText is text without styles.
func plainText(s string) rich {
	if s = clean(s); s == "" {
		return nil
	}
	return rich{{Text: s}}
}

// agentText is text as agents write it.
func agentText(s string) rich {
	all := rich(markdown.Parse(clean(s)))
	for i, s := range all {
		if s.URL != "" && !weblink.Safe(s.URL) {
			all[i] = markdown.Span{Text: markdown.Linked(s.Text, s.URL), Style: s.Style}
		}
	}
	return all
}

// clean returns text that every channel can take: valid UTF-8, with line breaks and tabs but no other control
// characters, and without characters that change the direction of what follows.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			return '\n'
		case unicode.IsControl(r), r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069', r >= 0xFFF9 && r <= 0xFFFB:
			return -1
		}
		return r
	}, s)
}

// oneLine returns clean text on one line.
func oneLine(s string) string { return textsplit.OneLine(clean(s)) }

// join returns both, with sep between them if both say something.
func (r rich) join(sep string, more rich) rich {
	switch {
	case r.blank():
		return more
	case more.blank():
		return r
	}
	return slices.Concat(r, rich{{Text: sep}}, more)
}

// add appends lines of plain text.
func (r rich) add(lines ...string) rich {
	for _, line := range lines {
		r = r.join("\n", plainText(line))
	}
	return r
}

func (r rich) blank() bool { return textsplit.Blank(r.body()) }

// body is the text, without URLs.
func (r rich) body() string {
	var b strings.Builder
	for _, s := range r {
		b.WriteString(s.Text)
	}
	return b.String()
}

// plain is the text without styles, with links written out.
func (r rich) plain() string {
	var b strings.Builder
	for i := 0; i < len(r); {
		label, url := r[i].Text, r[i].URL
		for i++; i < len(r) && url != "" && r[i].URL == url; i++ {
			label += r[i].Text
		}
		b.WriteString(markdown.Linked(label, url))
	}
	return b.String()
}

// slice returns what stands from one place of the body to another.
func (r rich) slice(from, to int) (out rich) {
	at := 0
	for _, s := range r {
		a, b := max(from-at, 0), min(to-at, len(s.Text))
		if at += len(s.Text); a < b {
			out = append(out, markdown.Span{Text: s.Text[a:b], Style: s.Style, URL: s.URL})
		}
	}
	return out
}

// trim returns the text without white space at its ends.
func (r rich) trim() rich {
	body := r.body()
	from := len(body) - len(strings.TrimLeftFunc(body, unicode.IsSpace))
	return r.slice(from, len(strings.TrimRightFunc(body, unicode.IsSpace)))
}

// size is the length of a text, with its markup and without, whichever is longer.
func (c Capabilities) size(r rich) int {
	n := c.Unit.Len(r.plain())
	if c.Markup == HTML {
		return n // tags and entities do not count
	}
	return max(n, c.Unit.Len(r.markup(c.Markup)))
}

// split cuts a text at good places into parts that are within limit. No part has unclosed markup.
func (c Capabilities) split(r rich, limit int) []rich {
	for i, s := range r { // a long link is written out, so that it can be cut
		if s.URL != "" && c.size(rich{{Text: "x", Style: s.Style, URL: s.URL}}) > limit/2 {
			r = slices.Clone(r)
			r[i] = markdown.Span{Text: markdown.Linked(s.Text, s.URL)}
		}
	}
	return c.cut(r, limit, limit)
}

// cut cuts a text into parts whose bodies are within at, and which are within limit.
func (c Capabilities) cut(r rich, limit, at int) (out []rich) {
	body, from := r.body(), 0
	for _, part := range textsplit.SplitBy(body, at, c.Unit.Len) {
		from += max(0, strings.Index(body[from:], part))
		piece := r.slice(from, from+len(part))
		from += len(part)
		n := c.size(piece)
		switch next := min(at-1, int(float64(at)*float64(limit)/float64(n))); {
		case n <= limit:
			out = append(out, piece)
		case next >= 4:
			out = append(out, c.cut(piece, limit, next)...)
		default: // almost nothing but marks
			out = append(out, c.cut(rich{{Text: piece.plain()}}, limit, max(1, limit/8))...)
		}
	}
	return out
}

// tag is how a markup begins and ends a style.
type tag struct {
	style       markdown.Style
	open, close string
}

// tags are the styles of each markup, the outermost first. A style that is not there is not shown.
var tags = map[Markup][]tag{
	HTML: {
		{markdown.Bold, "<b>", "</b>"}, {markdown.Italic, "<i>", "</i>"}, {markdown.Underline, "<u>", "</u>"},
		{markdown.Strike, "<s>", "</s>"}, {markdown.Code, "<code>", "</code>"}, {markdown.Block, "<pre>", "</pre>"},
	},
	WhatsApp: {
		{markdown.Bold, "*", "*"}, {markdown.Italic, "_", "_"}, {markdown.Strike, "~", "~"},
		{markdown.Code, "`", "`"}, {markdown.Block, "```", "```"},
	},
	Mrkdwn: {
		{markdown.Bold, "*", "*"}, {markdown.Italic, "_", "_"}, {markdown.Strike, "~", "~"},
		{markdown.Code, "`", "`"}, {markdown.Block, "```", "```"},
	},
	Markdown: {
		{markdown.Bold, "**", "**"}, {markdown.Italic, "*", "*"}, {markdown.Underline, "__", "__"},
		{markdown.Strike, "~~", "~~"}, {markdown.Code, "`", "`"}, {markdown.Block, "```\n", "\n```"},
	},
}

// escapes keep text from being taken for markup.
var escapes = map[Markup]*strings.Replacer{
	HTML:     strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;"),
	Mrkdwn:   strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;"),
	Markdown: strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "~", `\~`, "`", "\\`", "[", `\[`, "]", `\]`, "#", `\#`, "<", `\<`),
}

// markup writes text in a markup. Every style and link that begins ends as well.
func (r rich) markup(m Markup) string {
	w := writer{markup: m}
	if m == NoMarkup {
		return r.plain()
	}
	for i := 0; i < len(r); {
		end := i + 1
		for end < len(r) && r[end].URL == r[i].URL {
			end++
		}
		w.link(r[i:end], r[i].URL)
		i = end
	}
	return w.b.String()
}

// writer writes spans in a markup.
type writer struct {
	b      strings.Builder
	markup Markup
	open   []tag
}

// link writes spans that are one link, or none if url is empty. A link stands in no style, and styles stand in it.
func (w *writer) link(all rich, url string) {
	w.close(0)
	label := all.body()
	switch {
	case url == "":
		w.spans(all)
	case w.markup == HTML && weblink.Web(url): // Telegram drops other links
		w.b.WriteString(`<a href="` + escapes[HTML].Replace(url) + `">`)
		w.spans(all)
		w.b.WriteString("</a>")
	case w.markup == Mrkdwn && !strings.ContainsAny(label, "|\n"):
		w.b.WriteString("<" + strings.ReplaceAll(escapes[Mrkdwn].Replace(url), "|", "%7C") + "|" + escapes[Mrkdwn].Replace(label) + ">")
	case w.markup == Markdown && !strings.ContainsAny(url, "()"):
		w.b.WriteString("[")
		w.spans(all)
		w.b.WriteString("](" + url + ")")
	default:
		w.spans(rich{{Text: markdown.Linked(label, url), Style: all[0].Style}})
	}
}

// spans writes spans, and ends all styles at the end.
func (w *writer) spans(all rich) {
	for _, s := range all {
		want := w.tagsOf(s)
		keep := 0
		for keep < len(w.open) && slices.Contains(want, w.open[keep]) {
			keep++
		}
		w.close(keep)
		for _, t := range want {
			if !slices.Contains(w.open, t) {
				w.b.WriteString(t.open)
				w.open = append(w.open, t)
			}
		}
		escape := escapes[w.markup]
		if escape == nil || w.markup == Markdown && s.Style&(markdown.Code|markdown.Block) != 0 && len(want) > 0 {
			w.b.WriteString(s.Text)
		} else {
			_, _ = escape.WriteString(&w.b, s.Text)
		}
	}
	w.close(0)
}

// tagsOf are the tags around a span. Code stands alone. Where a markup cannot escape, a span with its marks in it has
// no style.
func (w *writer) tagsOf(s markdown.Span) (all []tag) {
	code := s.Style & (markdown.Code | markdown.Block)
	edge := strings.TrimSpace(s.Text) != s.Text && code == 0
	for _, t := range tags[w.markup] {
		if s.Style&t.style == 0 || code != 0 && t.style&code == 0 {
			continue
		}
		mark := strings.Trim(t.close, "\n")
		if w.markup != HTML && (strings.Contains(s.Text, mark[:1]) || textsplit.Blank(s.Text) || edge && w.markup != Markdown && len(w.open) == 0) {
			continue
		}
		all = append(all, t)
	}
	return all
}

// close ends the innermost styles until so many are left.
func (w *writer) close(keep int) {
	for len(w.open) > keep {
		last := len(w.open) - 1
		w.b.WriteString(w.open[last].close)
		w.open = w.open[:last]
	}
}
