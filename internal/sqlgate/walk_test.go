package sqlgate

import (
	"strings"
	"testing"
)

func TestDataModifyingCTE(t *testing.T) {
	t.Parallel()
	for sql, verb := range map[string]string{
		"WITH x AS (|DELETE FROM t RETURNING *) SELECT * FROM x":                                      "DELETE",
		"WITH x AS (|INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x":                           "INSERT",
		"WITH x AS (|UPDATE t SET a = 1 RETURNING *) SELECT * FROM x":                                 "UPDATE",
		"WITH x AS (|MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE RETURNING *) TABLE x":      "MERGE",
		"WITH x AS MATERIALIZED (|DELETE FROM t RETURNING *) TABLE x":                                 "DELETE",
		"WITH x AS NOT MATERIALIZED (|DELETE FROM t RETURNING *) TABLE x":                             "DELETE",
		"WITH x (a, b) AS (|DELETE FROM t RETURNING *) TABLE x":                                       "DELETE",
		"WITH RECURSIVE x AS (|DELETE FROM t RETURNING *) TABLE x":                                    "DELETE",
		"WITH recursive AS (|DELETE FROM t RETURNING *) TABLE recursive":                              "DELETE",
		"WITH x AS (SELECT 1), y AS (|DELETE FROM t RETURNING *) TABLE y":                             "DELETE",
		"WITH x AS (SELECT 1), values AS (|DELETE FROM t RETURNING *) SELECT 1":                       "DELETE",
		"WITH select AS (|DELETE FROM t RETURNING *) SELECT 1":                                        "DELETE",
		"WITH x AS (WITH y AS (|DELETE FROM t RETURNING *) TABLE y) TABLE x":                          "DELETE",
		"WITH x AS (WITH y AS (SELECT 1) |DELETE FROM t RETURNING *) TABLE x":                         "DELETE",
		"WITH x AS (SELECT 1) |DELETE FROM t":                                                         "DELETE",
		"WITH x AS (SELECT 1) |UPDATE t SET a = 1":                                                    "UPDATE",
		"WITH x AS (SELECT 1) |INSERT INTO t TABLE x":                                                 "INSERT",
		"WITH x AS (SELECT 1) |MERGE INTO t USING x ON true WHEN MATCHED THEN DELETE":                 "MERGE",
		"(WITH x AS (SELECT 1) |DELETE FROM t)":                                                       "DELETE",
		"WITH x AS ((|DELETE FROM t RETURNING *)) TABLE x":                                            "DELETE",
		"WITH x AS (SELECT 1) ((|DELETE FROM t))":                                                     "DELETE",
		"SELECT * FROM (WITH x AS (|DELETE FROM t RETURNING *) TABLE x) y":                            "DELETE",
		"SELECT 1 UNION (WITH x AS (|DELETE FROM t RETURNING *) TABLE x)":                             "DELETE",
		"WITH x AS (SELECT 1) SEARCH DEPTH FIRST BY a, b SET set |DELETE FROM t":                      "DELETE",
		"WITH x AS (SELECT 1) SEARCH BREADTH FIRST BY set SET by |DELETE FROM t":                      "DELETE",
		"WITH x AS (SELECT 1) SEARCH DEPTH FIRST BY values SET a, y AS (|DELETE FROM t) TABLE y":      "DELETE",
		"WITH x AS (SELECT 1) CYCLE values, table SET select USING p |DELETE FROM t":                  "DELETE",
		"WITH x AS (SELECT 1) CYCLE a SET c TO true DEFAULT f('x', y) '1' USING \"p\" |DELETE FROM t": "DELETE",
		"WITH x AS (SELECT 1) SEARCH DEPTH FIRST BY a SET o CYCLE a SET c USING p |DELETE FROM t":     "DELETE",
		"WITH x AS (|VACUUM) TABLE x":                                                                 "VACUUM",
	} {
		before, after, _ := strings.Cut(sql, "|")
		deny(t, before+after, write(verb), len(before)+1)
	}
}

