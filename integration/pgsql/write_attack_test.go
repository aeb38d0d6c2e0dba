package pgsql

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// TestWriteDenied asks for what the operator has not listed. Every refusal leaves
// all as it was, and does not tell what else there is.
func TestWriteDenied(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", unasked)
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	before := hash(t, conn)
	key, ok := where("id", "eq", 1), []args{{"status": "x"}}
	for _, test := range []struct {
		tool string
		a    args
		want string
	}{
		{"pg_insert", args{"table": "w.other", "rows": []args{{"id": 1}}}, "not allowed for this table"},
		{"pg_insert", args{"table": "w.nosuch", "rows": []args{{"id": 1}}}, "not allowed for this table"},
		{"pg_insert", args{"table": "orders", "rows": ok}, "not allowed for this table"},
		{"pg_insert", args{"table": `"w"."orders"`, "rows": ok}, "not allowed for this table"},
		{"pg_insert", args{"table": "W.ORDERS", "rows": ok}, "not allowed for this table"},
		{"pg_insert", args{"table": "pg_catalog.pg_class", "rows": ok}, "not allowed for this table"},
		{"pg_delete", args{"table": "w.settings", "where": where("key", "eq", "a")}, "not allowed for this table"},
		{"pg_update", args{"table": "w.items", "set": args{"name": "x"}, "where": key}, "not allowed for this table"},
		{"pg_upsert", args{"table": "w.orders", "rows": ok}, "not allowed for this table"},
		{"pg_upsert", args{"table": "w.settings", "rows": []args{{"key": "a", "note": "x"}}}, "must not be overwritten"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{{"status": "x", "hidden": "y"}}}, "column is not allowed"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{{"version": 1}}}, "column is not allowed"},
		{"pg_update", args{"table": "w.orders", "set": args{"id": 5}, "where": key}, "column is not allowed"},
		{"pg_update", args{"table": "w.orders", "set": args{"hidden": "y"}, "where": key}, "column is not allowed"},
		{"pg_update", args{"table": "w.orders", "set": args{"status": "y"}, "where": where("hidden", "eq", "CANARY-9f1c")}, "names a column that it may not"},
		{"pg_update", args{"table": "w.orders", "set": args{"status": "y"}, "where": key, "returning": []string{"hidden"}}, "returning names a column"},
		{"pg_update", args{"table": "w.orders", "set": args{"status": "y"}, "where": key, "returning": []string{"*"}}, "returning names a column"},
		{"pg_update", args{"table": "w.orders", "set": args{"status": "y"}, "where": where("ctid", "eq", "(0,1)")}, "names a column that it may not"},
		{"pg_update", args{"table": "w.orders", "set": args{"status": "y"}, "where": []args{}}, "where: must be at least 1"},
		{"pg_update", args{"table": "w.orders", "set": args{"status": "y"}}, "where"},
		{"pg_delete", args{"table": "w.orders", "where": []args{{}}}, "where[0]"},
		{"pg_delete", args{"table": "w.orders"}, "where"},
		{"pg_delete", args{"table": "w.orders", "where": where("id", "= 1 OR 1 =", 1)}, "op"},
		{"pg_delete", args{"table": "w.orders", "where": where("id", "EQ", 1)}, "op"},
		{"pg_delete", args{"table": "w.orders", "where": where("id", "eq", nil)}, "not null"},
		{"pg_delete", args{"table": "w.orders", "where": where("id", "in", []any{1, nil})}, "not null"},
		{"pg_delete", args{"table": "w.orders", "where": where("id", "in", []any{})}, "1 to 100"},
		{"pg_delete", args{"table": "w.orders", "where": where("id", "is_null", 1)}, "takes no value"},
		{"pg_delete", args{"table": "w.orders", "where": where("id", "like", "%")}, "for columns that are texts"},
		{"pg_delete", args{"table": "w.orders", "where": where("id", "contains", 1)}, "jsonb or arrays"},
		{"pg_delete", args{"table": "w.orders", "where": where("id", "has", 1)}, "arrays"},
		{"pg_delete", args{"table": "w.orders", "where": key, "sql": "x"}, "unknown member"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{}}, "rows"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{{}}}, "rows"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{{"status": args{"a": 1}}}}, "must be a string"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{{"status": 5}}}, "must be a string"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{{"status": "x", "total": true}}}, "must be a number"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{{"status": "x", "tags": "{a}"}}}, "must be an array"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{{"status": "x\x00"}}}, "U+0000"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{{"status": nil}}}, "a column needs a value (SQLSTATE 23502)"},
		{"pg_insert", args{"table": "w.orders", "rows": []args{{"status": "x", "total": "1; DROP TABLE w.other"}}}, "SQLSTATE 22P02"},
	} {
		got := tell(t, cs, test.tool, test.a)
		if !strings.Contains(got, test.want) || strings.Contains(got, "CANARY") || strings.Contains(got, "hidden") {
			t.Errorf("%s %s:\n got %s\nwant %s", test.tool, asJSON(test.a), got, test.want)
		}
	}
	if hash(t, conn) != before {
		t.Error("something was changed")
	}
	if a, b := tell(t, cs, "pg_delete", args{"table": "w.other", "where": key}), tell(t, cs, "pg_delete", args{"table": "w.nosuch", "where": key}); a != b {
		t.Errorf("whether a table exists is told: %s; %s", a, b)
	}
}

