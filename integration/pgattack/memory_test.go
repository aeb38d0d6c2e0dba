package pgattack

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
)

// takers are statements that take memory in other ways than the corpus. None may
// make the session use 150 MB.
var takers = []string{
	// aggregates
	"SELECT cardinality(array_agg(g) OVER ()) FROM generate_series(1, 9000000) g",
	"SELECT array_agg(g) OVER (ORDER BY g) FROM generate_series(1, 9000000) g",
	"SELECT cardinality(pg_catalog.array_agg(DISTINCT g)) FROM generate_series(1, 5000000) g",
	`SELECT cardinality("array_agg"(g ORDER BY g)) FROM generate_series(1, 5000000) g`,
	"SELECT cardinality(array_agg(g) FILTER (WHERE g > 0)) FROM generate_series(1, 9000000) g",
	"SELECT cardinality(array_agg(g) FILTER (WHERE g > 0 OR g < 0)) FROM generate_series(1, 9000000) g",
	"SELECT length(string_agg('x', pad)) FROM shop.big, generate_series(1, 9)",
	"SELECT length(string_agg(x, x)) FROM (SELECT repeat('x', 10000) x FROM generate_series(1, 20000)) s",
	"SELECT length(string_agg(pad::bytea, '')) FROM shop.big, generate_series(1, 9)",
	"SELECT length(json_agg(b)::text) FROM shop.big b, generate_series(1, 9)",
	"SELECT length(json_agg(b.*)::text) FROM shop.big b, generate_series(1, 9)",
	"SELECT length(json_object_agg(id, pad)::text) FROM shop.big, generate_series(1, 9)",
	"SELECT length(jsonb_object_agg(g, 1)::text) FROM generate_series(1, 2000000) g",
	"SELECT length(jsonb_agg('[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]'::jsonb)::text) FROM generate_series(1, 200000) g",
	"SELECT length(jsonb_agg(to_jsonb(string_to_array(repeat('1,', 5000), ',')))::text) FROM generate_series(1, 2000)",
	"SELECT length(xmlagg(xmlelement(name a, pad))::text) FROM shop.big",
	"SELECT length(range_agg(int4range(2*g, 2*g+1))::text) FROM generate_series(1, 3000000) g", "SELECT length(range_agg(int4range(2*g, 2*g+1))::text) FROM generate_series(1, 300000) g",
	"SELECT cardinality(ARRAY(SELECT g FROM generate_series(1, 9000000) g))",
	"SELECT cardinality(ARRAY(VALUES (repeat('x', 10000)), (repeat('y', 10000)))), cardinality(ARRAY(WITH q AS (SELECT 1) SELECT g FROM q, generate_series(1, 9000000) g))",
	"SELECT id FROM shop.big WHERE pad = ANY (ARRAY(SELECT pad || g FROM shop.big, generate_series(1, 9) g))",
	"SELECT string_agg(c, '') FROM (SELECT array_agg(g)::text c FROM generate_series(1, 9000000) g) s",
	"SELECT length(string_agg((SELECT string_agg(pad, '') FROM shop.big), '')) FROM generate_series(1, 9)",
	"SELECT t.array_agg FROM (SELECT g FROM generate_series(1, 9000000) g) t",
	"SELECT pg_catalog.json_agg FROM (SELECT g FROM generate_series(1, 9000000) g) pg_catalog",
	// what is made of what was gathered
	"SELECT jsonb_array_length(('['||string_agg(repeat('1,',5000),'')||'1]')::jsonb) FROM generate_series(1, 1500)",
	"SELECT cardinality(('{'||string_agg(repeat('1,',5000),'')||'1}')::text[]) FROM generate_series(1, 1500)",
	"SELECT cardinality(string_to_array(string_agg(repeat('x',10000),''), NULL)) FROM generate_series(1, 1500)",
	"SELECT cardinality(regexp_split_to_array(string_agg(repeat('x',10000),''), '')) FROM generate_series(1, 1500)",
	"SELECT length(array_agg(int4range(g,g+1))::text) FROM generate_series(1, 300000) g",
	"SELECT length(array_agg(ROW(g))::text) FROM generate_series(1, 300000) g",
	"SELECT length(xmlparse(content string_agg(repeat('<a/>',2500),''))::text) FROM generate_series(1, 1500)",
	"WITH RECURSIVE r(x) AS (SELECT repeat('1,', 5000) UNION ALL SELECT x||x FROM r WHERE length(x) < 8e6) SELECT jsonb_array_length(('['||max(x)||'1]')::jsonb) FROM r",
	// what is small when it is counted
	"SELECT cardinality(array_agg(CASE WHEN random() < 0.5 THEN repeat('x', 10000) END)) FROM (SELECT setseed(0.1) FROM generate_series(1, 90000)) s",
	"SELECT cardinality(array_agg(CASE WHEN clock_timestamp() > t + interval '3 us' THEN repeat('x', 10000) END)) FROM (SELECT clock_timestamp() t FROM generate_series(1, 90000)) s",
	"SELECT cardinality(array_agg(CASE WHEN (1.0::float8).random_normal > 0 THEN repeat('x', 10000) END)) FROM generate_series(1, 90000)",
	"SELECT length(string_agg(v, '')) FROM shop.squeezed, generate_series(1, 3000)",
	"SELECT cardinality(array_agg(v)) FROM shop.squeezed, generate_series(1, 3000)",
	"SELECT cardinality(ARRAY(SELECT v FROM shop.squeezed, generate_series(1, 3000)))",
	// recursion
	"WITH RECURSIVE r(x) AS (SELECT 'x' UNION ALL SELECT x||x FROM r WHERE length(x) < 1e9) SELECT max(length(x)) FROM r",
	"WITH RECURSIVE r(x, n) AS (SELECT repeat('x', 10000), 1 UNION ALL (SELECT x||x, n+1 FROM r WHERE n < 17)) SELECT max(length(x)) FROM r",
	"WITH RECURSIVE r(x) AS MATERIALIZED ((SELECT 1 UNION SELECT x+1 FROM r WHERE x < 30000000)) SELECT count(*) FROM r",
	"WITH RECURSIVE r(x) AS (SELECT repeat('x', 10000)||1 UNION SELECT repeat('x', 10000)||g FROM r, generate_series(1, 100000) g) SELECT count(*) FROM r",
	"WITH RECURSIVE a AS (SELECT 1), r(x) AS (SELECT 'x' UNION DISTINCT SELECT x||x FROM r) SELECT max(length(x)) FROM r",
	`WITH RECURSIVE "R"(x) AS (SELECT 'x' UNION ALL SELECT x||x FROM "R" WHERE length(x) < 1e9) SELECT max(length(x)) FROM "R"`,
	"WITH RECURSIVE r(x) AS (SELECT 'x' UNION ALL SELECT x||x FROM r) SEARCH DEPTH FIRST BY x SET o SELECT max(length(x)) FROM r",
	"WITH RECURSIVE r(x) AS (SELECT 'x' UNION ALL SELECT concat(x, x) FROM r) CYCLE x SET c USING p SELECT max(length(x)) FROM r",
	"SELECT string_agg((WITH RECURSIVE r(x) AS (SELECT 'x' UNION ALL SELECT x||x FROM r WHERE length(x) < 1e9) SELECT max(x) FROM r), '')",
	"SELECT length(a||a||a||a||a||a||a||a) FROM (WITH RECURSIVE r(x) AS (SELECT 'x' UNION ALL SELECT x||x FROM r WHERE length(x) < 5e6) SELECT max(x) AS a FROM r) s",
	// queries in one another
	doubled("a||a", "SELECT repeat('x', 10000) AS a", 12), doubled("a+a", "SELECT id AS a FROM shop.big", 24), doubled("concat(a, a)", "SELECT pad AS a FROM shop.big", 17),
	doubled("ARRAY[a, a, a, a, a, a, a, a]", "SELECT repeat('x', 10000) AS a OFFSET 0", 5), doubled("ROW(a, a, a, a, a, a, a, a)", "SELECT repeat('x', 10000) AS a OFFSET 0", 5),
	doubled("s.a||s.a", "SELECT string_to_array(repeat('x,', 5000), ',') AS a", 12), doubled("(SELECT s.a||s.a)", "SELECT repeat('x', 10000) AS a", 14),
	doubled("to_json(a::text)", `SELECT repeat('\', 10000) AS a`, 14), doubled("jsonb_build_array(a, a, a, a, a, a)", "SELECT repeat('x', 10000) AS a OFFSET 0", 6),
	"SELECT length(" + strings.Repeat("quote_literal(", 14) + "repeat('''', 10000)" + strings.Repeat(")", 15),
	chained(" c%[1]d AS (SELECT a||a AS a FROM c%[2]d)", 14), chained(" c%[1]d AS (SELECT x.a||y.a AS a FROM c%[2]d x, c%[2]d y)", 14), chained(" c%[1]d AS (SELECT (SELECT a||a) AS a FROM c%[2]d)", 14),
	chained(" c%[1]d(a, b) AS (SELECT b, a||b FROM (SELECT a, a AS b FROM c%[2]d) s)", 26),
	"SELECT length(z.a) FROM (SELECT repeat('x', 10000) AS a) s0" + lateral(" CROSS JOIN LATERAL (SELECT s%[2]d.a||s%[2]d.a AS a) s%[1]d", 14) + ", LATERAL (SELECT s14.a) z",
	"SELECT length(s14.a) FROM (SELECT repeat('x', 10000) AS a) s0" + lateral(", concat(s%[2]d.a, s%[2]d.a) s%[1]d(a)", 14),
	// hash tables
	"SELECT count(*) FROM shop.big WHERE (pad||id IN (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g)) IS NOT TRUE",
	"SELECT count(*) FROM shop.big WHERE pad||id NOT IN (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g)",
	"SELECT count(*) FROM shop.big WHERE NOT pad||id = ANY (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g)",
	"SELECT count(*) FROM shop.big WHERE id = 0 OR pad||id IN (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g)",
	"SELECT count(*) FROM (SELECT pad||id IN (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g) FROM shop.big OFFSET 0) s",
	"SELECT count(*) FROM shop.big WHERE (pad||id IN (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g)) = (id > 0)",
	"SELECT count(*) FROM shop.big GROUP BY pad||id IN (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g)",
	"SELECT count(*) FROM (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g INTERSECT SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g) s",
	"SELECT count(*) FROM (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g EXCEPT ALL SELECT 'x') s",
	"SELECT count(*) FROM shop.big WHERE 'x' IN (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g)",
	"SELECT count(*) FROM shop.big WHERE pad||random() = ANY (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g)",
	"SELECT count(*) FILTER (WHERE pad||id IN (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g)) FROM shop.big",
	"SELECT count(*) FROM (SELECT (SELECT 1 FROM shop.customers z WHERE b.pad||b.id IN (SELECT repeat('y', 1000)||g FROM generate_series(1, (SELECT 1000000)) g) LIMIT 1) FROM shop.big b OFFSET 0) s",
	// names of ours
	"WITH RECURSIVE r(x, mcpsec) AS (SELECT 'x', 1 UNION ALL SELECT x||x, 1 AS mcpsec FROM r WHERE length(x) < 1e9) SELECT max(length(x)) FROM r",
	"WITH RECURSIVE r(x, held) AS (SELECT 'x', 1 UNION ALL SELECT mcpsec.x||x, 1 AS held FROM r AS mcpsec WHERE length(x) < 1e9) SELECT max(length(x)) FROM r",
	// calls
	"SELECT length(" + strings.Repeat("format('%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s', ", 4) + "repeat('x', 10000))" + "))))",

	"SELECT length(replace(repeat('x', 10000), 'x', repeat('y', 10000)))", "SELECT length(regexp_replace(repeat('x', 10000), 'x', repeat('y', 10000), 'g'))",
	"SELECT length(concat('x'::char(10000000), 'x'::char(10000000), 'x'::char(10000000), 'x'::char(10000000), 'x'::char(10000000), 'x'::char(10000000), 'x'::char(10000000)))",
	"SELECT length(0::bit(80000000)||0::bit(80000000)||0::bit(80000000)||0::bit(80000000))", `SELECT length("bit"(1, 800000000))`, "SELECT pg_catalog.bpchar('x'::bpchar, 500000000, true)", "SELECT 'x'::pg_catalog.bpchar(10000000)",
	"SELECT length(array_to_string(string_to_array(repeat('x,', 5000), ','), repeat('y', 10000)))", "SELECT length(jsonb_pretty(('['||repeat('[', 4000)||repeat(']', 4000)||']')::jsonb))",
}