func TestMalformedWith(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"WITH |'x' AS (SELECT 1) TABLE x", "WITH x |BY (SELECT 1) TABLE x", "WITH x AS |SELECT 1", "WITH x AS (SELECT 1) SEARCH |DELETE FROM t",
		"WITH x AS (SELECT 1) SEARCH DEPTH FIRST BY a |USING b TABLE x", "WITH x AS (SELECT 1) CYCLE |(a) SET c USING p TABLE x",
		"WITH x AS (SELECT 1), |(SELECT 1) TABLE x",
	} {
		before, after, _ := strings.Cut(sql, "|")
		deny(t, before+after, badWith, len(before)+1)
	}
	deny(t, "WITH x AS (SELECT 1) FROM t", badStart, 22)
}

func TestHonestWith(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"WITH delete AS (SELECT 1), update(insert, merge) AS (VALUES (1, 2)) SELECT * FROM update",
		`WITH RECURSIVE "update" AS (TABLE t) TABLE "update"`,
		"WITH recursive(a) AS (SELECT 1) SELECT a FROM recursive",
		"WITH values AS (SELECT 1) (SELECT * FROM \"values\")",
		"WITH x AS ((SELECT 1) UNION SELECT 2) (TABLE x) ORDER BY 1",
		"WITH x AS (SELECT 1 delete FROM t) SELECT count(*) delete FROM x",
		"WITH RECURSIVE x AS (SELECT 1) SEARCH BREADTH FIRST BY update, set SET delete CYCLE delete SET set TO 1 DEFAULT 0 USING update SELECT * FROM x",
		"SELECT * FROM f() WITH ORDINALITY AS f(delete, update)",
		"SELECT * FROM f() AS (delete text, update int)",
		"SELECT id FROM t ORDER BY id FETCH FIRST 1 ROW WITH TIES",
		"SELECT '2024-01-01'::timestamp WITH TIME ZONE",
	} {
		allow(t, sql)
	}
}

func TestSelectInto(t *testing.T) {
	t.Parallel()
	deny(t, "SELECT * INTO t FROM u", noInto, 10)
	deny(t, "SELECT 1 into TEMP t", noInto, 10)
	deny(t, "SELECT 1 AS as INTO t", noInto, 16)
	deny(t, "SELECT u.as INTO t FROM u", noInto, 13)
	deny(t, "SELECT 1. INTO t", noInto, 11)
	deny(t, `SELECT 1 AS "as" INTO t`, noInto, 18)
	deny(t, "VALUES (1) UNION SELECT 1 INTO t", noInto, 27)
	allow(t, `SELECT 1 AS into, u.into, "into", 'into' FROM u`)
	allow(t, "SELECT 1 AS as FROM u")
}

func TestLockingClauses(t *testing.T) {
	t.Parallel()
	for _, lock := range []string{"UPDATE", "update of t", "NO KEY UPDATE", "SHARE", "KEY SHARE NOWAIT"} {
		deny(t, "SELECT * FROM t FOR "+lock, noLock, 17)
		deny(t, "SELECT (SELECT 1 FROM t FOR "+lock+")", noLock, 25)
		deny(t, "((SELECT 1 FROM t) FOR "+lock+")", noLock, 20)
		deny(t, "SELECT 1 AS as FOR "+lock, noLock, 16)
		deny(t, "SELECT substring('a' FROM (SELECT 1 FROM t FOR "+lock+"))", noLock, 44)
	}
	for _, sql := range []string{
		"SELECT substring(a FROM 1 FOR update), substring(a FROM 1 FOR key) FROM t",
		"SELECT overlay(a PLACING 'x' FROM 1 FOR share) FROM t",
		"SELECT * FROM t FOR READ ONLY",
		`SELECT t.for update, 1 AS for, "for" FROM t`,
		"SELECT * FROM XMLTABLE('/r' PASSING x COLUMNS n FOR ORDINALITY)",
	} {
		allow(t, sql)
	}
}