// payloads try to get out of a name or a value.
var payloads = []string{
	`'; DROP TABLE w.other; --`, `"; DROP TABLE w.other; --`, `status" = 'x' WHERE true; --`, `\'; DROP TABLE w.other; --`, `$$; DROP TABLE w.other; $$`,
	`x' || (SELECT hidden FROM w.orders LIMIT 1) || '`, `') ON CONFLICT DO NOTHING; DELETE FROM w.other; --`, `{"a": "'}`, `'); COMMIT; DROP TABLE w.other; --`,
	"a\\\"b", "E'\\047'", "U&'\\0027'", "$1", "$2::text", "%s%n", "now()", "DEFAULT", "NULL", "\u02bc; DROP TABLE w.other; --", "\uff07", "/* */", "--",
}

// TestWriteInjection puts each payload everywhere that a text may stand.
func TestWriteInjection(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", unasked)
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	others := "SELECT md5(coalesce(string_agg(x, '|' ORDER BY x), '')) FROM (SELECT i::text FROM w.items i UNION ALL SELECT o::text FROM w.other o UNION ALL SELECT s::text FROM w.settings s) AS y(x)"
	before, orders := pgtest.Ask[string](t, conn, others), pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders")
	for i, p := range payloads {
		for _, a := range []args{
			{"table": p, "where": where("id", "eq", 1)},
			{"table": "w.orders", "where": where(p, "eq", 1)},
			{"table": "w.orders", "where": where("id", p, 1)},
			{"table": "w.orders", "where": where("id", "eq", p)},
			{"table": "w.orders", "where": where("status", "eq", p)},
			{"table": "w.orders", "where": where("status", "like", p)},
			{"table": "w.orders", "where": where("meta", "contains", args{p: p})},
			{"table": "w.orders", "where": where("tags", "has", p)},
			{"table": "w.orders", "where": where("tags", "contains", []string{p, p})},
			{"table": "w.orders", "where": where("status", "in", []string{p, p})},
			{"table": "w.orders", "where": where("id", "eq", 1), "returning": []string{p}},
		} {
			if got := tell(t, cs, "pg_delete", a); strings.Contains(got, "CANARY") || strings.Contains(got, `"affected":1`) {
				t.Errorf("%s: got %s", asJSON(a), got)
			}
		}
		tell(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{p: 1}}})
		tell(t, cs, "pg_update", args{"table": "w.orders", "set": args{p: 1}, "where": where("id", "eq", 1)})
		id := 5000 + i
		wants(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"id": id, "status": p, "tags": []string{p}, "meta": args{p: p}}}}, `"affected":1`)
		if got := pgtest.Ask[string](t, conn, "SELECT status FROM w.orders WHERE id = $1 AND tags = ARRAY[$2] AND meta = jsonb_build_object($2::text, $2::text)", id, p); got != p {
			t.Errorf("%q became %q", p, got)
		}
		wants(t, cs, "pg_delete", args{"table": "w.orders", "where": []args{
			{"column": "status", "op": "eq", "value": p}, {"column": "tags", "op": "has", "value": p}, {"column": "meta", "op": "contains", "value": args{p: p}},
		}}, `"affected":1`)
	}
	if pgtest.Ask[string](t, conn, others) != before || pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders") != orders {
		t.Error("something else was changed")
	}
}

