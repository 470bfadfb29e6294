package pages

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/guide"
)

// notRun are the commands of the documentation that TestCommandsOfDocs does not run, and why.
var notRun = map[string]string{
	"git clone https://github.com/crisphandover/handover": "needs the network",
	"cd handover": "goes into that clone",
	"cloudflared tunnel --url http://localhost:8080":        "opens a tunnel of somebody else's",
	"go run golang.org/x/perf/cmd/benchstat@latest new.txt": "needs the network, and measurements",
	"go run ./examples/quickstart":                          "TestReadmeOutput runs it",
	"go test -run TestX .":                                  "TestX stands for any test",
	"go test -run 'TestStories/^your-story$' -update .":     "your-story stands for any story",
	"git tag -s v0.1.0 -m v0.1.0":                           "releases a version",
	"git push origin main v0.1.0":                           "releases a version",
	"go list -m github.com/crisphandover/handover@v0.1.0":   "needs that release",
}

// commandKinds say how each kind of command is held. A command that none of them takes fails the test.
var commandKinds = []struct {
	line *regexp.Regexp
	hold func(r *reader, line string)
}{
	{regexp.MustCompile(`^(ADDR=:8080 )?go run (\.|github.com/crisphandover/handover)/examples/\w+$`), (*reader).example},
	{regexp.MustCompile(`^(go run \./internal/loadtest|examples/\w+) `), (*reader).flags},
	{regexp.MustCompile(`^(HANDOVER_\w+=\d+ )?go (-C \S+ )?test `), (*reader).test},
	{regexp.MustCompile(`^(go doc|go build|openssl) `), (*reader).run},
	{regexp.MustCompile(`^curl .*localhost:8080/`), (*reader).curl},
	{regexp.MustCompile(`^go get `), (*reader).module},
	{regexp.MustCompile(`^(NEXT=\S+ )?\.ci/\w+$`), (*reader).script},
}

// TestCommandsOfDocs is a reader who does what the pages say: each command is run as it stands, but for the port, or
// held against what it calls.
func TestCommandsOfDocs(t *testing.T) {
	r := newReader(t)
	seen := map[string]bool{}
	texts := documents(t)
	for _, page := range slices.Sorted(maps.Keys(texts)) {
		for _, line := range commandsOf(texts[page]) {
			if !seen[line] && notRun[line] == "" {
				t.Run(page+": "+line, func(t *testing.T) {
					r.t = t
					for _, kind := range commandKinds {
						if kind.line.MatchString(line) {
							kind.hold(r, line)
							return
						}
					}
					t.Fatal("no test runs this command: give its kind to commandKinds, or say in notRun why none can")
				})
			}
			seen[line] = true
		}
	}
	for line := range notRun {
		require.True(t, seen[line], "no page has %q any more", line)
	}
}

// documents are the pages, the forms for issues, and what coding assistants read, by their paths.
func documents(t *testing.T) map[string]string {
	texts := pages(t)
	forms, err := filepath.Glob(".github/ISSUE_TEMPLATE/*.yml")
	require.NoError(t, err)
	for _, path := range append(forms, "llms.txt") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		texts[path] = string(text)
	}
	return texts
}

// isCommand tells which code within a sentence is a command.
var isCommand = regexp.MustCompile(`^([A-Z_]+=\S* )*(\.ci/\w+|(go (-C|build|doc|env|generate|get|install|list|mod|run|test|tool|vet|work)|examples/\w+|` +
	`apt|apt-get|bash|brew|cloudflared|curl|docker|flyway|gh|git|goose|helm|kubectl|make|mysql|mariadb|npm|npx|openssl|psql|redis-cli|sh|sudo|tern|wget) \S.*)$`)

// isShell tells whether a block has commands. One that is set off by its indentation alone has nothing else.
func isShell(b guide.Block) bool {
	return slices.Contains([]string{"sh", "bash", "console", "shell", guide.Indented}, b.Lang)
}

// commandsOf are the commands of a page, in its order: the lines of its blocks for a shell, and those in sentences.
func commandsOf(page string) (all []string) {
	at := map[string]int{}
	add := func(line string) {
		line, _, _ = strings.Cut(line, "  ") // a comment stands apart
		for part := range strings.SplitSeq(line, " && ") {
			if part = strings.TrimSpace(part); part != "" && !strings.HasPrefix(part, "#") {
				at[part] = strings.Index(page, part)
			}
		}
	}
	for _, block := range guide.Blocks(page) {
		if isShell(block) {
			for line := range strings.Lines(block.Code) {
				add(line)
			}
		}
	}
	for _, code := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(page, -1) {
		if isCommand.MatchString(code[1]) {
			add(code[1])
		}
	}
	return slices.SortedFunc(maps.Keys(at), func(a, b string) int { return at[a] - at[b] })
}
