package llm_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/guide"
)

// TestGuide finds each block of Go of docs/llm.md in example_test.go, where it compiles and the examples run it.
func TestGuide(t *testing.T) {
	guide.Compiled(t, "../docs/llm.md", "go", "example_test.go")
	page, err := os.ReadFile("../docs/llm.md")
	require.NoError(t, err)
	examples, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	for _, line := range []string{"[Handover: from here on a human agent had the conversation: Ann.", "[Handover: the conversation was resolved, and you have the conversation again]"} {
		require.Contains(t, string(page), line)
		require.Contains(t, string(examples), line)
	}
}
