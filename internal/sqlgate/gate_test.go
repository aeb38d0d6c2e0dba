package sqlgate

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// allow checks that sql passes and that nothing is cut off it.
func allow(t *testing.T, sql string) Statement {
	t.Helper()
	return allowWith(t, Options{}, sql)
}

func allowWith(t *testing.T, o Options, sql string) Statement {
	t.Helper()
	s, err := Check(sql, o)
	if err != nil {
		t.Errorf("Check(%.200q): got %v, want it allowed", sql, err)
		return s
	}
	if !strings.HasPrefix(sql, s.SQL) || strings.Trim(sql[len(s.SQL):], "; \n\t") != "" {
		t.Errorf("Check(%.200q): got SQL %.200q", sql, s.SQL)
	}
	return s
}

// deny checks that sql is refused for the reason and at the character.
func deny(t *testing.T, sql, reason string, pos int) {
	t.Helper()
	denyWith(t, Options{}, sql, reason, pos)
}

func denyWith(t *testing.T, o Options, sql, reason string, pos int) {
	t.Helper()
	s, err := Check(sql, o)
	var r *Refusal
	if !errors.As(err, &r) {
		t.Errorf("Check(%.200q): got %.200q allowed, want %q", sql, s.SQL, reason)
		return
	}
	if r.Reason != reason || r.Pos != pos || s.SQL != "" || s.Query != nil {
		t.Errorf("Check(%.200q): got %q at %d, want %q at %d", sql, r.Reason, r.Pos, reason, pos)
	}
}

func write(verb string) string { return verb + writeAdvice + oneOf }

func TestOneStatement(t *testing.T) {
	t.Parallel()
	allow(t, "SELECT 1;")
	allow(t, "SELECT 1 ; ;\n")
	allow(t, "SELECT ';', $$;$$, \";\" FROM t")
	allow(t, "SELECT 'a'\n';b'")
	deny(t, "", empty, 0)
	deny(t, " ; -- SELECT 1", empty, 0)
	deny(t, "SELECT 1; SELECT 2", manyStatements, 9)
	deny(t, "; SELECT 1", manyStatements, 1)
	deny(t, "SELECT 'é' AS a$b$; COMMIT; SELECT 1 AS a$b$", manyStatements, 19)
	deny(t, "SELECT E'\\''; COMMIT; --'", manyStatements, 13)
	deny(t, "SELECT $$'$$; COMMIT -- '", manyStatements, 13)
	deny(t, "SELECT 1 /* /* */ ; */ ; COMMIT", manyStatements, 24)
	deny(t, "SELECT $é$ ' $é$; COMMIT -- '", manyStatements, 17)
	deny(t, "SELECT 1 --\r; COMMIT", manyStatements, 13)
}

func TestStatementSQL(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"SELECT 1;":                  "SELECT 1",
		" SELECT 1 ; -- x":           " SELECT 1",
		"SELECT 1 -- ;":              "SELECT 1",
		"/* a */ TABLE t -- b":       "/* a */ TABLE t",
		"EXPLAIN (COSTS) VALUES (1)": "EXPLAIN (COSTS) VALUES (1)",
	} {
		s, err := Check(sql, Options{})
		if err != nil || s.SQL != want {
			t.Errorf("Check(%q): got %q, %v, want %q", sql, s.SQL, err, want)
		}
	}
}

func TestKindAndQuery(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]struct {
		kind  Kind
		first string
	}{
		"(SELECT 1)":                       {Query, "("},
		"WITH x AS (SELECT 1) TABLE x":     {Query, "with"},
		"EXPLAIN (COSTS OFF) TABLE x":      {Explain, "table"},
		"EXPLAIN VERBOSE (SELECT 1)":       {Explain, "("},
		"EXPLAIN ANALYZE VERBOSE SELECT 1": {Explain, "select"},
		"SHOW work_mem":                    {Show, ""},
	} {
		s := allowWith(t, Options{AllowExplainAnalyze: true}, sql)
		if s.Kind != want.kind || at(s.Query, 0).Value != want.first {
			t.Errorf("Check(%q): got kind %d, query %v, want %v", sql, s.Kind, s.Query, want)
		}
	}
}

