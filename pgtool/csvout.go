package pgtool

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// header writes the names of the columns.
func (e *exporter) header() error {
	var b []byte
	for i, f := range e.fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.cell(b, []byte(f.name), false)
	}
	_, err := e.out.Write(append(b, "\r\n"...))
	return err
}

// cells writes a row. NULL is an empty cell.
func (e *exporter) cells(b []byte, values [][]byte) []byte {
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		if v != nil {
			b = e.cell(b, v, textless[e.fields[i].oid])
		}
	}
	return append(b, "\r\n"...)
}

// cell writes a cell that is not NULL, with an apostrophe if it could be taken for
// a formula.
func (e *exporter) cell(b, v []byte, harmless bool) []byte {
	mark := !e.raw && !harmless && formula(v)
	if mark {
		e.marked++
	}
	if !quotes(v) {
		if mark {
			b = append(b, '\'')
		}
		return append(b, v...)
	}
	b = append(b, '"')
	if mark {
		b = append(b, '\'')
	}
	for _, c := range v {
		if c == '"' {
			b = append(b, '"')
		}
		b = append(b, c)
	}
	return append(b, '"')
}

// quotes reports whether a cell needs quotes, by RFC 4180 or for readers that take
// other separators, drop spaces, or end at \. as PostgreSQL's COPY does.
func quotes(v []byte) bool {
	return len(v) == 0 || v[0] == ' ' || v[len(v)-1] == ' ' || bytes.ContainsAny(v, "\",;\t\r\n") || string(v) == `\.`
}

// formula reports whether a spreadsheet could take a cell for a formula. Some
// overlook space before it, and take full-width characters for plain ones.
func formula(v []byte) bool {
	if len(v) > 0 && (v[0] == '\t' || v[0] == '\r' || v[0] == '\n') {
		return true
	}
	v = bytes.TrimLeftFunc(v, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || unicode.IsControl(r) })
	switch r, _ := utf8.DecodeRune(v); r {
	case '=', '+', '-', '@', '\uFF1D', '\uFF0B', '\uFF0D', '\uFF20':
		return true
	}
	return false
}

// textless are types whose values hold no text: numbers, dates and the like, for
// which a minus is no formula.
var textless = map[uint32]bool{
	16: true, 20: true, 21: true, 23: true, 26: true, 700: true, 701: true, 790: true, 1082: true, 1083: true,
	1114: true, 1184: true, 1186: true, 1266: true, 1560: true, 1562: true, 1700: true, 2950: true,
}
