package sqlddl

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// The kinds of change.
const (
	Table       = "table"
	Column      = "column"
	Constraint  = "constraint"
	Type        = "type"
	Sequence    = "sequence"
	Index       = "index"
	View        = "view"
	Function    = "function"
	Trigger     = "trigger"
	Policy      = "policy"
	RowSecurity = "row security"
	Role        = "role"
	Grant       = "grant"
	Comment     = "comment"
	// Those that are needed beside another.
	Drop               = "drop"
	Cascade            = "cascade"
	DisableRowSecurity = "disable row security"
	SecurityDefiner    = "security definer"
	GrantToPublic      = "grant to public"
)

// Kinds are all kinds.
func Kinds() []string {
	return []string{
		Table, Column, Constraint, Type, Sequence, Index, View, Function, Trigger, Policy, RowSecurity, Role, Grant, Comment,
		Drop, Cascade, DisableRowSecurity, SecurityDefiner, GrantToPublic,
	}
}

// Limits on a text.
const (
	MaxBytes      = 20_000
	MaxStatements = 20
)

// A Statement is one that Read has recognised.
type Statement struct {
	// SQL is what may be sent: the statement without comments.
	SQL string
	// Needs are the kinds that it is of.
	Needs []string
	// Schemas are those of the things that it makes, changes or drops, and Roles the
	// roles that it names.
	Schemas, Roles []string
	// Names are the tokens of SQL whose meaning has yet to be checked: all but the
	// names of what Schemas are about.
	Names []sqllex.Token
	// Queries are the texts of queries and conditions with queries in them.
	Queries []string
	// Calls are the tokens of names of functions that triggers run.
	Calls []sqllex.Token
	// Makes are functions that it makes.
	Makes []string
	// Passwords are the places in SQL of passwords, which are references.
	Passwords []Password
	// SearchPaths are those of functions that are SECURITY DEFINER.
	SearchPaths [][]string
	// Concurrently is the index that it makes or drops outside of a transaction.
	Concurrently *IndexName
}

// A Password is where the text of a password has to be put in.
type Password struct {
	Pos, End   int
	Role, Name string
}

// An IndexName is what a statement with CONCURRENTLY is about.
type IndexName struct {
	Schema, Name string // of the index; Schema is that of its table, and may be empty
	Table        string // that it is made on, empty if it is dropped
	Drops        bool
}

// A Refusal tells why a text is refused. It holds no piece of it.
type Refusal struct {
	Statement int // from 1, or 0 for the text as a whole
	Reason    string
}

func (r *Refusal) Error() string {
	if r.Statement == 0 {
		return r.Reason
	}
	return fmt.Sprintf("statement %d: %s", r.Statement, r.Reason)
}

// Read reads a text of one or several statements, with semicolons between them. The
// error is a *Refusal.
func Read(text string) ([]Statement, error) {
	if len(text) > MaxBytes {
		return nil, &Refusal{0, fmt.Sprintf("the text is longer than %d bytes", MaxBytes)}
	}
	tokens, err := sqllex.Scan(text)
	if e := (*sqllex.Error)(nil); errors.As(err, &e) {
		return nil, &Refusal{0, "the text has " + string(e.Reason)}
	}
	var out []Statement
	from := 0
	for i := 0; i <= len(tokens); i++ {
		if i < len(tokens) && !tokens[i].Is(";") {
			continue
		}
		if i > from {
			if len(out) == MaxStatements {
				return nil, &Refusal{0, fmt.Sprintf("there are more than %d statements", MaxStatements)}
			}
			s, err := read(plain(tokens[from:i]))
			if err != nil {
				return nil, &Refusal{len(out) + 1, err.Error()}
			}
			out = append(out, *s)
		}
		from = i + 1
	}
	if len(out) == 0 {
		return nil, &Refusal{0, "there is no statement"}
	}
	return out, nil
}

// plain writes tokens without what was between them.
func plain(tokens []sqllex.Token) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 && t.Pos > tokens[i-1].End() {
			b.WriteByte(' ')
		}
		b.WriteString(t.Text)
	}
	return b.String()
}

func read(sql string) (*Statement, error) {
	tokens, err := sqllex.Scan(sql)
	if err != nil {
		return nil, err
	}
	for _, t := range tokens {
		switch {
		case t.Kind == sqllex.UnicodeWord:
			return nil, errors.New(`names written U&"..." are not allowed`)
		case t.Kind == sqllex.Param:
			return nil, errors.New("parameters are not allowed")
		case t.Cut:
			return nil, errors.New("a name is longer than the 63 bytes that the server keeps of it")
		}
	}
	p := &parser{tokens: tokens, end: len(tokens), exempt: map[int]bool{}, s: &Statement{SQL: sql}}
	p.statement()
	if p.err == nil && p.i < p.end {
		p.fail("there is something at its end that is not allowed")
	}
	if p.err != nil {
		return nil, p.err
	}
	for i, t := range tokens {
		if !p.exempt[i] {
			p.s.Names = append(p.s.Names, t)
		}
	}
	return p.s, nil
}
