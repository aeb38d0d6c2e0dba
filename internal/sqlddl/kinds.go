package sqlddl

// createType reads enums and composite types. Other types have functions of their
// own.
func createType(p *parser) {
	p.needs(Type)
	p.object()
	p.need("as")
	p.accept("enum")
	p.group()
}

func createDomain(p *parser) {
	p.needs(Type)
	p.object()
	p.accept("as")
	p.rest()
}

func alterType(p *parser) {
	p.needs(Type)
	p.object()
	switch {
	case p.accept("add", "value"):
		p.ifNotExists()
		p.text()
		if p.acceptAny("before", "after") {
			p.text()
		}
	case p.accept("rename", "value"):
		p.text()
		p.need("to")
		p.text()
	case p.accept("rename", "to"):
		p.ident()
	case p.accept("rename", "attribute"):
		p.renamed()
		p.behavior()
	case p.accept("set", "schema"):
		p.s.Schemas = append(p.s.Schemas, p.ident())
	default:
		p.parts(attributeAction)
	}
}

// attributeAction reads a sub-command of ALTER TYPE. CASCADE can stand at its end
// only.
func attributeAction(p *parser) {
	switch {
	case p.accept("add", "attribute"), p.accept("alter", "attribute"):
		p.ident()
		p.rest("cascade", "restrict")
		p.behavior()
	case p.accept("drop", "attribute"):
		p.needs(Drop)
		p.ifExists()
		p.ident()
		p.behavior()
	default:
		p.unknown()
	}
}

func alterDomain(p *parser) {
	p.needs(Type)
	p.object()
	switch {
	case p.accept("set", "default"):
		p.rest()
	case p.accept("drop", "default"), p.accept("set", "not", "null"), p.accept("drop", "not", "null"):
	case p.is("add", "constraint"), p.is("add", "check"), p.is("add", "not"):
		p.rest()
	case p.accept("drop", "constraint"):
		p.needs(Drop)
		p.ifExists()
		p.ident()
		p.behavior()
	case p.accept("validate", "constraint"):
		p.ident()
	case p.accept("rename", "to"):
		p.ident()
	default:
		p.unknown()
	}
}

func createSequence(p *parser) {
	p.needs(Sequence)
	p.ifNotExists()
	p.object()
	p.sequenceOptions()
}

func alterSequence(p *parser) {
	p.needs(Sequence)
	p.ifExists()
	p.object()
	if p.accept("rename", "to") {
		p.ident()
		return
	}
	p.sequenceOptions()
}

func (p *parser) sequenceOptions() {
	for p.i < p.end && p.err == nil {
		switch {
		case p.accept("as"):
			p.rest("increment", "minvalue", "maxvalue", "no", "start", "restart", "cache", "cycle", "owned")
		case p.accept("owned", "by", "none"), p.accept("no", "minvalue"), p.accept("no", "maxvalue"), p.accept("no", "cycle"), p.accept("cycle"):
		case p.accept("owned", "by"):
			p.object()
			for p.at(p.i).Is(".") {
				p.exempt[p.i] = true
				p.i++
				p.label()
			}
		case p.accept("restart"):
			if p.accept("with") || p.at(p.i).Kind != 0 && !p.is("increment") && !p.is("cache") {
				p.number()
			}
		case p.acceptAny("increment", "start"):
			p.acceptAny("by", "with")
			p.number()
		case p.acceptAny("minvalue", "maxvalue", "cache"):
			p.number()
		default:
			p.unknown()
		}
	}
}

func createIndex(p *parser) {
	p.needs(Index)
	concurrently := p.accept("concurrently")
	p.ifNotExists()
	name := ""
	if !p.is("on") {
		name = p.ident()
	}
	p.need("on")
	p.accept("only")
	schema, table := p.object()
	if p.accept("using") {
		p.ident()
	}
	p.group()
	if p.accept("include") {
		p.group()
	}
	if !p.accept("nulls", "not", "distinct") {
		p.accept("nulls", "distinct")
	}
	if p.accept("with") {
		p.parameters()
	}
	if p.accept("where") {
		p.rest("tablespace")
	}
	if !concurrently {
		return
	}
	if name == "" {
		p.fail("an index that is made CONCURRENTLY needs a name here, so that it can be found if that fails")
	}
	p.s.Concurrently = &IndexName{Schema: schema, Name: name, Table: table}
}

func createView(p *parser) {
	p.needs(View)
	p.object()
	if p.at(p.i).Is("(") {
		p.group()
	}
	if p.accept("with") {
		p.viewOptions()
	}
	p.need("as")
	from := p.i
	to := p.before("with", "check", "option")
	if to == p.end {
		to = p.before("with", "local", "check", "option")
	}
	if to == p.end {
		to = p.before("with", "cascaded", "check", "option")
	}
	p.query("", from, to)
	p.i = p.end
}

// before returns where words at the end begin, or the end.
func (p *parser) before(words ...string) int {
	at := p.end - len(words)
	if at < p.i {
		return p.end
	}
	end := &parser{tokens: p.tokens, i: at, end: p.end}
	if end.is(words...) {
		return at
	}
	return p.end
}

// viewOptions reads options that let fewer people see.
func (p *parser) viewOptions() {
	from, to := p.group()
	inner := &parser{tokens: p.tokens, i: from, end: to, exempt: p.exempt, s: p.s}
	inner.parts(func(q *parser) {
		if !q.acceptAny("security_barrier", "security_invoker") {
			q.fail("this option of a view is not allowed")
			return
		}
		if q.i < q.end {
			q.i++ // the operator, or what is refused next
			if !q.accept("true") && !q.accept("on") {
				q.fail("this option of a view may only be switched on")
			}
		}
	})
	if inner.err != nil {
		p.fail(inner.err.Error())
	}
}

func createMaterialized(p *parser) {
	p.needs(View)
	p.ifNotExists()
	p.object()
	if p.at(p.i).Is("(") {
		p.group()
	}
	if p.accept("with") {
		p.parameters()
	}
	p.need("as")
	from := p.i
	to := p.before("with", "no", "data")
	if to == p.end {
		to = p.before("with", "data")
	}
	p.query("", from, to)
	p.i = p.end
}