func TestWordsAsNames(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		`SELECT id AS "update", status AS "set" FROM t`,
		"SELECT 1 AS update, 2 AS set, 3 AS delete, 4 AS insert, 5 AS commit",
		"SELECT update, insert, delete FROM audit WHERE delete AND NOT update ORDER BY insert",
		"SELECT delete FROM audit",
		"SELECT count(*) delete, sum(x) update FROM audit",
		"SELECT t.update, t.set FROM update t JOIN delete d ON d.set = t.set",
		"SELECT call, copy, lock, do_it, vacuum, execute FROM t WHERE begin < commit",
		"SELECT extract(epoch FROM update) FROM t",
		"SELECT (update) FROM t GROUP BY (delete), set",
		"SELECT min(d) start, max(d) end FROM t",
		"SELECT CASE WHEN a THEN b END end, 1 case FROM t",
		"SELECT (SELECT max(d) end FROM t) FROM u",
		"SELECT set_config('a.b', 'c', true)", // for the gate that knows functions
	} {
		allow(t, sql)
	}
}

func TestBalance(t *testing.T) {
	t.Parallel()
	allow(t, "SELECT (ARRAY[[1],[2]])[1], f(), ((1))")
	deny(t, "SELECT 1)", unbalanced, 9)
	deny(t, "SELECT (1", unbalanced, 9)
	deny(t, "SELECT (1]", unbalanced, 10)
	deny(t, "SELECT a[1)", unbalanced, 11)
	deny(t, "(SELECT 1", unbalanced, 9)
}

func TestDepth(t *testing.T) {
	t.Parallel()
	nest := func(open, inner, close string, n int) string {
		return "SELECT " + strings.Repeat(open, n) + inner + strings.Repeat(close, n)
	}
	allow(t, nest("(", "1", ")", 200))
	deny(t, nest("(", "1", ")", 201), tooDeep, 208)
	deny(t, nest("ARRAY[", "1", "]", 201), tooDeep, 8+201*6-1)
	allow(t, nest("CASE WHEN true THEN ", "1", " END", 200))
	deny(t, nest("CASE WHEN true THEN ", "1", " END", 201), tooDeep, 8+200*20)
	deny(t, nest("(CASE WHEN true THEN ", "1", " END)", 101), tooDeep, 8+100*21)
	allow(t, "SELECT "+strings.Repeat("(CASE WHEN a THEN b END), ", 1000)+"1")
	deny(t, strings.Repeat("(", 300)+"SELECT 1"+strings.Repeat(")", 300), tooDeep, 201)
}

func TestChains(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"SELECT 1" + strings.Repeat("+1", 5000),
		"SELECT " + strings.Repeat("NOT ", 5000) + "true",
		"SELECT " + strings.Repeat("- ", 1100) + "1",
		"SELECT a" + strings.Repeat("::int", 600),
		"SELECT by" + strings.Repeat(" + by", 600),
		"SELECT " + strings.Repeat("join(1) + ", 600) + "1",
		"SELECT a" + strings.Repeat("[1]", 1100),
		"SELECT a" + strings.Repeat(" || f(b, c)", 600),
		"SELECT a" + strings.Repeat(" COLLATE c", 600),
		"SELECT a" + strings.Repeat(" AT TIME ZONE b", 600),
		"SELECT 1" + strings.Repeat(" UNION SELECT 1", 600),
		"SELECT 1 FROM a" + strings.Repeat(" JOIN a ON b", 600),
	} {
		s, err := Check(sql, Options{})
		if err == nil || err.(*Refusal).Reason != tooChained {
			t.Errorf("Check(%.60q…): got %.60q, %v, want %q", sql, s.SQL, err, tooChained)
		}
	}
	for _, sql := range []string{
		"SELECT 1" + strings.Repeat("+1", 490),
		"SELECT 1 WHERE a" + strings.Repeat(" OR a = 1 AND b = 2", 1500),
		"SELECT CASE" + strings.Repeat(" WHEN a = 1 THEN 2", 1500) + " END",
		"SELECT a IN (1" + strings.Repeat(", 12", 9000) + ")",
		"VALUES (1, 'a')" + strings.Repeat(", (1, 'a')", 3000),
		"SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 490),
	} {
		allow(t, sql)
	}
}
