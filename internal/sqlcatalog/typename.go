package sqlcatalog

import "github.com/mcpsec/mcpsec-go/internal/sqllex"

// typeName checks a name that a type may have, and that begins at token start.
func (c *checker) typeName(i, start int, n name) *fault {
	if c.s.types[n] && c.canBeType(i, start) {
		return &fault{typeText(n.name), c.tokens[i].Pos}
	}
	return nil
}

// canBeType reports whether the name from token start to i can be one of a type.
// Before a dot it is a relation, and after a comma, an operator or a reserved
// word a column or a relation, unless a literal or a parenthesis follows.
func (c *checker) canBeType(i, start int) bool {
	if i+1 < len(c.tokens) {
		switch next := c.tokens[i+1]; {
		case next.Is("."):
			return false
		case next.Is("(") || next.Is("[") || next.Kind == sqllex.String:
			return true
		}
	}
	if start == 0 {
		return true
	}
	switch prev := c.tokens[start-1]; {
	case prev.Kind == sqllex.Operator:
		return false
	case prev.Kind != sqllex.Word:
		return !prev.Is(",") && !prev.Is("(")
	case c.is(start-2, "."):
		return true
	case prev.Value == "as":
		return c.inCast(start - 1)
	case prev.Value == "by":
		before := c.word(start - 2)
		return before != "order" && before != "group" && before != "partition"
	default:
		return !reserved[prev.Value]
	}
}

// reserved are words that cannot name a column in a list of columns with types.
var reserved = set("select from where and or not on when then else case having distinct all in only table join limit offset union except intersect using order group")

// inCast reports whether the AS at token i is that of CAST(x AS t), where all
// others give a name.
func (c *checker) inCast(i int) bool {
	depth := 0
	for ; i >= 0; i-- {
		switch t := c.tokens[i]; {
		case t.Is(")") || t.Is("]"):
			depth++
		case (t.Is("(") || t.Is("[")) && depth == 0:
			w := c.word(i - 1)
			return w == "cast" || w == "xmlserialize"
		case t.Is("(") || t.Is("["):
			depth--
		}
	}
	return false
}

// isColumn reports whether the name at i, after a dot, is a relation in FROM or a
// column: what stands before the dot is a relation, or the alias of relations
// only. Of the alias of a function in FROM it could be a cast.
func (c *checker) isColumn(i int) bool {
	if i < 2 || !named(c.tokens[i-2]) {
		return false
	}
	start := i
	for c.is(start-1, ".") && start >= 2 && named(c.tokens[start-2]) {
		start -= 2
	}
	if c.is(start-1, ".") {
		return false // (x).a.b
	}
	if c.knows(i) || c.is(i+1, ".") || start < i-2 {
		return true // a.b.c has no meaning but schema, relation, column
	}
	alias := c.tokens[i-2].Value
	found := false
	for k, t := range c.tokens {
		if !named(t) || t.Value != alias || c.is(k+1, ".") {
			continue
		}
		if !c.knows(k) {
			before := k - 1
			if c.word(before) == "as" {
				before--
			}
			if before < 0 || !c.knows(before) {
				return false
			}
		}
		found = true
	}
	return found
}

// knows reports whether the name that ends at token i is of a relation, and
// stands where FROM has them.
func (c *checker) knows(i int) bool {
	if !named(c.tokens[i]) || c.is(i+1, "(") {
		return false
	}
	start, known := i, false
	if c.is(i-1, ".") {
		if i < 2 {
			return false
		}
		start = i - 2
		_, known = c.s.relations[name{c.tokens[start].Value, c.tokens[i].Value}]
	} else {
		_, _, known = visible(c.s, c.s.relations, c.tokens[i].Value)
	}
	prev := c.word(start - 1)
	return known && (c.is(start-1, ",") || prev == "from" || prev == "join" || prev == "only")
}
