package pgsql

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

type floorIn struct {
	SQL    string `json:"sql"`
	Params []any  `json:"params"`
}

type floorOut struct {
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

// BenchmarkQuery compares one query by primary key through pg_query, with every
// protection on, with the same through a bare tool of the SDK and pgx, which has
// none, over the same pipe.
func BenchmarkQuery(b *testing.B) {
	name := postgres.Database(b, shop)
	for _, size := range []struct{ name, sql string }{
		{"key", "SELECT id, name, email, country, created_at FROM shop.customers WHERE id = $1"},
		{"rows100", "SELECT id, name, email, country, created_at FROM shop.customers WHERE id > $1 ORDER BY id LIMIT 100"},
	} {
		b.Run(size.name+"/bare", func(b *testing.B) {
			conn, err := pgx.Connect(b.Context(), postgres.Server(b).URL(name, reader))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close(context.Background())
			srv := mcp.NewServer(impl, nil)
			mcp.AddTool(srv, &mcp.Tool{Name: "pg_query", Description: "For tests."}, floor(conn))
			benchmark(b, size.sql, func(ctx context.Context, c net.Conn) error {
				return srv.Run(ctx, &mcp.IOTransport{Reader: c, Writer: c})
			})
		})
		b.Run(size.name+"/hardened", func(b *testing.B) {
			db := open(b, name, nil)
			srv, err := mcpsec.NewServer(impl, mcpsec.Options{
				Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, Limits: mcpsec.Limits{CallsPerSecond: 1e6},
			})
			if err != nil {
				b.Fatal(err)
			}
			srv.Add(pgtool.ReadTools(db)...)
			benchmark(b, size.sql, func(ctx context.Context, c net.Conn) error { return srv.ServeStream(ctx, c, c) })
		})
	}
}

func floor(conn *pgx.Conn) mcp.ToolHandlerFor[floorIn, floorOut] {
	return func(ctx context.Context, _ *mcp.CallToolRequest, in floorIn) (*mcp.CallToolResult, floorOut, error) {
		var out floorOut
		rows, err := conn.Query(ctx, in.SQL, in.Params...)
		if err != nil {
			return nil, out, err
		}
		for _, f := range rows.FieldDescriptions() {
			out.Columns = append(out.Columns, f.Name)
		}
		out.Rows, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
		return nil, out, err
	}
}

func benchmark(b *testing.B, sql string, serve func(context.Context, net.Conn) error) {
	repeat(b, &mcp.CallToolParams{Name: "pg_query", Arguments: map[string]any{"sql": sql, "params": []any{42}}}, serve)
}
