package pgtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type writeOut struct {
	Affected  int               `json:"affected"`
	Tables    told[counts]      `json:"tables" jsonschema:"rows by table, those of triggers and cascades too"`
	Columns   told[Column]      `json:"columns,omitempty" jsonschema:"name and type"`
	Rows      []json.RawMessage `json:"rows,omitempty"`
	Truncated bool              `json:"truncated,omitempty"`
}

// WriteTools returns the tools that write: pg_insert, pg_update, pg_upsert and
// pg_delete, those that the tables of w allow, and pg_dry_run, which tells what
// one of them would do, and pg_execute if WriteOptions.Execute is set. pg_delete asks a person, and so do pg_update and
// pg_upsert unless WriteOptions.Overwrite says that old values are kept: the
// question tells how many rows of which tables are touched, as counted by a run
// that was rolled back. If the run after the yes comes to other numbers it is
// rolled back, too.
func WriteTools(w *Writer) []*mcpsec.Tool {
	tools := []*mcpsec.Tool{}
	add := func(op string, t func() *mcpsec.Tool) {
		if len(w.titles(op)) > 0 {
			tools = append(tools, t())
		}
	}
	add("insert", func() *mcpsec.Tool {
		return changeTool(w, "insert", "Insert rows into a PostgreSQL table, all or none.", mcpsec.Write, w.insert)
	})
	add("update", func() *mcpsec.Tool {
		return changeTool(w, "update", "Update rows of a PostgreSQL table that a where chooses.", w.o.Overwrite, w.update)
	})
	add("upsert", func() *mcpsec.Tool {
		return changeTool(w, "upsert", "Insert rows into a PostgreSQL table, or overwrite those with the same key.", w.o.Overwrite, w.upsert)
	})
	add("delete", func() *mcpsec.Tool {
		return changeTool(w, "delete", "Delete rows of a PostgreSQL table that a where chooses.", mcpsec.Destroy, w.delete)
	})
	if w.o.Execute {
		tools = append(tools, executeTool(w))
	}
	return append(tools, dryRunTool(w))
}

// spec is what the tools have in common. A call may take as long as three runs of
// its statement, two of them for the question, with a COMMIT and the search for
// what became of it.
func (w *Writer) spec(name, description string, effect mcpsec.Effect) mcpsec.ToolSpec {
	s := w.db.spec(name, description)
	s.Effect = effect
	s.Timeout = 3*w.runLimit() + commitLimit + resolveLimit
	s.Narrow = "name fewer columns in returning"
	return s
}

func changeTool[In any](w *Writer, op, description string, effect mcpsec.Effect, build func(In) (*change, error)) *mcpsec.Tool {
	spec := w.spec("pg_"+op, fmt.Sprintf("%s One transaction; more than %d rows are refused. Tables: %s. int8 and numeric may be strings, "+
		"bytea is base64.", description, w.o.MaxAffected, w.list(op)), effect)
	if effect == mcpsec.Destroy {
		spec.Guards = []mcpsec.Guard{preview(w, build)}
	}
	spec.InputSchema = brief(reflect.TypeFor[In](), nil)
	return mcpsec.NewTool(spec, func(ctx context.Context, in In) (writeOut, error) {
		ch, err := build(in)
		if err != nil {
			return writeOut{}, err
		}
		return w.run(ctx, ch, w.judge(ctx, ch, effect))
	})
}

// list names tables, as many as a description has room for.
func (w *Writer) list(op string) string {
	return some(w.titles(op))
}

// some is a list that is not too long.
func some(titles []string) string {
	const most = 20
	if len(titles) > most {
		return strings.Join(titles[:most], ", ") + " and more"
	}
	return strings.Join(titles, ", ")
}

// preview is the guard that asks a person. It leaves what it has counted for the
// handler.
func preview[In any](w *Writer, build func(In) (*change, error)) mcpsec.Guard {
	return previewOf(w, func(_ context.Context, in In) (*change, error) { return build(in) })
}

func previewOf[In any](w *Writer, build func(context.Context, In) (*change, error)) mcpsec.Guard {
	return func(ctx context.Context, c *mcpsec.Call) error {
		var does string
		ask := mcpsec.Preview(func(ctx context.Context, in In) (string, error) {
			ch, err := build(ctx, in)
			if err != nil {
				return "", err
			}
			o, err := w.dryRun(ctx, ch)
			if err != nil {
				return "", err
			}
			does = ch.source + o.digest()
			return o.named(ch.text(o)), nil
		})
		err := ask(ctx, c)
		if does != "" {
			w.remember(c.ID, does)
			c.After(func(context.Context, time.Duration) { w.forget(c.ID) })
		}
		return err
	}
}

// judge decides on a change that is about to be committed.
func (w *Writer) judge(ctx context.Context, ch *change, effect mcpsec.Effect) verdict {
	return func(o *outcome) error {
		if err := w.bounded(ch, o); err != nil || effect != mcpsec.Destroy {
			return err
		}
		switch does, ok := w.remembered(mcpsec.CallID(ctx)); {
		case !ok:
			return errors.New("a change that nobody was asked about")
		case does != ch.source+o.digest():
			return &mcpsec.Error{Message: fmt.Sprintf("the rows have changed since they were counted, and it would now be %d of %s (in all: %s): call again to have that confirmed", o.affected, ch.table, o.does()), Rule: "count"}
		}
		return nil
	}
}

