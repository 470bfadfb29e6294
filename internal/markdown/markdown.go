// Package markdown reads Markdown as people type it in a chat, as spans or as plain text.
//
// It knows inline marks and the beginnings of lines, and is no implementation of CommonMark. In doubt a
// character stays: people write "2 * 3", "__init__" and "C:\*.*" as well. So a mark must stand at the edge of
// words, as in "**word**", and end in the line in which it began.
package markdown

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Style is how a span looks; styles add up.
type Style int

// The styles.
const (
	Bold Style = 1 << iota
	Italic
	Underline
	Strike
	Code  // in a line
	Block // lines of code
)

// Span is a piece of text that looks the same throughout. Its Text has no marks.
type Span struct {
	Text  string
	Style Style
	URL   string // of a link or an image; Text is its label, or the URL itself
}

// Parse returns text as spans: **bold**, *italic*, ~~struck~~, __two words underlined__, `code`, code between lines of
// ```, a heading as bold, [label](URL) and ![label](URL). Lists and quotes stay as they are, which reads well.
// Addresses of pages and of files in Windows, and text without marks, come back unchanged.
func Parse(text string) []Span {
	var s spans
	s.parse(text)
	all := make([]Span, len(s))
	for i, p := range s {
		all[i] = Span{string(p.text), p.style, p.url}
	}
	if strings.TrimSpace(plain(all)) == "" {
		return []Span{{Text: text}}
	}
	return all
}

// Plain returns text without its marks, as Parse knows them. A link or image becomes "label (URL)". The result is
// never longer than text, and blank only if text is.
func Plain(text string) string { return plain(Parse(text)) }

// spans are what was read so far.
type spans []piece

// piece is a Span that grows.
type piece struct {
	text  []byte
	style Style
	url   string
}

// add adds text, if there is any.
func (all *spans) add(text string, style Style, url string) {
	if text == "" {
		return
	}
	if n := len(*all); n > 0 && (*all)[n-1].style == style && (*all)[n-1].url == url {
		(*all)[n-1].text = append((*all)[n-1].text, text...)
		return
	}
	*all = append(*all, piece{[]byte(text), style, url})
}

// plain writes the spans without their styles, and links out.
func plain(all []Span) string {
	var b strings.Builder
	for i := 0; i < len(all); {
		label, url := all[i].Text, all[i].URL
		for i++; i < len(all) && url != "" && all[i].URL == url; i++ {
			label += all[i].Text
		}
		b.WriteString(Linked(label, url))
	}
	return b.String()
}

// parse reads a text.
func (all *spans) parse(text string) {
	lines := strings.Split(text, "\n")
	fences := 0
	for _, line := range lines {
		if isFence(line) {
			fences++
		}
	}
	code, between := false, ""
	for _, line := range lines {
		switch {
		case isFence(line) && (code || fences > 1):
			code = !code
			fences--
			continue
		case code && len(*all) > 0 && (*all)[len(*all)-1].style == Block:
			all.add(between+line, Block, "")
		case code:
			all.add(between, 0, "")
			all.add(line, Block, "")
		default:
			all.add(between, 0, "")
			style := Style(0)
			if title := heading.FindStringSubmatch(line); title != nil {
				line, style = title[1], Bold
			}
			all.inline(line, maxDepth, style, "")
		}
		between = "\n"
	}
}

// heading is a line with a heading: "# 1" and "#1" are numbers.
var heading = regexp.MustCompile(`^#{1,6} +([^\d\s].*)$`)

// isFence reports whether a line begins or ends a block of code.
func isFence(line string) bool {
	rest, found := strings.CutPrefix(strings.TrimSpace(line), "```")
	return found && !strings.Contains(rest, "`")
}

// maxDepth is how deep marks may stand in marks; deeper ones stay.
const maxDepth = 4

// inline reads a line, or what stands between two marks.
func (all *spans) inline(s string, depth int, style Style, url string) {
	if depth == 0 || !strings.ContainsAny(s, "*_~`[\\") {
		all.add(s, style, url)
		return
	}
	open := map[string]bool{} // marks that nothing closes from here on
	for i := 0; i < len(s); {
		if n := literal(s, i); n > 0 {
			all.add(s[i:i+n], style, url)
			i += n
			continue
		}
		if escaped(s, i) {
			all.add(s[i+1:i+2], style, url)
			i += 2
			continue
		}
		if label, to, n := link(s[i:]); n > 0 {
			all.link(label, to, depth-1, style)
			i += n
			continue
		}
		mark := run(s, i)
		if mark == "" {
			_, n := utf8.DecodeRuneInString(s[i:])
			all.add(s[i:i+n], style, url)
			i += n
			continue
		}
		inner := i + len(mark)
		end := -1
		if opens(s, i, mark) && !open[mark] {
			end = closing(s, inner, mark)
			open[mark] = end < 0
		}
		switch {
		case end < 0:
			all.add(mark, style, url)
			i = inner
		case mark[0] == '_' && isWord(s[inner:end]): // __init__
			all.add(s[i:end+len(mark)], style, url)
			i = end + len(mark)
		case mark[0] == '`':
			all.add(s[inner:end], style|Code, url)
			i = end + len(mark)
		default:
			all.inline(s[inner:end], depth-1, style|styles[mark], url)
			i = end + len(mark)
		}
	}
}

