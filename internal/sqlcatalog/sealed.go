package sqlcatalog

import (
	"slices"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// A binding is where a query names a relation with sealed columns.
type binding struct {
	n         name
	at, start int // the token of the name, and the first of its qualification
	alias     int // the token of its alias, or at
}

// finish checks what only the whole query shows. A query that names relations with
// sealed columns may name no such column, and use no way to get all columns: a
// star, the name of the relation or its alias on its own, the whole row, or a function
// in the place of a column.
func (c *checker) finish() *fault {
	for _, b := range c.sealed {
		if f := c.bind(&b); f != nil {
			return f
		}
		for i, t := range c.tokens {
			if named(t) && c.s.sealed(b.n)[t.Value] {
				return &fault{"column " + t.Value + sealedText, t.Pos}
			}
			if t.Kind == sqllex.Operator && t.Value == "*" && !c.plainStar(i) {
				return &fault{"*" + sealedText, t.Pos}
			}
			if c.wholeRow(i, b) || c.rowFunction(i, b) {
				return &fault{shown(t.Value) + sealedText, t.Pos}
			}
		}
	}
	return nil
}

// plainStar reports whether a star is that of count(*), or multiplies by a
// number.
func (c *checker) plainStar(i int) bool {
	if c.is(i-1, ".") {
		return false
	}
	return c.is(i-1, "(") && c.is(i+1, ")") || i+1 < len(c.tokens) && c.tokens[i+1].Kind == sqllex.Number
}

// wholeRow reports whether token i names the relation of b other than before the
// dot of a column, or where it is bound.
func (c *checker) wholeRow(i int, b binding) bool {
	t := c.tokens[i]
	if !named(t) || t.Value != b.n.name && t.Value != c.tokens[b.alias].Value {
		return false
	}
	return i != b.at && i != b.alias && !c.is(i-1, ".") && !c.is(i+1, ".") && !c.isBound(i)
}

// rowFunction reports whether token i is called with the whole row of the relation of
// b: p.to_jsonb is to_jsonb(p), unless p has such a column.
func (c *checker) rowFunction(i int, b binding) bool {
	if !named(c.tokens[i]) || !c.is(i-1, ".") || i < 2 || !named(c.tokens[i-2]) {
		return false
	}
	of := c.tokens[i-2].Value
	return (of == b.n.name || of == c.tokens[b.alias].Value) && !c.s.columns[b.n][c.tokens[i].Value]
}

// isBound reports whether the token is where a relation with sealed columns, maybe
// another one, is bound.
func (c *checker) isBound(i int) bool {
	return slices.ContainsFunc(c.sealed, func(b binding) bool { return b.at == i && c.bind(&b) == nil })
}

// bind finds the alias of a relation, and demands that it is bound in a FROM
// clause, not in parentheses that could have an alias of their own, and without
// new names for its columns.
func (c *checker) bind(b *binding) *fault {
	if !c.inFrom(b.start) {
		return &fault{shown(b.n.name) + sealedText, c.tokens[b.at].Pos}
	}
	b.alias = b.at
	next := b.at + 1
	as := c.word(next) == "as"
	if as {
		next++
	}
	if next < len(c.tokens) && named(c.tokens[next]) && (as || !afterRelation[c.word(next)]) {
		b.alias = next
		next++
	}
	if c.is(next, "(") {
		return &fault{shown(b.n.name) + sealedText, c.tokens[b.at].Pos}
	}
	return nil
}

// afterRelation are words that can follow a relation and cannot be its alias.
var afterRelation = set("where join on left right inner full cross natural group order limit offset fetch having union intersect except window for using tablesample")

// inFrom reports whether the name at start stands in a FROM clause of a query,
// not in parentheses of joins. The words that begin other clauses can be labels
// of columns only after AS, but for SELECT.
func (c *checker) inFrom(start int) bool {
	if prev := c.word(start - 1); !c.is(start-1, ",") && prev != "from" && prev != "join" {
		return false
	}
	depth, clause := 0, ""
	for i := start - 1; i >= 0; i-- {
		switch t := c.tokens[i]; {
		case t.Is(")") || t.Is("]"):
			depth++
		case t.Is("[") && depth == 0:
			return false
		case t.Is("(") && depth == 0:
			return clause == "from" && (c.word(i+1) == "select" || c.word(i+1) == "with")
		case t.Is("(") || t.Is("["):
			depth--
		case depth == 0 && clause == "" && clauses[c.word(i)] && c.word(i-1) != "as" && !c.is(i-1, "."):
			if clause = c.word(i); clause == "from" && c.word(i-1) == "distinct" && c.word(i-2) != "select" {
				return false // IS DISTINCT FROM
			}
		}
	}
	return clause == "from"
}

var clauses = set("select from where group having order window limit offset fetch values table union intersect except for")
