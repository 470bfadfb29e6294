package exactjson

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner takes JSON apart whose grammar was checked before. It only finds where values begin and end,
// which costs a fraction of reading them.
type scanner struct {
	json []byte
	at   int
}

// peek returns the byte with which the next value begins, or the object or array ends; 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.json); s.at++ {
		switch c := s.json[s.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
		default:
			return c
		}
	}
	return 0
}

// enter goes into an object or array. It reports whether one begins here.
func (s *scanner) enter(opening byte) bool {
	if s.peek() != opening {
		return false
	}
	s.at++
	return true
}

// value returns the next value or name; nil at the end of an object or array. It shares memory.
func (s *scanner) value() jsontext.Value {
	first, from := s.peek(), s.at
	switch first {
	case 0, '}', ']':
		return nil
	case '"':
		s.text()
	case '{', '[':
		s.nested()
	default:
		s.literal()
	}
	return s.json[from:s.at:s.at]
}

// text goes over a string.
func (s *scanner) text() {
	for s.at++; ; {
		n := bytes.IndexByte(s.json[s.at:], '"')
		if n < 0 {
			s.at = len(s.json)
			return
		}
		from, end := s.at, s.at+n
		s.at = end + 1
		escapes := 0
		for end-escapes > from && s.json[end-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return // the quotation mark is not escaped
		}
	}
}

// literal goes over a number, true, false or null.
func (s *scanner) literal() {
	for ; s.at < len(s.json); s.at++ {
		switch s.json[s.at] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return
		}
	}
}

// nested goes over an object or array.
func (s *scanner) nested() {
	for depth := 0; s.at < len(s.json); {
		switch s.json[s.at] {
		case '"':
			s.text()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if s.at++; depth == 0 {
			return
		}
	}
}

// unquoted returns the text of a JSON string. It may share v's memory.
func unquoted(v jsontext.Value) []byte {
	if plain(v) {
		return v[1 : len(v)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, v) // what is invalid becomes U+FFFD
	return text
}

// plain reports whether the text of a JSON string is what stands between its quotation marks.
func plain(v jsontext.Value) bool {
	n := len(v)
	return n >= 2 && v[0] == '"' && v[n-1] == '"' && !escapes(v) && utf8.Valid(v)
}

// escapes reports whether the text of a JSON string, which is valid UTF-8, is another one than what stands there.
func escapes(v jsontext.Value) bool { return bytes.IndexByte(v, '\\') >= 0 }
