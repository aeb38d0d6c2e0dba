package pgsql

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// A cutter stands between a client and the server, and cuts a connection at the
// statement that begins with a text: before the server has seen it, or after it
// has answered, and the client not.
type cutter struct {
	net.Listener
	backend string

	mu     sync.Mutex
	at     string
	after  bool
	closed bool // to further connections, once it has cut
	skip   int  // statements of this kind that are let through first
	cuts   atomic.Int32
	named  map[string]string // statements by the name that a client gave them, on whatever connection
}

func newCutter(t testing.TB, backend string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, backend: backend}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return c
}

func (c *cutter) set(at string, after, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.after, c.closed = at, after, closed
	c.cuts.Store(0)
	c.skip = 0
}

func (c *cutter) skipping(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skip = n
}

func (c *cutter) wanted(sql string) (cut, after bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == "" || c.cuts.Load() != 0 || !strings.HasPrefix(sql, c.at) {
		return false, false
	}
	c.skip--
	return c.skip < 0, c.after
}

func (c *cutter) refuses() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed && c.cuts.Load() > 0
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	if c.refuses() {
		return
	}
	server, err := net.Dial("tcp", c.backend)
	if err != nil {
		return
	}
	defer server.Close()
	var deaf atomic.Bool // the client hears nothing any more
	answered := make(chan struct{})
	go func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			if deaf.Load() {
				if strings.Contains(string(buf[:n]), "COMMIT\x00") {
					c.cuts.Add(1)
					close(answered)
					return
				}
				continue
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	fresh := map[string]bool{} // statements that were sent and not run yet
	for first := true; ; first = false {
		m, name, sql, err := message(client, first)
		if err != nil {
			return
		}
		sql = c.statement(fresh, m[0], name, sql)
		cut, after := c.wanted(sql)
		if cut && !after {
			c.cuts.Add(1)
			return
		}
		if cut {
			deaf.Store(true)
		}
		if _, err := server.Write(m); err != nil {
			return
		}
		if deaf.Load() && m[0] == 'S' {
			<-answered
			return
		}
	}
}

// statement is the text of a statement that is sent, or run again by its name.
func (c *cutter) statement(fresh map[string]bool, kind byte, name, sql string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case kind == 'P':
		if c.named == nil {
			c.named = map[string]string{}
		}
		c.named[name], fresh[name] = sql, true
		return sql
	case kind != 'B' || fresh[name]:
		delete(fresh, name)
		return ""
	}
	return c.named[name]
}

// message reads a message of a client: the name and text of a Parse, and the name of
// the statement of a Bind.
func message(r io.Reader, first bool) (m []byte, name, sql string, err error) {
	head := make([]byte, 5)
	if first {
		head = head[:4]
	}
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, "", "", err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, "", "", err
	}
	parts := strings.SplitN(string(body), "\x00", 3)
	switch {
	case !first && head[0] == 'P':
		name, sql = parts[0], parts[1]
	case !first && head[0] == 'B':
		name = parts[1]
	}
	return append(head, body...), name, sql, nil
}

// cutWriter opens the ledger by way of a cutter.
func cutWriter(t testing.TB, more string, change setting) (*pgtool.Writer, *pgx.Conn, *cutter) {
	t.Helper()
	name, conn := ledgerSetup(t, more, ledgerTables())
	u, err := url.Parse(postgres.Server(t).URL(name, name))
	if err != nil {
		t.Fatal(err)
	}
	c := newCutter(t, u.Host)
	o := pgtool.WriteOptions{Tables: ledgerTables()}
	o.URL, o.MaxConns = through(t, name, c.Addr().String()), 2
	if change != nil {
		change(&o)
	}
	return openWriter(t, o), conn, c
}

// wantsTruth checks an answer to a lost COMMIT. Where no new connection is to be had
// the outcome may be unknown; a connection that was still being given back may have
// told it, and then it is the true one.
func wantsTruth(t *testing.T, text, want, unchanged, done string, closed, happened bool) {
	t.Helper()
	truth := unchanged
	if happened {
		truth = done
	}
	if !strings.Contains(text, want) && !(closed && strings.Contains(text, truth)) {
		t.Errorf("got %s, want %s", text, want)
	}
}

