package pgsql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// tenants is a database with rows of two tenants, behind a policy that knows the
// setting, and one for roles. The values are canaries.
const tenants = `
CREATE SCHEMA t;
CREATE TABLE t.notes (id int8 PRIMARY KEY, tenant text NOT NULL, body text NOT NULL);
INSERT INTO t.notes SELECT g, 'tenant-' || (ARRAY['ada', 'bob'])[1 + g % 2], 'body of ' || (ARRAY['ada', 'bob'])[1 + g % 2] FROM generate_series(1, 20) g;
ALTER TABLE t.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_setting ON t.notes USING (tenant = current_setting('app.tenant'));
CREATE TABLE t.private (owner name, body text);
INSERT INTO t.private VALUES ({ada}, 'private of ada'), ({bob}, 'private of bob');
ALTER TABLE t.private ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_role ON t.private USING (owner = current_user);
CREATE FUNCTION t.become(name text, value text, result text DEFAULT '') RETURNS text LANGUAGE plpgsql AS
	$$BEGIN PERFORM set_config(name, value, true); RETURN result; END$$;
CREATE FUNCTION t.extra() RETURNS text STABLE LANGUAGE sql AS $$SELECT coalesce(current_setting('app.extra', true), '')$$;
CREATE FUNCTION t.bad(x text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RETURN x::int = 1; END$$;
CREATE TABLE t.broken (id int);
INSERT INTO t.broken VALUES (1);
ALTER TABLE t.broken ENABLE ROW LEVEL SECURITY;
CREATE POLICY broken ON t.broken USING (t.bad(current_setting('app.tenant')));
`

// A tenancy is a database of tenants and the roles in it: one that logs in, and
// one for each tenant.
type tenancy struct {
	name, ada, bob string
	conn           *pgx.Conn
}

func newTenancy(t testing.TB, tables []pgtool.Table) *tenancy {
	t.Helper()
	name := postgres.Database(t, "")
	x := &tenancy{name: name, ada: "r" + name[len(name)-12:] + "_ada", bob: "r" + name[len(name)-12:] + "_bob", conn: postgres.Admin(t, name)}
	pgtest.Exec(t, x.conn, strings.NewReplacer("{ada}", "'"+x.ada+"'", "{bob}", "'"+x.bob+"'").Replace(tenants))
	pgtest.Exec(t, x.conn, pgtool.SetupSQL(pgtool.SetupOptions{Database: name, Role: name, Schemas: []string{"t"}, Tables: tables}))
	pgtest.Exec(t, x.conn, "ALTER ROLE "+name+" PASSWORD '"+postgres.Server(t).Password()+"'")
	dropRole(t, x.conn, name)
	for _, role := range []string{x.ada, x.bob} {
		q := pgx.Identifier{role}.Sanitize()
		pgtest.Exec(t, x.conn, "CREATE ROLE "+q+"; GRANT "+q+" TO "+name+"; GRANT USAGE ON SCHEMA t TO "+q+"; GRANT SELECT ON t.private TO "+q)
		dropRole(t, x.conn, role)
	}
	return x
}

