package pgtool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A Condition compares one column with a value. A row whose column is NULL
// fulfils no condition but is_null, as everywhere in SQL, also none that has Not.
type Condition struct {
	Column string `json:"column" validate:"required,max=63"`
	// Op is eq, ne, lt, le, gt or ge; between, whose value is a low and a high
	// one; in, whose value is an array; like or ilike, for texts; is_null or
	// not_null, without a value; contains, for jsonb and arrays; has, for an array
	// of which one element equals the value.
	Op    string          `json:"op" validate:"required,oneof=eq ne lt le gt ge between in like ilike is_null not_null contains has"`
	Value json.RawMessage `json:"value" mcpsec:"any" jsonschema:"as the column's type; between: [low, high]; in: an array"`
	Not   bool            `json:"not" jsonschema:"the opposite"`
}

// A Term is a condition that must hold, or else one of Or.
type Term struct {
	Condition
	Or []Condition `json:"or" validate:"max=20"`
}

// A Where chooses the rows for which each of its terms holds. Any formula can be
// written so, as an AND of ORs. One without terms is an error.
type Where []Term

// boxOID is the type whose arrays have another separator.
const boxOID = 603

// maxList is how many values an in may have.
const maxList = 100

// Build writes the Where for a table with these columns, whose types are named as
// in [Answer].Columns. Its parameters are numbered from first on, and args are
// their values, as texts that the server reads as the columns' types. Nothing of
// the Where but parameters gets into sql: names are those of columns, operators
// those of pg_catalog.
//
// Columns of types that are not PostgreSQL's own can only be asked for NULL.
// Errors are fit for a model: they hold no values, and no names but those of
// columns.
func (w Where) Build(columns []Column, first int) (sql string, args []string, err error) {
	b := whereBuilder{types: new(types), columns: map[string]column{}, first: first}
	for _, c := range columns {
		if !plainName(c.Name) {
			return "", nil, errName
		}
		oid, ok := oids[c.Type]
		b.columns[c.Name] = column{name: c.Name, oid: oid, comparable: ok}
	}
	if sql, err = b.where(w); err != nil {
		return "", nil, err
	}
	for _, a := range b.args {
		args = append(args, string(a)) // no condition compares with NULL
	}
	return sql, args, nil
}

// oids are the builtin types by name.
var oids = func() map[string]uint32 {
	m := map[string]uint32{}
	for oid, t := range builtin {
		if t.name != "text" || oid == 25 { // which the type of literals is called, too
			m[t.name] = oid
		}
	}
	return m
}()

// A column is what has to be known of one to write values for it.
type column struct {
	name       string
	oid        uint32 // of its type, for a domain of what that is made of
	comparable bool   // pg_catalog has the operators that its type means
}

// A whereBuilder writes conditions. All texts that it writes are its own or names
// of columns.
type whereBuilder struct {
	types   *types
	columns map[string]column
	first   int
	args    [][]byte
}

func (b *whereBuilder) where(w Where) (string, error) {
	if len(w) == 0 {
		return "", errors.New("where needs a condition")
	}
	terms := make([]string, len(w))
	for i, t := range w {
		var parts []string
		for _, c := range append([]Condition{t.Condition}, t.Or...) {
			text, err := b.condition(c)
			if err != nil {
				return "", err
			}
			if c.Not {
				text = "NOT (" + text + ")"
			}
			parts = append(parts, "("+text+")")
		}
		terms[i] = strings.Join(parts, " OR ")
		if len(parts) > 1 {
			terms[i] = "(" + terms[i] + ")"
		}
	}
	return strings.Join(terms, " AND "), nil
}

// comparisons are the operators of one value. That they are pg_catalog's is
// written out: one that somebody has made for just these types would else be
// taken.
var comparisons = map[string]string{
	"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "like": "~~", "ilike": "~~*", "contains": "@>",
}

