package pgsql

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// A pooler is a PgBouncer before the test server.
type pooler struct {
	t       testing.TB
	dir     string
	address string
	cmd     *osexec.Cmd
}

// poolerSize is how many sessions a pooler shares.
const poolerSize = 2

func newPooler(t testing.TB, mode string, users []string, more ...string) *pooler {
	t.Helper()
	path, err := osexec.LookPath("pgbouncer")
	if err != nil {
		if path = "/usr/sbin/pgbouncer"; os.Getenv("CI") == "true" {
			t.Fatal("pgbouncer is not installed")
		}
		if _, err := os.Stat(path); err != nil {
			t.Skip("pgbouncer is not installed")
		}
	}
	server := postgres.Server(t)
	u, err := url.Parse(server.URL("", ""))
	if err != nil {
		t.Fatal(err)
	}
	p := &pooler{t: t, dir: t.TempDir(), address: "127.0.0.1:" + freePort(t)}
	_, port, _ := net.SplitHostPort(p.address)
	conf := []string{
		"[databases]", "* = host=" + u.Hostname() + " port=" + u.Port(), "[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = " + port, "unix_socket_dir =",
		"auth_type = scram-sha-256", "auth_file = " + filepath.Join(p.dir, "users"), "pool_mode = " + mode, fmt.Sprint("default_pool_size = ", poolerSize),
		"logfile = " + filepath.Join(p.dir, "log"), "server_login_retry = 1",
	}
	var list string
	for _, name := range users {
		list += fmt.Sprintf("%q %q\n", name, server.Password())
	}
	for name, text := range map[string]string{"conf": strings.Join(append(conf, more...), "\n") + "\n", "users": list} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.start(path)
	t.Cleanup(p.stop)
	return p
}

// start runs it as another user than root, which it refuses.
func (p *pooler) start(path string) {
	p.t.Helper()
	arguments := []string{filepath.Join(p.dir, "conf")}
	if os.Geteuid() == 0 {
		for dir := p.dir; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o777); err != nil {
				p.t.Fatal(err)
			}
		}
		arguments = append([]string{"-u", "nobody"}, arguments...)
	}
	p.cmd = osexec.Command(path, arguments...)
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", p.address); err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			p.t.Fatalf("PgBouncer does not start: %s", log)
		}
	}
}

func (p *pooler) stop() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // at once
	_ = p.cmd.Wait()
	p.cmd = nil
}

func (p *pooler) restart() {
	p.t.Helper()
	path := p.cmd.Path
	p.stop()
	p.start(path)
}

func (p *pooler) url(t testing.TB, database, role string) mcpsec.Secret {
	t.Helper()
	u, err := url.Parse(postgres.Server(t).URL(database, role))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = p.address
	return redact.NewSecret(u.String())
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

var (
	modes = []string{"transaction", "session"}
	// ignoring makes a pooler take the settings of a session, and forget them.
	ignoring = "ignore_startup_parameters = search_path,statement_timeout,lock_timeout,idle_in_transaction_session_timeout,work_mem,max_parallel_workers_per_gather," +
		"geqo_effort,row_security,IntervalStyle,extra_float_digits,bytea_output,default_transaction_read_only"
)

// TestPooler looks at a transaction from inside: its limits, its settings and
// whether it only reads.
func TestPooler(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		for name, more := range map[string]string{"": "", " that ignores settings": ignoring} {
			t.Run(mode+name, func(t *testing.T) {
				t.Parallel()
				x := newTenancy(t, nil)
				pgtest.Exec(t, x.conn, `CREATE FUNCTION t.settings() RETURNS text LANGUAGE sql AS $$SELECT string_agg(current_setting(n), ' ') FROM unnest('{transaction_read_only,
					statement_timeout,lock_timeout,idle_in_transaction_session_timeout,work_mem,row_security,search_path,DateStyle,IntervalStyle,TimeZone,
					bytea_output,standard_conforming_strings,client_encoding,extra_float_digits,role}'::text[]) n$$;
					ALTER ROLE `+x.name+` SET bytea_output = 'escape'; ALTER ROLE `+x.name+` SET DateStyle = 'SQL, DMY'; ALTER ROLE `+x.name+` SET search_path = 'evil'`)
				p := newPooler(t, mode, []string{x.name}, more)
				db := x.open(t, func(o *pgtool.Options) {
					o.URL, o.Tenant, o.Allow, o.MaxConns = p.url(t, x.name, x.name), nil, []string{"t.settings"}, poolerSize
				})
				want := `["on 10s 2s 15s 16MB on pg_catalog, \"t\", pg_temp ISO, YMD iso_8601 UTC hex on UTF8 1 none"]`
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						for range 10 {
							if got := row(t, db, "SELECT t.settings()"); got != want {
								t.Errorf("\n got %s\nwant %s", got, want)
							}
						}
					})
				}
				all.Wait()
				if got := row(t, db, "SELECT '2024-02-03'::date, '\\x41'::bytea, '1 day'::interval"); got != `["2024-02-03","QQ==","P1D"]` {
					t.Error(got)
				}
			})
		}
	}
}