// TestWriteErrorsShowNoData provokes errors that quote rows.
func TestWriteErrorsShowNoData(t *testing.T) {
	t.Parallel()
	w, _ := writer(t, `UPDATE w.orders SET hidden = CASE id WHEN 1 THEN 'CANARY-9f1c' END;
		ALTER TABLE w.orders ADD UNIQUE (hidden), ALTER hidden DROP DEFAULT; CREATE FUNCTION w.tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
		IF NEW.status = 'tell' THEN RAISE EXCEPTION 'CANARY-9f1c' USING DETAIL = 'CANARY-9f1c', HINT = 'CANARY-9f1c', CONSTRAINT = 'CANARY-9f1c'; END IF;
		IF NEW.status = 'twice' THEN NEW.hidden := 'CANARY-9f1c'; END IF; RETURN NEW; END$$;
		CREATE TRIGGER tell BEFORE INSERT OR UPDATE ON w.orders FOR EACH ROW EXECUTE FUNCTION w.tell()`, unasked)
	cs, log := writeClient(t, pgtool.WriteTools(w), &person{})
	for status, want := range map[string]string{
		"tell": "the table refuses the change (SQLSTATE P0001); nothing was changed", "twice": "SQLSTATE 23505", "bad": "SQLSTATE 23514",
	} {
		for tool, a := range map[string]args{
			"pg_insert": {"table": "w.orders", "rows": []args{{"status": status}}},
			"pg_update": {"table": "w.orders", "set": args{"status": status}, "where": where("id", "eq", 2)},
		} {
			if got := tell(t, cs, tool, a); !strings.Contains(got, want) || strings.Contains(got, "CANARY") || strings.Contains(got, "orders") {
				t.Errorf("%s %s: got %s", tool, status, got)
			}
		}
	}
	if !strings.Contains(log.String(), "CANARY-9f1c") {
		t.Error("the log does not show the server's words")
	}
}

// TestWriteTenants has a policy that shows the role one tenant's rows.
func TestWriteTenants(t *testing.T) {
	t.Parallel()
	tables := []pgtool.Table{{Schema: "w", Name: "notes", Read: []string{"id", "note"}, Insert: []string{"id", "tenant", "note"}, Update: []string{"note", "tenant"}, Delete: true}}
	w, conn := writer(t, `CREATE TABLE w.notes (id int, tenant text, note text); INSERT INTO w.notes VALUES (1, 'acme', 'a'), (2, 'rival', 'b');
		ALTER TABLE w.notes ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON w.notes USING (tenant = 'acme')`, func(o *pgtool.WriteOptions) { o.Tables = tables; unasked(o) })
	p := &person{}
	cs, _ := writeClient(t, pgtool.WriteTools(w), p)
	all := where("id", "gt", 0)
	wants(t, cs, "pg_update", args{"table": "w.notes", "set": args{"note": "x"}, "where": all, "returning": []string{"id"}}, `"rows":[[1]]`)
	wants(t, cs, "pg_update", args{"table": "w.notes", "set": args{"tenant": "rival"}, "where": all}, "row security does not allow (SQLSTATE 42501)")
	wants(t, cs, "pg_insert", args{"table": "w.notes", "rows": []args{{"id": 3, "tenant": "rival"}}}, "row security does not allow (SQLSTATE 42501)")
	wants(t, cs, "pg_delete", args{"table": "w.notes", "where": all}, `"affected":1`)
	if !strings.Contains(p.last(), "deletes 1 row of w.notes") {
		t.Errorf("asked: %s", p.last())
	}
	if got := pgtest.Ask[string](t, conn, "SELECT string_agg(n::text, ' ') FROM w.notes n"); got != "(2,rival,b)" {
		t.Errorf("got %s", got)
	}
}

