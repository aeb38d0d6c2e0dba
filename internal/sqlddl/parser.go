package sqlddl

import (
	"errors"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// A parser stands at token i of a statement, or of a part of it that ends at end.
// Once something is wrong it stays where it is.
type parser struct {
	tokens []sqllex.Token
	i, end int
	exempt map[int]bool
	s      *Statement
	err    error
}

func (p *parser) fail(reason string) {
	if p.err == nil {
		p.err = errors.New(reason)
	}
	p.i = p.end
}

const unknownText = "this is no statement of the kinds that are known here"

func (p *parser) unknown() { p.fail(unknownText) }

func (p *parser) needs(kinds ...string) {
	for _, k := range kinds {
		if !slices.Contains(p.s.Needs, k) {
			p.s.Needs = append(p.s.Needs, k)
		}
	}
}

func (p *parser) at(i int) sqllex.Token {
	if i < p.end {
		return p.tokens[i]
	}
	return sqllex.Token{}
}

// is reports whether keywords come next.
func (p *parser) is(words ...string) bool {
	for k, w := range words {
		if t := p.at(p.i + k); t.Kind != sqllex.Word || t.Value != w {
			return false
		}
	}
	return true
}

func (p *parser) accept(words ...string) bool {
	if !p.is(words...) {
		return false
	}
	p.i += len(words)
	return true
}

func (p *parser) acceptAny(words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return p.accept(w) })
}

func (p *parser) need(words ...string) {
	if !p.accept(words...) {
		p.unknown()
	}
}

func (p *parser) punct(mark string) bool {
	if !p.at(p.i).Is(mark) {
		return false
	}
	p.i++
	return true
}

// text reads a literal that is a character string.
func (p *parser) text() sqllex.Token {
	t := p.at(p.i)
	if t.Kind != sqllex.String {
		p.unknown()
		return t
	}
	p.i++
	return t
}

// reserved are PostgreSQL's words that cannot be the name of a column.
var reserved = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column concurrently constraint
create cross current_catalog current_date current_role current_schema current_time current_timestamp current_user default deferrable
desc distinct do else end except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is
isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps
placing primary references returning right select session_user similar some symmetric system_user table tablesample then to trailing
true union unique user using variadic verbose when where window with`) {
		m[w] = true
	}
	return m
}()

// ident reads one name.
func (p *parser) ident() string {
	t := p.at(p.i)
	if t.Kind != sqllex.QuotedWord && (t.Kind != sqllex.Word || reserved[t.Value]) {
		p.unknown()
		return ""
	}
	p.exempt[p.i] = true
	p.i++
	return t.Value
}

// object reads the name of a thing that the statement makes, changes or drops.
func (p *parser) object() (schema, name string) {
	name = p.ident()
	if p.at(p.i).Is(".") {
		p.exempt[p.i] = true
		p.i++
		schema, name = name, p.label()
		p.s.Schemas = append(p.s.Schemas, schema)
	}
	return schema, name
}

// label reads a name after a dot, where no word is reserved.
func (p *parser) label() string {
	t := p.at(p.i)
	if t.Kind != sqllex.QuotedWord && t.Kind != sqllex.Word {
		p.unknown()
		return ""
	}
	p.exempt[p.i] = true
	p.i++
	return t.Value
}

// list calls f for each element between commas.
func (p *parser) list(f func()) {
	for f(); p.punct(","); f() {
	}
}

// group skips a parenthesis and what is in it, and returns where that is.
func (p *parser) group() (from, to int) {
	if !p.at(p.i).Is("(") {
		p.unknown()
		return p.i, p.i
	}
	from = p.i + 1
	p.skipGroup()
	return from, p.i - 1
}

func (p *parser) skipGroup() {
	var open []string
	for p.i < p.end {
		t := p.tokens[p.i]
		p.i++
		switch {
		case t.Is("("):
			open = append(open, ")")
		case t.Is("["):
			open = append(open, "]")
		case t.Is(")") || t.Is("]"):
			if len(open) == 0 || open[len(open)-1] != t.Text {
				p.fail("the parentheses or brackets do not match")
				return
			}
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			return
		}
	}
	p.fail("the parentheses or brackets do not match")
}

// rest skips what comes up to one of the words, or the end. What is in parentheses
// is skipped as one.
func (p *parser) rest(until ...string) {
	for p.i < p.end && p.err == nil {
		t := p.tokens[p.i]
		switch {
		case t.Kind == sqllex.Word && slices.Contains(until, t.Value):
			return
		case t.Is(")") || t.Is("]"):
			p.fail("the parentheses or brackets do not match")
		case t.Is("(") || t.Is("["):
			p.skipGroup()
		default:
			p.i++
		}
	}
}

// parts calls f with a parser for each part between commas that are not within
// parentheses.
func (p *parser) parts(f func(*parser)) {
	for p.err == nil {
		from := p.i
		for p.i < p.end && !p.at(p.i).Is(",") && p.err == nil {
			if t := p.tokens[p.i]; t.Is("(") || t.Is("[") {
				p.skipGroup()
			} else {
				p.i++
			}
		}
		if p.err != nil {
			return
		}
		part := &parser{tokens: p.tokens, i: from, end: p.i, exempt: p.exempt, s: p.s}
		if f(part); part.err == nil && part.i < part.end {
			part.fail("a sub-command has something at its end that is not allowed")
		}
		if part.err != nil {
			p.fail(part.err.Error())
		}
		if p.i == p.end || !p.punct(",") {
			return
		}
	}
}

// ifExists and ifNotExists skip these words.
func (p *parser) ifExists()    { p.accept("if", "exists") }
func (p *parser) ifNotExists() { p.accept("if", "not", "exists") }

// behavior reads how a DROP deals with what depends on the thing.
func (p *parser) behavior() {
	if p.accept("cascade") {
		p.needs(Cascade)
	} else {
		p.accept("restrict")
	}
}

// query notes the text from token from to to, after a prefix.
func (p *parser) query(prefix string, from, to int) {
	if p.err == nil && from < to {
		p.s.Queries = append(p.s.Queries, prefix+p.s.SQL[p.tokens[from].Pos:p.tokens[to-1].End()])
	}
}
