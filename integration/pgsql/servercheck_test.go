package pgsql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

func serverChecked(o *pgtool.Options) { o.ServerCheck = true }

// refused returns the text by which a statement is refused, or fails the test.
func refused(t testing.TB, db *pgtool.DB, sql string) string {
	t.Helper()
	_, err := db.ReadOnly(t.Context(), sql)
	e, ok := err.(*mcpsec.Error)
	if !ok {
		t.Errorf("%s: got %v, want a refusal", sql, err)
		return ""
	}
	return e.Message
}

// TestServerCheckSees refuses what the snapshot of the catalog does not have yet: a
// function, a view that has another text, an operator and a type.
func TestServerCheckSees(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	for sql, want := range map[string]string{
		"SELECT public.fresh(1)":                                       "try again in a few seconds",
		"SELECT count(*) FROM shop.paid_orders":                        "function do_lock is not allowed",
		"SELECT count(*) FROM public.fresh_view":                       "try again in a few seconds",
		"SELECT 1 WHERE 'x'::text @@@@ 'y'::text":                      "try again in a few seconds",
		"SELECT '1'::public.fresh_type":                                "try again in a few seconds",
		"SELECT x FROM json_to_record('{}') AS r(x public.fresh_type)": "try again in a few seconds",
	} {
		checked, plain := gated(t, name, serverChecked), gated(t, name, nil)
		pgtest.Exec(t, conn, `CREATE FUNCTION public.fresh(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
			CREATE FUNCTION public.fresh(text, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
			CREATE OPERATOR public.@@@@ (LEFTARG = text, RIGHTARG = text, FUNCTION = public.fresh);
			CREATE TYPE public.fresh_type AS ENUM ('1');
			CREATE VIEW public.fresh_view AS SELECT public.fresh(1) AS x; GRANT SELECT ON public.fresh_view TO PUBLIC;
			CREATE OR REPLACE VIEW shop.paid_orders AS SELECT * FROM shop.orders WHERE shop.do_lock(1) = 1`)
		if got := refused(t, checked, sql); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
		if _, err := plain.ReadOnly(t.Context(), sql); err != nil && !strings.Contains(err.Error(), "SQLSTATE") {
			t.Errorf("%s: %v: the gate alone refuses it, so that the test shows nothing", sql, err)
		}
		pgtest.Exec(t, conn, `DROP VIEW public.fresh_view; DROP OPERATOR public.@@@@ (text, text); DROP FUNCTION public.fresh(int), public.fresh(text, text);
			DROP TYPE public.fresh_type; CREATE OR REPLACE VIEW shop.paid_orders AS SELECT * FROM shop.orders WHERE status = 'paid'`)
	}
}

// TestServerCheckAccepts runs what is honest, twice: the second time the server is
// not asked.
func TestServerCheckAccepts(t *testing.T) {
	t.Parallel()
	db := gated(t, database(t), func(o *pgtool.Options) { o.ServerCheck, o.Allow = true, []string{"shop.net_margin", "shop.v_lock"} })
	for range 2 {
		for sql, want := range map[string]string{
			"SELECT count(*) FROM shop.customers":                       "",
			"EXPLAIN (COSTS OFF) SELECT 1":                              `["Result"]`,
			"SHOW server_version_num":                                   "",
			"SELECT shop.net_margin(3, 2)":                              `["1"]`,
			"SELECT * FROM shop.v_lock LIMIT 0":                         "none",
			"SELECT count(*) > 0 FROM pg_stat_activity":                 `[true]`,
			"SELECT count(*) FROM (TABLE shop.customers) x WHERE false": `["0"]`,
		} {
			got := rows(t, db, sql)
			if want == "none" && len(got) == 0 || want == "" && len(got) == 1 {
				continue
			}
			if len(got) != 1 || got[0] != want {
				t.Errorf("%s: got %s, want %s", sql, got, want)
			}
		}
	}
}

// TestServerCheckErrors tells of a statement that the server does not accept what it
// would tell without the check, and where.
func TestServerCheckErrors(t *testing.T) {
	t.Parallel()
	name := database(t)
	checked, plain := gated(t, name, serverChecked), gated(t, name, nil)
	for _, sql := range []string{"SELECT nope FROM shop.customers", "EXPLAIN (COSTS OFF) SELECT 'é', nope FROM shop.customers", "SELECT * FROM shop.nope", "SELECT 1 +"} {
		for range 2 {
			if got, want := refused(t, checked, sql), refused(t, plain, sql); got != want {
				t.Errorf("%s: got %q, want %q", sql, got, want)
			}
		}
	}
}

// TestServerCheckTooLarge refuses a statement of which the analysis is larger than
// what is read, and goes on.
func TestServerCheckTooLarge(t *testing.T) {
	t.Parallel()
	name := database(t)
	var columns []string
	for i := range 400 {
		columns = append(columns, fmt.Sprintf("c%d int", i))
	}
	pgtest.Exec(t, postgres.Admin(t, name), "CREATE TABLE public.wide ("+strings.Join(columns, ", ")+"); GRANT SELECT ON public.wide TO PUBLIC")
	db := gated(t, name, serverChecked)
	rows(t, db, "TABLE wide")
	sql := "TABLE wide" + strings.Repeat(" UNION ALL TABLE wide", 55)
	if got := refused(t, db, sql); !strings.Contains(got, "cannot be checked: use a plainer or shorter one") {
		t.Errorf("got %q", got)
	}
	if got := row(t, db, "SELECT 1"); got != "[1]" {
		t.Errorf("afterwards: got %s", got)
	}
}

// TestServerCheckLongName refuses a name in which the server breaks a line.
func TestServerCheckLongName(t *testing.T) {
	t.Parallel()
	db := gated(t, database(t), serverChecked)
	for _, alias := range []string{strings.Repeat("(", 60), strings.Repeat("(", 20) + "\n" + strings.Repeat("}", 40)} {
		if got := refused(t, db, `SELECT 1 AS "`+alias+`"`); !strings.Contains(got, "cannot be checked") {
			t.Errorf("%q: got %q", alias, got)
		}
	}
	if got := row(t, db, `SELECT 1 AS "`+strings.Repeat("a b ", 15)+`", 2 AS "`+strings.Repeat("é", 31)+`"`); got != "[1,2]" {
		t.Errorf("got %s", got)
	}
}

// TestServerCheckStarts needs a server that shows its analysis, and a gate.
func TestServerCheckStarts(t *testing.T) {
	t.Parallel()
	name := database(t)
	url := redact.NewSecret(postgres.Server(t).URL(name, reader))
	_, err := pgtool.Open(t.Context(), pgtool.Options{URL: url, ServerCheck: true, Waive: []mcpsec.Waiver{anySQL}})
	if err == nil || !strings.Contains(err.Error(), "Options.ServerCheck has nothing to compare with") {
		t.Errorf("got %v", err)
	}
}

// BenchmarkServerCheck is what the check adds to a statement that was not seen before.
func BenchmarkServerCheck(b *testing.B) {
	name := database(b)
	for kind, change := range map[string]func(*pgtool.Options){"without": nil, "with": serverChecked} {
		db := gated(b, name, change)
		b.Run(kind, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				rows(b, db, fmt.Sprintf("SELECT id, name, email, country FROM shop.customers WHERE id = 1 AND %d > 0", i+1))
			}
		})
	}
}
