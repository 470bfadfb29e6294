package systemtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows is how many rows the table of docs/connector.md has at least: one for each of the features
// that the connector's page lists.
const rows = 32

// TestConnectorTable checks that each row of the table of docs/connector.md names a test or a
// story, and that what is named there exists.
func TestConnectorTable(t *testing.T) {
	doc, err := os.ReadFile("../../docs/connector.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(doc), "<!-- connector table -->\n")
	require.True(t, found)
	table, _, found = strings.Cut(table, "<!-- end -->")
	require.True(t, found)

	tests := testsHere(t)
	lines := strings.Split(strings.TrimSpace(table), "\n")[2:]
	require.GreaterOrEqual(t, len(lines), rows)
	for _, line := range lines {
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		require.Len(t, cells, 3, line)
		named := regexp.MustCompile("`((?:Test|Example|Fuzz)\\w*|[a-z-]+\\.txt)`").FindAllStringSubmatch(cells[2], -1)
		require.NotEmpty(t, named, "no test is named in: %s", line)
		for _, name := range named {
			require.True(t, tests[name[1]], "there is no %s: %s", name[1], line)
		}
	}
}

// testsHere returns the names of all tests and examples in this repository, and of all stories.
func testsHere(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	require.NoError(t, err)
	stories, err := filepath.Glob("../../testdata/stories/*.txt")
	require.NoError(t, err)
	for _, file := range stories {
		names[filepath.Base(file)] = true
	}
	return names
}
