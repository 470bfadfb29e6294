package weblink

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Part is a part of a text: words, or a link that may be shown as one.
type Part struct {
	Text string
	Link bool // Text is a link of Web
}

// maybeLink finds what begins as a link does. It ends before what no link holds: see Safe.
var maybeLink = regexp.MustCompile(`(?i)\bhttps?://[^\s\\"<>` + "`" + `\x{FFFD}\pC\pZ]+`)

// brackets are what a text may have around a link: each opening one with the closing one.
const brackets = "()[]{}"

// Split takes a text apart into its links to the web and the words around them. The parts make the text when they
// are put together. A link ends before punctuation that belongs to the sentence, and before a bracket that was
// opened before it, so that those of Markdown are found as well. It takes a time that grows with the text alone.
func Split(text string) []Part {
	var parts []Part
	words := 0 // where those begin that are not in parts
	for _, at := range maybeLink.FindAllStringIndex(text, -1) {
		begin, end := at[0], at[0]+len(trimmed(text[at[0]:at[1]]))
		if !Web(text[begin:end]) {
			continue
		}
		if words < begin {
			parts = append(parts, Part{Text: text[words:begin]})
		}
		parts = append(parts, Part{Text: text[begin:end], Link: true})
		words = end
	}
	if words < len(text) {
		parts = append(parts, Part{Text: text[words:]})
	}
	return parts
}

// trimmed returns a link without what follows it in a sentence.
func trimmed(link string) string {
	if len(link) > 2*maxLink {
		return link // it is none, whatever is cut off
	}
	var count [len(brackets)]int
	for _, c := range []byte(link) {
		if i := strings.IndexByte(brackets, c); i >= 0 {
			count[i]++
		}
	}
	for link != "" {
		last, size := utf8.DecodeLastRuneInString(link)
		i := strings.IndexRune(brackets, last)
		switch opens := i >= 0 && i%2 == 0; {
		case opens, i >= 0 && count[i] > count[i-1]: // a closing bracket that was opened before the link
			count[i]--
		case !strings.ContainsRune(".,;:!?'*_~|«»“”‘’…。，、", last):
			return link
		}
		link = link[:len(link)-size]
	}
	return link
}
