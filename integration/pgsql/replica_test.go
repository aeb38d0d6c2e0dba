package pgsql

import (
	"context"
	"errors"
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
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// A pair is a server and one that follows it, with a role that reads.
type pair struct {
	primary, standby *pgserver.Server
	conn, follower   *pgx.Conn
}

func startServer(t testing.TB) *pgserver.Server {
	t.Helper()
	postgres.Server(t) // skips without PostgreSQL
	s, err := pgserver.Start(t.Context(), pgserver.Options{HBA: []string{pgserver.Replication}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return s
}

func superuser(t testing.TB, s *pgserver.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL("", ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func readerOn(t testing.TB, conn *pgx.Conn, s *pgserver.Server) {
	t.Helper()
	pgtest.Exec(t, conn, pgtool.SetupSQL(pgtool.SetupOptions{Database: "postgres", Role: "reads"}))
	pgtest.Exec(t, conn, "ALTER ROLE reads PASSWORD '"+s.Password()+"'")
}

func newPair(t testing.TB) *pair {
	t.Helper()
	p := &pair{primary: startServer(t)}
	p.conn = superuser(t, p.primary)
	pgtest.Exec(t, p.conn, "CREATE TABLE public.t (x int); INSERT INTO t VALUES (1)")
	readerOn(t, p.conn, p.primary)
	var err error
	if p.standby, err = p.primary.Standby(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.standby.Stop() })
	p.follower = superuser(t, p.standby)
	return p
}

func (p *pair) open(t testing.TB, change func(*pgtool.Options)) *pgtool.DB {
	t.Helper()
	o := pgtool.Options{
		URL: redact.NewSecret(p.primary.URL("postgres", "reads")), Replicas: []mcpsec.Secret{redact.NewSecret(p.standby.URL("postgres", "reads"))},
		Waive: []mcpsec.Waiver{anySQL}, MaxConns: 2,
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

const (
	onReplica = "[true]"
	onPrimary = "[false]"
	whichSQL  = "SELECT pg_is_in_recovery()"
)

// comesTo asks until the answer comes from where it should. No call may fail.
func comesTo(t testing.TB, db *pgtool.DB, want string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); row(t, db, whichSQL) != want; {
		if time.Now().After(deadline) {
			t.Fatalf("answers do not come from %s", want)
		}
	}
}

// TestReplica has a replica that lags, stops, and comes back, while calls are made:
// none of them fails.
func TestReplica(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	db := p.open(t, func(o *pgtool.Options) { o.MaxLag = time.Second })
	comesTo(t, db, onReplica)
	u, err := url.Parse(p.standby.URL("postgres", "reads"))
	if err != nil {
		t.Fatal(err)
	}
	first, _ := url.Parse(p.primary.URL("postgres", "reads"))
	for attrs, want := range map[string]string{"read-write": onPrimary, "read-only": onReplica} {
		hosts := *u
		if hosts.Host += "," + first.Host; attrs == "read-only" {
			hosts.Host = first.Host + "," + u.Host
		}
		hosts.RawQuery += "&target_session_attrs=" + attrs
		one := p.open(t, func(o *pgtool.Options) { o.URL, o.Replicas = redact.NewSecret(hosts.String()), nil })
		if got := row(t, one, whichSQL); got != want {
			t.Errorf("%s: got %s, want %s", attrs, got, want)
		}
	}
	pgtest.Exec(t, p.follower, "SELECT pg_wal_replay_pause()")
	pgtest.Exec(t, p.conn, "INSERT INTO t VALUES (2)")
	comesTo(t, db, onPrimary)
	if got := row(t, db, "SELECT count(*) FROM t"); got != `["2"]` {
		t.Errorf("after a lag: %s", got)
	}
	pgtest.Exec(t, p.follower, "SELECT pg_wal_replay_resume()")
	comesTo(t, db, onReplica)
	var calls sync.WaitGroup
	var stopped atomic.Bool
	for range 4 {
		calls.Go(func() {
			for !stopped.Load() {
				if a, err := db.ReadOnly(t.Context(), whichSQL); err != nil || a.Len() != 1 {
					t.Errorf("a call was lost: %v", err)
					return
				}
			}
		})
	}
	box := newOutbox(t, db, nil)
	calls.Go(func() {
		for !stopped.Load() {
			if summary, _, _ := box.export(t, whichSQL, "csv"); !strings.HasPrefix(summary, "1 rows") {
				t.Errorf("an export was lost: %s", summary)
				return
			}
		}
	})
	for range 2 {
		if err := p.standby.Restart(t.Context()); err != nil {
			t.Error(err)
		}
	}
	stopped.Store(true)
	calls.Wait()
	comesTo(t, db, onReplica)
	if err := p.standby.Stop(); err != nil {
		t.Error(err)
	}
	comesTo(t, db, onPrimary)
}

// TestReplicaAlone stops the primary: what the replica has can still be read, with
// the gate on.
func TestReplicaAlone(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	db := p.open(t, func(o *pgtool.Options) { o.Waive = nil })
	cs, _ := client(t, db)
	if got := query(t, cs, "SELECT count(*) FROM t"); !strings.Contains(got, `[["1"]]`) {
		t.Error(got)
	}
	if err := p.primary.Stop(); err != nil {
		t.Error(err)
	}
	for range 20 {
		if got := query(t, cs, "SELECT count(*) FROM t"); !strings.Contains(got, `[["1"]]`) {
			t.Error(got)
		}
	}
	wants(t, cs, "pg_list_objects", args{"schema": "public"}, `"t"`)
}

// TestReplicaPromoted is no replica any more: it may have other data than the
// primary.
func TestReplicaPromoted(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	db := p.open(t, nil)
	comesTo(t, db, onReplica)
	pgtest.Exec(t, p.follower, "SELECT pg_promote()")
	pgtest.Exec(t, p.follower, "DROP TABLE t")
	until(t, p.follower, "SELECT NOT pg_is_in_recovery()")
	for deadline := time.Now().Add(20 * time.Second); ; {
		if a, err := db.ReadOnly(t.Context(), "SELECT count(*) FROM t"); err == nil && a.Len() == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("statements go to what was promoted")
		}
	}
}

// TestReplicaFreezes has a replica whose network is silent in the middle of a call.
func TestReplicaFreezes(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	f := newFreezer(t, p.standby)
	db := p.open(t, func(o *pgtool.Options) {
		u, err := url.Parse(p.standby.URL("postgres", "reads"))
		if err != nil {
			t.Fatal(err)
		}
		u.Host, o.Timeout = f.address, 5*time.Minute
		o.Replicas[0] = redact.NewSecret(u.String())
	})
	comesTo(t, db, onReplica)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // less than Timeout
	defer cancel()
	done := make(chan error)
	go func() {
		_, err := db.ReadOnly(ctx, "SELECT count(*) FROM generate_series(1, 3000) a, generate_series(1, 3000) b")
		done <- err
	}()
	until(t, p.follower, running, "%3000%")
	f.frozen.Lock()
	defer f.frozen.Unlock()
	if err := <-done; err != nil {
		t.Errorf("a call was lost: %v", err)
	}
	if a, err := db.ReadOnly(ctx, whichSQL); err != nil || a.Len() != 1 {
		t.Errorf("the next call was lost: %v", err)
	}
}

// A freezer is a proxy that holds back what the server says.
type freezer struct {
	address string
	frozen  sync.Mutex
}

func newFreezer(t testing.TB, s *pgserver.Server) *freezer {
	t.Helper()
	u, err := url.Parse(s.URL("", ""))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f := &freezer{address: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.pass(c, u.Host)
		}
	}()
	return f
}

func (f *freezer) pass(c net.Conn, to string) {
	defer c.Close()
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	go func() { _, _ = io.Copy(s, c); s.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := s.Read(b)
		f.frozen.Lock()
		_, werr := c.Write(b[:n])
		f.frozen.Unlock()
		if err != nil || werr != nil {
			return
		}
	}
}

// TestReplicaRefused has URLs that are not of replicas.
func TestReplicaRefused(t *testing.T) {
	t.Parallel()
	p := &pair{primary: startServer(t)}
	readerOn(t, superuser(t, p.primary), p.primary)
	other := postgres.Server(t)
	o := pgtool.Options{URL: redact.NewSecret(p.primary.URL("postgres", "reads"))}
	for _, test := range []struct{ url, want string }{
		{other.URL("postgres", reader), "Options.Replicas[0] is no replica of the server"},
		{"postgres://reads@127.0.0.1/x?sslmode=prefer", "Options.Replicas[0]: Options.URL must not set sslmode"},
	} {
		o.Replicas = []mcpsec.Secret{redact.NewSecret(test.url)}
		db, err := pgtool.Open(t.Context(), o)
		if err == nil {
			db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
	o.Replicas = []mcpsec.Secret{redact.NewSecret(p.primary.URL("postgres", "reads"))}
	db, err := pgtool.Open(t.Context(), o) // the primary itself is passed over
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	o.Replicas = []mcpsec.Secret{redact.NewSecret("postgres://reads@127.0.0.1:1/x")}
	if db, err = pgtool.Open(t.Context(), o); err != nil { // it may come up later
		t.Fatal(err)
	}
	db.Close()
	if _, err := pgtool.OpenWriter(t.Context(), pgtool.WriteOptions{Options: o, Tables: notesTable}); err == nil || !strings.Contains(err.Error(), "no Replicas") {
		t.Error(err)
	}
}

// TestFailover has two servers in one URL, of which the first is stopped while calls
// are made: who is cut off is told so, and the next calls go to the other.
func TestFailover(t *testing.T) {
	t.Parallel()
	first, second := startServer(t), startServer(t)
	for _, s := range []*pgserver.Server{first, second} {
		readerOn(t, superuser(t, s), first)
	}
	u, err := url.Parse(first.URL("postgres", "reads"))
	if err != nil {
		t.Fatal(err)
	}
	v, _ := url.Parse(second.URL("postgres", "reads"))
	u.Host += "," + v.Host
	u.RawQuery += "&target_session_attrs=read-write"
	db, err := pgtool.Open(t.Context(), pgtool.Options{URL: redact.NewSecret(u.String()), Waive: []mcpsec.Waiver{anySQL}, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	const portSQL = "SELECT inet_server_port()::text"
	if got := row(t, db, portSQL); got != `["`+strings.Split(strings.Split(u.Host, ",")[0], ":")[1]+`"]` {
		t.Errorf("the first one is not first: %s", got)
	}
	cut := make(chan error)
	go func() {
		_, err := db.ReadOnly(t.Context(), "SELECT count(*) FROM generate_series(1, 30000) a, generate_series(1, 30000) b")
		cut <- err
	}()
	until(t, superuser(t, first), running, "%30000%")
	if err := first.Stop(); err != nil {
		t.Error(err)
	}
	if err := <-cut; err == nil || !strings.Contains(err.Error(), "cannot be reached now, or has ended the connection") && !strings.Contains(err.Error(), "57P0") {
		t.Errorf("the call that was cut off: %v", err)
	}
	if got := row(t, db, portSQL); got != `["`+v.Port()+`"]` {
		t.Errorf("the next call: %s", got)
	}
	if err := second.Restart(t.Context()); err != nil {
		t.Error(err)
	}
	_, _ = db.ReadOnly(t.Context(), "SELECT 1") // may find the old connection
	if got := row(t, db, portSQL); got != `["`+v.Port()+`"]` {
		t.Errorf("after a restart: %s", got)
	}
}

// TestPassword has a role whose password changes, as a token does.
func TestPassword(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, nil)
	u, err := url.Parse(postgres.Server(t).URL(x.name, x.name))
	if err != nil {
		t.Fatal(err)
	}
	withPassword := u.String()
	u.User = url.User(x.name)
	const canary = "hunter2-token"
	var fails error
	token, calls := postgres.Server(t).Password(), 0
	password := func(ctx context.Context) (mcpsec.Secret, error) {
		if calls++; fails != nil {
			return redact.NewSecret(canary), fails
		}
		if token == "panic" {
			panic(canary)
		}
		if _, ok := ctx.Deadline(); !ok {
			t.Error("it may take forever")
		}
		return redact.NewSecret(token), nil
	}
	db := x.open(t, func(o *pgtool.Options) { o.URL, o.Password, o.Tenant = redact.NewSecret(u.String()), password, nil })
	cs, log := client(t, db)
	renew := func() {
		pgtest.Exec(t, x.conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+x.name+"'")
		_, _ = db.ReadOnly(t.Context(), "SELECT 1") // may find the old connection
	}
	token = canary
	pgtest.Exec(t, x.conn, "ALTER ROLE "+x.name+" PASSWORD '"+token+"'")
	before := calls
	renew()
	if got := query(t, cs, "SELECT 1"); !strings.Contains(got, "[[1]]") || calls == before {
		t.Errorf("with a new token: %s, %d calls", got, calls-before)
	}
	for _, f := range []func(){func() { fails = errors.New("no token " + canary) }, func() { fails, token = nil, "" }, func() { token = "panic" }, func() { token = canary + "x" }} {
		f()
		renew()
		if got := query(t, cs, "SELECT 1"); !strings.Contains(got, "cannot be reached") && !strings.Contains(got, "does not accept the login") || strings.Contains(got, canary) {
			t.Error(got)
		}
	}
	if strings.Contains(log.String(), canary) {
		t.Errorf("the log shows it: %s", log)
	}
	for want, o := range map[string]pgtool.Options{
		"one of the two is enough":     {URL: redact.NewSecret(withPassword), Password: password},
		"has returned no password":     {URL: redact.NewSecret(u.String()), Password: func(context.Context) (mcpsec.Secret, error) { return mcpsec.Secret{}, errors.New(canary) }},
		"returned no password in time": {URL: redact.NewSecret(u.String()), Password: func(context.Context) (mcpsec.Secret, error) { return mcpsec.Secret{}, nil }},
		"the user, the password or":    {URL: redact.NewSecret(u.String()), Password: password},
	} {
		if _, err := pgtool.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
