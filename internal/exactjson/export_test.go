package exactjson

import "github.com/go-json-experiment/json/jsontext"

// CheckedMembers calls each with the members of an object that was checked.
func CheckedMembers(v jsontext.Value, each func(name []byte, value jsontext.Value)) {
	Text{Value: v}.members(func(name []byte, _ jsontext.Value, value Text) bool {
		each(name, value.Value)
		return true
	})
}
