package pgsql

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// An outbox is a directory of exports and a client that can read them.
type outbox struct {
	dir string
	cs  *mcp.ClientSession
	log *mcptest.Buffer
}

func newOutbox(t testing.TB, db *pgtool.DB, change func(*pgtool.FileOptions)) *outbox {
	t.Helper()
	o := &outbox{dir: t.TempDir()}
	root, err := os.OpenRoot(o.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	files := pgtool.FileOptions{Root: root, URI: "exports:///"}
	if change != nil {
		change(&files)
	}
	o.cs, o.log = serve(t, func(s *mcpsec.Server) {
		s.Add(pgtool.ExportTool(db, files))
		s.AddResource(mcpsec.NewFiles(root, mcpsec.ResourceSpec{Name: "exports", Description: "Exports.", URI: "exports:///{+path}", MaxResult: 8 << 20}, nil))
	})
	return o
}

// export returns what a client has of an export: the summary, the contents, and
// whether they came by a link.
func (o *outbox) export(t testing.TB, sql, format string, params ...any) (summary, text string, linked bool) {
	t.Helper()
	if params == nil {
		params = []any{}
	}
	res, err := o.cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "pg_export", Arguments: args{"sql": sql, "format": format, "params": params}})
	if err != nil {
		t.Fatal(err)
	}
	summary = res.Content[0].(*mcp.TextContent).Text
	if res.IsError {
		return summary, "", false
	}
	switch c := res.Content[1].(type) {
	case *mcp.EmbeddedResource:
		return summary, c.Resource.Text, false
	case *mcp.ResourceLink:
		read, err := o.cs.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: c.URI})
		if err != nil {
			t.Fatal(err)
		}
		if got := read.Contents[0].MIMEType; got != c.MIMEType && got != "application/octet-stream" {
			t.Errorf("type %s, linked as %s", read.Contents[0].MIMEType, c.MIMEType)
		}
		return summary, read.Contents[0].Text, true
	}
	t.Fatalf("got %T", res.Content[1])
	return "", "", false
}

func (o *outbox) files(t testing.TB) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestExport(t *testing.T) {
	t.Parallel()
	db := gated(t, database(t), nil)
	o := newOutbox(t, db, nil)
	const sql = `SELECT 1 AS "id", NULL AS a, '' AS b, 'x"y,z' AS c, 9007199254740993 AS d, ARRAY['a', NULL] AS e, '=1+1' AS f`
	for format, want := range map[string]string{
		"csv":    "id,a,b,c,d,e,f\r\n1,,\"\",\"x\"\"y,z\",9007199254740993,\"{a,NULL}\",'=1+1\r\n",
		"json":   `[{"id":1,"a":null,"b":"","c":"x\"y,z","d":"9007199254740993","e":["a",null],"f":"=1+1"}]` + "\n",
		"ndjson": `{"id":1,"a":null,"b":"","c":"x\"y,z","d":"9007199254740993","e":["a",null],"f":"=1+1"}` + "\n",
	} {
		summary, text, linked := o.export(t, sql, format)
		if text != want || linked || !strings.HasPrefix(summary, "1 rows, ") || strings.Contains(summary, "1 cells") != (format == "csv") {
			t.Errorf("%s: got %s, %s", format, summary, text)
		}
	}
	summary, text, linked := o.export(t, "SELECT g, repeat('x', 10) AS x FROM generate_series(1, $1::int) AS g", "csv", 20_000)
	if lines := strings.Count(text, "\r\n"); lines != 20_001 || !linked || !strings.HasPrefix(summary, "20000 rows") || !strings.HasSuffix(text, "20000,xxxxxxxxxx\r\n") {
		t.Errorf("got %s, %d lines, linked %v", summary, lines, linked)
	}
	names := o.files(t)
	if len(names) != 1 || !regexp.MustCompile(`^export-[a-z2-7]{26}\.csv$`).MatchString(names[0]) {
		t.Fatalf("files %q", names)
	}
	if info, err := os.Stat(filepath.Join(o.dir, names[0])); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for _, n := range []int{0, 1, 499, 500, 501, 1000, 1001} { // around the slices
		summary, text, _ := o.export(t, "SELECT g FROM generate_series(1, $1::int) AS g", "ndjson", n)
		if strings.Count(text, "\n") != n || !strings.HasPrefix(summary, fmt.Sprint(n, " rows")) {
			t.Errorf("%d: got %s", n, summary)
		}
	}
	if _, text, _ := o.export(t, "SELECT g FROM generate_series(1, 0) AS g", "json"); text != "[]\n" {
		t.Errorf("got %s", text)
	}
}

