package pgtool_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// A server that answers questions about a database, with a role that can only read.
func Example() {
	ctx := context.Background()
	url, err := redact.SecretFromEnv("DATABASE_URL") // postgres://mcp_reader@db.example.com/shop
	if err != nil {
		log.Fatal(err)
	}
	db, err := pgtool.Open(ctx, pgtool.Options{
		URL:     url,
		Schemas: []string{"shop"},
		Mask:    map[string]pgtool.Mask{"*.ssn": pgtool.Hidden, "shop.customers.email": pgtool.Partial},
	})
	if err != nil {
		log.Fatal(err) // what is wrong with the role, and the SQL that mends it
	}
	defer db.Close()
	audit, err := mcpsec.OpenAuditLog("shop-audit.jsonl", mcpsec.Secret{})
	if err != nil {
		log.Fatal(err)
	}
	defer audit.Close()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "shop", Version: "1.0.0"}, mcpsec.Options{Audit: audit})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(pgtool.ReadTools(db)...)    // pg_query, and what there is to query
	srv.Add(pgtool.InspectTools(db)...) // activity, locks, indexes, health
	srv.AddResource(pgtool.Resources(db)...)
	srv.AddPrompt(pgtool.Prompts(db)...)
	if err := srv.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// The role of a server that reads one schema. A superuser reads this, and runs it once.
func ExampleSetupSQL() {
	text := pgtool.SetupSQL(pgtool.SetupOptions{Database: "shop", Schemas: []string{"shop"}})
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "GRANT") {
			fmt.Print(line)
		}
	}
	// Output:
	// GRANT CONNECT ON DATABASE "shop" TO "mcp_reader";
	// GRANT USAGE ON SCHEMA "shop" TO "mcp_reader";
	// GRANT SELECT ON ALL TABLES IN SCHEMA "shop" TO "mcp_reader";
}

type byMail struct {
	Mail string `json:"mail" validate:"required,email,max=200" jsonschema:"the customer's address"`
}

type order struct {
	ID      int64     `json:"id"`
	Total   string    `json:"total"` // numeric: exact
	Shipped time.Time `json:"shipped"`
}

// A statement of the programmer's becomes a tool. :mail is a parameter, whatever it holds.
func ExampleNamedQuery() {
	var db *pgtool.DB      // from Open
	var srv *mcpsec.Server // from mcpsec.NewServer
	srv.Add(pgtool.NamedQuery[byMail, order](db, mcpsec.ToolSpec{
		Name: "orders_of", Description: "The newest orders of a customer.",
	}, pgtool.NewSQL(`
		SELECT o.id, o.total, o.shipped FROM shop.orders o JOIN shop.customers c ON c.id = o.customer
		WHERE c.email = :mail ORDER BY o.shipped DESC LIMIT 10`)))
}

type note struct {
	Order int64  `json:"order" validate:"required,min=1"`
	Text  string `json:"text" validate:"required,max=500"`
}

type noted struct {
	ID int64 `json:"id"`
}

// The same for a statement that writes, and may do no more than the Writer.
func ExampleNamedWrite() {
	var w *pgtool.Writer   // from OpenWriter
	var srv *mcpsec.Server // from mcpsec.NewServer, with Mode mcpsec.Write
	srv.Add(pgtool.NamedWrite[note, noted](w, mcpsec.ToolSpec{
		Name: "note_add", Description: "Write a note on an order.", Effect: mcpsec.Write,
	}, pgtool.NewSQL(`INSERT INTO shop.notes ("order", text) VALUES (:order, :text) RETURNING id`)))
}

// Tools that write to the columns that are listed, of up to ten rows at once. What
// overwrites or deletes asks a person, who is shown the rows.
func ExampleOpenWriter() {
	ctx := context.Background()
	url, err := redact.SecretFromEnv("WRITER_URL") // postgres://mcp_writer@db.example.com/shop
	if err != nil {
		log.Fatal(err)
	}
	w, err := pgtool.OpenWriter(ctx, pgtool.WriteOptions{
		Options: pgtool.Options{URL: url},
		Tables: []pgtool.Table{{
			Schema: "shop", Name: "orders",
			Read:   []string{"id", "status", "note"},
			Update: []string{"status", "note"},
		}},
		MaxAffected: 10,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	var srv *mcpsec.Server // from mcpsec.NewServer, with Mode mcpsec.Destroy
	srv.Add(pgtool.WriteTools(w)...)
}

// Tools that change a schema, as a plan that a person confirms. The kinds of change are
// listed; what is not cannot be planned.
func ExampleOpenMigrator() {
	ctx := context.Background()
	url, err := redact.SecretFromEnv("MIGRATOR_URL") // postgres://mcp_migrator@db.example.com/shop
	if err != nil {
		log.Fatal(err)
	}
	m, err := pgtool.OpenMigrator(ctx, pgtool.DDLOptions{
		Options: pgtool.Options{URL: url, Schemas: []string{"shop"}},
		Kinds:   []string{"table", "column", "index", "comment"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	var srv *mcpsec.Server // from mcpsec.NewServer, with Mode mcpsec.Destroy
	srv.Add(pgtool.DDLTools(m)...)
}

// Tools that look after tables: VACUUM, ANALYZE, REINDEX, and ending what runs too long.
func ExampleOpenAdmin() {
	ctx := context.Background()
	url, err := redact.SecretFromEnv("ADMIN_URL")
	if err != nil {
		log.Fatal(err)
	}
	admin, err := pgtool.OpenAdmin(ctx, pgtool.Options{URL: url, Schemas: []string{"shop"}, Timeout: 5 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer admin.Close()
	var srv *mcpsec.Server // from mcpsec.NewServer, with Mode mcpsec.Destroy
	srv.Add(pgtool.AdminTools(admin)...)
}
