package pgsql

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// TestDDLCut cuts the connection at each step: of the plan for the question, of that
// after the yes, and of the run. What the model reads is what the catalogs hold.
func TestDDLCut(t *testing.T) {
	t.Parallel()
	name, conn := yardSetup(t, "")
	u, err := url.Parse(postgres.Server(t).URL(name, name))
	if err != nil {
		t.Fatal(err)
	}
	cut := newCutter(t, u.Host)
	m := openMigrator(t, ddlOptions(t, name, func(o *pgtool.DDLOptions) {
		o.URL, o.MaxConns = through(t, name, cut.Addr().String()), 2
	}))
	cs, _ := writeClient(t, pgtool.DDLTools(m), &person{})
	const unchanged, done = "nothing was changed", `"done":true`
	for i, test := range []struct {
		at            string
		skip          int
		after, closed bool
		want          string
		columns       int
	}{
		{"BEGIN ISOLATION LEVEL REPEATABLE READ", 0, false, false, unchanged, 0}, {"BEGIN ISOLATION LEVEL REPEATABLE READ", 1, false, false, unchanged, 0}, {"BEGIN ISOLATION LEVEL REPEATABLE READ", 2, false, false, unchanged, 0},
		{"\nWITH mine", 4, false, false, unchanged, 0}, {"\nWITH mine", 5, false, false, unchanged, 0}, {"SELECT pg_catalog.set_config", 4, false, false, unchanged, 0},
		{"ALTER TABLE", 0, false, false, unchanged, 0}, {"ALTER TABLE", 1, false, false, unchanged, 0}, {"ALTER TABLE", 2, false, false, unchanged, 0},
		{"COMMENT", 2, false, false, unchanged, 0}, {"\nSELECT 'c'", 2, false, false, unchanged, 0},
		{"COMMIT", 0, false, false, unchanged, 0},
		{"COMMIT", 0, true, false, done, 1},
		{"COMMIT", 0, false, true, "whether it took effect is not known", 0},
		{"COMMIT", 0, true, true, "whether it took effect is not known", 1},
	} {
		cut.set(test.at, test.after, test.closed)
		cut.skipping(test.skip)
		column := "c" + itoa(i)
		text := tell(t, cs, "pg_apply_ddl", args{"sql": "ALTER TABLE s.orders ADD COLUMN " + column + " int; COMMENT ON COLUMN s.orders." + column + " IS 'x'"})
		wantsTruth(t, text, test.want, unchanged, done, test.closed, test.columns > 0)
		if cut.cuts.Load() != 1 {
			t.Errorf("%+v: was not cut", test)
		}
		cut.set("", false, false)
		until(t, conn, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = current_database() AND state <> 'idle')")
		if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM pg_attribute WHERE attrelid = 's.orders'::regclass AND attname = $1", column); n != test.columns {
			t.Errorf("%+v: %d columns", test, n)
		}
	}
	wants(t, cs, "pg_apply_ddl", args{"sql": "ALTER TABLE s.orders ADD COLUMN fine int"}, done)
}

// forever is a statement that does not end, and that the gate allows.
const forever = "CREATE MATERIALIZED VIEW s.m AS SELECT count(*) FROM generate_series(1, 100000) g, generate_series(1, 100000) h"

// TestDDLLimits waits for a lock, runs into the limit of time, and has its session
// ended.
func TestDDLLimits(t *testing.T) {
	t.Parallel()
	cs, p, conn := migrator(t, "", func(o *pgtool.DDLOptions) { o.Timeout = time.Second })
	before := shape(t, conn)
	for _, tool := range []string{"pg_plan_ddl", "pg_apply_ddl"} {
		wants(t, cs, tool, args{"sql": "COMMENT ON TABLE s.orders IS 'x'; " + forever}, "statement 2: the statement was cancelled", "SQLSTATE 57014", "nothing was changed")
		pgtest.Exec(t, conn, "BEGIN; LOCK TABLE s.orders IN ACCESS SHARE MODE")
		wants(t, cs, tool, args{"sql": "COMMENT ON TABLE s.items IS 'x'; ALTER TABLE s.orders ADD x int"}, "statement 2: ", "SQLSTATE 5", "nothing was changed")
		pgtest.Exec(t, conn, "ROLLBACK")
	}
	if p.count() != 0 || shape(t, conn) != before {
		t.Errorf("asked %d times", p.count())
	}
	wants(t, cs, "pg_apply_ddl", args{"sql": "ALTER TABLE s.orders ADD x int"}, `"done":true`)
}

func TestDDLEnded(t *testing.T) {
	t.Parallel()
	cs, _, conn := migrator(t, "", func(o *pgtool.DDLOptions) { o.Timeout = long })
	before := shape(t, conn)
	got := make(chan string, 1)
	go func() { got <- tell(t, cs, "pg_apply_ddl", args{"sql": "ALTER TABLE s.orders ADD x int; " + forever}) }()
	until(t, conn, running, "CREATE MATERIALIZED%")
	until(t, conn, "SELECT coalesce(bool_or(pg_terminate_backend(pid)), false) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE MAT%' AND pid <> pg_backend_pid()")
	if text := <-got; !strings.Contains(text, "nothing was changed") {
		t.Errorf("ended: %s", text)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := cs.CallTool(ctx, toolParams("pg_plan_ddl", args{"sql": forever}))
		done <- err
	}()
	until(t, conn, running, "CREATE MATERIALIZED%")
	cancel()
	<-done
	until(t, conn, gone, "CREATE MATERIALIZED%")
	if shape(t, conn) != before {
		t.Error("something was changed")
	}
}

