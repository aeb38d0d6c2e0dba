package sqlcatalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
)

// edited returns what becomes of a statement.
func edited(t *testing.T, sql string) string {
	t.Helper()
	st, err := sqlgate.Check(sql, sqlgate.Options{AllowExplainAnalyze: true})
	if err != nil {
		t.Fatal(err)
	}
	edits, err := plain.Check(st)
	if err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	return edits.Apply(st.SQL)
}

// becomes demands that A, J, B, R and H in a text stand for what an array, JSON,
// JSONB, a recursion and a hash table of its arguments cost.
func becomes(t *testing.T, sql, want string) {
	t.Helper()
	for mark, cost := range map[string]string{
		"A{x}": inArray([]string{"x"}), "A{x,y}": inArray([]string{"x", "y"}), "M{x}": inRange([]string{"x"}), "A{held}": inArray([]string{"mcpsec.held"}),
		"J{x}": inJSON([]string{"x"}), "J{x,y}": inJSON([]string{"x", "y"}), "B{x}": inJSONB([]string{"x"}), "B{x,y}": inJSONB([]string{"x", "y"}),
		"R{1}": inRecursion(1), "R{3}": inRecursion(3), "H{}": "(pg_catalog.pg_column_size(mcpsec.*) - 20)",
	} {
		want = strings.ReplaceAll(want, mark, (&checker{most: MaxHeld}).budget(cost))
	}
	got := strings.ReplaceAll(edited(t, sql), fmt.Sprintf("::int8 < %d OR", MaxRecast), fmt.Sprintf("::int8 < %d OR", MaxHeld)) // TestMostHeld
	if got != want {
		t.Errorf("%s becomes\n%s, want\n%s", sql, got, want)
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"SELECT array_agg(x) FROM t":                                 "SELECT array_agg(x) FILTER (WHERE A{x}) FROM t",
		`SELECT pg_catalog."array_agg" (x)`:                          `SELECT pg_catalog."array_agg" (x) FILTER (WHERE A{x})`,
		"SELECT string_agg(DISTINCT x, y ORDER BY z, x), 1":          "SELECT string_agg(DISTINCT x, y ORDER BY z, x) FILTER (WHERE A{x,y}), 1",
		"SELECT json_agg(ALL x) OVER (ORDER BY z)":                   "SELECT json_agg(ALL CASE WHEN J{x} THEN (x) END) OVER (ORDER BY z)",
		"SELECT string_agg(x, y) FILTER (WHERE a) OVER w":            "SELECT string_agg(CASE WHEN A{x,y} THEN (x) END, y) FILTER (WHERE a) OVER w",
		"SELECT json_object_agg(x, y), jsonb_object_agg(x /**/, y)":  "SELECT json_object_agg(x, y) FILTER (WHERE J{x,y}), jsonb_object_agg(x /**/, y) FILTER (WHERE B{x,y})",
		"SELECT jsonb_agg(x) FILTER (WHERE a OR b) filter":           "SELECT jsonb_agg(x) FILTER (WHERE ( a OR b) AND B{x}) filter",
		"SELECT xmlagg(x) filter, range_agg(x)":                      "SELECT xmlagg(x) FILTER (WHERE A{x}) filter, range_agg(x) FILTER (WHERE M{x})",
		"SELECT ARRAY(SELECT 1 ORDER BY 1)":                          "SELECT ARRAY(SELECT * FROM (SELECT * FROM (SELECT 1 ORDER BY 1) AS mcpsec OFFSET 0) AS mcpsec(held) WHERE A{held})",
		"SELECT max(x), array_agg, shop.array_agg(x) FROM array_agg": "SELECT max(x), array_agg, shop.array_agg(x) FROM array_agg",
		"EXPLAIN SELECT array_agg(x)":                                "EXPLAIN SELECT array_agg(x)",
		"EXPLAIN ANALYZE SELECT array_agg(x)":                        "EXPLAIN ANALYZE SELECT array_agg(x) FILTER (WHERE A{x})",
	} {
		becomes(t, sql, want)
	}
	if inner := edited(t, "SELECT array_agg((SELECT string_agg(x, y) FROM u))"); strings.Count(inner, HeldMark) != 3 {
		t.Errorf("what is written twice is not counted twice: %s", inner)
	}
	listed := New(rows(shop), Policy{Allow: []string{"pg_catalog.array_agg"}})
	if st, _ := sqlgate.Check("SELECT array_agg(x)", sqlgate.Options{}); true {
		if edits, err := listed.Check(st); len(edits) != 0 || err != nil {
			t.Errorf("what is listed is edited: %v, %v", edits, err)
		}
	}
}

