package keys

import (
	"strings"
	"unicode/utf8"
)

// AfterPrefix returns a text that is greater, byte by byte, than every key of at most 1,024 bytes that begins with
// prefix, and not greater than any other key that is greater than those. A store can look up the keys that begin with
// prefix as those from prefix up to it, with an index. Both are UTF-8 if prefix is.
func AfterPrefix(prefix string) string {
	for prefix != "" {
		last, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch {
		case last == utf8.RuneError && size == 1: // no UTF-8: no key begins with it
		case last == 0xD7FF: // between here and there are surrogates, which UTF-8 has not
			return prefix + "\uE000"
		case last < utf8.MaxRune:
			return prefix + string(last+1)
		}
	}
	return strings.Repeat(string(utf8.MaxRune), 257)
}
