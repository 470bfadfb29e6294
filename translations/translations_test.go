package translations

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// texts are the fields of Texts by their names.
func textsOf(t handover.Texts) map[string]string {
	all, v := make(map[string]string), reflect.ValueOf(t)
	for i := range v.NumField() {
		all[v.Type().Field(i).Name] = v.Field(i).String()
	}
	return all
}

// scripts are the letters that languages are written in, where they are not Latin.
var scripts = map[string]*unicode.RangeTable{"ar": unicode.Arabic, "zh": unicode.Han, "ja": unicode.Hiragana}

var placeholder = regexp.MustCompile(`\{\w*\}?|\}`)

// badFrench is a mark without its no-break space, or a straight apostrophe.
var badFrench = regexp.MustCompile(`[^\x{a0}][?!:;]|'`)

func startsUpper(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r)
}

// Each language says all that the library says, in sentences of its own, with the same names and links in them.
func TestEachLanguageIsWhole(t *testing.T) {
	require.Equal(t, []string{"ar", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "zh"}, Languages())
	english, seen := textsOf(For("en")), make(map[string]string)
	require.Equal(t, handover.DefaultTexts(), For("en"))
	for _, language := range Languages() {
		for name, text := range textsOf(For(language)) {
			about := fmt.Sprint(language, " ", name, ": ", text)
			require.NotEmpty(t, strings.TrimSpace(text), about)
			require.Equal(t, placeholder.FindAllString(english[name], -1), placeholder.FindAllString(text, -1), about)
			require.Equal(t, strings.Count(english[name], "\n"), strings.Count(text, "\n"), about)
			require.False(t, strings.ContainsFunc(text, unicode.IsControl) && !strings.Contains(text, "\n"), about)
			require.NotContains(t, text, "  ", about)
			require.NotRegexp(t, ` [?!:;]`, text, about) // French has a no-break space there
			require.False(t, language == "fr" && badFrench.MatchString(text), about)
			if strings.Contains(text, "{agent}") && !strings.HasPrefix(text, "{agent}") {
				require.False(t, startsUpper(For(language).Agent), "%s: Agent stands within it", about)
			}
			if name != "Edited" {
				require.Equal(t, strings.TrimSpace(text), text, about)
			}
			if script := scripts[language]; script != nil && name != "Agent" && language != "ja" {
				require.True(t, strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(script, r) }), about)
			}
			if language != "en" {
				require.NotEqual(t, english[name], text, about)
			}
			require.Empty(t, seen[language+text], "%s: it is said twice", about)
			seen[language+text] = name
		}
	}
}

// units is the length in which the limits of buttons count.
func units(s string) int { return len(utf16.Encode([]rune(s))) }

// The choices fit the buttons of all channels, and are those that the library acts on.
func TestChoices(t *testing.T) {
	for _, language := range Languages() {
		require.LessOrEqual(t, units(For(language).Leave), 20, language)
		messages := NoAgent(language)
		require.Len(t, messages, 1)
		require.NotEmpty(t, messages[0].Text)
		require.Len(t, messages[0].QuickReplies, 2)
		for i, q := range messages[0].QuickReplies {
			require.LessOrEqual(t, units(q.Title), 20, language)
			require.NotEmpty(t, q.Title)
			require.Equal(t, handover.DefaultNoAgent()[0].QuickReplies[i].Payload, q.Payload)
		}
		require.NoError(t, messages[0].Validate())
	}
}

func TestMatch(t *testing.T) {
	for locale, want := range map[string]string{
		"": "en", "en": "en", "en-GB": "en", "fr": "fr", "FR": "fr", "fr-CA": "fr", "fr_CA": "fr", " de-AT ": "de", "pt-BR": "pt",
		"zh-Hant-TW": "zh", "ar-EG": "ar", "xx": "en", "french": "en", "-": "en", "\x00": "en", "e": "en",
	} {
		require.Equal(t, want, Match(locale), "%q", locale)
	}
}

// Agents read their own language, whatever the user's is.
func TestTextsForAgents(t *testing.T) {
	got := textsOf(Texts("de")(handover.Session{Locale: "fr-FR"}))
	french, german := textsOf(For("fr")), textsOf(For("de"))
	for name, text := range got {
		want := french
		if strings.HasPrefix(name, "Note") || strings.HasPrefix(name, "Opening") || name == "Edited" {
			want = german
		}
		require.Equal(t, want[name], text, name)
	}
}
