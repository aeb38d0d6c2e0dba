package pgsql

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// result calls a tool that must succeed, and decodes what it returns.
func result[T any](t testing.TB, cs *mcp.ClientSession, tool string, args any) (out T) {
	t.Helper()
	text, failed := call(t, cs, tool, args)
	if failed {
		t.Fatalf("%s %v: %s", tool, args, text)
	}
	return decode[T](t, text)
}

func decode[T any](t testing.TB, text string) (out T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %.300s", err, text)
	}
	return out
}

type object struct{ Schema, Name, Kind, Rows, Comment string }

type objects struct {
	Objects []object
	Next    string
}

func TestListSchemas(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), "CREATE SCHEMA hidden; CREATE TABLE hidden.t (a int)")
	type schemas struct {
		Schemas []struct {
			Name   string
			Tables int
		}
	}
	cs, _ := client(t, open(t, name, nil))
	var names []string
	for _, s := range result[schemas](t, cs, "pg_list_schemas", nil).Schemas {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "evil public shop" {
		t.Errorf("got %s", got)
	}
	only, _ := client(t, open(t, name, func(o *pgtool.Options) { o.Schemas = []string{"evil"} }))
	if got := result[schemas](t, only, "pg_list_schemas", nil).Schemas; len(got) != 1 || got[0].Name != "evil" || got[0].Tables != 1 {
		t.Errorf("with Schemas: got %v", got)
	}
}

