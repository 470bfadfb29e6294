package sqlstore

import (
	"errors"
	"fmt"
	"strings"
)

// Migration is a step that leads the tables to a version, for hosts that run all their migrations by a tool, such as goose,
// tern or Flyway. docs/stores.md has an example for each. Other hosts call Store.Migrate.
type Migration struct {
	Version int    // 1 in the first
	Name    string // for a file's name: lower-case letters and underscores
	// Statements are to be executed in this order, each once, in a transaction if the database can undo its tables' making
	// (MySQL cannot). The last one notes the version, as Store.Migrate does: for that nothing is left to do.
	Statements []string
}

// SQL returns the statements as a script, each with a semicolon after it. Functions and triggers have semicolons
// within: a tool that splits scripts at each has to be given Statements.
func (m Migration) SQL() string {
	return strings.Join(m.Statements, ";\n\n") + ";\n"
}

// Migrations returns all steps, for tables whose names begin with prefix, as in Options.Prefix. A step never changes
// once it was released; later releases have more. Tables that Store.Migrate has made have had these steps.
func Migrations(d Dialect, prefix string) ([]Migration, error) {
	known, prefix, errs := check(d, prefix)
	if len(errs) > 0 {
		return nil, fmt.Errorf("handover: sqlstore.Migrations: %w", errors.Join(errs...))
	}
	known = known.with(prefix)
	var all []Migration
	for i, step := range known.migrations {
		m := Migration{Version: i + 1, Name: step.name}
		if i == 0 {
			m.Statements = append(m.Statements, known.makeSchema)
		}
		m.Statements = append(m.Statements, step.statements...)
		m.Statements = append(m.Statements, known.noteVersion(m.Version))
		all = append(all, m)
	}
	return all, nil
}

// migration is a step in the form that a dialect has it.
type migration struct {
	name       string
	statements []string
}

// fill returns the migration with each statement filled in, and without the indentation that it has in the source.
func (m migration) fill(fill func(string) string) migration {
	filled := migration{name: m.name}
	for _, statement := range m.statements {
		filled.statements = append(filled.statements, strings.ReplaceAll(fill(statement), "\n\t\t", "\n"))
	}
	return filled
}