// TestPoolerTenants sends calls of two tenants through few sessions.
func TestPoolerTenants(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			x := newTenancy(t, nil)
			x.writer(t)
			p := newPooler(t, mode, []string{x.name, x.name + "w"})
			db := x.open(t, func(o *pgtool.Options) {
				o.URL, o.MaxConns, o.Timeout = p.url(t, x.name, x.name), poolerSize, 200*time.Millisecond
			})
			w := openWriter(t, pgtool.WriteOptions{Options: pgtool.Options{URL: p.url(t, x.name, x.name+"w"), MaxConns: poolerSize, Tenant: bySetting}, Tables: notesTable})
			var all sync.WaitGroup
			for _, who := range []string{"ada", "bob", "ada", "bob"} {
				cs, _ := serveAs(t, who, &person{}, append(pgtool.ReadTools(db), pgtool.WriteTools(w)...)...)
				all.Go(func() {
					for i := range 6 {
						if got := query(t, cs, "SELECT DISTINCT tenant FROM t.notes"); !strings.Contains(got, `[["tenant-`+who+`"]]`) {
							t.Errorf("%s: %s", who, got)
						}
						wants(t, cs, "pg_update", args{"table": "t.notes", "set": args{"body": "by " + who}, "where": where("id", "gt", 0), "returning": []any{}}, `"affected":10`)
						switch i % 3 {
						case 0:
							query(t, cs, "SELECT 1/0 FROM t.notes")
						case 1:
							query(t, cs, "SELECT count(*) FROM generate_series(1, 30000) a, generate_series(1, 30000) b") // times out
						}
					}
				})
			}
			all.Wait()
			if got := pgtest.Ask[string](t, x.conn, "SELECT string_agg(DISTINCT tenant || ' ' || body, ', ' ORDER BY tenant || ' ' || body) FROM t.notes"); got != "tenant-ada by ada, tenant-bob by bob" {
				t.Error(got)
			}
			db.Close() // in session mode it has all there are
			c := foreign(t, p, x)
			if got := pgtest.Ask[string](t, c, "SELECT coalesce(current_setting('app.tenant', true), '') || current_user"); got != x.name {
				t.Errorf("left in the session: %s", got)
			}
		})
	}
}

