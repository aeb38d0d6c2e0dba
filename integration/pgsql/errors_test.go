package pgsql

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
)

// TestErrorsShowNoData provokes errors whose text, detail, hint or context
// quotes a row, a definition or a setting.
func TestErrorsShowNoData(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), `CREATE TABLE public.canary (a int, note text); INSERT INTO public.canary VALUES (1, 'CANARY-7f3a');
		CREATE FUNCTION public.tell() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'CANARY-7f3a'
			USING DETAIL = 'CANARY-7f3a', HINT = 'CANARY-7f3a', ERRCODE = 'P0001'; END$$;
		GRANT SELECT ON public.canary TO PUBLIC`)
	cs, log := client(t, open(t, name, nil))
	for _, test := range []struct{ sql, want string }{
		{"SELECT note::int FROM canary", "SQLSTATE 22P02"},
		{"SELECT a FROM canary WHERE note::date > now()", "SQLSTATE 22007"},
		{"SELECT note::json FROM canary", "SQLSTATE 22P02"},
		{"SELECT note::uuid FROM canary", "SQLSTATE 22P02"},
		{"SELECT ('{' || note)::int[] FROM canary", "SQLSTATE 22P02"},
		{"SELECT note::inet FROM canary", "SQLSTATE 22P02"},
		{"SELECT note::xml FROM (SELECT '<' || note AS note FROM canary) x", "SQLSTATE 2200"},
		{"SELECT '' ~ ('(' || note) FROM canary", "SQLSTATE 2201B"},
		{"SELECT current_setting(note) FROM canary", "SQLSTATE 42704"},
		{"SELECT note::regclass FROM canary", "SQLSTATE 42"},
		{"SELECT public.tell()", "a function failed (SQLSTATE P0001)"},
		{"SELECT 1 FROM canary WHERE note = a", "SQLSTATE 42883"},
		{"SELECT repeat(note, 1000000000) FROM canary", "SQLSTATE 54000"},
		{"SELECT canary.nosuch FROM canary", "at character 8"},
	} {
		got := query(t, cs, test.sql)
		if strings.Contains(got, "CANARY") || strings.Contains(got, "canary") {
			t.Errorf("%s: the model sees %s", test.sql, got)
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%s: got %s, want %s", test.sql, got, test.want)
		}
	}
	if !strings.Contains(log.String(), "CANARY-7f3a") {
		t.Error("the log does not show the server's words")
	}
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	cs, _ := client(t, open(t, database(t), nil))
	for _, test := range []struct{ sql, want string }{
		{"SELECT * FROM nosuch", "a table or view does not exist; pg_list_objects lists them, and a schema may be needed before the name (SQLSTATE 42P01, at character 15)"},
		{"SELECT é FROM shop.orders", "a column does not exist; pg_describe lists the columns (SQLSTATE 42703, at character 8)"},
		{"SELECT 'é', nosuch(1)", "for these types; add casts, or check the name (SQLSTATE 42883, at character 13)"},
		{"SELECT FROM WHERE", "syntax error (SQLSTATE 42601, at character 13)"},
		{"SELECT token FROM shop.api_tokens", "permission denied for a table, column, schema or function (SQLSTATE 42501)"},
		{"SELECT 1/0", "division by zero (SQLSTATE 22012)"},
		{"SELECT shop.touch_victim()", "the statement would change data: this tool only reads (SQLSTATE 25006)"},
		{"SELECT 1; SELECT 2", "more than one statement"},
		{"DELETE FROM shop.victim", "DELETE is not allowed: this tool only reads"},
	} {
		if got := query(t, cs, test.sql); !strings.Contains(got, test.want) {
			t.Errorf("%s:\n got %s\nwant %s", test.sql, got, test.want)
		}
	}
}
