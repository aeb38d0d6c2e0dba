package pgtool

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/internal/strictjson"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A namedOut is what a named query returns.
type namedOut[Out any] struct {
	Rows      []Out `json:"rows"`
	Truncated bool  `json:"truncated"`
}

// NamedQuery makes a tool of one statement that only reads. In is the tool's
// input, as of [mcpsec.NewTool]; :name in the statement stands for its member of
// that name, as a parameter whose type the server infers: no value gets into the
// text. A nil pointer or slice is NULL.
//
// Out is a row: a struct with a member for each column and none besides, of a
// type that holds the values exactly. int8 needs an int64, numeric a string,
// timestamptz a time.Time, bytea a []byte, json a json.RawMessage, an array of one
// dimension a slice; any type fits a string, as the server writes it; a column
// that may be NULL needs a pointer. A value that does not fit is an internal
// error.
//
// Options.Mask holds for it as for a caller's own statement, though for nothing else
// in it anything is refused: a masked column cannot get out by a query of another
// hand.
//
// The spec's Effect defaults to Read, and its Labels are Private and Untrusted in
// any case. Rows, bytes and time are bounded by the Options. NamedQuery panics,
// naming the tool, if the statement does not only ask, or does not use just the
// members of In: it runs at start, from constants.
func NamedQuery[In, Out any](db *DB, spec mcpsec.ToolSpec, statement SQL) *mcpsec.Tool {
	if spec.Effect == 0 {
		spec.Effect = mcpsec.Read
	}
	n, err := newNamed[In, Out](statement)
	if err == nil {
		err = n.checkReads(spec)
	}
	if err != nil {
		panic(fmt.Sprintf("pgtool: named query %q: %v", spec.Name, err))
	}
	return mcpsec.NewTool(fillSpec(spec, db.spec("", "")), func(ctx context.Context, in In) (out namedOut[Out], err error) {
		args, err := n.args(in)
		if err != nil {
			return out, err
		}
		q := &query{sql: n.sql, args: args, spoils: n.spoils, maxRows: db.o.MaxRows, maxBytes: db.o.MaxBytes}
		if err := db.mask(ctx, q); err != nil {
			return out, err
		}
		r, err := db.query(ctx, q)
		if err != nil {
			return out, modelError(err)
		}
		return decodeRows[Out](n, r)
	})
}

// NamedWrite makes a tool of one statement that writes: INSERT, UPDATE, DELETE or
// MERGE, also behind WITH. It is as [NamedQuery] in all else, with the rows of
// RETURNING, and is bound by what WriteOptions say of affected rows and by what the
// role may do. The spec's Effect must be Write or Destroy: of the latter a person
// is asked, with the arguments and with what it was counted to do.
func NamedWrite[In, Out any](w *Writer, spec mcpsec.ToolSpec, statement SQL) *mcpsec.Tool {
	n, err := newNamed[In, Out](statement)
	if err == nil {
		err = n.checkWrites(spec)
	}
	if err != nil {
		panic(fmt.Sprintf("pgtool: named write %q: %v", spec.Name, err))
	}
	build := func(in In) (*change, error) {
		args, err := n.args(in)
		return &change{sql: n.sql, args: args, returning: true, verb: "runs", table: spec.Name, title: n.title(spec.Name, args)}, err
	}
	full := fillSpec(spec, w.spec("", "", spec.Effect))
	if spec.Effect == mcpsec.Destroy {
		full.Guards = append(slices.Clone(full.Guards), preview(w, build))
	}
	return mcpsec.NewTool(full, func(ctx context.Context, in In) (out namedOut[Out], err error) {
		ch, err := build(in)
		if err != nil {
			return out, err
		}
		judge := w.judge(ctx, ch, spec.Effect)
		_, err = w.transact(ctx, ch, func(o *outcome) error {
			if err := judge(o); err != nil {
				return err
			}
			var err error
			out, err = decodeRows[Out](n, &o.result) // before COMMIT: an error must not hide what was done
			return err
		})
		if err != nil {
			return out, changeError(ctx, err)
		}
		return out, nil
	})
}

