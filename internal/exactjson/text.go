package exactjson

import "github.com/go-json-experiment/json/jsontext"

// Text is a JSON value that was checked, by Read or by Members. What Share returns has all its strings in one
// piece of memory.
type Text struct {
	Value  jsontext.Value
	shared string // Value again, for the strings to be parts of; empty: each string is a copy
}

// mostShared is the longest value whose strings are shared: one that is kept keeps the whole.
const mostShared = 4 << 10

// Share returns v, for ReadObject and Fields to make strings of that share memory with each other, but not with v.
func Share(v jsontext.Value) Text {
	if len(v) > mostShared {
		return Text{Value: v}
	}
	return Text{Value: v, shared: string(v)}
}

// ReadObject is as the function of that name.
func (t Text) ReadObject(into ...Field) (rest jsontext.Value) {
	t.members(func(name []byte, quoted jsontext.Value, value Text) bool {
		for i := range into {
			if string(name) == into[i].name && value.set(into[i].to) {
				return true
			}
		}
		if rest == nil {
			rest = make(jsontext.Value, 0, min(len(t.Value), len(quoted)+len(value.Value)+64))
		}
		rest = append(append(rest, ','), quoted...)
		rest = append(append(rest, ':'), value.Value...)
		return true
	})
	if rest == nil {
		return nil
	}
	rest[0] = '{'
	return append(rest, '}')
}

// Fields is ReadObject for those who need no rest.
func (t Text) Fields(into ...Field) {
	missing := len(into)
	t.members(func(name []byte, _ jsontext.Value, value Text) bool {
		for i := range into {
			if string(name) == into[i].name {
				value.set(into[i].to)
				missing--
			}
		}
		return missing > 0
	})
}

// members calls each with the members of an object, until it returns false: the name, also as it stands there, and
// the value. A name is void after the call.
func (t Text) members(each func(name []byte, quoted jsontext.Value, value Text) bool) {
	s := scanner{json: t.Value}
	if !s.enter('{') {
		return
	}
	for quoted := s.value(); quoted != nil; quoted = s.value() {
		value := Text{Value: s.value()}
		if t.shared != "" {
			value.shared = t.shared[s.at-len(value.Value) : s.at]
		}
		if !each(unquoted(quoted), quoted, value) {
			return
		}
	}
}

// set is Set.
func (t Text) set(field any) bool {
	v := t.Value
	switch field := field.(type) {
	case *string:
		if v.Kind() == jsontext.KindString {
			*field = t.string()
		}
		return *field != ""
	case *int64:
		*field = Positive(v)
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
	case *Text:
		*field = t
		return v != nil
	case func(jsontext.Value) bool:
		return field(v)
	case func(Text) bool:
		return field(t)
	}
	return false
}

// string returns the text of a JSON string.
func (t Text) string() string {
	if t.shared != "" && plain(t.Value) {
		return t.shared[1 : len(t.shared)-1]
	}
	return string(unquoted(t.Value))
}
