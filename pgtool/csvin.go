package pgtool

import (
	"bytes"
	"errors"
	"fmt"
)

// readCSV reads CSV by RFC 4180, with lines that end in CRLF or LF, and a first one
// with the names of the columns. A cell that is empty and has no quotes is NULL.
func (s *sheet) readCSV(data []byte, maxRows int) error {
	r := csvReader{data: data}
	header, err := r.record(maxSheetColumns)
	if err != nil {
		return fmt.Errorf("the line of names: %w", err)
	}
	seen := map[string]bool{}
	for _, name := range header {
		if seen[string(name)] || len(name) == 0 {
			return errors.New("the line of names has an empty one, or one twice")
		}
		seen[string(name)] = true
		s.columns = append(s.columns, string(name))
	}
	for n := 1; len(r.data) > 0; n++ {
		if n > maxRows {
			return tooManyRows(maxRows)
		}
		row, err := r.record(len(header))
		if err == nil && len(row) != len(header) {
			err = fmt.Errorf("has %d cells, and there are %d columns", len(row), len(header))
		}
		if err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
		s.rows = append(s.rows, row)
	}
	return nil
}

// A csvReader holds what it has not yet read.
type csvReader struct{ data []byte }

var errQuote = errors.New("a quote stands in a cell that does not begin with one, or is not closed; within quotes it is written twice")

// record reads one line, which has at most so many cells.
func (r *csvReader) record(most int) ([][]byte, error) {
	var cells [][]byte
	for {
		if len(cells) == most {
			return nil, fmt.Errorf("has more than %d cells", most)
		}
		cell, err := r.cell()
		if err != nil {
			return nil, err
		}
		cells = append(cells, cell)
		switch {
		case len(r.data) == 0:
			return cells, nil
		case r.data[0] == ',':
			r.data = r.data[1:]
		case r.data[0] == '\n':
			r.data = r.data[1:]
			return cells, nil
		case bytes.HasPrefix(r.data, []byte("\r\n")):
			r.data = r.data[2:]
			return cells, nil
		default:
			return nil, errQuote
		}
	}
}

// cell reads one cell, up to what ends it.
func (r *csvReader) cell() ([]byte, error) {
	if len(r.data) > 0 && r.data[0] == '"' {
		return r.quoted()
	}
	end := bytes.IndexAny(r.data, ",\r\n\"")
	if end < 0 {
		end = len(r.data)
	}
	cell := r.data[:end:end]
	if r.data = r.data[end:]; len(cell) == 0 {
		return nil, nil
	}
	return cell, nil
}

func (r *csvReader) quoted() ([]byte, error) {
	cell := []byte{}
	for r.data = r.data[1:]; ; r.data = r.data[1:] {
		end := bytes.IndexByte(r.data, '"')
		if end < 0 {
			return nil, errQuote
		}
		cell = append(cell, r.data[:end]...)
		if r.data = r.data[end+1:]; len(r.data) == 0 || r.data[0] != '"' {
			return cell, nil
		}
		cell = append(cell, '"')
	}
}
