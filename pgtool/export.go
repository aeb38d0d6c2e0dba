package pgtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type exportIn struct {
	SQL    string            `json:"sql" validate:"required,max=20000" jsonschema:"one statement as of pg_query, with params as $1, $2; or TABLE x"`
	Params []json.RawMessage `json:"params" validate:"max=50" mcpsec:"any"`
	Format string            `json:"format" validate:"required,oneof=csv json ndjson"`
}

// embedMost is how large an export may be to be in the answer, where there can be
// a file.
const embedMost = 32 << 10

// ExportTool returns pg_export: the rows of one statement that only asks, as of
// pg_query, as CSV (RFC 4180), JSON or NDJSON. What is small is embedded in the
// answer; more is a file in FileOptions.Root and a link to it. It panics if the
// FileOptions cannot be meant.
//
// Rows are written while they come, so that an export of any size takes some
// megabytes of memory, and may take as long as Options.Timeout in all. One that
// is too large, or fails, leaves nothing: there are no half exports. Values are as
// in the answers of pg_query, in CSV as the server writes them. There NULL is an
// empty cell, and an empty text is "". Secrets are masked when a client reads a file
// by mcpsec.NewFiles, and not in the file.
func ExportTool(db *DB, o FileOptions) *mcpsec.Tool {
	o, err := o.forExport()
	if err != nil {
		panic("pgtool: pg_export: " + err.Error())
	}
	d := &folder{FileOptions: o}
	return mcpsec.NewTool(db.spec("pg_export", fmt.Sprintf("Export rows, at most %d, to a file or, if few, into the answer.", o.MaxRows)),
		func(ctx context.Context, in exportIn) ([]mcpsec.Content, error) { return db.export(ctx, d, in) })
}

func (db *DB) export(ctx context.Context, d *folder, in exportIn) ([]mcpsec.Content, error) {
	args, err := scalarArgs(in.Params)
	if err != nil {
		return nil, err
	}
	q := &query{sql: in.SQL, args: args, maxRows: d.MaxRows}
	if err := db.bind(ctx, q); err != nil {
		return nil, err // before the gate looks anything up
	}
	if err := db.check(ctx, q); err != nil {
		return nil, err
	}
	if err := db.affordable(ctx, q); err != nil {
		return nil, err
	}
	form := forms[in.Format]
	for again := true; ; again = false {
		e := &exporter{ctx: ctx, form: form, types: &db.types, raw: d.RawCells, learned: !again, out: spool{folder: d, name: exportName(form.ext), keep: db.o.MaxBytes}}
		if d.Root != nil {
			e.out.keep = min(embedMost, db.o.MaxBytes)
		}
		err := db.stream(ctx, q, e)
		if err == errUnknownTypes {
			if err := db.learn(ctx, e.fields); err != nil {
				return nil, modelError(err)
			}
			continue
		}
		return e.end(modelError(shifted(err, q)))
	}
}

// A form is one of the formats.
type form struct {
	ext, mime         string
	begin, apart, end string // what stands around and between the rows
}

var forms = map[string]form{
	"csv":    {".csv", "text/csv", "", "", ""},
	"json":   {".json", "application/json", "[", ",\n", "]\n"},
	"ndjson": {".jsonl", "application/jsonl", "", "", ""},
}

// An exporter is the sink of an export.
type exporter struct {
	ctx     context.Context
	form    form
	types   *types
	raw     bool
	learned bool
	fields  []field
	keys    [][]byte // of an object, as JSON with the colon
	out     spool
	line    []byte
	rows    int
	marked  int // cells with an apostrophe
}

// errUnknownTypes asks for another try when the types of the fields are known: to
// ask for them takes a connection, of which there may be one.
var errUnknownTypes = errors.New("types that are not known yet")

func (e *exporter) begin(fields []field) error {
	e.fields = fields
	for _, f := range fields {
		if _, ok := e.types.of(f.oid); !ok && !e.learned {
			return errUnknownTypes
		}
	}
	if len(fields) == 0 {
		return &mcpsec.Error{Message: "the statement returns no columns", Rule: "columns"}
	}
	if e.form.ext == ".csv" {
		return e.header()
	}
	seen := map[string]bool{}
	for i, f := range fields {
		if seen[f.name] {
			return &mcpsec.Error{Message: fmt.Sprintf("columns %d and another have the same name, which an object cannot have twice: use AS, or csv", i+1), Rule: "columns"}
		}
		seen[f.name] = true
		e.keys = append(e.keys, append(appendString(nil, []byte(f.name)), ':'))
	}
	_, err := e.out.Write([]byte(e.form.begin))
	return err
}

func (e *exporter) row(values [][]byte) error {
	b := e.line[:0]
	if e.rows > 0 {
		b = append(b, e.form.apart...)
	}
	if e.form.ext == ".csv" {
		b = e.cells(b, values)
	} else {
		b = e.object(b, values)
	}
	e.rows++
	e.line = b
	_, err := e.out.Write(b)
	return err
}

func (e *exporter) object(b []byte, values [][]byte) []byte {
	for i, v := range values {
		if b = append(b, ','); i == 0 {
			b[len(b)-1] = '{'
		}
		b = e.types.appendValue(append(b, e.keys[i]...), e.fields[i].oid, v)
	}
	b = append(b, '}')
	if e.form.ext == ".jsonl" {
		b = append(b, '\n')
	}
	return b
}

func (e *exporter) pause() {
	mcpsec.Progress(e.ctx, float64(e.rows), 0, fmt.Sprintf("%d rows", e.rows))
}

// end makes the answer, or removes what there is of a file.
func (e *exporter) end(err error) ([]mcpsec.Content, error) {
	if err == nil {
		_, err = e.out.Write([]byte(e.form.end))
	}
	inFile := e.out.file != nil
	if err == nil {
		err = e.out.finish()
	}
	if err != nil {
		if removing := e.out.discard(); removing != nil {
			mcpsec.Logger(e.ctx).Warn("an incomplete export could not be removed", "err", removing)
		}
		return nil, err
	}
	text := fmt.Sprintf("%d rows, %d bytes", e.rows, e.out.size)
	if e.marked > 0 {
		text += fmt.Sprintf("; %d cells that a spreadsheet could take for formulas have an apostrophe before them", e.marked)
	}
	c := mcpsec.Content{URI: e.out.folder.URI + e.out.name, MIMEType: e.form.mime}
	switch {
	case inFile:
		c.Name = e.out.name
	case e.out.folder.URI == "":
		c.URI = "pg://export/" + e.out.name // an address that is not served
		fallthrough
	default:
		c.Text = string(e.out.buf)
	}
	return []mcpsec.Content{{Text: text}, c}, nil
}
