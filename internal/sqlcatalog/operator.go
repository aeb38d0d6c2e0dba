package sqlcatalog

import "github.com/mcpsec/mcpsec-go/internal/sqllex"

// operator checks an operator. Which of a symbol is meant depends on types, so
// that one in the path which is not allowed clouds them all.
func (c *checker) operator(i int) *fault {
	t := c.tokens[i]
	if c.is(i-1, ".") {
		return c.qualified(i)
	}
	if c.s.clouded[t.Value] && !c.allColumns(i) {
		return &fault{operatorText(t.Value), t.Pos}
	}
	return nil
}

// allColumns reports whether a token is the star of SELECT * or count(*).
func (c *checker) allColumns(i int) bool {
	if c.tokens[i].Value != "*" {
		return false
	}
	prev := c.word(i - 1)
	return c.is(i-1, "(") && c.is(i+1, ")") || c.is(i-1, ",") || prev == "select" || prev == "distinct"
}

// qualified checks t.*, or the operator of OPERATOR(schema.+).
func (c *checker) qualified(i int) *fault {
	t := c.tokens[i]
	open := i - 1
	for c.is(open, ".") && open > 0 && named(c.tokens[open-1]) {
		open -= 2
	}
	if !c.is(open, "(") || c.word(open-1) != "operator" {
		if t.Value == "*" {
			return nil
		}
		return &fault{notClear, t.Pos}
	}
	if open != i-3 {
		return &fault{notClear, t.Pos} // with the name of a database
	}
	n := name{c.tokens[i-2].Value, t.Value}
	if may, known := c.s.schemas[n.schema]; known && !may && !c.s.listed[n] {
		return &fault{schemaText(n.schema), c.tokens[i-2].Pos}
	}
	if fine, ok := c.s.operators[n]; ok && !fine {
		return &fault{operatorText(n.name), t.Pos}
	}
	return nil
}

// behind are the operators that words stand for. The server looks them up in the
// path.
var behind = map[string][]string{
	"in": {"=", "<>"}, "between": {">=", "<=", "<", ">"}, "like": {"~~", "!~~"}, "ilike": {"~~*", "!~~*"}, "similar": {"~", "!~"},
	"nullif": {"="}, "distinct": {"="}, "case": {"="}, "using": {"="}, "natural": {"="},
}

// implied checks the operators behind a word.
func (c *checker) implied(i int) *fault {
	if len(c.s.clouded) == 0 || c.tokens[i].Kind != sqllex.Word {
		return nil
	}
	for _, symbol := range behind[c.tokens[i].Value] {
		if c.s.clouded[symbol] {
			return &fault{operatorText(symbol), c.tokens[i].Pos}
		}
	}
	return nil
}
