package sqlcatalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// private has masked columns in shop.people, in the path, in other.people and in
// other.staff.
const private = `
n 1 0 pg_catalog - -
n 2 0 shop - -
n 3 0 other - -
r 20000 0 shop people r-
r 20001 0 other people r-
r 20002 0 other staff r-
r 20003 0 shop v_people v-
r 20004 0 shop v_over v-
r 20005 0 shop v_listed v-
r 20006 0 shop v_beyond v-
r 20007 0 shop orders r-
m 0 1 - - -
k 20000 0 shop people c
k 20000 2 pg_catalog ssn htext
k 20000 1 pg_catalog id -int4
k 20000 3 pg_catalog mail ktext
k 20000 4 pg_catalog card ptext
k 20001 0 other people -
k 20001 1 pg_catalog ssn htext
k 20002 0 other staff -
k 20002 1 pg_catalog ssn htext
w 20003 20000 - - m
w 20004 20003 - - -
w 20005 20000 - - m
w 20006 20005 - - -
`

var masked = New(rows(private), Policy{Schemas: []string{"shop", "other2"}, Allow: []string{"shop.v_listed", "other.people", "other.staff"}, Masks: true})

// in is what an edited statement has for the queries of ours.
var in = strings.NewReplacer(masked.masks[name{"shop", "people"}].query, "<shop>", masked.masks[name{"other", "people"}].query, "<other>", masked.masks[name{"other", "staff"}].query, "<staff>")

func maskEdited(sql string) string {
	st, err := sqlgate.Check(sql, sqlgate.Options{})
	if err != nil {
		return err.Error()
	}
	edits, err := masked.Mask(st)
	if err != nil {
		return err.Error()
	}
	return in.Replace(edits.Apply(st.SQL))
}

func TestMask(t *testing.T) {
	t.Parallel()
	const shop, other, staff = `"people" AS NOT MATERIALIZED (<shop>)`, `"other.people" AS NOT MATERIALIZED (<other>)`, `"staff" AS NOT MATERIALIZED (<staff>)`
	for sql, want := range map[string]string{
		"SELECT 1 FROM orders":                                   "SELECT 1 FROM orders",
		"SELECT ssn FROM people":                                 "WITH " + shop + " SELECT ssn FROM people",
		`TABLE "people"`:                                         "WITH " + shop + ` TABLE "people"`,
		"TABLE PEOPLE":                                           "WITH " + shop + " TABLE PEOPLE",
		`TABLE "People"`:                                         `TABLE "People"`,
		"SELECT shop.people.ssn FROM shop . people":              "WITH " + shop + ` SELECT "people".ssn FROM "people"`,
		`SELECT 1 FROM "shop"/**/."people" p`:                    "WITH " + shop + ` SELECT 1 FROM "people" p`,
		"(SELECT ssn FROM people) UNION SELECT 'x'":              "WITH " + shop + " (SELECT ssn FROM people) UNION SELECT 'x'",
		"EXPLAIN SELECT * FROM people":                           "EXPLAIN WITH " + shop + " SELECT * FROM people",
		"EXPLAIN (VERBOSE) TABLE people":                         "EXPLAIN (VERBOSE) WITH " + shop + " TABLE people",
		"WITH a AS (TABLE people) TABLE a":                       "WITH " + shop + ", a AS (TABLE people) TABLE a",
		"WITH RECURSIVE a AS (TABLE people) TABLE a":             "WITH RECURSIVE " + shop + ", a AS (TABLE people) TABLE a",
		"WITH recursive AS (TABLE people) SELECT 1":              "WITH " + shop + ", recursive AS (TABLE people) SELECT 1",
		"WITH recursive(a) AS (TABLE people) SELECT 1":           "WITH " + shop + ", recursive(a) AS (TABLE people) SELECT 1",
		`WITH"a"AS(TABLE people)TABLE a`:                         "WITH " + shop + `,"a"AS(TABLE people)TABLE a`,
		"SELECT 1 FROM other.staff, other . staff s":             "WITH " + staff + ` SELECT 1 FROM "staff", "staff" s`,
		"SELECT 1 FROM other.people":                             "WITH " + other + ` SELECT 1 FROM "other.people" AS "people"`,
		"SELECT other.people.x FROM a JOIN other.people ON true": "WITH " + other + ` SELECT "people".x FROM a JOIN "other.people" AS "people" ON true`,
		"SELECT 1 FROM people, other.people AS o":                "WITH " + shop + ", " + other + ` SELECT 1 FROM people, "other.people" AS o`,
		"SELECT 1 FROM ONLY other.staff":                         "WITH " + staff + ` SELECT 1 FROM ONLY "staff"`,
		"WITH staff AS (SELECT 1 FROM other.staff) TABLE staff":  `WITH "other.staff" AS NOT MATERIALIZED (<staff>), staff AS (SELECT 1 FROM "other.staff" AS "staff") TABLE staff`,
		"SELECT 1 FROM v_listed":                                 "SELECT 1 FROM v_listed",
		"SELECT 1 FROM shop.v_beyond":                            "SELECT 1 FROM shop.v_beyond",
	} {
		if got := maskEdited(sql); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", sql, got, want)
		}
	}
	for sql, want := range map[string]string{
		"SELECT 1 FROM ONLY people":              "leave out ONLY",
		"SELECT 1 FROM ONLY (shop.people)":       "leave out ONLY",
		"SELECT 1 FROM db.shop.people":           "without the database",
		"WITH people AS (SELECT 1) TABLE people": "another name",
		"WITH x AS (WITH people(a, b) AS NOT MATERIALIZED (SELECT 1) TABLE people) TABLE x": "another name",
		"((WITH a AS (TABLE people) TABLE a))":                                              "WITH at its beginning",
		"SELECT 1 FROM v_people":                                                            "made from columns that are masked",
		"SELECT 1 FROM shop.v_over":                                                         "made from columns that are masked",
	} {
		if got := maskEdited(sql); !strings.Contains(got, want) {
			t.Errorf("%s\ngot  %s\nwant %s", sql, got, want)
		}
	}
}

