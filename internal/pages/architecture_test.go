package pages

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// architecture is docs/architecture.md and the code that it tells of.
type architecture struct {
	text  string
	files map[string]*ast.File // the root's, without tests
	names map[string]bool      // that are declared in the root and in the packages it tells of
}

func readArchitecture(t *testing.T) *architecture {
	text, err := os.ReadFile("docs/architecture.md")
	require.NoError(t, err)
	a := &architecture{text: string(text), files: map[string]*ast.File{}, names: map[string]bool{}}
	for _, pattern := range []string{"*.go", "internal/*/*.go", "internal/systemtest/*/*.go", "handovertest/*.go", "sqlstore/*.go", "llm/*.go", "admin/*.go", "channel/*.go", "channel/*/*.go"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			if !strings.Contains(path, "/") && !strings.HasSuffix(path, "_test.go") {
				a.files[path] = file
			}
			a.declare(file)
		}
	}
	return a
}

// declare notes the names of the package, functions, methods, types, constants, variables and fields.
func (a *architecture) declare(file *ast.File) {
	a.names[file.Name.Name] = true
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			a.names[n.Name.Name] = true
		case *ast.TypeSpec:
			a.names[n.Name.Name] = true
		case *ast.ValueSpec:
			for _, name := range n.Names {
				a.names[name.Name] = true
			}
		case *ast.Field:
			for _, name := range n.Names {
				a.names[name.Name] = true
			}
		}
		return true
	})
}

// part returns the text between two marks.
func (a *architecture) part(t *testing.T, begin, end string) string {
	_, rest, found := strings.Cut(a.text, begin)
	require.True(t, found, begin)
	part, _, found := strings.Cut(rest, end)
	require.True(t, found, end)
	return part
}

// TestArchitecture holds docs/architecture.md against the code: a reader can rely on its names.
func TestArchitecture(t *testing.T) {
	a := readArchitecture(t)
	goFile := regexp.MustCompile(`[a-z_]+\.go\b`)
	name := regexp.MustCompile(`^[A-Za-z]+(\.[A-Za-z]+)*$`)
	picture := a.part(t, "```mermaid\n", "```\n")

	t.Run("every source file of the root is in the picture or beside it", func(t *testing.T) {
		house := a.part(t, "```mermaid\n", "### Pure and acting files")
		for file := range a.files {
			require.Contains(t, goFile.FindAllString(house, -1), file)
		}
	})
	t.Run("every name and file is there", func(t *testing.T) {
		for _, file := range goFile.FindAllString(a.text, -1) {
			require.Contains(t, a.files, file)
		}
		for _, span := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(a.text, -1) {
			text := span[1]
			if goFile.MatchString(text) {
				continue
			}
			if _, err := os.Stat(text); err == nil {
				continue // a directory or a document
			}
			require.Regexp(t, name, text, "a file, a directory or a name of Go")
			for part := range strings.SplitSeq(text, ".") {
				require.True(t, a.names[part], "nothing is called %s", text)
			}
		}
	})
	t.Run("arrows go down only", func(t *testing.T) {
		layer, layers := map[string]int{}, 0
		for line := range strings.Lines(picture) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "subgraph ") {
				layers++
			} else if node, _, ok := strings.Cut(line, `["`); ok {
				layer[node] = layers
			} else if from, to, ok := strings.Cut(line, " --> "); ok {
				require.Positive(t, layer[from], line)
				require.LessOrEqual(t, layer[from], layer[to], line)
			}
		}
		require.Positive(t, layers)
	})
	t.Run("pure files are pure, and every file is one or the other", func(t *testing.T) {
		var pure, acting []string
		for line := range strings.Lines(a.part(t, "| room | | files |\n", "\n\n")) {
			if files := goFile.FindAllString(line, -1); strings.Contains(line, "| pure |") {
				pure = append(pure, files...)
			} else {
				acting = append(acting, files...)
			}
		}
		for file, code := range a.files {
			require.NotEqual(t, slices.Contains(pure, file), slices.Contains(acting, file), file)
			if slices.Contains(pure, file) {
				require.Empty(t, impure(code), file)
			}
		}
	})
	t.Run("packages know what the table says", func(t *testing.T) {
		for line := range strings.Lines(a.part(t, "## The packages\n", "\n`internal/integration`")) {
			cells := strings.Split(line, "|")
			if len(cells) < 4 || !strings.Contains(cells[1], "`") {
				continue
			}
			require.Equal(t, told(cells[3]), known(t, strings.Trim(cells[1], " `")), line)
		}
	})
}

// impure returns what in a file acts: it may use neither time nor contexts, locks, or what is outside.
func impure(file *ast.File) (found []string) {
	for _, spec := range file.Imports {
		switch path, _ := strconv.Unquote(spec.Path.Value); path {
		case "context", "sync", "sync/atomic", "os", "net", "os/signal", "database/sql", modulePath + "/internal/worker":
			found = append(found, path)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "a goroutine")
		case *ast.SelectorExpr:
			from, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			clock := from.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker"}, n.Sel.Name)
			if clock || from.Name == "http" && !strings.HasPrefix(n.Sel.Name, "Status") {
				found = append(found, from.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

const modulePath = "github.com/crisphandover/handover"

// told are the packages of this module that a cell of the table names.
func told(cell string) []string {
	var all []string
	if strings.Contains(cell, "the root") {
		all = append(all, ".")
	}
	for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		all = append(all, span[1])
	}
	slices.Sort(all)
	return all
}

// known are the packages of this module that a package imports; its tests count if it is nothing else.
func known(t *testing.T, dir string) []string {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	isTest := func(path string) bool { return strings.HasSuffix(path, "_test.go") }
	if slices.ContainsFunc(paths, func(path string) bool { return !isTest(path) }) {
		paths = slices.DeleteFunc(paths, isTest)
	}
	var all []string
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			rest, ours := strings.CutPrefix(imported, modulePath)
			if rest = strings.TrimPrefix(rest, "/"); !ours || strings.HasPrefix(rest, dir+"/") {
				continue
			}
			all = append(all, filepath.Clean(rest))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
