package handover

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxNesting is how deep JSON from outside may be nested. Crisp's own has less than 10 levels. It
// is far below what JSON libraries refuse, so that what was accepted can be stored inside other
// JSON.
const maxNesting = 100

// maxInteger is the largest integer that every JSON reader keeps exact. Crisp's are JavaScript
// numbers.
const maxInteger = 1<<53 - 1

// lenient reads JSON in which a member name occurs twice.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// readJSON checks one JSON value from outside and returns a copy that any JSON library can read:
// compact, and valid UTF-8. clear is false if it can be read in two ways, because a member name
// occurs twice, or is nested too deep: it must then be read with only. Errors are for what is not
// JSON; they do not quote it.
func readJSON(b []byte) (v jsontext.Value, clear bool, err error) {
	b, deep := shallow(b, maxNesting)
	if !deep {
		v, err = jsontext.AppendFormat(nil, b, jsontext.AllowInvalidUTF8(true))
		if !errors.Is(err, jsontext.ErrDuplicateName) {
			return v, true, notJSON(err)
		}
	}
	v, err = jsontext.AppendFormat(nil, b, lenient)
	return v, false, notJSON(err)
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

// shallow leaves out of a JSON text what is nested deeper than limit: an empty object stands in its
// place. deep tells whether there was any. JSON libraries refuse a text for its nesting alone, and
// with it everything else that it holds.
func shallow(b []byte, limit int) (kept []byte, deep bool) {
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

// members calls each with the members of an object, in order, doubled names included. A value
// that is no object has none. The members' values share v's memory. The error is for what is not
// JSON: what came before the fault was told all the same.
func members(v jsontext.Value, each func(name string, value jsontext.Value)) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(v), lenient)
	if dec.PeekKind() != jsontext.KindBeginObject {
		_, err := dec.ReadValue()
		return notJSON(err)
	}
	_, _ = dec.ReadToken()
	for dec.PeekKind() == jsontext.KindString {
		name, err := dec.ReadToken()
		if err != nil {
			return notJSON(err)
		}
		key := name.String() // the token is void after the next read
		value, err := dec.ReadValue()
		if err != nil {
			return notJSON(err)
		}
		each(key, justRead(v, dec, value))
	}
	if _, err := dec.ReadToken(); err != nil {
		return notJSON(err)
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return errors.New("not JSON: something follows")
	}
	return nil
}

// elements returns the elements of an array. A value that is no array has none. They share v's
// memory.
func elements(v jsontext.Value) (list []jsontext.Value) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(v), lenient)
	if t, err := dec.ReadToken(); err != nil || t.Kind() != jsontext.KindBeginArray {
		return nil
	}
	for {
		value, err := dec.ReadValue()
		if err != nil {
			return list // the closing bracket
		}
		list = append(list, justRead(v, dec, value))
	}
}

// justRead returns the part of v that dec, which reads v, read last: value itself is void after the
// next read.
func justRead(v jsontext.Value, dec *jsontext.Decoder, value jsontext.Value) jsontext.Value {
	end := dec.InputOffset()
	return v[end-int64(len(value)) : end : end]
}

// only returns the value of the member with this name, or nil if there is none or more than one.
func only(v jsontext.Value, name string) jsontext.Value {
	value, _ := onlyOf(v, name)
	return value
}

// onlyOf is only, with an error for what is not JSON.
func onlyOf(v jsontext.Value, name string) (value jsontext.Value, err error) {
	n := 0
	err = members(v, func(key string, v jsontext.Value) {
		if key == name {
			value = v
			n++
		}
	})
	if n != 1 {
		return nil, err
	}
	return value, err
}

// withoutDoubt returns of an ambiguous event what can be read in one way only.
func withoutDoubt(raw jsontext.Value) jsontext.Value {
	scalars := func(v jsontext.Value, names ...string) (kept []byte) {
		for _, name := range names {
			if value := only(v, name); value.Kind() == jsontext.KindString || value.Kind() == jsontext.KindNumber {
				kept = fmt.Appendf(kept, `%q:%s,`, name, value)
			}
		}
		return kept
	}
	data := scalars(only(raw, "data"), "website_id", "session_id")
	return fmt.Appendf(nil, `{%s"data":{%s}}`, scalars(raw, "website_id", "event", "timestamp"), bytes.TrimSuffix(data, []byte(",")))
}

// fields says where the members of an object go: each to a pointer that set knows.
type fields map[string]any

// readObject puts the members of an object into fields. It returns an object of those that are
// not in a field now, or nil if there are none. Of a value that is no object it takes nothing.
func readObject(v jsontext.Value, into fields) (rest jsontext.Value) {
	_ = members(v, func(name string, value jsontext.Value) { // v was checked
		if set(into[name], value) {
			return
		}
		rest = append(rest, ',')
		rest, _ = jsontext.AppendQuote(rest, name) // fails for invalid UTF-8 only; readJSON left none
		rest = append(append(rest, ':'), value...)
	})
	if rest == nil {
		return nil
	}
	rest[0] = '{'
	return append(rest, '}')
}

// set gives *field the value, and tells whether it now has more than its zero value. A value of
// the wrong type changes nothing.
func set(field any, v jsontext.Value) bool {
	switch field := field.(type) {
	case *string:
		if v.Kind() == jsontext.KindString {
			s, _ := jsontext.AppendUnquote(nil, v)
			*field = string(s)
		}
		return *field != ""
	case *int64:
		*field = positive(v)
		return *field != 0
	case *bool:
		*field = v.Kind() == jsontext.KindTrue
		return *field
	case **bool:
		if v.Kind() == jsontext.KindTrue || v.Kind() == jsontext.KindFalse {
			*field = new(v.Kind() == jsontext.KindTrue)
		}
		return *field != nil
	case *jsontext.Value:
		*field = v
		return v != nil
	case *[]int64:
		for _, e := range elements(v) {
			if n := positive(e); n > 0 {
				*field = append(*field, n)
			}
		}
		return len(*field) > 0
	case *EventUser:
		field.Unknown = readObject(v, fields{"type": &field.Type, "user_id": &field.UserID,
			"nickname": &field.Nickname, "avatar": &field.Avatar})
		return field.Unknown != nil || field.Type+field.UserID+field.Nickname+field.Avatar != ""
	}
	return false
}

// positive returns the integer from 1 to 2^53-1 that v is, or 0. It reads 1.632e14 and
// 163240180126629.0 as Crisp does, in JavaScript.
func positive(v jsontext.Value) int64 {
	if v.Kind() != jsontext.KindNumber {
		return 0
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f < 1 || f > maxInteger || f != math.Trunc(f) {
		return 0
	}
	return int64(f)
}