// TestMaskQuery pins what is read in the place of a table.
func TestMaskQuery(t *testing.T) {
	t.Parallel()
	const want = `SELECT "id", NULL::"pg_catalog"."text" AS "ssn", ` +
		`pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.decode(pg_catalog.current_setting('mcpsec.mask_outer'), 'hex') OPERATOR(pg_catalog.||) ` +
		`pg_catalog.sha256(pg_catalog.decode(pg_catalog.current_setting('mcpsec.mask_inner'), 'hex') OPERATOR(pg_catalog.||) pg_catalog.convert_to("mail"::pg_catalog.text, 'UTF8'))), 'hex'), 32) AS "mail", ` +
		`CASE WHEN pg_catalog.length("card"::pg_catalog.text) OPERATOR(pg_catalog.>=) 8 THEN '****' OPERATOR(pg_catalog.||) pg_catalog.right("card"::pg_catalog.text, 4) ` +
		`WHEN ("card"::pg_catalog.text) IS NOT NULL THEN '****' END AS "card" FROM "shop"."people"`
	if got := masked.masks[name{"shop", "people"}].query; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := masked.MaskOf("shop", "people"); len(got) != 3 || got["ssn"] != Hidden || got["mail"] != Hashed || got["card"] != Partial {
		t.Errorf("MaskOf: %v", got)
	}
	if !masked.Found(0) || masked.Found(1) {
		t.Error("Found is not what was found")
	}
}

