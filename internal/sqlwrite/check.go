package sqlwrite

import (
	"slices"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// A Table says what may be done with one table. What is not listed is denied.
type Table struct {
	Schema, Name         string
	Read, Insert, Update []string // columns
	Delete               bool
	Columns              []string // all that the table has
}

// Reasons that a caller can also have from the server, about what does not exist.
// The same text keeps what does exist to ourselves.
const (
	NoTable  = "a table is not allowed here, or there is no such table"
	NoColumn = "a column may not be read or written here, or there is no such column"
)

const (
	targetText  = "the table that is written, or read, must be a plain name, maybe with its schema and an alias; leave out ONLY and *"
	tableText   = "write a table as schema.table"
	columnsText = "INSERT needs the list of its columns, as in INSERT INTO t (a, b) VALUES (1, 2)"
	sourceText  = "after its columns, INSERT needs VALUES or SELECT, without OVERRIDING; WITH stands before INSERT"
	partText    = "the columns that are written must be plain names; assign a whole column, not a part of it"
	whereText   = "UPDATE and DELETE need a WHERE"
	wholeText   = "all columns at once, or a whole row, are not allowed of a table with columns that may not be read: name the columns that you need"
	joinText    = "joins in parentheses, NATURAL and new names for columns are not allowed with a table that has columns that may not be read"
	shadowText  = "excluded, old and new cannot be the name or alias of a table"
	insertText  = "INSERT is not allowed for this table"
	updateText  = "UPDATE is not allowed for this table"
	deleteText  = "DELETE is not allowed for this table"
)

// Check accepts a statement if it only reads and writes what tables allow. resolve
// returns the schema in which the search_path finds a relation. The error is a
// *sqlgate.Refusal.
func Check(st sqlgate.Statement, tables []Table, resolve func(name string) (schema string, ok bool)) error {
	p := newParser(st)
	c := checker{parser: p, tables: tables, resolve: resolve}
	f := p.parse()
	if f == nil {
		f = c.check()
	}
	if f != nil {
		return &sqlgate.Refusal{Reason: f.reason, Pos: utf8.RuneCountInString(st.SQL[:f.pos]) + 1}
	}
	return nil
}

type checker struct {
	*parser
	tables  []Table
	resolve func(string) (string, bool)
	binds   map[int]bool // tokens that name tables where they are bound
}

func (c *checker) check() *fault {
	target := c.find(c.target)
	if target == nil {
		return c.fault(c.target.start, NoTable)
	}
	if f := c.writes(target); f != nil {
		return f
	}
	all, found := append([]relation{c.target}, c.relations...), []*Table{target}
	for _, r := range c.relations {
		t := c.find(r)
		if t == nil {
			return c.fault(r.start, NoTable)
		}
		found = append(found, t)
	}
	c.binds = map[int]bool{}
	for _, r := range all {
		c.binds[r.start], c.binds[r.at], c.binds[r.alias] = true, true, true
	}
	for i, r := range all {
		if f := c.hides(r, found[i], i == 0); f != nil {
			return f
		}
	}
	return nil
}

// find returns the listed table that a relation is.
func (c *checker) find(r relation) *Table {
	name, schema := c.tokens[r.at].Value, c.tokens[r.start].Value
	if r.start == r.at {
		var ok bool
		if schema, ok = c.resolve(name); !ok {
			return nil
		}
	}
	i := slices.IndexFunc(c.tables, func(t Table) bool { return t.Schema == schema && t.Name == name })
	if i < 0 {
		return nil
	}
	return &c.tables[i]
}

// writes checks what the statement does to its target, and to which columns.
func (c *checker) writes(t *Table) *fault {
	switch {
	case c.inserted && len(t.Insert) == 0:
		return c.fault(c.main, insertText)
	case c.updated && len(t.Update) == 0:
		return c.fault(c.main, updateText)
	case c.deleted && !t.Delete:
		return c.fault(c.main, deleteText)
	}
	if f := c.listed(c.inserts, t.Insert); f != nil {
		return f
	}
	return c.listed(c.updates, t.Update)
}

func (c *checker) listed(given []int, allowed []string) *fault {
	for _, i := range given {
		if !slices.Contains(allowed, c.tokens[i].Value) {
			return c.fault(i, NoColumn)
		}
	}
	return nil
}

// system are the columns that every table has beside its own.
var system = words("tableoid ctid xmin xmax cmin cmax")

// hides refuses the statement if it could read a column of r that is not for the
// caller.
func (c *checker) hides(r relation, t *Table, isTarget bool) *fault {
	if special[c.tokens[r.at].Value] || r.alias >= 0 && special[c.tokens[r.alias].Value] {
		return c.fault(r.start, shadowText)
	}
	hidden := map[string]bool{}
	for _, name := range t.Columns {
		if !slices.Contains(t.Read, name) {
			hidden[name] = true
		}
	}
	for i := range c.tokens {
		if f := c.names(i, hidden); f != nil {
			return f
		}
		if len(hidden) > 0 && c.whole(i, r, isTarget) {
			return c.fault(i, wholeText)
		}
	}
	switch {
	case len(hidden) == 0:
		return nil
	case r.nested || r.renamed:
		return c.fault(r.start, joinText)
	case c.natural >= 0:
		return c.fault(c.natural, joinText)
	}
	return nil
}

// names refuses token i if it may name a hidden column. Where a column is written
// its name is checked elsewhere, and EXCLUDED holds the values of the statement.
func (c *checker) names(i int, hidden map[string]bool) *fault {
	name := c.tokens[i].Value
	switch {
	case !c.named(i) || c.binds[i] || !hidden[name] && !system[name]:
		return nil
	case slices.Contains(c.inserts, i) || slices.Contains(c.updates, i):
		return nil
	case hidden[name] && c.is(i+1, "("): // a function, unless it is called with a whole row
		return nil
	case c.is(i-1, ".") && c.spells(i-2, "excluded") && !c.is(i-3, ".") && c.gives(name):
		return nil
	}
	for c.is(i-1, ".") && c.named(i-2) {
		i -= 2
	}
	return c.fault(i, NoColumn)
}

// gives reports whether the statement itself has the value of a new row's column.
func (c *checker) gives(name string) bool {
	return slices.ContainsFunc(c.inserts, func(i int) bool { return c.tokens[i].Value == name })
}

// special are the names of rows that a statement has of its own.
var special = words("excluded old new")

// whole reports whether token i shows all columns of r: a star, or the name of r on
// its own.
func (c *checker) whole(i int, r relation, isTarget bool) bool {
	t := c.tokens[i]
	if t.Kind == sqllex.Operator && t.Value == "*" {
		return !c.multiplies(i)
	}
	if !c.named(i) || c.binds[i] || c.is(i-1, ".") || c.is(i+1, ".") || slices.Contains(c.inserts, i) || slices.Contains(c.updates, i) {
		return false
	}
	return t.Value == c.tokens[r.at].Value || r.alias >= 0 && t.Value == c.tokens[r.alias].Value || isTarget && special[t.Value]
}

// multiplies reports whether the star at i has something to multiply on both
// sides, or is that of count(*).
func (c *checker) multiplies(i int) bool {
	if c.is(i-1, "(") && c.is(i+1, ")") {
		return true
	}
	if i == 0 || i+1 >= len(c.tokens) {
		return false
	}
	switch before, after := c.tokens[i-1], c.tokens[i+1]; {
	case before.Is("(") || before.Is(",") || before.Is(".") || before.Kind == sqllex.Operator:
		return false
	case after.Is(")") || after.Is(",") || after.Kind == sqllex.Operator:
		return false
	}
	return !beforeStar[c.words[i-1]] && !afterStar[c.words[i+1]]
}

var (
	beforeStar = words("select distinct all returning")
	afterStar  = words("from where group having window order limit offset fetch union intersect except on returning into for do when then")
)
