package pgstate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

const secretKey = "key-of-customer-4711"

// failing calls everything and wants an error with the text, that says nothing it
// should not, and no yes.
func failing(t *testing.T, ctx context.Context, s *pgstate.Store, want string) {
	t.Helper()
	wait, err := s.Take(ctx, secretKey, 1, state.Allowance{Limit: 1, Per: time.Hour})
	if err == nil || wait <= 0 {
		t.Errorf("Take: got %v, %v", wait, err)
	}
	c, err2 := s.Claim(ctx, secretKey, time.Minute)
	if c.Status != state.Busy {
		t.Errorf("Claim: got %v", c)
	}
	claim := state.Claim{Key: secretKey, Status: state.Taken, Fence: 1}
	_, err5 := s.Clean(ctx)
	for i, err := range []error{err, err2, s.Complete(ctx, claim, []byte("result-4711"), time.Hour), s.Fail(ctx, claim), err5} {
		switch {
		case err == nil || errors.Is(err, state.ErrLost) || errors.Is(err, state.ErrFull):
			t.Errorf("call %d: got %v, want that nothing is known", i, err)
		case !strings.Contains(err.Error(), want):
			t.Errorf("call %d: got %q, want %q in it", i, err, want)
		case holds(err.Error(), "4711", "127.0.0.1", role, "postgres", postgres.Server(t).Password(), "INSERT", "$1", "mcpsec."):
			t.Errorf("call %d: the error tells too much: %v", i, err)
		}
	}
}

