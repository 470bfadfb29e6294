package guide_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/guide"
)

func TestBlocks(t *testing.T) {
	page := "# A page\n\n    go version\n    go env\n\nText\n    that goes on\n\n```go\nx := 1\n\n    y\n```\n\n- a point\n  and more\n\n      its text\n\n" +
		"1. a step\n   ```sh\n   ls\n   ```\n\nText\n\n    pwd\n"
	require.Equal(t, []guide.Block{
		{guide.Indented, "go version\n"}, {guide.Indented, "go env\n"}, {"go", "x := 1\n\n    y\n"}, {"sh", "   ls\n"}, {guide.Indented, "pwd\n"},
	}, guide.Blocks(page))
}
