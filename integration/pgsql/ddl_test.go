package pgsql

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/internal/sqlddl"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// honestDDL are texts that people write, and the kinds that each needs.
var honestDDL = []struct{ sql, kinds string }{
	{"CREATE TABLE s.customers (id int8 PRIMARY KEY GENERATED ALWAYS AS IDENTITY, email varchar(320) NOT NULL UNIQUE, name text, born date CHECK (born > '1900-01-01'), score numeric(8,2) DEFAULT 0, tags text[] DEFAULT '{}', meta jsonb DEFAULT '{}', at timestamptz(3) NOT NULL DEFAULT now(), key uuid DEFAULT gen_random_uuid(), mood s.mood DEFAULT 'good')", "table"},
	{"CREATE TABLE customers (id int); CREATE INDEX customers_id ON customers (id); COMMENT ON TABLE customers IS 'who buys'", "table,index,comment"},
	{"CREATE TABLE s.log (at timestamptz NOT NULL, line text) PARTITION BY RANGE (at); CREATE TABLE s.log_24 PARTITION OF s.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')", "table"},
	{"ALTER TABLE s.orders ADD COLUMN total numeric(12,2) NOT NULL DEFAULT 0, ADD CONSTRAINT positive CHECK (total >= 0) NOT VALID", "column,constraint"},
	{"ALTER TABLE s.orders ALTER COLUMN customer TYPE int8 USING customer::int8", "column"},
	{"ALTER TABLE s.orders ALTER COLUMN note SET DEFAULT upper(left('none', 3)), ALTER COLUMN tenant SET NOT NULL", "column"},
	{"ALTER TABLE s.orders RENAME COLUMN note TO remark", "column"},
	{"ALTER TABLE s.orders DROP COLUMN note", "column,drop"},
	{"ALTER TABLE s.items ADD CONSTRAINT one UNIQUE (name, id)", "constraint"},
	{"CREATE TYPE s.state AS ENUM ('new', 'done'); ALTER TABLE s.orders ADD COLUMN state s.state", "type,column"},
	{"ALTER TYPE s.mood ADD VALUE 'so so' AFTER 'good'", "type"},
	{"CREATE DOMAIN s.mail AS text CHECK (VALUE ~ '^[^@]+@[^@]+$')", "type"},
	{"CREATE SEQUENCE s.numbers START 1000", "sequence"},
	{"CREATE INDEX ON s.orders (lower(status), customer DESC) WHERE status <> 'done'", "index"},
	{"CREATE OR REPLACE VIEW s.totals AS SELECT customer, count(*) AS n, max(id) AS last FROM s.orders GROUP BY customer", "view"},
	{"CREATE MATERIALIZED VIEW s.daily AS SELECT status, count(*) FROM s.orders GROUP BY 1", "view"},
	{"CREATE OR REPLACE FUNCTION s.touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.note := now()::text; RETURN NEW; END$$; CREATE TRIGGER touch BEFORE UPDATE ON s.orders FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION s.touch()", "function,trigger"},
	{"CREATE FUNCTION s.whose() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = s, pg_temp AS 'SELECT 1::text'", "function,security definer"},
	{"ALTER TABLE s.orders ENABLE ROW LEVEL SECURITY; CREATE POLICY tenants ON s.orders USING (tenant = current_user) WITH CHECK (tenant IN (SELECT name FROM s.items))", "row security,policy"},
	{"ALTER TABLE s.items DISABLE ROW LEVEL SECURITY", "row security,disable row security"},
	{"DROP POLICY own ON s.items", "policy,drop"},
	{"GRANT SELECT, UPDATE (status) ON s.orders TO {app}; GRANT USAGE ON SCHEMA s TO {app}; GRANT EXECUTE ON FUNCTION s.harm() TO {app}", "grant"},
	{"GRANT SELECT ON s.open_orders TO PUBLIC", "grant,grant to public"},
	{"REVOKE ALL ON s.orders FROM {app}", "grant"},
	{"ALTER ROLE {app} CONNECTION LIMIT 5", "role"},
	{"DROP VIEW s.open_orders", "view,drop"},
	{"DROP TABLE s.items, s.orders CASCADE", "table,drop,cascade"},
	{"DROP FUNCTION s.harm()", "function,drop"},
	{"COMMENT ON COLUMN s.orders.note IS 'free text; it''s ours'", "comment"},
}

