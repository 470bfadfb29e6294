package exactjson

import "github.com/go-json-experiment/json/jsontext"

// Text is a JSON value that was checked, by Read or by Members. What ReadText and Share return has all its strings in
// one piece of memory.
type Text struct {
	Value  jsontext.Value
	shared string   // Value again, for the strings to be parts of; empty: each string is a copy
	index  []member // of all objects in Value; nil: a scanner is to find them
	from   uint32   // where Value stands in the text that the index is of
}

// mostShared is the longest value whose strings are shared: one that is kept keeps the whole.
const mostShared = 4 << 10

// Share returns v, which Read has checked, for ReadObject and Fields to make strings of that share memory with each
// other, but not with v.
func Share(v jsontext.Value) Text {
	if len(v) > mostShared {
		return Text{Value: v}
	}
	return Text{Value: v, shared: string(v)}
}

// ReadObject is as the function of that name.
func (t Text) ReadObject(into ...Field) (rest jsontext.Value) {
	expected, m := 0, t.members()
	for m.next() {
		value := m.value()
		if i := m.fieldOf(into, &expected); i >= 0 && value.set(into[i].to) {
			continue
		}
		if rest == nil {
			rest = make(jsontext.Value, 0, min(len(t.Value), len(m.quoted)+len(value.Value)+64))
		}
		rest = append(append(rest, ','), m.quoted...)
		rest = append(append(rest, ':'), value.Value...)
	}
	if rest == nil {
		return nil
	}
	rest[0] = '{'
	return append(rest, '}')
}

// Fields is ReadObject for those who need no rest.
func (t Text) Fields(into ...Field) {
	expected, missing, m := 0, len(into), t.members()
	for missing > 0 && m.next() {
		if i := m.fieldOf(into, &expected); i >= 0 {
			m.value().set(into[i].to)
			missing--
		}
	}
}

// members are those of an object: the one that next went to, and those behind it.
type members struct {
	object Text
	quoted jsontext.Value // the name as it stands there
	here   member         // where its value is
	inside []member       // the value's part of the index
	rest   []member       // of the index
	scan   scanner        // where there is no index
}

func (t Text) members() (m members) {
	if len(t.Value) == 0 || t.Value[0] != '{' && t.index != nil {
		return m
	}
	m.object, m.rest, m.scan = t, t.index, scanner{json: t.Value}
	if t.index == nil && !m.scan.enter('{') {
		return members{}
	}
	return m
}

// next goes to the next member, if there is one.
func (m *members) next() bool {
	if m.object.index == nil {
		return m.scanned()
	}
	if len(m.rest) == 0 {
		return false
	}
	m.here = m.rest[0]
	end := 1 + m.here.inside
	m.inside, m.rest = m.rest[1:end:end], m.rest[end:]
	m.quoted = m.object.Value[m.here.name-m.object.from : m.here.nameEnd-m.object.from]
	return true
}

// scanned is next without an index.
func (m *members) scanned() bool {
	if m.quoted = m.scan.value(); m.quoted == nil {
		return false
	}
	value := m.scan.value()
	m.here.value, m.here.end = uint32(m.scan.at-len(value)), uint32(m.scan.at)
	return true
}

// value is the member's value.
func (m *members) value() Text {
	from, end := m.here.value-m.object.from, m.here.end-m.object.from
	v := Text{Value: m.object.Value[from:end:end], index: m.inside}
	if m.object.index != nil {
		v.from = m.here.value
	}
	if m.object.shared != "" {
		v.shared = m.object.shared[from:end]
	}
	return v
}

// name is the member's name. It is void after the next one.
func (m *members) name() []byte {
	if m.object.shared != "" && !escapes(m.quoted) {
		return m.quoted[1 : len(m.quoted)-1]
	}
	return unquoted(m.quoted)
}

// fieldOf returns which field the member is, or -1. expected is the one that most likely comes next: programs write
// the members of an object in the same order each time.
func (m *members) fieldOf(fields []Field, expected *int) int {
	i := named(m.name(), fields, *expected)
	if i >= 0 {
		*expected = i + 1
	}
	return i
}

// named returns which field has this name, or -1. It begins with the expected one.
func named(name []byte, fields []Field, expected int) int {
	for i := expected; i < len(fields); i++ {
		if fields[i].name == string(name) {
			return i
		}
	}
	for i := range expected {
		if fields[i].name == string(name) {
			return i
		}
	}
	return -1
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
	if t.shared != "" && !escapes(t.Value) {
		return t.shared[1 : len(t.shared)-1]
	}
	return string(unquoted(t.Value))
}
