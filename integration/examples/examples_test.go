// Package examples_test runs the examples as a client would: built, and over
// standard input and output.
package examples_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

var postgres pgtest.Shared

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

// start builds an example and connects a client to it.
func start(t *testing.T, name string, args []string, env ...string) *mcp.ClientSession {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/mcpsec/mcpsec-go/examples/"+name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), env...)
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, nil).Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cs.Close(); err != nil {
			t.Error(err)
		}
	})
	return cs
}

func call(t *testing.T, cs *mcp.ClientSession, tool, args string) (string, bool) {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatal(err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

func TestQuickstart(t *testing.T) {
	t.Parallel()
	cs := start(t, "quickstart", nil)
	if text, isErr := call(t, cs, "order_lookup", `{"id":2}`); isErr || text != `{"status":"open","total":"49.50"}` {
		t.Errorf("got %s", text)
	}
	if text, isErr := call(t, cs, "order_lookup", `{"id":3}`); !isErr || !strings.HasPrefix(text, "there is no such order") {
		t.Errorf("got %s", text)
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	srv := postgres.Server(t)
	db := postgres.Database(t, "")
	conn, err := pgx.Connect(t.Context(), srv.URL(db, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{
		"CREATE TABLE items AS SELECT 7 AS id, 'seven' AS name",
		pgtool.SetupSQL(pgtool.SetupOptions{Database: db, Role: "example_reader"}),
		"ALTER ROLE example_reader PASSWORD 'tern-gull-and-heron'",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	cs := start(t, "postgres", []string{"-audit", audit}, "DATABASE_URL="+srv.URLAs(db, "example_reader", "tern-gull-and-heron"))
	if text, isErr := call(t, cs, "pg_query", `{"sql":"SELECT name FROM items WHERE id = $1","params":[7]}`); isErr || !strings.Contains(text, `["seven"]`) {
		t.Errorf("got %s", text)
	}
	if text, isErr := call(t, cs, "pg_query", `{"sql":"DROP TABLE items"}`); !isErr {
		t.Errorf("got %s", text)
	}
	if text, err := os.ReadFile(audit); err != nil || strings.Count(string(text), "\n") != 4 {
		t.Errorf("%v: the audit log is %s", err, text)
	}
}
