package llm_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGuide finds each block of code of docs/llm.md in example_test.go, whatever its indentation: it compiles, and
// the examples run it.
func TestGuide(t *testing.T) {
	flat := func(code string) string {
		var lines []string
		for line := range strings.Lines(code) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return strings.TrimSpace(strings.Join(lines, "\n"))
	}
	guide, err := os.ReadFile("../docs/llm.md")
	require.NoError(t, err)
	examples, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	blocks := strings.Split(string(guide), "```go\n")[1:]
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		code, _, found := strings.Cut(block, "```\n")
		require.True(t, found)
		require.Contains(t, flat(string(examples)), flat(code))
	}
	for _, line := range []string{"[Handover: from here on a human agent had the conversation: Ann.", "[Handover: the conversation was resolved, and you have the conversation again]"} {
		require.Contains(t, string(guide), line)
		require.Contains(t, string(examples), line)
	}
}