// TestWriteCut cuts the connection at each step of a change. What the model reads
// must be what the table holds.
func TestWriteCut(t *testing.T) {
	t.Parallel()
	w, conn, cut := cutWriter(t, "", nil)
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	const unchanged, done = "nothing was changed", `"affected":1`
	for i, test := range []struct {
		at            string
		after, closed bool
		want          string
		rows          int
	}{
		{"BEGIN", false, false, unchanged, 0},
		{"SELECT pg_catalog.set_config", false, false, unchanged, 0},
		{"INSERT", false, false, unchanged, 0},
		{"COMMIT", false, false, unchanged, 0},
		{"COMMIT", true, false, done, 1},
		{"COMMIT", false, true, "whether it took effect is not known", 0},
		{"COMMIT", true, true, "whether it took effect is not known", 1},
	} {
		cut.set(test.at, test.after, test.closed)
		id := 2000 + i
		insert := func() string {
			return tell(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"id": id, "status": "cut"}}})
		}
		text := insert()
		for n := 0; cut.cuts.Load() == 0 && n < 5; n++ { // a session that was there already has its settings
			pgtest.Exec(t, conn, "DELETE FROM w.orders WHERE id = "+itoa(id))
			pgtest.Exec(t, conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_database()")
			text = insert()
		}
		wantsTruth(t, text, test.want, unchanged, done, test.closed, test.rows > 0)
		if cut.cuts.Load() != 1 {
			t.Errorf("%+v: was not cut", test)
		}
		cut.set("", false, false)
		until(t, conn, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = current_database() AND state <> 'idle')")
		if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE id = $1", id); n != test.rows {
			t.Errorf("%+v: %d rows", test, n)
		}
	}
	wants(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"status": "fine"}}}, done)
}

// hurdles wait or fail in a statement, or where COMMIT would run them.
const hurdles = `CREATE FUNCTION w.slow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
	IF NEW.status = 'slow' THEN PERFORM pg_sleep(600); ELSIF NEW.status = 'fail' THEN PERFORM 1 / 0;
	ELSIF NEW.status = 'serial' THEN RAISE EXCEPTION 'CANARY-9f1c' USING ERRCODE = '40001'; END IF; RETURN NEW; END$$;
	CREATE CONSTRAINT TRIGGER slow AFTER INSERT OR UPDATE ON w.orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION w.slow();
	CREATE FUNCTION w.wait() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
	IF NEW.status = 'wait' THEN PERFORM pg_sleep(600); END IF; RETURN NEW; END$$;
	CREATE TRIGGER wait BEFORE INSERT OR UPDATE ON w.orders FOR EACH ROW EXECUTE FUNCTION w.wait();`

func inState(status string) string {
	if status == "slow" {
		return "SET CONSTRAINTS%"
	}
	return "INSERT%"
}

// TestWriteTerminated ends the session on the server.
func TestWriteTerminated(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, hurdles, func(o *pgtool.WriteOptions) { o.Timeout = long })
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	for _, status := range []string{"wait", "slow"} {
		got := make(chan string, 1)
		go func() {
			got <- tell(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"status": status}}})
		}()
		until(t, conn, running, inState(status))
		until(t, conn, "SELECT coalesce(bool_or(pg_terminate_backend(pid)), false) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '"+inState(status)+"' AND state = 'active' AND pid <> pg_backend_pid()")
		if text := <-got; !strings.Contains(text, "nothing was changed") {
			t.Errorf("%s: got %s", status, text)
		}
		if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE status = $1", status); n != 0 {
			t.Errorf("%s: %d rows", status, n)
		}
	}
}

// TestWriteLimits runs into time limits and errors, also of what waits for COMMIT.
func TestWriteLimits(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, hurdles, func(o *pgtool.WriteOptions) { o.Timeout = 300 * time.Millisecond; unasked(o) })
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	before := hash(t, conn)
	insert := func(status string) args { return args{"table": "w.orders", "rows": []args{{"status": status}}} }
	wants(t, cs, "pg_insert", insert("wait"), "SQLSTATE 57014", "nothing was changed")
	wants(t, cs, "pg_insert", insert("slow"), "SQLSTATE 57014", "nothing was changed")
	wants(t, cs, "pg_insert", insert("fail"), "SQLSTATE 22012", "nothing was changed")
	wants(t, cs, "pg_insert", insert("serial"), "concurrent change; try again (SQLSTATE 40001)", "nothing was changed")
	pgtest.Exec(t, conn, "BEGIN; UPDATE w.orders SET total = 0 WHERE id = 1")
	wants(t, cs, "pg_update", args{"table": "w.orders", "set": args{"status": "x"}, "where": where("id", "eq", 1)}, "SQLSTATE 5", "nothing was changed")
	pgtest.Exec(t, conn, "ROLLBACK")
	if hash(t, conn) != before {
		t.Error("something was changed")
	}
	wants(t, cs, "pg_insert", insert("fine"), `"affected":1`)
}

