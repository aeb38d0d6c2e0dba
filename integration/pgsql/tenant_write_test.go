package pgsql

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

func (x *tenancy) openWriter(t testing.TB, tenant func(context.Context, mcpsec.Principal) (pgtool.Tenant, error)) *pgtool.Writer {
	t.Helper()
	return openWriter(t, pgtool.WriteOptions{Options: pgtool.Options{
		URL: redact.NewSecret(postgres.Server(t).URL(x.writer(t), x.name+"w")), MaxConns: 1, Tenant: tenant,
	}, Tables: notesTable})
}

// TestTenantWrites writes to rows of a tenant's own and of another.
func TestTenantWrites(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	w := x.openWriter(t, bySetting)
	p := &person{}
	named := pgtool.NamedWrite[none, countRow](w, mcpsec.ToolSpec{Name: "mark", Description: "Mark.", Effect: mcpsec.Write},
		pgtool.NewSQL("UPDATE t.notes SET body = 'marked ' || tenant RETURNING tenant AS bodies"))
	cs, _ := serveAs(t, "ada", p, append(pgtool.WriteTools(w), named)...)
	insert := func(id int, tenant string) args {
		return args{"table": "t.notes", "rows": []args{{"id": id, "tenant": tenant, "body": "new"}}, "returning": []any{}}
	}
	every := where("id", "gt", 0)
	wants(t, cs, "pg_insert", insert(101, "tenant-ada"), `"affected":1`)
	wants(t, cs, "pg_insert", insert(102, "tenant-bob"), "row security does not allow", "nothing was changed")
	wants(t, cs, "pg_dry_run", args{"operation": "delete", "table": "t.notes", "rows": []any{}, "set": args{}, "where": every}, `"affected":11`)
	if got := tell(t, cs, "mark", args{}); strings.Count(got, "tenant-ada") != 11 || strings.Contains(got, "bob") {
		t.Errorf("a named write: %s", got)
	}
	wants(t, cs, "pg_delete", args{"table": "t.notes", "where": every, "returning": []any{}}, `"affected":11`)
	if q := p.last(); !strings.Contains(q, "11") || !strings.Contains(q, "(tenant ") || strings.Contains(q, "tenant-ada") {
		t.Errorf("asked: %s", q)
	}
	if got := pgtest.Ask[string](t, x.conn, "SELECT count(*) || ' ' || string_agg(DISTINCT body, ',') FROM t.notes"); got != "10 body of bob" {
		t.Errorf("left: %s", got)
	}
}

// TestTenantWritesByRole has a role that logs in and may do nothing itself.
func TestTenantWritesByRole(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	login, ada := x.name+"w", pgx.Identifier{x.ada}.Sanitize()
	x.writer(t)
	pgtest.Exec(t, x.conn, "REVOKE ALL ON t.notes FROM "+login+"; REVOKE ALL ON SCHEMA t FROM "+login)
	o := pgtool.WriteOptions{Options: pgtool.Options{URL: redact.NewSecret(postgres.Server(t).URL(x.name, login)), Tenant: func(_ context.Context, p mcpsec.Principal) (pgtool.Tenant, error) {
		return pgtool.Tenant{Role: x.ada, Settings: map[string]string{"app.tenant": "tenant-" + p.ID}}, nil
	}}, Tables: notesTable}
	if _, err := pgtool.OpenWriter(t.Context(), o); err == nil || !strings.Contains(err.Error(), "lacks what is listed") {
		t.Fatalf("nobody has the rights: %v", err)
	}
	pgtest.Exec(t, x.conn, "GRANT "+ada+" TO "+login+"; GRANT SELECT, INSERT, DELETE, UPDATE (body) ON t.notes TO "+ada)
	w := openWriter(t, o)
	cs, _ := serveAs(t, "ada", &person{}, pgtool.WriteTools(w)...)
	wants(t, cs, "pg_update", args{"table": "t.notes", "set": args{"body": "x"}, "where": where("id", "gt", 0), "returning": []any{}}, `"affected":10`)
	o.Tenant = nil
	if _, err := pgtool.OpenWriter(t.Context(), o); err == nil || !strings.Contains(err.Error(), "lacks what is listed") {
		t.Errorf("the one that logs in has no rights: %v", err)
	}
}

