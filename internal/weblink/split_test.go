package weblink

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"":                               nil,
		"no link":                        nil,
		"https://a.example":              {"https://a.example"},
		"See https://a.example/b?c=d#e.": {"https://a.example/b?c=d#e"},
		"(https://a.example/b), https://c.example!":           {"https://a.example/b", "https://c.example"},
		"https://a.example/b_(c) (https://a.example/b_(c))":   {"https://a.example/b_(c)", "https://a.example/b_(c)"},
		"[label](https://a.example/b) **https://c.example/**": {"https://a.example/b", "https://c.example/"},
		"![image](https://a.example/b.png)":                   {"https://a.example/b.png"},
		"HTTPS://A.EXAMPLE and http://b.example":              {"HTTPS://A.EXAMPLE", "http://b.example"},
		"xhttps://a.example":                                  nil,
		"https:// and http:///b":                              nil,
		"https://ann@a.example":                               nil,
		"https://a.example/\"><script>":                       {"https://a.example/"},
		"https://a.example/\u202egnp.exe":                     {"https://a.example/"},
		"https://a.example\\@b.example":                       {"https://a.example"},
		"javascript:alert(1) data:text/html,x":                nil,
		"https://a.example/" + strings.Repeat("b", maxLink):   nil,
		"https://a.example/…":                                 {"https://a.example/"},
		"\xff https://a.example/\xff":                         {"https://a.example/"},
	} {
		var links []string
		whole := ""
		for _, p := range Split(text) {
			if whole += p.Text; p.Link {
				links = append(links, p.Text)
			}
		}
		require.Equal(t, want, links, "%.80q", text)
		require.Equal(t, text, whole)
	}
}

// A long text takes no time to speak of, whatever is in it.
func TestSplitOfHostileTexts(t *testing.T) {
	for _, piece := range []string{"https://a.example/", "https://", "(", ")", "https://a)", "[(", "https://a.example/(((", "."} {
		text := "https://a.example/" + strings.Repeat(piece, 1<<18/len(piece))
		require.NotEmpty(t, Split(text))
	}
}

func FuzzSplit(f *testing.F) {
	for _, text := range []string{"See https://a.example/b.", "[a](https://b.example/(c))", "https://a.example/\u202e", "HTTP://x)", "\xff", "https://[::1]/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole, linked := "", false
		for _, p := range Split(text) {
			require.NotEmpty(t, p.Text)
			require.False(t, p.Link && !Web(p.Text), "%q", p.Text)
			require.True(t, p.Link || whole == "" || linked, "words stand together")
			whole, linked = whole+p.Text, p.Link
		}
		require.Equal(t, text, whole)
	})
}
