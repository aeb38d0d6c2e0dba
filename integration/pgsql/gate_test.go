package pgsql

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// TestGateTellsWhat names what is refused, so that a model can correct itself.
func TestGateTellsWhat(t *testing.T) {
	t.Parallel()
	cs, _ := client(t, gated(t, database(t), nil))
	for sql, want := range map[string]string{
		"SELECT pg_read_file('x')":                    "function pg_read_file is not allowed",
		"SELECT * FROM pg_authid":                     "table or view pg_authid is not allowed",
		"SELECT * FROM shop.v_lock":                   "table or view v_lock is not allowed",
		"SELECT 1::shop.d_lock":                       "type d_lock is not allowed",
		"SELECT 1::int8 OPERATOR(shop.@#@) 2::int8":   "operator @#@ is not allowed",
		"SELECT current_setting('app.key')":           "current_setting is not allowed but for settings that SHOW may ask for",
		"SELECT shop.net_margin(1, 2) -- user's code": "function net_margin is not allowed",
	} {
		if got := query(t, cs, sql); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %q", sql, got, want)
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	name := database(t)
	db := gated(t, name, func(o *pgtool.Options) { o.Allow = []string{"shop.net_margin", "shop.v_lock"} })
	if got := row(t, db, "SELECT shop.net_margin(3, 2)"); got != `["1"]` {
		t.Errorf("got %s", got)
	}
	rows(t, db, "SELECT * FROM shop.v_lock")
	if _, err := db.ReadOnly(t.Context(), "SELECT shop.touch_victim()"); err == nil {
		t.Error("a function that is not listed was called")
	}
	_, err := pgtool.Open(t.Context(), pgtool.Options{
		URL: redact.NewSecret(postgres.Server(t).URL(name, reader)), Allow: []string{"shop.net_margin", "shop.nett_margin"},
	})
	if err == nil || !strings.HasSuffix(err.Error(), "does not have: shop.nett_margin") {
		t.Errorf("got %v, want the name that is missing", err)
	}
	for _, bad := range []string{"net_margin", ".x", "x.", "a.b\nc"} {
		if _, err := pgtool.Open(t.Context(), pgtool.Options{URL: redact.NewSecret("postgres://x@localhost/y"), Allow: []string{bad}}); err == nil || !strings.Contains(err.Error(), "Options.Allow") {
			t.Errorf("%q: got %v, want an error about Options.Allow", bad, err)
		}
	}
}

func TestGateSchemas(t *testing.T) {
	t.Parallel()
	db := gated(t, database(t), func(o *pgtool.Options) { o.Schemas = []string{"shop"} })
	if got := row(t, db, "SELECT count(*) FROM victim"); got != `["100"]` {
		t.Errorf("got %s", got)
	}
	_, one := db.ReadOnly(t.Context(), "SELECT * FROM evil.customers")
	_, other := db.ReadOnly(t.Context(), "SELECT * FROM evil.not_there_yet")
	if one == nil || other == nil || one.Error() != other.Error() {
		t.Errorf("got %v and %v, want the same refusal", one, other)
	}
}

// TestGateNotices sees what is made after Open, within some seconds.
func TestGateNotices(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	db := gated(t, name, nil)
	rows(t, db, "SELECT 1")
	pgtest.Exec(t, conn, "CREATE FUNCTION public.later(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'; CREATE VIEW public.later_view AS SELECT public.later(1) AS x;"+
		"GRANT SELECT ON public.later_view TO PUBLIC; CREATE OR REPLACE VIEW shop.paid_orders AS SELECT * FROM shop.orders WHERE shop.do_lock(1) = 1")
	for _, sql := range []string{"SELECT public.later(1)", "SELECT * FROM public.later_view", "SELECT * FROM shop.paid_orders LIMIT 0"} {
		refused := func() bool {
			_, err := db.ReadOnly(t.Context(), sql)
			e, ok := err.(*mcpsec.Error)
			return ok && strings.Contains(e.Message, "is not allowed")
		}
		for i := 0; !refused(); i++ {
			if i == 100 {
				t.Fatalf("%s: is still allowed", sql)
			}
			pgtest.Exec(t, conn, "SELECT pg_sleep(0.2)")
		}
	}
}

func BenchmarkCatalog(b *testing.B) {
	name := database(b)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			db, err := pgtool.Open(b.Context(), pgtool.Options{URL: redact.NewSecret(postgres.Server(b).URL(name, reader))})
			if err != nil {
				b.Fatal(err)
			}
			db.Close()
		}
	})
	b.Run("open without", func(b *testing.B) {
		for b.Loop() {
			db, err := pgtool.Open(b.Context(), pgtool.Options{URL: redact.NewSecret(postgres.Server(b).URL(name, reader)), Waive: []mcpsec.Waiver{anySQL}})
			if err != nil {
				b.Fatal(err)
			}
			db.Close()
		}
	})
}
