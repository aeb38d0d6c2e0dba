package sqlddl

import (
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// role reads the name of a role.
func (p *parser) role() {
	if t := p.at(p.i); t.Kind == sqllex.Word && t.Value == "public" {
		p.unknown()
		return
	}
	if name := p.ident(); p.err == nil {
		p.s.Roles = append(p.s.Roles, name)
	}
}

func createRole(p *parser) {
	p.needs(Role)
	p.role()
	p.accept("with")
	p.roleOptions()
}

func alterRole(p *parser) {
	p.needs(Role)
	p.role()
	p.accept("with")
	if p.i == p.end {
		p.unknown()
	}
	p.roleOptions()
}

func (p *parser) roleOptions() {
	for p.i < p.end && p.err == nil {
		switch {
		case p.acceptAny("login", "nologin", "inherit", "noinherit", "nosuperuser", "nocreatedb", "nocreaterole", "noreplication", "nobypassrls"):
		case p.is("superuser"), p.is("createdb"), p.is("createrole"), p.is("replication"), p.is("bypassrls"):
			p.fail("a role may not be given SUPERUSER, CREATEDB, CREATEROLE, REPLICATION or BYPASSRLS")
		case p.accept("connection", "limit"):
			p.number()
		case p.accept("valid", "until"):
			p.text()
		case p.accept("password", "null"):
		case p.accept("password"):
			p.password()
		default:
			p.unknown()
		}
	}
}

// passwordPrefix begins what stands for a password.
const passwordPrefix = "secret:"

// password reads a reference to a password. One that is written out is refused: it
// would be in the caller's messages.
func (p *parser) password() {
	t := p.text()
	name, ok := strings.CutPrefix(t.Value, passwordPrefix)
	if p.err == nil && (!ok || t.Text != "'"+t.Value+"'") {
		p.fail("a password must be a reference, as in PASSWORD 'secret:name', and not the password itself")
	}
	if p.err == nil {
		p.s.Passwords = append(p.s.Passwords, Password{Pos: t.Pos, End: t.End(), Role: p.s.Roles[0], Name: name})
	}
}

// privileges that may be granted. The others let a role run what it likes as
// somebody else, or lock and empty tables.
var privileges = []string{"select", "insert", "update", "delete", "references", "usage", "execute"}

func grant(p *parser) {
	p.needs(Grant)
	p.privileges(privileges)
	p.grantObjects()
	p.need("to")
	p.grantees(true)
}

func revoke(p *parser) {
	p.needs(Grant)
	p.accept("grant", "option", "for")
	p.privileges(append([]string{"trigger", "truncate", "create", "maintain", "all"}, privileges...))
	p.grantObjects()
	p.need("from")
	p.grantees(false)
	p.behavior()
}

func (p *parser) privileges(allowed []string) {
	p.list(func() {
		if !p.acceptAny(allowed...) {
			p.fail("this privilege, or membership in a role, is not allowed")
			return
		}
		p.accept("privileges")
		if p.at(p.i).Is("(") {
			p.group()
		}
	})
	p.need("on")
}

func (p *parser) grantObjects() {
	switch {
	case p.accept("all"):
		if !p.acceptAny("tables", "sequences", "functions", "procedures", "routines") {
			p.unknown()
		}
		p.need("in", "schema")
		p.schemas()
	case p.accept("schema"):
		p.schemas()
	case p.acceptAny("function", "procedure", "routine"):
		p.list(p.signature)
	default:
		p.acceptAny("table", "sequence", "type")
		p.list(func() { p.object() })
	}
}

func (p *parser) schemas() {
	p.list(func() { p.s.Schemas = append(p.s.Schemas, p.ident()) })
}

func (p *parser) grantees(gives bool) {
	p.list(func() {
		p.accept("group")
		if !p.accept("public") {
			p.role()
		} else if gives {
			p.needs(GrantToPublic)
		}
	})
}
