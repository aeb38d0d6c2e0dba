package sqlcatalog

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/sqltree"
)

// none is what a statement uses that uses nothing.
func none() *sqltree.Uses { return &sqltree.Uses{} }

func uses(oids ...uint32) map[uint32]bool {
	m := map[uint32]bool{}
	for _, oid := range oids {
		m[oid] = true
	}
	return m
}

func TestCheckUses(t *testing.T) {
	t.Parallel()
	const (
		lower, sleep, int4pl, xml, ping, similarity = 10, 11, 18, 20, 20000, 20002
		pingOperator, percent                       = 21000, 21001
		checked, fine                               = 22001, 22003
		proc, authid, class, orders, away, badView  = 1255, 1260, 1259, 23001, 23002, 23004
		unknown                                     = 99999
	)
	for _, test := range []struct {
		name              string
		parsed, rewritten sqltree.Uses
		want              string // empty: allowed
	}{
		{"nothing", sqltree.Uses{}, sqltree.Uses{}, ""},
		{"honest", sqltree.Uses{Calls: uses(lower, similarity), Implied: uses(int4pl), Operators: uses(96, percent), Types: uses(23, fine), Relations: uses(class, orders)},
			sqltree.Uses{Calls: uses(lower, int4pl), Relations: uses(authid)}, ""},
		{"called", sqltree.Uses{Calls: uses(sleep)}, sqltree.Uses{}, "function pg_sleep is not allowed"},
		{"called, only for casts", sqltree.Uses{Calls: uses(int4pl)}, sqltree.Uses{}, "function int4pl is not allowed"},
		{"called, users'", sqltree.Uses{Calls: uses(ping)}, sqltree.Uses{}, "function ping is not allowed"},
		{"called, unknown", sqltree.Uses{Calls: uses(unknown)}, sqltree.Uses{}, "try again in a few seconds"},
		{"called, unknown of PostgreSQL", sqltree.Uses{Calls: uses(99)}, sqltree.Uses{}, "try again in a few seconds"},
		{"implied", sqltree.Uses{Implied: uses(ping)}, sqltree.Uses{}, "function ping is not allowed"},
		{"implied, PostgreSQL's", sqltree.Uses{Implied: uses(xml)}, sqltree.Uses{}, "function query_to_xml is not allowed"},
		{"operator", sqltree.Uses{Operators: uses(pingOperator)}, sqltree.Uses{}, "is not allowed"},
		{"operator, unknown", sqltree.Uses{Operators: uses(unknown)}, sqltree.Uses{}, "try again"},
		{"type", sqltree.Uses{Types: uses(checked)}, sqltree.Uses{}, "type checked is not allowed"},
		{"type, unknown", sqltree.Uses{Types: uses(unknown)}, sqltree.Uses{}, "try again"},
		{"relation", sqltree.Uses{Relations: uses(authid)}, sqltree.Uses{}, "table or view pg_authid is not allowed"},
		{"foreign table", sqltree.Uses{Relations: uses(away)}, sqltree.Uses{}, "table or view away is not allowed"},
		{"relation, unknown", sqltree.Uses{Relations: uses(unknown)}, sqltree.Uses{}, "try again"},
		{"column", sqltree.Uses{Relations: uses(proc), Columns: map[uint32]map[int]bool{proc: {26: true}}}, sqltree.Uses{}, "column prosrc is not allowed"},
		{"whole row", sqltree.Uses{Relations: uses(proc), Columns: map[uint32]map[int]bool{proc: {0: true}}}, sqltree.Uses{}, "of this catalog"},
		{"other column", sqltree.Uses{Relations: uses(proc), Columns: map[uint32]map[int]bool{proc: {2: true}}}, sqltree.Uses{}, ""},
		{"within, called", sqltree.Uses{}, sqltree.Uses{Calls: uses(ping)}, "function ping is not allowed"},
		{"within, implied", sqltree.Uses{}, sqltree.Uses{Implied: uses(ping)}, "function ping is not allowed"},
		{"within, operator", sqltree.Uses{}, sqltree.Uses{Operators: uses(pingOperator)}, "is not allowed"},
		{"within, type", sqltree.Uses{}, sqltree.Uses{Types: uses(checked)}, "type checked is not allowed"},
		{"within, relation", sqltree.Uses{}, sqltree.Uses{Relations: uses(badView)}, "table or view bad_view is not allowed"},
	} {
		err := plain.CheckUses(&test.parsed, &test.rewritten)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// TestCheckUsesPolicy keeps to the schemas that may be named, and lets a view use
// what it uses if the operator has listed the view.
func TestCheckUsesPolicy(t *testing.T) {
	t.Parallel()
	const sleep, ping, orders, badView, outerView, goodView = 11, 20000, 23001, 23004, 23005, 23006
	s := New(rows(shop), Policy{Schemas: []string{"public"}, Allow: []string{"public.outer_view", "public.ping"}})
	of := func(relations ...uint32) *sqltree.Uses { return &sqltree.Uses{Relations: uses(relations...)} }
	if err := s.CheckUses(of(orders), none()); err == nil {
		t.Error("a table in a schema that is not listed")
	}
	if err := s.CheckUses(none(), of(orders)); err != nil {
		t.Errorf("a view that reads it: %v", err)
	}
	if err := s.CheckUses(&sqltree.Uses{Calls: uses(ping)}, none()); err != nil {
		t.Errorf("a function that is listed: %v", err)
	}
	if err := s.CheckUses(of(outerView), &sqltree.Uses{Relations: uses(outerView, badView, goodView), Calls: uses(sleep)}); err != nil {
		t.Errorf("what a listed view uses: %v", err)
	}
	if err := s.CheckUses(of(badView), none()); err == nil {
		t.Error("a view that only a listed view may use")
	}
	if err := s.CheckUses(&sqltree.Uses{Calls: uses(sleep)}, none()); err == nil {
		t.Error("a function that only a listed view may use")
	}
}
