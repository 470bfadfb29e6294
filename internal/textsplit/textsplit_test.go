package textsplit_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/textsplit"
)

func TestSplit(t *testing.T) {
	tests := map[string]struct {
		text  string
		limit int
		want  []string
	}{
		"empty":                 {"", 10, nil},
		"blank":                 {" \n\t ", 10, nil},
		"fits, as it is":        {" ab \n", 10, []string{" ab \n"}},
		"exactly":               {"0123456789", 10, []string{"0123456789"}},
		"paragraph":             {"one two three\n\nfour. five six", 20, []string{"one two three", "four. five six"}}, // not after "four."
		"line":                  {"one two three\nfour five six", 20, []string{"one two three", "four five six"}},
		"paragraph before line": {"one two abc\n\nfour\nfive six", 20, []string{"one two abc", "four\nfive six"}},
		"line before sentence":  {"one two three\nFo. five six", 20, []string{"one two three", "Fo. five six"}},
		"Windows paragraph":     {"one two abc\r\n\r\nfour\r\nfive six", 24, []string{"one two abc", "four\r\nfive six"}},
		"early paragraph":       {"one\n\ntwo three four five six", 20, []string{"one\n\ntwo three four", "five six"}},
		"sentence":              {"One two three. Four five six", 20, []string{"One two three.", "Four five six"}},
		"sentence in CJK":       {"一二三四五六。七八九十一二", 10, []string{"一二三四五六。", "七八九十一二"}},
		"word":                  {"alpha beta gamma", 12, []string{"alpha beta", "gamma"}},
		"word just ends":        {"alpha beta gamma", 10, []string{"alpha beta", "gamma"}},
		"early word":            {"a https://example.com/long", 20, []string{"a", "https://example.com/", "long"}},
		"no space":              {"abcdefghijkl", 5, []string{"abcde", "fghij", "kl"}},
		"surrogate pair":        {"abcd😀efgh", 5, []string{"abcd", "😀efg", "h"}},
		"accent":                {"abcde\u0301fgh", 5, []string{"abcd", "e\u0301fgh"}},
		"skin tone":             {"abc👍🏽d", 5, []string{"abc", "👍🏽d"}},
		"family":                {"ab👩‍👩‍👧", 8, []string{"ab", "👩‍👩‍👧"}},
		"flags":                 {"🇫🇷🇩🇪🇮🇹", 7, []string{"🇫🇷", "🇩🇪", "🇮🇹"}},
		"Korean jamo":           {"ab\u1112\u1161\u11ab", 4, []string{"ab", "\u1112\u1161\u11ab"}},
		"carriage return":       {"abcd\r\nefgh", 5, []string{"abcd", "efgh"}},
		"one endless letter":    {"a" + strings.Repeat("\u0301", 9), 5, []string{"a" + strings.Repeat("\u0301", 4), strings.Repeat("\u0301", 5)}},
		"not UTF-8":             {"\xff\xfe\xfd", 2, []string{"\xff\xfe", "\xfd"}},
		"gap":                   {"ab" + strings.Repeat(" ", 30) + "cd", 5, []string{"ab", "cd"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, textsplit.Split(test.text, test.limit))
		})
	}
}

func TestShorten(t *testing.T) {
	short, whole := textsplit.Shorten("12345678901234567890", 20)
	require.Equal(t, "12345678901234567890", short)
	require.True(t, whole)
	short, whole = textsplit.Shorten("Contact me back via email", 20)
	require.Equal(t, "Contact me back via…", short)
	require.False(t, whole)
	short, _ = textsplit.Shorten("123456789012345678😀0", 20)
	require.Equal(t, "123456789012345678…", short)
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "é": 1, "e\u0301": 2, "😀": 2, "👍🏽": 4, "\xff\xfe": 2} {
		require.Equal(t, want, textsplit.Units(text), "%q", text)
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{"": "", " \n ": "", "a b": "a b", "\ta\r\n\u2028b\x00\u00a0c ": "a b c", "a\u202egpj.exe\u200f": "agpj.exe"} {
		require.Equal(t, want, textsplit.OneLine(text), "%q", text)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("One two. Three\n\nfour 😀 e\u0301 🇫🇷", 5)
	f.Add(strings.Repeat("x", 5000), 2000)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = 2 + (limit&0xfff+0xfff)%0xfff
		visible := func(s string) string {
			return strings.Map(func(r rune) rune {
				if unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) {
					return -1
				}
				return r
			}, s)
		}
		all := ""
		for _, part := range textsplit.Split(text, limit) {
			require.LessOrEqual(t, len(utf16.Encode([]rune(part))), limit)
			require.NotEmpty(t, visible(part))
			all += visible(part) // part by part: bytes that are not UTF-8 may be when they are joined
		}
		require.Equal(t, visible(text), all, "nothing that can be seen is lost")
	})
}

func TestJoin(t *testing.T) {
	parts := []string{"", " a ", "\u200b", "b", "\n"}
	require.Equal(t, " a ;b", textsplit.Join(";", parts...))
	require.Equal(t, []string{"", " a ", "\u200b", "b", "\n"}, parts, "the parts are not changed")
	require.Empty(t, textsplit.Join(";", " ", "\n"))
}
