package sqlcatalog

import (
	"fmt"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// noteCommon notes the query of WITH name AS (…) if token i is its parenthesis.
func (c *checker) noteCommon(i int) {
	if !c.is(i, "(") || !c.startsQuery(i+1) {
		return
	}
	at := i - 1
	if c.word(at) == "materialized" {
		if at--; c.word(at) == "not" {
			at--
		}
	}
	if c.word(at) != "as" {
		return
	}
	if at--; c.is(at, ")") { // names of columns
		for at > 0 && !c.is(at, "(") {
			at--
		}
		at--
	}
	if at < 0 || !named(c.tokens[at]) {
		return
	}
	q := common{name: at, open: i, end: c.closing(i), recursive: c.recursive}
	c.commons = append(c.commons, q)
}

// isCommon reports whether the parenthesis at token i is that of a query which
// WITH has given a name.
func (c *checker) isCommon(i int) bool {
	for _, q := range c.commons {
		if q.open == i {
			return true
		}
	}
	return false
}

// editRecursion makes each recursion count the rows that it adds, among what the
// statement holds: the server keeps them all, in memory if it is a UNION that
// looks for equal ones, and each may be twice as large as the one before.
func (c *checker) editRecursion() *fault {
	for _, q := range c.commons {
		from, to := q.open+1, q.end
		for c.is(from, "(") && c.closing(from) == to-1 {
			from, to = from+1, to-1
		}
		union := c.lastUnion(from, to)
		if !q.recursive || union < 0 || !c.names(q, union, to) {
			continue
		}
		if w := c.word(q.end + 1); w == "search" || w == "cycle" {
			if i := c.grows(union, to); i >= 0 {
				return &fault{searchText, c.tokens[i].Pos}
			}
			continue // the server would not take the edit
		}
		times := 3
		if w := c.word(union + 1); w == "all" || w == "distinct" {
			union++
			if w == "all" {
				times = 1
			}
		}
		c.insert(c.tokens[union].End(), " (SELECT * FROM (SELECT * FROM (")
		c.insert(c.tokens[to-1].End(), ") AS mcpsec OFFSET 0) AS mcpsec WHERE "+c.budget(inRecursion(times))+")")
	}
	return nil
}

// inRecursion counts a row several times if it is long: of what doubles, the next
// one and all that is made of it are longer still. mcpsec alone would be a column
// that the query calls so, and not the row.
func inRecursion(times int) string {
	return fmt.Sprintf("(pg_catalog.pg_column_size(mcpsec.*)::int8 * (%d + pg_catalog.pg_column_size(mcpsec.*) / 65536))", times)
}

// lastUnion returns the UNION that parts a query between two tokens, or -1. One
// with an ORDER BY or a LIMIT of its own cannot be a recursion.
func (c *checker) lastUnion(from, to int) (union int) {
	union = -1
	depth := 0
	for i := from; i < to; i++ {
		switch t := c.tokens[i]; {
		case t.Is("(") || t.Is("["):
			depth++
		case t.Is(")") || t.Is("]"):
			depth--
		case depth > 0 || c.label(i):
		case c.word(i) == "union":
			union = i
		case afterUnion[c.word(i)]:
			return -1
		}
	}
	return union
}

// label reports whether token i is a name by its place, whatever word it is: after
// a dot, or after an AS that is none itself.
func (c *checker) label(i int) bool {
	return c.is(i-1, ".") || c.word(i-1) == "as" && !c.label(i-1)
}

var afterUnion = set("order limit offset fetch for")

// names reports whether the query names itself between two tokens.
func (c *checker) names(q common, from, to int) bool {
	for _, t := range c.tokens[from:to] {
		if named(t) && t.Value == c.tokens[q.name].Value {
			return true
		}
	}
	return false
}

// grows returns a token between two that could make a row larger than the one
// before: a call, an array, a row, or ||. Or -1.
func (c *checker) grows(from, to int) int {
	for i := from; i < to; i++ {
		t := c.tokens[i]
		call := named(t) && c.is(i+1, "(") && !beforeGroup[c.word(i)]
		if call || t.Is("[") || t.Kind == sqllex.Operator && (t.Value == "||" || t.Value == "*") {
			return i
		}
	}
	return -1
}

// beforeGroup are words that can stand before a parenthesis and call nothing.
var beforeGroup = set("in and or not on using where union all select from join when then else exists any")
