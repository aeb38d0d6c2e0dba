package pgstate_test

import (
	"context"
	"log"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// The tables are made once, by a role that may, before servers start; or with what
// SetupSQL prints, by a person.
func ExampleMigrate() {
	ctx := context.Background()
	url, err := redact.SecretFromEnv("OWNER_DATABASE_URL")
	if err != nil {
		log.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, url.Reveal())
	if err != nil {
		log.Fatal("OWNER_DATABASE_URL leads to no database") // the error could hold it
	}
	defer conn.Close(ctx)
	if err := pgstate.Migrate(ctx, conn, "", "orders_server"); err != nil {
		log.Fatal(err)
	}
}
