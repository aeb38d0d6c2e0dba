package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/sampledb"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

const envURL = "BENCH_DATABASE_URL"

var impl = &mcp.Implementation{Name: "bench", Version: "1.0.0"}

type orderIn struct {
	ID     string   `json:"id" validate:"required,uuid" jsonschema:"order id"`
	Status string   `json:"status" validate:"required,oneof=open paid shipped"`
	Mail   string   `json:"mail" validate:"required,email,max=200"`
	Limit  int      `json:"limit" validate:"min=1,max=100"`
	Exact  bool     `json:"exact"`
	Tags   []string `json:"tags" validate:"max=5,dive,max=20"`
}

type orderOut struct {
	ID    string `json:"id"`
	Total int64  `json:"total"`
}

const orderCall = `{"name":"order","arguments":{"id":"0c8bf0c5-6a1e-4a9b-8a4e-3f1f3a0d8f01","status":"paid","mail":"a@example.com","limit":10,"exact":true,"tags":["a","b"]}}`

func order(in orderIn) orderOut { return orderOut{in.ID, 42} }

// hardenedServer serves the order tool, and pg_query where there is a database,
// with everything on; or a tool that waits. The rate limit is raised above what
// the machine can do.
func hardenedServer(waits bool) (*mcpsec.Server, error) {
	audit, err := os.CreateTemp("", "bench-audit-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(audit.Name()); err != nil { // gone with the process
		return nil, err
	}
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{
		Audit:  mcpsec.NewAuditLog(audit),
		Log:    slog.NewTextHandler(io.Discard, nil),
		Limits: mcpsec.Limits{CallsPerSecond: 1e6},
	})
	if err != nil {
		return nil, err
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "order", Description: "Fetch one order.", Effect: mcpsec.Read},
		func(_ context.Context, in orderIn) (orderOut, error) { return order(in), nil }))
	if waits {
		srv.Add(waitTool())
	}
	if os.Getenv(envURL) == "" {
		return srv, nil
	}
	url, err := redact.SecretFromEnv(envURL)
	if err != nil {
		return nil, err
	}
	db, err := pgtool.Open(context.Background(), pgtool.Options{URL: url, Schemas: schemas, MaxRows: 5_000, MaxBytes: 4 << 20, MaxConns: 8})
	if err != nil {
		return nil, err
	}
	srv.Add(pgtool.ReadTools(db)...)
	return srv, nil
}

type queryIn struct {
	SQL    string `json:"sql"`
	Params []any  `json:"params"`
}

type listIn struct {
	Schema string `json:"schema"`
}

type queryOut struct {
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

// bareServer does the same on the SDK and pgx alone, as most servers do.
func bareServer() (*mcp.Server, error) {
	srv := mcp.NewServer(impl, nil)
	mcp.AddTool(srv, &mcp.Tool{Name: "order", Description: "Fetch one order."},
		func(_ context.Context, _ *mcp.CallToolRequest, in orderIn) (*mcp.CallToolResult, orderOut, error) {
			return nil, order(in), nil
		})
	if os.Getenv(envURL) == "" {
		return srv, nil
	}
	pool, err := pgxpool.New(context.Background(), os.Getenv(envURL))
	if err != nil {
		return nil, err
	}
	mcp.AddTool(srv, &mcp.Tool{Name: "pg_query", Description: "Run SQL."},
		func(ctx context.Context, _ *mcp.CallToolRequest, in queryIn) (*mcp.CallToolResult, queryOut, error) {
			out, err := bareQuery(ctx, pool, in.SQL, in.Params...)
			return nil, out, err
		})
	mcp.AddTool(srv, &mcp.Tool{Name: "pg_list_objects", Description: "List objects."},
		func(ctx context.Context, _ *mcp.CallToolRequest, in listIn) (*mcp.CallToolResult, queryOut, error) {
			out, err := bareQuery(ctx, pool, "SELECT table_name::text, table_type::text FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1", in.Schema)
			return nil, out, err
		})
	return srv, nil
}

func bareQuery(ctx context.Context, pool *pgxpool.Pool, sql string, params ...any) (out queryOut, err error) {
	rows, err := pool.Query(ctx, sql, params...)
	if err != nil {
		return out, err
	}
	for _, f := range rows.FieldDescriptions() {
		out.Columns = append(out.Columns, f.Name)
	}
	out.Rows, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
	return out, err
}

func serve(kind string) error {
	ctx := context.Background()
	if web, ok := strings.CutPrefix(kind, webPrefix); ok {
		return serveWeb(web)
	}
	if kind == "hardened" {
		srv, err := hardenedServer(false)
		if err != nil {
			return err
		}
		return srv.Run(ctx)
	}
	srv, err := bareServer()
	if err != nil {
		return err
	}
	return srv.Run(ctx, &mcp.StdioTransport{})
}

// crowd is what the database has besides, as it would in service.
const (
	crowd    = "1,000 tables, 300 views and 3,000 functions"
	crowdSQL = `DO $$ BEGIN
		FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE crowd_%s (id int PRIMARY KEY, name text, at timestamptz)', i); END LOOP;
		FOR i IN 1..300 LOOP EXECUTE format('CREATE VIEW crowd_view_%s AS SELECT id, upper(name) AS name FROM crowd_%s WHERE at < now()', i, i); END LOOP;
		FOR i IN 1..3000 LOOP EXECUTE format('CREATE FUNCTION crowd_fn_%s(int) RETURNS int LANGUAGE sql AS ''SELECT $1''', i); END LOOP;
	END $$`
)

// fiftySQL is a schema of a size that people have.
const fiftySQL = `CREATE SCHEMA fifty; DO $$ BEGIN
		FOR i IN 1..50 LOOP EXECUTE format('CREATE TABLE fifty.t%s (id int PRIMARY KEY, a text, b int, c bool, d date, e numeric, f uuid, at timestamptz)', i); END LOOP;
	END $$`

var schemas = append(slices.Clone(sampledb.Schemas), "fifty")

// loadSample makes the sample database, the crowd, and a role that may read it.
func loadSample(ctx context.Context, pg *pgserver.Server) (string, error) {
	if err := pg.CreateDatabase(ctx, "bench", ""); err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, pg.URL("bench", ""))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if err := sampledb.Load(ctx, conn); err != nil {
		return "", err
	}
	for _, sql := range []string{
		crowdSQL, fiftySQL,
		pgtool.SetupSQL(pgtool.SetupOptions{Database: "bench", Schemas: schemas}),
		"ALTER ROLE mcp_reader PASSWORD '" + pg.Password() + "'",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return "", fmt.Errorf("%.40s: %w", sql, err)
		}
	}
	return pg.URLAs("bench", "mcp_reader", pg.Password()), nil
}

// raw is the call's arguments for the SDK's client.
func raw(call string) (name string, args json.RawMessage, err error) {
	var c struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	err = json.Unmarshal([]byte(call), &c)
	return c.Name, c.Arguments, err
}
