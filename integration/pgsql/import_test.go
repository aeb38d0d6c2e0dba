package pgsql

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// importer opens the ledger with pg_import, and a directory to import from.
func importer(t testing.TB, more string, p *person, change func(*pgtool.FileOptions)) (*mcp.ClientSession, *pgx.Conn, string) {
	t.Helper()
	w, conn := writer(t, more, nil)
	cs, dir := importClient(t, w, p, change)
	return cs, conn, dir
}

func importClient(t testing.TB, w *pgtool.Writer, p *person, change func(*pgtool.FileOptions)) (*mcp.ClientSession, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	o := pgtool.FileOptions{Root: root}
	if change != nil {
		change(&o)
	}
	cs, _ := writeClient(t, []*mcpsec.Tool{pgtool.ImportTool(w, o)}, p)
	return cs, dir
}

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func data(table, format, text string) args {
	return args{"table": table, "format": format, "data": text}
}

func TestImport(t *testing.T) {
	t.Parallel()
	p := &person{}
	cs, conn, dir := importer(t, "", p, nil)
	const csv = "\uFEFFid,status,total,tags,meta\r\n500,\"a,\"\"b\"\"\r\n\",,\"{x,\"\"y z\"\"}\",\"{\"\"k\"\": 1}\"\n501,\"\",1.50,,\n502,\\.,-0,,null"
	wants(t, cs, "pg_import", data("w.orders", "csv", csv), `"affected":3`, `"in_all":"w.orders 3 inserted"`)
	if want := "imports 3 rows into w.orders (id, status, total, tags, meta) from the call, SHA-256 "; !strings.Contains(p.last(), want) || !strings.Contains(p.last(), "in all: w.orders 3 inserted") {
		t.Errorf("asked %s", p.last())
	}
	const orders = `SELECT string_agg(json_build_array(id, status, total, tags, meta)::text, ' ' ORDER BY id) FROM w.orders WHERE id BETWEEN $1::int AND $1::int + 9`
	if got, want := pgtest.Ask[string](t, conn, orders, 500), `[500, "a,\"b\"\r\n", null, ["x","y z"], {"k": 1}] [501, "", 1.50, null, null] [502, "\\.", 0.00, null, null]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	wants(t, cs, "pg_import", data("w.orders", "json", `[{"id": "510", "status": "x", "tags": ["a", null], "meta": {"n": 1e400}}, {"meta": null, "tags": [], "status": "y", "id": 511}]`), `"affected":2`)
	if got, want := pgtest.Ask[string](t, conn, orders, 510), `[510, "x", null, ["a",null], {"n": 1`+strings.Repeat("0", 400)+`}] [511, "y", null, [], null]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	put(t, dir, "more.jsonl", "{\"id\": 520, \"status\": \"x\"}\n{\"status\": \"y\", \"id\": 521}\n")
	wants(t, cs, "pg_import", args{"table": "w.orders", "format": "ndjson", "file": "more.jsonl"}, `"affected":2`)
	if !strings.Contains(p.last(), `from the file "more.jsonl", SHA-256`) {
		t.Errorf("asked %s", p.last())
	}
	var b strings.Builder
	b.WriteString("order_id,name\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "%d,item %d\n", i%20+1, i)
	}
	put(t, dir, "many.csv", b.String())
	wants(t, cs, "pg_import", args{"table": "w.items", "format": "csv", "file": "many.csv"}, `"affected":10000`)
	if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.items WHERE name = 'item ' || (substr(name, 6)) AND order_id = substr(name, 6)::int % 20 + 1 AND id > 60"); n != 10_000 {
		t.Errorf("%d rows", n)
	}
	p.no = true
	before := hash(t, conn)
	wants(t, cs, "pg_import", data("w.orders", "json", `[{"status": "x"}]`), "not")
	if hash(t, conn) != before {
		t.Error("a no was no no")
	}
}