// bounded refuses a change of more rows than are allowed or expected.
func (w *Writer) bounded(ch *change, o *outcome) error {
	sum := 0
	for _, t := range o.tables {
		sum += t.sum()
	}
	switch {
	case max(o.affected, sum) > w.most(ch):
		return &mcpsec.Error{Message: fmt.Sprintf("it would change more than %d rows, those of triggers and cascades included: choose fewer", w.most(ch)), Rule: "rows"}
	case ch.expect != nil && o.affected != *ch.expect:
		return &mcpsec.Error{Message: fmt.Sprintf("it would change %d rows of %s and not %d: they are gone, or were changed since they were read; read them again", o.affected, ch.table, *ch.expect), Rule: "expect"}
	}
	return nil
}

// most is how many rows a change may touch.
func (w *Writer) most(ch *change) int { return or(ch.most, w.o.MaxAffected) }

// dryRun tells what a change would do.
func (w *Writer) dryRun(ctx context.Context, ch *change) (*outcome, error) {
	o, err := w.transact(ctx, ch, func(o *outcome) error {
		if err := w.bounded(ch, o); err != nil {
			return err
		}
		return errUndone
	})
	if err != errUndone {
		return nil, changeError(ctx, err)
	}
	return o, nil
}

func (w *Writer) run(ctx context.Context, ch *change, judge verdict) (writeOut, error) {
	o, err := w.transact(ctx, ch, judge)
	if err != nil {
		return writeOut{}, changeError(ctx, err)
	}
	return w.out(ctx, o), nil
}

// out is the answer to a change. A type whose name cannot be had now has none:
// what was committed must not look as if it had failed.
func (w *Writer) out(ctx context.Context, o *outcome) writeOut {
	out := writeOut{Affected: o.affected, Tables: o.tables}
	if out.Tables == nil {
		out.Tables = told[counts]{}
	}
	if len(o.fields) == 0 {
		return out
	}
	a := w.db.typed(&o.result)
	out.Columns = a.Columns
	out.Rows, out.Truncated = a.rowsJSON(w.o.MaxBytes)
	return out
}

type dryRunIn struct {
	Operation string `json:"operation" validate:"required,oneof=insert update upsert delete"`
	Table     string `json:"table" validate:"required,max=127" jsonschema:"schema.table"`
	Rows      []row  `json:"rows" validate:"max=100,dive,min=1,max=100,dive,keys,max=63,endkeys" mcpsec:"any" jsonschema:"of an insert or upsert"`
	Set       row    `json:"set" validate:"max=100,dive,keys,max=63,endkeys" mcpsec:"any" jsonschema:"of an update"`
	Where     Where  `json:"where" validate:"max=20" jsonschema:"of an update or delete"`
}

type dryRunOut struct {
	Would    string       `json:"would"`
	Affected int          `json:"affected"`
	Tables   told[counts] `json:"tables" jsonschema:"rows by table, those of triggers and cascades too"`
}

// dryRunTool returns pg_dry_run. It is no Read: it takes locks and runs triggers,
// and sequences that it takes numbers from do not go back.
func dryRunTool(w *Writer) *mcpsec.Tool {
	spec := w.spec("pg_dry_run", "Tell what pg_insert, pg_update, pg_upsert or pg_delete would do, in a transaction that is rolled back.", mcpsec.Write)
	spec.InputSchema = brief(reflect.TypeFor[dryRunIn](), map[string]string{"rows": "pg_insert or pg_upsert", "set": "pg_update", "where": "pg_update or pg_delete"})
	return mcpsec.NewTool(spec,
		func(ctx context.Context, in dryRunIn) (dryRunOut, error) {
			ch, err := w.dryChange(in)
			if err != nil {
				return dryRunOut{}, err
			}
			o, err := w.dryRun(ctx, ch)
			if err != nil {
				return dryRunOut{}, err
			}
			out := w.out(ctx, o)
			return dryRunOut{Would: ch.text(o), Affected: out.Affected, Tables: out.Tables}, nil
		})
}

func (w *Writer) dryChange(in dryRunIn) (*change, error) {
	rows := in.Operation == "insert" || in.Operation == "upsert"
	if rows != (len(in.Rows) > 0) || !rows != (len(in.Where) > 0) || (in.Operation == "update") != (len(in.Set) > 0) {
		return nil, badArgument(errors.New("an insert or upsert needs rows, an update set and where, a delete where, and none of them takes more"))
	}
	switch in.Operation {
	case "insert":
		return w.insert(insertIn{Table: in.Table, Rows: in.Rows})
	case "upsert":
		return w.upsert(upsertIn{Table: in.Table, Rows: in.Rows})
	case "update":
		return w.update(updateIn{Table: in.Table, Set: in.Set, Where: in.Where})
	}
	return w.delete(deleteIn{Table: in.Table, Where: in.Where})
}