func TestFirstWord(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{"SELECT 1", "select 1", "((SELECT 1))", "VALUES (1)", "TABLE t", "( ( VALUES (1) ) UNION SELECT 2)"} {
		allow(t, sql)
	}
	for sql, reason := range map[string]string{
		"COMMIT":         "COMMIT" + transactionAdvice + oneOf,
		"lock TABLE t":   "LOCK" + transactionAdvice + oneOf,
		"Set x = 1":      "SET" + sessionAdvice + oneOf,
		"DELETE FROM t":  write("DELETE"),
		"DO $$ $$":       "DO" + otherAdvice + oneOf,
		"password":       badStart,
		"'SELECT 1'":     badStart,
		`"select" 1`:     badStart,
		"1":              badStart,
		"\ufeffSELECT 1": badStart,
		"SELECT\u00a01":  badStart,
	} {
		deny(t, sql, reason, 1)
	}
	deny(t, "(DELETE FROM t)", write("DELETE"), 2)
	deny(t, "((SHOW work_mem))", "SHOW"+otherAdvice+oneOf, 3)
	deny(t, "()", badStart, 2)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"EXPLAIN SELECT 1", "EXPLAIN VERBOSE SELECT 1", "EXPLAIN (SELECT 1)", "EXPLAIN ((SELECT 1) UNION SELECT 2)",
		"EXPLAIN (VALUES (1))", "EXPLAIN (WITH x AS (SELECT 1) TABLE x)", "EXPLAIN (TABLE t)",
		"EXPLAIN (FORMAT JSON, COSTS OFF, verbose) SELECT 1", "EXPLAIN (format 'json') (SELECT 1)",
		"EXPLAIN (ANALYZE false, VERBOSE) SELECT 1", "EXPLAIN (ANALYZE 0) SELECT 1", "EXPLAIN (analyse OFF) SELECT 1",
	} {
		allow(t, sql)
	}
	deny(t, "EXPLAIN ANALYZE SELECT 1", noAnalyze, 9)
	deny(t, "EXPLAIN analyse VERBOSE SELECT 1", noAnalyze, 9)
	deny(t, "EXPLAIN (ANALYZE) SELECT 1", noAnalyze, 10)
	deny(t, "EXPLAIN (COSTS OFF, ANALYSE on) SELECT 1", noAnalyze, 21)
	deny(t, "EXPLAIN (ANALYZE false, ANALYZE 1) SELECT 1", noAnalyze, 25)
	deny(t, "EXPLAIN (ANALYZE 'FALSEHOOD') SELECT 1", noAnalyze, 10)
	deny(t, `EXPLAIN ("analyze") SELECT 1`, badOption, 10)
	deny(t, `EXPLAIN (U&"analyz\0065") SELECT 1`, badOption, 10)
	deny(t, "EXPLAIN (values, analyze) SELECT 1", badOption, 10)
	deny(t, "EXPLAIN (costs -1) SELECT 1", badOption, 16)
	deny(t, "EXPLAIN (costs", badOption, 10)
	deny(t, "EXPLAIN (costs,", unbalanced, 15)
	deny(t, "EXPLAIN", badExplain, 1)
	for _, sql := range []string{"DELETE FROM t", "EXECUTE p", "EXPLAIN SELECT 1", "CREATE TABLE t AS SELECT 1", "SHOW work_mem", "ANALYZE t", `"select"`} {
		denyWith(t, Options{AllowExplainAnalyze: true}, "EXPLAIN VERBOSE "+sql, badExplain, 17)
		denyWith(t, Options{AllowExplainAnalyze: true}, "EXPLAIN (COSTS) "+sql, badExplain, 17)
	}
	deny(t, "EXPLAIN WITH x AS (DELETE FROM t RETURNING *) TABLE x", write("DELETE"), 20)
	deny(t, "EXPLAIN SELECT 1 INTO t", noInto, 18)
}

func TestExplainAnalyzeAllowed(t *testing.T) {
	t.Parallel()
	o := Options{AllowExplainAnalyze: true}
	for _, sql := range []string{
		"EXPLAIN ANALYZE SELECT 1", "EXPLAIN ANALYSE VERBOSE SELECT 1", "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT 1",
		"EXPLAIN (ANALYZE true, WAL, TIMING off) (SELECT 1)",
	} {
		allowWith(t, o, sql)
	}
	denyWith(t, o, "EXPLAIN ANALYZE DELETE FROM t", badExplain, 17)
	denyWith(t, o, "EXPLAIN (ANALYZE) DELETE FROM t", badExplain, 19)
	denyWith(t, o, "EXPLAIN ANALYZE WITH x AS (DELETE FROM t RETURNING *) TABLE x", write("DELETE"), 28)
}

