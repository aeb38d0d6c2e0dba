package pgsql

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// serveScoped is a client of a server whose caller has scopes.
func serveScoped(t testing.TB, scopes []string, tools ...*mcpsec.Tool) *mcp.ClientSession {
	t.Helper()
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(&mcptest.Buffer{}), Log: slog.DiscardHandler, Limits: mcpsec.Limits{CallsPerSecond: 1e6},
		Mode: mcpsec.Destroy, Principal: mcpsec.Principal{ID: "ada", Scopes: scopes},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(tools...)
	return connect(t, srv)
}

// TestSet serves two databases, of which each is for its own scope, by one server.
func TestSet(t *testing.T) {
	t.Parallel()
	set := pgtool.Set{}
	for _, name := range []string{"sales", "staff"} {
		x := newTenancy(t, nil)
		pgtest.Exec(t, x.conn, "CREATE TABLE t.only_"+name+" (id int); GRANT SELECT ON t.only_"+name+" TO "+x.name)
		set[name] = x.open(t, func(o *pgtool.Options) {
			o.Tenant, o.Scopes = nil, []string{"db." + name}
			if name == "staff" {
				o.MaxRows = 1
			}
		})
	}
	cs := serveScoped(t, []string{"db.sales"}, append(set.ReadTools(), set.InspectTools()...)...)
	list, err := cs.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	schemas, _ := json.Marshal(list.Tools)
	if n := len(pgtool.ReadTools(set["sales"])) + len(pgtool.InspectTools(set["sales"])); len(list.Tools) != n || strings.Count(string(schemas), `"enum":["sales","staff"]`) != n {
		t.Errorf("%d tools, want %d that name the databases: %s", len(list.Tools), n, schemas)
	}
	for _, test := range []struct {
		database any
		sql      string
		want     string
	}{
		{"sales", "SELECT count(*) FROM t.only_sales", `[["0"]]`},
		{"sales", "SELECT count(*) FROM t.only_staff", "not"},
		{"staff", "SELECT count(*) FROM t.only_staff", "needs the scopes db.staff"},
		{"postgres", "SELECT 1", "must be one of sales, staff"},
		{"postgres://u:p@127.0.0.1/x", "SELECT 1", "must be one of sales, staff"},
		{nil, "SELECT 1", "must be one of sales, staff"},
	} {
		if got := tell(t, cs, "pg_query", args{"database": test.database, "sql": test.sql, "params": []any{}}); !strings.Contains(got, test.want) || test.want == "not" && strings.Contains(got, "[[") {
			t.Errorf("%v %s: %s", test.database, test.sql, got)
		}
	}
	both := serveScoped(t, []string{"db.sales", "db.staff"}, set.ReadTools()...)
	wants(t, both, "pg_query", args{"database": "staff", "sql": "SELECT * FROM generate_series(1, 3)", "params": []any{}}, `"row_count":1`)
	wants(t, both, "pg_query", args{"database": "sales", "sql": "SELECT * FROM generate_series(1, 3)", "params": []any{}}, `"row_count":3`)
	alone := serveScoped(t, nil, pgtool.ReadTools(set["sales"])...)
	if list, err := alone.ListTools(t.Context(), nil); err != nil || len(list.Tools) != 0 {
		t.Errorf("a caller without scopes sees %v, %v", list.Tools, err)
	}
	for name, s := range map[string]pgtool.Set{"none": {}, "nil": {"x": nil}, "no name": {"": set["sales"]}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			s.ReadTools()
		}()
	}
}

// TestScopesOfDatabase hides a database from who lacks its scopes, writes and
// resources too.
func TestScopesOfDatabase(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	pgtest.Exec(t, x.conn, "GRANT SELECT ON t.private TO "+x.name)
	w := openWriter(t, pgtool.WriteOptions{Options: pgtool.Options{
		URL: redact.NewSecret(postgres.Server(t).URL(x.writer(t), x.name+"w")), Scopes: []string{"w"},
	}, Tables: notesTable})
	if list, err := serveScoped(t, nil, pgtool.WriteTools(w)...).ListTools(t.Context(), nil); err != nil || len(list.Tools) != 0 {
		t.Errorf("a caller without scopes sees %v, %v", list.Tools, err)
	}
	db := x.open(t, func(o *pgtool.Options) { o.Tenant, o.Scopes = nil, []string{"r"} })
	named := pgtool.NamedQuery[none, countRow](db, mcpsec.ToolSpec{Name: "bodies", Description: "Bodies.", Scopes: []string{"own"}}, pgtool.NewSQL("SELECT 'x' AS bodies"))
	if list, err := serveScoped(t, []string{"own"}, named).ListTools(t.Context(), nil); err != nil || len(list.Tools) != 0 {
		t.Errorf("a named query: a caller without scopes sees %v, %v", list.Tools, err)
	}
	cs, _ := serve(t, func(s *mcpsec.Server) { s.AddResource(pgtool.Resources(db)...) })
	if list, err := cs.ListResources(t.Context(), nil); err != nil || len(list.Resources) != 0 {
		t.Errorf("a caller without scopes sees %v, %v", list.Resources, err)
	}
}
