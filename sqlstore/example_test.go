package sqlstore_test

import (
	"context"
	"database/sql"
	"log"
	"os"

	"github.com/crisphandover/handover"
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