func (b *whereBuilder) condition(c Condition) (string, error) {
	col, ok := b.columns[c.Column]
	if !ok {
		return "", errors.New("a condition names a column that it may not; it may name " + columnNames(b.columns))
	}
	name := quoteName(col.name)
	switch c.Op {
	case "is_null", "not_null":
		if len(c.Value) > 0 && c.Value[0] != 'n' {
			return "", fmt.Errorf("%s takes no value", c.Op)
		}
		return name + map[string]string{"is_null": " IS NULL", "not_null": " IS NOT NULL"}[c.Op], nil
	}
	if err := b.fits(c.Op, col); err != nil {
		return "", err
	}
	switch c.Op {
	case "between":
		return b.between(col, c.Value)
	case "in":
		return b.in(col, c.Value)
	case "has":
		t, _ := b.types.of(col.oid)
		p, err := b.param(column{name: col.name, oid: t.elem}, c.Value)
		return p + " OPERATOR(pg_catalog.=) ANY (" + name + ")", err
	}
	return b.compare(col, c.Op, c.Value)
}

// fits reports whether an operator is for the column's type.
func (b *whereBuilder) fits(op string, col column) error {
	t, _ := b.types.of(col.oid)
	switch {
	case !col.comparable:
		return fmt.Errorf("column %s has a type that only is_null and not_null are for", strconv.Quote(col.name))
	case op == "in" && (t.kind == arrayKind || col.oid == boxOID):
		return errors.New("in is not for columns that are arrays or boxes")
	case op == "has" && t.kind != arrayKind:
		return errors.New("has is for columns that are arrays")
	case op == "contains" && t.kind != arrayKind && t.name != "jsonb":
		return errors.New("contains is for columns that are jsonb or arrays")
	case (op == "like" || op == "ilike") && t.name != "text" && t.name != "varchar" && t.name != "bpchar" && t.name != "name":
		return errors.New("like and ilike are for columns that are texts")
	case comparisons[op] == "" && op != "between" && op != "in" && op != "has":
		return errors.New("there is no such operator")
	}
	return nil
}

func (b *whereBuilder) compare(col column, op string, value []byte) (string, error) {
	p, err := b.param(col, value)
	return quoteName(col.name) + " OPERATOR(pg_catalog." + comparisons[op] + ") " + p, err
}

func (b *whereBuilder) between(col column, value []byte) (string, error) {
	values, err := elements(value)
	if err != nil || len(values) != 2 {
		return "", errors.New("between needs a value that is [low, high]")
	}
	low, err := b.compare(col, "ge", values[0])
	if err != nil {
		return "", err
	}
	high, err := b.compare(col, "le", values[1])
	return "(" + low + ") AND (" + high + ")", err
}

// in compares with one parameter that is an array. A long OR of single ones takes
// some servers minutes, and memory without bound, to plan.
func (b *whereBuilder) in(col column, value []byte) (string, error) {
	values, err := elements(value)
	if err != nil || len(values) == 0 || len(values) > maxList {
		return "", fmt.Errorf("in needs a value that is an array of 1 to %d", maxList)
	}
	text := []byte{'{'}
	for i, v := range values {
		if i > 0 {
			text = append(text, ',')
		}
		elem, err := b.checked(col, v)
		if err != nil {
			return "", err
		}
		text = appendQuoted(text, elem)
	}
	return quoteName(col.name) + " OPERATOR(pg_catalog.=) ANY (" + b.place(append(text, '}')) + ")", nil
}

// param adds a value and returns its place.
func (b *whereBuilder) param(col column, value []byte) (string, error) {
	text, err := b.checked(col, value)
	if err != nil {
		return "", err
	}
	return b.place(text), nil
}

// checked returns a value that is compared as a text.
func (b *whereBuilder) checked(col column, value []byte) ([]byte, error) {
	text, err := b.types.jsonArg(col.oid, value)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the value for column %s %w", strconv.Quote(col.name), err)
	case text == nil:
		return nil, errors.New("a condition needs a value that is not null; is_null and not_null are for that")
	}
	return text, nil
}

func (b *whereBuilder) place(text []byte) string {
	b.args = append(b.args, text)
	return "$" + strconv.Itoa(b.first+len(b.args)-1)
}

// elements splits a JSON array.
func elements(raw []byte) ([][]byte, error) {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '[' {
		return nil, errors.New("must be an array")
	}
	var out [][]byte
	for d.PeekKind() != ']' {
		v, err := d.ReadValue()
		if err != nil {
			return nil, errors.New("must be an array")
		}
		out = append(out, bytes.Clone(v))
	}
	return out, nil
}
