package pages

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// surface is what the root exports: names of the package, and methods as Type.Method.
type surface struct {
	names, methods map[string]bool
	blocks         map[string]bool // methods and functions that take a context or a request
}

func readSurface(t *testing.T) surface {
	t.Helper()
	s := surface{names: map[string]bool{}, methods: map[string]bool{}, blocks: map[string]bool{}}
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				s.addFunc(d)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					s.addSpec(spec)
				}
			}
		}
	}
	return s
}

func (s *surface) addFunc(d *ast.FuncDecl) {
	name := d.Name.Name
	all := s.names
	if d.Recv != nil {
		of := d.Recv.List[0].Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		id, ok := of.(*ast.Ident)
		if !ok || !id.IsExported() {
			return
		}
		name, all = id.Name+"."+name, s.methods
	}
	if !d.Name.IsExported() {
		return
	}
	all[name] = true
	for _, p := range d.Type.Params.List {
		of := p.Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		switch fmt.Sprint(of) {
		case "&{context Context}", "&{http Request}":
			s.blocks[name] = true
		}
	}
}

func (s *surface) addSpec(spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() {
				s.names[name.Name] = true
			}
		}
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return
		}
		s.names[spec.Name.Name] = true
	}
}

// TestSurface holds docs/surface.md against the package: each exported name has a reason, each call that can block a
// bound, and nothing is listed that is gone.
func TestSurface(t *testing.T) {
	text, err := os.ReadFile("docs/surface.md")
	require.NoError(t, err)
	s := readSurface(t)
	listed := map[string]bool{}
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || strings.HasPrefix(cells[1], "---") || !strings.Contains(cells[1], "`") {
			continue
		}
		rows++
		require.NotEmpty(t, strings.TrimSpace(cells[2]), "a reason: %s", line)
		for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			name := span[1]
			require.False(t, listed[name], "%s is listed twice", name)
			listed[name] = true
			require.True(t, s.names[name] || s.methods[name], "%s is gone", name)
			if s.blocks[name] {
				require.NotEmpty(t, strings.TrimSpace(cells[3]), "what bounds %s", name)
			}
		}
	}
	require.Positive(t, rows)
	var missing []string
	for name := range s.names {
		if !listed[name] {
			missing = append(missing, name)
		}
	}
	for name := range s.methods {
		of, _, _ := strings.Cut(name, ".")
		if of == "Handover" && !listed[name] && !slices.Contains([]string{"Handover.Format", "Handover.String", "Handover.LogValue"}, name) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	require.Empty(t, missing, "docs/surface.md lacks them: who uses them, and how long may they block?")
	require.Contains(t, string(text), fmt.Sprintf("The package has %d names", len(s.names)))
}
