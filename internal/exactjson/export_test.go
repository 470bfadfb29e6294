package exactjson

import "github.com/go-json-experiment/json/jsontext"

// CheckedMembers calls each with the members of an object that was checked.
func CheckedMembers(v jsontext.Value, each func(name []byte, value jsontext.Value)) {
	for m := (Text{Value: v}).members(); m.next(); {
		each(m.name(), m.value().Value)
	}
}

// MaxNames is maxNames.
const MaxNames = maxNames

var (
	// Checked reports whether the checker accepts a text.
	Checked = func(b []byte) bool { return (&checker{json: b}).check() }
	// Reformat is Read without the checker.
	Reformat = reformat
)

// Members are the members of an object in t, and of those in it, with their strings: what ReadObject goes over.
func (t Text) Members() (all []string) {
	for m := t.members(); m.next(); {
		var s string
		m.value().set(&s)
		all = append(append(all, string(m.name()), string(m.quoted), string(m.value().Value), s), m.value().Members()...)
	}
	return all
}
