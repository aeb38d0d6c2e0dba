package pgsql

import (
	"context"
	osexec "os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// role creates a role that may log in, and drops it at the end.
func role(t testing.TB, conn *pgx.Conn, name, attributes string) {
	t.Helper()
	pgtest.Exec(t, conn, "CREATE ROLE "+name+" "+attributes+" PASSWORD '"+postgres.Server(t).Password()+"'")
	dropRole(t, conn, name)
}

func dropRole(t testing.TB, conn *pgx.Conn, name string) {
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), "REASSIGN OWNED BY "+name+" TO CURRENT_USER; DROP OWNED BY "+name+"; DROP ROLE "+name); err != nil {
			t.Error(err)
		}
	})
}

func openAs(t testing.TB, database, role string, waive ...mcpsec.Waiver) error {
	t.Helper()
	db, err := pgtool.Open(t.Context(), pgtool.Options{URL: redact.NewSecret(postgres.Server(t).URL(database, role)), Waive: waive})
	if err == nil {
		db.Close()
	}
	return err
}

func TestRoleFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ attributes, grant, want string }{
		{"LOGIN SUPERUSER", "", "the role is a superuser"},
		{"LOGIN BYPASSRLS", "", "has BYPASSRLS"},
		{"LOGIN REPLICATION", "", "has REPLICATION"},
		{"LOGIN CREATEROLE", "", "has CREATEROLE"},
		{"LOGIN CREATEDB", "", "has CREATEDB"},
		{"LOGIN", "GRANT pg_read_server_files TO {r}", "pg_read_server_files"},
		{"LOGIN NOINHERIT", "GRANT pg_execute_server_program TO {r}", "pg_execute_server_program"},
		{"LOGIN", "GRANT pg_read_all_data TO {r}", "pg_read_all_data"},
		{"LOGIN", "GRANT pg_monitor TO {r}", "pg_read_all_stats"},
		{"LOGIN", "GRANT pg_signal_backend TO {r}", "pg_signal_backend"},
		{"LOGIN NOINHERIT", "CREATE ROLE {r}_2 NOLOGIN CREATEDB; GRANT {r}_2 TO {r}", "the role can become {r}_2, which has CREATEDB"},
		{"LOGIN NOINHERIT", "CREATE ROLE {r}_2 NOLOGIN; GRANT {r}_2 TO {r}; GRANT DELETE ON public.t TO {r}_2", "{r}_2, which can write to public.t"},
		{"LOGIN", "ALTER TABLE public.t OWNER TO {r}", "owns table"},
		{"LOGIN", "ALTER FUNCTION public.f() OWNER TO {r}", "owns function"},
		{"LOGIN", "CREATE SCHEMA s AUTHORIZATION {r}", "owns schema s"},
		{"LOGIN", "ALTER DATABASE {d} OWNER TO {r}", "owns database"},
		{"LOGIN", "GRANT CREATE ON DATABASE {d} TO {r}", "has CREATE on database"},
		{"LOGIN", "GRANT CREATE ON SCHEMA public TO {r}", "has CREATE on schema public"},
		{"LOGIN", "GRANT CREATE ON SCHEMA public TO PUBLIC", "has CREATE on schema public"},
		{"LOGIN", "GRANT INSERT ON public.t TO {r}", "can write to public.t"},
		{"LOGIN", "GRANT UPDATE (a) ON public.t TO {r}", "can write to public.t"},
		{"LOGIN", "GRANT TRUNCATE ON public.t TO PUBLIC", "can write to public.t"},
		{"LOGIN", "GRANT USAGE ON SEQUENCE public.s TO {r}", "can change sequence public.s"},
		{"LOGIN", "ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO {r}", "has, by default privileges, more than SELECT on tables to come: those of "},
		{"LOGIN", "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT DELETE ON TABLES TO PUBLIC", " in public"},
		{"LOGIN", "GRANT CREATE ON TABLESPACE pg_default TO {r}", "has CREATE on tablespace pg_default"},
		{"LOGIN", "GRANT EXECUTE ON FUNCTION lo_export(oid, text) TO {r}", "functions of PostgreSQL that are not for everybody: lo_export(oid,text)"},
		{"LOGIN", "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO PUBLIC", "pg_read_file(text)"},
		{"LOGIN NOINHERIT", "CREATE ROLE {r}_2 NOLOGIN; GRANT {r}_2 TO {r}; GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {r}_2", "{r}_2, which can run functions of PostgreSQL that are not for everybody: pg_reload_conf()"},
		{"LOGIN", "GRANT SELECT ON pg_authid TO {r}", "catalogs of PostgreSQL that are not for everybody: pg_authid"},
		{"LOGIN", "GRANT SELECT (rolpassword) ON pg_authid TO {r}", "for everybody: pg_authid"},
		{"LOGIN", "GRANT SELECT (subconninfo) ON pg_subscription TO {r}", "for everybody: pg_subscription"},
		{"LOGIN", "GRANT SELECT ON pg_statistic TO PUBLIC", "for everybody: pg_statistic"},
		{"LOGIN", "GRANT SET ON PARAMETER log_statement TO {r}", "parameters that are not for everybody: log_statement"},
		{"LOGIN", "GRANT ALTER SYSTEM ON PARAMETER work_mem TO {r}", "parameters that are not for everybody: work_mem"},
	} {
		t.Run(test.want+test.attributes, func(t *testing.T) {
			t.Parallel()
			name := postgres.Database(t, "")
			conn := postgres.Admin(t, name)
			fill := strings.NewReplacer("{r}", name, "{d}", name)
			pgtest.Exec(t, conn, "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE TABLE public.t (a int, b int); CREATE SEQUENCE public.s;"+
				"CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
			role(t, conn, name, "LOGIN")
			if strings.Contains(test.grant, "{r}_2") {
				dropRole(t, conn, name+"_2")
			}
			if strings.Contains(test.grant, "PARAMETER") && pgtest.Ask[int](t, conn, "SELECT current_setting('server_version_num')::int") < 150_000 {
				t.Skip("the server has no privileges on parameters")
			}
			if err := openAs(t, name, name); err != nil {
				t.Fatalf("before: %v", err)
			}
			pgtest.Exec(t, conn, "ALTER ROLE "+name+" "+test.attributes+";"+fill.Replace(test.grant))
			err := openAs(t, name, name)
			if err == nil || !strings.Contains(err.Error(), fill.Replace(test.want)) {
				t.Fatalf("got %v, want %q", err, fill.Replace(test.want))
			}
			if !strings.Contains(err.Error(), pgtool.SetupSQL(pgtool.SetupOptions{Database: name})) {
				t.Error("the error does not show the SQL that helps")
			}
			if err := openAs(t, name, name, insecure.OverprivilegedRole("test")); err != nil {
				t.Errorf("waived: %v", err)
			}
		})
	}
}