func TestListObjects(t *testing.T) {
	t.Parallel()
	name := database(t)
	cs, _ := client(t, open(t, name, nil))
	list := func(args map[string]any) string {
		var names []string
		for _, o := range result[objects](t, cs, "pg_list_objects", args).Objects {
			names = append(names, o.Kind+" "+o.Name)
		}
		return strings.Join(names, ", ")
	}
	if got := list(map[string]any{"schema": "shop", "search": "%order%"}); got != "table order_items, table orders, view paid_orders" {
		t.Errorf("got %s", got)
	}
	if got := list(map[string]any{"schema": "shop", "kind": "matview"}); got != "matview daily_sales" {
		t.Errorf("got %s", got)
	}
	if got := list(map[string]any{"search": "api_tokens"}); got != "" {
		t.Errorf("a table without SELECT: got %s", got)
	}
	if got := list(map[string]any{"search": "staff", "kind": "table"}); got != "table staff" {
		t.Errorf("a table with SELECT on columns: got %s", got)
	}
	all := list(map[string]any{"limit": 200, "schema": "shop"})
	var pages []string
	for next := ""; ; {
		page := result[objects](t, cs, "pg_list_objects", map[string]any{"limit": 3, "after": next, "schema": "shop"})
		for _, o := range page.Objects {
			pages = append(pages, o.Kind+" "+o.Name)
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if got := strings.Join(pages, ", "); got != all {
		t.Errorf("page by page:\n got %s\nwant %s", got, all)
	}
	only, _ := client(t, open(t, name, func(o *pgtool.Options) { o.Schemas = []string{"evil"} }))
	for _, o := range result[objects](t, only, "pg_list_objects", map[string]any{}).Objects {
		if o.Schema != "evil" {
			t.Errorf("with Schemas: got %v", o)
		}
	}
}

// TestListObjectsPages pages over names that are long, or that look alike with
// their schema.
func TestListObjectsPages(t *testing.T) {
	t.Parallel()
	name := postgres.Database(t, "")
	conn := postgres.Admin(t, name)
	var args []string
	for i := range 90 {
		args = append(args, fmt.Sprintf("an_argument_with_a_rather_long_name_of_number_%d int", i))
	}
	all := strings.Join(args, ", ")
	pgtest.Exec(t, conn, `REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE SCHEMA a; CREATE SCHEMA "a.b"; GRANT USAGE ON SCHEMA a, "a.b" TO PUBLIC;
		CREATE TABLE a."b.c" (x int); CREATE TABLE a."b`+"\x01"+`" (x int); GRANT SELECT ON a."b`+"\x01"+`" TO PUBLIC; CREATE TABLE "a.b".c (x int); GRANT SELECT ON a."b.c", "a.b".c TO PUBLIC;
		CREATE FUNCTION a.long(`+all+`) RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE FUNCTION a.long(`+all+`, last text) RETURNS int LANGUAGE sql AS 'SELECT 1'`)
	cs, _ := client(t, open(t, name, nil))
	var got []string
	next := ""
	for range 10 {
		page := result[objects](t, cs, "pg_list_objects", map[string]any{"limit": 1, "after": next})
		for _, o := range page.Objects {
			got = append(got, o.Schema+"/"+o.Name[:min(4, len(o.Name))])
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if s := strings.Join(got, " "); strings.ReplaceAll(s, "\x01", "") != "a/b.c a.b/c a/b a/long a/long" {
		t.Errorf("got %s", s)
	}
}

type description struct {
	Name, Kind, Comment string
	Next                int
	Columns             []struct {
		Name, Type, Default, Comment string
		Nullable                     bool
	}
	about
}

type about struct {
	Rows, Bytes, Base, Definition, Sequence string
	Arguments, Returns, RunsAs              string
	RowSecurity                             string `json:"row_security"`
	Constraints, Indexes                    []string
	References                              []string `json:"referenced_by"`
	Triggers, Policies, Labels, Members     []string
}

func (d *description) UnmarshalJSON(b []byte) error {
	type plain description
	var inner struct{ About about }
	if err := json.Unmarshal(b, (*plain)(d)); err != nil {
		return err
	}
	err := json.Unmarshal(b, &inner)
	d.about = inner.About
	return err
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), `CREATE TYPE shop.mood AS ENUM ('sad', 'happy'); CREATE DOMAIN shop.small AS int;
		ALTER TABLE shop.staff ADD CONSTRAINT ssn_form CHECK (ssn LIKE 'SSN-%'), ADD CONSTRAINT id_form CHECK (id > 0);
		CREATE INDEX staff_ssn ON shop.staff (ssn); CREATE INDEX staff_name ON shop.staff (name)`)
	cs, _ := client(t, open(t, name, nil))
	about := func(object string) description {
		return result[description](t, cs, "pg_describe", map[string]any{"schema": "shop", "name": object})
	}
	d := about("orders")
	if d.Kind != "table" || d.Rows != "5000" || d.Bytes == "" || len(d.Columns) != 6 || d.Columns[2].Comment != "open, paid, shipped, cancelled" {
		t.Errorf("orders: got %+v", d)
	}
	if c := d.Columns[0]; c.Name != "id" || c.Type != "integer" || c.Nullable || c.Default != "identity" {
		t.Errorf("orders.id: got %+v", c)
	}
	if len(d.Constraints) != 2 || d.Constraints[0] != "orders_pkey PRIMARY KEY (id)" || !strings.Contains(d.Constraints[1], "REFERENCES shop.customers(id)") {
		t.Errorf("orders: constraints %+v", d.Constraints)
	}
	if len(d.References) != 1 || !strings.HasPrefix(d.References[0], "shop.order_items FOREIGN KEY (order_id)") || len(d.Indexes) != 3 {
		t.Errorf("orders: %+v, %+v", d.References, d.Indexes)
	}
	if d = about("customers"); d.Comment != "People who buy things" || d.Columns[6].Default != "now()" {
		t.Errorf("customers: got %+v", d)
	}
	if d = about("rls_notes"); !strings.HasPrefix(d.RowSecurity, "on") {
		t.Error("rls_notes: row security is not shown")
	}
	if d = about("paid_orders"); d.Kind != "view" || len(d.Columns) != 6 {
		t.Errorf("paid_orders: got %+v", d)
	}
	if d = about("mood"); strings.Join(d.Labels, " ") != "sad happy" {
		t.Errorf("mood: got %+v", d)
	}
	if d = about("small"); d.Base != "integer" {
		t.Errorf("small: got %+v", d)
	}
	text, _ := call(t, cs, "pg_describe", map[string]any{"schema": "shop", "name": "staff"})
	if strings.Contains(text, "ssn") || strings.Contains(text, "salary") || !strings.Contains(text, "id_form") || !strings.Contains(text, "staff_name") {
		t.Errorf("staff, of which two columns are allowed: got %s", text)
	}
}

// TestDescribeStaysInSchemas looks at a foreign key to a schema that
// Options.Schemas does not list, from both ends.
func TestDescribeStaysInSchemas(t *testing.T) {
	t.Parallel()
	name := postgres.Database(t, "")
	pgtest.Exec(t, postgres.Admin(t, name), `REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE SCHEMA seen; CREATE SCHEMA other; CREATE SCHEMA closed;
		CREATE TABLE other.t (id int PRIMARY KEY); CREATE TABLE closed.t (id int PRIMARY KEY);
		CREATE TABLE seen.t (id int PRIMARY KEY REFERENCES other.t REFERENCES closed.t, up int REFERENCES seen.t);
		ALTER TABLE other.t ADD FOREIGN KEY (id) REFERENCES seen.t;
		GRANT USAGE ON SCHEMA seen, other TO PUBLIC; GRANT SELECT ON seen.t, other.t, closed.t TO PUBLIC`)
	for _, test := range []struct {
		schemas              []string
		constraints, inbound int
	}{{nil, 3, 2}, {[]string{"seen"}, 2, 1}} {
		cs, _ := client(t, open(t, name, func(o *pgtool.Options) { o.Schemas = test.schemas }))
		d := result[description](t, cs, "pg_describe", map[string]any{"schema": "seen", "name": "t"})
		if len(d.Constraints) != test.constraints || len(d.References) != test.inbound {
			t.Errorf("Schemas %v: got constraints %q and references %q", test.schemas, d.Constraints, d.References)
		}
	}
}

// TestAbsenceIsNotTold asks for what is there but not permitted, and for what
// is not there.
func TestAbsenceIsNotTold(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), "CREATE SCHEMA hidden; CREATE TABLE hidden.t (a int); GRANT SELECT ON hidden.t TO PUBLIC")
	cs, _ := client(t, open(t, name, nil))
	only, _ := client(t, open(t, name, func(o *pgtool.Options) { o.Schemas = []string{"evil"} }))
	want, failed := call(t, cs, "pg_describe", map[string]any{"schema": "nosuch", "name": "nosuch"})
	if !failed {
		t.Fatal("nosuch.nosuch: no error")
	}
	for _, test := range []struct {
		cs           *mcp.ClientSession
		schema, name string
	}{
		{cs, "shop", "api_tokens"}, {cs, "shop", "nosuch"}, {cs, "hidden", "t"}, {cs, "pg_catalog", "pg_authid"}, {cs, "pg_catalog", "pg_class"},
		{only, "shop", "orders"},
	} {
		if got, _ := call(t, test.cs, "pg_describe", map[string]any{"schema": test.schema, "name": test.name}); got != want {
			t.Errorf("%s.%s: got %s, want %s", test.schema, test.name, got, want)
		}
	}
}