// TestWriteOperators has an operator that somebody has made for just the types of
// a column, in a schema of the search_path: it must not be taken.
func TestWriteOperators(t *testing.T) {
	t.Parallel()
	tables := []pgtool.Table{{Schema: "w", Name: "codes", Read: []string{"id", "code", "odd", "mood"}, Update: []string{"code"}}}
	w, _ := writer(t, `CREATE TYPE w.odd AS (a int); CREATE TYPE w.m AS ENUM ('sad'); CREATE DOMAIN w.mood AS w.m; CREATE TABLE w.codes (id int, code varchar(20), odd w.odd, mood w.mood); INSERT INTO w.codes VALUES (1, 'x'), (2, 'y');
		CREATE FUNCTION w.always(varchar, varchar) RETURNS bool LANGUAGE sql AS 'SELECT true';
		CREATE OPERATOR w.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = w.always)`, func(o *pgtool.WriteOptions) {
		o.Tables = tables
		unasked(o)
	})
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	for _, op := range [][]args{where("code", "eq", "x"), where("code", "in", []string{"x"})} {
		wants(t, cs, "pg_update", args{"table": "w.codes", "set": args{"code": "x"}, "where": op}, `"affected":1`)
	}
	wants(t, cs, "pg_update", args{"table": "w.codes", "set": args{"code": "x"}, "where": where("odd", "eq", "(1)")}, "only is_null and not_null")
	wants(t, cs, "pg_update", args{"table": "w.codes", "set": args{"code": "x"}, "where": where("mood", "eq", "sad")}, "only is_null and not_null")
}

