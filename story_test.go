package handover_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/guide"
	"github.com/crisphandover/handover/internal/story"
)

var pending = flag.Bool("pending", false, "run the stories of faults that are not mended yet")

// TestStories runs each file of testdata/stories. With -update, what the files expect becomes what
// happened; read it before you keep it.
func TestStories(t *testing.T) { tellStories(t, "testdata/stories/*.txt", *update) }

// TestPendingStories runs the stories that wait for a fault to be mended, each named by the fault's
// row. One that passes belongs to the others.
func TestPendingStories(t *testing.T) {
	if !*pending {
		t.Skip("they fail until their faults are mended; -pending runs them")
	}
	if files, _ := filepath.Glob("testdata/stories/pending/*.txt"); len(files) == 0 {
		t.Skip("none is pending")
	}
	tellStories(t, "testdata/stories/pending/*.txt", false)
}

// TestStoriesDocument runs the story that docs/stories.md shows, and compares its list of steps with the steps that there
// are.
func TestStoriesDocument(t *testing.T) {
	const file, begin = "docs/stories.md", "<!-- the steps: made from internal/story -->\n"
	doc, err := os.ReadFile(file)
	require.NoError(t, err)
	head, _, found := strings.Cut(string(doc), begin)
	require.True(t, found)
	want := head + begin + story.Usage()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(doc), "go test -run TestStoriesDocument -update .")
	shown := filepath.Join(t.TempDir(), "shown.txt")
	require.NoError(t, os.WriteFile(shown, []byte(guide.Blocks(string(doc))[0].Code), 0o600))
	story.Run(t, shown, false)
}

func tellStories(t *testing.T, pattern string, rewrite bool) {
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { story.Run(t, file, rewrite) })
	}
}