func TestQueryTool(t *testing.T) {
	t.Parallel()
	cs, _ := client(t, open(t, database(t), func(o *pgtool.Options) { o.MaxRows, o.MaxBytes = 50, 4096 }))
	type answer struct {
		Columns   []pgtool.Column
		Rows      [][]any
		RowCount  int `json:"row_count"`
		Truncated bool
		Hint      string
	}
	ask := func(args map[string]any) answer { return result[answer](t, cs, "pg_query", args) }
	if a := ask(map[string]any{"sql": "SELECT id, name FROM shop.customers ORDER BY id", "limit": 3}); a.RowCount != 3 || len(a.Rows) != 3 || !a.Truncated || a.Hint == "" || a.Columns[1] != (pgtool.Column{Name: "name", Type: "text"}) {
		t.Errorf("got %+v", a)
	}
	if a := ask(map[string]any{"sql": "SELECT id FROM shop.customers", "limit": 1000000}); a.RowCount != 50 || !a.Truncated {
		t.Errorf("a limit over the operator's: got %d rows", a.RowCount)
	}
	// Escapes make JSON longer than the value.
	if a := ask(map[string]any{"sql": "SELECT repeat(E'\\u0001', 100) FROM generate_series(1, 20)"}); a.RowCount != 6 || !a.Truncated {
		t.Errorf("escapes: got %d rows", a.RowCount)
	}
	if a := ask(map[string]any{"sql": "SELECT id FROM shop.customers WHERE id = 1"}); a.RowCount != 1 || a.Truncated || a.Hint != "" {
		t.Errorf("got %+v", a)
	}
	if text, failed := call(t, cs, "pg_query", map[string]any{"sql": "SELECT 1", "limit": 0}); !failed {
		t.Errorf("limit 0: got %s", text)
	}
}