// fillSpec fills in what a spec leaves out.
func fillSpec(spec, base mcpsec.ToolSpec) mcpsec.ToolSpec {
	spec.Labels |= base.Labels
	if spec.Timeout == 0 {
		spec.Timeout = base.Timeout
	}
	if spec.MaxResult == 0 {
		spec.MaxResult = base.MaxResult
	}
	spec.Waive = slices.Concat(spec.Waive, base.Waive)
	spec.Scopes = slices.Concat(spec.Scopes, base.Scopes)
	return spec
}

// A namedSQL is a statement with numbers for the names of its parameters.
type namedSQL struct {
	sql    string
	spoils bool
	tokens []sqllex.Token
	params []strictjson.Field // of In, by number
	fields []strictjson.Field // of Out
}

func newNamed[In, Out any](statement SQL) (*namedSQL, error) {
	n := &namedSQL{}
	for _, t := range []reflect.Type{reflect.TypeFor[In](), reflect.TypeFor[Out]()} {
		if t.Kind() != reflect.Struct {
			return nil, fmt.Errorf("type %s must be a struct", t)
		}
	}
	in, err := strictjson.Fields(reflect.TypeFor[In]())
	if err != nil {
		return nil, err
	}
	if n.fields, err = strictjson.Fields(reflect.TypeFor[Out]()); err != nil {
		return nil, err
	}
	if n.tokens, err = sqllex.Scan(statement.text); err != nil {
		return nil, err
	}
	if err := n.number(statement.text, in); err != nil {
		return nil, err
	}
	for _, f := range n.params {
		if _, err := argOf(reflect.Zero(f.Type)); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.JSON, err)
		}
	}
	for _, f := range n.fields {
		if !holdsColumn(f.Type) {
			return nil, fmt.Errorf("field %s: type %s holds no column", f.JSON, f.Type)
		}
	}
	return n, nil
}

// number puts $1 in the place of the first name, and so on.
func (n *namedSQL) number(text string, in []strictjson.Field) error {
	var b strings.Builder
	numbers := map[string]int{}
	from := 0
	for i, t := range n.tokens {
		switch {
		case t.Kind == sqllex.Param:
			return errors.New("parameters have names here, as in :id")
		case !t.Is(":") || i+1 == len(n.tokens) || n.tokens[i+1].Kind != sqllex.Word || n.tokens[i+1].Pos != t.End():
			continue
		}
		name := n.tokens[i+1].Text
		if numbers[name] == 0 {
			at := slices.IndexFunc(in, func(f strictjson.Field) bool { return f.JSON == name })
			if at < 0 {
				return fmt.Errorf("the input has no member for :%s", name)
			}
			n.params = append(n.params, in[at])
			numbers[name] = len(n.params)
		}
		b.WriteString(text[from:t.Pos] + "$" + strconv.Itoa(numbers[name]))
		from = n.tokens[i+1].End()
	}
	for _, f := range in {
		if numbers[f.JSON] == 0 {
			return fmt.Errorf("the statement does not use the input's member %s", f.JSON)
		}
	}
	n.sql = b.String() + text[from:]
	return nil
}

func (n *namedSQL) checkReads(spec mcpsec.ToolSpec) error {
	if spec.Effect != mcpsec.Read {
		return errors.New("the Effect must be Read: NamedWrite is for others")
	}
	s, err := sqlgate.Check(n.sql, sqlgate.Options{})
	n.sql, n.spoils = s.SQL, spoils(s.Query)
	return err
}

func (n *namedSQL) checkWrites(spec mcpsec.ToolSpec) error {
	if spec.Effect != mcpsec.Write && spec.Effect != mcpsec.Destroy {
		return errors.New("the Effect must be Write or Destroy")
	}
	first := ""
	for i, t := range n.tokens {
		if i == 0 && t.Kind == sqllex.Word {
			first = t.Value
		}
		if t.Is(";") {
			return errors.New("the statement must be one, without a semicolon")
		}
	}
	if !slices.Contains([]string{"insert", "update", "delete", "merge", "with"}, first) {
		return errors.New("the statement must begin with INSERT, UPDATE, DELETE, MERGE or WITH")
	}
	return nil
}

// title is what a person reads that the statement is run with.
func (n *namedSQL) title(tool string, args [][]byte) string {
	parts := make([]string, len(args))
	for i, a := range args {
		value := "null"
		if a != nil {
			value = strconv.Quote(string(a))
		}
		parts[i] = n.params[i].JSON + " = " + value
	}
	return "runs " + tool + " with " + strings.Join(parts, ", ")
}
