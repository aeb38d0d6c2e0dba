package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/examples/embedpg"
	"github.com/mcpsec/mcpsec-go/examples/sampledb"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/mcpsec/config"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// demoTables are what the demo lets a model write to.
var demoTables = []pgtool.Table{
	{Schema: "sales", Name: "invoices", Read: []string{"id", "customer_id", "status", "issued_at", "total", "version"}, Update: []string{"status", "version"}},
	{Schema: "sales", Name: "reviews", Read: []string{"id", "album_id", "stars", "words"}, Insert: []string{"album_id", "stars", "words", "written_at"}, Delete: true},
}

// serveDemo serves the sample database, on a server that ends with it. What the
// environment sets beside the database's address counts.
func serveDemo(ctx context.Context) error {
	fmt.Fprintln(os.Stderr, "Starting PostgreSQL with a sample database; the first time on a machine without it, it is fetched.")
	pg, err := pgserver.Start(ctx, pgserver.Options{Log: os.Stderr, Download: true, Fetch: embedpg.Fetch})
	if err != nil {
		return err
	}
	defer pg.Stop()
	settings, err := demoDatabase(ctx, pg)
	if err != nil {
		return err
	}
	exports, err := os.MkdirTemp("", "mcp-postgres-exports-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(exports)
	settings = append(settings, prefix+"EXPORT_DIR="+exports)
	cfg, err := config.LoadFrom[Config](prefix, append(settings, os.Environ()...)) // the first of several counts
	if err != nil {
		return err
	}
	return serve(ctx, cfg)
}

// demoDatabase makes the database and its two roles, and returns the settings for
// them.
func demoDatabase(ctx context.Context, pg *pgserver.Server) (settings []string, err error) {
	const database = "records"
	if err := pg.CreateDatabase(ctx, database, ""); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, pg.URL(database, ""))
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := sampledb.Load(ctx, conn); err != nil {
		return nil, err
	}
	for role, sql := range map[string]string{
		"mcp_reader": pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Schemas: sampledb.Schemas}),
		"mcp_writer": pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Tables: demoTables}),
	} {
		if _, err := conn.Exec(ctx, sql+"ALTER ROLE "+role+" PASSWORD '"+pg.Password()+"'"); err != nil {
			return nil, fmt.Errorf("making the role %s: %w", role, err)
		}
	}
	list, err := json.Marshal(demoTables)
	return []string{
		prefix + "DATABASE_URL=" + pg.URL(database, "mcp_reader"),
		prefix + "SCHEMAS=" + strings.Join(sampledb.Schemas, ","),
		prefix + "TOOLS=read,inspect,named,export",
		prefix + "MASK_COLUMNS=salary=hidden,sales.customers.email=hashed,sales.customers.phone=partial",
		prefix + "WRITE_URL=" + pg.URL(database, "mcp_writer"),
		prefix + "WRITE_TABLES=" + string(list),
		prefix + "WRITE_EXECUTE=true",
	}, err
}
