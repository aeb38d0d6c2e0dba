package pgtool

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqledit"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A change is one statement that writes, and what must be true of it.
type change struct {
	sql       string
	args      [][]byte
	returning bool
	verb      string // as in "deletes"
	table     string // title
	detail    string // for a person: what is set, and where
	title     string // of a named statement, which stands in for these
	expect    *int   // rows
	tenant    *binding
	most      int  // rows that it may change in all, if not MaxAffected
	written   bool // by the caller, who can use a position in it
	given     string
	edits     sqledit.Edits // of given, for sql
	spoils    bool          // it may leave something in the session that DISCARD ALL does not

	rows   [][][]byte     // of an import, whose statement is run with each of them
	told   func(done int) // of so many rows
	source string         // tells one import from another
}

// denied is the refusal of what the operator has not listed.
func denied(format string, args ...any) error {
	return &mcpsec.Error{Message: fmt.Sprintf(format, args...), Rule: "table"}
}

// badArgument is a refusal that says what is wrong with an argument.
func badArgument(err error) error { return &mcpsec.Error{Message: err.Error(), Rule: "arguments"} }

// may says for which tables an operation is allowed.
var may = map[string]func(*target) bool{
	"insert": func(t *target) bool { return len(t.Insert) > 0 },
	"update": func(t *target) bool { return len(t.Update) > 0 && len(t.Read) > 0 },
	"upsert": func(t *target) bool { return len(t.Key) > 0 && len(t.Update) > 0 },
	"delete": func(t *target) bool { return t.Delete },
}

func (w *Writer) titles(op string) []string {
	var out []string
	for title, t := range w.targets {
		if may[op](t) {
			out = append(out, title)
		}
	}
	slices.Sort(out)
	return out
}

func (w *Writer) target(op, title string) (*target, error) {
	t := w.targets[title]
	if t == nil || !may[op](t) {
		return nil, denied("%s is not allowed for this table, or there is no such table; it is allowed for %s", op, strings.Join(w.titles(op), ", "))
	}
	return t, nil
}

type row = map[string]json.RawMessage

// A builder writes one statement about a table.
type builder struct {
	whereBuilder
	t *target
	s strings.Builder
}

func (w *Writer) builder(t *target) *builder {
	return &builder{whereBuilder: whereBuilder{types: &w.db.types, columns: t.pick(t.Read), first: 1}, t: t}
}

// value writes a value for a column. Unlike one that is compared, it may be NULL.
func (b *builder) value(c column, raw json.RawMessage) error {
	text, err := b.types.jsonArg(c.oid, raw)
	if err != nil {
		return badArgument(fmt.Errorf("the value for column %s %w", strconv.Quote(c.name), err))
	}
	b.s.WriteString(b.place(text))
	return nil
}

// listed returns the columns of a row in order, if all of them may be given.
func (b *builder) listed(given row, allowed []string) ([]string, error) {
	names := slices.Sorted(maps.Keys(given))
	for _, n := range names {
		if !slices.Contains(allowed, n) {
			return nil, denied("a column is not allowed here, or there is no such column; allowed for %s: %s", b.t.title(), strings.Join(allowed, ", "))
		}
	}
	if len(names) == 0 {
		return nil, badArgument(errors.New("at least one column needs a value"))
	}
	return names, nil
}

func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quoteName(n)
	}
	return strings.Join(quoted, ", ")
}

// finish ends the statement.
func (b *builder) finish(verb, detail string, returning []string, expect *int) (*change, error) {
	for _, n := range returning {
		if !slices.Contains(b.t.Read, n) {
			return nil, denied("returning names a column that it may not; it may name %s", columnNames(b.columns))
		}
	}
	if len(returning) > 0 {
		b.s.WriteString(" RETURNING " + quotedList(returning))
	}
	return &change{
		sql: b.s.String(), args: b.args, returning: len(returning) > 0,
		verb: verb, table: b.t.title(), detail: detail, expect: expect,
	}, nil
}

type insertIn struct {
	Table     string   `json:"table" validate:"required,max=127" jsonschema:"schema.table"`
	Rows      []row    `json:"rows" validate:"min=1,max=100,dive,min=1,max=100,dive,keys,max=63,endkeys" mcpsec:"any" jsonschema:"each maps columns to values; a column left out gets its default"`
	Returning []string `json:"returning" validate:"max=100,dive,max=63"`
}

func (w *Writer) insert(in insertIn) (*change, error) {
	t, err := w.target("insert", in.Table)
	if err != nil {
		return nil, err
	}
	b := w.builder(t)
	if _, err := b.values(in.Rows, false); err != nil {
		return nil, err
	}
	return b.finish("inserts", "", in.Returning, nil)
}

