package webchat

import (
	"embed"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

//go:embed words
var wordFiles embed.FS

// words are what the page says, by language and name. "{…}" stands for what the page puts in.
var words = func() map[string]map[string]string {
	entries, err := wordFiles.ReadDir("words")
	if err != nil {
		panic(err) // it is embedded
	}
	all := map[string]map[string]string{}
	for _, e := range entries {
		text, err := wordFiles.ReadFile("words/" + e.Name())
		if err != nil {
			panic(err) // it is embedded
		}
		var one map[string]string
		if err := json.Unmarshal(text, &one); err != nil {
			panic(err) // a test reads them
		}
		all[strings.TrimSuffix(e.Name(), ".json")] = one
	}
	return all
}()

// isRight has the languages that are written from right to left.
var isRight = map[string]bool{"ar": true}

// languages are those that the page speaks.
func languages() []string { return slices.Sorted(maps.Keys(words)) }

// maxLanguages is how many of a list are looked at.
const maxLanguages = 20

// language returns the first of a list, such as a browser's Accept-Language, that the page speaks; "" if it speaks
// none.
func language(list string) string {
	for i, tag := range strings.SplitN(list, ",", maxLanguages+1) {
		if i == maxLanguages {
			break
		}
		tag, _, _ = strings.Cut(tag, ";")
		tag, _, _ = strings.Cut(strings.ReplaceAll(strings.TrimSpace(tag), "_", "-"), "-")
		if tag = strings.ToLower(tag); words[tag] != nil {
			return tag
		}
	}
	return ""
}
