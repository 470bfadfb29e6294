package markdown

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"**Hello**, *Ann*":                   "Hello, Ann",
		"***both***":                         "both",
		"**one *in* the other**":             "one in the other",
		"~~not~~ this":                       "not this",
		"__very important__":                 "very important",
		"(**a**), \"*b*\" **Note:** c":       "(a), \"b\" Note: c",
		"**ö** *日本*":                         "ö 日本",
		"say `go run *.go`.":                 "say go run *.go.",
		"```go\n# x := *p * *q\n```\n*end*":  "# x := *p * *q\nend",
		"[our shop](https://a.b/c)":          "our shop (https://a.b/c)",
		"[**shop**](https://a.b)!":           "shop (https://a.b)!",
		"**[shop](https://a.b)**":            "shop (https://a.b)",
		"[w](https://a.b/x_(y)) z":           "w (https://a.b/x_(y)) z",
		"[https://a.b](https://a.b)":         "https://a.b",
		"[a@b.c](mailto:a@b.c)":              "a@b.c",
		"![Image](https://a.b/c.png)":        "Image (https://a.b/c.png)",
		"![](https://a.b/c.png)":             "https://a.b/c.png",
		"**see https://a.b/x_y**":            "see https://a.b/x_y",
		"# Opening *hours*\n## Today":        "Opening hours\nToday",
		"- *a*\n* **b**\n+ c\n1. d\n> *e*":   "- a\n* b\n+ c\n1. d\n> e",
		`\*not italic\* \~~x~~`:              `*not italic* ~~x~~`,
		`snake\_case 2 \* 3 \[x](https://a)`: `snake_case 2 * 3 [x](https://a)`,
		"a\r\n**b**\r\n":                     "a\r\nb\r\n",
	} {
		require.Equal(t, want, Plain(text), text)
	}
}

// What is no mark stays, to the last character.
func TestPlainKeepsWhatIsNoMark(t *testing.T) {
	for _, text := range []string{
		"", " \n", "Hello, this is Ann.\n\n  Bye ", "2 * 3 * 4", "2*3*4", "2 ** 3 ** 4", "a**b**c", "snake_case_name", "__init__",
		"__init__ and __main__", "def __init__(self, *args, **kwargs)", "f(*a, *b)", `C:\*.*`, `C:\_old\*x*`, `\\server\*share*`, "*.go and *.md", "x *.go, y.*",
		"#1", "# 1", "#hash", "#", "> 5", "1. May", "- 1", "---", "***", "****", "* * *", "*", "**", "~", "~~", "about ~5 or ~6", "a ~~ b ~~ c",
		"it`s", "`", "``", "`` ``", "rock`n`roll", "_x_", "C++ and D++", "++i; j++", "5 < 6 > 4", "a[0](x)", "[1](see below)", "[x](javascript:alert(1))", "[ ] todo",
		"[a](https://a.b", "[a](https://a b)", "https://a.b/*x*/__y z__", "http://a.b/~~x~~", "¯\\_(ツ)_/¯", "(*) and (*)", "/*x*/", "price*: 5, other*: 6", "**not closed", "`not closed", "```\nnot closed",
		"** a **", "a\\b", "\\", "line\nline\r\n\tline", "\xff*\xfe", "d*e*f", ":*) :*(", "5* hotel, 4* food",
	} {
		require.Equal(t, text, Plain(text), text)
	}
}

// Hostile text costs no more than its length.
func TestPlainOfMuch(t *testing.T) {
	for _, s := range []string{"*a ", "**a ", "[", "![", "[a](", "`a ", "__a b ", "(*a* ", "https://a.b/", "\\*", "[[](", "*(", "**a *b ~~c ", "[a](https://((", "```\n"} {
		text := strings.Repeat(s, 200_000/len(s))
		require.LessOrEqual(t, len(Plain(text)), len(text))
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"**a** *b* ~~c~~ __d e__ `f`", "[a](https://b.c) ![d](https://e.f)", "# a\n> b\n- c\n```\n*d*\n```", `\*a\* C:\*`, "***a **b* c**"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain := Plain(text)
		require.LessOrEqual(t, len(plain), len(text), "it never grows")
		require.Equal(t, strings.TrimSpace(text) == "", strings.TrimSpace(plain) == "", "something stays")
		if !strings.ContainsAny(text, "*_~`[#\\") {
			require.Equal(t, text, plain)
		}
		letters := func(s string) (n int) {
			for _, r := range s {
				if r >= '0' && r <= '9' {
					n++
				}
			}
			return n
		}
		if !strings.Contains(text, "](") && !strings.Contains(text, "```") {
			require.Equal(t, letters(text), letters(plain), "only marks go")
		}
	})
}

func TestParse(t *testing.T) {
	require.Equal(t, []Span{
		{Text: "Title", Style: Bold}, {Text: "\n"}, {Text: "b ", Style: Bold}, {Text: "i", Style: Bold | Italic}, {Text: " c", Style: Bold}, {Text: " "},
		{Text: "s", Style: Strike}, {Text: " "}, {Text: "a b", Style: Underline}, {Text: " "}, {Text: "c*d*", Style: Code}, {Text: " "},
		{Text: "our ", URL: "https://a.b"}, {Text: "shop", Style: Bold, URL: "https://a.b"}, {Text: " "},
		{Text: "https://c.d", URL: "https://c.d"}, {Text: "\n"}, {Text: "x\n*y*", Style: Block}, {Text: "\nz"},
	}, Parse("# Title\n**b *i* c** ~~s~~ __a b__ `c*d*` [our **shop**](https://a.b) ![](https://c.d)\n```\nx\n*y*\n```\nz"))
	require.Equal(t, []Span{{Text: " \n"}}, Parse(" \n"))
	require.Equal(t, "a [b](c", Plain("a [b](c"))
}
