package story

import (
	"fmt"
	"slices"
	"strings"
)

// script is a story as it is written.
type script struct {
	head  []string // the lines before the first step
	steps []step
}

// step is one step, and what is expected of it.
type step struct {
	number   int // of its line, from 1
	text     string
	expected []string
	tail     []string // comments and blank lines behind it
}

// parse reads a story. The error names the line.
func parse(text string) (script, error) {
	var s script
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		line = strings.TrimRight(line, " \t\r")
		last := len(s.steps) - 1
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			if last < 0 {
				s.head = append(s.head, line)
			} else {
				s.steps[last].tail = append(s.steps[last].tail, line)
			}
		case strings.HasPrefix(line, ">"):
			if last < 0 || len(s.steps[last].tail) > 0 {
				return s, fmt.Errorf("line %d: what is expected must stand right below its step", i+1)
			}
			s.steps[last].expected = append(s.steps[last].expected, strings.TrimSpace(line[1:]))
		default:
			s.steps = append(s.steps, step{number: i + 1, text: line})
		}
	}
	if len(s.steps) == 0 {
		return s, fmt.Errorf("the story has no steps")
	}
	return s, nil
}

// told returns the story with what happened in place of what was expected.
func (s script) told(happened [][]string) string {
	lines := slices.Clone(s.head)
	for i, st := range s.steps {
		lines = append(lines, st.text)
		for _, line := range happened[i] {
			lines = append(lines, "> "+line)
		}
		lines = append(lines, st.tail...)
	}
	return strings.Join(lines, "\n") + "\n"
}

// differences shows each step that came out differently: what was expected and did not happen
// with a minus, what happened and was not expected with a plus. It is empty if there are none.
func (s script) differences(happened [][]string) string {
	var b strings.Builder
	for i, st := range s.steps {
		if slices.Equal(st.expected, happened[i]) {
			continue
		}
		fmt.Fprintf(&b, "\nline %d: %s\n", st.number, st.text)
		for _, line := range difference(st.expected, happened[i]) {
			fmt.Fprintln(&b, "   "+line)
		}
	}
	return b.String()
}

// difference compares two lists of lines by their longest common part.
func difference(want, got []string) (lines []string) {
	// longest[i][j] is the length of the longest common part of want[i:] and got[j:].
	longest := make([][]int, len(want)+1)
	for i := range longest {
		longest[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			if want[i] == got[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			lines = append(lines, "  > "+want[i])
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && longest[i+1][j] >= longest[i][j+1]:
			lines = append(lines, "- > "+want[i])
			i++
		default:
			lines = append(lines, "+ > "+got[j])
			j++
		}
	}
	return lines
}
