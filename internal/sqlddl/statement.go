package sqlddl

// commands are the statements that are known, by their first words: the longest
// that fits counts.
var commands = []struct {
	words []string
	read  func(*parser)
}{
	{[]string{"create", "table"}, createTable},
	{[]string{"create", "unlogged", "table"}, createTable},
	{[]string{"alter", "table"}, alterTable},
	{[]string{"create", "type"}, createType},
	{[]string{"create", "domain"}, createDomain},
	{[]string{"alter", "type"}, alterType},
	{[]string{"alter", "domain"}, alterDomain},
	{[]string{"create", "sequence"}, createSequence},
	{[]string{"alter", "sequence"}, alterSequence},
	{[]string{"create", "index"}, createIndex},
	{[]string{"create", "unique", "index"}, createIndex},
	{[]string{"alter", "index"}, renameOnly(Index)},
	{[]string{"create", "view"}, createView},
	{[]string{"create", "or", "replace", "view"}, createView},
	{[]string{"create", "materialized", "view"}, createMaterialized},
	{[]string{"alter", "view"}, renameOnly(View)},
	{[]string{"alter", "materialized", "view"}, renameOnly(View)},
	{[]string{"create", "function"}, createFunction},
	{[]string{"create", "or", "replace", "function"}, createFunction},
	{[]string{"create", "procedure"}, createFunction},
	{[]string{"create", "or", "replace", "procedure"}, createFunction},
	{[]string{"create", "trigger"}, createTrigger},
	{[]string{"create", "or", "replace", "trigger"}, createTrigger},
	{[]string{"create", "constraint", "trigger"}, createTrigger},
	{[]string{"create", "policy"}, createPolicy},
	{[]string{"alter", "policy"}, alterPolicy},
	{[]string{"create", "role"}, createRole},
	{[]string{"create", "user"}, createRole},
	{[]string{"alter", "role"}, alterRole},
	{[]string{"alter", "user"}, alterRole},
	{[]string{"grant"}, grant},
	{[]string{"revoke"}, revoke},
	{[]string{"comment", "on"}, comment},
	{[]string{"drop"}, drop},
}

func (p *parser) statement() {
	for _, c := range commands {
		if p.accept(c.words...) {
			c.read(p)
			return
		}
	}
	p.unknown()
}

// renameOnly reads the rest of an ALTER that may only give another name.
func renameOnly(kind string) func(*parser) {
	return func(p *parser) {
		p.needs(kind)
		p.ifExists()
		p.object()
		p.need("rename", "to")
		p.ident()
	}
}

// drops are the things that DROP is known for, and their kinds.
var drops = []struct {
	words []string
	kind  string
}{
	{[]string{"table"}, Table}, {[]string{"type"}, Type}, {[]string{"domain"}, Type}, {[]string{"sequence"}, Sequence},
	{[]string{"view"}, View}, {[]string{"materialized", "view"}, View},
}

func drop(p *parser) {
	p.needs(Drop)
	for _, d := range drops {
		if p.accept(d.words...) {
			p.needs(d.kind)
			p.ifExists()
			p.list(func() { p.object() })
			p.behavior()
			return
		}
	}
	switch {
	case p.accept("index"):
		dropIndex(p)
	case p.acceptAny("function", "procedure", "routine"):
		p.needs(Function)
		p.ifExists()
		p.list(func() { p.signature() })
		p.behavior()
	case p.accept("trigger"):
		p.needs(Trigger)
		dropOn(p)
	case p.accept("policy"):
		p.needs(Policy)
		dropOn(p)
	case p.acceptAny("role", "user"):
		p.needs(Role)
		p.ifExists()
		p.list(p.role)
	default:
		p.unknown()
	}
}

func dropOn(p *parser) {
	p.ifExists()
	p.ident()
	p.need("on")
	p.object()
	p.behavior()
}

func dropIndex(p *parser) {
	p.needs(Index)
	concurrently := p.accept("concurrently")
	p.ifExists()
	schema, name := p.object()
	for !concurrently && p.punct(",") {
		p.object()
	}
	p.behavior()
	if concurrently {
		p.s.Concurrently = &IndexName{Schema: schema, Name: name, Drops: true}
	}
}

// signature reads a function that there is, with the types of its arguments.
func (p *parser) signature() {
	p.object()
	if p.at(p.i).Is("(") {
		p.group()
	}
}

// comment reads COMMENT ON. Of what is on a table, the table's owner decides.
func comment(p *parser) {
	p.needs(Comment)
	switch {
	case p.acceptAny("table", "view", "index", "sequence", "type", "domain") || p.accept("materialized", "view"):
		p.object()
	case p.accept("column"):
		p.object()
		for p.at(p.i).Is(".") {
			p.exempt[p.i] = true
			p.i++
			p.label()
		}
	case p.acceptAny("function", "procedure", "routine"):
		p.signature()
	case p.acceptAny("trigger", "policy", "constraint"):
		p.ident()
		p.need("on")
		p.accept("domain")
		p.object()
	default:
		p.unknown()
		return
	}
	p.need("is")
	if !p.accept("null") {
		p.text()
	}
}
