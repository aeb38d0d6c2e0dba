package pgsql

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// healthy is the template of the databases with testdata/healthy.sql.
const healthy = "pgsql_healthy"

func healthyTemplate(ctx context.Context, s *pgserver.Server) error {
	if err := s.CreateDatabase(ctx, healthy, ""); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.URL(healthy, ""))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	text, err := os.ReadFile("testdata/healthy.sql")
	if err != nil {
		return err
	}
	return load(ctx, conn, string(text))
}

// openSuper opens a database as the superuser, who sees all.
func openSuper(t testing.TB, database string, change func(*pgtool.Options)) *pgtool.DB {
	t.Helper()
	o := pgtool.Options{URL: redact.NewSecret(postgres.Server(t).URL(database, "")), Waive: []mcpsec.Waiver{insecure.OverprivilegedRole("test"), anySQL}}
	if change != nil {
		change(&o)
	}
	db, err := pgtool.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func inspector(t testing.TB, db *pgtool.DB) *mcp.ClientSession {
	t.Helper()
	cs, _ := serve(t, func(s *mcpsec.Server) { s.Add(pgtool.InspectTools(db)...) })
	return cs
}

type finding struct{ Severity, Check, Object, What, Why, Fix string }

type report struct {
	Findings []finding
	Checked  []string
	Unseen   []string `json:"not_visible"`
	Scope    string
	More     bool
}

// about returns the findings about objects of this database: the server has
// settings and roles that all tests share.
func (r report) about() (out []string) {
	for _, f := range r.Findings {
		if shared := f.Object == "" || strings.HasPrefix(f.Object, "role ") || strings.HasPrefix(f.Object, "pg_hba"); !shared {
			out = append(out, f.Check+" "+f.Object)
		}
	}
	return out
}

// flaws are one flaw each, the check that finds it, and what it names.
var flaws = []struct{ tool, check, object, sql string }{
	{"pg_health", "invalid_index", "app.orders_note", "CREATE INDEX orders_note ON app.orders (note); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.orders_note'::regclass"},
	{"pg_health", "duplicate_index", "app.orders_person_2", "CREATE INDEX orders_person_2 ON app.orders (person)"},
	{"pg_health", "duplicate_index", "app.people_id", "CREATE UNIQUE INDEX people_id ON app.people (id)"},
	{"pg_health", "redundant_index", "app.orders_person", "CREATE INDEX orders_person_total ON app.orders (person, total)"},
	{"pg_health", "unused_index", "app.orders_big", "INSERT INTO app.orders (person, total) SELECT 1, g FROM generate_series(1, 60000) g; CREATE INDEX orders_big ON app.orders (total, note); VACUUM ANALYZE app.orders; SELECT count(*) FROM app.orders WHERE person = 1; SET enable_seqscan = off; SELECT count(*) FROM app.orders WHERE person = 5"},
	{"pg_health", "bloated_index", "app.wide_pkey", "CREATE TABLE app.wide (id int PRIMARY KEY); INSERT INTO app.wide SELECT generate_series(1, 100000); DELETE FROM app.wide WHERE id % 100 <> 0; VACUUM ANALYZE app.wide"},
	{"pg_health", "dead_rows", "app.wide", "CREATE TABLE app.wide (id int PRIMARY KEY) WITH (autovacuum_vacuum_threshold = 2000000000); INSERT INTO app.wide SELECT generate_series(1, 30000); DELETE FROM app.wide WHERE id > 15000; ANALYZE app.wide"},
	{"pg_health", "stale_statistics", "app.wide", "CREATE TABLE app.wide (id int PRIMARY KEY) WITH (autovacuum_analyze_threshold = 2000000000); INSERT INTO app.wide SELECT generate_series(1, 20000)"},
	{"pg_health", "autovacuum_off", "app.orders", "ALTER TABLE app.orders SET (autovacuum_enabled = off)"},
	{"pg_health", "unvalidated_constraint", "app.orders", "ALTER TABLE app.orders ADD CONSTRAINT dear CHECK (total > 0) NOT VALID"},
	{"pg_health", "sequence_near_end", "app.small_id_seq", "CREATE TABLE app.small (id serial PRIMARY KEY); ALTER SEQUENCE app.small_id_seq AS bigint; SELECT setval('app.small_id_seq', 2000000000)"},
	{"pg_health", "sequence_near_end", "app.down", "CREATE SEQUENCE app.down INCREMENT -1 MINVALUE -100; SELECT setval('app.down', -99)"},
	{"pg_index_advice", "foreign_key_without_index", "app.orders", "DROP INDEX app.orders_person"},
	{"pg_index_advice", "foreign_key_without_index", "app.orders", "DROP INDEX app.orders_person; CREATE INDEX orders_person ON app.orders (total, person)"},
	{"pg_index_advice", "sequential_scans", "app.wide", "CREATE TABLE app.wide (id int PRIMARY KEY, a int); INSERT INTO app.wide SELECT g, g FROM generate_series(1, 12000) g; ANALYZE app.wide; DO $$BEGIN FOR i IN 1..60 LOOP PERFORM count(*) FROM app.wide WHERE a = i; END LOOP; END$$"},
	{"pg_index_advice", "no_primary_key", "app.heap", "CREATE TABLE app.heap (a int)"},
	{"pg_audit", "public_create", "schema app", "GRANT CREATE ON SCHEMA app TO PUBLIC"},
	{"pg_audit", "public_table", "app.people", "GRANT INSERT ON app.people TO PUBLIC"},
	{"pg_audit", "row_security_off", "app.notes", "ALTER TABLE app.notes DISABLE ROW LEVEL SECURITY"},
	{"pg_audit", "view_passes_policies", "app.all_notes", "CREATE VIEW app.all_notes AS SELECT * FROM app.notes"},
	{"pg_audit", "definer_search_path", "app.power(integer)", "CREATE FUNCTION app.power(int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; REVOKE EXECUTE ON FUNCTION app.power FROM PUBLIC"},
	{"pg_audit", "definer_for_everybody", "app.power(integer)", "CREATE FUNCTION app.power(int) RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'"},
	{"pg_audit", "reaching_extension", "extension dblink", "CREATE EXTENSION dblink"},
	{"pg_audit", "public_user_mapping", "foreign server far", "CREATE EXTENSION postgres_fdw SCHEMA public; UPDATE pg_extension SET extname = 'renamed' WHERE extname = 'postgres_fdw'; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; CREATE USER MAPPING FOR PUBLIC SERVER far"},
}

// run runs statements one by one, and has what the server counts of each be seen.
func run(t *testing.T, conn *pgx.Conn, text string) {
	t.Helper()
	flush := pgtest.Ask[int](t, conn, "SELECT current_setting('server_version_num')::int") >= 150_000
	for _, statement := range splitStatements(t, text) {
		pgtest.Exec(t, conn, statement)
		if flush {
			pgtest.Exec(t, conn, "SELECT pg_stat_force_next_flush()")
		}
	}
}

// TestFlaws makes sure that each check finds its flaw, and nothing else does.
func TestFlaws(t *testing.T) {
	t.Parallel()
	for _, f := range flaws {
		t.Run(f.check, func(t *testing.T) {
			t.Parallel()
			if counted := "sequential_scans dead_rows stale_statistics bloated_index unused_index"; strings.Contains(counted, f.check) && postgres.Server(t).Version() < 15 {
				t.Skip("before version 15 nobody can wait for what the server counts")
			}
			name := postgres.Database(t, healthy)
			conn := postgres.Admin(t, name)
			if strings.Contains(f.sql, "EXTENSION") && pgtest.Ask[int](t, conn, "SELECT count(*) FROM pg_available_extensions WHERE name IN ('dblink', 'postgres_fdw')") < 2 {
				missing(t, "the server has not both of dblink and postgres_fdw: install its contrib package")
			}
			cs := inspector(t, openSuper(t, name, nil))
			if got := result[report](t, cs, f.tool, nil).about(); len(got) > 0 {
				t.Fatalf("a healthy database: %v", got)
			}
			run(t, conn, f.sql)
			r := result[report](t, cs, f.tool, nil)
			if got, want := r.about(), f.check+" "+f.object; len(got) != 1 || got[0] != want {
				t.Errorf("got %v, want %s", got, want)
			}
			for _, x := range r.Findings {
				if x.What == "" || x.Why == "" || x.Severity == "" {
					t.Errorf("incomplete: %+v", x)
				}
				if x.Check == f.check && x.Fix != "" {
					tryFix(t, conn, x.Fix)
				}
			}
		})
	}
}

// tryFix runs SQL that is meant for a person, so that it is SQL.
func tryFix(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if strings.HasPrefix(sql, "--") || strings.Contains(sql, "EXTENSION") {
		return
	}
	if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

// TestRoleFlaws is TestFlaws for roles, which all databases of a server share.
func TestRoleFlaws(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ attributes, sql, check, severity string }{
		{"LOGIN", "", "", ""},
		{"LOGIN SUPERUSER", "", "superuser", "warning"},
		{"NOLOGIN SUPERUSER", "", "", ""},
		{"LOGIN BYPASSRLS", "", "role_attribute", "warning"},
		{"LOGIN REPLICATION", "", "role_attribute", "warning"},
		{"LOGIN CREATEROLE", "", "role_attribute", "warning"},
		{"LOGIN", "GRANT pg_execute_server_program TO {r}", "dangerous_membership", "critical"},
		{"LOGIN", "GRANT pg_read_all_data TO {r}", "dangerous_membership", "warning"},
		{"LOGIN", "GRANT pg_monitor TO {r}", "", ""},
		{"LOGIN", "GRANT postgres TO {r}", "member_of_superuser", "critical"},
		{"LOGIN", "SET password_encryption = 'md5'; ALTER ROLE {r} PASSWORD 'canary'", "weak_password_hash", "critical"},
		{"LOGIN", "ALTER DEFAULT PRIVILEGES FOR ROLE {r} GRANT SELECT ON TABLES TO PUBLIC", "public_default_privileges", "warning"},
	} {
		t.Run(test.check+" "+test.attributes, func(t *testing.T) {
			t.Parallel()
			name := postgres.Database(t, healthy)
			conn := postgres.Admin(t, name)
			role(t, conn, name, test.attributes)
			pgtest.Exec(t, conn, strings.ReplaceAll(test.sql, "{r}", name))
			text, _ := call(t, inspector(t, openSuper(t, name, nil)), "pg_audit", nil)
			if strings.Contains(text, "canary") || strings.Contains(text, "SCRAM-") {
				t.Errorf("got %s", text)
			}
			var got []string
			for _, f := range decode[report](t, text).Findings {
				if f.Object == "role "+name {
					got = append(got, f.Check+" "+f.Severity)
					if f.Fix != "" && !strings.HasPrefix(f.Fix, `\`) {
						tryFix(t, conn, f.Fix)
					}
				}
			}
			if s := strings.Join(got, ", "); s != strings.TrimSpace(test.check+" "+test.severity) {
				t.Errorf("got %q, want %s", s, test.check)
			}
		})
	}
}

// TestAuditKnowsItself opens the database as a superuser, which is the worst.
func TestAuditKnowsItself(t *testing.T) {
	t.Parallel()
	name := postgres.Database(t, healthy)
	pgtest.Exec(t, postgres.Admin(t, name), "GRANT SELECT ON app.people TO PUBLIC; ALTER TABLE app.notes DISABLE ROW LEVEL SECURITY") // a warning, then worse
	cs := inspector(t, openSuper(t, name, nil))
	r := result[report](t, cs, "pg_audit", nil)
	if len(r.Findings) == 0 || r.Findings[0].Severity != "critical" || !slices.ContainsFunc(r.Findings, func(f finding) bool {
		return f.Check == "superuser" && strings.Contains(f.What, "this tool itself") && f.Severity == "critical"
	}) {
		t.Errorf("got %+v", r.Findings)
	}
	order := map[string]int{"critical": 0, "warning": 1, "info": 2}
	if !slices.IsSortedFunc(r.Findings, func(a, b finding) int { return order[a.Severity] - order[b.Severity] }) {
		t.Error("the worst does not come first")
	}
}

// TestEveryCheckRuns makes sure that the silence of a check is not one of an
// error of ours.
func TestEveryCheckRuns(t *testing.T) {
	t.Parallel()
	cs := inspector(t, openSuper(t, postgres.Database(t, healthy), nil))
	for _, tool := range []string{"pg_health", "pg_index_advice", "pg_settings_review", "pg_audit"} {
		r := result[report](t, cs, tool, nil)
		for _, u := range r.Unseen {
			if !strings.HasPrefix(u, "settings: statement_timeout") {
				t.Errorf("%s: %s", tool, u)
			}
		}
		if len(r.Checked) == 0 || r.More || r.Scope == "" {
			t.Errorf("%s: got %+v", tool, r)
		}
	}
}

// TestSettingsReview asks the server that the tests run on, which trades safety
// for speed.
func TestSettingsReview(t *testing.T) {
	t.Parallel()
	name := postgres.Database(t, healthy)
	off := pgtest.Ask[string](t, postgres.Admin(t, name), "SELECT setting FROM pg_settings WHERE name = 'fsync'") == "off"
	for _, db := range []*pgtool.DB{open(t, name, nil), openSuper(t, name, nil)} {
		text, failed := call(t, inspector(t, db), "pg_settings_review", nil)
		if failed || strings.Contains(text, "setting_fsync") != off || !strings.Contains(text, "statement_timeout") || strings.Contains(text, "setting_debug_print_parse") {
			t.Errorf("got %s", text)
		}
	}
}

// TestOutOfTime gives the checks no time: what was not looked at is said.
func TestOutOfTime(t *testing.T) {
	t.Parallel()
	name := postgres.Database(t, healthy)
	conn := postgres.Admin(t, name)
	cs := inspector(t, openSuper(t, name, func(o *pgtool.Options) { o.Timeout = time.Second }))
	pgtest.Exec(t, conn, "BEGIN; LOCK TABLE pg_catalog.pg_sequence IN ACCESS EXCLUSIVE MODE")
	r := result[report](t, cs, "pg_health", nil)
	if len(r.Checked) == 0 || !strings.Contains(strings.Join(r.Unseen, ";"), "sequence_near_end: ") || !strings.Contains(strings.Join(r.Unseen, ";"), "replication: ") {
		t.Errorf("checked %v, not %v", r.Checked, r.Unseen)
	}
}
