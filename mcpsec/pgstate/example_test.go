package pgstate_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/guard"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A server of which there may be any number: they share the rate of each principal,
// and a thousand calls a day of each tool.
func Example() {
	ctx := context.Background()
	url, err := redact.SecretFromEnv("STATE_DATABASE_URL")
	if err != nil {
		log.Fatal(err)
	}
	pool, err := pgxpool.New(ctx, url.Reveal())
	if err != nil {
		log.Fatal("STATE_DATABASE_URL is no address of a database") // the error could hold it
	}
	defer pool.Close()
	store, err := pgstate.New(ctx, pool, pgstate.Options{})
	if err != nil {
		log.Fatal(err) // it says what to do
	}
	defer store.Close()
	audit, err := mcpsec.OpenAuditLog("orders-audit.jsonl", mcpsec.Secret{})
	if err != nil {
		log.Fatal(err)
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
		Audit:  audit,
		State:  store,
		Guards: []mcpsec.Guard{guard.Rate(store, state.Allowance{Limit: 1000, Per: 24 * time.Hour, Calendar: true})},
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(srv.ListenAndServe(ctx, os.Getenv("ADDRESS"), mcpsec.HTTPOptions{}))
}

// What the role of a server may do.
func ExampleSetupSQL() {
	text, err := pgstate.SetupSQL("", "orders_server")
	if err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "GRANT") {
			fmt.Print(line)
		}
	}
	// Output:
	// GRANT USAGE ON SCHEMA "mcpsec" TO "orders_server";
	// GRANT SELECT ON "mcpsec".version TO "orders_server";
	// GRANT SELECT, INSERT, UPDATE, DELETE ON "mcpsec".claims, "mcpsec".allowances, "mcpsec".suppressions TO "orders_server";
}
