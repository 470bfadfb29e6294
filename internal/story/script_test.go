package story

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const told = `# A story.

given the free plan

user: Hello
> (for the bot)
bot: Hi
> bot: Hi

# The end.
1 minute passes
`

func TestAStoryIsReadAndWrittenAlike(t *testing.T) {
	s, err := parse(told)
	require.NoError(t, err)
	require.Len(t, s.steps, 4)
	require.Equal(t, 5, s.steps[1].number)
	happened := [][]string{nil, {"(for the bot)"}, {"bot: Hi"}, nil}
	require.Equal(t, told, s.told(happened))
	require.Empty(t, s.differences(happened))
}

func TestDifferencesAreShownStepByStep(t *testing.T) {
	s, err := parse(told)
	require.NoError(t, err)
	require.Equal(t, `
line 7: bot: Hi
   + > system: Ann joined the conversation.
     > bot: Hi
   + > (now active)

line 11: 1 minute passes
   + > (ended: idle)
`, s.differences([][]string{nil, {"(for the bot)"}, {"system: Ann joined the conversation.", "bot: Hi", "(now active)"}, {"(ended: idle)"}}))
	require.Equal(t, `
line 7: bot: Hi
   - > bot: Hi
   + > (refused: not the bot's turn)
`, s.differences([][]string{nil, {"(for the bot)"}, {"(refused: not the bot's turn)"}, nil}))
}

func TestAStoryThatIsNone(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "no steps",
		"# only a comment\n":           "no steps",
		"> bot: Hi\n":                  "line 1",
		"user: Hello\n\n> bot: Hi\n":   "line 3",
		"user: Hello\n# why\n> bot: 1": "line 3",
	} {
		_, err := parse(text)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(told)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse(text)
		if err != nil {
			return
		}
		var happened [][]string
		for _, st := range s.steps {
			happened = append(happened, st.expected)
		}
		again, err := parse(s.told(happened))
		require.NoError(t, err)
		require.Equal(t, len(s.steps), len(again.steps))
		require.Empty(t, again.differences(happened))
	})
}
