package exactjson_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/exactjson"
)

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestRead(t *testing.T) {
	for name, tt := range map[string]struct {
		in, want string
		clear    bool
	}{
		"compact":               {" { \"a\" : [ 1 , 2.50 ] } ", `{"a":[1,2.50]}`, true},
		"numbers as they are":   {`[1e999,-0,12345678901234567890]`, `[1e999,-0,12345678901234567890]`, true},
		"NUL":                   {`"a\u0000b"`, "\"a\ufffdb\"", true},
		"an escaped backslash":  {`"a\\u0000b"`, `"a\\u0000b"`, true},
		"and NUL behind it":     {`"a\\\u0000b"`, "\"a\\\\\ufffdb\"", true},
		"lone surrogate":        {`"\ud800"`, "\"\ufffd\"", true},
		"not UTF-8":             {"\"\xff\"", "\"\ufffd\"", true},
		"case counts":           {`{"a":1,"A":2}`, `{"a":1,"A":2}`, true},
		"doubled":               {`{"a":1,"a":2}`, `{"a":1,"a":2}`, false},
		"doubled by an escape":  {`{"a":1,"\u0061":2}`, `{"a":1,"a":2}`, false},
		"doubled by NUL":        {`{"\u0000":1,"\ufffd":2}`, "{\"\ufffd\":1,\"\ufffd\":2}", false},
		"doubled by bad UTF-8":  {"{\"\xff\":1,\"\xfe\":2}", "{\"\ufffd\":1,\"\ufffd\":2}", false},
		"doubled deep inside":   {`[[{"x":{"a":1,"a":2}}]]`, `[[{"x":{"a":1,"a":2}}]]`, false},
		"as deep as allowed":    {deep(exactjson.MaxNesting), deep(exactjson.MaxNesting), true},
		"too deep":              {deep(exactjson.MaxNesting + 1), strings.Repeat("[", 100) + "{}" + strings.Repeat("]", 100), false},
		"deeper than libraries": {`{"a":` + deep(20_000) + `,"b":"{{["}`, `{"a":` + strings.Repeat("[", 99) + "{}" + strings.Repeat("]", 99) + `,"b":"{{["}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			v, clear, err := exactjson.Read([]byte(tt.in))
			require.NoError(t, err)
			require.Equal(t, tt.want, string(v))
			require.Equal(t, tt.clear, clear)
		})
	}
}

func TestReadLeavesItsInputAlone(t *testing.T) {
	in := []byte(`"a\u0000b"`)
	_, _, err := exactjson.Read(in)
	require.NoError(t, err)
	require.Equal(t, `"a\u0000b"`, string(in))
}

func TestWhatIsNotJSONIsNotQuoted(t *testing.T) {
	for _, in := range []string{``, `{"secret"`, `{"secret":}`, `["secret"] x`, `secret`, "\"secret\x00\"", `{"secret":` + strings.Repeat("[", 300),
		`{"secret":` + strings.Repeat("[", 300) + strings.Repeat("]", 250), `<html>secret</html>`} {
		_, clear, err := exactjson.Read([]byte(in))
		require.ErrorContains(t, err, "not JSON", in)
		require.NotContains(t, err.Error(), "secret")
		require.False(t, clear)
		err = exactjson.Members([]byte(in), func(string, jsontext.Value) {})
		require.Error(t, err, in)
		require.NotContains(t, err.Error(), "secret")
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":"\u0000\\u0000\ud800"}],"a":1e999}`, deep(101), "\"\xff\"", `{"x":` + deep(200) + `}`, ` [true , null] `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, clear, err := exactjson.Read(in)
		if err != nil {
			require.Nil(t, v)
			return
		}
		require.True(t, json.Valid(v))
		require.NotContains(t, strings.ReplaceAll(string(v), `\\`, ""), `\u0000`)
		again, clearAgain, err := exactjson.Read(v)
		require.NoError(t, err)
		require.Equal(t, string(v), string(again))
		_, pruned := exactjson.Prune(in, exactjson.MaxNesting)
		require.Equal(t, clear, clearAgain && !pruned)
		if !clear {
			return
		}
		n := 0
		require.NoError(t, exactjson.Members(v, func(name string, value jsontext.Value) {
			require.Equal(t, value, exactjson.Only(v, name))
			n++
		}))
		rest := exactjson.ReadObject(v)
		require.Equal(t, n > 0, rest != nil)
		if n > 0 {
			require.Equal(t, string(v), string(rest))
		}
		for _, e := range exactjson.Elements(v) {
			require.True(t, e.IsValid())
		}
	})
}