// TestWriteDisk has a trigger that needs more temporary disk than the role may use.
func TestWriteDisk(t *testing.T) {
	t.Parallel()
	tables := ledgerTables()
	name, conn := ledgerSetup(t, `CREATE FUNCTION w.sort() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
		PERFORM count(*) FROM (SELECT g FROM generate_series(1, 3000000) g ORDER BY g DESC) x; RETURN NEW; END$$;
		CREATE TRIGGER sort AFTER INSERT ON w.orders FOR EACH ROW EXECUTE FUNCTION w.sort()`, tables)
	pgtest.Exec(t, conn, "ALTER ROLE "+name+" SET temp_file_limit = '1MB'")
	o := pgtool.WriteOptions{Tables: tables}
	o.URL, o.Timeout = redact.NewSecret(postgres.Server(t).URL(name, name)), long
	cs, _ := writeClient(t, pgtool.WriteTools(openWriter(t, o)), &person{})
	before := hash(t, conn)
	wants(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"status": "x"}}}, "more temporary disk space than allowed", "SQLSTATE 53400", "nothing was changed")
	if hash(t, conn) != before {
		t.Error("something was changed")
	}
}

// TestWriteCancelled gives a call up.
func TestWriteCancelled(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, hurdles, func(o *pgtool.WriteOptions) { o.Timeout = 2 * time.Second })
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	for _, status := range []string{"wait", "slow"} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			p := params("")
			p.Name, p.Arguments = "pg_insert", args{"table": "w.orders", "rows": []args{{"status": status}}}
			_, err := cs.CallTool(ctx, p)
			done <- err
		}()
		until(t, conn, running, inState(status))
		cancel()
		<-done
		until(t, conn, gone, inState(status))
		if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE status = $1", status); n != 0 {
			t.Errorf("%s: %d rows", status, n)
		}
	}
	wants(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"status": "fine"}}}, `"affected":1`)
}

// TestWriteCommitWaits has a COMMIT that waits, for a standby that does not
// exist, and meanwhile ends the session, stops the server, or crashes it. By then
// the row is there; that it was this change that made it can only be known as long
// as the server runs on.
func TestWriteCommitWaits(t *testing.T) {
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
	if err := s.CreateDatabase(t.Context(), "waits", ""); err != nil {
		t.Fatal(err)
	}
	connect := func() *pgx.Conn {
		for deadline := time.Now().Add(20 * time.Second); ; { // a crashed server comes back by itself
			conn, err := pgx.Connect(t.Context(), s.URL("waits", ""))
			if err == nil {
				return conn
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	conn := connect()
	pgtest.Exec(t, conn, ledger)
	pgtest.Exec(t, conn, pgtool.SetupSQL(pgtool.SetupOptions{Database: "waits", Tables: ledgerTables()}))
	pgtest.Exec(t, conn, "ALTER ROLE mcp_writer PASSWORD '"+s.Password()+"'")
	pgtest.Exec(t, conn, "ALTER DATABASE waits SET synchronous_commit = local; ALTER ROLE mcp_writer SET synchronous_commit = on")
	pgtest.Exec(t, conn, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	pgtest.Exec(t, conn, "SELECT pg_reload_conf()")
	o := pgtool.WriteOptions{Tables: ledgerTables()}
	o.URL, o.Timeout = redact.NewSecret(s.URL("waits", "mcp_writer")), long
	w := openWriter(t, o)
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	const waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
	for i, test := range []struct {
		what string
		do   func()
		want string
	}{
		{"terminate", func() { pgtest.Exec(t, conn, "SELECT pg_terminate_backend(pid) FROM ("+waits+") x") }, `"affected":1`},
		{"restart", func() {
			if err := s.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, "whether it took effect is not known"},
		{"crash", func() {
			pid := pgtest.Ask[int](t, conn, waits)
			_, _ = conn.Exec(t.Context(), "COPY (SELECT 1) TO PROGRAM 'kill -9 "+itoa(pid)+"'") // which ends this session, too
		}, "whether it took effect is not known"},
	} {
		status := test.what + itoa(i)
		got := make(chan string, 1)
		go func() {
			got <- tell(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"status": status}}})
		}()
		until(t, conn, "SELECT EXISTS ("+waits+")")
		test.do()
		if text := <-got; !strings.Contains(text, test.want) {
			t.Errorf("%s: got %s", test.what, text)
		}
		conn.Close(context.Background())
		conn = connect()
		if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE status = $1", status); n != 1 {
			t.Errorf("%s: %d rows", test.what, n)
		}
	}
	pgtest.Exec(t, conn, "ALTER SYSTEM RESET synchronous_standby_names")
	pgtest.Exec(t, conn, "SELECT pg_reload_conf()")
	wants(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"status": "fine"}}}, `"affected":1`)
	conn.Close(context.Background())
}
