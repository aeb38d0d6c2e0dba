package pgmask

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/pgtool"
)

// A maker composes statements from pieces, most of which the server takes.
type maker struct {
	r *rand.Rand
	n *[1]int // of sources
}

func (m maker) pick(all ...string) string { return all[m.r.IntN(len(all))] }

// A source is something in FROM: its text, its name, and its columns.
type source struct {
	text, alias string
	columns     []string
}

var tables = map[string][]string{
	"people": {"id", "name", "ssn", "ssn_low", "email", "card", "pin", "born", "mood", "tags", "note"}, "cards": {"id", "owner", "kind"}, "base": {"id", "secret", "hint"},
	"derived": {"id", "secret", "hint", "extra"}, "events": {"id", "region", "ssn_eu", "user_token"}, "events_eu": {"id", "ssn_eu", "user_token"}, "history": {"id", "old", "olds"},
	"typed": {"id", "door_code", "blob", "doc"}, "v_listed": {"id", "name", "email"}, "v_clean": {"id", "name", "note"}, "partly": {"id", "ssn"},
}

// table returns a source. Half of them are the one table that has it all.
func (m maker) table(depth int) source {
	names := []string{"people", "people", "people", "people", "people", "people"}
	for name := range tables {
		names = append(names, name)
	}
	slices.Sort(names)
	plain := m.pick(names...)
	name := m.pick("lab.", "lab.", `"lab".`, "LAB . ", "lab./**/", "") + plain
	m.n[0]++
	s := source{alias: m.pick(fmt.Sprint("t", m.n[0]), fmt.Sprint("t", m.n[0]), "people", "cards"), columns: tables[plain]}
	as := m.pick(" ", " AS ") + s.alias
	kind := m.r.IntN(12)
	if depth <= 0 && kind > 6 {
		kind = 6
	}
	switch kind {
	case 0:
		s.text, s.columns = name+as+"(id, b)", []string{"id", "b"}
	case 1:
		s.text = "(TABLE " + name + ")" + as
	case 2:
		s.text, s.columns = "LATERAL (SELECT * FROM "+name+") "+s.alias+"(id, b)", []string{"id", "b"}
	case 3:
		s.text = name + " " + s.alias + "8 NATURAL JOIN (SELECT 1 AS id)" + as
		s.columns = []string{"id"}
	case 4:
		s.text = m.pick("ONLY "+name, "ONLY ("+name+")", name+" *") + as
	case 5:
		s.text, s.alias = name, plain
	case 7:
		s.text, s.columns = "("+m.query(depth-1)+") "+s.alias+"(id, b)", []string{"id", "b"}
	case 8:
		o := m.table(depth - 1)
		s.text = "(" + name + " AS " + s.alias + "9 " + m.pick("JOIN", "LEFT JOIN", "FULL JOIN") + " " + o.text + " ON " + s.alias + "9.id = " + o.alias + ".id) AS " + s.alias
		s.columns = s.columns[1:]
	case 9:
		s.text = "ROWS FROM (generate_series(1, 2)) g" + fmt.Sprint(m.n[0]) + ", " + name + as
	default:
		s.text = name + as
	}
	return s
}

// value returns an expression over a source.
func (m maker) value(s source, depth int) string {
	column := m.pick(s.columns...)
	v := m.pick(s.alias+"."+column, s.alias+"."+column, s.alias+"."+column, column, "("+s.alias+")."+column, s.alias, s.alias+"::text", "(to_jsonb("+s.alias+") ->> '"+column+"')", "lab.people."+column)
	if column == "old" {
		v = m.pick("("+s.alias+".old).ssn", "("+s.alias+".old).pin", v)
	}
	for range depth {
		switch m.r.IntN(10) {
		case 0:
			v = m.pick("to_jsonb", "count", "pg_column_size", "json_agg", "array_agg", "quote_literal", "pg_typeof") + "(" + v + ")"
		case 1:
			v = "left(" + v + "::text, " + m.pick("1", "3") + ")"
		case 2:
			v = m.pick("length", "upper", "md5", "reverse", "ascii", "max", "min") + "(" + v + "::text)"
		case 3:
			v = "(" + v + ")::text" + m.pick(" || 'x'", " > 'q'", " IS NULL", " LIKE 'q%'", " ~ '^[q-z]'", " = ANY (ARRAY['q'])", " COLLATE \"C\"", "")
		case 4:
			v = "CASE WHEN (" + v + ")::text > 'r' THEN 'a' ELSE 'b' END"
		case 5:
			v = "coalesce((" + v + ")::text, 'z')"
		case 6:
			v = "(SELECT " + v + m.pick("", " FROM people LIMIT 1", " FROM lab.people x ORDER BY x.id LIMIT 1") + ")"
		case 7:
			v = "rank() OVER (ORDER BY " + v + ")"
		case 8:
			v = "ROW(" + v + ", 1)"
		default:
			v = "(" + v + ")"
		}
	}
	return v
}

