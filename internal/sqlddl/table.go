package sqlddl

import (
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// createTable reads CREATE TABLE with a list of columns, or as a partition. CREATE
// TABLE AS runs a query, and is not known.
func createTable(p *parser) {
	p.needs(Table)
	p.ifNotExists()
	p.object()
	if p.accept("partition", "of") {
		p.object()
		if p.at(p.i).Is("(") {
			p.group()
		}
		if !p.accept("default") {
			p.need("for", "values")
			for p.err == nil && (p.acceptAny("in", "from", "to", "with")) {
				p.group()
			}
		}
	} else {
		p.group()
		if p.accept("inherits") {
			p.group()
		}
	}
	if p.accept("partition", "by") {
		p.ident()
		p.group()
	}
	if p.accept("with") {
		p.parameters()
	}
}

// storage are the parameters of tables and indexes that may be set: those of views
// decide who is let in, and can be set by ALTER TABLE too.
var storage = []string{"fillfactor", "autovacuum_", "toast.autovacuum_", "toast_tuple_target", "parallel_workers", "deduplicate_items", "fastupdate", "gin_pending_list_limit", "pages_per_range", "buffering", "autosummarize", "m", "ef_construction", "lists"}

// parameters reads storage parameters with their values.
func (p *parser) parameters() {
	from, to := p.group()
	inner := &parser{tokens: p.tokens, i: from, end: to, exempt: p.exempt, s: p.s}
	inner.parts(func(q *parser) {
		name := q.label()
		if q.punct(".") {
			name += "." + q.label()
		}
		if !known(name) {
			q.fail("this storage parameter is not allowed")
			return
		}
		if t := q.at(q.i); t.Kind == sqllex.Operator && t.Value == "=" {
			q.i++
			if v := q.at(q.i); v.Kind == sqllex.Operator && v.Value == "-" {
				q.i++
			}
			switch v := q.at(q.i); v.Kind {
			case sqllex.Number, sqllex.String, sqllex.Word:
				q.i++
			}
		}
	})
	if inner.err != nil {
		p.fail(inner.err.Error())
	}
}

func known(parameter string) bool {
	for _, s := range storage {
		if parameter == s || strings.HasSuffix(s, "_") && strings.HasPrefix(parameter, s) {
			return true
		}
	}
	return false
}

func alterTable(p *parser) {
	p.ifExists()
	p.accept("only")
	p.object()
	switch {
	case p.accept("rename", "to"):
		p.needs(Table)
		p.ident()
	case p.accept("rename", "constraint"):
		p.needs(Constraint)
		p.renamed()
	case p.accept("rename"):
		p.needs(Column)
		p.accept("column")
		p.renamed()
	case p.accept("set", "schema"):
		p.needs(Table)
		p.s.Schemas = append(p.s.Schemas, p.ident())
	case p.accept("attach", "partition"):
		p.needs(Table)
		p.object()
		p.accept("default")
		p.rest()
	case p.accept("detach", "partition"):
		p.needs(Table)
		p.object()
	default:
		p.parts(tableAction)
	}
}

func (p *parser) renamed() {
	p.ident()
	p.need("to")
	p.ident()
}

// tableAction reads one of the sub-commands that commas part. What each of the rest
// calls skip is a definition of a column or constraint to PostgreSQL's grammar.
func tableAction(p *parser) {
	switch {
	case p.is("add", "constraint"), p.is("add", "check"), p.is("add", "unique"), p.is("add", "primary"), p.is("add", "foreign"),
		p.is("add", "exclude"), p.is("add", "not"):
		p.needs(Constraint)
		p.rest()
	case p.accept("add"):
		p.needs(Column)
		p.accept("column")
		p.ifNotExists()
		p.ident()
		p.rest()
	case p.accept("drop", "constraint"):
		p.needs(Constraint, Drop)
		p.ifExists()
		p.ident()
		p.behavior()
	case p.accept("drop"):
		p.needs(Column, Drop)
		p.accept("column")
		p.ifExists()
		p.ident()
		p.behavior()
	case p.accept("alter", "constraint"):
		p.needs(Constraint)
		p.ident()
		for p.acceptAny("not", "deferrable", "initially", "deferred", "immediate") {
		}
	case p.accept("alter"):
		p.needs(Column)
		p.accept("column")
		p.ident()
		columnAction(p)
	case p.accept("validate", "constraint"):
		p.needs(Constraint)
		p.ident()
	default:
		tableSwitch(p)
	}
}

func columnAction(p *parser) {
	switch {
	case p.is("type"), p.is("set", "data", "type"), p.accept("set", "default"), p.is("add", "generated"):
		p.rest()
	case p.accept("set", "not", "null"), p.accept("drop", "not", "null"), p.accept("drop", "default"):
	case p.accept("drop", "identity"), p.accept("drop", "expression"):
		p.needs(Drop)
		p.ifExists()
	case p.accept("set", "statistics"):
		p.number()
	case p.accept("set", "generated"):
		p.rest()
	case p.accept("restart"):
		p.accept("with")
		p.number()
	default:
		p.unknown()
	}
}

func (p *parser) number() {
	if t := p.at(p.i); t.Kind == sqllex.Operator && t.Value == "-" {
		p.i++
	}
	if p.at(p.i).Kind != sqllex.Number {
		p.unknown()
		return
	}
	p.i++
}

// tableSwitch reads the sub-commands that switch something.
func tableSwitch(p *parser) {
	switch {
	case p.accept("enable", "row", "level", "security"), p.accept("force", "row", "level", "security"):
		p.needs(RowSecurity)
	case p.accept("disable", "row", "level", "security"), p.accept("no", "force", "row", "level", "security"):
		p.needs(RowSecurity, DisableRowSecurity)
	case p.accept("enable", "trigger"), p.accept("disable", "trigger"):
		p.needs(Trigger)
		if p.is("user") {
			p.i++
		} else {
			p.ident()
		}
	case p.accept("set", "logged"):
		p.needs(Table)
	case p.accept("set"), p.accept("reset"):
		p.needs(Table)
		p.parameters()
	default:
		p.unknown()
	}
}
