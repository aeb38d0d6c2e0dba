package pgtool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/sqlddl"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type ddlIn struct {
	SQL string `json:"sql" validate:"required,max=20000" jsonschema:"statements, with ; between them"`
}

type planOut struct {
	Changes  told[effect]   `json:"changes" jsonschema:"what is created, altered, rewritten and dropped, by CASCADE too"`
	Locks    told[heldLock] `json:"locks" jsonschema:"mode and object, held until the end"`
	Warnings []string       `json:"warnings"`
}

type applyOut struct {
	Done    bool         `json:"done"`
	Changes told[effect] `json:"changes" jsonschema:"as of pg_plan_ddl"`
	Note    string       `json:"note,omitempty"`
}

// DDLTools returns the tools that define things: pg_plan_ddl, which runs statements
// in a transaction that is rolled back and tells what they do, and pg_apply_ddl,
// which runs them after a person has said yes to the statements and to their plan. If
// the run after the yes comes to another plan, nothing is changed.
func DDLTools(m *Migrator) []*mcpsec.Tool {
	kinds := strings.Join(m.o.Kinds, ", ")
	plan := m.spec("pg_plan_ddl", "Tell what PostgreSQL DDL would do: objects changed, dependents dropped, tables rewritten, locks. It runs in a transaction that is rolled back, "+
		"and locks meanwhile. Kinds: "+kinds+". No DML.", mcpsec.Write)
	apply := m.spec("pg_apply_ddl", "Run PostgreSQL DDL in one transaction, all or nothing, after a person has confirmed its plan. See pg_plan_ddl. "+
		"CONCURRENTLY: one statement a call. PASSWORD 'secret:name' names a password.", mcpsec.Destroy)
	apply.Guards = []mcpsec.Guard{m.preview}
	return []*mcpsec.Tool{
		mcpsec.NewTool(plan, m.planned),
		mcpsec.NewTool(apply, m.applied),
	}
}

func (m *Migrator) spec(name, description string, effect mcpsec.Effect) mcpsec.ToolSpec {
	s := m.db.spec(name, description)
	s.Effect = effect
	s.Timeout = 3*(m.o.Timeout+grace+time.Second) + commitLimit + resolveLimit
	if effect == mcpsec.Destroy {
		s.Timeout += m.o.IndexTimeout
	}
	s.Narrow = "send fewer statements"
	return s
}

func (m *Migrator) planned(ctx context.Context, in ddlIn) (planOut, error) {
	sc, err := m.read(ctx, in.SQL)
	if err != nil {
		return planOut{}, err
	}
	e, err := m.plan(ctx, sc)
	if err != nil {
		return planOut{}, err
	}
	return planOut{Changes: e.changes, Locks: e.locks, Warnings: append([]string{}, e.warnings...)}, nil
}

// plan runs a text and rolls it back.
func (m *Migrator) plan(ctx context.Context, sc *script) (*effects, error) {
	if sc.alone != nil {
		return m.planAlone(ctx, sc.alone)
	}
	o, err := m.transact(ctx, sc, func(*outcome) error { return errUndone })
	if err != errUndone {
		return nil, ddlError(ctx, err)
	}
	return m.warned(sc, o.effects), nil
}

func (m *Migrator) transact(ctx context.Context, sc *script, judge verdict) (*outcome, error) {
	texts, err := m.texts(sc)
	if err != nil {
		return nil, err
	}
	return m.db.transact(ctx, func(c *conn) (*outcome, error) { return m.runDDL(c, texts) }, judge)
}

// warned adds what the statements say, and the catalogs do not show.
func (m *Migrator) warned(sc *script, e *effects) *effects {
	said := map[string]bool{}
	for _, s := range sc.statements {
		for _, k := range s.Needs {
			if text := kindWarnings[k]; text != "" && !said[k] {
				e.warnings, said[k] = append(e.warnings, text), true
			}
		}
	}
	return e
}

var kindWarnings = map[string]string{
	sqlddl.Cascade:            "CASCADE drops what depends on the objects, whoever owns it",
	sqlddl.DisableRowSecurity: "policies no longer hold for everybody who may read or write the table, or for its owner",
	sqlddl.SecurityDefiner:    "a function that is SECURITY DEFINER runs with the rights of the role that makes it, for everybody who may run it",
	sqlddl.GrantToPublic:      "a grant to PUBLIC is one to every role, also to those that are made later",
	sqlddl.Function:           "what a function does is not checked: it runs with the rights of whoever calls it",
	sqlddl.Trigger:            "a trigger runs with the rights of whoever writes to the table",
	sqlddl.Policy:             "a policy decides which rows are seen and written",
}

// question is what a person is asked: the statements as they will be sent, but for
// passwords, and what they have been seen to do.
func (sc *script) question(e *effects) string {
	var b strings.Builder
	b.WriteString("runs in one transaction: ")
	if sc.alone != nil {
		b.Reset()
		b.WriteString("runs what cannot be rolled back: ")
	}
	for i, s := range sc.statements {
		sql := withPasswords(s, func(p sqlddl.Password) string { return "<the one named " + p.Name + ">" })
		// In one line, what is behind a line's end could look like a comment.
		fmt.Fprintf(&b, "(%d) %s; ", i+1, strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(sql))
	}
	return b.String() + e.text()
}

// preview is the guard that asks a person. It leaves what it has seen for the
// handler.
func (m *Migrator) preview(ctx context.Context, c *mcpsec.Call) error {
	digest := ""
	ask := mcpsec.Preview(func(ctx context.Context, in ddlIn) (string, error) {
		sc, err := m.read(ctx, in.SQL)
		if err != nil {
			return "", err
		}
		e, err := m.plan(ctx, sc)
		if err != nil {
			return "", err
		}
		digest = e.digest()
		return sc.question(e), nil
	})
	err := ask(ctx, c)
	if digest != "" {
		m.remember(c.ID, digest)
		c.After(func(context.Context, time.Duration) { m.forget(c.ID) })
	}
	return err
}

func (m *Migrator) applied(ctx context.Context, in ddlIn) (applyOut, error) {
	sc, err := m.read(ctx, in.SQL)
	if err != nil {
		return applyOut{}, err
	}
	digest, ok := m.remembered(mcpsec.CallID(ctx))
	if !ok {
		return applyOut{}, errors.New("statements that nobody was asked about")
	}
	if sc.alone != nil {
		return m.applyAlone(ctx, sc, digest)
	}
	o, err := m.transact(ctx, sc, func(o *outcome) error { return unchangedSince(o.effects, digest) })
	if err != nil {
		return applyOut{}, ddlError(ctx, err)
	}
	return applyOut{Done: true, Changes: o.effects.changes}, nil
}

func unchangedSince(e *effects, digest string) error {
	if e.digest() == digest {
		return nil
	}
	return &mcpsec.Error{Message: "the database has changed since it was planned, and it would now do this: " + cut(e.text(), maxWhat) + ": call again to have that confirmed", Rule: "plan"}
}

// ddlError is changeError for statements, and says in which of them it was.
func ddlError(ctx context.Context, err error) error {
	if errors.Is(err, errManyObjects) {
		return &mcpsec.Error{Message: fmt.Sprintf("the database has more than %d objects, of which no plan can be made%s", maxThings, unchanged), Err: err}
	}
	var statement *statementError
	var model *mcpsec.Error
	out := changeError(ctx, err)
	if errors.As(err, &statement) && errors.As(out, &model) {
		return &mcpsec.Error{Message: fmt.Sprintf("statement %d: %s", statement.n, model.Message), Rule: model.Rule, Err: model.Err}
	}
	return out
}