// hostileImports are refused, and say which row is at fault.
var hostileImports = []struct{ table, format, data, want string }{
	{"w.other", "csv", "id\n1\n", "not allowed for this table"},
	{"w.nosuch", "csv", "id\n1\n", "not allowed for this table"},
	{"w.orders; DROP TABLE w.other", "csv", "id\n1\n", "not allowed for this table"},
	{"pg_catalog.pg_class", "csv", "relname\nx\n", "not allowed for this table"},
	{"w.orders", "csv", "status,hidden\nx,y\n", "column is not allowed"},
	{"w.orders", "csv", "status,nosuch\nx,y\n", "column is not allowed"},
	{"w.orders", "csv", "status,version\nx,1\n", "column is not allowed"},
	{"w.orders", "csv", "status,\"id) VALUES (1); DROP TABLE w.other; --\"\nx,1\n", "column is not allowed"},
	{"w.orders", "csv", "STATUS\nx\n", "column is not allowed"},
	{"w.orders", "csv", " status\nx\n", "column is not allowed"},
	{"w.orders", "csv", "\uFEFF\uFEFFstatus\nx\n", "column is not allowed"},
	{"w.orders", "csv", "s\u200btatus\nx\n", "column is not allowed"},
	{"w.orders", "csv", "ctid,status\nx,y\n", "column is not allowed"},
	{"w.orders", "csv", "status,status\nx,y\n", "one twice"},
	{"w.orders", "csv", "status,\nx,y\n", "empty one"},
	{"w.orders", "csv", "", "line of names"},
	{"w.orders", "csv", "\n", "line of names"},
	{"w.orders", "csv", "status\n", "no rows"},
	{"w.orders", "csv", "status,total\nx\n", "row 1: has 1 cells"},
	{"w.orders", "csv", "status,total\nx,1\nx,1,2\n", "row 2: has more than 2 cells"},
	{"w.orders", "csv", "status,total\nx,1\n\n", "row 2: has 1 cells"},
	{"w.orders", "csv", "status\n\"x\n", "row 1: a quote"},
	{"w.orders", "csv", "status\n\"x\"y\n", "row 1: a quote"},
	{"w.orders", "csv", "status\nx\"y\n", "row 1: a quote"},
	{"w.orders", "csv", "status\rx\r", "a quote"},
	{"w.orders", "csv", "status\nx\ry\n", "row 1: a quote"},
	{"w.orders", "csv", "status\nx\x00y\n", "zero byte"},
	{"w.orders", "csv", "status\n\xff\n", "not valid UTF-8"},
	{"w.orders", "csv", "status\n\xed\xa0\x80\n", "not valid UTF-8"},
	{"w.orders", "csv", "status\n\xc0\xaf\n", "not valid UTF-8"},
	{"w.orders", "csv", "\xff\xfes\x00t\x00", "not valid UTF-8"},
	{"w.orders", "csv", strings.Repeat("a,", 2000) + "a\n", "more than 1600 cells"},
	{"w.orders", "csv", "status\n\n", "row 1: a column needs a value (SQLSTATE 23502)"},
	{"w.orders", "csv", "status,total\nx,1\nCANARY,CANARY\n", "row 2: a value cannot be read as the type of its column (SQLSTATE 22P02)"},
	{"w.orders", "csv", "status,total\nx,1" + strings.Repeat("0", 11) + "\n", "row 1: a number is out of range"},
	{"w.orders", "csv", "status,tags\nx,{a\n", "row 1: a value cannot be read"},
	{"w.orders", "csv", "status,meta\nx,{a\n", "row 1: a value cannot be read"},
	{"w.orders", "csv", "status,at\nx,2020-13-45\n", "row 1: a date or time is out of range"},
	{"w.orders", "csv", "status,at\nx,2020-01-01T10:00:00.1234567Z\n", "row 1: the value for column \"at\" must have at most six digits"},
	{"w.orders", "csv", "status\n" + strings.Repeat("ok\n", 150) + "bad\n", "row 151: a value breaks a rule of the table"},
	{"w.orders", "csv", "id,status\n900,x\n900,y\n", "row 2: there is a row with the same key"},
	{"w.orders", "csv", "id,status\n1,x\n", "row 1: there is a row with the same key"},
	{"w.items", "csv", "order_id,name\n1,x\n77777,y\n", "SQLSTATE 23503"},
	{"w.orders", "csv", "status\n" + strings.Repeat("x\n", 10_001), "more than 10000 rows"},
	{"w.orders", "json", "", "list of objects"},
	{"w.orders", "json", "{}", "list of objects"},
	{"w.orders", "json", "[]", "no rows"},
	{"w.orders", "json", "[{}]", "row 1: has no columns"},
	{"w.orders", "json", `["x"]`, "row 1: must be a JSON object"},
	{"w.orders", "json", `[["x"]]`, "row 1: must be a JSON object"},
	{"w.orders", "json", `[{"status": "x"}`, "row 2: must be"},
	{"w.orders", "json", `[{"status": "x"}] [1]`, "more after the list"},
	{"w.orders", "json", `[{"status": "x", "status": "y"}]`, "no name occurs twice"},
	{"w.orders", "json", `[{"status": "x", "stat\u0075s": "y"}]`, "no name occurs twice"},
	{"w.orders", "json", `[{"status": "x"}, {"status": "y", "total": 1}]`, "row 2: has other columns"},
	{"w.orders", "json", `[{"status": "x", "total": 1}, {"status": "y", "id": 1}]`, "row 2: has other columns"},
	{"w.orders", "json", `[{"status": 5}]`, "row 1: the value for column \"status\" must be a string"},
	{"w.orders", "json", `[{"status": "x\u0000"}]`, "U+0000"},
	{"w.orders", "json", `[{"status": "\ud800"}]`, "must be a JSON object"},
	{"w.orders", "json", `[{"status": "x", "total": true}]`, "must be a number"},
	{"w.orders", "json", `[{"status": "x", "total": NaN}]`, "must be a JSON object"},
	{"w.orders", "json", `[{"status": "x", "total": 1e400000}]`, "row 1: "},
	{"w.orders", "json", `[{"status": "x", "tags": "{a}"}]`, "must be an array"},
	{"w.orders", "json", `[{"status": "x", "meta": {"a": 1, "a": 2}}]`, "row 1: "},
	{"w.orders", "json", `[{"status": "x", "meta": ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}]`, "nests deeper"},
	{"w.orders", "json", `[{"status": "x", "meta": ` + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + `}]`, "row 1"},
	{"w.orders", "json", strings.Repeat("[", 100_000), "row 1: must be"},
	{"w.orders", "json", `[{"status": "x", "tags": [[[[[[[["a"]]]]]]]]}]`, "6 dimensions"},
	{"w.orders", "json", `[{"status": "x"},]`, "row 2: must be"},
	{"w.orders", "json", `[/* */{"status": "x"}]`, "row 1: must be"},
	{"w.orders", "ndjson", "{\"status\": \"x\"} {\"status\": \"y\"}\n", "row 1: a line must be one object"},
	{"w.orders", "ndjson", "{\"status\": \"x\"}\n\n{\"status\": \"y\"}\n", "row 2: must be"},
	{"w.orders", "ndjson", "{\"status\":\n\"x\"}\n", "row 1: must be"},
	{"w.orders", "xml", "<a/>", "format"},
}