// values writes INSERT … VALUES …. Of rows that are alike each has the same
// columns; others get defaults for what they lack.
func (b *builder) values(rows []row, alike bool) ([]string, error) {
	union := row{}
	for _, r := range rows {
		if _, err := b.listed(r, b.t.Insert); err != nil {
			return nil, err
		}
		maps.Copy(union, r)
	}
	names := slices.Sorted(maps.Keys(union))
	fmt.Fprintf(&b.s, "INSERT INTO %s (%s) VALUES ", b.t.ident, quotedList(names))
	for i, r := range rows {
		if alike && len(r) != len(names) {
			return nil, badArgument(errors.New("all rows need values for the same columns"))
		}
		if i > 0 {
			b.s.WriteString(", ")
		}
		if err := b.tuple(names, r); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (b *builder) tuple(names []string, r row) error {
	b.s.WriteString("(")
	for i, n := range names {
		if i > 0 {
			b.s.WriteString(", ")
		}
		raw, ok := r[n]
		if !ok {
			b.s.WriteString("DEFAULT")
			continue
		}
		if err := b.value(b.t.columns[n], raw); err != nil {
			return err
		}
	}
	b.s.WriteString(")")
	return nil
}

type upsertIn struct {
	Table     string   `json:"table" validate:"required,max=127" jsonschema:"schema.table"`
	Rows      []row    `json:"rows" validate:"min=1,max=100,dive,min=1,max=100,dive,keys,max=63,endkeys" mcpsec:"any" jsonschema:"each maps columns to values, the key's among them"`
	Returning []string `json:"returning" validate:"max=100,dive,max=63"`
}

// upsert overwrites what it is given and may be updated. A column of a new row
// that must not be overwritten is not allowed: it would be lost without a word.
func (w *Writer) upsert(in upsertIn) (*change, error) {
	t, err := w.target("upsert", in.Table)
	if err != nil {
		return nil, err
	}
	b := w.builder(t)
	names, err := b.values(in.Rows, true)
	if err != nil {
		return nil, err
	}
	var sets []string
	for _, n := range names {
		switch {
		case slices.Contains(t.Key, n):
		case !slices.Contains(t.Update, n):
			return nil, denied("a column is given that must not be overwritten; for %s these may: %s", t.title(), strings.Join(t.Update, ", "))
		default:
			sets = append(sets, quoteName(n)+" = EXCLUDED."+quoteName(n))
		}
	}
	for _, k := range t.Key {
		if !slices.Contains(names, k) {
			return nil, badArgument(fmt.Errorf("each row needs a value for the key: %s", strings.Join(t.Key, ", ")))
		}
	}
	if len(sets) == 0 {
		return nil, badArgument(errors.New("each row needs a value for a column beside the key"))
	}
	fmt.Fprintf(&b.s, " ON CONFLICT (%s) DO UPDATE SET %s", quotedList(t.Key), strings.Join(sets, ", "))
	return b.finish("inserts or overwrites", "by "+strings.Join(t.Key, ", ")+": "+rowsText(in.Rows), in.Returning, nil)
}

type updateIn struct {
	Table     string   `json:"table" validate:"required,max=127" jsonschema:"schema.table"`
	Set       row      `json:"set" validate:"min=1,max=100,dive,keys,max=63,endkeys" mcpsec:"any" jsonschema:"columns and their new values"`
	Where     Where    `json:"where" validate:"min=1,max=20" jsonschema:"each must hold, or one of its or"`
	Expect    *int     `json:"expect" validate:"omitempty,min=1,max=10000" jsonschema:"rows that must match, or nothing is changed; with the values read before in where, nobody else's change is overwritten"`
	Returning []string `json:"returning" validate:"max=100,dive,max=63"`
}

func (w *Writer) update(in updateIn) (*change, error) {
	t, err := w.target("update", in.Table)
	if err != nil {
		return nil, err
	}
	b := w.builder(t)
	names, err := b.listed(in.Set, t.Update)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b.s, "UPDATE %s SET ", t.ident)
	for i, n := range names {
		if i > 0 {
			b.s.WriteString(", ")
		}
		b.s.WriteString(quoteName(n) + " = ")
		if err := b.value(t.columns[n], in.Set[n]); err != nil {
			return nil, err
		}
	}
	if err := b.writeWhere(in.Where); err != nil {
		return nil, err
	}
	return b.finish("updates", "set "+rowsText([]row{in.Set})+" where "+in.Where.text(), in.Returning, in.Expect)
}

func (b *builder) writeWhere(w Where) error {
	text, err := b.where(w)
	if err != nil {
		return badArgument(err)
	}
	b.s.WriteString(" WHERE " + text)
	return nil
}

type deleteIn struct {
	Table     string   `json:"table" validate:"required,max=127" jsonschema:"schema.table"`
	Where     Where    `json:"where" validate:"min=1,max=20" jsonschema:"each must hold, or one of its or"`
	Expect    *int     `json:"expect" validate:"omitempty,min=1,max=10000" jsonschema:"rows that must match, or nothing is changed"`
	Returning []string `json:"returning" validate:"max=100,dive,max=63"`
}

func (w *Writer) delete(in deleteIn) (*change, error) {
	t, err := w.target("delete", in.Table)
	if err != nil {
		return nil, err
	}
	b := w.builder(t)
	fmt.Fprintf(&b.s, "DELETE FROM %s", t.ident)
	if err := b.writeWhere(in.Where); err != nil {
		return nil, err
	}
	return b.finish("deletes", "where "+in.Where.text(), in.Returning, in.Expect)
}
