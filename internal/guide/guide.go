// Package guide finds the code that stands in pages of Markdown, for the tests that hold it.
package guide

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Indented is the Lang of a block that is set off by its indentation.
const Indented = "indented"

// Block is a block of code of a page. Lang is what its fence says.
type Block struct{ Lang, Code string }

var (
	fence = regexp.MustCompile("^\\s*```(.*)$")
	list  = regexp.MustCompile(`^\s*([-*+]|\d+\.) `)
)

// Blocks are the blocks of code of a page, in its order.
func Blocks(page string) (all []Block) {
	open, inList, paragraph := false, false, false
	for line := range strings.Lines(page) {
		mark := fence.FindStringSubmatch(strings.TrimRight(line, "\n"))
		isBlank, isIndented := strings.TrimSpace(line) == "", strings.HasPrefix(line, "    ")
		switch {
		case mark != nil && !open:
			all = append(all, Block{Lang: mark[1]})
			open = true
		case mark != nil:
			open = false
		case open:
			all[len(all)-1].Code += line
		case isIndented && !inList && !paragraph:
			all = append(all, Block{Lang: Indented, Code: strings.TrimPrefix(line, "    ")})
		case !isBlank && !strings.HasPrefix(line, " "):
			inList = list.MatchString(line)
		}
		paragraph = !open && mark == nil && !isBlank && (!isIndented || inList || paragraph)
	}
	return all
}

// Flat is code without its indentation.
func Flat(code string) string {
	var lines []string
	for line := range strings.Lines(code) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// Compiled returns the blocks of a page in one language, flat. There is one at least, and each of them stands in one of
// these files, whatever its indentation.
func Compiled(t testing.TB, page, lang string, files ...string) (blocks []string) {
	t.Helper()
	code := ""
	for _, file := range files {
		code += Flat(read(t, file)) + "\n"
	}
	for _, b := range Blocks(read(t, page)) {
		if b.Lang != lang {
			continue
		}
		flat := Flat(b.Code)
		if !strings.Contains(code, strings.TrimSuffix(flat, ";")) {
			t.Errorf("%s: no file of %v has this code:\n%s", page, files, b.Code)
		}
		blocks = append(blocks, flat)
	}
	if len(blocks) == 0 {
		t.Errorf("%s has no block of %s", page, lang)
	}
	return blocks
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
