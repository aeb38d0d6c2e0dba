package sqlgate

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
)

var postgres pgtest.Shared

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

// connect returns a connection to a database of its own, with the settings that
// the scanner assumes.
func connect(t testing.TB) *pgconn.PgConn {
	t.Helper()
	server := postgres.Server(t)
	ctx := context.Background() // a fuzz function has no context of its own
	conn, err := pgconn.Connect(ctx, server.URL(postgres.Database(t, ""), ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	run(t, conn, `SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET lc_messages = 'C';
		SET statement_timeout = '5s'`)
	return conn
}

func run(t testing.TB, conn *pgconn.PgConn, sql string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// parse asks the server to parse sql by the extended protocol, which runs
// nothing, and returns its error.
func parse(t testing.TB, conn *pgconn.PgConn, sql string) *pgconn.PgError {
	t.Helper()
	_, err := conn.Prepare(context.Background(), "", sql, nil)
	var e *pgconn.PgError
	if err != nil && !errors.As(err, &e) {
		t.Fatalf("%q: %v", sql, err)
	}
	return e
}
