package pgsql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// until asks the server until the answer is true.
func until(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if pgtest.Ask[bool](t, conn, sql, args...) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not true in time", sql)
		}
	}
}

const (
	running = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE $1)"
	gone    = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND query LIKE $1)"
)

func TestRowCap(t *testing.T) {
	t.Parallel()
	db := open(t, database(t), func(o *pgtool.Options) { o.MaxConns, o.MaxRows = 1, 10 })
	pid := row(t, db, "SELECT pg_backend_pid()")
	for _, test := range []struct {
		sql  string
		rows int
		more bool
	}{
		{"SELECT * FROM generate_series(1, 9)", 9, false},
		{"SELECT * FROM generate_series(1, 10)", 10, false},
		{"SELECT * FROM generate_series(1, 11)", 10, true},
		{"SELECT generate_series(1, 1000000000)", 10, true},
		{"SELECT * FROM shop.big", 10, true},
		{"VALUES (1), (2)", 2, false},
		{"TABLE shop.big", 10, true},
		{"EXPLAIN SELECT 1", 1, false},
		{"SHOW work_mem", 1, false},
		{"SELECT", 1, false},
		{"SELECT 1 WHERE false", 0, false},
	} {
		a, err := db.ReadOnly(t.Context(), test.sql)
		if err != nil {
			t.Errorf("%s: %v", test.sql, err)
			continue
		}
		if a.Len() != test.rows || a.More != test.more {
			t.Errorf("%s: got %d rows, more %v; want %d, %v", test.sql, a.Len(), a.More, test.rows, test.more)
		}
	}
	if got := row(t, db, "SELECT pg_backend_pid()"); got != pid {
		t.Error("the row cap cost a connection")
	}
}

func TestByteCap(t *testing.T) {
	t.Parallel()
	name := database(t)
	db := open(t, name, func(o *pgtool.Options) { o.MaxConns, o.MaxBytes = 1, 10_000 })
	for _, test := range []struct {
		sql  string
		rows int
	}{
		{"SELECT repeat('x', 4000) FROM generate_series(1, 3)", 2},
		{"SELECT repeat('x', 9000) FROM generate_series(1, 200)", 1},
		{"SELECT repeat('x', 12000)", 0},
		{"SELECT repeat('x', 9000), pg_sleep(g - 1) FROM generate_series(1, 9) g", 1},
	} {
		a, err := db.ReadOnly(t.Context(), test.sql)
		if err != nil {
			t.Errorf("%s: %v", test.sql, err)
			continue
		}
		if a.Len() != test.rows || !a.More {
			t.Errorf("%s: got %d rows, more %v; want %d, true", test.sql, a.Len(), a.More, test.rows)
		}
		if got := row(t, db, "SELECT 1"); got != "[1]" {
			t.Errorf("after %s: %s", test.sql, got)
		}
	}
	// What is over all caps is not even read.
	var e *mcpsec.Error
	if _, err := db.ReadOnly(t.Context(), "SELECT repeat('x', 50000000)"); !errors.As(err, &e) || !strings.Contains(e.Message, "too large") {
		t.Errorf("a huge value: %v", err)
	}
	until(t, postgres.Admin(t, name), gone, "SELECT repeat%")
}

func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	name := database(t)
	db := open(t, name, func(o *pgtool.Options) { o.Timeout = time.Second })
	_, err := db.ReadOnly(t.Context(), "SELECT pg_sleep(3600)")
	if err == nil || !strings.Contains(err.Error(), "SQLSTATE 57014") {
		t.Errorf("got %v, want SQLSTATE 57014", err)
	}
	// The caller cannot lift it for itself.
	_, err = db.ReadOnly(t.Context(), "SELECT set_config('statement_timeout', '0', false), pg_sleep(3600)")
	if err == nil || !strings.Contains(err.Error(), "SQLSTATE 57014") {
		t.Errorf("lifted: got %v, want SQLSTATE 57014", err)
	}
}

func TestLockTimeout(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	db := open(t, name, func(o *pgtool.Options) { o.Timeout = 100 * time.Millisecond })
	pgtest.Exec(t, conn, "BEGIN; LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE")
	_, err := db.ReadOnly(t.Context(), "SELECT count(*) FROM shop.orders")
	if err == nil || !strings.Contains(err.Error(), "SQLSTATE 55P03") && !strings.Contains(err.Error(), "SQLSTATE 57014") {
		t.Errorf("got %v, want SQLSTATE 55P03", err)
	}
}

// long is a timeout that ends no statement within a test.
const long = 5 * time.Minute

func TestCancel(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	db := open(t, name, func(o *pgtool.Options) { o.MaxConns, o.Timeout = 1, long })
	for i, sql := range []string{"SELECT pg_sleep(3600)", "SELECT count(*) FROM generate_series(1, 1000000000000)"} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := db.ReadOnly(ctx, sql+fmt.Sprintf(" -- %d", i))
			done <- err
		}()
		until(t, conn, running, sql+"%")
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", sql, err)
		}
		until(t, conn, gone, sql+"%")
		if got := row(t, db, "SELECT 1"); got != "[1]" {
			t.Errorf("afterwards: %s", got)
		}
	}
}

// TestClientCancels cancels through the protocol.
func TestClientCancels(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	cs, _ := client(t, open(t, name, func(o *pgtool.Options) { o.Timeout = long }))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = cs.CallTool(ctx, params("SELECT pg_sleep(3600)"))
	}()
	until(t, conn, running, "SELECT pg_sleep(3600)%")
	cancel()
	<-done
	until(t, conn, gone, "SELECT pg_sleep(3600)%")
}

func TestCloseCancels(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	db := open(t, name, func(o *pgtool.Options) { o.Timeout = long })
	done := make(chan error, 1)
	go func() {
		_, err := db.ReadOnly(t.Context(), "SELECT pg_sleep(3600)")
		done <- err
	}()
	until(t, conn, running, "SELECT pg_sleep(3600)%")
	db.Close()
	if err := <-done; err == nil {
		t.Error("no error")
	}
	until(t, conn, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = $1)", reader)
	if _, err := db.ReadOnly(t.Context(), "SELECT 1"); err == nil {
		t.Error("a closed DB answers")
	}
}

// TestMaxConns runs more statements at once than there may be connections.
func TestMaxConns(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	db := open(t, name, func(o *pgtool.Options) { o.MaxConns = 2 })
	done := make(chan error)
	const calls = 6
	for range calls {
		go func() {
			_, err := db.ReadOnly(t.Context(), "SELECT pg_advisory_xact_lock_shared(5)")
			done <- err
		}()
	}
	for range calls {
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = $1", reader); n > 2 {
			t.Errorf("%d connections, want at most 2", n)
		}
	}
}

// TestReconnect ends all sessions behind the pool's back.
func TestReconnect(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	db := open(t, name, one)
	rows(t, db, "SELECT 1")
	pgtest.Exec(t, conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	until(t, conn, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database()")
	_, err := db.ReadOnly(t.Context(), "SELECT 1") // may meet the dead connection
	if err != nil && !strings.Contains(err.Error(), "try again") {
		t.Errorf("got %v, want advice to try again", err)
	}
	if got := row(t, db, "SELECT 2"); got != "[2]" {
		t.Errorf("afterwards: %s", got)
	}
}
