package sqlstore

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestColumnsOfDocs holds the table of docs/stores.md: it names each column that a database has, and no other.
func TestColumnsOfDocs(t *testing.T) {
	made := regexp.MustCompile(`(?s)CREATE TABLE (?:IF NOT EXISTS )?handover_(\w+) \((.*)\)`)
	column := regexp.MustCompile("(?m)^\t*[`]?([a-z_]+)[`]? +[A-Za-z]")
	added := regexp.MustCompile(`ALTER TABLE handover_(\w+) ADD COLUMN (\w+)`)
	var have []string
	for d := range dialects {
		steps, err := Migrations(d, "")
		require.NoError(t, err)
		for _, m := range steps {
			for _, statement := range m.Statements {
				for _, table := range made.FindAllStringSubmatch(statement, -1) {
					for _, c := range column.FindAllStringSubmatch(table[2], -1) {
						have = append(have, table[1]+"."+c[1])
					}
				}
				for _, c := range added.FindAllStringSubmatch(statement, -1) {
					have = append(have, c[1]+"."+c[2])
				}
			}
		}
	}
	slices.Sort(have)

	page, err := os.ReadFile("../docs/stores.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(page), "## What is in the tables")
	section, _, _ = strings.Cut(section, "\n## ")
	var told []string
	for _, row := range regexp.MustCompile("(?m)^\\| ((?:`[a-z_.]+`(?:, )?)+)").FindAllStringSubmatch(section, -1) {
		for _, name := range strings.Split(row[1], ", ") {
			told = append(told, strings.Trim(name, "`"))
		}
	}
	slices.Sort(told)
	require.Equal(t, slices.Compact(have), told)
}
