package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/pgtool"
)

// Every role, mask and directory that can be set, over standard input and output.
func TestPostgresRoles(t *testing.T) {
	t.Parallel()
	reader, writer, conn := items(t)
	database := conn.Config().Database
	owner, exports, imports := database+"_o", t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(imports, "items.csv"), []byte("id,name\n8,eight\n9,nine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Role: owner, Migrates: true}),
		"ALTER ROLE " + owner + " PASSWORD '" + password + "'; GRANT SELECT ON items TO " + database + "_r; GRANT INSERT (id, name) ON items TO " + database + "_w",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	dropRole(t, conn, owner)
	list := append([]pgtool.Table(nil), itemTables...)
	list[0].Insert = []string{"id", "name"}
	tables, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	ownerURL := postgres.Server(t).URLAs(database, owner, password)
	cs := connect(t, command(nil,
		"PGTOOL_DATABASE_URL="+reader, "PGTOOL_TOOLS=read,export", "PGTOOL_EXPORT_DIR="+exports, "PGTOOL_SERVER_CHECK=true", "PGTOOL_LIMIT_COST=100000",
		"PGTOOL_MASK_COLUMNS=*.owner=hashed", "PGTOOL_MASK_KEY="+key, "PGTOOL_REPLICA_URLS="+reader+" "+reader,
		"PGTOOL_WRITE_URL="+writer, "PGTOOL_WRITE_TABLES="+string(tables), "PGTOOL_WRITE_EXECUTE=true", "PGTOOL_WRITE_IMPORT_DIR="+imports,
		"PGTOOL_MIGRATE_URL="+ownerURL, "PGTOOL_MIGRATE_SCHEMAS=public", "PGTOOL_MIGRATE_KINDS=table,comment", "PGTOOL_ADMIN_URL="+ownerURL, "PGTOOL_ADMIN_SCHEMAS=public",
		"PGTOOL_ADMIN_TIMEOUT=10m", "PGTOOL_LIMIT_TIMEOUT=10m", "PGTOOL_LIMIT_BYTES=4194304", "PGTOOL_LIMIT_ROWS=10000", // the most that is taken
		"PGTOOL_AUDIT_FILE="+filepath.Join(t.TempDir(), "audit.jsonl")))
	for _, c := range []struct{ tool, args, want string }{
		{"pg_query", `{"sql":"SELECT length(owner) FROM items WHERE owner <> 'ada@example.org'"}`, `"rows":[[32]]`},
		{"pg_query", `{"sql":"SELECT count(*) FROM generate_series(1, 100000000)"}`, "planner"},
		{"pg_import", `{"table":"public.items","format":"csv","file":"items.csv"}`, `"affected":2`},
		{"pg_execute", `{"sql":"UPDATE public.items SET name = 'ten' WHERE id = 9"}`, `"affected":1`},
		{"pg_apply_ddl", `{"sql":"CREATE TABLE public.more (id int)"}`, `"done":true`},
		{"pg_apply_ddl", `{"sql":"CREATE VIEW public.v AS SELECT 1"}`, "not"},
		{"pg_maintain", `{"action":"vacuum","object":"public.items"}`, `"done":true`},
	} {
		if text, _ := call(t, cs, c.tool, c.args); !strings.Contains(text, c.want) || strings.Contains(text, "ada@") {
			t.Errorf("%s %s: got %.300s, want %s", c.tool, c.args, text, c.want)
		}
	}
	if text := exported(t, cs, "SELECT owner FROM items WHERE id = 7"); len(text) != len("owner\r\n")+32+2 {
		t.Errorf("got %q, want a digest", text)
	}
	if text := exported(t, cs, "SELECT n, repeat('x', 100) FROM generate_series(1, 1000) n"); !strings.Contains(text, "\n1000,xxx") {
		t.Errorf("got %.100q", text)
	}
}

// exported returns an export: what is embedded, or else the file that is linked.
func exported(t *testing.T, cs *mcp.ClientSession, sql string) string {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "pg_export", Arguments: map[string]any{"sql": sql, "format": "csv", "params": []any{}}})
	if err != nil || res.IsError {
		t.Fatal(res, err)
	}
	for _, c := range res.Content {
		switch c := c.(type) {
		case *mcp.EmbeddedResource:
			return c.Resource.Text
		case *mcp.ResourceLink:
			file, err := cs.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: c.URI})
			if err != nil {
				t.Fatal(err)
			}
			return file.Contents[0].Text
		}
	}
	t.Fatalf("no rows in %v", res.Content)
	return ""
}

// Each caller gets its own rows, by a policy.
func TestPostgresTenants(t *testing.T) {
	t.Parallel()
	reader, _, conn := items(t)
	if _, err := conn.Exec(t.Context(), `INSERT INTO items VALUES (8, 'eight', 'bea'); ALTER TABLE items ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON items USING (owner = current_setting('app.caller', true) || CASE WHEN name = 'seven' THEN '@example.org' ELSE '' END)`); err != nil {
		t.Fatal(err)
	}
	tokens, keys := map[string]string{"ada": key, "bea": strings.ToUpper(key)}, []string{}
	for name, token := range tokens {
		hash := sha256.Sum256([]byte(token))
		keys = append(keys, name+"="+hex.EncodeToString(hash[:]))
	}
	cmd := command(nil, "PGTOOL_DATABASE_URL="+reader, "PGTOOL_HTTP_ADDR=127.0.0.1:0", "PGTOOL_HTTP_KEYS="+strings.Join(keys, ","), "PGTOOL_HTTP_TENANT_SETTING=app.caller", "PGTOOL_TOOLS=read,export",
		"PGTOOL_AUDIT_FILE="+filepath.Join(t.TempDir(), "audit.jsonl"))
	client, lines := listen(t, cmd)
	for name, id := range map[string]string{"ada": "7", "bea": "8"} {
		cs, err := client(tokens[name])
		if err != nil {
			t.Fatal(err)
		}
		if text, isErr := call(t, cs, "pg_query", `{"sql":"SELECT id FROM items"}`); isErr || !strings.Contains(text, `"rows":[[`+id+`]]`) {
			t.Errorf("%s got %s, want %s", name, text, id)
		}
		if text := exported(t, cs, "SELECT id FROM items"); text != "id\r\n"+id+"\r\n" {
			t.Errorf("%s got %q, want %s", name, text, id)
		}
		if err := cs.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