func TestHoldsRefused(t *testing.T) {
	t.Parallel()
	deny(t, plain, "array_agg can be called like this", "SELECT t.array_agg FROM t", "SELECT pg_catalog.array_agg FROM (SELECT 1) pg_catalog", "SELECT (3).array_agg", `SELECT t."array_agg" FROM t`)
	allow(t, plain, "SELECT t.string_agg, t.n FROM (SELECT array_agg(x) AS n FROM u) t")
	deny(t, plain, "function random is not allowed within", "SELECT array_agg(random())", "SELECT json_agg(CASE WHEN pg_catalog.random() > 1 THEN x END)", "SELECT string_agg((SELECT x FROM u WHERE random() > 1), ',')", "SELECT array_agg(x.random)")
	allow(t, plain, "SELECT array_agg(x ORDER BY random()), array_agg(random)", "SELECT array_agg(r) FROM (SELECT random() AS r OFFSET 0) s")
	deny(t, plain, "write json_agg", "SELECT JSON_ARRAYAGG(x)", "SELECT json_objectagg(k : v)", "SELECT JSON_ARRAY(SELECT 1)", "SELECT JSON_ARRAY((SELECT 1) UNION SELECT 2)")
	allow(t, plain, "SELECT JSON_ARRAY(1, 2)", "SELECT json_arrayagg FROM t")
	const four = "SELECT array_agg((SELECT array_agg((SELECT array_agg((SELECT array_agg(x) FROM d)) FROM c)) FROM b)) FROM a"
	deny(t, plain, "within so many others", four)
	allow(t, plain, strings.Replace(four, "(SELECT array_agg(x) FROM d)", "(SELECT max(x) FROM d)", 1))
	deny(t, plain, "not clear", "SELECT array_agg(x) FILTER (x)")
}

func TestRecursion(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT x FROM r) SELECT 1":                     "WITH RECURSIVE r AS (SELECT 1 UNION ALL (SELECT * FROM (SELECT * FROM ( SELECT x FROM r) AS mcpsec OFFSET 0) AS mcpsec WHERE R{1})) SELECT 1",
		"WITH RECURSIVE r(a, b) AS NOT MATERIALIZED ((SELECT 1 UNION SELECT x FROM r)) SELECT":  "WITH RECURSIVE r(a, b) AS NOT MATERIALIZED ((SELECT 1 UNION (SELECT * FROM (SELECT * FROM ( SELECT x FROM r) AS mcpsec OFFSET 0) AS mcpsec WHERE R{3}))) SELECT",
		`WITH RECURSIVE a AS (SELECT 1), "R" AS (VALUES (1) UNION DISTINCT TABLE "R") SELECT 1`: `WITH RECURSIVE a AS (SELECT 1), "R" AS (VALUES (1) UNION DISTINCT (SELECT * FROM (SELECT * FROM ( TABLE "R") AS mcpsec OFFSET 0) AS mcpsec WHERE R{3})) SELECT 1`,
		"WITH RECURSIVE r AS (SELECT 1 WHERE s.as UNION ALL TABLE r) SELECT 1":                  "WITH RECURSIVE r AS (SELECT 1 WHERE s.as UNION ALL (SELECT * FROM (SELECT * FROM ( TABLE r) AS mcpsec OFFSET 0) AS mcpsec WHERE R{1})) SELECT 1",
		"WITH RECURSIVE r AS (SELECT 1 AS as UNION TABLE r) SELECT 1":                           "WITH RECURSIVE r AS (SELECT 1 AS as UNION (SELECT * FROM (SELECT * FROM ( TABLE r) AS mcpsec OFFSET 0) AS mcpsec WHERE R{3})) SELECT 1",
	} {
		becomes(t, sql, want)
	}
	for _, sql := range []string{
		"WITH r AS (SELECT 1 UNION ALL SELECT x FROM r) SELECT 1", "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT 2) SELECT 1", "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT x FROM r LIMIT 5) SELECT 1",
		"WITH RECURSIVE r AS (SELECT 1 UNION SELECT id FROM r WHERE id IN (1, 2)) SEARCH DEPTH FIRST BY id SET o SELECT 1", "WITH RECURSIVE r AS (SELECT x FROM (SELECT 1 UNION SELECT 2) r) SELECT 1",
	} {
		becomes(t, sql, sql)
	}
	deny(t, plain, "recursion with SEARCH or CYCLE", "WITH RECURSIVE r AS (SELECT 1 UNION SELECT id || id FROM r) SEARCH DEPTH FIRST BY id SET o SELECT 1", "WITH RECURSIVE r AS (SELECT 1 UNION SELECT upper(id) FROM r) CYCLE id SET o USING p SELECT 1",
		"WITH RECURSIVE r AS (SELECT 1 UNION SELECT ARRAY[id, id] FROM r) CYCLE id SET o USING p SELECT 1", "WITH RECURSIVE r AS (SELECT 1 UNION SELECT 2 * id FROM r) CYCLE id SET o USING p SELECT 1")
}

