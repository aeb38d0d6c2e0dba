package pgtool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A sheet is what an import has: rows that all have the same columns. Cells are
// texts, nil for NULL, or JSON.
type sheet struct {
	columns []string
	rows    [][][]byte
	json    bool
}

// maxSheetColumns is how many columns a table of PostgreSQL can have.
const maxSheetColumns = 1_600

// readSheet reads a text with at most maxRows rows. Errors name the row and no
// piece of it.
func readSheet(format string, data []byte, maxRows int) (*sheet, error) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, errors.New("the text is not valid UTF-8, or has a zero byte")
	}
	s := &sheet{json: format != "csv"}
	var err error
	switch format {
	case "csv":
		err = s.readCSV(data, maxRows)
	case "json":
		err = s.readList(data, maxRows)
	default:
		err = s.readLines(data, maxRows)
	}
	if err == nil && len(s.rows) == 0 {
		err = errors.New("there are no rows")
	}
	return s, err
}

func tooManyRows(most int) error { return fmt.Errorf("there are more than %d rows: split them", most) }

// readList reads a list of objects.
func (s *sheet) readList(data []byte, maxRows int) error {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '[' {
		return errors.New("the text must be a list of objects")
	}
	for d.PeekKind() != ']' {
		if len(s.rows) == maxRows {
			return tooManyRows(maxRows)
		}
		if err := s.readObject(d); err != nil {
			return err
		}
	}
	_, _ = d.ReadToken() // the end of the list, which was seen
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the list")
	}
	return nil
}

// readLines reads an object from each line.
func (s *sheet) readLines(data []byte, maxRows int) error {
	for line := range bytes.Lines(data) {
		if len(s.rows) == maxRows {
			return tooManyRows(maxRows)
		}
		d := jsontext.NewDecoder(bytes.NewReader(line))
		if err := s.readObject(d); err != nil {
			return err
		}
		if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("row %d: a line must be one object and nothing else", len(s.rows))
		}
	}
	return nil
}

// readObject reads one row. The decoder refuses names that occur twice.
func (s *sheet) readObject(d *jsontext.Decoder) error {
	n := len(s.rows) + 1
	bad := fmt.Errorf("row %d: must be a JSON object, in which no name occurs twice", n)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return bad
	}
	row := map[string][]byte{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil || len(row) == maxSheetColumns {
			return bad
		}
		key := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return bad
		}
		row[key] = bytes.Clone(value)
	}
	if _, err := d.ReadToken(); err != nil {
		return bad
	}
	return s.add(n, row)
}

// add adds a row that has the columns of the first.
func (s *sheet) add(n int, row map[string][]byte) error {
	if n == 1 {
		if s.columns = slices.Sorted(maps.Keys(row)); len(row) == 0 {
			return errors.New("row 1: has no columns")
		}
	}
	cells := make([][]byte, len(s.columns))
	for i, name := range s.columns {
		value, ok := row[name]
		if !ok || len(row) != len(s.columns) {
			return fmt.Errorf("row %d: has other columns than row 1; give null for a value that is not there", n)
		}
		cells[i] = value
	}
	s.rows = append(s.rows, cells)
	return nil
}
