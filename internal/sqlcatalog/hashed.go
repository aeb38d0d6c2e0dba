package sqlcatalog

import (
	"slices"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// noteHashed notes the query of IN (SELECT …) if token i is its parenthesis, and
// the server could keep its rows in memory, without a limit: where it cannot make
// a join of it, as below NOT or OR, or outside a WHERE.
func (c *checker) noteHashed(i int) {
	w := c.word(i - 1)
	if !c.is(i, "(") || w != "in" && w != "any" && w != "some" || !c.startsQuery(i+1) {
		return
	}
	if end := c.closing(i); end < len(c.tokens) && (!c.joinable(i, end) || !c.compares(i-1)) {
		c.hashed = append(c.hashed, i)
	}
}

// joinable reports whether the condition that ends with the query between open and
// end is one of those that AND connects in a WHERE or ON clause.
func (c *checker) joinable(open, end int) bool {
	if next := c.word(end + 1); end+1 < len(c.tokens) && !afterCondition[next] && !c.is(end+1, ")") && !c.is(end+1, ",") {
		return false // the condition is a value: (x IN (…)) = y
	}
	depth := 0
	for i := end + 1; i < len(c.tokens) && depth >= 0; i++ {
		if depth == 0 && !c.connects(i) {
			return false
		}
		if depth == 0 && afterWhere[c.word(i)] {
			break
		}
		depth += c.step(i)
	}
	depth = 0
	for i := open - 1; i >= 0; i-- {
		if depth == 0 {
			switch w := c.word(i); {
			case w == "where" || w == "on":
				return c.joins(i, open-1)
			case !c.connects(i) || c.is(i, "(") || afterWhere[w]:
				return false
			}
		}
		depth -= c.step(i)
	}
	return false
}

// joins reports whether the server makes joins of the conditions that the WHERE or
// ON at token i begins, of columns of the query's own: it does not for a FILTER and an
// outer join, nor where they may be those of a query around it. in is the IN or ANY.
func (c *checker) joins(i, in int) bool {
	where := i
	if c.word(i-2) == "filter" && c.is(i-1, "(") || c.word(i) == "on" && slices.ContainsFunc(c.tokens, isOuter) {
		return false
	}
	for depth := 0; i > 0; i-- {
		if depth == 0 && c.is(i-1, "(") {
			if !afterFrom[c.word(i-2)] && !c.is(i-2, "(") {
				return i < 2 || c.local(where, in)
			}
			continue
		}
		depth -= c.step(i - 1)
	}
	return true
}

// local reports whether each column before IN is named with a table that stands in the
// FROM before where, and so is of no query around it.
func (c *checker) local(where, in int) bool {
	for i := in - 1; i > where; i-- {
		switch {
		case c.word(i) == "and":
			return true
		case named(c.tokens[i]) && !c.is(i-1, ".") && !(c.is(i+1, ".") && c.declares(where, c.tokens[i].Value)):
			return false
		}
	}
	return true
}

// declares reports whether the FROM before where has a table or an alias of a name.
func (c *checker) declares(where int, n string) bool {
	begins := func(i int) bool {
		return c.word(i) == "from" && c.word(i-1) != "distinct" || c.word(i) == "join" || c.is(i, ",")
	}
	depth := 0
	for i := where - 1; i > 1; i-- {
		if depth == 0 && (c.is(i, "(") || c.word(i) == "from") {
			return false
		}
		if depth == 0 && named(c.tokens[i]) && c.tokens[i].Value == n && !c.is(i+1, ".") && (begins(i-1) || begins(i-2) && !afterRelation[c.word(i)] || c.word(i-1) == "as") {
			return true
		}
		depth -= c.step(i)
	}
	return false
}

var afterFrom = set("from join as materialized")

func isOuter(t sqllex.Token) bool {
	return t.Kind == sqllex.Word && (t.Value == "left" || t.Value == "right" || t.Value == "full")
}

// compares reports whether what IN or ANY at token i compares is surely made of
// columns, and calls nothing, which could be volatile.
func (c *checker) compares(i int) bool {
	column := false
	for i--; i >= 0; i-- {
		switch w := c.word(i); {
		case w == "where" || w == "on" || w == "and":
			return column
		case c.is(i, "::"):
			return false
		case named(c.tokens[i]):
			if c.is(i+1, "(") || c.tokens[i+1].Kind == sqllex.String || plainWords[w] || constantWords[w] || c.s.unsteady[c.tokens[i].Value] {
				return false
			}
			column = true
		}
	}
	return false
}

var constantWords = set("current_user session_user system_user user current_role current_catalog current_schema localtimestamp")

// connects reports whether a token can stand beside a condition that is joined by
// AND to all others.
func (c *checker) connects(i int) bool {
	switch c.word(i) {
	case "or", "not", "case", "is", "isnull", "notnull":
		return false
	}
	return true
}

// step is by how much a token changes the depth of parentheses.
func (c *checker) step(i int) int {
	switch t := c.tokens[i]; {
	case t.Is("(") || t.Is("["):
		return 1
	case t.Is(")") || t.Is("]"):
		return -1
	}
	return 0
}

var (
	afterCondition = set("and group order having limit offset fetch window union intersect except join left right inner full cross natural where for")
	afterWhere     = set("group order having limit offset fetch window union intersect except join left right inner full cross natural where for select from")
)

// editHashed makes these queries count their rows among what the statement holds.
// A row of a few small columns counts little: where the query is run for each row of
// another one, nothing is kept.
func (c *checker) editHashed() {
	for _, open := range c.hashed {
		c.insert(c.tokens[open].End(), "SELECT * FROM (SELECT * FROM (")
		c.insert(c.tokens[c.closing(open)].Pos, ") AS mcpsec OFFSET 0) AS mcpsec WHERE "+c.budget("(pg_catalog.pg_column_size(mcpsec.*) - 20)"))
	}
}

// Sorts reports whether a statement is to be planned without hash tables: those of
// INTERSECT and EXCEPT have no limit.
func Sorts(tokens []sqllex.Token) bool {
	for _, t := range tokens {
		if t.Kind == sqllex.Word && (t.Value == "intersect" || t.Value == "except") {
			return true
		}
	}
	return false
}
