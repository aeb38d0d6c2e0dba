package pgsql

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// one makes all calls go through one session.
func one(o *pgtool.Options) { o.MaxConns = 1 }

const plant = `
CREATE FUNCTION public.plant(statement text) RETURNS text LANGUAGE plpgsql AS $$BEGIN EXECUTE statement; RETURN 'planted'; END$$;
CREATE SEQUENCE public.seq; GRANT SELECT ON public.seq TO PUBLIC`

// TestSessionAsNew plants something in the session by one call, and looks for
// it by the next, which has the same session where a reset undoes it all.
func TestSessionAsNew(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	pgtest.Exec(t, conn, plant)
	db := open(t, name, one)
	pid := row(t, db, "SELECT pg_backend_pid()")
	for _, test := range []struct {
		plant, look, want string
		fresh             bool // the session is another one, as the reset does not undo this
	}{
		{"SELECT set_config('work_mem', '77MB', false)", "SELECT current_setting('work_mem')", `["16MB"]`, true},
		{"SELECT set_config('bytea_output', 'escape', false)", `SELECT '\x00'::bytea::text`, `["\\x00"]`, true},
		{"SELECT set_config('statement_timeout', '0', false)", "SELECT current_setting('statement_timeout')", `["10s"]`, true},
		{"SELECT set_config('search_path', 'evil', false)", "SELECT current_setting('search_path')", `["pg_catalog, public, pg_temp"]`, true},
		{"SELECT set_config('role', '" + reader + "', false)", "SELECT current_setting('role')", `["none"]`, true},
		{"SELECT set_config('session_authorization', '" + reader + "', false)", "SELECT session_user = current_user", `[true]`, true},
		{"SELECT set_config('default_transaction_read_only', 'off', false)", "SELECT current_setting('default_transaction_read_only')", `["on"]`, true},
		{"SELECT set_config('shop.planted', 'x', false)", "SELECT current_setting('shop.planted', true) IS NULL", `[true]`, true},
		{"SELECT pg_catalog.\"set_config\"('shop.planted', 'x', true)", "SELECT current_setting('shop.planted', true) IS NULL", `[true]`, true},
		{"SELECT set_config('shop.planted', 'x', false), 1/0", "SELECT current_setting('shop.planted', true) IS NULL", `[true]`, true},
		{"SELECT query_to_xml('SELECT set_config(''shop.planted'', ''x'', false)', true, true, '')", "SELECT current_setting('shop.planted', true) IS NULL", `[true]`, true},
		{"SELECT public.plant('SET shop.planted = 1')", "SELECT current_setting('shop.planted', true) IS NULL", `[true]`, true},
		{"SELECT setseed(0.5)", "SELECT 1", `[1]`, true},
		{"SELECT pg_advisory_lock(4242)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", `["0"]`, false},
		{"SELECT pg_advisory_lock(g) FROM generate_series(1, 500) g", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", `["0"]`, false},
		{"SELECT plant('PREPARE atk AS SELECT 1')", "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''", `["0"]`, false},
		{"SELECT plant('LISTEN atk')", "SELECT count(*) FROM pg_listening_channels()", `["0"]`, false},
		{"SELECT plant('DECLARE atk CURSOR WITH HOLD FOR SELECT 1')", "SELECT count(*) FROM pg_cursors WHERE is_holdable", `["0"]`, false},
		{"SELECT plant('CREATE TEMP TABLE atk (a int)')", "SELECT to_regclass('pg_temp.atk') IS NULL", `[true]`, false},
		{"SELECT 1/0 FROM pg_advisory_lock(4242)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", `["0"]`, false},
	} {
		_, err := db.ReadOnly(t.Context(), test.plant) // some are refused, which is as good
		if got := row(t, db, test.look); got != test.want {
			t.Errorf("after %s (%v): got %s, want %s", test.plant, err, got, test.want)
		}
		if got := row(t, db, "SELECT pg_backend_pid()"); (got != pid) != test.fresh {
			t.Errorf("after %s: another session: %v, want %v", test.plant, got != pid, test.fresh)
		}
		pid = row(t, db, "SELECT pg_backend_pid()")
	}
}

// TestSeed looks whether the caller before has chosen what is random.
func TestSeed(t *testing.T) {
	t.Parallel()
	db := open(t, database(t), one)
	var got [2]string
	for i := range got {
		rows(t, db, "SELECT setseed(0.5)")
		got[i] = row(t, db, "SELECT random()")
	}
	if got[0] == got[1] {
		t.Errorf("the same number twice: %s", got[0])
	}
}

// TestSessionEnds makes as many trips as one session may.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	db := open(t, database(t), one)
	pid := row(t, db, "SELECT pg_backend_pid()")
	for range 1_000 {
		rows(t, db, "SELECT 1")
	}
	if row(t, db, "SELECT pg_backend_pid()") == pid {
		t.Error("the same session after 1,000 trips")
	}
}

// TestAdvisoryLockIsFree looks from outside, without a call in between.
func TestAdvisoryLockIsFree(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	db := open(t, name, one)
	rows(t, db, "SELECT pg_advisory_lock(77)")
	const held = "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
	until(t, conn, held)
}

// TestTransaction shows the transaction from inside.
func TestTransaction(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), "ALTER DATABASE "+name+" SET row_security = off; ALTER DATABASE "+name+" SET work_mem = '99MB'")
	db := open(t, name, func(o *pgtool.Options) { o.Schemas = []string{"shop"} })
	got := row(t, db, `SELECT current_setting('transaction_read_only'), current_setting('statement_timeout'), current_setting('lock_timeout'),
		current_setting('idle_in_transaction_session_timeout'), current_setting('work_mem'), current_setting('row_security'),
		current_setting('search_path'), current_setting('application_name'), current_setting('client_encoding')`)
	want := `["on","10s","2s","15s","16MB","on","pg_catalog, \"shop\", pg_temp","mcpsec pgtool","UTF8"]`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if got := row(t, db, "SELECT count(*) FROM shop.rls_notes"); got != `["1"]` {
		t.Errorf("rows behind a policy: %s", got)
	}
}

// TestSurprise ends the transaction from inside, as no statement that the gate
// lets through can. The connection is not used again.
func TestSurprise(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), "CREATE FUNCTION public.die() RETURNS int LANGUAGE plpgsql AS "+
		"$$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN 1; END$$")
	db := open(t, name, one)
	pid := row(t, db, "SELECT pg_backend_pid()")
	if _, err := db.ReadOnly(t.Context(), "SELECT public.die()"); err == nil {
		t.Error("a session that ends itself: no error")
	}
	if got := row(t, db, "SELECT pg_backend_pid()"); got == pid {
		t.Error("a dead session was used again")
	}
}