// TestTenantOfConfirmation changes whose data the same caller may use between the
// question and the answer.
func TestTenantOfConfirmation(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	var of atomic.Value
	of.Store("ada")
	w := x.openWriter(t, func(context.Context, mcpsec.Principal) (pgtool.Tenant, error) {
		return pgtool.Tenant{Settings: map[string]string{"app.tenant": "tenant-" + of.Load().(string)}}, nil
	})
	turns := 0
	p := &person{before: func() {
		if turns++; turns == 1 {
			of.Store("bob")
		}
	}}
	pgtest.Exec(t, x.conn, "UPDATE t.notes SET body = 'x'")
	for _, version := range []string{"", "2025-06-18"} {
		of.Store("ada")
		turns, p.asked = 0, nil
		cs, _ := writeClientOf(t, pgtool.WriteTools(w), p, version)
		got := tell(t, cs, "pg_delete", args{"table": "t.notes", "where": where("id", "gt", 10), "returning": []any{}})
		left := pgtest.Ask[string](t, x.conn, "SELECT string_agg(tenant || n, ',' ORDER BY tenant) FROM (SELECT tenant, count(*) AS n FROM t.notes GROUP BY 1) AS s")
		if len(p.asked) < 2 && left != "tenant-ada10,tenant-bob10" {
			t.Errorf("version %q: a yes for ada was spent by bob: %s; left %s; asked %q", version, got, left, p.asked)
		}
		if len(p.asked) > 1 && p.asked[0] == p.asked[1] {
			t.Errorf("version %q: the same question for two tenants: %q", version, p.asked)
		}
		pgtest.Exec(t, x.conn, "TRUNCATE t.notes")
		pgtest.Exec(t, x.conn, "INSERT INTO t.notes SELECT g, 'tenant-' || (ARRAY['ada', 'bob'])[1 + g % 2], 'x' FROM generate_series(1, 20) g")
	}
}

// TestTenantIsNotShown looks for the values of a tenant where others read.
func TestTenantIsNotShown(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	pgtest.Exec(t, x.conn, "GRANT SELECT ON t.broken TO "+x.name)
	const canary = "CANARY-7d2f"
	role := ""
	db := x.open(t, func(o *pgtool.Options) {
		o.Tenant = func(context.Context, mcpsec.Principal) (pgtool.Tenant, error) {
			return pgtool.Tenant{Settings: map[string]string{"app.tenant": canary}, Role: role}, nil
		}
	})
	cs, log := serveAs(t, "ada", nil, pgtool.ReadTools(db)...)
	if got := query(t, cs, "SELECT id FROM t.broken"); strings.Contains(got, canary) || !strings.Contains(got, "22P02") {
		t.Errorf("a policy's error: %s", got)
	}
	role = "no_such_" + canary
	if got := query(t, cs, "SELECT 1"); strings.Contains(got, canary) || !strings.Contains(got, "does not accept whose data") {
		t.Errorf("an unknown role: %s", got)
	}
	if got := log.String(); strings.Contains(got, canary) || !strings.Contains(got, "invalid input syntax") || !strings.Contains(got, "SQLSTATE 22023") {
		t.Errorf("the log: %s", got)
	}
	role = ""
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = cs.CallTool(ctx, params("SELECT count(*) FROM generate_series(1, 30000) a, generate_series(1, 30000) b"))
	}()
	until(t, x.conn, running, "%30000%")
	if n := pgtest.Ask[int](t, x.conn, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%CANARY-7%' AND pid <> pg_backend_pid()"); n != 0 {
		t.Error("the list of sessions shows a value")
	}
	cancel()
	<-done
}

