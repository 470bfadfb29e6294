package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/guide"
	"github.com/crisphandover/handover/sqlstore"
)

// The host imports the driver, such as github.com/jackc/pgx/v5/stdlib, and opens the database.
func ExampleNew() {
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	sqlStore, err := sqlstore.New(db, sqlstore.PostgreSQL, sqlstore.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := sqlStore.Migrate(context.Background()); err != nil {
		log.Fatal(err)
	}
	var store handover.Store = sqlStore // for Config.Store
	_ = store
}

// Files of SQL for tern or Flyway.
func ExampleMigrations() {
	const first = 6                                            // the migrations that the host has already
	steps, err := sqlstore.Migrations(sqlstore.PostgreSQL, "") // the prefix, as in Options
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range steps {
		name := fmt.Sprintf("%d_handover_%s.sql", first+m.Version, m.Name) // your own numbers
		if err := os.WriteFile(filepath.Join("migrations", name), []byte(m.SQL()), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// goose splits a file at semicolons, but not between its marks.
func ExampleMigration() {
	steps, err := sqlstore.Migrations(sqlstore.MySQL, "")
	if err != nil {
		log.Fatal(err)
	}
	m, file := steps[0], os.Stdout
	m.Statements = m.Statements[:1]
	fmt.Fprintln(file, "-- +goose Up")
	for _, statement := range m.Statements {
		fmt.Fprintf(file, "-- +goose StatementBegin\n%s;\n-- +goose StatementEnd\n", statement)
	}
	// Output:
	// -- +goose Up
	// -- +goose StatementBegin
	// CREATE TABLE IF NOT EXISTS handover_schema (version INTEGER NOT NULL PRIMARY KEY);
	// -- +goose StatementEnd
}

// TestGuide finds each block of code of docs/stores.md in this file.
func TestGuide(t *testing.T) {
	guide.Compiled(t, "../docs/stores.md", "go", "example_test.go")
}
