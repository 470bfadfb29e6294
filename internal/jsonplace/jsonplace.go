// Package jsonplace tells where in a JSON text a fault stands, so that a person finds it, and quotes nothing
// of the text; and which members an object has that nobody knows.
package jsonplace

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Fault is what is wrong at one place.
type Fault struct {
	Offset int64  // in bytes from the start of the text
	Path   string // JSON Pointer (RFC 6901)
	Err    error
}

var (
	errMore = errors.New("nothing may follow the JSON value")
	errDeep = errors.New("nested too deeply")
)

// Check returns the first fault of a text that is to be one JSON value: bad JSON, JSON that is nested more
// than depth levels deep, or anything after the value. It is nil for none.
func Check(data jsontext.Value, depth int) *Fault {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	for first := true; ; first = false {
		if !first && dec.StackDepth() == 0 {
			if next := tokenAt(data, dec.InputOffset()); next < int64(len(data)) {
				return &Fault{Offset: next, Err: errMore}
			}
			return nil
		}
		_, err := dec.ReadToken()
		syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
		switch {
		case ok:
			return &Fault{Offset: syntax.ByteOffset, Path: short(string(syntax.JSONPointer)), Err: syntax.Err}
		case err != nil: // the end
			return &Fault{Offset: int64(len(data)), Path: short(string(dec.StackPointer())), Err: io.ErrUnexpectedEOF}
		case dec.StackDepth() > depth:
			return &Fault{Offset: dec.InputOffset(), Path: short(string(dec.StackPointer())), Err: errDeep}
		}
	}
}

// maxPath is the length of the longest path that people read, in bytes.
const maxPath = 200

// short drops the inner end of a path that is too long to be read.
func short(path string) string {
	for len(path) > maxPath {
		path = path[:strings.LastIndexByte(path, '/')]
	}
	return path
}

// Offset returns where the value at path stands in data, or else the innermost value around it.
func Offset(data jsontext.Value, path string) int64 {
	for {
		dec := jsontext.NewDecoder(bytes.NewReader(data))
		for {
			end := dec.InputOffset()
			if _, err := dec.ReadToken(); err != nil {
				break
			}
			if string(dec.StackPointer()) == path {
				if kind, n := dec.StackIndex(dec.StackDepth()); kind == '{' && n%2 == 1 {
					end = dec.InputOffset() // that was the member's name
				}
				return tokenAt(data, end)
			}
		}
		cut := strings.LastIndexByte(path, '/')
		if cut < 0 {
			return 0
		}
		path = path[:cut]
	}
}

// tokenAt returns where the token stands that comes next after end.
func tokenAt(data jsontext.Value, end int64) int64 {
	return int64(len(data) - len(bytes.TrimLeft(data[end:], " \t\r\n,:")))
}

// ValidPrefix returns the length of the longest beginning of s that is UTF-8.
func ValidPrefix(s string) int {
	n := 0
	for n < len(s) {
		r, size := utf8.DecodeRuneInString(s[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}
