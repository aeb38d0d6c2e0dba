package pgsql

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

type explained struct {
	Cost     float64
	Warnings []string
	Text     string
	Plan     json.RawMessage
	Hidden   bool
}

func TestExplain(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), "INSERT INTO shop.big SELECT g, 'p' FROM generate_series(1, 20000) g; ANALYZE shop.big")
	cs := inspector(t, open(t, name, one))
	e := result[explained](t, cs, "pg_explain", map[string]any{"sql": "SELECT * FROM shop.big WHERE id = $1", "params": []any{7}})
	if !strings.Contains(e.Text, "shop.big") || e.Cost <= 0 || e.Hidden {
		t.Errorf("got %+v", e)
	}
	e = result[explained](t, cs, "pg_explain", map[string]any{"sql": "SELECT count(*) FROM shop.big WHERE pad LIKE '%x';", "json": true})
	if len(e.Warnings) == 0 || !strings.Contains(e.Warnings[0], "sequential scan of shop.big") || !strings.Contains(string(e.Plan), `"Node Type"`) {
		t.Errorf("got %+v", e)
	}
	for sql, want := range map[string]string{
		"EXPLAIN SELECT 1":                   "must be the statement itself",
		"SHOW work_mem":                      "must be the statement itself",
		"EXPLAIN ANALYZE SELECT 1":           "ANALYZE",
		"DELETE FROM shop.victim":            "is not allowed",
		"SELECT 1; DROP TABLE shop.victim":   "more than one statement",
		"SELECT nosuch FROM shop.big":        "at character 8)",
		"SELECT * FROM shop.api_tokens":      "42501",
		") SELECT 1":                         "",
		"SELECT 1) SELECT 2":                 "",
		"(ANALYZE) SELECT count(*) FROM t":   "",
		"ANALYZE SELECT pg_sleep(3600)":      "",
		"SELECT * FROM shop.big WHERE id=$1": "SQLSTATE",
	} {
		if text, failed := call(t, cs, "pg_explain", map[string]any{"sql": sql}); !failed || !strings.Contains(text, want) {
			t.Errorf("%s: got %s, want %q", sql, text, want)
		}
	}
	if text, failed := call(t, cs, "pg_explain", map[string]any{"sql": "SELECT 1", "analyze": true}); !failed {
		t.Errorf("analyze without the option: %s", text)
	}
}

// TestExplainDoesNotRun explains what would not end, or leave something behind.
func TestExplainDoesNotRun(t *testing.T) {
	t.Parallel()
	cs := inspector(t, open(t, database(t), one))
	for _, sql := range []string{"SELECT pg_sleep(3600)", "SELECT count(*) FROM generate_series(1, 1000000000000)"} {
		if text, failed := call(t, cs, "pg_explain", map[string]any{"sql": sql}); failed {
			t.Errorf("%s: %s", sql, text)
		}
	}
}

func TestExplainAnalyze(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	pgtest.Exec(t, conn, `CREATE TABLE public.pairs AS SELECT g % 100 AS a, g % 100 AS b FROM generate_series(1, 60000) g; GRANT SELECT ON public.pairs TO PUBLIC; ANALYZE public.pairs;
		CREATE TABLE public.w (a int); CREATE FUNCTION public.writes() RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.w VALUES (1); RETURN 1; END$$`)
	cs := inspector(t, open(t, name, func(o *pgtool.Options) { o.ExplainAnalyze = true }))
	e := result[explained](t, cs, "pg_explain", map[string]any{"sql": "SELECT * FROM public.pairs WHERE a = 5 AND b BETWEEN 5 AND 5", "analyze": true})
	if !strings.Contains(e.Text, "actual time") {
		t.Errorf("got %+v", e)
	}
	e = result[explained](t, cs, "pg_explain", map[string]any{"sql": "SELECT * FROM public.pairs ORDER BY a, b, md5(a::text), repeat('x', 500)", "analyze": true})
	if !strings.Contains(strings.Join(e.Warnings, ";"), "to disk") {
		t.Errorf("a sort that spills: got %v", e.Warnings)
	}
	e = result[explained](t, cs, "pg_explain", map[string]any{"sql": "SELECT count(*) FROM generate_series(1, 20000) a WHERE a < 20000 AND a % 1 = 0", "analyze": true})
	if !strings.Contains(strings.Join(e.Warnings, ";"), "was to give") {
		t.Errorf("a wrong estimate: got %v", e.Warnings)
	}
	if text, failed := call(t, cs, "pg_explain", map[string]any{"sql": "SELECT public.writes()", "analyze": true}); !failed || !strings.Contains(text, "25006") {
		t.Errorf("a function that writes: %s", text)
	}
	query, _ := client(t, open(t, name, func(o *pgtool.Options) { o.ExplainAnalyze = true }))
	if text, failed := call(t, query, "pg_query", map[string]any{"sql": "EXPLAIN ANALYZE SELECT 1"}); !failed {
		t.Errorf("the option is for pg_explain alone: %s", text)
	}
	if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM public.w"); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

// TestHypotheticalIndexes imagines an index, for one call.
func TestHypotheticalIndexes(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	cs := inspector(t, open(t, name, one))
	args := map[string]any{"sql": "SELECT * FROM shop.big WHERE id = 5", "indexes": []any{map[string]any{"schema": "shop", "table": "big", "columns": []any{"id", "pad"}}}}
	if pgtest.Ask[int](t, conn, "SELECT count(*) FROM pg_available_extensions WHERE name = 'hypopg'") == 0 {
		if text, failed := call(t, cs, "pg_explain", args); !failed || !strings.Contains(text, "CREATE EXTENSION hypopg") {
			t.Errorf("got %s", text)
		}
		return
	}
	pgtest.Exec(t, conn, `CREATE SCHEMA "odd ""one"; GRANT USAGE ON SCHEMA "odd ""one" TO PUBLIC; CREATE EXTENSION hypopg SCHEMA "odd ""one";
		CREATE TABLE public."odd (t" (a int); GRANT SELECT ON public."odd (t" TO PUBLIC`)
	if e := result[explained](t, cs, "pg_explain", args); !strings.Contains(e.Text, "btree_shop_big_id") {
		t.Errorf("with the index: got %s", e.Text)
	}
	delete(args, "indexes")
	if e := result[explained](t, cs, "pg_explain", args); strings.Contains(e.Text, "btree_shop") {
		t.Errorf("it is still imagined: %s", e.Text)
	}
	args["indexes"] = []any{map[string]any{"schema": "public", "table": "odd (t", "columns": []any{"a"}}}
	result[explained](t, cs, "pg_explain", args)
	for _, bad := range []map[string]any{
		{"schema": "shop", "table": "api_tokens", "columns": []any{"token"}}, {"schema": "shop", "table": "big", "columns": []any{"nosuch"}},
		{"schema": "pg_catalog", "table": "pg_class", "columns": []any{"relname"}}, {"schema": "shop", "table": `big (id); DROP TABLE x; --`, "columns": []any{"id"}},
		{"schema": "shop", "table": "big", "columns": []any{`id") WHERE (SELECT 1/0) > 0; --`}},
		{"schema": "shop", "table": "big", "columns": []any{"id) WHERE (id > 0"}},
	} {
		args["indexes"] = []any{bad}
		if text, failed := call(t, cs, "pg_explain", args); !failed {
			t.Errorf("%v: %s", bad, text)
		}
	}
}