// doubled puts a query into another one n times.
func doubled(expression, query string, n int) string {
	for range n {
		query = "SELECT " + expression + " AS a FROM (" + query + ") AS s"
	}
	return "SELECT length(a::text) FROM (" + query + " LIMIT 1) AS s"
}

// chained names n queries, each over the one before.
func chained(query string, n int) string {
	return "WITH c0(a, b) AS (SELECT repeat('x', 10000), repeat('x', 10000))," + lateral(query+",", n) + " z AS (SELECT 1) SELECT length(a) FROM c" + strconv.Itoa(n)
}

// lateral repeats a piece of FROM with the numbers 1 and 0, 2 and 1, up to n.
func lateral(piece string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, piece, i+1, i)
	}
	return b.String()
}

// TestMemory looks how much memory the session has taken at most.
func TestMemory(t *testing.T) {
	s := newStage(t, "reader")
	pgtest.Exec(t, s.conn, "CREATE TABLE shop.squeezed AS SELECT repeat('x', 100000) AS v; GRANT SELECT ON shop.squeezed TO mcp_reader")
	s.reload(t)
	for _, sql := range takers {
		s.fresh(t)
		before := s.memory(t)
		text, _ := s.query(t, sql)
		took := s.memory(t) - before
		t.Logf("%4d MB: %.120s: %.120s", took, sql, text)
		if took > 150 {
			t.Errorf("%d MB by %s: %s", took, sql, text)
		}
	}
}

