package pgsql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// fill makes n idle connections.
func fill(t *testing.T, db *pgtool.DB, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if _, err := db.ReadOnly(t.Context(), "SELECT pg_sleep(0.5)"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestOversizeIsAlone: what is too large costs its own connection only.
func TestOversizeIsAlone(t *testing.T) {
	t.Parallel()
	name := database(t)
	conn := postgres.Admin(t, name)
	pgtest.Exec(t, conn, "CREATE FUNCTION public.fail() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION '%', repeat('x', 5000000); END$$")
	for _, sql := range []string{"SELECT repeat('x', 5000000)", "SELECT fail()"} {
		db := open(t, name, func(o *pgtool.Options) { o.MaxConns = 4 })
		fill(t, db, 4)
		mine := pgtest.Ask[[]int32](t, conn, "SELECT array_agg(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = $1", reader)
		if _, err := db.ReadOnly(t.Context(), sql); err == nil {
			t.Errorf("%s: no error", sql)
		}
		const left = "SELECT count(*) = 3 FROM pg_stat_activity WHERE pid = ANY ($1)"
		until(t, conn, left, mine)
		pgtest.Exec(t, conn, "SELECT pg_sleep(0.2)") // time for more to go
		if !pgtest.Ask[bool](t, conn, left, mine) {
			t.Errorf("%s: it cost other connections", sql)
		}
		db.Close()
	}
}

// TestWideTable describes more than a statement may return.
func TestWideTable(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), `DO $$BEGIN
		EXECUTE 'CREATE TABLE public.wide (' || (SELECT string_agg('c' || g || ' int', ', ') FROM generate_series(1, 300) g) || ')';
		FOR i IN 1..300 LOOP EXECUTE format('COMMENT ON COLUMN public.wide.c%s IS %L', i, repeat('k', 300)); END LOOP;
		GRANT SELECT ON public.wide TO PUBLIC; END$$`)
	cs, _ := client(t, open(t, name, func(o *pgtool.Options) { o.MaxBytes = 1024 }))
	var names []string
	for next := 0; len(names) == 0 || next > 0; {
		d := result[description](t, cs, "pg_describe", map[string]any{"schema": "public", "name": "wide", "after": next})
		for _, c := range d.Columns {
			names = append(names, c.Name)
		}
		next = d.Next
	}
	if len(names) != 300 || names[299] != "c300" {
		t.Errorf("got %d columns, %v", len(names), names)
	}
}

// muted returns the URL of a proxy before the server, and a function that makes
// the network silent, without an end of its connections.
func muted(t *testing.T, database string) (string, func()) {
	t.Helper()
	u, err := url.Parse(postgres.Server(t).URL(database, reader))
	if err != nil {
		t.Fatal(err)
	}
	target := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.Host = l.Addr().String()
	silent, over := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(over); l.Close() })
	pump := func(to, from net.Conn) {
		defer to.Close()
		b := make([]byte, 32<<10)
		for {
			n, err := from.Read(b)
			select {
			case <-silent:
				<-over
				return
			default:
			}
			if _, werr := to.Write(b[:n]); err != nil || werr != nil {
				return
			}
		}
	}
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", target)
			if err != nil {
				a.Close()
				continue
			}
			go pump(a, b)
			go pump(b, a)
		}
	}()
	return u.String(), func() { close(silent) }
}

func TestSilentNetwork(t *testing.T) {
	t.Parallel()
	name := database(t)
	address, mute := muted(t, name)
	db, err := pgtool.Open(t.Context(), pgtool.Options{URL: redact.NewSecret(address), MaxConns: 4, Waive: []mcpsec.Waiver{anySQL}})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, 4)
	pgtest.Exec(t, postgres.Admin(t, name), "SELECT pg_sleep(1.2)") // then they are pinged
	mute()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	if _, err := db.ReadOnly(ctx, "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("a call with a second to go took %s", d)
	}
	start = time.Now()
	db.Close()
	if d := time.Since(start); d > 8*time.Second {
		t.Errorf("Close took %s", d)
	}
}

