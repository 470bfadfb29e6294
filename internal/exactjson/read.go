// Package exactjson reads JSON from strangers so that every reader sees the same in it.
//
// Common JSON readers differ where it hurts: some match member names without regard to case, some
// take the first and some the last of two members with one name, some refuse a whole text for one
// that is nested too deep, and databases refuse the character NUL. Read checks a text once: what it
// returns is compact, valid UTF-8, without NUL, nested at most MaxNesting levels, and it says
// whether any member name occurs twice in one object. ReadObject then takes the members of an
// object apart by their exact names and keeps those that nobody asked for.
//
// Errors say where a text is wrong and never quote it.
package exactjson

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxNesting is how many levels of objects and arrays Read keeps. It is far below what JSON
// libraries refuse, so that what Read returns can be stored inside other JSON.
const MaxNesting = 100

// lenient reads JSON in which a member name occurs twice.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// Read checks one JSON value and returns what any JSON library can read: compact, valid UTF-8, and without NUL.
// What is not valid UTF-8, lone surrogates and NUL each become U+FFFD. Where nothing is to be changed it is b itself.
//
// clear is false if the value can be read in two ways, because a member name occurs twice in one
// object, or if it is nested deeper than MaxNesting: what was deeper is left out then. Read such a
// value with Only. The error is for what is not JSON.
func Read(b []byte) (v jsontext.Value, clear bool, err error) {
	c := checker{json: b}
	switch {
	case !c.check():
		return reformat(b)
	case c.space:
		return compact(b), true, nil
	}
	return b, true, nil
}

// ReadText is Read and Share, for a text that is taken apart at once: that goes faster then.
func ReadText(b []byte) (t Text, clear bool, err error) {
	c := checker{json: b, keeps: true}
	ok := c.check()
	if !ok || c.space {
		if b, clear, err = Read(b); err != nil || !clear {
			return Share(b), clear, err
		}
		c = checker{json: b, keeps: true} // the index was one of another text
		ok = c.check()
	}
	t = Share(b)
	if ok {
		t.index = append([]member{}, c.index[:c.n]...)
	}
	return t, true, nil
}

// compact leaves out of a text the white space between values.
func compact(b []byte) jsontext.Value {
	kept := make([]byte, 0, len(b))
	for s := (scanner{json: b}); s.at < len(b); {
		from := s.at
		if b[from] == '"' {
			s.text()
		} else {
			s.at++
		}
		if !isSpace(b[from]) {
			kept = append(kept, b[from:s.at]...)
		}
	}
	return kept
}

// reformat is Read of any text, by a JSON library.
func reformat(b []byte) (v jsontext.Value, clear bool, err error) {
	b, deep := Prune(WithoutNUL(b), MaxNesting)
	clear = !deep
	if clear {
		v, err = jsontext.AppendFormat(nil, b, jsontext.AllowInvalidUTF8(true))
		clear = !errors.Is(err, jsontext.ErrDuplicateName)
	}
	if !clear {
		v, err = jsontext.AppendFormat(nil, b, lenient)
	}
	if err != nil {
		return nil, false, notJSON(err)
	}
	return v, clear, nil
}

// notJSON keeps of a JSON error where the fault is: the rest may quote what people wrote.
func notJSON(err error) error {
	if err == nil {
		return nil
	}
	if at, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("not JSON at byte %d", at.ByteOffset)
	}
	return errors.New("not JSON: it ends too early")
}

// nul is the only way to write NUL in JSON.
var nul = []byte(`\u0000`)

// WithoutNUL writes U+FFFD in the place of each NUL, in JSON that is well-formed. It comes before the check
// for doubled names, since two names may differ in that alone.
func WithoutNUL(b []byte) []byte {
	if !bytes.Contains(b, nul) {
		return b
	}
	b = bytes.Clone(b)
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		if bytes.HasPrefix(b[i:], nul) {
			copy(b[i:], `\ufffd`)
		}
		i++ // the next character is escaped
	}
	return b
}

// Prune leaves out of a JSON text what is nested deeper than limit: an empty object stands in its
// place. deep tells whether there was any. JSON libraries refuse a text for its nesting alone, and
// with it everything else that it holds.
func Prune(b []byte, limit int) (kept []byte, deep bool) {
	if bytes.Count(b, []byte("{"))+bytes.Count(b, []byte("[")) <= limit {
		return b, false
	}
	depth, quoted, from := 0, false, 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth == limit+1 {
				kept, deep = append(append(kept, b[from:i]...), "{}"...), true
			}
		case c == '}' || c == ']':
			if depth--; depth == limit {
				from = i + 1
			}
		}
	}
	if !deep {
		return b, false
	}
	if depth > limit { // it ends too early
		from = len(b)
	}
	return append(kept, b[from:]...), true
}
