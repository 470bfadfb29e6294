package exactjson

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Members calls each with the members of an object, in order, doubled names included. A value that
// is no object has none. The members' values share v's memory. The error is for what is not JSON:
// what came before the fault was told all the same.
func Members(v jsontext.Value, each func(name string, value jsontext.Value)) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(v), lenient)
	if dec.PeekKind() != jsontext.KindBeginObject {
		if _, err := dec.ReadValue(); err != nil {
			return notJSON(err)
		}
		return ended(dec)
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
	return ended(dec)
}

// ended returns an error if anything follows.
func ended(dec *jsontext.Decoder) error {
	if _, err := dec.ReadToken(); err != io.EOF {
		return errors.New("not JSON: something follows")
	}
	return nil
}

// justRead returns the part of v that dec, which reads v, read last: value itself is void after the
// next read.
func justRead(v jsontext.Value, dec *jsontext.Decoder, value jsontext.Value) jsontext.Value {
	end := dec.InputOffset()
	return v[end-int64(len(value)) : end : end]
}

// Elements returns the elements of an array. A value that is no array has none. They share v's
// memory. v was checked, by Read or by Members.
func Elements(v jsontext.Value) (list []jsontext.Value) {
	s := scanner{json: v}
	if !s.enter('[') {
		return nil
	}
	for value := s.value(); value != nil; value = s.value() {
		list = append(list, value)
	}
	return list
}

// Only returns the value of the member with this name, or nil if there is none or more than one.
// v was checked, by Read or by Members.
func Only(v jsontext.Value, name string) (value jsontext.Value) {
	n := 0
	for m := (Text{Value: v}).members(); m.next(); {
		if string(m.name()) == name {
			value = m.value().Value
			n++
		}
	}
	if n != 1 {
		return nil
	}
	return value
}

// Field says where the member of an object with this exact name goes: see To.
type Field struct {
	name string
	to   any
}

// To makes a Field. A target is a *string, *int64 (a positive integer, see Positive), *bool, **bool (nil:
// absent), *jsontext.Value or *Text (any value, as it is), or a func of one of these two that takes the value
// and tells whether it now holds more than nothing.
func To(name string, target any) Field { return Field{name, target} }

// ReadObject puts the members of an object that Read found clear into fields. It returns an object
// of those that are not in a field now, or nil if there are none: those without a field, of another
// type than it, and those that are null, false, zero or empty. Of a value that is no object it takes
// nothing.
func ReadObject(v jsontext.Value, into ...Field) (rest jsontext.Value) {
	return Text{Value: v}.ReadObject(into...)
}

// Set gives a target of To the value, and tells whether it now has more than its
// zero value. A value of the wrong type changes nothing.
func Set(field any, v jsontext.Value) bool { return Text{Value: v}.set(field) }
