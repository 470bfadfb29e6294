package llm_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/llm"
)

// What a user writes is read once, whatever it is. A reading that began anew at each bracket would not end
// within the time that tests have.
func TestManyBracketsAreReadOnce(t *testing.T) {
	said := func(text string) string { return llm.User(handover.Incoming{Text: text}).Text }
	for _, unit := range []string{"[", "[ ", "[\u200b", "［", "[[Hand", "[H\u200b"} {
		text := strings.Repeat(unit, 1<<20/len(unit))
		require.True(t, said(text+"x") == text+"x", "%q", unit)
	}
	for _, unit := range []string{"[", "[ ", "[\u200b", "［"} {
		marked := said(strings.Repeat(unit, 1<<20/len(unit)) + "Handover: x]")
		require.False(t, strings.ContainsAny(marked, "[［"), "%q", unit)
	}
	require.Equal(t, "[[a ((handover [b", said("[[a [[handover [b"))
}