// TestDDLKinds plans what people write, and refuses it when one of the kinds that it
// needs is not allowed.
func TestDDLKinds(t *testing.T) {
	t.Parallel()
	name, conn := yardSetup(t, "")
	app := name + "_app"
	pgtest.Exec(t, conn, "CREATE ROLE "+app+"; ALTER ROLE "+name+" CREATEROLE")
	dropRole(t, conn, app)
	before := shape(t, conn)
	for _, kind := range append(sqlddl.Kinds(), "") {
		kinds := slices.DeleteFunc(sqlddl.Kinds(), func(k string) bool { return k == kind })
		m := openMigrator(t, ddlOptions(t, name, func(o *pgtool.DDLOptions) {
			o.Kinds, o.Roles, o.Waive = kinds, []string{app}, []mcpsec.Waiver{insecure.OverprivilegedRole("it has CREATEROLE, also without the kind")}
		}))
		cs, _ := writeClient(t, pgtool.DDLTools(m), &person{})
		for _, h := range honestDDL {
			got, want := tell(t, cs, "pg_plan_ddl", args{"sql": strings.ReplaceAll(h.sql, "{app}", app)}), `{"changes":`
			if slices.Contains(strings.Split(h.kinds, ","), kind) {
				want = "it needs the kind " + kind + ";"
			}
			if !strings.Contains(got, want) {
				t.Errorf("%s without %s: got %s", h.sql, kind, got)
			}
		}
		m.Close()
	}
	if shape(t, conn) != before {
		t.Error("a plan has changed something")
	}
}

// TestDDLPlan says what a plan tells.
func TestDDLPlan(t *testing.T) {
	t.Parallel()
	cs, _, conn := migrator(t, "", nil)
	before := shape(t, conn)
	for sql, want := range map[string][]string{
		"ALTER TABLE s.orders ALTER COLUMN customer TYPE int8": {
			`"does":"rewrites","kind":"table","object":"s.orders","rows_about":1000`, `{"mode":"ACCESS EXCLUSIVE","object":"s.orders"}`, "writes the whole of s.orders anew (about 1000 rows"},
		"DROP TABLE s.orders CASCADE": {`"does":"drops","kind":"table","object":"s.orders","rows_about":1000`, `"kind":"view","object":"o.all_orders"`, `"kind":"view","object":"s.open_orders"`,
			"items_order_id_fkey on s.items", "the rows of s.orders are lost", "CASCADE drops what depends"},
		"DROP TABLE s.orders":                                         {"statement 1: other objects depend on it (SQLSTATE 2BP01); nothing was changed"},
		"ALTER TABLE s.orders DROP COLUMN note":                       {"the values of column s.orders.note are lost"},
		"CREATE INDEX ON s.orders (note)":                             {`{"mode":"SHARE","object":"s.orders"}`, "writes to s.orders (about 1000 rows", "CONCURRENTLY lets them go on"},
		"ALTER TABLE s.orders ADD CHECK (id > 0)":                     {"all rows (about 1000 rows", "NOT VALID"},
		"DROP POLICY own ON s.items":                                  {"policy own on s.items no longer decides"},
		"ALTER TABLE s.items DISABLE ROW LEVEL SECURITY":              {"policies no longer hold"},
		"CREATE OR REPLACE VIEW s.guarded AS SELECT 1 AS a":           {"view s.guarded has other options than before"},
		"CREATE TABLE s.a (id int); ALTER TABLE s.nosuch RENAME TO x": {"statement 2: a table or view does not exist", "nothing was changed"},
		"ALTER TABLE s.orders RENAME TO sales":                        {`"does":"alters","kind":"table","object":"s.orders to s.sales"`},
		"ALTER TYPE s.mood ADD VALUE 'x'":                             {`"does":"creates","kind":"enum value","object":"'x' of s.mood"`},
		"GRANT SELECT ON s.open_orders TO PUBLIC":                     {"one to every role", `"does":"alters","kind":"view","object":"s.open_orders"`},
	} {
		if strings.Contains(sql, "guarded") {
			pgtest.Exec(t, conn, "CREATE VIEW s.guarded WITH (security_invoker = true) AS SELECT 1 AS a; ALTER VIEW s.guarded OWNER TO "+pgtest.Ask[string](t, conn, "SELECT current_database()"))
			before = shape(t, conn)
		}
		wants(t, cs, "pg_plan_ddl", args{"sql": sql}, want...)
	}
	if shape(t, conn) != before {
		t.Error("a plan has changed something")
	}
}