// query returns a query with two columns.
func (m maker) query(depth int) string {
	s := m.table(depth)
	q := "SELECT " + m.pick("", "", "DISTINCT ") + m.pick(s.alias+".id", s.alias+".id AS id", "1 AS id", "(SELECT count(*) FROM people)") + ", " + m.value(s, 1+m.r.IntN(2)) + m.pick("", " AS x", " AS b") + " FROM " + s.text
	if m.r.IntN(3) == 0 {
		o := m.table(depth - 1)
		q += m.pick(" JOIN ", " LEFT JOIN ") + o.text + m.pick(" ON "+s.alias+".id = "+o.alias+".id", " ON true", " USING ("+m.pick(s.columns...)+")", " ON ("+m.value(o, 1)+")::text > ("+m.value(s, 1)+")::text")
	}
	if m.r.IntN(2) == 0 {
		q += " WHERE (" + m.value(s, m.r.IntN(2)) + ")::text" + m.pick(" LIKE 'q%'", " > 'r'", " IS NOT NULL", " = 'qxzjkvwyqzxj'", " < '1980-01-01'", " BETWEEN 'a' AND 'w'", " IN (SELECT ssn FROM people)")
	}
	if m.r.IntN(3) == 0 {
		q += " ORDER BY " + m.pick("1, 2", "2 NULLS FIRST, 1", m.value(s, 0)+" DESC", m.value(s, 1))
	}
	return q + m.pick("", "", "", " LIMIT 3", " OFFSET 1")
}

// statement wraps a query.
func (m maker) statement() string {
	m.n[0] = 0
	q := m.query(m.r.IntN(3))
	switch m.r.IntN(10) {
	case 0:
		return "WITH w AS (" + q + ") SELECT * FROM w"
	case 1:
		return "WITH RECURSIVE w" + m.pick("(id, b)", "(id, b)") + " AS (" + q + ") " + m.pick(m.query(1), "SELECT w.*, p.ssn FROM w JOIN people p ON p.id = w.id")
	case 2:
		return "(" + q + ") " + m.pick("UNION", "UNION ALL", "EXCEPT", "INTERSECT") + " (" + m.query(1) + ")"
	case 3:
		return "SELECT to_jsonb(x) FROM (" + q + ") x"
	case 4:
		return "SELECT EXISTS (" + q + "), (SELECT array_agg(x) FROM (" + q + ") x)"
	case 5:
		return "WITH " + m.pick("people", "lab", "cards") + " AS (" + q + ") SELECT * FROM " + m.pick("people", "lab.people", "cards")
	case 6:
		return "VALUES ((SELECT x FROM (" + q + ") x(id, x) LIMIT 1))"
	}
	return q
}

// TestGenerated sends composed statements.
func TestGenerated(t *testing.T) {
	t.Parallel()
	const count = 3000
	for name, change := range map[string]func(*pgtool.Options){
		"in the path":  nil,
		"out of it":    func(o *pgtool.Options) { o.Schemas = nil },
		"in the shade": func(o *pgtool.Options) { o.Schemas = []string{"annex", "lab"} },
	} {
		p := opened(t, change)
		m := maker{rand.New(rand.NewPCG(7, uint64(len(name)))), new([1]int)}
		answered, bad := 0, 0
		for range count / 3 {
			if _, failed, ok := p.holds(t, m.statement()); !ok {
				bad++
			} else if !failed {
				answered++
			}
			if bad > 5 {
				t.FailNow()
			}
		}
		t.Logf("%s: %d of %d were answered", name, answered, count/3)
		if answered < count/3/5 {
			t.Errorf("%s: only %d of %d were answered", name, answered, count/3)
		}
	}
}

// TestAttacks sends the corpus of attacks, each about tables with masked columns in
// the place of its own.
func TestAttacks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../internal/sqlgate/testdata/attacks.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`\b(shop|public)\.\w+|\b(pg_authid|pg_shadow|pg_stat_activity|pg_stats|pg_user_mapping|staff|customers|victim)\b`)
	column := regexp.MustCompile(`\b(ssn|token|salary|v|note|rolpassword|passwd|query|total|status|title|prosrc)\b`)
	n := 0
	pairs := []pair{opened(t, roles["reader"]), opened(t, roles["superuser"])}
	for line := range strings.Lines(string(text)) {
		var a struct{ SQL, Category string }
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		if a.SQL == "" || strings.HasPrefix(a.Category, "dos") || a.Category == "parser-crash" {
			continue // they are about time and size
		}
		for _, name := range []string{"lab.people", "people", "lab.base", "base", "lab.cards", "history"} {
			n++
			pairs[n%2].holds(t, column.ReplaceAllString(table.ReplaceAllString(a.SQL, name), "ssn"))
		}
	}
	if n < 400 {
		t.Errorf("%d statements, want 400", n)
	}
}
