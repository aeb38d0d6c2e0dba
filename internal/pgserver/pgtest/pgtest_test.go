package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
)

var postgres = Shared{
	Setup: func(ctx context.Context, s *pgserver.Server) error {
		if err := s.DropDatabase(ctx, "pgtest_template"); err != nil {
			return err
		}
		if err := s.CreateDatabase(ctx, "pgtest_template", ""); err != nil {
			return err
		}
		conn, err := pgx.Connect(ctx, s.URL("pgtest_template", ""))
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE TABLE greeting AS SELECT 'hello' AS text")
		return err
	},
}

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

func greeting(t *testing.T, database string) (text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), postgres.Server(t).URL(database, ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if err := conn.QueryRow(t.Context(), "UPDATE greeting SET text = text || '!' RETURNING text").Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDatabasePerTest(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one", "two, with a long name in ÄÖÜ that PostgreSQL would cut off after 63 bytes"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, want := greeting(t, postgres.Database(t, "pgtest_template")), "hello!"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestDatabaseIsDropped(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("inner", func(t *testing.T) {
		name = postgres.Database(t, "pgtest_template")
		greeting(t, name)
	})
	conn, err := pgx.Connect(t.Context(), postgres.Server(t).URL(name, ""))
	if err == nil {
		_ = conn.Close(t.Context())
		t.Errorf("database %s is still there", name)
	}
}

// recorder is a test that only notes how it ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper() {}

func (r *recorder) Skip(args ...any) {
	r.skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.failed = fmt.Sprint(args...)
	runtime.Goexit()
}

// asks notes how a test ends that asks s for its server.
func asks(s *Shared) *recorder {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Server(r)
	}()
	<-done
	return r
}

func TestWithoutServer(t *testing.T) {
	for _, c := range []struct {
		name, ci  string
		err       error
		wantsSkip bool
	}{
		{"at a desk", "", &pgserver.NotFoundError{}, true},
		{"not in CI", "false", &pgserver.NotFoundError{}, true},
		{"in CI", "true", &pgserver.NotFoundError{}, false},
		{"broken at a desk", "", errors.New("initdb: no space left"), false},
		{"broken in CI", "true", errors.New("initdb: no space left"), false},
	} {
		t.Setenv("CI", c.ci)
		s := Shared{began: true, err: c.err}
		s.once.Do(func() {})
		r := asks(&s)
		skip, fail := c.err.Error(), ""
		if !c.wantsSkip {
			skip, fail = fail, skip
		}
		if r.skipped != skip || r.failed != fail {
			t.Errorf("%s: skipped with %q, failed with %q; want %q, %q", c.name, r.skipped, r.failed, skip, fail)
		}
	}
}

func TestServerNeedsMain(t *testing.T) {
	t.Parallel()
	if r := asks(new(Shared)); r.failed == "" {
		t.Error("a server was handed out that nobody will stop")
	}
}

func TestDatabaseName(t *testing.T) {
	t.Parallel()
	for _, test := range []string{"", "TestÄ/x", strings.Repeat("x", 200)} {
		got, again := databaseName(test), databaseName(test)
		if got == again || len(got) > 63 || strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("%q: got %q, then %q", test, got, again)
		}
	}
}
