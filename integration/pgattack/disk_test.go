package pgattack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
)

// fillers are statements that fill the disk in other ways than the corpus, if the
// role has no temp_file_limit. They are refused before they run.
var fillers = []string{
	"SELECT pad FROM shop.big, generate_series(1, 8) ORDER BY pad, id OFFSET 400000", "SELECT pad||g FROM shop.big, generate_series(1, 8) g ORDER BY 1 OFFSET 400000",
	"SELECT count(DISTINCT pad||g) FROM shop.big, generate_series(1, 8) g", "SELECT string_agg(DISTINCT pad||g, '') FROM shop.big, generate_series(1, 8) g", "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY pad||g) FROM shop.big, generate_series(1, 8) g",
	"SELECT max(length(p)) FROM (SELECT lag(pad, 400000) OVER () AS p FROM shop.big, generate_series(1, 8)) s", "SELECT count(*) FROM generate_series(1, 20000000)",
	"SELECT count(*) FROM shop.big a JOIN (SELECT pad||g AS pad FROM shop.big, generate_series(1, 8) g) b USING (pad)", "SELECT count(*) FROM (SELECT pad||g FROM shop.big, generate_series(1, 8) g UNION SELECT '') s",
	"WITH m AS MATERIALIZED (SELECT pad, g FROM shop.big, generate_series(1, 12) g) SELECT count(*) FROM m WHERE g > (SELECT min(g) FROM m)", "SELECT count(*) FROM (SELECT pad||g FROM shop.big, generate_series(1, 8) g INTERSECT SELECT pad||g FROM shop.big, generate_series(1, 8) g) s",
	"SELECT pad||id||g, count(*) FROM shop.big, generate_series(1, 8) g GROUP BY GROUPING SETS ((1), ()) OFFSET 400000",
}

func TestDisk(t *testing.T) {
	s := newStage(t, "reader")
	before := s.temporary(t)
	for _, sql := range fillers {
		if text, failed := s.query(t, sql); !failed || !strings.Contains(text, "temp_file_limit") {
			t.Errorf("%s: %s", sql, text)
		}
	}
	s.fresh(t)
	if took := s.temporary(t) - before; took > 100 {
		t.Errorf("%d MB of temporary files", took)
	}
	// With a limit on the role it is the server that says so, while it runs.
	pgtest.Exec(t, s.conn, "ALTER ROLE mcp_reader IN DATABASE "+s.database+" SET temp_file_limit = '64MB'")
	s.fresh(t)
	s.reload(t)
	if text, failed := s.query(t, fillers[0]); !failed || !strings.Contains(text, "53400") && !strings.Contains(text, "57014") {
		t.Errorf("with temp_file_limit: %s", text)
	}
}

// TestMaxCost refuses by the planner's cost, and plans a statement once.
func TestMaxCost(t *testing.T) {
	s := newStage(t, "hardened")
	s.options.MaxCost = 2_000
	s.options.Timeout = 5 * time.Second
	s.reload(t)
	pgtest.Exec(t, s.conn, "SELECT pg_stat_statements_reset()")
	for range 3 {
		if text, failed := s.query(t, "SELECT id FROM shop.customers WHERE id = 1"); failed {
			t.Errorf("a cheap one: %s", text)
		}
		if text, failed := s.query(t, "SELECT count(pad) FROM shop.big"); !failed || !strings.Contains(text, "operator allows 2000") {
			t.Errorf("a dear one: %s", text)
		}
	}
	if n := pgtest.Ask[int64](t, s.conn, "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE query LIKE 'EXPLAIN%customers%'"); n > 1 {
		t.Errorf("planned %d times, want once", n)
	}
	if n := pgtest.Ask[int64](t, s.conn, "SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'SELECT count(pad)%'"); n != 0 {
		t.Error("the dear one was run")
	}
	if text, _ := s.query(t, "SELECT ä.nope FROM shop.customers ä"); !strings.Contains(text, "at character 8") {
		t.Errorf("the position is lost: %s", text)
	}
}

// TestPositions finds the way back from what was sent.
func TestPositions(t *testing.T) {
	s := newStage(t, "reader")
	for sql, at := range map[string]int{
		"SELECT array_agg(id), nope FROM shop.customers": 23, "SELECT array_agg(nope) FROM shop.customers": 18, "SELECT ARRAY(SELECT 'é'), nope FROM shop.customers": 27,
		"SELECT id FROM shop.customers WHERE id NOT IN (SELECT id FROM shop.orders) AND nope": 80, "SELECT count(*) FROM shop.customers ORDER BY nope": 46,
		"SELECT ARRAY(SELECT nope FROM shop.orders) FROM shop.customers": 21,
	} {
		if text, failed := s.query(t, sql); !failed || !strings.Contains(text, fmt.Sprintf("at character %d)", at)) {
			t.Errorf("%s: %s, want character %d", sql, text, at)
		}
	}
}

// TestParameters keeps the types of parameters that stand in what is written twice.
func TestParameters(t *testing.T) {
	s := newStage(t, "reader")
	for sql, params := range map[string][]any{
		"SELECT string_agg(name, $1) FROM shop.customers": {", "}, "SELECT string_agg(name || $1, $2 ORDER BY id) FILTER (WHERE id < $3) FROM shop.customers": {"x", "-", 5}, "SELECT array_agg(id + $1) FROM shop.customers": {1},
		"SELECT ARRAY(SELECT id FROM shop.orders WHERE id < $1 ORDER BY 1)": {5}, "SELECT json_agg(json_build_object('a', $1::text))": {"x"}, "SELECT id FROM shop.customers WHERE id NOT IN (SELECT $1::int) AND name <> $2": {1, "x"}, "SELECT string_agg($1, $2)": {"a", "b"},
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + $1 FROM n WHERE i < $2) SELECT sum(i) FROM n ORDER BY 1": {2, 9}, "SELECT array_agg($1::date)": {"2024-01-01"},
	} {
		res, err := s.cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "pg_query", Arguments: map[string]any{"sql": sql, "params": params}})
		if err != nil {
			t.Fatal(err)
		}
		if res.IsError {
			t.Errorf("%s: %s", sql, res.Content[0].(*mcp.TextContent).Text)
		}
	}
}