// TestPutText bounds what a text grows to, as what stands within is written twice.
func TestPutText(t *testing.T) {
	t.Parallel()
	wide := "SELECT ARRAY[" + strings.Repeat("string_agg('',''),", 1000) + "'']"
	allow(t, plain, wide)
	deny(t, plain, "too many aggregates", "SELECT array_agg(("+wide+")), array_agg(("+wide+"))", "SELECT array_agg((SELECT array_agg(("+wide+"))))")
}

func TestHashed(t *testing.T) {
	t.Parallel()
	const counted = "(SELECT * FROM (SELECT * FROM (SELECT y FROM u) AS mcpsec OFFSET 0) AS mcpsec WHERE H{})"
	for _, sql := range []string{
		"SELECT 1 FROM t WHERE x NOT IN #", "SELECT 1 FROM t WHERE NOT (x = 1 AND x IN #)", "SELECT 1 FROM t WHERE x IN # OR x = 1", "SELECT 1 FROM t WHERE a = 1 OR b = 2 AND x IN #", "SELECT x = ANY # FROM t",
		"SELECT 1 FROM t WHERE (x = SOME #) IS NULL", "SELECT 1 FROM t WHERE x IN # = y", "SELECT 1 FROM t WHERE x IN # IS NOT TRUE", "SELECT 1 FROM t GROUP BY x IN #", "SELECT 1 FROM t WHERE CASE WHEN x IN # THEN a END", "SELECT 1 FROM t WHERE f(x IN #)", "SELECT (SELECT 1 FROM t WHERE b) = f(x IN #)",
		"SELECT 1 FROM t ORDER BY x IN #", "SELECT 1 FROM t WHERE (x IN #) = a", "SELECT 1 FROM t WHERE a GROUP BY b HAVING x IN #",
		// no join is made of these either
		"SELECT count(*) FILTER (WHERE x IN #) FROM t", "SELECT 1 FROM t LEFT JOIN v ON x IN #", "SELECT 1 FROM v FULL JOIN t ON x IN #", "SELECT (SELECT 1 FROM t WHERE x IN #) FROM t", "SELECT 1 FROM t WHERE EXISTS (WITH q AS (SELECT 1 FROM v WHERE x IN #) SELECT 1 FROM q)",
		"SELECT 1 FROM t, LATERAL (SELECT 1 FROM v WHERE x IN #) s", "SELECT 1 FROM t WHERE x AND 'y' IN #", "SELECT 1 FROM t WHERE $1 = ANY #", "SELECT 1 FROM t WHERE x || random() IN #", "SELECT 1 FROM t WHERE 'y'::pg_catalog.text IN #", "SELECT 1 FROM t WHERE date '2020-01-01' IN #",
		"SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM v JOIN w ON v.x = w.t WHERE t.x IN #)", "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM v a WHERE (a.x, t.x) IN #)", "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM v JOIN w ON v.x AND t WHERE t.x IN #)",
		`SELECT 1 FROM t "left" WHERE EXISTS (SELECT 1 FROM v LEFT JOIN w ON true WHERE "left".x IN #)`, `SELECT 1 FROM t "cross" WHERE EXISTS (SELECT 1 FROM v CROSS JOIN w WHERE "cross".x IN #)`, "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM v JOIN w ON v.x IS DISTINCT FROM t WHERE t.x IN #)",
		"SELECT 1 FROM t WHERE EXISTS (SELECT t, 1 FROM (SELECT 1 FROM t) v WHERE t.x IN #)", "SELECT 1 FROM t WHERE current_user IN #", "SELECT 1 FROM t WHERE current_date IN #", "SELECT 1 FROM t WHERE x.random IN #",
	} {
		becomes(t, strings.ReplaceAll(sql, "#", "(SELECT y FROM u)"), strings.ReplaceAll(sql, "#", counted))
	}
	for _, sql := range []string{
		"SELECT 1 FROM t WHERE x IN #", "SELECT 1 FROM t WHERE a = 1 AND x IN # AND b < 2 ORDER BY a IS NULL", "SELECT 1 FROM t JOIN v ON x IN # WHERE a OR b", "SELECT 1 FROM t WHERE x IN # GROUP BY a",
		"SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM v AS a JOIN w b ON a.x = b.x WHERE t.x = b.x AND a.x = 1 AND (a.x, b.x) IN #)", "SELECT (SELECT 1 FROM t WHERE t.x IN #)",
		"((SELECT 1 FROM t WHERE x IN #))", "WITH q AS MATERIALIZED (SELECT 1 FROM (SELECT 1 FROM t WHERE (x, 'y') IN #) s JOIN ((SELECT 1 FROM t WHERE x||'y' = ANY #)) r ON true) SELECT 1 FROM q",
		"SELECT 1 FROM t WHERE x IN (1, 2) OR x = ANY (a)",
	} {
		sql = strings.ReplaceAll(sql, "#", "(SELECT y FROM u)")
		becomes(t, sql, sql)
	}
}

