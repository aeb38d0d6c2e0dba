package pgsql

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

var impl = &mcp.Implementation{Name: "test", Version: "1.0.0"}

// client serves the read tools of db on a pipe, and returns the client at its
// other end and the server's log.
func client(t testing.TB, db *pgtool.DB) (*mcp.ClientSession, *mcptest.Buffer) {
	t.Helper()
	return serve(t, func(s *mcpsec.Server) { s.Add(pgtool.ReadTools(db)...) })
}

// serve is client for what add adds to the server.
func serve(t testing.TB, add func(*mcpsec.Server)) (*mcp.ClientSession, *mcptest.Buffer) {
	t.Helper()
	log := &mcptest.Buffer{}
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(&mcptest.Buffer{}), Log: slog.NewTextHandler(log, nil), Limits: mcpsec.Limits{CallsPerSecond: 1e6},
	})
	if err != nil {
		t.Fatal(err)
	}
	add(srv)
	return connect(t, srv), log
}

// connect returns the client at the other end of a pipe.
func connect(t testing.TB, srv *mcpsec.Server) *mcp.ClientSession {
	t.Helper()
	ours, theirs := net.Pipe()
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	cs, err := mcp.NewClient(impl, nil).Connect(t.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

// call calls a tool and returns what the model reads.
func call(t testing.TB, cs *mcp.ClientSession, tool string, args any) (text string, failed bool) {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

// query calls pg_query and returns what the model reads.
func query(t testing.TB, cs *mcp.ClientSession, sql string, params ...any) string {
	t.Helper()
	if params == nil {
		params = []any{}
	}
	text, _ := call(t, cs, "pg_query", map[string]any{"sql": sql, "params": params})
	if strings.HasPrefix(text, "invalid arguments") {
		t.Fatal(text)
	}
	return text
}

func params(sql string) *mcp.CallToolParams {
	return &mcp.CallToolParams{Name: "pg_query", Arguments: map[string]any{"sql": sql}}
}
