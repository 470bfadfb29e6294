package handover_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// Each link from one file of Markdown to another, or to a picture, leads somewhere, its heading included.
func TestLinksOfDocs(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	pages := pages(t)
	for path, text := range pages {
		for _, match := range link.FindAllStringSubmatch(prose(text), -1) {
			file, heading, _ := strings.Cut(match[1], "#")
			if strings.Contains(file, "://") || strings.HasPrefix(file, "mailto:") {
				continue
			}
			to := path
			if file != "" {
				to = filepath.Join(filepath.Dir(path), file)
				_, err := os.Stat(to)
				require.NoError(t, err, "%s links to %s", path, match[1])
			}
			if heading != "" {
				require.Contains(t, anchors(pages[to]), heading, "%s links to %s", path, match[1])
			}
		}
	}
}

// Each test that a page names exists.
func TestNamesInDocs(t *testing.T) {
	exists := map[string]bool{}
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, name := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example|Benchmark)\w*)\(`).FindAllSubmatch(code, -1) {
			exists[string(name[1])] = true
		}
		return err
	}))
	for path, text := range pages(t) {
		for _, name := range regexp.MustCompile("`((?:Test|Fuzz|Example|Benchmark)[A-Z]\\w*)`").FindAllStringSubmatch(text, -1) {
			require.True(t, exists[name[1]], "%s names %s", path, name[1])
		}
	}
}

// pages are the files of Markdown by their paths.
func pages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		pages[path] = string(text)
		return err
	}))
	require.Greater(t, len(pages), 10)
	return pages
}

// prose is Markdown without its code.
func prose(text string) string {
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllString(text, "")
}

// anchors are those that GitHub gives to the headings of a page.
func anchors(text string) (all []string) {
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	for _, heading := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, heading[1]))
	}
	return all
}
