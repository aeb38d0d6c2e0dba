package sqlcatalog

import (
	"math"
	"slices"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// maxWeight is how many times as large as what a table holds a row may become by
// queries that stand in one another, of which each names a column several times:
// SELECT a||a AS a FROM (SELECT a||a AS a FROM …). Where the server writes one
// query into the other, the expression grows by as much while it is planned, which
// no limit of time or memory stops.
const maxWeight = 250

// maxJoins is how many tables may be joined: planning does not look for a cancel.
const maxJoins = 40

// A common is a query that WITH has given a name.
type common struct {
	name, open, end int // tokens
	recursive       bool
}

// weigh refuses a query whose rows could become too large.
func (c *checker) weigh() *fault {
	w := weigher{c: c, known: map[int]float64{}, named: map[string][]common{}}
	for _, q := range c.commons {
		w.named[c.tokens[q.name].Value] = append(w.named[c.tokens[q.name].Value], q)
	}
	if len(c.tokens) == 0 {
		return nil
	}
	weight := w.query(0, len(c.tokens))
	switch {
	case weight > maxWeight:
		return &fault{weightText, c.tokens[0].Pos}
	case w.joins > maxJoins:
		return &fault{joinsText, c.tokens[0].Pos}
	}
	return nil
}

type weigher struct {
	c     *checker
	named map[string][]common
	known map[int]float64 // by the first token; 1 while it is computed
	joins int
}

// query returns by how much the rows of a query, which stands between two tokens,
// are larger than those of the tables.
func (w *weigher) query(from, to int) float64 {
	if known, ok := w.known[from]; ok {
		return known
	}
	w.known[from] = 1
	p := part{counts: map[string]int{}, lateral: 1, clause: "from"} // it may be ((SELECT …) JOIN …)
	most := 1.0
	for i, depth := from, 0; i < to; i++ {
		t := w.c.tokens[i]
		switch {
		case t.Is("(") && w.c.startsQuery(i+1):
			end := min(w.c.closing(i), to)
			if !w.c.isCommon(i) {
				p.query(w.c, i, w.query(i+1, end))
			}
			i = end
			continue
		case t.Is("("):
			depth++
		case t.Is(")"):
			depth--
		}
		if depth == 0 && p.begins(w.c, i) {
			most = math.Max(most, p.weight())
			p = part{counts: map[string]int{}, lateral: 1, clause: w.c.word(i)}
			continue
		}
		p.add(w, i, depth)
	}
	w.known[from] = math.Max(most, p.weight())
	return w.known[from]
}

// common returns the weight of the query that has a name, if one has.
func (w *weigher) common(name string) (weight float64) {
	for _, q := range w.named[name] {
		weight = math.Max(weight, w.query(q.open+1, q.end))
	}
	return weight
}

// A part is a SELECT, up to UNION and the like. A row of it is at most what each of
// its sources holds, as often as a column is named.
type part struct {
	clause string // the word that has begun it
	counts map[string]int
	stars  int
	quoted []int // where the calls that double and stand around a token end
	depth  int   // the most of them
	number int   // where a call ends that makes a number of whatever stands in it

	within  float64 // of queries that are values
	sources float64
	lateral float64 // of what FROM makes of the sources before
}

// begins reports whether token i begins another SELECT, or parts two of them, and
// notes which clause it begins if not.
func (p *part) begins(c *checker, i int) bool {
	word := c.word(i)
	if !clauses[word] || c.label(i) || word == "values" && !c.is(i+1, "(") { // values can be a column
		return false
	}
	if word == "select" || word == "values" || word == "union" || word == "intersect" || word == "except" {
		return true
	}
	if is := c.word(i - 2); word != "from" || c.word(i-1) != "distinct" || is != "is" && is != "not" { // IS NOT DISTINCT FROM
		p.clause = word
	}
	return false
}

// query adds a query in parentheses.
func (p *part) query(c *checker, i int, weight float64) {
	switch {
	case p.clause != "from":
		p.within += weight
	case c.word(i-1) == "lateral":
		p.lateral *= math.Max(weight, 1)
	default:
		p.sources += weight
	}
}

func (p *part) add(w *weigher, i, depth int) {
	c, t := w.c, w.c.tokens[i]
	call := named(t) && c.is(i+1, "(")
	switch p.clause {
	case "from":
		if depth == 0 && t.Is(",") || c.word(i) == "join" {
			w.joins++
		}
		if call && !beforeGroup[c.word(i)] && c.word(i) != "lateral" || c.word(i) == "from" && c.word(i-1) == "rows" {
			p.lateral *= c.call(i)
		} else if named(t) && !call && !c.is(i+1, ".") {
			p.sources += w.common(t.Value)
		}
	case "select", "values":
		p.name(c, i)
	}
}

// call returns how often a function in FROM is given the same column.
func (c *checker) call(i int) float64 {
	p := part{counts: map[string]int{}, lateral: 1}
	for k := i; k < c.closing(i+1); k++ {
		p.name(c, k)
	}
	return p.weight()
}

// name counts a token of an expression.
func (p *part) name(c *checker, i int) {
	t, call := c.tokens[i], c.is(i+1, "(")
	switch {
	case i < p.number:
	case call && numbers[t.Value]:
		p.number = c.closing(i + 1)
	case call && doubling[t.Value]:
		p.quoted = slices.DeleteFunc(p.quoted, func(end int) bool { return end < i })
		p.quoted = append(p.quoted, c.closing(i+1))
		p.depth = max(p.depth, len(p.quoted))
	case t.Kind == sqllex.Operator && t.Value == "*" && (c.is(i-1, ".") || c.allColumns(i)) && !c.is(i-1, "("):
		p.stars++
	case t.Kind == sqllex.Param, named(t) && !plainWords[c.word(i)] && !call && !c.is(i+1, ".") && !c.is(i-1, "::") && c.word(i-1) != "as":
		p.counts[t.Value]++
	}
}

func (p *part) weight() float64 {
	most := max(1, p.stars)
	for _, n := range p.counts {
		most = max(most, n+p.stars)
	}
	return (math.Ldexp(float64(most), p.depth) + p.within) * math.Max(p.sources, 1) * p.lateral
}

// numbers are aggregates that make a number of what they are given, and which the
// server does not write into another query.
var numbers = set("sum count avg")

// doubling are functions that write quotes and backslashes twice.
var doubling = set("quote_literal quote_nullable quote_ident to_json to_jsonb array_to_json row_to_json format")

// plainWords are words of expressions that cannot be a column's name.
var plainWords = set(`and or not is null true false case when then else end as in like ilike between distinct all any some array
	asc desc order by over partition filter where rows from for collate using both leading trailing symmetric similar isnull notnull
	current_date current_timestamp current_time localtime localtimestamp interval at time zone`)
