package story

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStepsAreFound(t *testing.T) {
	for line, want := range map[string]struct {
		usage string
		args  []string
	}{
		"user: I want a human: now":              {"user: <text>", []string{"I want a human: now"}},
		"agent Ann: Hello: you":                  {"agent <name>: <text>", []string{"Ann", "Hello: you"}},
		"agent Ann by Slack: Hello":              {"agent <name> by <text>: <text>", []string{"Ann", "Slack", "Hello"}},
		"bot asks for a human":                   {"bot asks for a human[ (<text>)]", []string{""}},
		"bot asks for a human (locale fr)":       {"bot asks for a human[ (<text>)]", []string{"locale fr"}},
		`bot answers "Where?": In Lyon.`:         {`bot answers "<text>": <text>`, []string{"Where?", "In Lyon."}},
		"hooks get lost":                         {"hooks[ of <text>] get lost", []string{""}},
		"hooks of session:set_state come twice":  {"hooks[ of <text>] come twice", []string{"session:set_state"}},
		"10 minutes pass":                        {"<time> pass", []string{"10 minutes"}},
		"Crisp answers 429 to reading for 1 day": {"Crisp answers <number> to <text> for <time>", []string{"429", "reading", "1 day"}},
	} {
		v, args, err := find(line)
		require.NoError(t, err, line)
		require.Equal(t, want.usage, v.usage, line)
		require.Equal(t, want.args, args, line)
	}
}

func TestAnUnknownStepIsToldWhatThereIs(t *testing.T) {
	_, _, err := find("agent Ann sings")
	require.ErrorContains(t, err, "agent <name> resolves")
	require.NotContains(t, err.Error(), "user: <text>")
	_, _, err = find("meanwhile the moon rises")
	require.ErrorContains(t, err, "the process restarts")
	_, _, err = find("")
	require.Error(t, err)
}

// TestEveryStepIsInAStory keeps the vocabulary to what is told.
func TestEveryStepIsInAStory(t *testing.T) {
	used := map[string]bool{}
	for _, pattern := range []string{"../../testdata/stories/*.txt", "../../testdata/stories/pending/*.txt"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			s, err := parse(string(text))
			require.NoError(t, err, file)
			for _, st := range s.steps {
				v, _, err := find(st.text)
				require.NoError(t, err, file)
				used[v.usage] = true
			}
		}
	}
	var unused []string
	for _, v := range vocabulary {
		if !used[v.usage] {
			unused = append(unused, v.usage)
		}
	}
	require.Empty(t, unused, "steps that no story has")
}

func TestWordsOfAStory(t *testing.T) {
	require.Equal(t, 90*time.Minute, duration("90 minutes"))
	require.Equal(t, 24*time.Hour, duration("1 day"))
	require.Zero(t, duration(""))
	text, choices := brackets("Which one? [the blue] [the red]")
	require.Equal(t, "Which one?", text)
	require.Equal(t, []string{"the blue", "the red"}, choices)
	_, choices = brackets("Which one?")
	require.Empty(t, choices)
	require.Equal(t, "one\ntwo", unfold("one / two"))
	require.Len(t, strings.TrimSpace(unfold("{2500 letters}")), 2500)
	require.Equal(t, "one / two", fold("one\n\ntwo\n"))
	require.Equal(t, "Ann: {2500 letters}", fold("Ann: "+unfold("{2500 letters}")))
}