// foreign is another client of the same pool.
func foreign(t testing.TB, p *pooler, x *tenancy) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(p.url(t, x.name, x.name).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	c, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// TestPoolerSharesTraces has another client of the pool leave things in the
// session, and looks for what we leave there.
func TestPoolerSharesTraces(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	pgtest.Exec(t, x.conn, `CREATE FUNCTION t.leave() RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('app.left', 'trace', false),
		set_config('work_mem', '77MB', false), pg_advisory_lock(4242); RETURN 'left'; END$$;
		CREATE SCHEMA evil; CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$SELECT 'evil'$$;
		CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT 'evil'$$; CREATE TABLE evil.notes (tenant text);
		GRANT USAGE ON SCHEMA evil TO PUBLIC; GRANT SELECT ON evil.notes TO PUBLIC; GRANT SELECT ON t.private TO `+x.name)
	p := newPooler(t, "transaction", []string{x.name}, "default_pool_size = 1")
	db := x.open(t, func(o *pgtool.Options) {
		o.URL, o.Allow, o.Tenant = p.url(t, x.name, x.name), []string{"t.leave", "t.extra"}, nil
	})
	c := foreign(t, p, x)
	for _, dirt := range []string{
		"SET search_path = evil, pg_catalog", "SET ROLE " + x.bob, "SET default_transaction_read_only = off", "SET statement_timeout = 0",
		"SET standard_conforming_strings = off", "SET bytea_output = 'escape'", "SET row_security = off", "SET app.extra = 'dirt'", "SET transform_null_equals = on", "SET DateStyle = 'SQL, DMY'",
	} {
		pgtest.Exec(t, c, dirt)
		if got := row(t, db, `SELECT t.extra(), (x = NULL) IS NULL, current_user, '2024-02-03'::date, '\x41'::bytea, '\', '''' FROM (SELECT NULL::int) AS y(x)`); got != `["",true,"`+x.name+`","2024-02-03","QQ==","\\","'"]` {
			t.Errorf("after %s: %s", dirt, got)
		}
		if _, err := db.ReadOnly(t.Context(), "SELECT count(*) FROM evil.notes"); err == nil {
			t.Errorf("after %s: another schema can be read", dirt)
		}
	}
	if got := row(t, db, "SELECT t.leave()"); got != `["left"]` {
		t.Error(got)
	}
	until(t, foreign(t, p, x), `SELECT current_setting('work_mem') <> '77MB' AND coalesce(current_setting('app.left', true), '') = '' AND
		NOT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objid = 4242 AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))`)
}

// TestPoolerSharesWrites has a trigger leave a setting in the session.
func TestPoolerSharesWrites(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	pgtest.Exec(t, x.conn, `CREATE FUNCTION t.leave() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('work_mem', '77MB', false); RETURN NEW; END$$;
		CREATE TRIGGER leave BEFORE UPDATE ON t.notes FOR EACH STATEMENT EXECUTE FUNCTION t.leave()`)
	x.writer(t)
	p := newPooler(t, "transaction", []string{x.name, x.name + "w"}, "default_pool_size = 1")
	w := openWriter(t, pgtool.WriteOptions{Options: pgtool.Options{URL: p.url(t, x.name, x.name+"w"), MaxConns: 1, Tenant: bySetting}, Tables: notesTable})
	cs, _ := serveAs(t, "ada", &person{}, pgtool.WriteTools(w)...)
	wants(t, cs, "pg_update", args{"table": "t.notes", "set": args{"body": "x"}, "where": where("id", "gt", 0), "returning": []any{}}, `"affected":10`)
	config, err := pgx.ParseConfig(p.url(t, x.name, x.name+"w").Reveal())
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	c, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if got := pgtest.Ask[string](t, c, "SELECT current_setting('work_mem')"); got == "77MB" {
		t.Error("the next client has it")
	}
}

// TestPoolersAreNoticed has what is hard to notice: a pooler that takes the settings
// of a session and tells of those which it must, and one that keeps some from the
// server and hides no process.
func TestPoolersAreNoticed(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	pgtest.Exec(t, x.conn, `CREATE FUNCTION t.settings() RETURNS text LANGUAGE sql AS $$SELECT current_setting('IntervalStyle') || current_setting('bytea_output')$$`)
	pgtest.Exec(t, x.conn, "ALTER ROLE "+x.name+" SET IntervalStyle = 'iso_8601'; ALTER ROLE "+x.name+" SET bytea_output = 'escape'")
	hidden := newPooler(t, "transaction", []string{x.name}, ignoring).address
	for what, address := range map[string]string{"another process": hidden, "other settings": forgetful(t)} {
		if what == "other settings" {
			pgtest.Exec(t, x.conn, "ALTER ROLE "+x.name+" SET IntervalStyle = 'postgres'")
		}
		db := x.open(t, func(o *pgtool.Options) {
			o.URL, o.Tenant, o.Allow = through(t, x.name, address), nil, []string{"t.settings"}
		})
		for range 3 {
			if got := row(t, db, "SELECT t.settings()"); got != `["iso_8601hex"]` {
				t.Errorf("%s: %s", what, got)
			}
		}
	}
}

// forgetful is a proxy that drops a setting from the start of a session.
func forgetful(t testing.TB) (address string) {
	t.Helper()
	u, err := url.Parse(postgres.Server(t).URL("", ""))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go forget(c, u.Host)
		}
	}()
	return l.Addr().String()
}

