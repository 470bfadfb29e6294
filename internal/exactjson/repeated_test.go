package exactjson_test

import (
	"fmt"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/exactjson"
)

// TestRepeatedTexts has texts that look alike as JSON, more than are held, and what is no text.
func TestRepeatedTexts(t *testing.T) {
	var repeated exactjson.Repeated
	for range 3 {
		for v, want := range map[string]string{`"a\\n"`: `a\n`, `"a\n"`: "a\n", `"a"`: "a", `""`: "", `1`: "", `null`: "", `["a"]`: "", `{"a":1}`: ""} {
			var got string
			require.Equal(t, want != "", exactjson.Set(repeated.Field(&got), jsontext.Value(v)))
			require.Equal(t, want, got)
		}
		for i := range 20 {
			var got string
			exactjson.Set(repeated.Field(&got), jsontext.Value(fmt.Sprintf(`"text %d"`, i)))
			require.Equal(t, fmt.Sprint("text ", i), got)
		}
	}
	var name string
	field := repeated.Field(&name)
	field(jsontext.Value(`"Ann"`))
	require.Zero(t, testing.AllocsPerRun(10, func() { field(jsontext.Value(`"Ann"`)) }))
}