// deaf is a statement that runs for long and looks at nothing meanwhile, nor
// does the server make a database until it ends.
func deaf(n int) string {
	return fmt.Sprintf("SELECT length(translate(repeat('x', 4000000), repeat('y', %d) || 'x', ''))", n)
}

// ignore starts a statement and gives it up.
func ignore(t *testing.T, conn *pgx.Conn, db *pgtool.DB, sql string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := db.ReadOnly(ctx, sql)
		done <- err
	}()
	until(t, conn, running, sql)
	pgtest.Exec(t, conn, "SELECT pg_sleep(0.3)") // until it is deaf
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// TestDeafStatement counts a statement as running until it has ended, but for
// Close. No other test runs beside it.
func TestDeafStatement(t *testing.T) {
	name := database(t)
	conn := postgres.Admin(t, name)
	start := time.Now()
	pgtest.Exec(t, conn, deaf(25))
	sql := deaf(int(25 * 12 * time.Second / time.Since(start)))
	single := func(o *pgtool.Options) { o.MaxConns, o.Timeout = 1, long }
	waits, closes := open(t, name, single), open(t, name, single)
	ignore(t, conn, waits, sql+" AS waits")
	ignore(t, conn, closes, sql+" AS closes")
	for mark, db := range map[string]*pgtool.DB{"waits": waits, "closes": closes} {
		_, err := db.ReadOnly(t.Context(), "SELECT 1")
		if !pgtest.Ask[bool](t, conn, running, sql+" AS "+mark) {
			t.Fatal("the statement ended too soon, which proves nothing")
		}
		var e *mcpsec.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, "busy") {
			t.Errorf("got %v, want that the database is busy", err)
		}
	}
	closes.Close()
	if !pgtest.Ask[bool](t, conn, running, sql+" AS closes") {
		t.Error("Close waited for the statement")
	}
	for deadline := time.Now().Add(time.Minute); pgtest.Ask[bool](t, conn, running, sql+" AS %") && time.Now().Before(deadline); {
		pgtest.Exec(t, conn, "SELECT pg_sleep(0.1)")
	}
	if got := row(t, waits, "SELECT 1"); got != "[1]" {
		t.Errorf("after the statement: %s", got)
	}
}

// TestLaterRole makes the role unfit after Open.
func TestLaterRole(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"SUPERUSER", "BYPASSRLS", "REPLICATION", "CREATEROLE", "CREATEDB", "SET role = '" + reader + "'"} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			name := database(t)
			conn := postgres.Admin(t, name)
			role(t, conn, name, "LOGIN")
			pgtest.Exec(t, conn, fmt.Sprintf("GRANT %s TO %s", reader, name))
			db, err := pgtool.Open(t.Context(), pgtool.Options{
				URL: redact.NewSecret(postgres.Server(t).URL(name, name)), MaxConns: 1, Waive: []mcpsec.Waiver{anySQL},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			pgtest.Exec(t, conn, "ALTER ROLE "+name+" "+change)
			rows(t, db, "SELECT set_config('a.b', '', true)") // ends the connection
			var e *mcpsec.Error
			if _, err := db.ReadOnly(t.Context(), "SELECT 1"); !errors.As(err, &e) || e.Err == nil || !strings.Contains(e.Err.Error(), "the role can do more") {
				t.Errorf("got %v, want that the role can do more", err)
			}
		})
	}
}

func TestSQLASCII(t *testing.T) {
	t.Parallel()
	name := database(t) + "_a"
	conn := postgres.Admin(t, "postgres")
	pgtest.Exec(t, conn, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
	defer pgtest.Exec(t, conn, "DROP DATABASE "+name+" WITH (FORCE)")
	db, err := pgtool.Open(t.Context(), pgtool.Options{URL: redact.NewSecret(postgres.Server(t).URL(name, reader))})
	if err == nil {
		db.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "SQL_ASCII") {
		t.Errorf("got %v, want a refusal of SQL_ASCII", err)
	}
}