// TestImportDenied has texts that are at fault. Nothing is changed, nobody asked, and
// no answer quotes a value.
func TestImportDenied(t *testing.T) {
	t.Parallel()
	p := &person{}
	cs, conn, dir := importer(t, "ALTER TABLE w.items ALTER CONSTRAINT items_order_id_fkey DEFERRABLE INITIALLY DEFERRED", p, nil)
	before := hash(t, conn)
	for i, test := range hostileImports {
		a := data(test.table, test.format, test.data)
		if i%2 == 1 && test.data != "" || len(test.data) > 100_000 {
			put(t, dir, "x.txt", test.data)
			a = args{"table": test.table, "format": test.format, "file": "x.txt"}
		}
		if strings.ToValidUTF8(test.data, "") != test.data {
			put(t, dir, "x.txt", test.data) // which JSON cannot carry
			a = args{"table": test.table, "format": test.format, "file": "x.txt"}
		}
		got := tell(t, cs, "pg_import", a)
		if !strings.Contains(got, test.want) || strings.Contains(got, "CANARY") {
			t.Errorf("%s %.60q:\n got %s\nwant %s", test.format, test.data, got, test.want)
		}
	}
	if p.count() > 0 {
		t.Errorf("asked: %s", p.last())
	}
	if hash(t, conn) != before {
		t.Error("something was changed")
	}
	t.Logf("%d texts", len(hostileImports))
}

