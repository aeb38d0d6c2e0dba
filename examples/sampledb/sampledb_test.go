package sampledb

import (
	"context"
	"maps"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

var postgres pgtest.Shared

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

// counts are the rows of each table, view and materialised view, and checksum is
// of all of them: the same on each version of PostgreSQL.
var counts = map[string]int{
	"music.genres": 24, "music.artists": 1200, "music.albums": 4000, "music.album_genres": 8000, "music.tracks": 40000, "music.listens": 50000,
	"sales.stores": 6, "sales.staff": 60, "sales.customers": 6000, "sales.invoices": 24000, "sales.invoice_lines": 59811, "sales.reviews": 8001,
	"sales.promotions": 40, "sales.support_notes": 600,
	"music.album_overview": 4000, "sales.customer_totals": 6000, "sales.revenue_by_month": 216,
}

const checksum = "a500fc00733560e24f40db6da7726191"

func load(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), postgres.Server(t).URL(postgres.Database(t, ""), ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	if err := Load(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	return conn
}

func ask[T any](t *testing.T, conn *pgx.Conn, sql string) (v T) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// contents counts the rows of each relation and sums up what is in them.
func contents(t *testing.T, conn *pgx.Conn) (map[string]int, string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'"); err != nil {
		t.Fatal(err)
	}
	names, err := conn.Query(t.Context(), `SELECT c.oid::regclass::text FROM pg_class c
		WHERE c.relnamespace = ANY ('{music,sales}'::regnamespace[]) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition ORDER BY c.oid::regclass::text COLLATE "C"`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(names, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	found, sums := map[string]int{}, ""
	for _, name := range all {
		found[name] = ask[int](t, conn, "SELECT count(*) FROM "+name)
		sums += ask[string](t, conn, `SELECT md5(string_agg(r::text, E'\n' ORDER BY r::text COLLATE "C")) FROM `+name+` r`)
	}
	return found, ask[string](t, conn, "SELECT md5('"+sums+"')")
}

// Two loads are the same, and as they have always been.
func TestLoad(t *testing.T) {
	t.Parallel()
	for range 2 {
		found, sum := contents(t, load(t))
		if !maps.Equal(found, counts) {
			t.Errorf("rows: got %v, want %v", found, counts)
		}
		if sum != checksum {
			t.Errorf("checksum: got %s, want %s", sum, checksum)
		}
	}
}

// A store sees its own notes, and whoever names none sees none.
func TestStoresAreTenants(t *testing.T) {
	t.Parallel()
	conn := load(t)
	const reader = "sampledb_reader"
	setup := pgtool.SetupSQL(pgtool.SetupOptions{Database: conn.Config().Database, Role: reader, Schemas: Schemas})
	if _, err := conn.Exec(t.Context(), setup+"; SET SESSION AUTHORIZATION "+reader); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), "RESET SESSION AUTHORIZATION; DROP OWNED BY "+reader+"; DROP ROLE "+reader); err != nil {
			t.Error(err)
		}
	})
	const seen = "SELECT coalesce(array_agg(DISTINCT store_id), '{}')::text FROM sales.support_notes"
	for _, c := range []struct{ set, want string }{
		{"RESET app.store", "{}"}, {"SET app.store = ''", "{}"}, {"SET app.store = '3'", "{3}"}, {"SET app.store = '7'", "{}"},
	} {
		if _, err := conn.Exec(t.Context(), c.set); err != nil {
			t.Fatal(err)
		}
		if got := ask[string](t, conn, seen); got != c.want {
			t.Errorf("%s: got the notes of %s, want %s", c.set, got, c.want)
		}
	}
}