// gatherers are statements that ask for nothing bad, and that are edited. Their
// answers are those without the edits.
var gatherers = []string{
	"SELECT array_agg(id ORDER BY id), string_agg(name, ', ' ORDER BY name DESC), json_agg(c ORDER BY id), jsonb_agg(c.* ORDER BY id), jsonb_object_agg(id, name) FROM shop.customers c",
	"SELECT array_agg(DISTINCT country ORDER BY country), string_agg(DISTINCT country, ','), array_agg(ALL id) FROM shop.customers",
	"SELECT country, pg_catalog.array_agg(id ORDER BY id) FILTER (WHERE id > 3), count(*) FILTER (WHERE id > 3), \"array_agg\"(NULL::int) FROM shop.customers GROUP BY country HAVING cardinality(array_agg(id)) > 1 ORDER BY 1",
	"SELECT id, array_agg(id) OVER (ORDER BY id ROWS 2 PRECEDING), json_agg(id) FILTER (WHERE id % 2 = 0 OR id = 1) OVER w FROM shop.customers WINDOW w AS (ORDER BY id) ORDER BY id",
	"SELECT country, string_agg(count(*)::text, ',') OVER (ORDER BY country), array_to_json(array_agg(max(id)) FILTER (WHERE country > 'A') OVER (ORDER BY country)) FROM shop.customers GROUP BY country HAVING count(*) > 1 ORDER BY 1",
	"SELECT array_agg(indrelid) FROM pg_index WHERE indrelid = 1259", "SELECT id, json_agg(c.*) OVER w, array_agg(c) OVER w, string_agg(name COLLATE \"C\", ', ') OVER w FROM shop.customers c WHERE id < 5 WINDOW w AS (ORDER BY id) ORDER BY id",
	"SELECT c.id, ARRAY(SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.id DESC LIMIT 3) AS last, ARRAY(VALUES (1), (2)), ARRAY((SELECT id FROM shop.customers) EXCEPT SELECT 1 ORDER BY 1) FROM shop.customers c ORDER BY 1",
	"SELECT ARRAY(SELECT c FROM shop.customers c ORDER BY id), ARRAY(SELECT 'x'), ARRAY(SELECT NULL), ARRAY(SELECT ARRAY[1, 2]), ARRAY(WITH q(a) AS (SELECT 1) SELECT a FROM q)",
	"SELECT json_agg(json_build_object('id', c.id, 'orders', (SELECT coalesce(json_agg(json_build_object('id', o.id, 'lines', ARRAY(SELECT o.id))) , '[]') FROM shop.orders o WHERE o.customer_id = c.id AND o.id < 20)) ORDER BY c.id) FROM shop.customers c WHERE c.id < 9",
	"SELECT array_agg(x), array_agg(ROW(x, 'y')), jsonb_object_agg('k', x), json_object_agg(x, NULL), string_agg('x', NULL) FROM (VALUES (1), (2), (NULL::int)) v(x) WHERE x > 0",
	"SELECT (SELECT array_agg(c.id) FROM (SELECT 1) one) FROM shop.customers c ORDER BY 1 LIMIT 1", "SELECT array_agg(id) FROM shop.customers WHERE id < 0", "SELECT array_agg('{1,2}'::int[]) FROM generate_series(1, 2)",
	"SELECT xmlagg(xmlelement(name a, id) ORDER BY id)::text, string_agg('\\x61'::bytea, ''), range_agg(int4range(id::int, id::int + 2)) FROM shop.customers WHERE id < 9", "SELECT array_agg(t) FROM (SELECT id, name FROM shop.customers ORDER BY id LIMIT 2) t",
	"SELECT array_agg(x -- a comment\n) /* one more */ FILTER (WHERE x > 1 -- and so on\n) AS array_agg FROM generate_series(1, 3) AS x", "SELECT a.n FROM (SELECT array_agg(1) AS n) a",
	"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 20) SELECT sum(i) FROM n", "WITH RECURSIVE n(i, s) AS (VALUES (1, 'x'::text) UNION SELECT i+1, 'y' FROM n WHERE i < 20) SELECT * FROM n ORDER BY 1",
	"WITH RECURSIVE t AS (SELECT id, manager_id, ARRAY[id] AS path, name::text AS n FROM shop.employees WHERE manager_id IS NULL UNION ALL SELECT e.id, e.manager_id, t.path || e.id, t.n || ' > ' || e.name FROM shop.employees e JOIN t ON t.id = e.manager_id AND e.id <> ALL (t.path)) SELECT * FROM t ORDER BY path",
	"WITH RECURSIVE t AS (SELECT id, manager_id FROM shop.employees WHERE id = 31 UNION SELECT e.id, e.manager_id FROM shop.employees e JOIN t ON t.manager_id = e.id) CYCLE id SET again USING path SELECT * FROM t ORDER BY id",
	"WITH RECURSIVE n AS (SELECT 1 AS a), m AS (SELECT a FROM n UNION ALL SELECT a FROM n ORDER BY 1 LIMIT 1) SELECT * FROM m", "WITH RECURSIVE a(x) AS ((SELECT 1) UNION ALL (SELECT x + 1 FROM a WHERE x < 5 LIMIT 1)), b AS (SELECT x FROM a UNION SELECT -x FROM a) SELECT * FROM b ORDER BY 1",
	"SELECT json_agg(json_build_object('n', relname, 'size', pg_total_relation_size(oid), 'id', pg_catalog.gen_random_uuid() IS NULL) ORDER BY oid) FROM pg_class WHERE relname = 'customers'",
	"SELECT count(*) FROM shop.orders WHERE customer_id NOT IN (SELECT id FROM shop.customers WHERE country = 'DE')", "SELECT id, id IN (SELECT customer_id FROM shop.orders) FROM shop.customers ORDER BY id", "SELECT id FROM shop.customers WHERE (id, country) NOT IN (SELECT 1, 'DE') ORDER BY id",
	"SELECT id FROM shop.customers c WHERE id = ANY (SELECT o.customer_id FROM shop.orders o WHERE o.id = c.id) OR id = 3 ORDER BY 1", "SELECT 1 WHERE NOT 1 IN (VALUES (2), (3)) AND 1 <> ALL (SELECT 2)",
	"SELECT 'a'::char(3), B'1'::bit(4), 'a'::character(2), char 'x', replace(name, 'a', country), concat_ws(', ', name, country), array_to_string(ARRAY[name, country], '; ') FROM shop.customers ORDER BY id LIMIT 1",
}

