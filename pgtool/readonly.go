package pgtool

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A Column is a column of an [Answer]. Type is PostgreSQL's name for it, such as
// int8, timestamptz or text[].
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// An Answer is what a statement returned. It is safe for concurrent use.
type Answer struct {
	// Columns may hold a name twice, as the statement may.
	Columns []Column
	// More says that rows were left out, because of Options.MaxRows or
	// Options.MaxBytes.
	More bool

	r     *result
	types *types
	known []typ // of the columns
}

// ReadOnly runs one statement, which only asks, and returns its rows, at most
// Options.MaxRows and Options.MaxBytes of them. No argument makes it write, run
// longer or return more. args are the values of $1, $2 and so on: strings,
// numbers, bools, []byte, time.Time, encoding.TextMarshaler or nil, whose types
// follow from the statement.
//
// The error is a *mcpsec.Error, fit for a model, if the statement or the
// database is at fault. The connection is free when ReadOnly returns.
func (db *DB) ReadOnly(ctx context.Context, sql string, args ...any) (*Answer, error) {
	texts, err := textArgs(args)
	if err != nil {
		return nil, err
	}
	return db.readOnly(ctx, &query{sql: sql, args: texts, maxRows: db.o.MaxRows, maxBytes: db.o.MaxBytes})
}

// readOnly is the only way by which a text that we have not written ourselves
// gets to the server.
func (db *DB) readOnly(ctx context.Context, q *query) (*Answer, error) {
	if err := db.bind(ctx, q); err != nil {
		return nil, err // before the gate looks anything up
	}
	if err := db.check(ctx, q); err != nil {
		return nil, err
	}
	if err := db.affordable(ctx, q); err != nil {
		return nil, err
	}
	return db.answer(ctx, q)
}

// spoils reports whether a statement names a function that can leave something
// in the session which DISCARD ALL does not undo: the names of settings, their
// memory and the state of random(). Functions that run a text can do so too, and
// what users have written is not known. A name that is something else costs no
// more than a connection.
func spoils(tokens []sqllex.Token) bool {
	for i, t := range tokens {
		if !named(t) {
			continue
		}
		if slices.Contains(spoilers, t.Value) || slices.ContainsFunc(spoilerPrefixes, func(p string) bool { return strings.HasPrefix(t.Value, p) }) {
			return true
		}
		if i+3 < len(tokens) && t.Value != "pg_catalog" && tokens[i+1].Is(".") && named(tokens[i+2]) && tokens[i+3].Is("(") {
			return true // a function of a schema
		}
	}
	return false
}

func named(t sqllex.Token) bool {
	return t.Kind == sqllex.Word || t.Kind == sqllex.QuotedWord || t.Kind == sqllex.UnicodeWord
}

var (
	spoilers        = []string{"set_config", "setseed", "ts_stat", "ts_rewrite", "connectby", "xpath_table"}
	spoilerPrefixes = []string{"query_to_xml", "table_to_xml", "schema_to_xml", "database_to_xml", "cursor_to_xml", "dblink", "crosstab"}
)

func gateError(err error) error {
	var refusal *sqlgate.Refusal
	if errors.As(err, &refusal) {
		return &mcpsec.Error{Message: refusal.Error(), Rule: "statement"}
	}
	return err
}

// answer runs a query and learns what its types are.
func (db *DB) answer(ctx context.Context, q *query) (*Answer, error) {
	r, err := db.query(ctx, q)
	if err == nil {
		err = db.learn(ctx, r.fields)
	}
	if err != nil {
		return nil, modelError(shifted(err, q))
	}
	return db.typed(r), nil
}

// typed names the types of a result, as far as they are known.
func (db *DB) typed(r *result) *Answer {
	a := &Answer{Columns: make([]Column, len(r.fields)), More: r.more, r: r, types: &db.types, known: make([]typ, len(r.fields))}
	for i, f := range r.fields {
		t, ok := db.types.of(f.oid)
		if !ok {
			t.name = "oid " + strconv.FormatUint(uint64(f.oid), 10)
		}
		a.Columns[i], a.known[i] = Column{f.name, t.name}, t
	}
	return a
}

// shifted makes a position in what was sent one in the caller's text.
func shifted(err error, q *query) error {
	var reported *pgconn.PgError
	if errors.As(err, &reported) && reported.Position > 0 {
		reported.Position = max(int32(q.edits.Origin(q.given, int(reported.Position))-q.offset), 0)
	}
	return err
}

// Len returns the number of rows.
func (a *Answer) Len() int { return a.r.rows }

// A Row is one row of an [Answer]. It is valid until the next one.
type Row struct {
	a      *Answer
	values [][]byte
}

// Rows calls f with each row, in order, until it returns false. It is an
// iterator for range.
func (a *Answer) Rows(f func(Row) bool) {
	a.r.each(func(values [][]byte) bool { return f(Row{a, values}) })
}

// Text returns the value of column i as the server writes it, with dates in ISO
// form and times in UTC, and whether it is not NULL.
func (r Row) Text(i int) (text string, ok bool) {
	return string(r.values[i]), r.values[i] != nil
}

// AppendJSON appends the row as a JSON array: numbers of up to 32 bits and
// floats as numbers; int8 and numeric as strings, for readers that round them;
// NaN and Infinity as strings; timestamps in RFC 3339; bytea in base64; json
// and arrays embedded; NULL as null; all else as strings, as the server writes
// it.
func (r Row) AppendJSON(b []byte) []byte {
	b = append(b, '[')
	for i, v := range r.values {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.a.types.appendTyped(b, r.a.known[i], v)
	}
	return append(b, ']')
}