// TestImportFiles asks for files that it must not have.
func TestImportFiles(t *testing.T) {
	t.Parallel()
	cs, _, dir := importer(t, "", &person{}, func(o *pgtool.FileOptions) { o.MaxBytes = 100 })
	outside := t.TempDir()
	put(t, outside, "secret.csv", "status\nCANARY-9f1c\n")
	put(t, dir, ".hidden.csv", "status\nx\n")
	put(t, dir, "large.csv", "status\n"+strings.Repeat("x\n", 100))
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, dir, filepath.Join("sub", "in.csv"), "status\nx\n")
	for link, to := range map[string]string{"link.csv": filepath.Join(outside, "secret.csv"), "up": "..", "loop": "loop", "inside.csv": ".hidden.csv"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	const none = "there is no such file"
	for name, want := range map[string]string{
		"nosuch.csv": none, "link.csv": none, "inside.csv": none, "loop": none, "up": none, "sub": none, "sub/in.csv": none, ".hidden.csv": none, "..": none, ".": none,
		"../" + filepath.Base(outside) + "/secret.csv": none, filepath.Join(outside, "secret.csv"): none, "/etc/passwd": none, `..\x`: none, "a\x00b": none,
		"up/x": none, "C:x.csv": none, "CON": none, "x.csv:stream": none, "a..b": none, "large.csv ": none, "large.csv.": none, "LARGE~1.CSV": none, "-": none, "~": none,
		"%2e%2e": none, "large.csv/": none, "./large.csv": none, "large.csv": "more than 100 bytes", strings.Repeat("a", 150): none, "\u202elarge.csv": none, "file:///etc/passwd": none,
	} {
		if got := tell(t, cs, "pg_import", args{"table": "w.orders", "format": "csv", "file": name}); !strings.Contains(got, want) || strings.Contains(got, "CANARY") {
			t.Errorf("%q: got %s", name, got)
		}
	}
	wants(t, cs, "pg_import", args{"table": "w.orders", "format": "csv", "file": "large.csv", "data": "status\nx\n"}, "not both")
	wants(t, cs, "pg_import", data("w.orders", "csv", "status\n"+strings.Repeat("x\n", 100)), "more than 100 bytes")
}

// TestImportChanged changes the file between the question and the answer.
func TestImportChanged(t *testing.T) {
	t.Parallel()
	p := &person{}
	cs, conn, dir := importer(t, "", p, nil)
	put(t, dir, "x.csv", "status\nshown\n")
	p.before = func() {
		p.before = nil
		put(t, dir, "x.csv", "status\nother\n")
	}
	tell(t, cs, "pg_import", args{"table": "w.orders", "format": "csv", "file": "x.csv"})
	if p.count() != 2 || p.asked[0] == p.asked[1] {
		t.Errorf("asked %q", p.asked)
	}
	if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE status = 'shown'"); n != 0 {
		t.Error("what is gone was imported")
	}
}

// TestImportCounts counts what triggers do.
func TestImportCounts(t *testing.T) {
	t.Parallel()
	p := &person{}
	cs, conn, _ := importer(t, `CREATE FUNCTION w.copy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
		INSERT INTO w.other SELECT 1 FROM generate_series(1, 3); IF NEW.status = 'skip' THEN RETURN NULL; END IF; RETURN NEW; END$$;
		CREATE TRIGGER copy BEFORE INSERT ON w.orders FOR EACH ROW EXECUTE FUNCTION w.copy()`, p, func(o *pgtool.FileOptions) { o.MaxRows = 10 })
	wants(t, cs, "pg_import", data("w.orders", "csv", "status\nx\nskip\n"), `"affected":1`, `w.other 6 inserted`)
	if !strings.Contains(p.last(), "rows affected: 1; in all: w.orders 1 inserted; w.other 6 inserted") {
		t.Errorf("asked %s", p.last())
	}
	before := hash(t, conn)
	wants(t, cs, "pg_import", data("w.orders", "csv", "status\nx\nx\nx\n"), "more than 10 rows", "nothing was changed")
	if hash(t, conn) != before {
		t.Error("something was changed")
	}
}

