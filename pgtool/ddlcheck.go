package pgtool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/internal/sqlddl"
	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A script is a caller's text that may be sent.
type script struct {
	statements []sqlddl.Statement
	alone      *sqlddl.IndexName // if it is one statement that no transaction can hold
}

func deniedDDL(format string, args ...any) error {
	return &mcpsec.Error{Message: fmt.Sprintf(format, args...), Rule: "ddl"}
}

// read decides on a text. Nothing is sent before.
func (m *Migrator) read(ctx context.Context, text string) (*script, error) {
	statements, err := sqlddl.Read(text)
	if err != nil {
		return nil, deniedDDL("%s", err)
	}
	var snapshot *sqlcatalog.Snapshot
	if !waive.Has(m.o.Waive, waive.AnySQL) {
		j, err := m.db.current(ctx)
		if err != nil {
			return nil, err
		}
		snapshot = j.snapshot
	}
	sc := &script{statements: statements}
	made := map[string]bool{}
	for i, s := range statements {
		if err := m.o.allow(s); err != nil {
			return nil, deniedDDL("statement %d: %s", i+1, err)
		}
		for _, n := range s.Makes {
			made[n] = true
		}
		if err := namesFit(snapshot, s, made, m.o.has(sqlddl.Function)); err != nil {
			return nil, deniedDDL("statement %d: %s", i+1, err)
		}
		if s.Concurrently != nil {
			sc.alone = s.Concurrently
		}
	}
	if sc.alone != nil && len(statements) > 1 {
		return nil, deniedDDL("a statement with CONCURRENTLY cannot be in a transaction: send it in a call of its own")
	}
	return sc, nil
}

// allow decides by the operator's lists.
func (o DDLOptions) allow(s sqlddl.Statement) error {
	for _, k := range s.Needs {
		if !o.has(k) {
			return fmt.Errorf("it needs the kind %s; allowed are %s", k, strings.Join(o.Kinds, ", "))
		}
	}
	for _, schema := range s.Schemas {
		if !slices.Contains(o.Schemas, schema) {
			return fmt.Errorf("it may name the schemas %s only", strings.Join(o.Schemas, ", "))
		}
	}
	for _, r := range s.Roles {
		if !slices.Contains(o.Roles, r) {
			return fmt.Errorf("it names a role that it may not; allowed are: %s", strings.Join(o.Roles, ", "))
		}
	}
	for _, p := range s.Passwords {
		if _, ok := o.Passwords[p.Name]; !ok {
			return errors.New("there is no password of this name")
		}
	}
	for _, path := range s.SearchPaths {
		if !o.pinned(path) {
			return fmt.Errorf("the search_path of a function that is SECURITY DEFINER must be of pg_catalog and %s, with pg_temp at its end", strings.Join(o.Schemas, ", "))
		}
	}
	return nil
}

// pinned reports whether nobody else can put an object into a search_path. Temporary
// ones would be found first if it did not say that they are last.
func (o DDLOptions) pinned(path []string) bool {
	n := len(path)
	return n > 0 && path[n-1] == "pg_temp" && !slices.ContainsFunc(path[:n-1], func(s string) bool {
		return s != "pg_catalog" && !slices.Contains(o.Schemas, s)
	})
}

// namesFit decides by what names mean. A function that the text has made would run
// in the plan already: nothing in the text may call it.
func namesFit(s *sqlcatalog.Snapshot, st sqlddl.Statement, made map[string]bool, functions bool) error {
	for _, t := range st.Names {
		if (t.Kind == sqllex.Word || t.Kind == sqllex.QuotedWord) && made[t.Value] {
			return errors.New("it uses the name of a function that the same text makes")
		}
	}
	for _, q := range st.Queries {
		if err := queryFits(s, q); err != nil {
			return err
		}
	}
	if s == nil {
		return nil
	}
	if err := tokensFit(s, st.SQL, st.Names); err != nil || functions || len(st.Calls) == 0 {
		return err
	}
	call := ""
	for _, t := range st.Calls {
		call += t.Text
	}
	tokens, err := sqllex.Scan(call + "()")
	if err != nil {
		return err
	}
	return tokensFit(s, call+"()", tokens)
}

func queryFits(s *sqlcatalog.Snapshot, query string) error {
	st, err := sqlgate.Check(query, sqlgate.Options{})
	if err == nil && st.Kind != sqlgate.Query {
		err = errors.New("a query must be SELECT, WITH, VALUES or TABLE")
	}
	if err != nil || s == nil {
		return withoutPosition(err)
	}
	return tokensFit(s, st.SQL, st.Query)
}

func tokensFit(s *sqlcatalog.Snapshot, sql string, tokens []sqllex.Token) error {
	return withoutPosition(s.CheckNames(sqlgate.Statement{SQL: sql, Kind: sqlgate.Query, Query: tokens}))
}

// withoutPosition drops a position, which would count in another text.
func withoutPosition(err error) error {
	if r := (*sqlgate.Refusal)(nil); errors.As(err, &r) {
		return errors.New(r.Reason)
	}
	return err
}

// texts are the statements as the server gets them, with verifiers in the places of
// passwords.
func (m *Migrator) texts(sc *script) ([]string, error) {
	var out []string
	for _, s := range sc.statements {
		var failed error
		out = append(out, withPasswords(s, func(p sqlddl.Password) string {
			verifier, err := scramVerifier(m.o.Passwords[p.Name].Reveal())
			failed = errors.Join(failed, err)
			return quoteText(verifier)
		}))
		if failed != nil {
			return nil, failed
		}
	}
	return out, nil
}

// withPasswords is the text of a statement with something in the places of passwords.
func withPasswords(s sqlddl.Statement, f func(sqlddl.Password) string) string {
	sql := s.SQL
	for _, p := range slices.Backward(s.Passwords) {
		sql = sql[:p.Pos] + f(p) + sql[p.End:]
	}
	return sql
}
