package pgsql

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/sampledb"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

const eightColumns = "SELECT id, album_id, position, title, seconds, price, explicit, isrc FROM music.tracks "

// BenchmarkSample asks the sample database through a bare tool of the SDK and pgx,
// which has no protection, and through the hardened one: by key, for 100 and for
// 5,000 rows of eight columns; and lists what is in the schemas, which the bare
// server has no tool for.
func BenchmarkSample(b *testing.B) {
	name := postgres.Database(b, "")
	conn := postgres.Admin(b, name)
	if err := sampledb.Load(b.Context(), conn); err != nil {
		b.Fatal(err)
	}
	const role = "sample_reader"
	pgtest.Exec(b, conn, pgtool.SetupSQL(pgtool.SetupOptions{Database: name, Role: role, Schemas: sampledb.Schemas})+"ALTER ROLE "+role+" PASSWORD '"+postgres.Server(b).Password()+"'")
	dropRole(b, conn, role)
	url := postgres.Server(b).URL(name, role)
	query := func(sql string) *mcp.CallToolParams {
		return &mcp.CallToolParams{Name: "pg_query", Arguments: map[string]any{"sql": sql, "params": []any{42}}}
	}
	for _, c := range []struct {
		name string
		ask  *mcp.CallToolParams
		bare bool
	}{
		{"key", query(eightColumns + "WHERE id = $1"), true},
		{"rows100", query(eightColumns + "WHERE id > $1 ORDER BY id LIMIT 100"), true},
		{"rows5000", query(eightColumns + "WHERE id > $1 ORDER BY id LIMIT 5000"), true},
		{"list", &mcp.CallToolParams{Name: "pg_list_objects", Arguments: map[string]any{}}, false},
		{"describe", &mcp.CallToolParams{Name: "pg_describe", Arguments: map[string]any{"schema": "sales", "name": "invoices"}}, false},
	} {
		if c.bare {
			b.Run(c.name+"/bare", func(b *testing.B) {
				conn, err := pgx.Connect(b.Context(), url)
				if err != nil {
					b.Fatal(err)
				}
				defer conn.Close(context.Background())
				srv := mcp.NewServer(impl, nil)
				mcp.AddTool(srv, &mcp.Tool{Name: "pg_query", Description: "For tests."}, floor(conn))
				repeat(b, c.ask, func(ctx context.Context, rw net.Conn) error {
					return srv.Run(ctx, &mcp.IOTransport{Reader: rw, Writer: rw})
				})
			})
		}
		b.Run(c.name+"/hardened", func(b *testing.B) {
			db, err := pgtool.Open(b.Context(), pgtool.Options{URL: redact.NewSecret(url), Schemas: sampledb.Schemas, MaxRows: 5_000, MaxBytes: 4 << 20})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			srv, err := mcpsec.NewServer(impl, mcpsec.Options{
				Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, Limits: mcpsec.Limits{CallsPerSecond: 1e6, MaxResult: 8 << 20},
			})
			if err != nil {
				b.Fatal(err)
			}
			srv.Add(pgtool.ReadTools(db)...)
			repeat(b, c.ask, func(ctx context.Context, rw net.Conn) error { return srv.ServeStream(ctx, rw, rw) })
		})
	}
}

// repeat makes the same call again and again.
func repeat(b *testing.B, p *mcp.CallToolParams, serve func(context.Context, net.Conn) error) {
	ours, theirs := net.Pipe()
	go serve(context.WithoutCancel(b.Context()), theirs)
	cs, err := mcp.NewClient(impl, nil).Connect(b.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer cs.Close()
	b.ReportAllocs()
	for b.Loop() {
		res, err := cs.CallTool(b.Context(), p)
		if err != nil || res.IsError {
			b.Fatal(err, res.Content[0].(*mcp.TextContent).Text)
		}
	}
}
