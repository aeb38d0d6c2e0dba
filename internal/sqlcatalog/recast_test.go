package sqlcatalog

import (
	"fmt"
	"strings"
	"testing"
)

// TestMostHeld says which statements may hold less, as they make something else of
// what they have gathered.
func TestMostHeld(t *testing.T) {
	t.Parallel()
	for most, statements := range map[int][]string{
		MaxHeld: {
			"SELECT string_agg(id::text, ',') FROM t", "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r", "SELECT a, array_agg(CAST(x AS text) ORDER BY x::int) FROM t GROUP BY a",
			"SELECT jsonb_agg(to_jsonb(t)) FROM t", "SELECT json_agg(replace(x, 'a', 'b')) FILTER (WHERE x > 'a') FROM t", `SELECT string_agg(x, ',') AS "cast", translate FROM t`,
		},
		MaxRecast: {
			"SELECT ('[' || string_agg(x, ',') || ']')::jsonb FROM t", "SELECT array_agg(x)::text FROM t", "SELECT CAST(array_agg(x) AS text) FROM t",
			"SELECT string_to_array(s, ',') FROM (SELECT string_agg(x, ',') AS s FROM t) q", "WITH q AS (SELECT array_agg(x) AS text FROM t) SELECT q.text FROM q",
			"SELECT regexp_split_to_array(string_agg(x, ''), '') FROM t", "SELECT pg_catalog.to_tsvector(string_agg(x, ' ')) FROM t", "SELECT xmlparse(content string_agg(x, '')) FROM t",
			"WITH RECURSIVE r(x) AS (SELECT 'x' UNION ALL SELECT x || x FROM r) SELECT x::jsonb FROM r",
			"SELECT string_agg((SELECT string_agg(x, '') FROM t)::jsonb::text, '') FROM t", "SELECT json_agg(x) FILTER (WHERE x::int > 1) FROM t", "SELECT ARRAY(SELECT x::text FROM t)",
		},
	} {
		for _, sql := range statements {
			if got := edited(t, sql); !strings.Contains(got, fmt.Sprintf("::int8 < %d OR", most)) {
				t.Errorf("%s: not %d: %s", sql, most, got)
			}
		}
	}
}
