package pgtool

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func TestCanSpill(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string][2]bool{
		"SELECT a, b FROM shop.t WHERE id = $1 AND x IN (1, 2) LIMIT 5": {}, "SELECT count(*), max(a) FROM t": {}, "SELECT 1": {}, `SELECT "order" FROM t WHERE f(a, b)`: {},
		"SELECT a FROM t ORDER BY b": {true, true}, "SELECT a FROM t, u": {true}, "SELECT a FROM t JOIN u USING (id)": {true}, "SELECT DISTINCT a FROM t": {true}, "SELECT a FROM t GROUP BY a": {true},
		"SELECT a FROM t UNION ALL SELECT 1": {true}, "SELECT a FROM f(1)": {true}, "SELECT a FROM (t)": {true}, "SELECT count(DISTINCT a) FROM t": {true, true}, "SELECT mode() WITHIN GROUP (ORDER BY a) FROM t": {true, true},
		"SELECT sum(a) OVER () FROM t": {true}, "TABLE t": {true}, "VALUES (1)": {true}, "WITH t AS (SELECT 1) TABLE t": {true}, "SELECT a FROM t WHERE a = (SELECT 1)": {true}, "SELECT a FROM t EXCEPT TABLE u": {true},
	} {
		tokens, err := sqllex.Scan(sql)
		if err != nil {
			t.Fatal(err)
		}
		if spills, sorts := canSpill(tokens); spills != want[0] || sorts != want[1] {
			t.Errorf("%s: got %v, %v, want %v", sql, spills, sorts, want)
		}
	}
}

func TestSpill(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for plan, want := range map[string]float64{
		`{"Node Type": "Seq Scan", "Plan Rows": 1e9, "Plan Width": 1008}`:                                                                                                                           0,
		`{"Node Type": "Sort", "Plan Rows": 1048576, "Plan Width": 48}`:                                                                                                                             64,
		`{"Node Type": "Sort", "Plan Rows": 1048576, "Plan Width": 0}`:                                                                                                                              0, // in memory
		`{"Node Type": "Limit", "Plans": [{"Node Type": "Sort", "Plan Rows": 1048576, "Plan Width": 48}]}`:                                                                                          64,
		`{"Node Type": "Sort", "Plan Rows": 1048576, "Plan Width": 32, "Plans": [{"Parent Relationship": "Outer", "Plan Rows": 5, "Plan Width": 112}]}`:                                             128, // computed of what is wide
		`{"Node Type": "Seq Scan", "Subplan Name": "CTE a", "Plan Rows": 1048576, "Plan Width": 48}`:                                                                                                64,
		`{"Node Type": "Aggregate", "Strategy": "Plain", "Plans": [{"Parent Relationship": "Outer", "Plan Rows": 1048576, "Plan Width": 48}]}`:                                                      0,
		`{"Node Type": "Aggregate", "Strategy": "Hashed", "Plan Rows": 5, "Plan Width": 8, "Plans": [{"Parent Relationship": "Outer", "Plan Rows": 1048576, "Plan Width": 48}]}`:                    0,
		`{"Node Type": "Aggregate", "Strategy": "Hashed", "Plan Rows": 1048576, "Plan Width": 8, "Plans": [{"Parent Relationship": "Outer", "Plan Rows": 1048576, "Plan Width": 48}]}`:              64,
		`{"Node Type": "WindowAgg", "Plan Rows": 1048576, "Plans": [{"Parent Relationship": "Outer", "Plan Rows": 1048576, "Plan Width": 48}]}`:                                                     64,
		`{"Node Type": "Hash Join", "Plans": [{"Parent Relationship": "Outer", "Plan Rows": 1048576, "Plan Width": 16}, {"Parent Relationship": "Inner", "Plan Rows": 1048576, "Plan Width": 48}]}`: 96,
		`{"Node Type": "Hash Join", "Plans": [{"Parent Relationship": "Outer", "Plan Rows": 1048576, "Plan Width": 16}, {"Parent Relationship": "Inner", "Plan Rows": 10, "Plan Width": 48}]}`:      0,
	} {
		var n spillNode
		if err := json.Unmarshal([]byte(plan), &n); err != nil {
			t.Fatal(err)
		}
		if got := n.spill(false) / mb; got != want {
			t.Errorf("%s: %v MB, want %v", plan, got, want)
		}
		if strings.Contains(plan, "Plain") && n.spill(true)/mb != 64 {
			t.Errorf("%s: %v bytes if it sorts, want 64 MB", plan, n.spill(true))
		}
	}
}

func TestJudgePlan(t *testing.T) {
	t.Parallel()
	sort := &spillNode{Node: "Sort", Cost: 500, Rows: 1 << 21, Width: 48}
	for _, test := range []struct {
		db   *DB
		want string
	}{
		{&DB{}, ""}, {&DB{diskOpen: true}, "fill about 128 MB"}, {&DB{o: Options{MaxCost: 499}}, "planner says 500"}, {&DB{o: Options{MaxCost: 500}}, ""},
	} {
		if err := test.db.judgePlan(sort, false); (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}

// TestPlansKept bounds what is remembered, and keeps statements, arguments and tenants apart.
func TestPlansKept(t *testing.T) {
	t.Parallel()
	var p plans
	keys := map[[32]byte]bool{}
	for _, q := range []*query{{runs: "a"}, {runs: "a", args: [][]byte{nil}}, {runs: "a", args: [][]byte{{}}}, {runs: "a", args: [][]byte{{}, nil}}, {runs: "a", args: [][]byte{[]byte("b"), []byte("c")}}, {runs: "a", args: [][]byte{[]byte("bc"), {}}}, {runs: "a", tenant: &binding{mark: "1"}}, {runs: "a", tenant: &binding{mark: "2"}}} {
		keys[q.key()] = true
	}
	if len(keys) != 8 {
		t.Errorf("%d keys, want 8", len(keys))
	}
	for i := range 3 * maxPlanned {
		p.keep((&query{runs: strings.Repeat("x", i)}).key(), nil)
		if len(p.known) > maxPlanned {
			t.Fatalf("%d verdicts are kept, want at most %d", len(p.known), maxPlanned)
		}
	}
}

func TestMaxCostOption(t *testing.T) {
	t.Parallel()
	for _, cost := range []float64{-1, math.NaN()} {
		if _, err := (Options{URL: redact.NewSecret("x"), MaxCost: cost}).withDefaults(); err == nil || !strings.Contains(err.Error(), "MaxCost") {
			t.Errorf("%v: got %v", cost, err)
		}
	}
}
