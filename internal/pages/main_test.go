// Package pages holds what is written about the library, README.md, the pages in docs and their like, against its code.
package pages

import (
	"fmt"
	"os"
	"testing"

	"github.com/crisphandover/handover/internal/testmain"
)

// TestMain runs the tests where the pages are, in the root.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testmain.Main(m)
}
