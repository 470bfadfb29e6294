// Package textsplit measures text as messengers do, and cuts it where a reader would.
//
// Limits are in UTF-16 code units, unless SplitBy measures otherwise, in which Messenger, Crisp's web app and browsers count: most letters
// are one unit, most emoji two or more. No cut is inside a letter as a reader sees it, such as one with
// its accents, a flag, or an emoji with its skin tone, unless that letter alone is longer than the
// limit. Bytes that are not UTF-8 count as one unit each, and are kept as they are.
package textsplit

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Units returns the length of s in UTF-16 units.
func Units(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// OneLine returns s with each run of white space and control characters as one space, and without the characters
// that turn the direction of the text around them.
func OneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

// Split cuts text into parts of at most limit UTF-16 units, at the end of a paragraph, line,
// or sentence if one ends in the second half of a part, else of a word, else of a letter. Only the white
// space around a cut is dropped, and parts without anything else. Text that fits comes back as it is;
// blank text gives no part. A limit below 2 is exceeded by letters of two units.
func Split(text string, limit int) []string { return SplitBy(text, limit, Units) }

// SplitBy is Split for a limit in other units. size measures a text, and the size of two texts together is that of
// both.
func SplitBy(text string, limit int, size func(string) int) []string {
	var parts []string
	for {
		n := prefix(text, limit, size)
		if n == len(text) {
			break
		}
		n = edge(text, n)
		if part := strings.TrimRightFunc(text[:n], unicode.IsSpace); !Blank(part) {
			parts = append(parts, part)
		}
		text = strings.TrimLeftFunc(text[n:], unicode.IsSpace)
	}
	if !Blank(text) {
		parts = append(parts, text)
	}
	return parts
}

// Shorten returns s within limit UTF-16 units, cut before a "…" if it is longer, and whether it
// is whole.
func Shorten(s string, limit int) (short string, whole bool) { return ShortenBy(s, limit, Units) }

// ShortenBy is Shorten for a limit in other units.
func ShortenBy(s string, limit int, size func(string) int) (short string, whole bool) {
	if prefix(s, limit, size) == len(s) {
		return s, true
	}
	return strings.TrimRightFunc(s[:prefix(s, limit-size("…"), size)], unicode.IsSpace) + "…", false
}

// Blank reports whether a reader would see nothing.
func Blank(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsSpace(r) && !unicode.In(r, unicode.Cc, unicode.Cf) })
}

// Join joins the parts in which a reader would see something. A part alone keeps its spaces.
func Join(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(parts), Blank), sep)
}

// prefix returns the length in bytes of the longest start of s within limit units, of whole
// letters; of one rune at least.
func prefix(s string, limit int, size func(string) int) int {
	n, used := 0, 0
	for n < len(s) {
		next := n + letter(s[n:])
		if used += size(s[n:next]); used > limit {
			break
		}
		n = next
	}
	if n == 0 && s != "" { // one letter is longer than a part
		for used = 0; n < len(s); {
			_, width := utf8.DecodeRuneInString(s[n:])
			if used += size(s[n : n+width]); n > 0 && used > limit {
				break
			}
			n += width
		}
	}
	return n
}

// edge returns the best place to cut text at or before n.
func edge(text string, n int) int {
	var paragraph, line, sentence, word int
	before := ""
	for i := 0; i <= n && i < len(text); {
		here := text[i : i+letter(text[i:])]
		space := strings.TrimFunc(here, unicode.IsSpace) == ""
		switch {
		case space && strings.Contains(here, "\n") && strings.Contains(before, "\n"):
			paragraph = i
			fallthrough
		case space && strings.Contains(here, "\n"):
			line, sentence, word = i, i, i
		case space && strings.ContainsAny(before, ".!?…。！？"), !space && strings.ContainsAny(before, "。！？"):
			sentence, word = i, i
		case space:
			word = i
		}
		before = here
		i += len(here)
	}
	for _, at := range []int{paragraph, line, sentence} {
		if at > n/2 {
			return at
		}
	}
	if word > 0 {
		return word
	}
	return n
}

// letter returns the length in bytes of the first letter of s as a reader sees it: with its
// accents, an emoji with its modifiers, a flag, a Korean syllable. It is an approximation of
// Unicode's grapheme clusters that needs no tables; 64 runes are the most it takes for one.
func letter(s string) int {
	last, n := utf8.DecodeRuneInString(s)
	flags := 0
	for range 63 {
		r, size := utf8.DecodeRuneInString(s[n:])
		if size == 0 || !joined(last, r, flags) {
			break
		}
		if isFlag(r) {
			flags++
		}
		last, n = r, n+size
	}
	return n
}

// joined reports whether next belongs to the letter that ends in last.
func joined(last, next rune, flags int) bool {
	const joiner = '\u200d'
	switch {
	case last == '\r' && next == '\n':
		return true
	case unicode.IsControl(last) || last == utf8.RuneError:
		return false
	case unicode.Is(unicode.M, next), next == joiner, next == '\u200c', last == joiner:
		return true
	case next >= 0x1F3FB && next <= 0x1F3FF, next >= 0xE0020 && next <= 0xE007F: // skin tones, tags
		return true
	case isFlag(last) && isFlag(next):
		return flags%2 == 0
	case next >= 0x1160 && next <= 0x11FF: // Korean vowels and finals
		return true
	}
	initial := last >= 0x1100 && last <= 0x115F
	return initial && (next >= 0x1100 && next <= 0x115F || next >= 0xAC00 && next <= 0xD7A3)
}

// isFlag reports whether r is one of the regional indicators, of which two make a flag.
func isFlag(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }
