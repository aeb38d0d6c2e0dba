package pgtool

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/internal/sqltree"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// treeSettings make the server send what it makes of a statement. They end with the
// transaction.
const treeSettings = "SELECT set_config('debug_print_parse', 'on', true), set_config('debug_print_rewritten', 'on', true), " +
	"set_config('debug_pretty_print', 'off', true), set_config('client_min_messages', 'log', true)"

// An analysis is what the server says of a statement that it does not run.
type analysis struct{ parsed, rewritten []string }

// add takes the server's report of a tree.
func (a *analysis) add(m *pgproto3.NoticeResponse) {
	switch {
	case m.SeverityUnlocalized != "LOG": // it is a statement's and not the server's
	case m.Message == "parse tree:":
		a.parsed = append(a.parsed, m.Detail)
	case m.Message == "rewritten parse tree:":
		a.rewritten = append(a.rewritten, m.Detail)
	}
}

// uses reads the trees. There must be one of each: another one is not the server's,
// or not of this statement.
func (a *analysis) uses() (parsed, rewritten *sqltree.Uses, err error) {
	if len(a.parsed) != 1 || len(a.rewritten) != 1 {
		return nil, nil, errNoTree
	}
	if parsed, err = sqltree.Read(a.parsed[0]); err == nil {
		rewritten, err = sqltree.ReadRewritten(a.rewritten[0])
	}
	return parsed, rewritten, err
}

var errNoTree = errors.New("the server does not show what it makes of the statement")

// serverCheck asks the server what a statement that has passed the gate uses, which
// is not run, and returns an error if that is not allowed. It is the caller's text,
// without what is put in when it is run.
func (db *DB) serverCheck(ctx context.Context, j *judge, q *query) error {
	st, err := sqlgate.Check(q.sql, sqlgate.Options{AllowExplainAnalyze: q.analyze})
	if err != nil || st.Kind == sqlgate.Show {
		return err
	}
	if err := analysable(st.Query); err != nil {
		return err
	}
	a := &analysis{}
	inner := st.SQL[st.Query[0].Pos:]
	_, err = db.query(ctx, &query{sql: inner, tenant: q.tenant, before: q.before, with: q.with, analysis: a})
	var reported *pgconn.PgError
	if errors.As(err, &reported) && reported.Position > 0 {
		reported.Position += int32(len([]rune(st.SQL[:st.Query[0].Pos])))
	}
	if tooLong := (*pgproto3.ExceededMaxBodyLenErr)(nil); errors.As(err, &tooLong) {
		return unreadable(err)
	}
	if err != nil {
		return modelError(shifted(err, &query{given: q.sql, offset: q.offset}))
	}
	parsed, rewritten, err := a.uses()
	if err != nil {
		return unreadable(err)
	}
	return j.snapshot.CheckUses(parsed, rewritten)
}

// What makes an analysis large: a join repeats the columns of all tables so far, and a
// star or TABLE stands for all columns. The server writes it into its log, so that it
// must not get as far as being too large to be read.
const (
	maxParts = 4_000
	maxJoins = 40
	maxStars = 60
)

// analysable refuses a statement whose analysis could be many times as long as itself.
func analysable(tokens []sqllex.Token) error {
	joins, stars := 0, 0
	for _, t := range tokens {
		switch {
		case t.Kind == sqllex.Word && t.Value == "join":
			joins++
		case t.Kind == sqllex.Word && t.Value == "table", t.Kind == sqllex.Operator && t.Value == "*":
			stars++
		}
	}
	switch {
	case len(tokens) > maxParts:
		return &sqlgate.Refusal{Reason: "the statement has too many parts for the server's check: pass long lists as one array parameter"}
	case joins > maxJoins || stars > maxStars:
		return &sqlgate.Refusal{Reason: fmt.Sprintf("the statement is too large for the server's check: at most %d joins, and %d times * or TABLE", maxJoins, maxStars)}
	}
	return nil
}

func unreadable(err error) error {
	return &mcpsec.Error{Message: "what the server makes of this statement cannot be checked: use a plainer or shorter one", Rule: "statement", Err: err}
}

// startServerCheck finds out whether the server shows what it makes of a statement.
func (db *DB) startServerCheck(ctx context.Context) error {
	a := &analysis{}
	if _, err := db.query(ctx, &query{sql: "SELECT count(*) FROM pg_catalog.pg_class", anyone: true, analysis: a}); err != nil {
		return errors.New(startText(err))
	}
	parsed, _, err := a.uses()
	if err != nil || !parsed.Relations[pgClass] {
		return errors.New("Options.ServerCheck needs a server that shows its analysis of a statement: " + strings.TrimSpace(errorText(err)))
	}
	return nil
}

// pgClass is the OID of pg_class, in every version.
const pgClass = 1259

func errorText(err error) string {
	if err == nil {
		return "what it shows is not of the statement"
	}
	return err.Error()
}
