package sqlcatalog

import (
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqledit"
	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// Check accepts a statement if every name in it is allowed as all that it can
// be in its place. The error is a *sqlgate.Refusal, and names what is refused. The
// statement may be sent with the edits only.
func (s *Snapshot) Check(st sqlgate.Statement) (sqledit.Edits, error) {
	c := checker{s: s, tokens: st.Query}
	if f := c.every(); f != nil {
		return nil, f.refusal(st.SQL)
	}
	if f := c.mask(); f != nil {
		return nil, f.refusal(st.SQL)
	}
	if f := c.bound(st); f != nil {
		return nil, f.refusal(st.SQL)
	}
	return sqledit.Sort(c.edits), nil
}

// CheckNames is Check for what becomes part of a definition, and is sent as it is:
// no edits mask what it shows, or bound what it holds.
func (s *Snapshot) CheckNames(st sqlgate.Statement) error {
	c := checker{s: s, tokens: st.Query}
	if f := c.every(); f != nil {
		return f.refusal(st.SQL)
	}
	return nil
}

// every looks at all tokens, and then at what only all of them show.
func (c *checker) every() *fault {
	for i := range c.tokens {
		if f := c.token(i); f != nil {
			return f
		}
	}
	return c.finish()
}

// bound sees to it that the query takes no more memory than it may, as far as its
// text tells, and makes the edits that see to it when it runs.
func (c *checker) bound(st sqlgate.Statement) *fault {
	if f := c.weigh(); f != nil || st.Kind == sqlgate.Show {
		return f
	}
	masks := len(c.edits)
	c.most = c.mostHeld()
	if f := c.editRecursion(); f != nil {
		return f
	}
	c.editHashed()
	if f := c.editHolds(st.SQL); f != nil { // it copies what stands within, edited
		return f
	}
	put := 0
	for _, e := range c.edits {
		if put += len(e.Text); put > maxPutText {
			return &fault{manyHoldsText, c.tokens[0].Pos}
		}
	}
	if plans := strings.ToLower(st.SQL[:st.Query[0].Pos]); st.Kind == sqlgate.Explain && !strings.Contains(plans, "analy") {
		c.edits = c.edits[:masks] // it is not run, and the plan is to be that of the caller's text
	}
	return nil
}

// maxPutText is how many bytes of ours a statement may get in all: the server takes a
// hundred times as many to plan it.
const maxPutText = 1 << 20

// A checker passes once over the tokens of a query.
type checker struct {
	s      *Snapshot
	tokens []sqllex.Token

	sealed    []binding // where the query names relations with sealed columns
	holds     []hold
	commons   []common
	hashed    []int // parentheses
	recursive bool  // the word has been seen
	most      int   // bytes that the query may hold

	edits []sqledit.Edit

	defined map[string]bool // names of WITH queries, as far as they were asked for
}

func (c *checker) token(i int) *fault {
	c.recursive = c.recursive || c.word(i) == "recursive"
	c.noteCommon(i)
	c.noteHashed(i)
	switch t := c.tokens[i]; t.Kind {
	case sqllex.Word, sqllex.QuotedWord:
		check := c.first
		if c.is(i-1, ".") {
			check = c.part
		}
		if f := check(i); f != nil {
			return f
		}
		return c.noteHold(i)
	case sqllex.UnicodeWord:
		return &fault{notClear, t.Pos} // sqlgate refuses them
	case sqllex.Operator:
		return c.operator(i)
	}
	return nil
}

// first checks a name with nothing before it: a relation, a type or a function
// in the path, or nothing of the catalog. The server passes over schemas that the
// role, or a tenant's, may not use, so that any relation of the path can be meant.
func (c *checker) first(i int) *fault {
	t := c.tokens[i]
	for _, schema := range c.s.path {
		n := name{schema, t.Value}
		if f := c.relation(i, i, n, c.s.relations[n]); f != nil {
			return f
		}
		if f := c.typeName(i, i, n); f != nil {
			return f
		}
	}
	if c.is(i+1, "(") {
		if c.word(i) == "treat" {
			return &fault{treatText, t.Pos} // it calls the function that has the name of the type
		}
		if fine, ok := c.s.calls[t.Value]; ok && !fine {
			if c.s.full[name{"pg_catalog", t.Value}] {
				return &fault{shadowText(t.Value), t.Pos}
			}
			return &fault{functionText(t.Value), t.Pos}
		}
		return c.restricted(i)
	}
	return c.implied(i)
}

// part checks a name after a dot. If what stands before is a schema, it is an
// object of it. A function that takes one argument can be called so, too:
// (3).pg_sleep, or t.pg_sleep with any t of FROM.
func (c *checker) part(i int) *fault {
	t := c.tokens[i]
	if before := i - 2; before >= 0 && named(c.tokens[before]) {
		if f := c.inSchema(i, name{c.tokens[before].Value, t.Value}); f != nil {
			return f
		}
	}
	if c.is(i+1, "(") {
		return c.restricted(i)
	}
	if c.s.one[t.Value] || restrictedCalls[t.Value] != nil {
		return &fault{attributeText(t.Value), t.Pos}
	}
	for _, schema := range c.s.path {
		if c.s.types[name{schema, t.Value}] && !c.isColumn(i) {
			return &fault{typeText(t.Value), t.Pos}
		}
	}
	return nil
}

// inSchema checks the object n, whose name is token i, if n.schema is a schema.
func (c *checker) inSchema(i int, n name) *fault {
	start := i - 2
	may, known := c.s.schemas[n.schema]
	temporary := strings.HasPrefix(n.schema, "pg_temp") // a name of what a session has made
	if !known && !temporary || c.s.listed[n] {
		return nil
	}
	if !may {
		return &fault{schemaText(n.schema), c.tokens[start].Pos}
	}
	if v, ok := c.s.relations[n]; ok {
		if f := c.relation(i, start, n, v); f != nil {
			return f
		}
	}
	if f := c.typeName(i, start, n); f != nil {
		return f
	}
	if fine, ok := c.s.full[n]; ok && !fine && c.is(i+1, "(") {
		return &fault{functionText(n.name), c.tokens[i].Pos}
	}
	return nil
}

// relation checks a name that a relation has, and that begins at token start.
func (c *checker) relation(i, start int, n name, v verdict) *fault {
	switch v {
	case denied:
		return &fault{relationText(n.name), c.tokens[i].Pos}
	case sealedRel:
		if !c.is(i+1, ".") { // else it qualifies a column of a relation that FROM has
			c.sealed = append(c.sealed, binding{n: n, at: i, start: start})
		}
	}
	return nil
}

// is reports whether token i is the punctuation p.
func (c *checker) is(i int, p string) bool {
	return i >= 0 && i < len(c.tokens) && c.tokens[i].Is(p)
}

// word returns the word at i in lower case, or "" for anything else.
func (c *checker) word(i int) string {
	if i >= 0 && i < len(c.tokens) && c.tokens[i].Kind == sqllex.Word {
		return c.tokens[i].Value
	}
	return ""
}

func named(t sqllex.Token) bool { return t.Kind == sqllex.Word || t.Kind == sqllex.QuotedWord }
