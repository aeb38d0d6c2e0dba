package pgserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startOrSkip starts a server of our own, whatever EnvDSN says.
func startOrSkip(t *testing.T, o Options) *Server {
	t.Helper()
	p := usualPlaces()
	p.getenv = env(EnvBinDir, os.Getenv(EnvBinDir))
	s, err := start(t.Context(), o, p)
	if missing := new(NotFoundError); errors.As(err, &missing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask runs a query at url and returns its only value.
func ask(ctx context.Context, url, sql string) (got string, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	err = conn.QueryRow(ctx, sql).Scan(&got)
	return got, err
}

func wantAnswer(t *testing.T, url, sql, want string) {
	t.Helper()
	if got, err := ask(t.Context(), url, sql); err != nil || got != want {
		t.Errorf("%s: got %q, %v; want %q", sql, got, err, want)
	}
}

func wantNoEntry(t *testing.T, url string) {
	t.Helper()
	if _, err := ask(t.Context(), url, "SELECT ''"); err == nil {
		t.Errorf("%s was let in", url)
	}
}

func mustExec(t *testing.T, s *Server, sql string) {
	t.Helper()
	if err := s.exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	cert, key := selfSigned(t)
	s := startOrSkip(t, Options{
		Settings: map[string]string{"ssl": "on", "max_connections": "23", "cluster_name": `it's \ me`},
		HBA:      []string{"host all shutout 127.0.0.1/32 reject"},
		Files:    map[string][]byte{"server.crt": cert, "server.key": key},
	})
	wantAnswer(t, s.SocketURL("", ""), "SHOW max_connections", "23")
	wantAnswer(t, s.SocketURL("", ""), "SHOW cluster_name", `it's \ me`)
	wantAnswer(t, s.URL("postgres", Admin), "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "true")
	wantAnswer(t, s.URL("", ""), "SELECT (current_setting('server_version_num')::int / 10000)::text", strconv.Itoa(s.Version()))

	mustExec(t, s, `CREATE ROLE "odd @/: name" LOGIN PASSWORD 'p@ss/w:rd'`)
	mustExec(t, s, "CREATE ROLE shutout LOGIN PASSWORD '"+s.Password()+"'")
	wantAnswer(t, s.URLAs("", "odd @/: name", "p@ss/w:rd"), "SELECT current_user", "odd @/: name")
	wantAnswer(t, s.SocketURL("", "odd @/: name"), "SELECT current_user", "odd @/: name")
	wantNoEntry(t, s.URL("", "odd @/: name"))
	wantNoEntry(t, s.URLAs("", Admin, ""))
	wantNoEntry(t, s.URL("", "shutout"))

	testDatabases(t, s)
	testRestart(t, s)
	testAttach(t, s)
	testStop(t, s)
}

func testDatabases(t *testing.T, s *Server) {
	t.Helper()
	for _, step := range []error{
		s.CreateDatabase(t.Context(), `first "one"`, ""),
		s.CreateDatabase(t.Context(), "second", `first "one"`),
		s.DropDatabase(t.Context(), "second"),
		s.DropDatabase(t.Context(), "second"),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	wantAnswer(t, s.URL(`first "one"`, ""), "SELECT current_database()", `first "one"`)
	wantAnswer(t, s.URL("", ""), "SHOW server_encoding", "UTF8")
	wantNoEntry(t, s.URL("second", ""))
}

func testRestart(t *testing.T, s *Server) {
	t.Helper()
	mustExec(t, s, "CREATE TABLE kept AS SELECT 'yes' AS it")
	url := s.URL("", "")
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, url, "SELECT it FROM kept", "yes")
}

// testAttach uses s as a server that somebody else runs.
func testAttach(t *testing.T, s *Server) {
	t.Helper()
	p := barren(t)
	p.getenv = env(EnvDSN, s.URL("postgres", Admin))
	other, err := start(t.Context(), Options{}, p)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := other.Version(), s.Version(); got != want {
		t.Errorf("version: got %d, want %d", got, want)
	}
	wantAnswer(t, other.URL(`first "one"`, ""), "SELECT current_user || current_database()", `postgresfirst "one"`)
	if got, want := other.SocketURL("a", "b"), other.URL("a", "b"); got != want {
		t.Errorf("SocketURL: got %s, want %s", got, want)
	}
	if err := other.Restart(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Restart: got %v, want ErrUnsupported", err)
	}
	if err := other.Stop(); err != nil {
		t.Error(err)
	}
	wantAnswer(t, s.URL("", ""), "SELECT 'still here'", "still here")
}

func testStop(t *testing.T, s *Server) {
	t.Helper()
	dir, pid := s.home.dir, s.proc.cmd.Process.Pid
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if running(pid) {
		t.Error("the process is still there")
	}
	wantNoEntry(t, s.URL("", ""))
	if err := s.Restart(t.Context()); err == nil {
		t.Error("a stopped server was restarted")
	}
}

func TestAttachHidesPassword(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://me:hunter2@127.0.0.1:1/postgres?connect_timeout=1",
		"host=127.0.0.1 password=hunter2",
		"postgres://me:hunter2@[::1:bad/x",
	} {
		p := barren(t)
		p.getenv = env(EnvDSN, dsn)
		_, err := start(t.Context(), Options{}, p)
		if err == nil {
			t.Fatalf("%s: no error", dsn)
		}
		if got := err.Error(); strings.Contains(got, "hunter2") {
			t.Errorf("the error shows the password: %s", got)
		}
	}
}

// Every way of running PostgreSQL that this machine offers must work, not only
// the first.
func TestEveryAccount(t *testing.T) {
	t.Parallel()
	dir := usualPlaces().installed()
	all := accounts()
	if dir == "" || len(all) < 2 {
		t.Skip("there is no second way to run PostgreSQL here")
	}
	for _, a := range all[1:] {
		s := &Server{admin: Admin, password: "x"}
		err := s.settleAs(t.Context(), a, binaries{dir: dir})
		if err == nil {
			err = s.initdb(t.Context(), Options{})
		}
		if err == nil {
			err = s.launchOnFreePort(t.Context())
		}
		if err != nil {
			t.Fatal(errors.Join(err, s.Stop()))
		}
		wantAnswer(t, s.URL("", ""), "SELECT 'up'", "up")
		wantAnswer(t, s.SocketURL("", ""), "SELECT 'up'", "up")
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestStartTellsWhyServerFails(t *testing.T) {
	t.Parallel()
	p := usualPlaces()
	if p.installed() == "" {
		t.Skip("PostgreSQL is not installed")
	}
	_, err := start(t.Context(), Options{Settings: map[string]string{"no_such_setting": "1"}}, p)
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("got %v, want an error with the server's reason", err)
	}
}

func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