// TestExportGate sends what pg_query would not take: the same gate is in the way.
func TestExportGate(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, gated(t, database(t), nil), nil)
	for _, sql := range []string{
		"DELETE FROM shop.orders", "SELECT 1; COMMIT", "COMMIT", "COPY shop.orders TO STDOUT", "SELECT pg_read_file('/etc/passwd')", "SELECT * FROM pg_authid",
		"SELECT pg_sleep(100)", "WITH d AS (DELETE FROM shop.orders RETURNING *) SELECT * FROM d", "SELECT set_config('transaction_read_only', 'off', false)",
		"COPY (SELECT 1) TO PROGRAM 'id'", "SELECT lo_export(1, '/tmp/x')", "EXPLAIN ANALYZE SELECT 1", "SELECT 1 INTO x", "SELECT query_to_xml('DELETE FROM shop.orders', true, true, '')",
		"DECLARE c CURSOR FOR SELECT 1", "FETCH ALL FROM c", "LOCK TABLE shop.orders", "SELECT * FROM shop.orders FOR UPDATE", "BEGIN", "ROLLBACK",
	} {
		if got, _, _ := o.export(t, sql, "csv"); !strings.Contains(got, "not allowed") && !strings.Contains(got, "more than one") {
			t.Errorf("%s: got %s", sql, got)
		}
	}
	for sql, want := range map[string]string{
		"SELECT 1 / (g - 900) FROM generate_series(1, 2000) AS g": "division by zero", "SELECT": "no columns", "SELECT nosuch": "SQLSTATE 42703", "SELECT 1 AS a, 2 AS a": "same name",
	} {
		if got, _, _ := o.export(t, sql, "json"); !strings.Contains(got, want) {
			t.Errorf("%s: got %s", sql, got)
		}
	}
	if names := o.files(t); len(names) != 0 {
		t.Errorf("left %q", names)
	}
}

// TestExportLimits runs into each limit. None leaves a file.
func TestExportLimits(t *testing.T) {
	t.Parallel()
	name := database(t)
	db := gated(t, name, func(o *pgtool.Options) { o.Timeout, o.MaxConns = 2*time.Second, 1 })
	conn := postgres.Admin(t, name)
	o := newOutbox(t, db, func(f *pgtool.FileOptions) { f.MaxRows, f.MaxBytes, f.MaxFiles = 2_000, 200_000, 2 })
	const series = "SELECT g, repeat('x', 100) AS x FROM generate_series(1, $1::int) AS g"
	for _, test := range []struct {
		sql  string
		n    int
		want string
	}{
		{"SELECT g FROM generate_series(1, $1::int) AS g", 2000, "2000 rows"},
		{"SELECT g FROM generate_series(1, $1::int) AS g", 2001, "more than 2000 rows"},
		{"SELECT generate_series(1, $1::int)", 1_000_000_000, "more than 2000 rows"},
		{series, 2000, "more than 200000 bytes"},
		{"SELECT string_agg(repeat('x', 1000), '') FROM generate_series(1, $1::int) AS g", 1_000, "more than 200000 bytes"},
		{"SELECT string_agg(repeat('x', 1000), '') FROM generate_series(1, $1::int) AS g", 100_000, "hold more than 32 MB"},
		{"SELECT $1::int" + strings.Repeat(", repeat('x', 9999)", 950), 1, "too large"},
		{"SELECT count(*) FROM generate_series(1, $1::int) AS g, generate_series(1, 1000000) AS h", 1_000_000, "took longer than allowed"},
		{"SELECT g, (SELECT count(*) FROM generate_series(1, 400000 + g)) AS n FROM generate_series(1, $1::int) AS g", 2000, "took longer than allowed"},
	} {
		if got, _, _ := o.export(t, test.sql, "csv", test.n); !strings.Contains(got, test.want) {
			t.Errorf("%s: got %s, want %s", test.sql, got, test.want)
		}
	}
	if names := o.files(t); len(names) != 0 {
		t.Errorf("left %q", names)
	}
	for range 2 {
		if got, _, linked := o.export(t, series, "csv", 1000); !linked {
			t.Errorf("got %s", got)
		}
	}
	if got, _, _ := o.export(t, series, "csv", 1000); !strings.Contains(got, "is full") || len(o.files(t)) != 2 {
		t.Errorf("got %s, %q", got, o.files(t))
	}
	until(t, conn, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = 'mcp_reader' AND state <> 'idle')")
}

