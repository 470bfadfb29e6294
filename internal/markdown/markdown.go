// Package markdown turns Markdown as people type it in a chat into plain text.
//
// It knows inline marks and the beginnings of lines, and is no implementation of CommonMark. In doubt a
// character stays: people write "2 * 3", "__init__" and "C:\*.*" as well. So a mark must stand at the edge of
// words, as in "**word**", and end in the line in which it began.
package markdown

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain returns text without its marks: **bold**, *italic*, ~~struck~~, __two words underlined__, `code`, code
// between lines of ```, the # of headings, and the backslash before a mark. A link or image becomes "label (URL)".
// Lists and quotes stay as they are, which reads well. Addresses of pages and of files in Windows, and text
// without marks, come back unchanged. The result is never longer than text, and blank only if text is.
func Plain(text string) string {
	lines := strings.Split(text, "\n")
	out := make([]string, 0, len(lines))
	fences := 0
	for _, line := range lines {
		if isFence(line) {
			fences++
		}
	}
	code := false
	for _, line := range lines {
		switch {
		case isFence(line) && (code || fences > 1):
			code = !code
			fences--
		case code:
			out = append(out, line)
		default:
			out = append(out, inline(heading.ReplaceAllString(line, "$1"), maxDepth))
		}
	}
	if plain := strings.Join(out, "\n"); strings.TrimSpace(plain) != "" {
		return plain
	}
	return text
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

// inline returns a line, or what stands between two marks, without marks.
func inline(s string, depth int) string {
	if depth == 0 || !strings.ContainsAny(s, "*_~`[\\") {
		return s
	}
	var b strings.Builder
	open := map[string]bool{} // marks that nothing closes from here on
	for i := 0; i < len(s); {
		if n := literal(s, i); n > 0 {
			b.WriteString(s[i : i+n])
			i += n
			continue
		}
		if escaped(s, i) {
			b.WriteByte(s[i+1])
			i += 2
			continue
		}
		if label, url, n := link(s[i:]); n > 0 {
			b.WriteString(linked(inline(label, depth-1), url))
			i += n
			continue
		}
		mark := run(s, i)
		if mark == "" {
			_, n := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n])
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
			b.WriteString(mark)
			i = inner
		case mark[0] == '_' && isWord(s[inner:end]): // __init__
			b.WriteString(s[i : end+len(mark)])
			i = end + len(mark)
		case mark[0] == '`':
			b.WriteString(s[inner:end])
			i = end + len(mark)
		default:
			b.WriteString(inline(s[inner:end], depth-1))
			i = end + len(mark)
		}
	}
	return b.String()
}

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

// linked writes a link out.
func linked(label, url string) string {
	switch label = strings.TrimSpace(label); {
	case label == "":
		return url
	case label == url, "mailto:"+label == url, "tel:"+label == url:
		return label
	}
	return label + " (" + url + ")"
}
