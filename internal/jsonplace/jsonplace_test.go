package jsonplace

import (
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	for text, want := range map[string]*Fault{
		`{"a":[1,{"b":2}]}`:          nil,
		" [] \n":                     nil,
		`{"a":1} {"b":2}`:            {Offset: 8, Err: errMore},
		`{"a":1}x`:                   {Offset: 7, Err: errMore},
		`{"a":[1,`:                   {Offset: 8, Path: "/a/0", Err: io.ErrUnexpectedEOF},
		``:                           {Err: io.ErrUnexpectedEOF},
		`{"a":[[[1]]]}`:              {Offset: 8, Path: "/a/0/0", Err: errDeep},
		`{"a":{"b":{"c":{}}}}`:       {Offset: 16, Path: "/a/b/c", Err: errDeep},
		`[` + strings.Repeat(`[`, 3): {Offset: 4, Path: "/0/0/0", Err: errDeep},
	} {
		got := Check(jsontext.Value(text), 3)
		require.Equal(t, want == nil, got == nil, "%s: %v", text, got)
		if want != nil {
			require.Equal(t, want.Offset, got.Offset, text)
			require.ErrorIs(t, got.Err, want.Err, text)
		}
	}
	bad := Check(jsontext.Value(`{"a":{"b":tru}}`), 3)
	require.Equal(t, "/a/b", bad.Path)
	require.NotNil(t, bad.Err)
	deep := Check(jsontext.Value(strings.Repeat(`{"`+strings.Repeat("k", 30)+`":`, 20)), 10)
	require.LessOrEqual(t, len(deep.Path), maxPath)
}

func TestOffset(t *testing.T) {
	text := jsontext.Value(`[ {"a" : [1, "x"]}, 7]`)
	for path, want := range map[string]string{
		"/0":     `{"a" : [1, "x"]}, 7]`,
		"/0/a":   `[1, "x"]}, 7]`,
		"/0/a/1": `"x"]}, 7]`,
		"/0/a/5": `[1, "x"]}, 7]`,
		"/1":     `7]`,
		"/9/b":   string(text),
	} {
		require.Equal(t, want, string(text[Offset(text, path):]), path)
	}
}

func TestValidPrefix(t *testing.T) {
	for s, want := range map[string]int{"": 0, "aé😀": 7, "a\uFFFD": 4, "a\xffb": 1, "é\xc3": 2} {
		require.Equal(t, want, ValidPrefix(s), "%q", s)
	}
}
