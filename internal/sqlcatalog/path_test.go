package sqlcatalog

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
)

// unusable has names that are harmless in the first schema of the path, which the role
// may not be allowed to use: then the server finds those of the second one.
const unusable = `
n 1 0 pg_catalog - -
n 2 0 first - -
n 3 0 second - -
r 20000 0 first away r-
r 20001 0 second away f-
r 20002 0 first v_people r-
r 20003 0 second v_people v-
r 20004 0 second people r-
k 20004 0 second people -
k 20004 1 pg_catalog ssn htext
w 20003 20004 - - m
`

func TestSchemaWithoutUsage(t *testing.T) {
	t.Parallel()
	s := New(rows(unusable), Policy{Schemas: []string{"first", "second"}, Masks: true})
	deny(t, s, "away", "SELECT * FROM away", "SELECT * FROM second.away", "TABLE away")
	allow(t, s, "SELECT * FROM first.away", "SELECT * FROM v_people")
	for sql, want := range map[string]string{
		"SELECT * FROM v_people":       `"v_people" AS NOT MATERIALIZED (SELECT * FROM "first"."v_people")`,
		"SELECT * FROM first.v_people": "SELECT * FROM first.v_people",
	} {
		st, err := sqlgate.Check(sql, sqlgate.Options{})
		if err != nil {
			t.Fatal(err)
		}
		edits, err := s.Check(st)
		if got := edits.Apply(st.SQL); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s becomes %s, %v, want %s in it", sql, got, err, want)
		}
	}
}