// TestDDLApply asks a person with the statements and what they do.
func TestDDLApply(t *testing.T) {
	t.Parallel()
	cs, p, conn := migrator(t, "", nil)
	before := shape(t, conn)
	p.no = true
	wants(t, cs, "pg_apply_ddl", args{"sql": "DROP TABLE s.items"}, "the person who was asked said no")
	if shape(t, conn) != before {
		t.Error("after a no, something was changed")
	}
	p.no = false
	wants(t, cs, "pg_apply_ddl", args{"sql": "ALTER TABLE s.items ADD x int -- no comment\n;/**/ COMMENT ON COLUMN s.items.x IS 'two\nlines'"}, `"done":true`)
	for _, want := range []string{"(1) ALTER TABLE s.items ADD x int; (2) COMMENT ON COLUMN s.items.x IS 'two\\nlines'; in all it ", "alters table s.items (about 100 rows", "s.items ACCESS EXCLUSIVE", "It cannot be undone."} {
		if !strings.Contains(p.last(), want) {
			t.Errorf("got %s, want %s", p.last(), want)
		}
	}
	if strings.Contains(p.last(), "no comment") || pgtest.Ask[int](t, conn, "SELECT count(*) FROM pg_description WHERE objoid = 's.items'::regclass") != 1 {
		t.Error("comments")
	}
	// One that fails takes the others with it.
	before = shape(t, conn)
	wants(t, cs, "pg_apply_ddl", args{"sql": "ALTER TABLE s.items DROP x; DROP TABLE s.nosuch"}, "statement 2: a table or view does not exist", "nothing was changed")
	if shape(t, conn) != before {
		t.Error("half of it was done")
	}
	if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM pg_class WHERE relowner <> current_database()::regrole AND relnamespace = 's'::regnamespace"); n != 0 {
		t.Errorf("%d of others", n)
	}
}

// TestDDLOtherPlan has the database change between the question and the run: in
// what depends, in what is locked, and in how much there is.
func TestDDLOtherPlan(t *testing.T) {
	t.Parallel()
	for change, want := range map[string]string{
		"CREATE VIEW o.late AS SELECT name FROM s.items":                                          "drops view o.late",
		"INSERT INTO s.items SELECT g, 1, 'x' FROM generate_series(200, 9000) g; ANALYZE s.items": "it would now do this: in all it drops table s.items (about ",
		"CREATE TABLE o.child (id int8 REFERENCES s.items)":                                       "drops constraint child_id_fkey",
	} {
		name, conn := yardSetup(t, "")
		m := openMigrator(t, ddlOptions(t, name, nil))
		tools := pgtool.DDLTools(m)
		looks := 0
		tools[1] = tools[1].WithGuards(func(context.Context, *mcpsec.Call) error {
			if looks++; looks == 2 { // after the yes, and after the look that follows it
				pgtest.Exec(t, conn, change)
			}
			return nil
		})
		cs, _ := writeClient(t, tools, &person{})
		wants(t, cs, "pg_apply_ddl", args{"sql": "DROP TABLE s.items CASCADE"}, "the database has changed since it was planned", want, "nothing was changed")
		if pgtest.Ask[*string](t, conn, "SELECT to_regclass('s.items')::text") == nil {
			t.Errorf("%s: it was dropped", change)
		}
	}
}