// TestRoleIsWhoLogsIn logs in as a superuser whom a setting makes look like the
// reader, until a statement sets it back.
func TestRoleIsWhoLogsIn(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"role":                  "can return to it",
		"session_authorization": "the role is a superuser", // which has no effect
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			name := postgres.Database(t, "")
			conn := postgres.Admin(t, name)
			pgtest.Exec(t, conn, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
			role(t, conn, name, "LOGIN SUPERUSER")
			role(t, conn, name+"_2", "LOGIN")
			pgtest.Exec(t, conn, "ALTER ROLE "+name+" SET "+setting+" = '"+name+"_2'")
			if err := openAs(t, name, name); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

func TestRoleErrorNamesEveryFault(t *testing.T) {
	t.Parallel()
	name := postgres.Database(t, "")
	conn := postgres.Admin(t, name)
	role(t, conn, name, "LOGIN CREATEDB CREATEROLE")
	pgtest.Exec(t, conn, "CREATE TABLE public.t (a int); GRANT INSERT ON public.t TO "+name+"; CREATE SCHEMA s AUTHORIZATION "+name)
	err := openAs(t, name, name)
	for _, want := range []string{"CREATEDB", "CREATEROLE", "owns schema s", "can write to public.t"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestSetupSQL runs what SetupSQL writes, and opens the database as its role.
func TestSetupSQL(t *testing.T) {
	t.Parallel()
	name := postgres.Database(t, "")
	conn := postgres.Admin(t, name)
	pgtest.Exec(t, conn, `CREATE SCHEMA "odd ""one"; CREATE TABLE "odd ""one".t (a int); INSERT INTO "odd ""one".t VALUES (7)`)
	pgtest.Exec(t, conn, pgtool.SetupSQL(pgtool.SetupOptions{Database: name, Role: name, Schemas: []string{`odd "one`}}))
	pgtest.Exec(t, conn, "ALTER ROLE "+name+" PASSWORD '"+postgres.Server(t).Password()+"'")
	dropRole(t, conn, name)
	db, err := pgtool.Open(t.Context(), pgtool.Options{
		URL: redact.NewSecret(postgres.Server(t).URL(name, name)), Schemas: []string{`odd "one`}, Waive: []mcpsec.Waiver{anySQL},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got := row(t, db, "SELECT a FROM t"); got != "[7]" {
		t.Errorf("got %s", got)
	}
	if got := row(t, db, "SELECT current_setting('temp_file_limit')"); got != `["64MB"]` {
		t.Errorf("temp_file_limit: %s", got)
	}
	for _, sql := range []string{
		"SELECT pg_logical_emit_message(false, '', 'x')", "SELECT pg_logical_emit_message(true, '', 'x'::bytea)",
		"SELECT pg_terminate_backend(0)", "SELECT pg_cancel_backend(0)",
	} {
		if _, err := db.ReadOnly(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: got %v, want permission denied", sql, err)
		}
	}
}

// TestSetupSQLWithPsql runs it as an operator does.
func TestSetupSQLWithPsql(t *testing.T) {
	t.Parallel()
	psql, err := osexec.LookPath("psql")
	if err != nil {
		missing(t, "psql is not installed")
	}
	name := postgres.Database(t, "")
	conn := postgres.Admin(t, name)
	cmd := osexec.CommandContext(t.Context(), psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", postgres.Server(t).URL(name, ""))
	cmd.Stdin = strings.NewReader(pgtool.SetupSQL(pgtool.SetupOptions{Database: name, Role: name}))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	dropRole(t, conn, name)
	pgtest.Exec(t, conn, "ALTER ROLE "+name+" PASSWORD '"+postgres.Server(t).Password()+"'")
	if err := openAs(t, name, name); err != nil {
		t.Error(err)
	}
}

func TestOpenErrorsAreClean(t *testing.T) {
	t.Parallel()
	server := postgres.Server(t)
	name := database(t)
	for _, test := range []struct{ url, want string }{
		{server.URLAs(name, reader, "hunter2secret"), "SQLSTATE 28P01"},
		{server.URL("no_such_db", reader), "no such database"},
		{strings.Replace(server.URL(name, reader), "sslmode=disable", "sslmode=verify-full", 1), "does not speak TLS"},
		{"postgres://canaryuser:hunter2secret@127.0.0.1:1/canarydb?sslmode=disable", "nothing listens"},
	} {
		_, err := pgtool.Open(t.Context(), pgtool.Options{URL: redact.NewSecret(test.url)})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
			continue
		}
		for _, secret := range []string{"hunter2", "canary", server.Password(), name, reader, "127.0.0.1"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows %q: %v", secret, err)
			}
		}
	}
}
