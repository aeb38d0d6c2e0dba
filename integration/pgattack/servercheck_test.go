package pgattack

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

func checked(o *pgtool.Options) { o.ServerCheck = true }

// TestServerCheckHonest runs statements that ask for nothing bad: what the gate
// accepts, the server's own analysis does not refuse.
func TestServerCheckHonest(t *testing.T) {
	type sample struct{ ID, SQL string }
	var benign []string
	for _, b := range lines[sample](t, "../../internal/sqlgate/testdata/benign.jsonl") {
		benign = append(benign, b.SQL)
	}
	for name, all := range map[string][]string{"reader": benign, "superuser": honest} {
		plain, s := newStage(t, name), newStageWith(t, name, checked)
		if name == "superuser" {
			for _, st := range []*stage{plain, s} {
				if err := statements(t.Context(), st.conn, more); err != nil {
					t.Fatal(err)
				}
				st.reload(t)
			}
		}
		accepted := 0
		for _, sql := range all {
			if _, failed := plain.query(t, sql); failed {
				continue
			}
			accepted++
			if text, failed := s.query(t, sql); failed {
				t.Errorf("%s: %s: %s", name, sql, text)
			}
		}
		if accepted*20 < len(all)*19 {
			t.Errorf("%s: %d of %d accepted without it, want more", name, accepted, len(all))
		}
	}
}

// TestServerCheckCatalogs looks at all of PostgreSQL's own relations that the gate
// accepts.
func TestServerCheckCatalogs(t *testing.T) {
	plain, s := newStage(t, "reader"), newStageWith(t, "reader", checked)
	names := pgtest.Ask[[]string](t, s.conn, "SELECT array_agg(oid::regclass::text ORDER BY oid) FROM pg_class WHERE relkind IN ('r', 'v') AND oid < 16384 AND relname !~ '^_'")
	looked := 0
	for _, n := range names {
		sql := "SELECT count(*) FROM " + n
		if _, failed := plain.query(t, sql); failed {
			continue
		}
		looked++
		if text, failed := s.query(t, sql); failed {
			t.Errorf("%s: %s", sql, text)
		}
	}
	if looked < 100 {
		t.Errorf("looked at %d, want more", looked)
	}
}