// TestImportCut cuts the connection at each step of an import.
func TestImportCut(t *testing.T) {
	t.Parallel()
	w, conn, cut := cutWriter(t, "", nil)
	cs, _ := importClient(t, w, &person{}, nil)
	const unchanged, done = "nothing was changed", `"affected":3`
	for i, test := range []struct {
		at            string
		after, closed bool
		want          string
		rows          int
	}{
		{"BEGIN", false, false, unchanged, 0},
		{"INSERT", false, false, unchanged, 0},
		{"SET CONSTRAINTS", false, false, unchanged, 0},
		{"COMMIT", false, false, unchanged, 0},
		{"COMMIT", true, false, done, 3},
		{"COMMIT", false, true, "whether it took effect is not known", 0},
		{"COMMIT", true, true, "whether it took effect is not known", 3},
	} {
		cut.set(test.at, test.after, test.closed)
		status := "cut" + itoa(i)
		text := tell(t, cs, "pg_import", data("w.orders", "csv", strings.ReplaceAll("status\nX\nX\nX\n", "X", status)))
		wantsTruth(t, text, test.want, unchanged, done, test.closed, test.rows > 0)
		if cut.cuts.Load() != 1 {
			t.Errorf("%+v: was not cut", test)
		}
		cut.set("", false, false)
		until(t, conn, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = current_database() AND state <> 'idle')")
		if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE status = $1", status); n != test.rows {
			t.Errorf("%+v: %d rows", test, n)
		}
	}
	wants(t, cs, "pg_import", data("w.orders", "csv", "status\na\nb\nc\n"), done)
}

// TestImportLimits runs into time limits, locks and errors, also of what waits for
// COMMIT, and ends the session meanwhile.
func TestImportLimits(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, hurdles, func(o *pgtool.WriteOptions) { o.Timeout = 500 * time.Millisecond })
	cs, _ := importClient(t, w, &person{}, nil)
	before := hash(t, conn)
	rows := func(status string) args { return data("w.orders", "csv", "status\nok\n"+status+"\n") }
	wants(t, cs, "pg_import", rows("wait"), "row 2: ", "SQLSTATE 57014", "nothing was changed")
	wants(t, cs, "pg_import", rows("slow"), "SQLSTATE 57014", "nothing was changed")
	wants(t, cs, "pg_import", rows("fail"), "SQLSTATE 22012", "nothing was changed")
	pgtest.Exec(t, conn, "BEGIN; INSERT INTO w.orders (id, status) VALUES (700, 'x')")
	wants(t, cs, "pg_import", data("w.orders", "csv", "id,status\n700,x\n"), "SQLSTATE 5", "nothing was changed")
	pgtest.Exec(t, conn, "ROLLBACK")
	if hash(t, conn) != before {
		t.Error("something was changed")
	}
	wants(t, cs, "pg_import", rows("fine"), `"affected":2`)
}

func TestImportTerminated(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, hurdles, func(o *pgtool.WriteOptions) { o.Timeout = long })
	cs, _ := importClient(t, w, &person{}, nil)
	for _, status := range []string{"wait", "slow"} {
		got := make(chan string, 1)
		go func() { got <- tell(t, cs, "pg_import", data("w.orders", "csv", "status\nok\n"+status+"\n")) }()
		until(t, conn, running, inState(status))
		until(t, conn, "SELECT coalesce(bool_or(pg_terminate_backend(pid)), false) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '"+inState(status)+"' AND state = 'active' AND pid <> pg_backend_pid()")
		if text := <-got; !strings.Contains(text, "nothing was changed") {
			t.Errorf("%s: got %s", status, text)
		}
	}
	if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE status IN ('ok', 'wait', 'slow')"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// TestRoundTrip exports values of every type and imports them again: the server says
