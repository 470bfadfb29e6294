package jsonplace

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOthers(t *testing.T) {
	for text, want := range map[string][]string{
		`{"b":1,"known":2,"a":{"c":3}}`: {"a", "b"},
		`{"known":2}`:                   nil,
		`{}`:                            nil,
		`null`:                          nil,
	} {
		got, err := Others([]byte(text), []string{"known", "absent"})
		require.NoError(t, err)
		require.ElementsMatch(t, want, got, text)
	}
	got, err := Others([]byte(`{"b":1,"a":2}`), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, got, "in order")
	_, err = Others([]byte(`[]`), nil)
	require.Error(t, err)
}