// TestExportTimeout has a statement whose slices are each in time.
func TestExportTimeout(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, open(t, database(t), func(o *pgtool.Options) { o.Timeout = time.Second }), nil)
	if got, _, _ := o.export(t, "SELECT g, pg_sleep(0.001) FROM generate_series(1, 4000) AS g", "csv"); !strings.Contains(got, "took longer than allowed") {
		t.Errorf("got %s", got)
	}
}

// TestExportWithoutFiles has all exports in answers.
func TestExportWithoutFiles(t *testing.T) {
	t.Parallel()
	db := gated(t, database(t), func(o *pgtool.Options) { o.MaxBytes = 4 << 10 })
	cs, _ := serve(t, func(s *mcpsec.Server) { s.Add(pgtool.ExportTool(db, pgtool.FileOptions{})) })
	o := &outbox{cs: cs}
	if got, text, _ := o.export(t, "SELECT repeat('x', 4000) AS x", "csv"); !strings.HasPrefix(got, "1 rows") || len(text) != 4005 {
		t.Errorf("got %s", got)
	}
	if got, _, _ := o.export(t, "SELECT repeat('x', 4100) AS x", "csv"); !strings.Contains(got, "more than 4096 bytes") {
		t.Errorf("got %s", got)
	}
}

// TestExportSession looks at what an export leaves in the session, also if it
// failed or was given up.
func TestExportSession(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	db := open(t, name, func(o *pgtool.Options) { o.MaxConns, o.Timeout = 1, long })
	o := newOutbox(t, db, nil)
	for _, sql := range []string{
		"SELECT set_config('work_mem', '1GB', false), set_config('transaction_read_only', 'off', true)", "SELECT pg_advisory_lock(1)", "SELECT 1 / 0", "SELECT g FROM generate_series(1, 3000) g",
	} {
		o.export(t, sql, "ndjson")
		if got := row(t, db, "SELECT current_setting('work_mem'), current_setting('default_transaction_read_only'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"); got != `["16MB","on","0"]` {
			t.Errorf("%s: left %s", sql, got)
		}
	}
	o.export(t, "SELECT set_config('my.x', 'y', false)", "csv")
	if got := row(t, db, "SELECT current_setting('my.x', true)"); got != `[null]` {
		t.Errorf("left the name of a setting: %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = o.cs.CallTool(ctx, &mcp.CallToolParams{Name: "pg_export", Arguments: args{"sql": "SELECT g, repeat('x', 1000), pg_sleep(0.001) FROM generate_series(1, 900000) g", "format": "ndjson", "params": []any{}}})
	}()
	until(t, conn, running, "SELECT g, repeat%")
	for len(o.files(t)) == 0 {
		until(t, conn, "SELECT true")
	}
	if name := o.files(t)[0]; !strings.HasPrefix(name, ".export-") {
		t.Errorf("an incomplete export is called %s", name)
	}
	cancel()
	<-done
	until(t, conn, gone, "SELECT g, repeat%")
	for deadline := time.Now().Add(10 * time.Second); len(o.files(t)) > 0 && time.Now().Before(deadline); {
		until(t, conn, "SELECT true")
	}
	if names := o.files(t); len(names) > 0 {
		t.Errorf("left %q", names)
	}
	row(t, db, "SELECT 1")
}

// TestExportToAClientThatDoesNotRead has a client that asks for progress and then
// reads nothing: the server must not keep the transaction for it.
func TestExportToAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	db := gated(t, name, func(o *pgtool.Options) { o.Timeout = time.Second })
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: mcpsec.NewAuditLog(&mcptest.Buffer{}), Limits: mcpsec.Limits{CallsPerSecond: 1e6}})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(pgtool.ExportTool(db, pgtool.FileOptions{}))
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	go srv.ServeStream(ctx, theirs, theirs)
	t.Cleanup(func() { ours.Close() })
	send := func(s string) {
		if _, err := ours.Write([]byte(s + "\n")); err != nil {
			t.Error(err)
		}
	}
	send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	if _, err := ours.Read(make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"pg_export","arguments":{"sql":"SELECT g FROM generate_series(1, 5000) g","format":"csv","params":[]},"_meta":{"progressToken":"p"}}}`)
	until(t, conn, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = 'mcp_reader' AND state = 'idle in transaction')")
	until(t, conn, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = 'mcp_reader' AND state <> 'idle')")
}

// TestExportMemory exports more than the process may keep.
func TestExportMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it exports 200 MB")
	}
	db := gated(t, database(t), func(o *pgtool.Options) { o.Timeout = long })
	o := newOutbox(t, db, func(f *pgtool.FileOptions) { f.MaxBytes, f.MaxRows = 1<<30, 1_000_000 })
	peak, stop := make(chan uint64), make(chan struct{})
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	base := m.Sys - m.HeapReleased
	go func() {
		most := uint64(0)
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(20 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.Sys-m.HeapReleased)
			}
		}
	}()
	res, err := o.cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "pg_export", Arguments: args{"sql": "SELECT g, repeat('x', 1000) AS x FROM generate_series(1, 200000) AS g", "format": "json", "params": []any{}}})
	if err != nil || res.IsError {
		t.Fatal(err, res)
	}
	close(stop)
	grown := int64(<-peak) - int64(base)
	t.Logf("grew by %d KB", grown>>10)
	if grown > 64<<20 {
		t.Errorf("grew by %d bytes", grown)
	}
	if info, err := os.Stat(filepath.Join(o.dir, o.files(t)[0])); err != nil || info.Size() < 200_000_000 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestExportCut ends the session, and stops the server, in the middle of an export.
func TestExportCut(t *testing.T) {
	t.Parallel()
	postgres.Server(t) // skips where there is none
	s, err := pgserver.Start(t.Context(), pgserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.CreateDatabase(t.Context(), "cuts", ""); err != nil {
		t.Fatal(err)
	}
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), s.URL("cuts", ""))
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conn := connect()
	pgtest.Exec(t, conn, pgtool.SetupSQL(pgtool.SetupOptions{Database: "cuts"}))
	pgtest.Exec(t, conn, "ALTER ROLE mcp_reader PASSWORD '"+s.Password()+"'")
	db, err := pgtool.Open(t.Context(), pgtool.Options{URL: redact.NewSecret(s.URL("cuts", "mcp_reader")), Timeout: long, Waive: []mcpsec.Waiver{anySQL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	o := newOutbox(t, db, nil)
	for what, do := range map[string]func(){
		"terminate": func() {
			pgtest.Exec(t, conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mcp_reader'")
		},
		"restart": func() {
			if err := s.Restart(t.Context()); err != nil {
				t.Error(err)
			}
			conn = connect()
		},
	} {
		got := make(chan string, 1)
		go func() {
			text, _, _ := o.export(t, "SELECT g, repeat('x', 1000), pg_sleep(0.001) FROM generate_series(1, 900000) g", "csv")
			got <- text
		}()
		for len(o.files(t)) == 0 {
			until(t, conn, "SELECT true")
		}
		do()
		if text := <-got; !strings.Contains(text, "SQLSTATE 57P01") && !strings.Contains(text, "cannot be reached") {
			t.Errorf("%s: got %s", what, text)
		}
		if names := o.files(t); len(names) != 0 {
			t.Errorf("%s: left %q", what, names)
		}
	}
	if text, _, _ := o.export(t, "SELECT 1 AS a", "csv"); !strings.HasPrefix(text, "1 rows") {
		t.Errorf("got %s", text)
	}
	conn.Close(t.Context())
}

// TestExportReadOnly exports the result of a function that writes, as if the gate
// had let it through.
func TestExportReadOnly(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	pgtest.Exec(t, conn, "CREATE TABLE shop.written (n int); CREATE FUNCTION shop.spoil() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO shop.written VALUES (1) RETURNING 1'")
	o := newOutbox(t, open(t, name, nil), nil)
	if got, _, _ := o.export(t, "SELECT shop.spoil()", "csv"); !strings.Contains(got, "SQLSTATE 25006") {
		t.Errorf("got %s", got)
	}
	if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM shop.written"); n != 0 {
		t.Errorf("%d rows", n)
	}
}
