package sqlddl

import "github.com/mcpsec/mcpsec-go/internal/sqllex"

// createFunction reads a function or procedure in one of two languages, whose body
// is one literal.
func createFunction(p *parser) {
	p.needs(Function)
	_, name := p.object()
	p.s.Makes = append(p.s.Makes, name)
	p.group()
	if p.accept("returns", "table") {
		p.group()
	} else if p.accept("returns") {
		p.returned()
	}
	var f functionParts
	for p.i < p.end && p.err == nil {
		f.option(p)
	}
	switch {
	case p.err != nil:
	case !f.language || !f.body:
		p.fail("a function needs LANGUAGE sql or plpgsql, and AS with its body as one literal")
	case f.definer && f.path == nil:
		p.fail("a function that is SECURITY DEFINER needs SET search_path")
	case f.definer:
		p.needs(SecurityDefiner)
		p.s.SearchPaths = append(p.s.SearchPaths, f.path)
	}
}

// returned skips a type, up to the first option.
func (p *parser) returned() {
	p.i++ // a type can be called as an option is
	p.rest("language", "immutable", "stable", "volatile", "strict", "called", "returns", "security", "external", "parallel", "cost", "rows", "set", "as",
		"not", "leakproof", "support", "transform", "window", "return", "begin")
}

type functionParts struct {
	language, body, definer bool
	path                    []string
}

// option reads one option of a function. Those that are not here need a superuser,
// or change settings for whoever calls.
func (f *functionParts) option(p *parser) {
	switch {
	case p.accept("language"):
		if t := p.at(p.i); t.Kind == sqllex.String && (t.Value == "sql" || t.Value == "plpgsql") {
			p.i++
		} else if !p.acceptAny("sql", "plpgsql") {
			p.fail("functions may be in the languages sql and plpgsql only")
		}
		f.language = true
	case p.acceptAny("immutable", "stable", "volatile", "strict"):
	case p.accept("called", "on", "null", "input"), p.accept("returns", "null", "on", "null", "input"):
	case p.accept("security", "invoker"), p.accept("external", "security", "invoker"):
	case p.accept("security", "definer"), p.accept("external", "security", "definer"):
		f.definer = true
	case p.accept("parallel"):
		if !p.acceptAny("safe", "restricted", "unsafe") {
			p.unknown()
		}
	case p.acceptAny("cost", "rows"):
		p.number()
	case p.accept("set", "search_path"):
		if t := p.at(p.i); !p.accept("to") && (t.Kind != sqllex.Operator || t.Value != "=") {
			p.unknown()
			return
		} else if t.Kind == sqllex.Operator {
			p.i++
		}
		f.path = []string{}
		p.list(func() { f.path = append(f.path, p.pathName()) })
	case p.accept("as"):
		p.text()
		f.body = true
	default:
		p.fail("this part of a function is not known here")
	}
}

// pathName reads a schema of a search_path, which may be written as a literal.
func (p *parser) pathName() string {
	if t := p.at(p.i); t.Kind == sqllex.String {
		p.i++
		return t.Value
	}
	return p.ident()
}

// createTrigger reads a trigger. The function that it runs is one that may be
// written, so its name is that of an object.
func createTrigger(p *parser) {
	p.needs(Trigger)
	p.ident()
	if !p.acceptAny("before", "after") {
		p.need("instead", "of")
	}
	p.rest("on")
	p.need("on")
	p.object()
	p.rest("when", "execute")
	if p.accept("when") {
		from, to := p.group()
		p.query("SELECT (", from, to)
		p.closeQuery()
	}
	p.need("execute")
	if !p.acceptAny("function", "procedure") {
		p.unknown()
	}
	from := p.i
	p.object()
	p.s.Calls = append(p.s.Calls, p.tokens[min(from, p.i):p.i]...)
	p.group()
}

// closeQuery ends a query that was noted with an open parenthesis.
func (p *parser) closeQuery() {
	if n := len(p.s.Queries); p.err == nil && n > 0 {
		p.s.Queries[n-1] += ")"
	}
}

func createPolicy(p *parser) {
	p.needs(Policy)
	p.ident()
	p.need("on")
	p.object()
	if p.accept("as") && !p.acceptAny("permissive", "restrictive") {
		p.unknown()
	}
	if p.accept("for") && !p.acceptAny("all", "select", "insert", "update", "delete") {
		p.unknown()
	}
	p.policyBody()
}

func alterPolicy(p *parser) {
	p.needs(Policy)
	p.ident()
	p.need("on")
	p.object()
	if p.accept("rename", "to") {
		p.ident()
		return
	}
	p.policyBody()
}

func (p *parser) policyBody() {
	if p.accept("to") {
		p.list(func() {
			if !p.acceptAny("public", "current_user", "session_user", "current_role") {
				p.role()
			}
		})
	}
	if p.accept("using") {
		from, to := p.group()
		p.query("SELECT (", from, to)
		p.closeQuery()
	}
	if p.accept("with", "check") {
		from, to := p.group()
		p.query("SELECT (", from, to)
		p.closeQuery()
	}
}
