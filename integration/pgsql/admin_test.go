package pgsql

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

func adminOptions(t testing.TB, name string) pgtool.Options {
	return pgtool.Options{URL: redact.NewSecret(postgres.Server(t).URL(name, name)), Schemas: []string{"s"}, Timeout: 5 * time.Second}
}

func openAdmin(t testing.TB, o pgtool.Options) *pgtool.Admin {
	t.Helper()
	a, err := pgtool.OpenAdmin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func TestAdminRole(t *testing.T) {
	t.Parallel()
	for grant, want := range map[string]string{
		"ALTER ROLE {r} SUPERUSER": "is a superuser", "ALTER ROLE {r} CREATEROLE": "has CREATEROLE", "GRANT pg_read_server_files TO {r}": "pg_read_server_files", "GRANT pg_read_all_data TO {r}": "pg_read_all_data",
		"GRANT INSERT ON o.secret TO {r}": "can write to o.secret", "ALTER TABLE o.secret OWNER TO {r}": "owns more than",
		"GRANT pg_signal_backend, pg_monitor TO {r}": "", "SELECT 1": "",
	} {
		name, conn := yardSetup(t, "")
		pgtest.Exec(t, conn, strings.ReplaceAll(grant, "{r}", name))
		a, err := pgtool.OpenAdmin(t.Context(), adminOptions(t, name))
		if err == nil {
			a.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", grant, err, want)
		}
	}
	if _, err := pgtool.OpenAdmin(t.Context(), pgtool.Options{URL: redact.NewSecret("postgres://u@h/d")}); err == nil || !strings.Contains(err.Error(), "Schemas is required") {
		t.Errorf("without schemas: %v", err)
	}
}

func TestAdminMaintain(t *testing.T) {
	t.Parallel()
	name, conn := yardSetup(t, "CREATE TABLE s.plain (id int);")
	pgtest.Exec(t, conn, "CREATE TABLE s.theirs (id int); CREATE INDEX theirs_i ON s.theirs (id)")
	o := adminOptions(t, name)
	o.Timeout = time.Second
	p := &person{}
	cs, _ := writeClient(t, pgtool.AdminTools(openAdmin(t, o)), p)
	before := shapeOf(t, conn)
	file := pgtest.Ask[string](t, conn, "SELECT pg_relation_filenode('s.orders_pkey')::text")
	for _, action := range []string{"vacuum", "analyze", "vacuum_analyze", "reindex"} {
		wants(t, cs, "pg_maintain", args{"action": action, "object": "s.orders"}, `{"done":true}`)
		wants(t, cs, "pg_maintain", args{"action": action, "object": "s.theirs"}, "does not own this object")
		wants(t, cs, "pg_maintain", args{"action": action, "object": "o.secret"}, "there is no such object")
		wants(t, cs, "pg_maintain", args{"action": action, "object": "s.open_orders"}, "there is no such object")
		wants(t, cs, "pg_maintain", args{"action": action, "object": "s.orders, s.items; DROP TABLE s.items"}, "there is no such object")
	}
	wants(t, cs, "pg_maintain", args{"action": "reindex", "object": "s.orders_pkey"}, `{"done":true}`)
	wants(t, cs, "pg_maintain", args{"action": "reindex", "object": "s.theirs_i"}, "does not own")
	wants(t, cs, "pg_maintain", args{"action": "vacuum", "object": "s.orders_pkey"}, "an index can only be reindexed")
	wants(t, cs, "pg_maintain", args{"action": "full", "object": "s.orders"}, "invalid arguments")
	if pgtest.Ask[string](t, conn, "SELECT pg_relation_filenode('s.orders_pkey')::text") == file || !pgtest.Ask[bool](t, conn, "SELECT count(*) = 1 FROM pg_class WHERE relname LIKE 'orders_pkey%'") {
		t.Error("was not reindexed")
	}
	until(t, conn, "SELECT vacuum_count >= 2 AND analyze_count >= 3 FROM pg_stat_user_tables WHERE relid = 's.orders'::regclass")
	pgtest.Exec(t, conn, "BEGIN; LOCK TABLE s.orders IN SHARE ROW EXCLUSIVE MODE")
	wants(t, cs, "pg_maintain", args{"action": "reindex", "object": "s.orders_pkey"}, "SQLSTATE 57014", "_ccnew")
	wants(t, cs, "pg_maintain", args{"action": "vacuum", "object": "s.orders"}, "SQLSTATE 57014")
	pgtest.Exec(t, conn, "ROLLBACK")
	if p.count() != 0 || shapeOf(t, conn) != before {
		t.Errorf("asked %d times, or rows are others", p.count())
	}
}

// shapeOf tells whether rows and names have changed.
func shapeOf(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	return pgtest.Ask[string](t, conn, `SELECT md5(string_agg(x, '|' ORDER BY x)) FROM (SELECT relname::text FROM pg_class WHERE oid >= 16384 AND relkind <> 'i' AND relname NOT LIKE 'pg_toast%' UNION ALL SELECT o::text FROM s.orders o) y(x)`)
}

// sleeper runs a statement that does not end in a session of a role, and tells its pid
// and what became of it.
func sleeper(t testing.TB, name, role, sql string) (pid int, ended chan error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), postgres.Server(t).URL(name, role))
	if err != nil {
		t.Fatal(err)
	}
	pid = pgtest.Ask[int](t, conn, "SELECT pg_backend_pid()")
	super := postgres.Admin(t, name)
	t.Cleanup(func() { // a session that sleeps would not hear a goodbye
		_, _ = super.Exec(context.Background(), "SELECT pg_terminate_backend($1)", pid)
	})
	ended = make(chan error, 2)
	if sql != "" {
		if _, err := conn.Exec(t.Context(), "SET statement_timeout = 0"); err != nil {
			t.Fatal(err)
		}
		go func() {
			for range 2 { // when it is cancelled it begins anew
				_, err := conn.Exec(context.Background(), sql)
				ended <- err
			}
		}()
		until(t, postgres.Admin(t, name), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND wait_event = 'PgSleep')", pid)
	}
	return pid, ended
}

