package exactjson

import "github.com/go-json-experiment/json/jsontext"

// Repeated holds the last few texts that were read into its fields. One that comes again is not copied again, as is the
// author of most of the messages of a page.
type Repeated struct {
	texts  [8]string
	oldest int
}

// Field is a *string for To.
func (r *Repeated) Field(field *string) func(jsontext.Value) bool {
	return func(v jsontext.Value) bool {
		if v.Kind() == jsontext.KindString {
			*field = r.text(unquoted(v))
		}
		return *field != ""
	}
}

func (r *Repeated) text(b []byte) string {
	for _, known := range &r.texts {
		if string(b) == known {
			return known
		}
	}
	text := string(b)
	r.texts[r.oldest] = text
	r.oldest = (r.oldest + 1) % len(r.texts)
	return text
}
