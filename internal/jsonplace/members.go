package jsonplace

import (
	"encoding/json"
	"maps"
	"slices"
)

// Others returns the names of an object's members that are not among known, in alphabetical order. It returns what
// encoding/json says of a text that is no object.
func Others(object []byte, known []string) ([]string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(members)), func(name string) bool { return slices.Contains(known, name) }), nil
}