func TestAdminCancel(t *testing.T) {
	t.Parallel()
	name, conn := yardSetup(t, "")
	other := name + "_other"
	role(t, conn, other, "LOGIN")
	pgtest.Exec(t, conn, "GRANT CONNECT ON DATABASE "+name+" TO "+other+"; ALTER ROLE "+name+" CONNECTION LIMIT 20")
	p := &person{}
	open := func() []*mcpsec.Tool { return pgtool.AdminTools(openAdmin(t, adminOptions(t, name))) }
	cs, _ := writeClient(t, open(), p)
	const sleep = "SELECT pg_sleep(600)"
	mine, mineEnded := sleeper(t, name, name, sleep)
	theirs, theirsEnded := sleeper(t, name, other, sleep)
	idle, _ := sleeper(t, name, name, "")
	super, _ := sleeper(t, name, "", sleep)
	wants(t, cs, "pg_cancel_query", args{"pid": mine}, "EXECUTE on pg_cancel_backend is missing") // SetupSQL has taken it away
	pgtest.Exec(t, conn, "GRANT EXECUTE ON FUNCTION pg_cancel_backend(int) TO "+name)
	p.no = true
	wants(t, cs, "pg_cancel_query", args{"pid": mine}, "said no")
	p.no = false
	for _, pid := range []int{theirs, idle, super, 1, 2147483647} { // not visible, not active, not there
		wants(t, cs, "pg_cancel_query", args{"pid": pid}, "there is no such session that runs a statement now")
	}
	wants(t, cs, "pg_cancel_query", args{"pid": 0}, "invalid arguments")
	select {
	case err := <-mineEnded:
		t.Errorf("was cancelled before: %v", err)
	default:
	}
	wants(t, cs, "pg_cancel_query", args{"pid": mine}, `{"sent":true}`)
	if err := <-mineEnded; err == nil || !strings.Contains(err.Error(), "57014") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(p.last(), "cancels the statement that process "+itoa(mine)+` runs for role "`+name+`"`) || strings.Contains(p.last(), "pg_sleep") {
		t.Errorf("asked %s", p.last())
	}
	pgtest.Exec(t, conn, "ALTER ROLE "+name+" INHERIT; GRANT pg_read_all_stats TO "+name)
	more, _ := writeClient(t, open(), p)
	wants(t, more, "pg_cancel_query", args{"pid": theirs}, "may not cancel statements of that session")
	pgtest.Exec(t, conn, "GRANT pg_signal_backend TO "+name)
	more, _ = writeClient(t, open(), p)
	wants(t, more, "pg_cancel_query", args{"pid": super}, "may not cancel statements of that session")
	wants(t, more, "pg_cancel_query", args{"pid": theirs}, `{"sent":true}`)
	if err := <-theirsEnded; err == nil || !strings.Contains(err.Error(), "57014") {
		t.Errorf("got %v", err)
	}
}

// TestAdminCancelsWhatWasShown has the session run another statement after the yes.
func TestAdminCancelsWhatWasShown(t *testing.T) {
	t.Parallel()
	name, conn := yardSetup(t, "")
	pgtest.Exec(t, conn, "GRANT EXECUTE ON FUNCTION pg_cancel_backend(int) TO "+name)
	pid, ended := sleeper(t, name, name, "SELECT pg_sleep(600)")
	tools := pgtool.AdminTools(openAdmin(t, adminOptions(t, name)))
	looks := 0
	tools[1] = tools[1].WithGuards(func(context.Context, *mcpsec.Call) error {
		if looks++; looks == 2 {
			began := pgtest.Ask[string](t, conn, "SELECT query_start::text FROM pg_stat_activity WHERE pid = $1", pid)
			pgtest.Exec(t, conn, "SELECT pg_cancel_backend("+itoa(pid)+")")
			<-ended
			until(t, conn, "SELECT state = 'active' AND wait_event = 'PgSleep' AND query_start::text <> $2 FROM pg_stat_activity WHERE pid = $1", pid, began)
		}
		return nil
	})
	cs, _ := writeClient(t, tools, &person{})
	wants(t, cs, "pg_cancel_query", args{"pid": pid}, "there is no such session that runs a statement now")
	if !pgtest.Ask[bool](t, conn, "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1", pid) {
		t.Error("another statement was cancelled")
	}
}
