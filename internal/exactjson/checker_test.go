package exactjson_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/exactjson"
)

// FuzzChecker requires that Read says of a text what the JSON library says of it alone, that an index leads to the same
// members as a scanner, and that the checker accepts what the library wrote, unless that has more names than it
// compares, or escapes that the library needs.
func FuzzChecker(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,{"b":"x\\\"y"}],"a":1e9,"":{}}`, " {\t\"a\" : [ ] , \"b\":null}\n", `[true,false,null,-1.5,"\\","]"]`, `{"a"`, `["`, `"\`,
		`{"event":"message:received","data":{"content":"Grüße 👋","read":"","n":-0.5e+7}}`, `"01234567\u001f"`, `"0123456\/"`, "\"0123456\x1f\"",
		"\"0123456\xff\"", "\"0123456\x7f\u2028\"", `{"ab":1,"ba":2,"ab":3}`, `{"a":1,"\u0061":2}`, deep(100), deep(101), `[01]`, `[1.]`, `[-]`, `{"a":1,}`, `[1]x`, `{"":1,"":2}`, "\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		want, clear, err := exactjson.Reformat(in)
		got, clearGot, errGot := exactjson.Read(in)
		require.Equal(t, before, in)
		require.Equal(t, err, errGot)
		require.Equal(t, clear, clearGot)
		require.Equal(t, string(want), string(got))
		text, clearText, errText := exactjson.ReadText(in)
		require.Equal(t, err, errText)
		require.Equal(t, clear, clearText)
		require.Equal(t, string(want), string(text.Value))
		require.Equal(t, exactjson.Share(want).Members(), text.Members())
		if err == nil && clear && !strings.Contains(string(want), `\u`) && bytes.Count(want, []byte(":")) <= exactjson.MaxNames {
			require.True(t, exactjson.Checked(want), "%q", want)
		}
	})
}

// TestNamesAreCompared has names that are alike in length and ends, in the same object and in others.
func TestNamesAreCompared(t *testing.T) {
	for in, clear := range map[string]bool{
		`{"a1z":1,"a2z":2}`:                           true,
		`{"a1z":1,"a2z":2,"a1z":3}`:                   false,
		`{"a1z":{"a1z":{}},"a2z":[{"a1z":1}]}`:        true,
		`{"x":{"a":1,"b":2},"a":3,"b":4}`:             true,
		`{"x":{"a":1,"b":2},"a":3,"x":4}`:             false,
		`[{"a":1},{"a":2},{"a":3,"b":4,"a":5}]`:       false,
		`{"":1,"":2}`:                                 false,
		`{"a":{"x":1},"x":{"a":1,"y":{"x":1}},"a":2}`: false,
		`[` + strings.Repeat(`{"a":{"b":1},"c":[{}]},`, 100) + `{"a":{"b":1},"c":{"a":1,"c":2,"a":3}}]`: false,
		`{"` + strings.Repeat("n", 2000) + `":{}}`:                                                      true,
		many(63) + `"n0":1}`:                        false,
		many(63) + `"last":1}`:                      true,
		many(64) + `"n63":1}`:                       false,
		many(200) + `"n199":1}`:                     false,
		many(200) + `"last":{"n0":1,"n1":{},"":1}}`: true,
		many(60) + `"last":{"n0":1,"a":2,"b":3,"c":4,"d":5,"e":6,"n1":{},"e":1}}`: false,
	} {
		_, got, err := exactjson.Read([]byte(in))
		require.NoError(t, err, in)
		require.Equal(t, clear, got, in)
		_, got, err = exactjson.ReadText([]byte(in))
		require.NoError(t, err, in)
		require.Equal(t, clear, got, in)
	}
	require.True(t, exactjson.Checked([]byte(`[`+strings.Repeat(`{"a":{"b":1},"c":[{}]},`, 1000)+`0]`)), "a page is checked in one go")
}

// many returns an object with n members, to which more can be written.
func many(n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		b.WriteString(`"n` + strconv.Itoa(i) + `":0,`)
	}
	return b.String()
}

// TestTheEndsOfRuns has each byte that stands for itself in no string at each place of one.
func TestTheEndsOfRuns(t *testing.T) {
	for at := range 20 {
		for b := range 256 {
			in := []byte(`"aaaaaaaaaaaaaaaaaaaaaaaa"`)
			in[at+1] = byte(b)
			want, _, err := exactjson.Reformat(in)
			require.Equal(t, err == nil && bytes.Equal(want, in), exactjson.Checked(in), "%q", in)
		}
	}
}
