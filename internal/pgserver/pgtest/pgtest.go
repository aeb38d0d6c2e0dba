// Package pgtest gives the tests of a package one PostgreSQL server to share:
//
//	var postgres pgtest.Shared
//
//	func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }
//
//	func TestQuery(t *testing.T) {
//		server := postgres.Server(t)
//		database := postgres.Database(t, "")
//		conn, err := pgx.Connect(t.Context(), server.URL(database, ""))
//		...
//	}
//
// The server starts when the first test asks for it. Without PostgreSQL the
// tests that ask are skipped, or fail if the environment says CI=true.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
)

// Shared is a server for all tests of a package. The zero value is ready; do
// not copy it or change its fields after Main has begun.
type Shared struct {
	// Options are passed to pgserver.Start. Defaults to programs on this
	// machine, without download.
	Options pgserver.Options
	// Setup runs once after the start, for example to create roles and a
	// template database. Defaults to nothing.
	Setup func(ctx context.Context, s *pgserver.Server) error

	began  bool
	once   sync.Once
	server *pgserver.Server
	err    error
}

// Main runs the tests, stops the server if one was started, and returns the
// exit code. On Ctrl-C it stops the server and ends the program.
func (s *Shared) Main(m *testing.M) int {
	s.began = true
	interrupted, done := withSignals()
	defer done()
	proceed := context.AfterFunc(interrupted, func() {
		_ = s.stop() // the exit code says already that the tests failed
		os.Exit(1)
	})
	code := m.Run()
	if !proceed() {
		select {} // the program is ending
	}
	if err := s.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func withSignals() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

func (s *Shared) stop() error {
	s.once.Do(func() { s.err = errors.New("the tests are ending") })
	if s.server == nil {
		return nil
	}
	return s.server.Stop()
}

// Server returns the shared server and starts it if need be. If there is no
// PostgreSQL the test is skipped, or fails if the environment says CI=true. It
// fails for all other errors.
func (s *Shared) Server(t testing.TB) *pgserver.Server {
	t.Helper()
	if !s.began {
		t.Fatal("pgtest: call Shared.Main from TestMain")
	}
	s.once.Do(s.start)
	if s.err == nil {
		return s.server
	}
	if absent := new(pgserver.NotFoundError); errors.As(s.err, &absent) && !inCI() {
		t.Skip(s.err)
	}
	t.Fatal(s.err)
	return nil
}

func inCI() bool {
	ci, err := strconv.ParseBool(os.Getenv("CI"))
	return ci && err == nil
}

func (s *Shared) start() {
	// Not the context of the test that happens to be first: others go on.
	ctx, done := withSignals()
	defer done()
	server, err := pgserver.Start(ctx, s.Options)
	if err != nil {
		s.err = err
		return
	}
	s.server = server
	if s.Setup == nil {
		return
	}
	if err := s.Setup(ctx, server); err != nil {
		s.err = fmt.Errorf("setting up the test server: %w", err)
	}
}

// Database creates a database for this test, empty or a copy of template, and
// drops it when the test ends. It returns the name, for URL and SocketURL.
func (s *Shared) Database(t testing.TB, template string) string {
	t.Helper()
	server := s.Server(t)
	name := databaseName(t.Name())
	if err := server.CreateDatabase(t.Context(), name, template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The context of a test is over in its cleanup.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := server.DropDatabase(ctx, name); err != nil {
			t.Error(err)
		}
	})
	return name
}

// databaseName is readable in the server's log, unique, and short enough for
// PostgreSQL's 63 bytes.
func databaseName(test string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(test))
	return plain[:min(len(plain), 40)] + "_" + strings.ToLower(rand.Text()[:12])
}
