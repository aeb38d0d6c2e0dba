package sqlwrite

import (
	"slices"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// A frame is what stands between a parenthesis or bracket and its partner, or the
// statement itself.
type frame struct {
	begun  bool
	from   bool // in a list of tables
	expect bool // a table comes next
	nested bool // it is a parenthesis in such a list, and no query so far
	reads  bool // FROM begins such a list
	using  bool // USING does

	with      bool // in the WITH clause that it begins with
	recursive bool
	scope     []string // the names of its WITH queries so far
	defines   string   // it is the query of that name in the frame around it
}

// reads finds every place where the statement names a table beside its target. body
// is where the statement goes on after that.
func (p *parser) reads(body int) *fault {
	stack := make([]frame, 1, 16)
	for i := 0; i < len(p.tokens); i++ {
		if i == p.main {
			stack[0] = p.statementFrame(stack[0])
			i = body
		}
		var f *fault
		if i, f = p.step(&stack, i); f != nil {
			return f
		}
	}
	return nil
}

// statementFrame is the frame of the statement after its target.
func (p *parser) statementFrame(f frame) frame {
	verb := p.words[p.main]
	return frame{begun: true, scope: f.scope, reads: verb == "update", using: verb == "delete" || verb == "merge"}
}

// step reads token i, and returns the last one that it has read.
func (p *parser) step(stack *[]frame, i int) (int, *fault) {
	if i >= len(p.tokens) {
		return i, nil
	}
	top := &(*stack)[len(*stack)-1]
	if !top.begun {
		top.begun, top.with = true, p.words[i] == "with"
		if top.with || p.words[i] == "values" {
			top.from, top.expect, top.nested = false, false, false
		}
	}
	switch {
	case p.is(i, "(") || p.is(i, "["):
		p.open(stack, i)
		return i, nil
	case p.is(i, ")") || p.is(i, "]"):
		inner := *top
		*stack = (*stack)[:len(*stack)-1]
		if outer := &(*stack)[len(*stack)-1]; inner.defines != "" {
			outer.scope = append(outer.scope, inner.defines)
		}
		return i, nil
	case top.with:
		p.withClause(top, i)
	}
	expected := top.expect
	if f := p.clause(top, i); f != nil {
		return i, f
	}
	if expected && top.expect && p.named(i) && p.words[i] != "lateral" {
		return p.table(*stack, i)
	}
	return i, nil
}

// open pushes the frame of a parenthesis.
func (p *parser) open(stack *[]frame, i int) {
	top := &(*stack)[len(*stack)-1]
	inner := frame{}
	switch {
	case top.with && p.definition(i) >= 0:
		inner.defines = p.tokens[p.definition(i)].Value
		if top.recursive {
			top.scope = append(top.scope, inner.defines)
		}
	case top.expect:
		inner.from, inner.expect, inner.nested = true, true, true
		top.expect = false
	}
	*stack = append(*stack, inner)
}

// definition returns the token of the name that a WITH clause gives to the query
// in the parenthesis at i, or -1: name [(columns)] AS [[NOT] MATERIALIZED] (.
func (p *parser) definition(i int) int {
	i--
	if p.spells(i, "materialized") {
		if i--; p.spells(i, "not") {
			i--
		}
	}
	if p.word(i) != "as" {
		return -1
	}
	if i--; p.is(i, ")") {
		for i--; i >= 0 && !p.is(i, "("); i-- {
		}
		i--
	}
	return i
}

// spells reports whether token i is a word, be it a keyword or a name.
func (p *parser) spells(i int, word string) bool {
	return i >= 0 && p.tokens[i].Kind == sqllex.Word && p.tokens[i].Value == word
}

// withClause follows a WITH clause at the level of its names.
func (p *parser) withClause(top *frame, i int) {
	next := p.word(i+1) == "as" || p.is(i+1, "(")
	switch p.words[i] {
	case "recursive":
		top.recursive = top.recursive || !next
	case "select", "table":
		top.with = false
	case "values", "insert", "update", "delete", "merge": // which can be names, too
		top.with = next
	}
}

// clause follows the clauses of a query.
func (p *parser) clause(top *frame, i int) *fault {
	switch p.words[i] {
	case "select":
		top.reads, top.from, top.expect, top.nested = true, false, false, false
	case "table":
		return p.fault(i, wholeText)
	case "only":
		if top.expect {
			return p.fault(i, targetText)
		}
	case "from":
		if top.reads && (p.word(i-1) != "distinct" || p.word(i-2) == "select") {
			top.from, top.expect = true, true
		}
	case "using":
		if top.using && !top.from {
			top.from, top.expect = true, true
		}
	case "join":
		top.expect = top.from
	case "natural":
		p.natural = i
	case "where", "group", "having", "window", "order", "limit", "offset", "fetch", "union", "intersect", "except", "returning", "when", "do":
		top.from, top.expect = false, false
	}
	if p.is(i, ",") {
		top.expect = top.from
	}
	return nil
}

// table reads the name that stands where a table has to: it is one, a function, or
// the name of a WITH query.
func (p *parser) table(stack []frame, i int) (int, *fault) {
	top := &stack[len(stack)-1]
	top.expect = false
	last := i
	for p.is(last+1, ".") && p.named(last+2) {
		last += 2
	}
	if p.is(last+1, "(") {
		return last, nil
	}
	if last == i && slices.ContainsFunc(stack, func(f frame) bool { return slices.Contains(f.scope, p.tokens[i].Value) }) {
		return i, nil
	}
	r := relation{nested: top.nested}
	next, f := p.name(&r, i)
	if f != nil {
		return i, f
	}
	next = p.alias(&r, next)
	r.renamed = p.is(next, "(")
	p.relations = append(p.relations, r)
	return next - 1, nil
}