// link adds a link, whose label is its URL if it has none.
func (all *spans) link(label, url string, depth int, style Style) {
	var inner spans
	inner.inline(strings.TrimSpace(label), depth, style, url)
	if !slices.ContainsFunc(inner, func(p piece) bool { return len(bytes.TrimSpace(p.text)) > 0 }) {
		inner = spans{{[]byte(url), style, url}}
	}
	for _, p := range inner {
		all.add(string(p.text), p.style, p.url)
	}
}

// styles are what marks mean.
var styles = map[string]Style{"*": Italic, "**": Bold, "***": Bold | Italic, "__": Underline, "~~": Strike}

// run returns the run of one character that stands at i, if that may be a mark or part of one.
func run(s string, i int) string {
	n := i
	for n < len(s) && s[n] == s[i] && strings.IndexByte("*_~`", s[i]) >= 0 {
		n++
	}
	return s[i:n]
}

// isMark reports whether a run is a mark.
func isMark(run string) bool {
	switch run {
	case "*", "**", "***", "__", "~~", "`", "```":
		return true
	}
	return false
}

// opens reports whether the mark at i can begin something: it stands before a word, and after none.
func opens(s string, i int, mark string) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i+len(mark):])
	return isMark(mark) && i+len(mark) < len(s) && !unicode.IsSpace(after) &&
		!(i > 0 && (inWord(before) || before == '\\' || before == ':' || len(mark) == 1 && before == '/')) &&
		(mark[0] == '`' || !strings.ContainsRune(")]}.,;:!?/", after))
}

// closing returns where the mark stands that ends what begins at from; -1: nowhere. It stands after a word,
// and before none.
func closing(s string, from int, mark string) int {
	for i := from; i < len(s); {
		if n := literal(s, i); n > 0 {
			i += n
			continue
		}
		if escaped(s, i) && mark[0] != '`' {
			i += 2
			continue
		}
		found := run(s, i)
		if found == "" {
			i++
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[i+len(found):])
		ends := i+len(found) == len(s) || !inWord(after) && !(len(mark) == 1 && after == '/')
		if found == mark && i > from && ends && !unicode.IsSpace(before) && (mark[0] == '`' || !strings.ContainsRune("([{/", before)) {
			return i
		}
		i += len(found)
	}
	return -1
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// isWord reports whether s is a name as programs have it.
func isWord(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !inWord(r) && r != '_' })
}

// escaped reports whether a backslash before a mark stands at i.
func escaped(s string, i int) bool {
	if i+1 >= len(s) || s[i] != '\\' || i > 0 && s[i-1] == '\\' {
		return false
	}
	if s[i+1] != '_' {
		return strings.IndexByte("*~`[]", s[i+1]) >= 0
	}
	near := func(r rune) bool { return inWord(r) || r == '_' || r == '\\' }
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i+2:])
	return near(before) || near(after) // "snake\_case", not "¯\_(ツ)_/¯"
}

var (
	web     = regexp.MustCompile(`^https?://[^\s<>"\[\]]+`)
	windows = regexp.MustCompile(`^(?:[A-Za-z]:\\|\\\\)\S*`)
)

// literal returns the length of what stands at i if marks have no meaning in it: the address of a page or of
// a file in Windows. Marks at its end are none of it.
func literal(s string, i int) int {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	if i > 0 && inWord(before) {
		return 0
	}
	if s[i] == 'h' {
		return len(strings.TrimRight(web.FindString(s[i:]), "*_~`)"))
	}
	if i == 0 || unicode.IsSpace(before) {
		return len(windows.FindString(s[i:]))
	}
	return 0
}

// link reads a link or an image that stands at the beginning of s, and returns its length; 0: there is none.
func link(s string) (label, url string, length int) {
	rest := strings.TrimPrefix(s, "!")
	if !strings.HasPrefix(rest, "[") {
		return "", "", 0
	}
	n := strings.IndexAny(rest[1:], "[]")
	if n < 0 || !strings.HasPrefix(rest[1+n:], "](") {
		return "", "", 0
	}
	if label, rest = rest[1:1+n], rest[n+3:]; !address.MatchString(rest) {
		return "", "", 0
	}
	depth := 1 // of brackets, which an address may hold
	for i, r := range rest {
		switch {
		case unicode.IsSpace(r), i > maxAddress:
			return "", "", 0
		case r == '(':
			depth++
		case r == ')':
			depth--
		}
		if depth == 0 {
			url, rest = rest[:i], rest[i+1:]
			break
		}
	}
	if depth > 0 || !address.MatchString(url) { // "mailto:)" leads nowhere
		return "", "", 0
	}
	return label, url, len(s) - len(rest)
}

// maxAddress is how long the address of a link may be, in bytes.
const maxAddress = 2000

// address is where a link may lead.
var address = regexp.MustCompile(`^(?i:https?://|mailto:|tel:).`)

// Linked writes a link out as "label (URL)". Without a URL it is the label.
func Linked(label, url string) string {
	if url == "" {
		return label
	}
	switch label = strings.TrimSpace(label); {
	case label == "":
		return url
	case label == url, "mailto:"+label == url, "tel:"+label == url:
		return label
	}
	return label + " (" + url + ")"
}