// TestWriteInOfEveryType compares columns of many types with lists.
func TestWriteInOfEveryType(t *testing.T) {
	t.Parallel()
	types := []string{"int2", "int4", "int8", "numeric", "float8", "text", "varchar(9)", "char(3)", "w.mood", "w.dom", "uuid", "date", "timestamptz", "bool", "bytea", "jsonb", "inet", "interval", "name"}
	values := []string{"1", "1", "1", "1.5", "1.5", "a\"b", "x", "x", "sad", "1", "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "2024-01-01", "2024-01-01T00:00:00Z", "true", "AQ==", `{"a": 1}`, "10.0.0.1", "P1D", "n"}
	sql := "CREATE TYPE w.mood AS ENUM ('sad', 'glad'); CREATE DOMAIN w.dom AS int; CREATE TABLE w.every (n int"
	table := pgtool.Table{Schema: "w", Name: "every", Insert: []string{"n"}, Update: []string{"n"}}
	given := args{"n": 0}
	for i, typ := range types {
		c := "c" + itoa(i)
		sql += ", " + c + " " + typ
		table.Read, table.Insert = append(table.Read, c), append(table.Insert, c)
		given[c] = values[i]
		if typ == "bool" || typ == "jsonb" {
			given[c] = decodeAnswer[any]([]byte(values[i]))
		}
	}
	w, _ := writer(t, sql+")", func(o *pgtool.WriteOptions) { o.Tables = []pgtool.Table{table}; unasked(o) })
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	wants(t, cs, "pg_insert", args{"table": "w.every", "rows": []args{given}}, `"affected":1`)
	for i := range types {
		c := "c" + itoa(i)
		for _, op := range []string{"in", "eq"} {
			value := given[c]
			if op == "in" {
				value = []any{value, value}
			}
			if got := tell(t, cs, "pg_update", args{"table": "w.every", "set": args{"n": 1}, "where": where(c, op, value)}); !strings.Contains(got, `"affected":1`) {
				t.Errorf("%s %s: %s", types[i], op, got)
			}
		}
	}
}

// TestWriteConcurrently has two callers with the same row, many times.
func TestWriteConcurrently(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", unasked)
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	for version := 1; version <= 10; version++ {
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 4 {
			wg.Go(func() {
				got := tell(t, cs, "pg_update", args{"table": "w.orders", "set": args{"version": version + 1, "status": fmt.Sprint("by ", i)},
					"where": []args{{"column": "id", "op": "eq", "value": 1}, {"column": "version", "op": "eq", "value": version}}, "expect": 1})
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(got, `"affected":1`) {
					won++
				} else if !strings.Contains(got, "would change 0 rows") {
					t.Error(got)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Fatalf("version %d: %d have won", version, won)
		}
	}
	if got := pgtest.Ask[int](t, conn, "SELECT version FROM w.orders WHERE id = 1"); got != 11 {
		t.Errorf("version %d", got)
	}
}

// TestWriteRole opens the ledger with roles that can do more, or less, than what
// is listed.
func TestWriteRole(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ grant, want string }{
		{"GRANT INSERT ON w.other TO {r}", "can write to tables that are not listed: w.other"},
		{"GRANT UPDATE (id) ON w.other TO {r}", "can write to tables that are not listed: w.other"},
		{"GRANT DELETE ON w.settings TO {r}", "can do more to listed tables than is listed: DELETE on w.settings"},
		{"GRANT TRUNCATE ON w.orders TO {r}", "TRUNCATE on w.orders"},
		{"GRANT TRIGGER ON w.orders TO {r}", "TRIGGER on w.orders"},
		{"GRANT UPDATE (hidden) ON w.orders TO {r}", "can write to columns that are not listed: UPDATE on w.orders (hidden)"},
		{"GRANT INSERT ON w.orders TO PUBLIC", "INSERT on w.orders (hidden)"},
		{"GRANT UPDATE ON SEQUENCE w.items_id_seq TO {r}", "can change sequence w.items_id_seq"},
		{"CREATE SEQUENCE w.mine; GRANT USAGE ON SEQUENCE w.mine TO {r}", "can change sequence w.mine"},
		{"ALTER TABLE w.orders OWNER TO {r}", "owns sequence w.orders_id_seq, table w.orders"},
		{"ALTER ROLE {r} SUPERUSER", "is a superuser"},
		{"ALTER ROLE {r} BYPASSRLS", "BYPASSRLS"},
		{"GRANT pg_write_all_data TO {r}", "pg_write_all_data"},
		{"CREATE ROLE {r}_2; GRANT {r}_2 TO {r}; GRANT DELETE ON w.settings TO {r}_2", "the role can become {r}_2, which can do more"},
		{"REVOKE UPDATE (status) ON w.orders FROM {r}", "the role lacks what is listed: UPDATE on w.orders (status)"},
		{"REVOKE DELETE ON w.orders FROM {r}", "the role lacks what is listed: DELETE on w.orders"},
		{"REVOKE SELECT (id) ON w.items FROM {r}", "the role lacks what is listed: SELECT on w.items (id)"},
		{"REVOKE SELECT (value) ON w.settings FROM {r}", "the role lacks what is listed: SELECT on w.settings (value)"},
		{"REVOKE USAGE ON SCHEMA w FROM {r}", "USAGE on schema w"},
		{"CREATE RULE r AS ON DELETE TO w.orders DO INSTEAD NOTHING", `"w.orders" is not a plain table, or has rules`},
		{`DROP TABLE w.items; CREATE FOREIGN DATA WRAPPER none; CREATE SERVER away FOREIGN DATA WRAPPER none; CREATE TABLE w.items (id int, name text, order_id int) PARTITION BY LIST (id);
			CREATE FOREIGN TABLE w.away PARTITION OF w.items FOR VALUES IN (1) SERVER away`, `"w.items" is not a plain table`},
		{"DROP TABLE w.items; CREATE VIEW w.items AS SELECT 1 AS id, 'x' AS name, 2 AS order_id", `"w.items" is not a plain table`},
		{"ALTER TABLE w.orders DROP meta", `there is no column "meta" in a table "w.orders"`},
		{"DROP TABLE w.items", `there is no`},
		{"ALTER TABLE w.settings DROP CONSTRAINT settings_pkey", "no primary key or unique constraint"},
		{"ALTER TABLE w.settings DROP CONSTRAINT settings_pkey; CREATE UNIQUE INDEX ON w.settings (key) WHERE note = 'x'", "no primary key or unique constraint"},
		{"SELECT 1", ""},
	} {
		t.Run(test.grant, func(t *testing.T) {
			t.Parallel()
			name, conn := ledgerSetup(t, "", ledgerTables())
			if strings.Contains(test.grant, "_2") {
				t.Cleanup(func() { _, _ = conn.Exec(t.Context(), "DROP ROLE "+name+"_2") })
			}
			fill := strings.NewReplacer("{r}", name)
			pgtest.Exec(t, conn, fill.Replace(test.grant))
			o := pgtool.WriteOptions{Tables: ledgerTables()}
			o.URL = redact.NewSecret(postgres.Server(t).URL(name, name))
			w, err := pgtool.OpenWriter(t.Context(), o)
			if err == nil {
				w.Close()
			}
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), fill.Replace(test.want)) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// TestWriteUnconfirmed is the operator's own word that nobody need be asked.
func TestWriteUnconfirmed(t *testing.T) {
	t.Parallel()
	w, _ := writer(t, "", func(o *pgtool.WriteOptions) { o.Waive = []mcpsec.Waiver{insecure.Unconfirmed("test")} })
	p := &person{no: true}
	cs, _ := writeClient(t, pgtool.WriteTools(w), p)
	wants(t, cs, "pg_delete", args{"table": "w.orders", "where": where("id", "eq", 1)}, `"affected":1`)
	if p.count() > 0 {
		t.Errorf("asked: %s", p.last())
	}
}

// TestWriteHuge sends the largest where that the schema allows, and the most rows,
// over the only connection.
func TestWriteHuge(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", func(o *pgtool.WriteOptions) { o.MaxConns = 1; unasked(o) })
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	var list []int
	for i := range 100 {
		list = append(list, -i)
	}
	one := args{"column": "id", "op": "in", "value": list}
	var or []args
	for range 20 {
		or = append(or, one)
	}
	var terms []args
	for range 20 {
		terms = append(terms, args{"column": "id", "op": "in", "value": list, "or": or})
	}
	wants(t, cs, "pg_update", args{"table": "w.orders", "set": args{"status": "x"}, "where": terms}, `"affected":0`)
	wants(t, cs, "pg_delete", args{"table": "w.orders", "where": terms}, "too long to be shown")
	wants(t, cs, "pg_delete", args{"table": "w.orders", "where": where("id", "in", []int{1, 2})}, `"affected":2`)
	var many []args
	for i := range 100 {
		many = append(many, args{"id": 9000 + i, "status": strings.Repeat("é", 1000)})
	}
	wants(t, cs, "pg_insert", args{"table": "w.orders", "rows": many, "returning": []string{"id", "status"}}, `"affected":100`, `"truncated":true`)
	if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE id >= 9000"); n != 100 {
		t.Errorf("%d rows", n)
	}
}
