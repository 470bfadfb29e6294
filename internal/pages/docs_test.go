package pages

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/guide"
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
	for _, code := range testFiles(t) {
		for _, name := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example|Benchmark)\w*)\(`).FindAllStringSubmatch(code, -1) {
			exists[name[1]] = true
		}
	}
	for path, text := range pages(t) {
		for _, name := range regexp.MustCompile("`((?:Test|Fuzz|Example|Benchmark)[A-Z]\\w*)`").FindAllStringSubmatch(text, -1) {
			require.True(t, exists[name[1]], "%s names %s", path, name[1])
		}
	}
	for block, name := range blockTests {
		require.True(t, exists[name] || strings.Contains(name, " "), block)
	}
}

// blockTests are the tests of blocks that guide.Compiled does not find, or why there is none.
var blockTests = map[string]string{
	"README.md mermaid":            "a picture of what the stories tell",
	"README.md text":               "TestReadmeOutput",
	"docs/architecture.md mermaid": "TestArchitecture",
	"docs/states.md mermaid":       "TestStatesDocument",
	"docs/check.md text":           "TestDocument",
	"docs/kubernetes.md yaml":      "TestKubernetes",
	"docs/llm.md text":             "TestGuide",
	"docs/observability.md promql": "TestDocumentedMetrics",
	"docs/stories.md text":         "TestStoriesDocument",
	"docs/testing.md text":         "an outline, of what the recipes before it do in full",
}

// Each block of code is held by a test: that of its page and language. TestCommandsOfDocs has those for a shell.
func TestBlocksOfDocs(t *testing.T) {
	seen := map[string]bool{}
	for path, text := range documents(t) {
		for _, block := range guide.Blocks(text) {
			name := path + " " + block.Lang
			seen[name] = true
			if blockTests[name] != "" || isShell(block) {
				continue
			}
			held := slices.ContainsFunc(slices.Collect(maps.Values(testFiles(t))), func(code string) bool {
				return strings.Contains(code, "guide.Compiled(t, ") && strings.Contains(code, path+`"`) && strings.Contains(code, `"`+block.Lang+`"`)
			})
			require.True(t, held, "%s: no test holds this block of %q:\n%s", path, block.Lang, block.Code)
		}
	}
	for name := range blockTests {
		require.True(t, seen[name], "there is no %s", name)
	}
}

// Each variable of the environment that a page names is read by some program or script.
func TestVariablesOfDocs(t *testing.T) {
	code := ""
	for _, files := range []string{"*.go", "run", "api"} {
		code += strings.Join(slices.Collect(maps.Values(filesCalled(t, files))), "")
	}
	for path, text := range documents(t) {
		for _, name := range regexp.MustCompile("`((?:HANDOVER|CRISP|TELEGRAM|SLACK|MESSENGER|WHATSAPP)_[A-Z_]+)[`=]").FindAllStringSubmatch(text, -1) {
			require.True(t, strings.Contains(code, name[1]), "%s: nothing reads %s", path, name[1])
		}
	}
}

// testFiles are the files of tests, of all modules, by their paths.
func testFiles(t *testing.T) map[string]string { return filesCalled(t, "*_test.go") }

// pages are the files of Markdown by their paths.
func pages(t *testing.T) map[string]string {
	pages := filesCalled(t, "*.md")
	require.Greater(t, len(pages), 10)
	return pages
}

// filesCalled are the files whose names have this pattern, by their paths.
func filesCalled(t *testing.T, pattern string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if fits, err := filepath.Match(pattern, d.Name()); err != nil || !fits {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	}))
	return files
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
