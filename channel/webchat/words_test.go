package webchat

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/translations"
)

// TestWords has the same words in each language, with the same places for what the page puts in.
func TestWords(t *testing.T) {
	require.Equal(t, translations.Languages(), languages())
	places := regexp.MustCompile(`\{\w*\}`)
	found := func(text string) []string {
		all := places.FindAllString(text, -1)
		slices.Sort(all)
		return all
	}
	for _, locale := range languages() {
		require.Len(t, words[locale], len(words["en"]), locale)
		require.Equal(t, translations.For(locale).Leave, words[locale]["back"], "the button says what the library's choice says: %s", locale)
		for name, english := range words["en"] {
			text := words[locale][name]
			require.NotEmpty(t, strings.TrimSpace(text), "%s: %s", locale, name)
			require.Equal(t, strings.TrimSpace(text), text, "%s: %s", locale, name)
			require.Equal(t, found(english), found(text), "%s: %s", locale, name)
			if len(english) > 20 {
				require.False(t, locale != "en" && text == english, "%s: %s is not translated", locale, name)
			}
		}
	}
}

// TestWordsAreUsed finds each word in the page, and each that the page uses among them.
func TestWordsAreUsed(t *testing.T) {
	used := map[string]bool{"over": true} // also the server's
	for name, a := range assets {
		if name == "widget.js" {
			for _, m := range regexp.MustCompile(`say\((?:open \? )?"(\w+)"(?: : "(\w+)")?`).FindAllStringSubmatch(string(a.content), -1) {
				used[m[1]], used[m[2]] = true, true
			}
			continue
		}
		for _, m := range regexp.MustCompile(`(?:\bt\(|data-t(?:-\w+)?=|return failed\()"(\w+)"|failed\(.*\? "(\w+)" : "(\w+)"\)`).FindAllStringSubmatch(string(a.content), -1) {
			used[m[1]], used[m[2]], used[m[3]] = true, true, true
		}
	}
	delete(used, "")
	for name := range used {
		require.Contains(t, words["en"], name)
	}
	for name := range words["en"] {
		require.True(t, used[name], "%s is not used", name)
	}
}
