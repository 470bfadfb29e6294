package sqlstore

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMigrations(t *testing.T) {
	for d := range dialects {
		steps, err := Migrations(d, "bot_")
		require.NoError(t, err)
		require.NotEmpty(t, steps)
		for i, m := range steps {
			require.Equal(t, i+1, m.Version)
			require.Regexp(t, "^[a-z_]+$", m.Name)
			for _, statement := range m.Statements {
				require.Contains(t, statement, "bot_")
				require.NotRegexp(t, `[{}?]|\$\d|;\s*$|--`, statement)
			}
			require.Contains(t, m.Statements[len(m.Statements)-1], "bot_schema (version) VALUES ("+string(rune('1'+i))+")")
			require.True(t, strings.HasSuffix(m.SQL(), ";\n"))
		}
		require.Contains(t, steps[0].Statements[0], "bot_schema")
		same, err := Migrations(d, "")
		require.NoError(t, err)
		require.Contains(t, same[0].SQL(), "handover_record")
	}
	_, err := Migrations(0, "A")
	require.ErrorContains(t, err, "dialect 0 is unknown")
	require.ErrorContains(t, err, "the prefix")
}
