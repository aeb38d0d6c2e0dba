package pgtool

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqledit"
	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/internal/sqlwrite"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type executeIn struct {
	SQL    string            `json:"sql" validate:"required,max=4000" jsonschema:"one statement, with params as $1, $2"`
	Params []json.RawMessage `json:"params" validate:"max=50" mcpsec:"any"`
}

// changeOut tells the counts in one line: its schema is a fifth of that of writeOut.
type changeOut struct {
	Affected int    `json:"affected"`
	InAll    string `json:"in_all"`
}

type executeOut struct {
	changeOut
	Columns   []string          `json:"columns,omitempty"`
	Rows      []json.RawMessage `json:"rows,omitempty"`
	Truncated bool              `json:"truncated,omitempty"`
}

// executeTool returns pg_execute, which runs one statement of the caller's that
// writes, after a person has seen it with what it was counted to do.
func executeTool(w *Writer) *mcpsec.Tool {
	titles := slices.Sorted(maps.Keys(w.targets))
	spec := w.spec("pg_execute", fmt.Sprintf("Run one INSERT, UPDATE, DELETE or MERGE; a person confirms. More than %d rows are refused. "+
		"Only listed tables and columns, named one by one: %s.", w.o.MaxAffected, some(titles)), mcpsec.Destroy)
	spec.Guards = []mcpsec.Guard{previewOf(w, w.execute)}
	return mcpsec.NewTool(spec, func(ctx context.Context, in executeIn) (executeOut, error) {
		ch, err := w.execute(ctx, in)
		if err != nil {
			return executeOut{}, err
		}
		o, err := w.transact(ctx, ch, w.judge(ctx, ch, mcpsec.Destroy))
		if err != nil {
			return executeOut{}, changeError(ctx, err)
		}
		a := w.db.typed(&o.result)
		out := executeOut{changeOut: o.out()}
		out.Rows, out.Truncated = a.rowsJSON(w.o.MaxBytes)
		for _, c := range a.Columns {
			out.Columns = append(out.Columns, c.Name)
		}
		return out, nil
	})
}

func (o *outcome) out() changeOut { return changeOut{o.affected, o.does()} }

// execute is the only way by which a statement that a caller has written gets to
// a role that can write.
func (w *Writer) execute(ctx context.Context, in executeIn) (*change, error) {
	args, err := scalarArgs(in.Params)
	if err != nil {
		return nil, err
	}
	st, edits, err := w.checkWrite(ctx, in.SQL)
	if err != nil {
		return nil, changeError(ctx, err)
	}
	title := "runs " + strconv.Quote(shownSQL(st.Query))
	if len(in.Params) > 0 {
		b, err := json.Marshal(in.Params)
		if err != nil {
			return nil, fmt.Errorf("showing the parameters: %w", err)
		}
		title += " with " + string(b)
	}
	return &change{sql: edits.Apply(st.SQL), given: st.SQL, edits: edits, args: args, returning: true, verb: "runs", table: "this statement", title: title, written: true, spoils: spoils(st.Query[:st.Main]) || spoils(afterTarget(st))}, nil
}

// checkWrite decides on a text. The columns that the tables have now are asked for
// at every call: one that is new may not be read.
func (w *Writer) checkWrite(ctx context.Context, sql string) (st sqlgate.Statement, edits sqledit.Edits, err error) {
	st, err = sqlgate.Check(sql, sqlgate.Options{Write: true})
	if err != nil {
		return st, nil, gateError(err)
	}
	j, err := w.db.current(ctx)
	if err != nil {
		return st, nil, err
	}
	targets, err := w.db.targets(ctx, w.o.Tables)
	if err != nil {
		return st, nil, modelError(err)
	}
	if err := sqlwrite.Check(st, writable(targets), j.snapshot.Resolve); err != nil {
		return st, nil, gateError(err)
	}
	edits, err = j.snapshot.Check(st)
	if err != nil {
		return st, nil, gateError(err)
	}
	return st, edits, nil
}

func writable(targets map[string]*target) []sqlwrite.Table {
	var out []sqlwrite.Table
	for _, t := range targets {
		out = append(out, sqlwrite.Table{
			Schema: t.Schema, Name: t.Name, Read: t.Read, Insert: t.Insert, Update: t.Update, Delete: t.Delete,
			Columns: slices.Collect(maps.Keys(t.columns)),
		})
	}
	return out
}

// afterTarget returns what stands after the name of the table that is written, which
// before its columns looks like a function.
func afterTarget(st sqlgate.Statement) []sqllex.Token {
	rest := st.Query[st.Main+1:]
	if len(rest) > 0 && (rest[0].Value == "into" || rest[0].Value == "from") {
		rest = rest[1:]
	}
	if len(rest) >= 3 && rest[1].Is(".") {
		rest = rest[3:]
	}
	return rest
}

// shownSQL is a statement on one line and without comments, in which somebody
// could tell a person what it does.
func shownSQL(tokens []sqllex.Token) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 && !t.Is(".") && !t.Is(",") && !t.Is(")") && !tokens[i-1].Is(".") && !tokens[i-1].Is("(") {
			b.WriteByte(' ')
		}
		b.WriteString(t.Text)
	}
	return b.String()
}