func TestShow(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"SHOW server_version", "show WORK_MEM;", "SHOW TimeZone", "SHOW TIME ZONE", "SHOW TRANSACTION ISOLATION LEVEL",
		`SHOW "search_path"`, "SHOW lc_collate",
	} {
		allow(t, sql)
	}
	for _, sql := range []string{
		"SHOW hba_file", "SHOW data_directory", "SHOW ALL", "SHOW ssl_key_file", "SHOW primary_conninfo", "SHOW app.tenant",
		"SHOW SESSION AUTHORIZATION", "SHOW 'work_mem'", "SHOW work_mem x", "SHOW TIME", "SHOW ZONE TIME",
	} {
		deny(t, sql, noSetting, 6)
	}
	deny(t, "SHOW", noSetting, 1)
	deny(t, "SHOW work_mem; COMMIT", manyStatements, 14)
	allowWith(t, Options{Settings: []string{"hba_file"}}, "SHOW hba_file")
	denyWith(t, Options{Settings: []string{}}, "SHOW work_mem", noSetting, 6)
}

func TestSizes(t *testing.T) {
	t.Parallel()
	pad := func(n int) string { return "SELECT '" + strings.Repeat("x", n-9) + "'" }
	allow(t, pad(50_000))
	deny(t, pad(50_001), tooLong, 50_001)
	denyWith(t, Options{MaxBytes: 10}, "SELECT 1234", tooLong, 11)
	list := func(n int) string { return "SELECT 1" + strings.Repeat(",1", (n-2)/2) }
	allow(t, list(20_000))
	deny(t, list(20_002), tooManyTokens, 20_007)
	denyWith(t, Options{MaxTokens: 3}, "SELECT 1, 2", tooManyTokens, 11)
	denyWith(t, Options{MaxBytes: 1 << 20, MaxTokens: 1 << 20}, list(60_000), unreadable("too many tokens"), 50_007)
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	deny(t, "SELECT 'a", unreadable("a string without its closing quote"), 8)
	deny(t, "SELECT 'é', 1a", unreadable("a number with something attached to it"), 13)
	deny(t, "SELECT 1\x00", unreadable("not valid UTF-8, or a zero byte"), 9)
	deny(t, `SELECT U&"a"`, noUnicodeName, 8)
	deny(t, `SELECT * FROM shop.U&"a!0062" UESCAPE '!'`, noUnicodeName, 20)
	allow(t, `SELECT U&'\0041'`)
}

// TestRefusalHoldsNoText makes sure that nothing of the caller's text but known
// keywords can come back in a refusal, whatever stands there.
func TestRefusalHoldsNoText(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, sql := range []string{
		secret, "SELECT 1; " + secret, "SHOW " + secret, "EXPLAIN (" + secret + ") SELECT 1", "EXPLAIN " + secret,
		"WITH x AS (" + secret + ") TABLE x", "WITH x " + secret, "WITH x AS (SELECT 1) " + secret, "'" + secret,
		"1" + secret, `SELECT U&"` + secret + `"`, "SELECT 1 INTO " + secret, "(" + secret,
	} {
		_, err := Check(sql, Options{})
		if err == nil || strings.Contains(strings.ToLower(err.Error()), secret) || !utf8.ValidString(err.Error()) {
			t.Errorf("Check(%q): got %v", sql, err)
		}
	}
	_, err := Check("select 1;\ncommit", Options{})
	if got, want := err.Error(), manyStatements+" (at character 9)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err = Check("", Options{})
	if got := err.Error(); got != empty {
		t.Errorf("got %q, want %q", got, empty)
	}
}

func BenchmarkCheck(b *testing.B) {
	const sql = `SELECT c.name, count(o.id) AS n FROM shop.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id AND o.status = 'paid' WHERE c.country IN ('DE', 'FR') GROUP BY c.name ORDER BY 2 DESC LIMIT 500`
	o := Options{}
	for b.Loop() {
		if _, err := Check(sql, o); err != nil {
			b.Fatal(err)
		}
	}
}
