package pgstate_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
)

// role is whom servers connect as.
const role = "mcp server"

var postgres = pgtest.Shared{Setup: func(ctx context.Context, s *pgserver.Server) error {
	conn, err := pgx.Connect(ctx, s.URL("", ""))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `CREATE ROLE "`+role+`" LOGIN PASSWORD '`+s.Password()+`'`)
	return err
}}

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

// admin connects as the superuser.
func admin(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), postgres.Server(t).URL(database, ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func exec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// ask returns the one value that sql asks for.
func ask[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func migrate(t testing.TB, conn *pgx.Conn, schema string) {
	t.Helper()
	if err := pgstate.Migrate(t.Context(), conn, schema, role); err != nil {
		t.Fatal(err)
	}
}

// newPool connects as the server's role. change may adjust it.
func newPool(t testing.TB, database string, change func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(postgres.Server(t).URL(database, role))
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 8
	if change != nil {
		change(config)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func newStore(t testing.TB, pool *pgxpool.Pool, schema string) *pgstate.Store {
	t.Helper()
	s, err := pgstate.New(t.Context(), pool, pgstate.Options{Schema: schema, Log: slog.DiscardHandler})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// A world is a database with the tables in schema "mcpsec", and its superuser.
type world struct {
	database string
	admin    *pgx.Conn
}

func newWorld(t testing.TB) world {
	t.Helper()
	database := postgres.Database(t, "")
	w := world{database, admin(t, database)}
	migrate(t, w.admin, "")
	return w
}

func (w world) store(t testing.TB) *pgstate.Store {
	t.Helper()
	return newStore(t, newPool(t, w.database, nil), "")
}

// A still clock stands in a table of the schema until a test moves it.
type still struct {
	admin  *pgx.Conn
	table  string
	moment time.Time
}

var stills atomic.Int64

// stillStore returns a store in a schema of its own, on a clock that stands.
func stillStore(t testing.TB, database string, conn *pgx.Conn, pool *pgxpool.Pool) (*pgstate.Store, *still) {
	t.Helper()
	schema := fmt.Sprintf("still %d", stills.Add(1))
	migrate(t, conn, schema)
	c := &still{admin: conn, table: pgx.Identifier{schema, "clock"}.Sanitize(), moment: time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)}
	exec(t, conn, fmt.Sprintf(`CREATE TABLE %s (now bigint); INSERT INTO %[1]s VALUES (%[2]d); GRANT SELECT ON %[1]s TO "%[3]s"`, c.table, c.moment.UnixMicro(), role))
	s := newStore(t, pool, schema)
	pgstate.SetClock(s, schema, "(SELECT now FROM "+c.table+")")
	return s, c
}

func (c *still) now() time.Time { return c.moment }

func (c *still) pass(t testing.TB, d time.Duration) {
	t.Helper()
	c.moment = c.moment.Add(d)
	exec(t, c.admin, fmt.Sprintf("UPDATE %s SET now = %d", c.table, c.moment.UnixMicro()))
}

// holds reports whether text has one of the parts.
func holds(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