// whether they are the same.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	name := postgres.Database(t, "")
	conn := postgres.Admin(t, name)
	types := pgtest.Ask[[]string](t, conn, `SELECT array_agg(format_type(oid, NULL) ORDER BY oid) FROM pg_type t
		WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typname !~ '^(_?pg_|_?reg|_?aclitem|_?cid$|_?xid|_?gtsvector|_?refcursor|_?txid_snapshot|int2vector|oidvector|_int2vector|_oidvector|_?cstring)'`)
	columns := make([]string, len(types))
	list := make([]string, len(types))
	for i, typ := range types {
		list[i] = "c" + itoa(i)
		columns[i] = list[i] + " " + typ
	}
	pgtest.Exec(t, conn, "SET timezone = 'UTC'; SET intervalstyle = iso_8601; CREATE SCHEMA w; CREATE TYPE w.mood AS ENUM ('sad', 'a b'); CREATE DOMAIN w.short AS varchar(5); CREATE TYPE w.pair AS (a int, b text)")
	columns = append(columns, "d0 w.mood", "d1 w.short", "d2 w.pair", "d3 w.mood[]", "d4 numeric(20,5)", "d5 varchar(20)[]", "d6 char(4)")
	list = append(list, "d0", "d1", "d2", "d3", "d4", "d5", "d6")
	for _, table := range []string{"a", "b"} {
		pgtest.Exec(t, conn, "CREATE TABLE w."+table+" (id int PRIMARY KEY, "+strings.Join(columns, ", ")+")")
	}
	everyValue(t, conn)
	t.Logf("%d columns, %d rows", len(list), pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.a"))
	tables := []pgtool.Table{{Schema: "w", Name: "b", Insert: append([]string{"id"}, list...)}}
	pgtest.Exec(t, conn, pgtool.SetupSQL(pgtool.SetupOptions{Database: name, Role: name, Tables: tables}))
	pgtest.Exec(t, conn, "ALTER ROLE "+name+" PASSWORD '"+postgres.Server(t).Password()+"'; GRANT USAGE ON SCHEMA w TO "+reader+"; GRANT SELECT ON w.a TO "+reader)
	dropRole(t, conn, name)
	o := pgtool.WriteOptions{Tables: tables}
	o.URL = redact.NewSecret(postgres.Server(t).URL(name, name))
	w := openWriter(t, o)
	for _, format := range []string{"csv", "json", "ndjson"} {
		out := newOutbox(t, open(t, name, nil), func(f *pgtool.FileOptions) { f.RawCells = true })
		cs, dir := importClient(t, w, &person{}, nil)
		if summary, _, linked := out.export(t, "TABLE w.a", format); !linked {
			t.Fatal(summary)
		}
		text, err := os.ReadFile(filepath.Join(out.dir, out.files(t)[0]))
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, "x", string(text))
		pgtest.Exec(t, conn, "TRUNCATE w.b")
		wants(t, cs, "pg_import", args{"table": "w.b", "format": format, "file": "x"}, `"affected":`)
		for _, c := range append([]string{"id"}, list...) {
			differ := "FROM w.a FULL JOIN w.b USING (id) WHERE a." + c + "::text IS DISTINCT FROM b." + c + "::text"
			if format != "csv" { // which alone tells NULL from a json null, has bounds of arrays, and dimensions of arrays of json
				differ += " AND a." + c + "::text <> 'null' AND a." + c + "::text !~ '^\\[\\d:\\d\\]=' AND NOT (a." + c + "::text ~ '^{{' AND pg_typeof(a." + c + ")::text ~ '^json')"
			}
			if n := pgtest.Ask[int](t, conn, "SELECT count(*) "+differ); n != 0 {
				t.Errorf("%s: %d values of column %s (%s) differ: %s", format, n, c, typeOf(t, conn, c),
					pgtest.Ask[string](t, conn, "SELECT concat(left(a."+c+"::text, 60), ' => ', left(b."+c+"::text, 60)) "+differ+" LIMIT 1"))
			}
		}
	}
}

