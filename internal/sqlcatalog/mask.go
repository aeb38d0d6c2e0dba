package sqlcatalog

import (
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqledit"
	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// Mask returns the edits by which a statement reads masked columns as a caller may
// see them, for a statement whose names nobody has to judge. Those of Check have
// them already.
//
// It puts a WITH query in front of the statement for each relation with masked
// columns that the statement may mean, under the name of that relation, and takes
// away the schema where the statement writes it. The server itself then finds our
// query, and not the table, wherever the name stands: it looks for names without a
// schema among WITH queries first, in every part of the statement. So nothing here
// depends on telling a table in FROM from a column or an alias.
func (s *Snapshot) Mask(st sqlgate.Statement) (sqledit.Edits, error) {
	c := checker{s: s, tokens: st.Query}
	if f := c.mask(); f != nil {
		return nil, f.refusal(st.SQL)
	}
	return sqledit.Sort(c.edits), nil
}

// Found reports whether the mask with this number, from 0, is about a column that
// there is.
func (s *Snapshot) Found(i int) bool { return s.found[i] }

// MaskOf returns the masks of the columns of a relation, by name.
func (s *Snapshot) MaskOf(schema, relation string) map[string]byte {
	m := s.masks[name{schema, relation}]
	if m == nil {
		return nil
	}
	out := map[string]byte{}
	for _, c := range m.columns {
		if c.mask != '-' {
			out[c.name] = c.mask
		}
	}
	return out
}

// GuardSQL returns a row if there is a relation that a snapshot does not have, or one
// with masked columns that it does not have as such: because the table, or the
// column, was made or got its name since. Its arguments are what Guard returns, and
// patterns of LIKE as for MaskSQL, in one text with U+0001 between schema, relation
// and column, where those for schemas have no double quotes. It has no join: to plan
// one takes longer than to run it.
const GuardSQL = `
SELECT 1 FROM pg_class c
WHERE c.relname = ANY ($1::name[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND c.oid >= '16384'::oid
	AND (c.oid <> ALL ($2::oid[]) OR c.oid <> ALL ($3::oid[]) AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		AND pg_catalog.concat_ws(E'\x01', pg_catalog.replace(c.relnamespace::regnamespace::text, '"', ''), c.relname, a.attname) ILIKE ANY ($4::text[])))
LIMIT 1`

// Guard returns the names that a statement could call relations by, and of these
// names the relations that the snapshot has, and those of them with masked columns.
func (s *Snapshot) Guard(tokens []sqllex.Token) (names []string, known, masked []uint32) {
	if !s.guarded {
		return nil, nil, nil
	}
	seen := map[string]bool{}
	for _, t := range tokens {
		if named(t) && !seen[t.Value] {
			seen[t.Value] = true
			names = append(names, t.Value)
			known, masked = append(known, s.oids[t.Value]...), append(masked, s.maskedAs[t.Value]...)
		}
	}
	return names, known, masked
}

// A maskQuery is a WITH query of ours.
type maskQuery struct {
	name string
	m    *maskedRelation
}

// mask edits the statement as Mask says.
func (c *checker) mask() *fault {
	if len(c.s.masks) == 0 {
		return nil
	}
	var queries []maskQuery
	for i, t := range c.tokens {
		n, start, ok := c.mayMean(i)
		if !ok {
			continue
		}
		if c.s.tainted[n] {
			return &fault{taintedText(n.name), t.Pos}
		}
		m := c.s.relationFor(n, start == i)
		if m == nil {
			continue
		}
		if f := c.maskable(m, i, start); f != nil {
			return f
		}
		own := c.queryName(&queries, m)
		if start < i {
			c.edits = append(c.edits, sqledit.Edit{Pos: c.tokens[start].Pos, End: t.End(), Text: c.inPlace(own, i, start)})
		}
	}
	return c.with(queries)
}

// mayMean returns the relation that the name ending at token i means, if it means
// one, and the token that it begins at.
func (c *checker) mayMean(i int) (n name, start int, ok bool) {
	t := c.tokens[i]
	if !named(t) {
		return n, i, false
	}
	if !c.is(i-1, ".") {
		_, schema, ok := visible(c.s, c.s.relations, t.Value)
		return name{schema, t.Value}, i, ok
	}
	if i < 2 || !named(c.tokens[i-2]) {
		return n, i, false
	}
	return name{c.tokens[i-2].Value, t.Value}, i - 2, true
}

// relationFor returns what has to be read in the place of a relation, or nil for the
// relation itself. If one with masked columns, or a view that shows some, lies behind
// it in the path, it is named with its schema: else the server would read the other one if this is gone, or in a
// schema that the role may not use.
func (s *Snapshot) relationFor(n name, bare bool) *maskedRelation {
	if m := s.masks[n]; m != nil || !bare {
		return m
	}
	for _, schema := range s.path {
		if behind := (name{schema, n.name}); s.masks[behind] != nil || s.tainted[behind] {
			return &maskedRelation{n: n, query: "SELECT * FROM " + quote(n.schema) + "." + quote(n.name)}
		}
	}
	return nil
}

// maskable refuses what a WITH query cannot stand for.
func (c *checker) maskable(m *maskedRelation, i, start int) *fault {
	before := start - 1
	if c.is(before, "(") {
		before--
	}
	switch {
	case c.is(start-1, "."):
		return &fault{maskedText(m.n.name) + "; name it without the database", c.tokens[i].Pos}
	case m.children && c.word(before) == "only":
		return &fault{maskedText(m.n.name) + "; leave out ONLY", c.tokens[i].Pos}
	case start == i && c.defines(m.n.name):
		return &fault{maskedText(m.n.name) + "; give the WITH query another name", c.tokens[i].Pos}
	}
	return nil
}

// defines reports whether the statement has a WITH query of this name.
func (c *checker) defines(n string) bool {
	found, ok := c.defined[n]
	if !ok {
		if c.defined == nil {
			c.defined = map[string]bool{}
		}
		found = c.hasWith(n)
		c.defined[n] = found
	}
	return found
}

func (c *checker) hasWith(n string) bool {
	for i, t := range c.tokens {
		if !named(t) || t.Value != n {
			continue
		}
		next := i + 1
		if c.is(next, "(") {
			next = c.closing(next) + 1
		}
		if c.word(next) != "as" {
			continue
		}
		if w := c.word(next + 1); c.is(next+1, "(") || w == "not" || w == "materialized" {
			return true
		}
	}
	return false
}

// queryName returns the name of the WITH query for a relation. It is the
// relation's own, unless that means something else in the statement.
func (c *checker) queryName(queries *[]maskQuery, m *maskedRelation) string {
	own := m.n.name
	_, schema, ok := visible(c.s, c.s.relations, own)
	taken := ok && schema != m.n.schema || c.defines(own)
	for _, q := range *queries {
		if q.m.n == m.n {
			return q.name
		}
		taken = taken || q.name == own
	}
	if taken {
		own = m.n.schema + "." + own
	}
	*queries = append(*queries, maskQuery{own, m})
	return own
}

// inPlace returns what stands for a name with a schema. If it is not the table's,
// columns may still be called by that.
func (c *checker) inPlace(own string, i, start int) string {
	table := c.tokens[i].Value
	prev, next := c.word(start-1), i+1
	from := prev == "from" || prev == "join" || c.is(start-1, ",")
	if c.is(next, ".") {
		return quote(table) // of a column: FROM has an alias that is the table's name
	}
	alias := next < len(c.tokens) && named(c.tokens[next]) && !afterRelation[c.word(next)]
	if own == table || !from || alias {
		return quote(own)
	}
	return quote(own) + " AS " + quote(table)
}

// with puts the WITH queries in front, before those that the statement has.
func (c *checker) with(queries []maskQuery) *fault {
	if queries == nil {
		return nil
	}
	texts := make([]string, len(queries))
	for i, q := range queries {
		texts[i] = quote(q.name) + " AS NOT MATERIALIZED (" + q.m.query + ")"
	}
	list := strings.Join(texts, ", ")
	if len(list) > maxMaskText {
		return &fault{manyMasked, c.tokens[0].Pos}
	}
	first := 0
	for c.is(first, "(") {
		first++
	}
	edit := sqledit.Edit{Pos: c.tokens[0].Pos, Text: "WITH " + list + " "}
	if c.word(first) == "with" {
		if first > 0 {
			return &fault{"a statement about tables with masked columns has WITH at its beginning, not in parentheses", c.tokens[first].Pos}
		}
		if c.word(1) == "recursive" && c.word(2) != "as" && !c.is(2, "(") {
			first++
		}
		edit = sqledit.Edit{Pos: c.tokens[first].End(), Text: " " + list + ","}
	}
	edit.End = edit.Pos
	c.edits = append([]sqledit.Edit{edit}, c.edits...)
	return nil
}

// maxMaskText is how many bytes of ours a statement may get.
const maxMaskText = 1 << 20

const manyMasked = "the statement names too many tables with masked columns; ask about fewer"

func maskedText(n string) string {
	return "table " + shown(n) + " has masked columns, and cannot be named like this"
}

func taintedText(n string) string {
	return "view " + shown(n) + " is not allowed: it is made from columns that are masked; use its tables"
}