// TestDDLCommitWaits has the server restarted while COMMIT waits.
func TestDDLCommitWaits(t *testing.T) {
	t.Parallel()
	postgres.Server(t) // skips where there is none
	s, err := pgserver.Start(t.Context(), pgserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), s.URL("postgres", ""))
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conn := connect()
	pgtest.Exec(t, conn, yard)
	pgtest.Exec(t, conn, pgtool.SetupSQL(pgtool.SetupOptions{Database: "postgres", Schemas: []string{"s"}, Migrates: true}))
	pgtest.Exec(t, conn, "ALTER ROLE mcp_migrator PASSWORD '"+s.Password()+"'; ALTER DATABASE postgres SET synchronous_commit = local; ALTER ROLE mcp_migrator SET synchronous_commit = on")
	pgtest.Exec(t, conn, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	pgtest.Exec(t, conn, "SELECT pg_reload_conf()")
	o := pgtool.DDLOptions{Kinds: []string{"column"}}
	o.URL, o.Timeout, o.Schemas = redact.NewSecret(s.URL("postgres", "mcp_migrator")), long, []string{"s"}
	cs, _ := writeClient(t, pgtool.DDLTools(openMigrator(t, o)), &person{})
	for column, test := range map[string]struct {
		do   func()
		want string
	}{
		"a": {func() {
			pgtest.Exec(t, conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		}, `"done":true`},
		"b": {func() {
			if err := s.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, "whether it took effect is not known"},
	} {
		got := make(chan string, 1)
		go func() {
			got <- tell(t, cs, "pg_apply_ddl", args{"sql": "ALTER TABLE s.orders ADD COLUMN " + column + " int"})
		}()
		until(t, conn, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')")
		test.do()
		if text := <-got; !strings.Contains(text, test.want) {
			t.Errorf("%s: got %s", column, text)
		}
		conn.Close(context.Background())
		conn = connect()
		if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM pg_attribute WHERE attrelid = 's.orders'::regclass AND attname = $1", column); n != 1 {
			t.Errorf("%s: %d columns", column, n)
		}
	}
	conn.Close(context.Background())
}

// TestDDLConcurrently makes and drops indexes outside of a transaction, and fails to.
func TestDDLConcurrently(t *testing.T) {
	t.Parallel()
	name, conn := yardSetup(t, "")
	u, err := url.Parse(postgres.Server(t).URL(name, name))
	if err != nil {
		t.Fatal(err)
	}
	cut := newCutter(t, u.Host)
	m := openMigrator(t, ddlOptions(t, name, func(o *pgtool.DDLOptions) {
		o.URL, o.IndexTimeout = through(t, name, cut.Addr().String()), 2*time.Second
	}))
	p := &person{}
	cs, _ := writeClient(t, pgtool.DDLTools(m), p)
	apply := func(sql string, want ...string) {
		t.Helper()
		wants(t, cs, "pg_apply_ddl", args{"sql": sql}, want...)
	}
	wants(t, cs, "pg_plan_ddl", args{"sql": "CREATE INDEX CONCURRENTLY good ON orders (customer)"}, `"object":"s.good"`, "SHARE UPDATE EXCLUSIVE", "was not tried", "about 1000 rows")
	apply("CREATE INDEX CONCURRENTLY good ON orders (customer)", `"done":true`, "index s.good is there and valid")
	if !strings.Contains(p.last(), "runs what cannot be rolled back: (1) CREATE INDEX CONCURRENTLY good ON orders (customer)") {
		t.Errorf("asked %s", p.last())
	}
	apply("CREATE UNIQUE INDEX CONCURRENTLY bad ON s.orders (customer)", "SQLSTATE 23505", "index s.bad is there and INVALID")
	apply("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS bad ON s.orders (customer)", "was there before and is INVALID")
	apply("DROP INDEX CONCURRENTLY s.bad", `"done":true`, "the index is not there")
	apply("DROP INDEX CONCURRENTLY s.bad", "there is no such table or index")
	apply("CREATE INDEX CONCURRENTLY x ON s.nosuch (a)", "there is no such table or index")
	apply("CREATE INDEX CONCURRENTLY x ON s.orders (nosuch)", "a column does not exist", "there is no such index now")
	cut.set("CREATE INDEX", false, false)
	apply("CREATE INDEX CONCURRENTLY lost ON s.orders (customer)", "the connection was lost", "there is no such index now")
	cut.set("", false, false)
	pgtest.Exec(t, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	pgtest.Exec(t, conn, "SELECT count(*) FROM s.orders")
	apply("CREATE INDEX CONCURRENTLY slow ON s.orders (customer)", "SQLSTATE 57014", "index s.slow is there and INVALID")
	got := make(chan string, 1)
	go func() {
		got <- tell(t, cs, "pg_apply_ddl", args{"sql": "CREATE INDEX CONCURRENTLY ended ON s.orders (customer)"})
	}()
	other := postgres.Admin(t, name)
	until(t, other, running, "CREATE INDEX CONC%ended%")
	until(t, other, "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'ended')")
	until(t, other, "SELECT coalesce(bool_or(pg_terminate_backend(pid)), false) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONC%' AND state = 'active' AND pid <> pg_backend_pid()")
	if text := <-got; !strings.Contains(text, "index s.ended is there and INVALID") {
		t.Errorf("ended: %s", text)
	}
	pgtest.Exec(t, conn, "ROLLBACK")
}