func forget(c net.Conn, to string) {
	defer c.Close()
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		return
	}
	body := make([]byte, binary.BigEndian.Uint32(head)-4)
	if _, err := io.ReadFull(c, body); err != nil {
		return
	}
	body = bytes.Replace(body, []byte("IntervalStyle\x00iso_8601\x00"), nil, 1)
	_, _ = s.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...))
	go func() { _, _ = io.Copy(s, c); s.Close() }()
	_, _ = io.Copy(c, s)
}

// TestPoolerCancels looks at the server after a call has ended early.
func TestPoolerCancels(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			x := newTenancy(t, nil)
			p := newPooler(t, mode, []string{x.name})
			db := x.open(t, func(o *pgtool.Options) { o.URL, o.Tenant, o.Timeout = p.url(t, x.name, x.name), nil, 2*time.Minute })
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, err := db.ReadOnly(ctx, "SELECT count(*) FROM generate_series(1, 30000) a, generate_series(1, 30000) b")
				done <- err
			}()
			until(t, x.conn, running, "%30000%")
			cancel()
			if err := <-done; err == nil {
				t.Error("no error")
			}
			until(t, x.conn, gone, "%30000%")
			if got := row(t, db, "SELECT 1"); got != "[1]" {
				t.Error(got)
			}
		})
	}
}

// TestPoolerRestarts ends the pooler under an open pool.
func TestPoolerRestarts(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	p := newPooler(t, "transaction", []string{x.name})
	db := x.open(t, func(o *pgtool.Options) { o.URL, o.Tenant = p.url(t, x.name, x.name), nil })
	for range 2 {
		row(t, db, "SELECT 1")
		p.restart()
		_, err := db.ReadOnly(t.Context(), "SELECT 1")
		if err != nil && !strings.Contains(err.Error(), "cannot be reached now, or has ended the connection") {
			t.Error(err)
		}
		if got := row(t, db, "SELECT 1"); got != "[1]" {
			t.Error(got)
		}
	}
}

// TestPoolerRefused has poolers, and waivers, that cannot be made safe.
func TestPoolerRefused(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	for _, test := range []struct {
		mode, more, want string
		waive            []mcpsec.Waiver
	}{
		{"statement", "", "pool_mode must be transaction or session", nil},
		{"transaction", "", "behind a pooler insecure.AnySQL is not safe", []mcpsec.Waiver{anySQL}},
		{"transaction", ignoring, "behind a pooler insecure.AnySQL is not safe", []mcpsec.Waiver{anySQL}},
	} {
		p := newPooler(t, test.mode, []string{x.name}, test.more)
		db, err := pgtool.Open(t.Context(), pgtool.Options{URL: p.url(t, x.name, x.name), Waive: test.waive})
		if err == nil {
			db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: got %v, want %s", test.mode, test.more, err, test.want)
		}
	}
}