// TestTenantRoles has roles that do not fit tenants.
func TestTenantRoles(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	o := pgtool.Options{URL: redact.NewSecret(postgres.Server(t).URL(x.name, x.name)), Tenant: x.byRole}
	opens := func(want string) {
		t.Helper()
		db, err := pgtool.Open(t.Context(), o)
		if err == nil {
			db.Close()
			err = context.Canceled
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	ada := pgx.Identifier{x.ada}.Sanitize()
	db := x.open(t, func(o *pgtool.Options) { o.Tenant = x.byRole })
	cs, _ := serveAs(t, "ada", nil, append(pgtool.ReadTools(db), pgtool.InspectTools(db)...)...)
	for _, test := range []struct{ do, undo, want string }{
		{"ALTER ROLE " + ada + " BYPASSRLS", "ALTER ROLE " + ada + " NOBYPASSRLS", "can become " + x.ada + ", which has BYPASSRLS"},
		{"ALTER ROLE " + ada + " SUPERUSER", "ALTER ROLE " + ada + " NOSUPERUSER", "can become " + x.ada + ", which is a superuser"},
		{"ALTER ROLE " + ada + " CREATEROLE", "ALTER ROLE " + ada + " NOCREATEROLE", "which has CREATEROLE"},
	} {
		pgtest.Exec(t, x.conn, test.do)
		opens(test.want)
		for tool, a := range map[string]args{"pg_query": {"sql": "SELECT body FROM t.private", "params": []any{}}, "pg_health": {}} {
			if got := tell(t, cs, tool, a); !strings.Contains(got, "does not accept whose data") {
				t.Errorf("%s, then %s: %s", test.do, tool, got)
			}
		}
		pgtest.Exec(t, x.conn, test.undo)
	}
	if got := query(t, cs, "SELECT body FROM t.private"); !strings.Contains(got, "private of ada") {
		t.Error(got)
	}
	bySettings := x.open(t, nil)
	cs, _ = serveAs(t, "ada", nil, pgtool.ReadTools(bySettings)...)
	pgtest.Exec(t, x.conn, "ALTER ROLE "+x.name+" BYPASSRLS")
	if got := query(t, cs, "SELECT body FROM t.notes"); !strings.Contains(got, "does not accept whose data") {
		t.Errorf("policies do not hold: %s", got)
	}
	pgtest.Exec(t, x.conn, "ALTER ROLE "+x.name+" NOBYPASSRLS")
	pgtest.Exec(t, x.conn, "ALTER ROLE "+x.name+" INHERIT")
	if version := postgres.Server(t).Version(); version >= 16 { // where it is of the grant
		pgtest.Exec(t, x.conn, "GRANT "+ada+" TO "+x.name+" WITH INHERIT TRUE")
	}
	opens("inherits from roles that it can also become")
	o.Tenant = nil
	opens("canceled")
}

// TestTenantAndAnySQL refuses what cannot be both.
func TestTenantAndAnySQL(t *testing.T) {
	t.Parallel()
	_, err := pgtool.Open(t.Context(), pgtool.Options{URL: redact.NewSecret("postgres://u@127.0.0.1/d"), Tenant: bySetting, Waive: []mcpsec.Waiver{anySQL}})
	if err == nil || !strings.Contains(err.Error(), "insecure.AnySQL") {
		t.Error(err)
	}
}

// TestTenantChangesLast changes the tenant between the yes and the run, and in a
// trigger.
func TestTenantChangesLast(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	pgtest.Exec(t, x.conn, "UPDATE t.notes SET body = 'x'")
	var calls atomic.Int32
	w := x.openWriter(t, func(context.Context, mcpsec.Principal) (pgtool.Tenant, error) {
		who := "ada"
		if calls.Add(1) == 3 { // after two runs for the question
			who = "bob"
		}
		return pgtool.Tenant{Settings: map[string]string{"app.tenant": "tenant-" + who}}, nil
	})
	cs, _ := serveAs(t, "ada", &person{}, pgtool.WriteTools(w)...)
	wants(t, cs, "pg_delete", args{"table": "t.notes", "where": where("id", "gt", 10), "returning": []any{}}, "rows have changed since they were counted")
	pgtest.Exec(t, x.conn, `CREATE FUNCTION t.stray() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('app.tenant', 'tenant-bob', true); RETURN NEW; END$$;
		CREATE TRIGGER stray BEFORE INSERT ON t.notes FOR EACH STATEMENT EXECUTE FUNCTION t.stray()`)
	wants(t, cs, "pg_insert", args{"table": "t.notes", "rows": []args{{"id": 500, "tenant": "tenant-bob", "body": "y"}}, "returning": []any{}},
		"has changed whose data it may use", "nothing was changed")
	if n := pgtest.Ask[int](t, x.conn, "SELECT count(*) FROM t.notes"); n != 20 {
		t.Errorf("%d rows are left", n)
	}
}