func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		breaks string
		want   string
	}{
		"no tables":     {`DROP TABLE mcpsec.claims, mcpsec.allowances`, "run pgstate.Migrate"},
		"no schema":     {`DROP SCHEMA mcpsec CASCADE`, "run pgstate.Migrate"},
		"other columns": {`ALTER TABLE mcpsec.claims RENAME leaves TO goes; ALTER TABLE mcpsec.allowances RENAME leaves TO goes; ALTER TABLE mcpsec.claims RENAME fence TO f`, "run pgstate.Migrate"},
		"no rights":     {`REVOKE ALL ON mcpsec.claims, mcpsec.allowances FROM "` + role + `"`, "GRANT"},
		"no schema use": {`REVOKE ALL ON SCHEMA mcpsec FROM "` + role + `"`, "GRANT"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.store(t)
			exec(t, w.admin, tc.breaks)
			failing(t, t.Context(), s, tc.want)
			if name == "other columns" { // New trusts the version
				return
			}
			if _, err := pgstate.New(t.Context(), newPool(t, w.database, nil), pgstate.Options{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("New: got %v", err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pool := newPool(t, w.database, nil)
	s := newStore(t, pool, "")
	pool.Close()
	failing(t, t.Context(), s, "database")
	_, err := pgstate.New(t.Context(), newPool(t, w.database, func(c *pgxpool.Config) { c.ConnConfig.Port = 1 }), pgstate.Options{})
	if err == nil || !strings.Contains(err.Error(), "cannot be reached") || holds(err.Error(), "127.0.0.1", role, w.database) {
		t.Errorf("got %v", err)
	}
	_, err = pgstate.New(t.Context(), newPool(t, w.database, func(c *pgxpool.Config) { c.ConnConfig.Password = "wrong-4711" }), pgstate.Options{})
	if err == nil || !strings.Contains(err.Error(), "does not let this role in") || holds(err.Error(), "4711", role, w.database) {
		t.Errorf("got %v", err)
	}
}

// A row that somebody holds is waited for no longer than Options.Timeout, or the
// caller's own time, and the answer is not yes.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.store(t)
	pgstate.SetTimeout(s, 50*time.Millisecond)
	tx, err := w.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `LOCK TABLE mcpsec.claims, mcpsec.allowances IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	failing(t, t.Context(), s, "did not answer in time")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Take(ctx, "k", 1, state.Allowance{Limit: 1, Per: time.Hour}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	slow := newPool(t, w.database, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["statement_timeout"] = "200ms" })
	migrate(t, admin(t, w.database), "free") // New must not wait for the lock
	onceFree := newStore(t, slow, "free")
	pgstate.SetClock(onceFree, "mcpsec", pgstate.DatabaseClock)
	failing(t, t.Context(), onceFree, "timeout")
}

// Whoever makes calls and hangs up costs no connection, and no more than the pool has
// are busy for them; what was begun is finished.
func TestHangingUpCostsNoConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pool := newPool(t, w.database, func(c *pgxpool.Config) { c.MaxConns = 2 })
	s := newStore(t, pool, "")
	a := state.Allowance{Limit: 1000, Per: 300 * 24 * time.Hour}
	tx, err := w.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE mcpsec.allowances IN EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	before := pool.Stat().NewConnsCount()
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if _, err := s.Take(ctx, "k", 1, a); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		cancel()
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if wait, err := s.Take(t.Context(), "k", 998, a); err != nil || wait != 0 {
		t.Errorf("got %v, %v, want that two were taken at most", wait, err)
	}
	if now := pool.Stat().NewConnsCount(); now > before+1 {
		t.Errorf("%d connections were made, want one at most", now-before)
	}
}

// A session that is ended half-way through is an error that says so; the others
// count on, and nothing is counted twice or half.
func TestKilledSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := newStore(t, newPool(t, w.database, func(c *pgxpool.Config) { c.MaxConns = 1 }), "")
	other := w.store(t)
	a := state.Allowance{Limit: 1, Per: 300 * 24 * time.Hour}
	tx, err := w.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE mcpsec.claims, mcpsec.allowances IN EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	killer := admin(t, w.database)
	kill := func(what func() error) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- what() }()
		for killed := false; !killed; { // when it waits for the lock
			killed = ask[bool](t, killer, `SELECT COALESCE(bool_or(pg_terminate_backend(pid)), false) FROM pg_stat_activity WHERE datname = current_database() AND usename = $1 AND wait_event_type = 'Lock'`, role)
		}
		if err := <-done; err == nil || !strings.Contains(err.Error(), "not known") || errors.Is(err, state.ErrLost) {
			t.Errorf("got %v", err)
		}
	}
	kill(func() error { _, err := s.Take(t.Context(), "k", 1, a); return err })
	kill(func() error { _, err := s.Claim(t.Context(), "k", time.Hour); return err })
	kill(func() error {
		return s.Complete(t.Context(), state.Claim{Key: "k", Status: state.Taken, Fence: 1}, nil, time.Hour)
	})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*pgstate.Store{s, other} {
		want := s == other
		if wait, err := s.Take(t.Context(), "k", 1, a); err != nil || (wait > 0) != want {
			t.Errorf("got %v, %v", wait, err)
		}
		if c, err := s.Claim(t.Context(), "k", time.Hour); err != nil || (c.Status == state.Busy) != want {
			t.Errorf("got %v, %v", c, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pool := newPool(t, w.database, nil)
	for name, o := range map[string]pgstate.Options{
		"timeout":       {Timeout: time.Hour},
		"minus timeout": {Timeout: -1},
		"clean":         {CleanEvery: time.Millisecond},
		"minus clean":   {CleanEvery: -1},
		"long schema":   {Schema: strings.Repeat("s", 64)},
		"nul in schema": {Schema: "a\x00b"},
		"pg_ schema":    {Schema: "pg_temp"},
		"other schema":  {Schema: "mcpsec; DROP TABLE mcpsec.claims"},
		"quoted schema": {Schema: `mcpsec"."claims`},
	} {
		if s, err := pgstate.New(t.Context(), pool, o); err == nil {
			s.Close()
			t.Errorf("%s: it was taken", name)
		}
	}
	if _, err := pgstate.New(t.Context(), nil, pgstate.Options{}); err == nil {
		t.Error("no pool was taken")
	}
	for setting, value := range map[string]string{
		"default_transaction_isolation": "serializable", "synchronous_commit": "off",
		"default_transaction_read_only": "on",
		"search_path":                   "public, pg_catalog",
	} {
		pool := newPool(t, w.database, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams[setting] = value })
		if s, err := pgstate.New(t.Context(), pool, pgstate.Options{}); err == nil || !strings.Contains(err.Error(), setting) {
			if s != nil {
				s.Close()
			}
			t.Errorf("%s = %s: got %v", setting, value, err)
		}
	}
	exec(t, w.admin, `UPDATE mcpsec.version SET version = 2`)
	if _, err := pgstate.New(t.Context(), pool, pgstate.Options{}); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("another version: got %v", err)
	}
	exec(t, w.admin, `UPDATE mcpsec.version SET version = 1; ALTER TABLE mcpsec.claims SET UNLOGGED`)
	if _, err := pgstate.New(t.Context(), pool, pgstate.Options{}); err == nil || !strings.Contains(err.Error(), "must be logged") {
		t.Errorf("unlogged claims: got %v", err)
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	migrate(t, w.admin, "") // again
	schema := `it's "mine"; --`
	migrate(t, w.admin, schema)
	s := newStore(t, newPool(t, w.database, nil), schema)
	if _, err := s.Claim(t.Context(), "k", time.Minute); err != nil {
		t.Error(err)
	}
	exec(t, w.admin, `CREATE SCHEMA theirs AUTHORIZATION "`+role+`"`)
	conn, err := pgx.Connect(t.Context(), postgres.Server(t).URL(w.database, role))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := pgstate.Migrate(t.Context(), conn, "", role); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("of somebody else's schema: got %v", err)
	}
	if err := pgstate.Migrate(t.Context(), w.admin, "theirs", role); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("of somebody else's schema, as superuser: got %v", err)
	}
	if err := pgstate.Migrate(t.Context(), conn, "fresh", role); err == nil || !strings.Contains(err.Error(), "rights") {
		t.Errorf("without rights: got %v", err)
	}
	if err := pgstate.Migrate(t.Context(), w.admin, "half", "nobody"); err == nil {
		t.Error("an unknown role was taken")
	}
	if ask[bool](t, w.admin, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'half')`) {
		t.Error("a migration that failed has left its schema")
	}
	for _, bad := range [][2]string{{"pg_x", role}, {strings.Repeat("s", 64), role}, {"s", ""}, {"s\x00", role}} {
		if _, err := pgstate.SetupSQL(bad[0], bad[1]); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// Functions and operators that others made for better fitting types, in a schema of
// the search path, are not called.
func TestForeignFunctionsAreNotCalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var script strings.Builder
	types := []string{"numeric", "bigint", "integer", "bytea", "text", "name"}
	for i, l := range types {
		for j, r := range types {
			f := fmt.Sprintf("trap_%d_%d", i, j)
			fmt.Fprintf(&script, `CREATE FUNCTION public.%s(%s, %s) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;`, f, l, r)
			for _, op := range []string{"=", "<=", ">=", "<", ">", "+", "-", "*", "%", "/", "!~~"} {
				fmt.Fprintf(&script, `CREATE OPERATOR public.%s (FUNCTION = public.%s, LEFTARG = %s, RIGHTARG = %s);`, op, f, l, r)
			}
			for _, name := range []string{"div", "greatest", "clock_timestamp", "any"} {
				fmt.Fprintf(&script, `CREATE FUNCTION public.%q(%s, %s) RETURNS numeric LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;`, name, l, r)
			}
		}
		for _, name := range []string{"count", "octet_length", "unnest", "current_setting", "date_part", "floor"} {
			fmt.Fprintf(&script, `CREATE FUNCTION public.%s(%s) RETURNS numeric LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;`, name, l)
		}
	}
	script.WriteString(`CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
		CREATE TABLE public.claims (key bytea); CREATE TABLE public.allowances (key bytea); CREATE TABLE public.version (version int);`)
	exec(t, w.admin, script.String())
	pool := newPool(t, w.database, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["search_path"] = "public" })
	s := newStore(t, pool, "")
	for range 2 {
		for _, a := range []state.Allowance{{Limit: 7, Per: time.Hour}, {Limit: 7, Per: time.Minute}, {Limit: 7, Per: time.Hour, Calendar: true}} {
			for _, n := range []int64{5, 5, 0, -1} {
				if _, err := s.Take(t.Context(), "k", n, a); err != nil {
					t.Fatal(err)
				}
			}
		}
		c, err := s.Claim(t.Context(), "k", time.Microsecond)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Complete(t.Context(), c, []byte("r"), time.Microsecond); err != nil {
			t.Fatal(err)
		}
		if c, err = s.Claim(t.Context(), "j", time.Microsecond); err != nil {
			t.Fatal(err)
		}
		if err := s.Fail(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// The background cleans up, tells when it cannot, and ends with Close.
func TestBackground(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log bytes.Buffer
	told := make(chan struct{}, 100)
	s, err := pgstate.New(t.Context(), newPool(t, w.database, nil), pgstate.Options{CleanEvery: time.Second, Log: telling{slog.NewTextHandler(&log, nil), told}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "k", time.Hour); err != nil {
		t.Fatal(err)
	}
	exec(t, w.admin, `UPDATE mcpsec.claims SET leaves = 0`)
	for ask[int](t, w.admin, `SELECT count(*) FROM mcpsec.claims`) > 0 {
		if t.Context().Err() != nil {
			t.Fatal("the row stays")
		}
	}
	exec(t, w.admin, `DROP TABLE mcpsec.claims`)
	<-told
	s.Close()
	s.Close()
	if !strings.Contains(log.String(), "was not cleaned up") || !strings.Contains(log.String(), "Migrate") {
		t.Errorf("the log says %s", log.String())
	}
}

// telling tells of each record.
type telling struct {
	slog.Handler
	told chan struct{}
}

func (h telling) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	select {
	case h.told <- struct{}{}:
	default:
	}
	return err
}
