package exactjson

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// extended is an object of which T has fields for some members.
type extended[T any] struct {
	Known   T              `json:",embed"`
	Unknown jsontext.Value `json:",embed,unknown"`
}

// Marshal writes the fields of v, a struct without methods of its own for JSON, and behind them the members of
// unknown, an object or nothing. It fails if unknown is anything else, or names a field. Text that is not UTF-8
// is written with U+FFFD.
func Marshal[T any](v T, unknown []byte) ([]byte, error) {
	return json.Marshal(extended[T]{v, unknown}, jsontext.AllowInvalidUTF8(true))
}

// Unmarshal reads an object into the fields of a new T, by their exact names. It returns an object of the members
// that have no field; nil if there are none. Text that is not UTF-8 is read with U+FFFD. An error quotes no value.
func Unmarshal[T any](data []byte) (v T, unknown []byte, err error) {
	var e extended[T]
	err = json.Unmarshal(data, &e, jsontext.AllowInvalidUTF8(true))
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		semantic.JSONValue = nil // it may be what a person wrote
		return v, nil, semantic
	}
	if err != nil {
		return v, nil, err
	}
	return e.Known, e.Unknown, nil
}