func TestWeight(t *testing.T) {
	t.Parallel()
	levels := func(list, from string, n int) string {
		query := "SELECT x AS a FROM t"
		for i := range n {
			query = fmt.Sprintf("SELECT %s FROM "+from, strings.ReplaceAll(list, "#", fmt.Sprint(i)), query, i)
		}
		return query
	}
	const one = "(%s) s%d"
	deny(t, plain, "very large", levels("a || a AS a", one, 9), levels("concat(a, a, a, a) AS a", one, 5), levels("*, a", one, 9), levels("a, a AS b", one, 9), levels("(SELECT a || a) AS a", one, 9), levels("to_json(a::text) AS a", one, 9),
		levels("a", "(%s) s, LATERAL (SELECT a || a AS a) v%d", 9), levels("a", "(%s) s, LATERAL concat(a, a) v%d", 9), levels("a", "(%s) s, ROWS FROM (concat(a, a)) v%d", 9), levels("a", "((%s) s CROSS JOIN pg_catalog.concat(a, a) v%d)", 9), levels("$1 || $1 || a AS a", one, 9),
		"SELECT "+strings.Repeat("quote_literal(", 9)+"a"+strings.Repeat(")", 9), "WITH a AS (SELECT x || x || x || x || x || x || x AS x FROM t), b AS (SELECT x || x || x || x || x || x || x AS x FROM a) SELECT p.x || p.x, q.x || q.x || q.x FROM b p, b q",
		levels("a || a AS a, s.distinct", one, 9), levels("a || a AS a, values", one, 9), levels("a || a AS a, s.as", one, 9), levels("a || a AS a, b AS as", one, 9), levels("a || a AS a, a IS NOT DISTINCT FROM b", one, 9),
		"SELECT 1 UNION ALL ("+levels("a || a AS a", one, 9)+")", levels("a || a AS a", one, 9)+" UNION ALL SELECT 1", "SELECT 1 WHERE EXISTS ("+levels("a || a AS a", one, 9)+")")
	allow(t, plain, levels("a || a AS a", one, 7), levels("a, b, c, upper(d) AS d, count(*)", one, 20), levels("sum(CASE WHEN a = 1 THEN b END), sum(CASE WHEN a = 2 THEN b END), sum(a * a * a)", one, 9), levels("a::int, b::int, CAST(c AS int)", one, 20),
		"SELECT "+strings.Repeat("a, ", 200)+"b FROM t", "SELECT 1 FROM t"+strings.Repeat(" JOIN t USING (id)", 40), "SELECT * FROM t WHERE "+strings.Repeat("a = 1 OR ", 900)+"b")
	deny(t, plain, "more than 40 tables", "SELECT 1 FROM t"+strings.Repeat(" CROSS JOIN t", 41), "SELECT 1 FROM t"+strings.Repeat(", t", 41), "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM t"+strings.Repeat(" JOIN (u JOIN v ON true) ON true", 21)+")")
}

func TestGrowing(t *testing.T) {
	t.Parallel()
	long := "'" + strings.Repeat("x", maxPiece+1) + "'"
	deny(t, plain, "char(n) and bit(n)", "SELECT 'x'::char(10001)", "SELECT CAST('x' AS character (20000))", "SELECT 'x'::pg_catalog.bpchar(10001)", "SELECT B'1'::bit(10001)", `SELECT "bit"(1, 800000000)`, "SELECT pg_catalog.bpchar('x', n, true)", "SELECT 'x'::nchar(99999)")
	allow(t, plain, "SELECT 'x'::char(10000), B'1'::bit(8), 'x'::varchar(99999), 'x'::character varying(99999), bpchar(x), t.bit, char 'x'")
	deny(t, plain, "must not be a long constant", "SELECT replace(a, 'x', repeat('y', 9))", "SELECT regexp_replace(a, 'x', b || "+long+", 'g')", "SELECT array_to_string(a, lpad(b, 9))", "SELECT concat_ws(rpad(b, 9), VARIADIC c)", "SELECT jsonb_pretty("+long+")")
	allow(t, plain, "SELECT replace(repeat('x', 9), 'x', b), regexp_replace("+long+", 'a', ''), array_to_string(a, ', '), concat_ws(' ', a, "+long+")", "SELECT t.replace FROM t", "SELECT replace(repeat)")
	deny(t, plain, "format needs", "SELECT format('%1$s%1$s%1$s%1$s%1$s', a)")
	allow(t, plain, "SELECT format('%1$s of %2$s, %1$s', a, b)")
}