// TestMaskDenies refuses what shows values, or statistics of them, beside tables.
func TestMaskDenies(t *testing.T) {
	t.Parallel()
	const catalog = "f 30000 0 shop st_estimatedextent s---postgis\nf 30001 0 shop st_area i---postgis\nr 1249 0 pg_catalog pg_attribute rp\n"
	with, without := New(rows(private+catalog), Policy{Schemas: []string{"shop"}, Masks: true}), New(rows(private+catalog), Policy{Schemas: []string{"shop"}})
	statements := []string{"SELECT st_estimatedextent('shop', 'people', 'place')", "SELECT attmissingval FROM pg_attribute", "SELECT * FROM pg_attribute", "SELECT a::text FROM pg_attribute a"}
	deny(t, with, "not allowed", statements...)
	allow(t, without, statements...)
	allow(t, with, "SELECT attname FROM pg_attribute", "SELECT st_area(id) FROM orders")
}

// TestMaskBounds keeps the text and the time of what is put in front in bounds.
func TestMaskBounds(t *testing.T) {
	t.Parallel()
	var catalog, sql strings.Builder
	catalog.WriteString(private)
	for i := range 3000 {
		fmt.Fprintf(&catalog, "r %d 0 shop t%d r-\nk %d 0 shop t%d -\nk %d 1 pg_catalog c ktext\n", 40000+i, i, 40000+i, i, 40000+i)
		fmt.Fprintf(&sql, ", t%d", i)
	}
	s := New(rows(catalog.String()), Policy{Schemas: []string{"shop"}, Masks: true})
	deny(t, s, "too many tables", "SELECT 1"+sql.String())
	allow(t, s, "SELECT t1, t2, t3 FROM t4", "SELECT 1"+strings.Repeat(", people(people)", 100))
}

// TestMaskInCheck masks what the gate allows, beside what it refuses anyway.
func TestMaskInCheck(t *testing.T) {
	t.Parallel()
	deny(t, masked, "made from columns that are masked", "SELECT 1 FROM v_people", "SELECT number FROM shop.v_over")
	deny(t, masked, "leave out ONLY", "SELECT 1 FROM ONLY people")
	st, err := sqlgate.Check("SELECT 1 FROM people", sqlgate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if edits, err := masked.Check(st); err != nil || len(edits) != 1 {
		t.Errorf("got %v, %v, want one edit", edits, err)
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	tokens, err := sqllex.Scan(`SELECT "a".x FROM people "a", orders`)
	if err != nil {
		t.Fatal(err)
	}
	names, known, hidden := masked.Guard(tokens)
	slices.Sort(hidden)
	if !slices.Equal(names, []string{"select", "a", "x", "from", "people", "orders"}) || !slices.Equal(known, []uint32{20000, 20001, 20007}) || !slices.Equal(hidden, []uint32{20000, 20001}) {
		t.Errorf("got %v, %v, %v", names, known, hidden)
	}
	if names, known, hidden := plain.Guard(tokens); names != nil || known != nil || hidden != nil {
		t.Errorf("without masks: %v, %v, %v", names, known, hidden)
	}
}

// FuzzMask: edits fit together, and no name with a schema is left.
func FuzzMask(f *testing.F) {
	for _, sql := range []string{"SELECT shop.people.ssn FROM shop.people", `WITH"shop".people AS (SELECT 1) SELECT shop.people`, "WITH RECURSIVE shop.people, a", "(TABLE other.people)", "SELECT shop.shop.people.people FROM people.people"} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		st, err := sqlgate.Check(sql, sqlgate.Options{})
		if err != nil {
			return
		}
		edits, err := masked.Mask(st)
		if err != nil {
			return
		}
		got := edits.Apply(st.SQL)
		tokens, err := sqllex.Scan(in.Replace(got))
		if err != nil {
			t.Fatalf("%q became %q: %v", sql, got, err)
		}
		for i, tok := range tokens {
			if i >= 2 && tokens[i-1].Is(".") && (tok.Value == "people" || tok.Value == "staff") && named(tok) {
				if n := (name{tokens[i-2].Value, tok.Value}); named(tokens[i-2]) && masked.masks[n] != nil {
					t.Fatalf("%q became %q, which names %v", sql, got, n)
				}
			}
		}
	})
}