// TestEditedMeansTheSame compares answers with those of the texts as they were.
func TestEditedMeansTheSame(t *testing.T) {
	s := newStage(t, "superuser")
	o := newOracle(t, s)
	pgtest.Exec(t, o.conn, "RESET debug_print_parse; RESET debug_print_rewritten; RESET client_min_messages; SELECT set_config('"+sqlcatalog.HeldSetting+"', '0', false)")
	edited := 0
	for _, sql := range slices.Concat(gatherers, every(t)) {
		st, err := sqlgate.Check(sql, sqlgate.Options{})
		if err != nil {
			continue
		}
		edits, err := o.snapshot.Check(st)
		if err != nil || len(edits) == 0 {
			if slices.Contains(gatherers, sql) && err != nil {
				t.Errorf("%s: %v", sql, err)
			}
			continue
		}
		edited++
		want, wantErr := o.answer(t, st.SQL)
		got, gotErr := o.answer(t, edits.Apply(st.SQL))
		held := gotErr != nil && strings.Contains(gotErr.Error(), sqlcatalog.HeldMark)
		if (wantErr == nil) != (gotErr == nil) && !held || gotErr == nil && got != want {
			t.Errorf("%s\nanswers %.300s, %v\nwithout %.300s, %v", edits.Apply(st.SQL), got, gotErr, want, wantErr)
		}
		if slices.Contains(gatherers, sql) && gotErr != nil {
			t.Errorf("%s: %v", sql, gotErr)
		}
	}
	if edited < 25 {
		t.Errorf("%d statements were edited, want at least 25", edited)
	}
}

// answer runs a statement and returns what its columns and rows are.
func (o *oracle) answer(t *testing.T, sql string) (string, error) {
	r := o.conn.PgConn().ExecParams(t.Context(), sql, nil, nil, nil, nil).Read()
	var b strings.Builder
	for _, f := range r.FieldDescriptions {
		fmt.Fprint(&b, f.Name, f.DataTypeOID, f.TypeModifier, "\n")
	}
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "%q\n", row)
	}
	return b.String(), r.Err
}