// everyValue puts the values into w.a that each type takes of a list of texts.
func everyValue(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	texts := []string{
		"", " ", "a", "NULL", "null", `\N`, `\.`, `"`, "'", ",", "a,b", "a\"b", "a\nb", "a\r\nb", "\r", "\t", `a\b`, `\\`, "=1+1", "-1", "+1", "@x", "'=x", "é", "\u202e", "\U0001F600", "\uFEFF", "\x01", "\x7f",
		"0", "1", "-0", "1.5", "1e10", "NaN", "Infinity", "-Infinity", "9223372036854775807", "-9223372036854775808", "12345678901234567890.123456789", "1e-300", "3.4028235e+38", "0.1", "t", "f",
		"2020-02-29", "0044-03-15 BC", "infinity", "-infinity", "24:00:00", "12:00:00.123456", "12:00:00+05:30", "2020-01-01 12:00:00.5+00", "10000-01-01", "1900-01-01 00:00:00+00:19:32",
		"P1Y2M3DT4H5M6.7S", "-1 day", "{}", "{1,2}", "{NULL}", `{"a b","NULL",NULL}`, "{{1,2},{3,4}}", "[0:1]={1,2}", `{"{\"a\": 1}"}`, `\x00ff`, `\x`, `{"a": [1, null], "b": {"c": "\u0041"}}`, "[]", `"x"`, "12.00",
		"1.2.3.4", "::1/64", "192.168.0.0/16", "08:00:2b:01:02:03", "08:00:2b:01:02:03:04:05", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "101", "empty", "[1,5)", "(,)", "[2020-01-01,2020-02-01)", "{[1,2),[5,6)}", "(1,2)", "[(0,0),(1,1)]", "((0,0),(1,1))", "<(1,2),3>", "{1,2,3}",
		"<a>x</a>", "a & b", "'a':1A 'b':2", "$.a[*]", "(1,x)", `(1,"a b")`, "(,)", "sad", "a b", "$1.00", "16/B374D848", strings.Repeat("x", 20_000), // which makes it a file, that no masking has touched
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO w.a (id) SELECT generate_series(1, $1::int)", len(texts)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE w.texts AS SELECT * FROM unnest($1::text[]) WITH ORDINALITY AS x(text, id)", texts); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, conn, `DO $$DECLARE x record; c record; same bool; BEGIN
		FOR x IN SELECT * FROM w.texts LOOP
			FOR c IN SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 'w.a'::regclass AND attnum > 1 LOOP
				BEGIN
					EXECUTE format('UPDATE w.a SET %I = $1::%s WHERE id = $2', c.attname, c.type) USING x.text, x.id;
					EXECUTE format('SELECT %I::text::%s::text = %I::text FROM w.a WHERE id = $1', c.attname, c.type, c.attname) INTO same USING x.id;
					IF NOT same THEN RAISE 'the server does not read what it writes'; END IF;
				EXCEPTION WHEN OTHERS THEN NULL;
				END;
			END LOOP;
		END LOOP;
	END$$`)
}

func typeOf(t *testing.T, conn *pgx.Conn, column string) string {
	t.Helper()
	return pgtest.Ask[string](t, conn, "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'w.a'::regclass AND attname = $1", column)
}

// TestImportTenants has a policy for rows that may be inserted, which COPY would
// not take.
func TestImportTenants(t *testing.T) {
	t.Parallel()
	cs, conn, _ := importer(t, "ALTER TABLE w.orders ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON w.orders WITH CHECK (status <> 'foreign')", &person{}, nil)
	wants(t, cs, "pg_import", data("w.orders", "csv", "status\nmine\nforeign\n"), "row 2: permission denied, or a row that row security does not allow", "nothing was changed")
	wants(t, cs, "pg_import", data("w.orders", "csv", "status\nmine\nmine\n"), `"affected":2`)
	if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE status IN ('mine', 'foreign')"); n != 2 {
		t.Errorf("%d rows", n)
	}
}

// TestCopyProgress asks for progress.
func TestCopyProgress(t *testing.T) {
	t.Parallel()
	w, _ := writer(t, "", nil)
	var mu sync.Mutex
	var told []float64
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: mcpsec.NewAuditLog(&mcptest.Buffer{}), Limits: mcpsec.Limits{CallsPerSecond: 1e6}, Mode: mcpsec.Destroy, Log: slog.DiscardHandler})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(pgtool.ImportTool(w, pgtool.FileOptions{}), pgtool.ExportTool(gated(t, database(t), nil), pgtool.FileOptions{}))
	ours, theirs := net.Pipe()
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	cs, err := mcp.NewClient(impl, &mcp.ClientOptions{
		ElicitationHandler: (&person{}).answer,
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, r.Params.Progress)
		},
	}).Connect(t.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	for tool, a := range map[string]args{
		"pg_import": data("w.items", "csv", "order_id,name\n"+strings.Repeat("1,x\n", 1000)),
		"pg_export": {"sql": "SELECT generate_series(1, 2000) AS g", "format": "csv", "params": []any{}},
	} {
		mu.Lock()
		told = nil
		mu.Unlock()
		p := &mcp.CallToolParams{Name: tool, Arguments: a}
		p.SetProgressToken("token")
		if res, err := cs.CallTool(t.Context(), p); err != nil || res.IsError {
			t.Fatal(tool, err, res)
		}
		mu.Lock()
		if len(told) == 0 || told[0] <= 0 {
			t.Errorf("%s: told %v", tool, told)
		}
		mu.Unlock()
	}
}
