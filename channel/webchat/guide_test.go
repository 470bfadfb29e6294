package webchat_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGuide finds each block of Go and SQL of docs/webchat.md in code that is compiled and run, whatever its
// indentation.
func TestGuide(t *testing.T) {
	flat := func(code string) string {
		var lines []string
		for line := range strings.Lines(code) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return strings.TrimSpace(strings.Join(lines, "\n"))
	}
	guide, err := os.ReadFile("../../docs/webchat.md")
	require.NoError(t, err)
	tried := ""
	for _, name := range []string{"example_test.go", "../../internal/integration/webchat_store_test.go"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		tried += flat(string(text)) + "\n"
	}
	blocks := strings.Split(string(guide), "\n```")
	n := 0
	for _, block := range blocks {
		lang, code, _ := strings.Cut(block, "\n")
		if lang == "go" || lang == "sql" {
			require.Contains(t, tried, strings.TrimSuffix(flat(code), ";"))
			n++
		}
	}
	require.Equal(t, 6, n)
}
