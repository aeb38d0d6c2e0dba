package pgtool

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type importIn struct {
	Table  string `json:"table" validate:"required,max=127" jsonschema:"schema.table"`
	Format string `json:"format" validate:"required,oneof=csv json ndjson"`
	Data   string `json:"data" validate:"max=262144" jsonschema:"CSV begins with the columns' names; JSON is a list of objects"`
	File   string `json:"file" validate:"max=200" jsonschema:"name of one, instead of data"`
}

// ImportTool returns pg_import: rows for one table of w, into columns that
// Table.Insert lists, as CSV (RFC 4180), JSON or NDJSON that comes with the call or
// lies in FileOptions.Root. It panics if the FileOptions cannot be meant.
//
// Everything is read and checked before anything is sent. The rows are then
// inserted one by one in one transaction, all or none, where an error names its row;
// rows with a key that there is already are an error. A person is asked, with the
// counts of a run that was rolled back and the SHA-256 of the contents, and what
// is then another file, or comes to other counts, changes nothing. In CSV an empty
// cell is NULL, and "" an empty text.
func ImportTool(w *Writer, o FileOptions) *mcpsec.Tool {
	o, err := o.forImport()
	if err != nil {
		panic("pgtool: pg_import: " + err.Error())
	}
	build := func(ctx context.Context, in importIn) (*change, error) { return w.imports(ctx, o, in) }
	spec := w.spec("pg_import", fmt.Sprintf("Insert rows of a text or file, at most %d, all or none; a person confirms. Tables: %s.", o.MaxRows, w.list("insert")), mcpsec.Write)
	spec.Guards = []mcpsec.Guard{previewOf(w, build)}
	return mcpsec.NewTool(spec, func(ctx context.Context, in importIn) (changeOut, error) {
		ch, err := build(ctx, in)
		if err != nil {
			return changeOut{}, err
		}
		o, err := w.transact(ctx, ch, w.judge(ctx, ch, mcpsec.Destroy))
		if err != nil {
			return changeOut{}, changeError(ctx, err)
		}
		return o.out(), nil
	})
}

// imports makes the change of an import.
func (w *Writer) imports(ctx context.Context, o FileOptions, in importIn) (*change, error) {
	t, err := w.target("insert", in.Table)
	if err != nil {
		return nil, err
	}
	data, err := o.source(in)
	if err != nil {
		return nil, err
	}
	s, err := readSheet(in.Format, data, o.MaxRows)
	if err != nil {
		return nil, badArgument(err)
	}
	for _, name := range s.columns {
		if !slices.Contains(t.Insert, name) {
			return nil, denied("a column is not allowed here, or there is no such column; allowed for %s: %s", t.title(), strings.Join(t.Insert, ", "))
		}
	}
	rows, err := w.sheetArgs(t, s)
	if err != nil {
		return nil, badArgument(err)
	}
	from := "the call"
	if in.File != "" {
		from = "the file " + strconv.Quote(in.File)
	}
	source := fmt.Sprintf("imports %d rows into %s (%s) from %s, SHA-256 %x", len(rows), t.title(), strings.Join(s.columns, ", "), from, sha256.Sum256(data))
	return &change{
		sql: importSQL(t, s.columns), rows: rows, verb: "inserts", table: t.title(), most: o.MaxRows,
		title: source, source: source, told: w.tells(ctx, len(rows)),
	}, nil
}

// tells returns what reports how far an import has come, through a run for the
// question and one after it.
func (w *Writer) tells(ctx context.Context, total int) func(int) {
	before := 0
	if _, again := w.remembered(mcpsec.CallID(ctx)); again {
		before = total
	}
	return func(done int) { mcpsec.Progress(ctx, float64(before+done), float64(2*total), "") }
}

// source returns the text that is imported.
func (o FileOptions) source(in importIn) ([]byte, error) {
	switch {
	case in.File != "" && in.Data != "":
		return nil, badArgument(errors.New("an import has data or a file, not both"))
	case in.File != "":
		return o.read(in.File)
	case int64(len(in.Data)) > o.MaxBytes:
		return nil, &mcpsec.Error{Message: fmt.Sprintf("data has more than %d bytes: split it", o.MaxBytes), Rule: "bytes"}
	}
	return []byte(in.Data), nil
}

func importSQL(t *target, columns []string) string {
	places := make([]string, len(columns))
	for i := range columns {
		places[i] = "$" + strconv.Itoa(i+1)
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", t.ident, quotedList(columns), strings.Join(places, ", "))
}

// sheetArgs writes the cells as the text of parameters. Which texts a type takes is
// for the server to say, but for those of which it would drop a part.
func (w *Writer) sheetArgs(t *target, s *sheet) ([][][]byte, error) {
	for i, row := range s.rows {
		for k, name := range s.columns {
			oid := t.columns[name].oid
			var err error
			if s.json {
				row[k], err = w.db.types.importArg(oid, row[k])
			} else if row[k] != nil {
				typ, _ := w.db.types.of(oid)
				err = dropped(typ, string(row[k]))
			}
			if err != nil {
				return nil, fmt.Errorf("row %d: the value for column %s %w", i+1, strconv.Quote(name), err)
			}
		}
	}
	return s.rows, nil
}

// importArg is jsonArg for a value that nobody has bounded so far.
func (ts *types) importArg(oid uint32, raw []byte) ([]byte, error) {
	if !embeddable(raw) {
		return nil, fmt.Errorf("nests deeper than %d levels", maxJSONDepth)
	}
	return ts.jsonArg(oid, raw)
}