func (x *tenancy) open(t testing.TB, change func(*pgtool.Options)) *pgtool.DB {
	t.Helper()
	o := pgtool.Options{
		URL: redact.NewSecret(postgres.Server(t).URL(x.name, x.name)), MaxConns: 1, Schemas: []string{"t"}, Tenant: bySetting,
		Allow: []string{"t.become", "t.extra"},
	}
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

func bySetting(_ context.Context, p mcpsec.Principal) (pgtool.Tenant, error) {
	return pgtool.Tenant{Settings: map[string]string{"app.tenant": "tenant-" + p.ID}}, nil
}

func (x *tenancy) byRole(_ context.Context, p mcpsec.Principal) (pgtool.Tenant, error) {
	return pgtool.Tenant{Role: map[string]string{"ada": x.ada, "bob": x.bob}[p.ID]}, nil
}

// serveAs is a client of a server whose caller is the one named.
func serveAs(t testing.TB, who string, p *person, tools ...*mcpsec.Tool) (*mcp.ClientSession, *mcptest.Buffer) {
	t.Helper()
	log := &mcptest.Buffer{}
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(&mcptest.Buffer{}), Log: slog.NewTextHandler(log, nil), Limits: mcpsec.Limits{CallsPerSecond: 1e6},
		Mode: mcpsec.Destroy, Principal: mcpsec.Principal{ID: who},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(tools...)
	ours, theirs := net.Pipe()
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	options := &mcp.ClientOptions{}
	if p != nil {
		options.ElicitationHandler = p.answer
	}
	cs, err := mcp.NewClient(impl, options).Connect(t.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs, log
}

type none struct{}

type countRow struct {
	Bodies string `json:"bodies"`
}

func TestTenantBySetting(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	db := x.open(t, nil)
	named := pgtool.NamedQuery[none, countRow](db, mcpsec.ToolSpec{Name: "bodies", Description: "Bodies."},
		pgtool.NewSQL("SELECT string_agg(DISTINCT body, ',') AS bodies FROM t.notes"))
	for _, who := range []string{"ada", "bob"} {
		cs, _ := serveAs(t, who, nil, append(pgtool.ReadTools(db), named)...)
		if got := query(t, cs, "SELECT count(*)::text || min(body) || max(body) FROM t.notes"); !strings.Contains(got, fmt.Sprintf(`["10body of %sbody of %[1]s"]`, who)) {
			t.Errorf("%s: pg_query: %s", who, got)
		}
		if got := tell(t, cs, "bodies", args{}); !strings.Contains(got, `"body of `+who+`"`) {
			t.Errorf("%s: a named query: %s", who, got)
		}
		if got := query(t, cs, "SELECT current_setting('app.tenant'), $1::text", "tenant"); !strings.Contains(got, "not allowed") {
			t.Errorf("%s: %s", who, got)
		}
	}
}

func TestTenantByRole(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	pgtest.Exec(t, x.conn, "CREATE TABLE t.of_bob (id int); GRANT SELECT ON t.of_bob TO "+pgx.Identifier{x.bob}.Sanitize())
	pgtest.Exec(t, x.conn, "REVOKE ALL ON ALL TABLES IN SCHEMA t FROM "+x.name)
	db := x.open(t, func(o *pgtool.Options) { o.Tenant = x.byRole })
	for who, role := range map[string]string{"ada": x.ada, "bob": x.bob} {
		cs, _ := serveAs(t, who, nil, append(pgtool.ReadTools(db), pgtool.InspectTools(db)...)...)
		if got := query(t, cs, "SELECT body, current_user FROM t.private"); !strings.Contains(got, `[["private of `+who+`","`+role+`"]]`) {
			t.Errorf("%s: %s", who, got)
		}
		for tool, a := range map[string]args{
			"pg_list_objects": {"schema": "t"}, "pg_describe": {"schema": "t", "name": "of_bob"},
			"pg_explain": {"sql": "SELECT id FROM t.of_bob", "params": []any{}, "indexes": []any{}},
		} {
			if got, failed := call(t, cs, tool, a); (strings.Contains(got, "of_bob") || tool == "pg_explain" && !failed) != (who == "bob") {
				t.Errorf("%s: %s shows %s", who, tool, got)
			}
		}
	}
}

// TestTenantLeavesNoTrace sends calls of two tenants through one session, with
// failures, timeouts and cancelled calls between them.
func TestTenantLeavesNoTrace(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	pgtest.Exec(t, x.conn, "GRANT SELECT ON t.private TO "+x.name)
	db := x.open(t, func(o *pgtool.Options) {
		o.Timeout = 300 * time.Millisecond
		o.Tenant = func(ctx context.Context, p mcpsec.Principal) (pgtool.Tenant, error) {
			both, _ := bySetting(ctx, p)
			if p.ID == "ada" { // bob has no role of his own
				role, _ := x.byRole(ctx, p)
				both.Role, both.Settings["app.extra"] = role.Role, "only of ada"
			}
			return both, nil
		}
	})
	pgtest.Exec(t, x.conn, "GRANT SELECT ON t.notes TO "+pgx.Identifier{x.ada}.Sanitize())
	var all sync.WaitGroup
	for _, who := range []string{"ada", "bob", "ada", "bob"} {
		cs, _ := serveAs(t, who, nil, pgtool.ReadTools(db)...)
		user, extra := x.name, ""
		if who == "ada" {
			user, extra = x.ada, "only of ada"
		}
		all.Go(func() {
			for i := range 12 {
				got := query(t, cs, "SELECT DISTINCT tenant, current_user, t.extra() FROM t.notes")
				if want := fmt.Sprintf(`[["tenant-%s","%s","%s"]]`, who, user, extra); !strings.Contains(got, want) {
					t.Errorf("%s: got %s, want %s", who, got, want)
					return
				}
				switch i % 4 {
				case 0:
					query(t, cs, "SELECT 1/0 FROM t.notes")
				case 1:
					query(t, cs, "SELECT sum(length(repeat('x', (a + b) % 100))) FROM generate_series(1, 30000) a, generate_series(1, 30000) b") // times out
				case 2:
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
					_, _ = cs.CallTool(ctx, params("SELECT count(*) FROM generate_series(1, 30000) a, generate_series(1, 30000) b"))
					cancel()
				}
			}
		})
	}
	all.Wait()
}

// TestTenantValues has values that are written as others in an array, or as SQL.
func TestTenantValues(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	var value string
	db := x.open(t, func(o *pgtool.Options) {
		o.Tenant = func(context.Context, mcpsec.Principal) (pgtool.Tenant, error) {
			return pgtool.Tenant{Settings: map[string]string{"app.extra": value}}, nil
		}
	})
	cs, _ := serveAs(t, "ada", nil, pgtool.ReadTools(db)...)
	for _, value = range []string{`x","y`, `\`, `\"`, "NULL", "null", "{}", "{a,b}", " x ", "'; DROP TABLE t.notes; --", "$1", "ü€", strings.Repeat("x", 1024)} {
		if got := query(t, cs, "SELECT t.extra() = $1", value); !strings.Contains(got, "[[true]]") {
			t.Errorf("%s: %s", value, got)
		}
	}
}

// TestTenantCannotBeChanged tries from within a statement.
func TestTenantCannotBeChanged(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	db := x.open(t, func(o *pgtool.Options) { o.MaxBytes, o.MaxRows = 1024, 5 })
	cs, _ := serveAs(t, "ada", nil, append(pgtool.ReadTools(db), pgtool.InspectTools(db)...)...)
	for _, sql := range []string{
		"SELECT set_config('app.tenant', 'tenant-bob', true), body FROM t.notes",
		`SELECT pg_catalog."set_config"('app.tenant', 'tenant-bob', false), body FROM t.notes`,
		"SET app.tenant = 'tenant-bob'", "SET LOCAL app.tenant = 'tenant-bob'", "RESET app.tenant", "SET ROLE " + x.bob, "RESET ROLE",
		"SET SESSION AUTHORIZATION DEFAULT", "DISCARD ALL", "COMMIT", "ROLLBACK", "SELECT 1; SET app.tenant = 'tenant-bob'",
		"WITH x AS (UPDATE pg_settings SET setting = 'tenant-bob' WHERE name = 'app.tenant' RETURNING 1) SELECT body FROM t.notes",
		"UPDATE pg_settings SET setting = 'tenant-bob' WHERE name = 'app.tenant'",
		"SELECT query_to_xml('SELECT set_config(''app.tenant'', ''tenant-bob'', true)', true, true, '')",
		// A function of Options.Allow does it for them, and the rows were read.
		"SELECT t.become('app.tenant', 'tenant-bob'), body FROM t.notes",
		"SELECT body FROM t.notes WHERE t.become('app.tenant', 'tenant-bob') = ''",
		"SELECT body, repeat('x', 300), t.become('app.tenant', 'tenant-bob') FROM t.notes n, generate_series(1, 100)",
		"SELECT body, t.become('role', 'none'), t.become('app.tenant', 'x') FROM t.notes n, generate_series(1, 100)",
	} {
		if got := query(t, cs, sql); strings.Contains(got, "of bob") || !strings.Contains(got, "not allowed") && !strings.Contains(got, "more than one") {
			t.Errorf("%s: %s", sql, got)
		}
		if got := query(t, cs, "SELECT DISTINCT tenant FROM t.notes"); !strings.Contains(got, `[["tenant-ada"]]`) {
			t.Errorf("after %s: %s", sql, got)
		}
	}
}

// TestTenantRefused has functions that do not know the tenant. Nothing is sent.
func TestTenantRefused(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	many := map[string]string{}
	for i := range 17 {
		many["app.x"+itoa(i)] = "x"
	}
	setting := func(name, value string) pgtool.Tenant {
		return pgtool.Tenant{Settings: map[string]string{name: value}}
	}
	var tenant pgtool.Tenant
	var fails error
	db := x.open(t, func(o *pgtool.Options) {
		o.Tenant = func(context.Context, mcpsec.Principal) (pgtool.Tenant, error) { return tenant, fails }
	})
	w := openWriter(t, pgtool.WriteOptions{Options: pgtool.Options{
		URL: redact.NewSecret(postgres.Server(t).URL(x.writer(t), x.name+"w")), MaxConns: 1,
		Tenant: func(context.Context, mcpsec.Principal) (pgtool.Tenant, error) { return tenant, fails },
	}, Tables: notesTable})
	cs, log := serveAs(t, "ada", &person{}, slices.Concat(pgtool.ReadTools(db), pgtool.InspectTools(db), pgtool.WriteTools(w), []*mcpsec.Tool{
		pgtool.ExportTool(db, pgtool.FileOptions{}), pgtool.NamedQuery[none, countRow](db, mcpsec.ToolSpec{Name: "bodies", Description: "Bodies."}, pgtool.NewSQL("SELECT 'x' AS bodies")),
	})...)
	calls := map[string]args{ // the gate would refuse the first one, and is not asked
		"pg_query": {"sql": "SELECT pg_read_file('x')", "params": []any{}}, "pg_list_schemas": {}, "pg_list_objects": {"schema": "t"}, "pg_health": {},
		"pg_explain": {"sql": "SELECT 1", "params": []any{}, "indexes": []any{}},
		"pg_export":  {"sql": "SELECT pg_read_file('x')", "params": []any{}, "format": "csv"}, "bodies": {},
		"pg_insert":  {"table": "t.notes", "rows": []args{{"id": 1, "tenant": "x", "body": "y"}}, "returning": []any{}},
		"pg_delete":  {"table": "t.notes", "where": where("id", "eq", 1)},
		"pg_dry_run": {"operation": "delete", "table": "t.notes", "rows": []any{}, "set": args{}, "where": where("id", "eq", 1)},
	}
	const last = "SELECT string_agg(pid || ' ' || state_change, ',' ORDER BY pid) FROM pg_stat_activity WHERE usename LIKE $1"
	tenant = setting("app.tenant", "tenant-ada")
	query(t, cs, "SELECT 1")
	until(t, x.conn, "SELECT count(*) = 2 FROM pg_stat_activity WHERE state = 'idle' AND query = 'DISCARD ALL' AND usename LIKE '"+x.name+"%'")
	before := pgtest.Ask[string](t, x.conn, last, x.name+"%")
	for name, bad := range map[string]func(){
		"an error":        func() { fails = errors.New("the registry is down") },
		"nothing":         func() { tenant = pgtool.Tenant{} },
		"an empty value":  func() { tenant = setting("app.tenant", "") },
		"a control":       func() { tenant = setting("app.tenant", "a\x00b") },
		"no UTF-8":        func() { tenant = setting("app.tenant", "a\xff") },
		"a long value":    func() { tenant = setting("app.tenant", strings.Repeat("x", 1025)) },
		"no dot":          func() { tenant = setting("search_path", "t") },
		"no name":         func() { tenant = setting("app.", "t") },
		"a long name":     func() { tenant = setting("app."+strings.Repeat("x", 60), "t") },
		"many":            func() { tenant = pgtool.Tenant{Settings: many} },
		"no role":         func() { tenant = pgtool.Tenant{Role: "none"} },
		"a role's length": func() { tenant = pgtool.Tenant{Role: strings.Repeat("x", 64)} },
		"itself": func() {
			tenant = pgtool.Tenant{Role: x.name, Settings: map[string]string{"app.tenant": "x"}}
		},
	} {
		tenant, fails = pgtool.Tenant{}, nil
		bad()
		for tool, a := range calls {
			if name == "itself" && strings.HasPrefix(tool, "pg_") && (tool == "pg_insert" || tool == "pg_delete" || tool == "pg_dry_run") {
				continue // another role logs in there
			}
			if got := tell(t, cs, tool, a); !strings.Contains(got, "not known whose data") {
				t.Errorf("%s: %s: %s", name, tool, got)
			}
		}
	}
	if after := pgtest.Ask[string](t, x.conn, last, x.name+"%"); after != before {
		t.Errorf("something was sent:\n%s\n%s", before, after)
	}
	if !strings.Contains(log.String(), "the registry is down") {
		t.Error("the cause is not in the log")
	}
	tenant, fails = setting("app.tenant", "tenant-ada"), nil
	if _, err := db.ReadOnly(t.Context(), "SELECT 1"); err == nil {
		t.Error("a statement outside of a call was run")
	}
}

var notesTable = []pgtool.Table{{
	Schema: "t", Name: "notes", Read: []string{"id", "tenant", "body"}, Insert: []string{"id", "tenant", "body"}, Update: []string{"body"}, Delete: true,
}}

// writer makes a role that writes to the notes, named like the database and a w.
func (x *tenancy) writer(t testing.TB) (database string) {
	t.Helper()
	pgtest.Exec(t, x.conn, pgtool.SetupSQL(pgtool.SetupOptions{Database: x.name, Role: x.name + "w", Tables: notesTable}))
	pgtest.Exec(t, x.conn, "ALTER ROLE "+x.name+"w PASSWORD '"+postgres.Server(t).Password()+"'")
	dropRole(t, x.conn, x.name+"w")
	return x.name
}

// TestTenantServerCheck has a name that means another table for another tenant's role:
// what the server has said to one is nothing for the other.
func TestTenantServerCheck(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	ada, bob := pgx.Identifier{x.ada}.Sanitize(), pgx.Identifier{x.bob}.Sanitize()
	pgtest.Exec(t, x.conn, "CREATE SCHEMA u; CREATE TABLE u.thing (id int); GRANT USAGE ON SCHEMA u TO "+ada+", "+bob+"; GRANT SELECT ON u.thing TO "+ada+", "+bob+"; REVOKE USAGE ON SCHEMA t FROM "+ada)
	db := x.open(t, func(o *pgtool.Options) { o.Tenant, o.Schemas, o.ServerCheck = x.byRole, []string{"t", "u"}, true })
	pgtest.Exec(t, x.conn, "CREATE TABLE t.thing (id int); GRANT SELECT ON t.thing TO "+bob)
	for who, want := range map[string]string{"ada": `[["0"]]`, "bob": "try again in a few seconds"} {
		cs, _ := serveAs(t, "ada", nil, pgtool.ReadTools(db)...)
		query(t, cs, "SELECT count(*) FROM thing")
		cs, _ = serveAs(t, who, nil, pgtool.ReadTools(db)...)
		if got := query(t, cs, "SELECT count(*) FROM thing"); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", who, got, want)
		}
	}
}
