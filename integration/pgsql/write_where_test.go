package pgsql

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// A thing is a row of the table that conditions are tried on. A nil is a NULL.
type thing struct {
	id   int
	n    *int
	s    *string
	tags []string
	meta map[string]int
}

// truth is what a condition comes to in SQL: a NULL makes it unknown.
type truth int8

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// holds is the oracle: what a condition means, written down once more.
func (x thing) holds(c pgtool.Condition) truth {
	switch c.Column {
	case "n":
		return compared(c, x.n, func(a, b int) int { return a - b })
	case "s":
		return compared(c, x.s, strings.Compare)
	case "tags":
		return x.tagged(c)
	}
	switch {
	case c.Op == "is_null" || c.Op == "not_null":
		return truthOf((x.meta == nil) == (c.Op == "is_null"))
	case x.meta == nil:
		return unknown
	}
	for k, v := range decodeAnswer[map[string]int](c.Value) {
		if got, ok := x.meta[k]; !ok || got != v {
			return no
		}
	}
	return yes
}

func decodeAnswer[T any](raw json.RawMessage) (v T) {
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(err)
	}
	return v
}

func compared[T any](c pgtool.Condition, v *T, compare func(a, b T) int) truth {
	switch c.Op {
	case "is_null":
		return truthOf(v == nil)
	case "not_null":
		return truthOf(v != nil)
	}
	if v == nil {
		return unknown
	}
	switch c.Op {
	case "between":
		l := decodeAnswer[[]T](c.Value)
		return truthOf(compare(*v, l[0]) >= 0 && compare(*v, l[1]) <= 0)
	case "in":
		return truthOf(slices.ContainsFunc(decodeAnswer[[]T](c.Value), func(e T) bool { return compare(*v, e) == 0 }))
	}
	d := compare(*v, decodeAnswer[T](c.Value))
	return truthOf(map[string]bool{"eq": d == 0, "ne": d != 0, "lt": d < 0, "le": d <= 0, "gt": d > 0, "ge": d >= 0}[c.Op])
}

func (x thing) tagged(c pgtool.Condition) truth {
	switch {
	case c.Op == "is_null" || c.Op == "not_null":
		return truthOf((x.tags == nil) == (c.Op == "is_null"))
	case x.tags == nil:
		return unknown
	case c.Op == "has":
		return truthOf(slices.Contains(x.tags, decodeAnswer[string](c.Value)))
	case c.Op == "eq":
		return truthOf(slices.Equal(x.tags, decodeAnswer[[]string](c.Value)))
	}
	for _, t := range decodeAnswer[[]string](c.Value) {
		if !slices.Contains(x.tags, t) {
			return no
		}
	}
	return yes
}

func (x thing) where(w pgtool.Where) bool {
	out := yes
	for _, t := range w {
		some := no
		for _, c := range append([]pgtool.Condition{t.Condition}, t.Or...) {
			if v := x.holds(c); c.Not {
				some = max(some, yes-v)
			} else {
				some = max(some, v)
			}
		}
		out = min(out, some)
	}
	return out == yes
}

// words are texts that would do something if they got into a statement.
var words = []string{
	"", "a", "b", "'", "''", `"`, `\`, "%", "_", "$1", "; DROP TABLE w.other; --", "' OR '1'='1", "NULL", "null", "{}", "{a,b}", "a,b",
	"é", "😀", "\n", "/*", "::int", "\u202e", "1", "true",
}

// A chooser makes things and conditions at random.
type chooser struct{ *rand.Rand }

func (r chooser) word() string { return words[r.IntN(len(words))] }

func (r chooser) words() []string {
	out := make([]string, r.IntN(4))
	for i := range out {
		out[i] = r.word()
	}
	return out
}

func (r chooser) meta() map[string]int {
	out := map[string]int{}
	for range r.IntN(3) {
		out[r.word()] = r.IntN(3)
	}
	return out
}

func (r chooser) thing(id int) (x thing) {
	x.id = id
	if r.IntN(5) > 0 {
		n := r.IntN(8) - 4
		x.n = &n
	}
	if r.IntN(5) > 0 {
		s := r.word()
		x.s = &s
	}
	if r.IntN(5) > 0 {
		x.tags = r.words()
	}
	if r.IntN(5) > 0 {
		x.meta = r.meta()
	}
	return x
}

func (r chooser) condition() pgtool.Condition {
	scalar := []string{"eq", "ne", "lt", "le", "gt", "ge", "between", "in", "is_null", "not_null"}
	c := pgtool.Condition{Column: []string{"n", "s", "tags", "meta"}[r.IntN(4)], Not: r.IntN(3) == 0}
	var value any
	one, two := any(r.IntN(8)-4), any([]int{r.IntN(8) - 4, r.IntN(8) - 4})
	if c.Column == "s" {
		one, two = r.word(), []string{r.word(), r.word()}
	}
	switch c.Column {
	case "n", "s":
		c.Op, value = scalar[r.IntN(len(scalar))], one
		if c.Op == "between" || c.Op == "in" {
			value = two
		}
	case "tags":
		c.Op, value = []string{"eq", "has", "contains", "is_null", "not_null"}[r.IntN(5)], r.words()
		if c.Op == "has" {
			value = r.word()
		}
	default:
		c.Op, value = []string{"contains", "is_null", "not_null"}[r.IntN(3)], r.meta()
	}
	if c.Op != "is_null" && c.Op != "not_null" {
		c.Value = json.RawMessage(asJSON(value))
	}
	return c
}

func (r chooser) where() (w pgtool.Where) {
	for range 1 + r.IntN(3) {
		t := pgtool.Term{Condition: r.condition()}
		for range r.IntN(3) {
			t.Or = append(t.Or, r.condition())
		}
		w = append(w, t)
	}
	return w
}

// TestWriteWhereOracle makes conditions at random and asks the server for the rows
// that they choose, and the oracle.
func TestWriteWhereOracle(t *testing.T) {
	t.Parallel()
	name := postgres.Database(t, "")
	conn := postgres.Admin(t, name)
	pgtest.Exec(t, conn, `CREATE TABLE things (id int, n int8, s text COLLATE "C", tags text[], meta jsonb)`)
	r := chooser{rand.New(rand.NewPCG(1, 2))}
	var things []thing
	for id := range 120 {
		x := r.thing(id)
		things = append(things, x)
		if _, err := conn.Exec(t.Context(), "INSERT INTO things VALUES ($1, $2, $3, $4, $5)", x.id, x.n, x.s, x.tags, x.meta); err != nil {
			t.Fatal(err)
		}
	}
	columns := []pgtool.Column{{Name: "n", Type: "int8"}, {Name: "s", Type: "text"}, {Name: "tags", Type: "text[]"}, {Name: "meta", Type: "jsonb"}}
	some := 0
	for range 1500 {
		w := r.where()
		sql, values, err := w.Build(columns, 1)
		if err != nil {
			t.Fatalf("%s: %v", asJSON(w), err)
		}
		args := make([]any, len(values))
		for i, v := range values {
			args[i] = v
		}
		var want []int
		for _, x := range things {
			if x.where(w) {
				want = append(want, x.id)
			}
		}
		got := pgtest.Ask[[]int](t, conn, "SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM things WHERE "+sql, args...)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s\n%s\n got %v\nwant %v", asJSON(w), sql, got, want)
		}
		if len(want) > 0 && len(want) < len(things) {
			some++
		}
	}
	if some < 300 {
		t.Errorf("only %d of the conditions chose some rows", some)
	}
}