// TestDDLPassword makes a role whose password is nowhere in clear: not in the plan,
// the question, the records or the server's log, and with which it can log in.
func TestDDLPassword(t *testing.T) {
	t.Parallel()
	postgres.Server(t) // skips where there is none
	s, err := pgserver.Start(t.Context(), pgserver.Options{Settings: map[string]string{"log_statement": "all", "logging_collector": "on", "log_directory": "log", "log_filename": "all.log"}, HBA: []string{"host all all 127.0.0.1/32 scram-sha-256", "local all all scram-sha-256"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := pgx.Connect(t.Context(), s.URL("postgres", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	pgtest.Exec(t, conn, yard)
	pgtest.Exec(t, conn, pgtool.SetupSQL(pgtool.SetupOptions{Database: "postgres", Schemas: []string{"s"}, Migrates: true}))
	pgtest.Exec(t, conn, "ALTER ROLE mcp_migrator CREATEROLE PASSWORD '"+s.Password()+"'")
	clear := "Tr0ub4dor" + "&3 'q\"uote"
	o := pgtool.DDLOptions{Kinds: []string{"role"}, Roles: []string{"app"}, Passwords: map[string]mcpsec.Secret{"app": redact.NewSecret(clear)}}
	o.URL, o.Schemas = redact.NewSecret(s.URL("postgres", "mcp_migrator")), []string{"s"}
	p := &person{}
	cs, log := writeClient(t, pgtool.DDLTools(openMigrator(t, o)), p)
	const sql = "CREATE ROLE app LOGIN PASSWORD 'secret:app'"
	answers := tell(t, cs, "pg_plan_ddl", args{"sql": sql}) + tell(t, cs, "pg_apply_ddl", args{"sql": sql})
	if !strings.Contains(answers, `"done":true`) || !strings.Contains(p.last(), "PASSWORD <the one named app>;") {
		t.Errorf("got %s, asked %s", answers, p.last())
	}
	stored := pgtest.Ask[string](t, conn, "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
	if !strings.HasPrefix(stored, "SCRAM-SHA-256$4096:") {
		t.Errorf("stored %.20s", stored)
	}
	logged := pgtest.Ask[string](t, conn, "SELECT pg_read_file('log/all.log')")
	if !strings.Contains(logged, "CREATE ROLE app LOGIN PASSWORD 'SCRAM-SHA-256$4096:") {
		t.Error("the server's log does not have the statement")
	}
	for where, text := range map[string]string{"answers": answers, "question": p.last(), "log": log.String(), "server": logged} {
		if strings.Contains(text, "Tr0ub4dor") || where != "server" && strings.Contains(text, "SCRAM-SHA-256$") {
			t.Errorf("the %s: has the password", where)
		}
	}
	login := func(password string) error {
		c, err := pgx.Connect(t.Context(), s.URLAs("postgres", "app", password))
		if err == nil {
			c.Close(context.Background())
		}
		return err
	}
	if err := login(clear); err != nil {
		t.Errorf("logging in: %v", err)
	}
	if login(clear+"x") == nil {
		t.Error("another password logs in")
	}
}

// TestDDLRole says which roles OpenMigrator refuses.
func TestDDLRole(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ grant, want string }{
		{"ALTER ROLE {r} SUPERUSER", "is a superuser"}, {"ALTER ROLE {r} BYPASSRLS", "has BYPASSRLS"}, {"ALTER ROLE {r} REPLICATION", "has REPLICATION"}, {"ALTER ROLE {r} CREATEDB", "has CREATEDB"},
		{"ALTER ROLE {r} CREATEROLE", "has CREATEROLE"}, {"GRANT pg_read_server_files TO {r}", "pg_read_server_files"}, {"GRANT pg_signal_backend TO {r}", "pg_signal_backend"},
		{"ALTER TABLE o.secret OWNER TO {r}", "owns more than the objects of the schemas that are listed: table o.secret"}, {"ALTER SCHEMA o OWNER TO {r}", "schema o"}, {"ALTER DATABASE {r} OWNER TO {r}", "database"},
		{"GRANT CREATE ON DATABASE {r} TO {r}", "has CREATE on database"}, {"GRANT CREATE ON SCHEMA o TO {r}", "has CREATE on a schema that is not listed: o"},
		{"GRANT INSERT ON o.secret TO {r}", "can write to o.secret"}, {"CREATE SEQUENCE o.q; GRANT USAGE ON SEQUENCE o.q TO {r}", "can change sequence o.q"},
		{"ALTER SCHEMA s OWNER TO CURRENT_USER; REVOKE ALL ON SCHEMA s FROM {r}", "the role does not own schema s"}, {"ALTER SCHEMA s RENAME TO elsewhere", "there is no schema s"},
		{"GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {r}", "pg_read_file"}, {"GRANT SELECT ON pg_authid TO {r}", "pg_authid"},
	} {
		name, conn := yardSetup(t, "")
		pgtest.Exec(t, conn, strings.ReplaceAll(test.grant, "{r}", name))
		m, err := pgtool.OpenMigrator(t.Context(), ddlOptions(t, name, func(o *pgtool.DDLOptions) { o.Kinds = []string{"table"} }))
		if err == nil {
			m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "OWNER TO") {
			t.Errorf("%s: got %v, want %s", test.grant, err, test.want)
		}
	}
}

// TestDDLIsNotReading has the tools of a Migrator in a server that only reads, or
// only writes what can be undone.
func TestDDLIsNotReading(t *testing.T) {
	t.Parallel()
	name, _ := yardSetup(t, "")
	tools := pgtool.DDLTools(openMigrator(t, ddlOptions(t, name, nil)))
	for mode, want := range map[mcpsec.Effect]int{mcpsec.Read: 0, mcpsec.Write: 1, mcpsec.Destroy: 2} {
		srv, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: mcpsec.NewAuditLog(io.Discard), Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		srv.Add(tools...)
		list, err := connect(t, srv).ListTools(t.Context(), nil)
		if err != nil || len(list.Tools) != want {
			t.Errorf("%s: %v, %v", mode, list, err)
		}
	}
}

// TestDDLPlanIsNotFooled makes functions that would stand in for those of the queries
// that a plan is made of.
func TestDDLPlanIsNotFooled(t *testing.T) {
	t.Parallel()
	cs, _, conn := migrator(t, "", nil)
	before := shape(t, conn)
	const lies = "CREATE FUNCTION s.quote_ident(name) RETURNS text LANGUAGE plpgsql AS $$BEGIN INSERT INTO s.harmed VALUES (2); RETURN 'lie'; END$$; " +
		"CREATE FUNCTION s.format(text, name, name) RETURNS text LANGUAGE sql AS $$SELECT 'lie'$$; CREATE FUNCTION s.pg_backend_pid() RETURNS int LANGUAGE sql AS 'SELECT 1'; "
	got := tell(t, cs, "pg_plan_ddl", args{"sql": lies + "ALTER TABLE s.orders DROP COLUMN note"})
	for _, want := range []string{`"does":"drops","kind":"column","object":"s.orders.note"`, `{"mode":"ACCESS EXCLUSIVE","object":"s.orders"}`, `"object":"s.quote_ident(name)"`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if strings.Contains(got, `"lie`) || shape(t, conn) != before {
		t.Errorf("was fooled: %s", got)
	}
}

// TestDDLTriggerFunctions has a trigger run a function that the migrator could not
// write.
func TestDDLTriggerFunctions(t *testing.T) {
	t.Parallel()
	name, _ := yardSetup(t, "")
	const sql = "CREATE TRIGGER touch BEFORE INSERT ON s.orders FOR EACH ROW EXECUTE FUNCTION s.touch()"
	for _, test := range []struct {
		kinds, allow []string
		want         string
	}{
		{[]string{"trigger"}, nil, "function touch is not allowed"}, {[]string{"trigger"}, []string{"s.touch"}, `"does":"creates"`}, {[]string{"trigger", "function"}, nil, `"does":"creates"`},
	} {
		m := openMigrator(t, ddlOptions(t, name, func(o *pgtool.DDLOptions) { o.Kinds, o.Allow = test.kinds, test.allow }))
		cs, _ := writeClient(t, pgtool.DDLTools(m), &person{})
		wants(t, cs, "pg_plan_ddl", args{"sql": sql}, test.want)
	}
}

// TestDDLPlanIsItsOwn has another session make a table while a plan waits for a lock.
func TestDDLPlanIsItsOwn(t *testing.T) {
	t.Parallel()
	cs, _, conn := migrator(t, "", nil)
	pgtest.Exec(t, conn, "BEGIN; LOCK TABLE s.orders IN ACCESS SHARE MODE; CREATE TABLE s.theirs (id int)")
	got := make(chan string, 1)
	go func() { got <- tell(t, cs, "pg_plan_ddl", args{"sql": "ALTER TABLE s.orders ADD COLUMN mine int"}) }()
	until(t, conn, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))")
	pgtest.Exec(t, conn, "COMMIT")
	if text := <-got; !strings.Contains(text, "s.orders.mine") || strings.Contains(text, "theirs") {
		t.Errorf("got %s", text)
	}
}
