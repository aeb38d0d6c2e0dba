package pgtool

import "bytes"

// maxDimensions is the most that the server allows an array to have.
const maxDimensions = 6

// appendArray writes the text form of an array, such as {1,NULL,"a b",{…}}, as
// JSON arrays. Lower bounds before it, as in [0:2]={…}, are dropped. It reports
// false for a text that is not one.
func (ts *types) appendArray(b []byte, t typ, text []byte) ([]byte, bool) {
	if len(text) > 0 && text[0] == '[' {
		i := bytes.IndexByte(text, '=')
		if i < 0 {
			return b, false
		}
		text = text[i+1:]
	}
	a := arrayReader{ts: ts, t: t, text: text}
	out, ok := a.list(b, maxDimensions)
	return out, ok && a.i == len(text)
}

type arrayReader struct {
	ts   *types
	t    typ
	text []byte
	i    int
}

// peek returns the next byte, or 0 at the end.
func (a *arrayReader) peek() byte {
	if a.i < len(a.text) {
		return a.text[a.i]
	}
	return 0
}

// list reads {…}.
func (a *arrayReader) list(b []byte, depth int) ([]byte, bool) {
	if a.peek() != '{' || depth == 0 {
		return b, false
	}
	a.i++
	b = append(b, '[')
	if a.peek() == '}' {
		a.i++
		return append(b, ']'), true
	}
	for {
		var ok bool
		if b, ok = a.element(b, depth); !ok {
			return b, false
		}
		switch a.peek() {
		case a.t.delim:
			b = append(b, ',')
		case '}':
			a.i++
			return append(b, ']'), true
		default:
			return b, false
		}
		a.i++
	}
}

func (a *arrayReader) element(b []byte, depth int) ([]byte, bool) {
	switch a.peek() {
	case '{':
		return a.list(b, depth-1)
	case '"':
		value, ok := a.quoted()
		if !ok {
			return b, false
		}
		return a.ts.appendValue(b, a.t.elem, value), true
	}
	value, ok := a.bare()
	switch {
	case !ok:
		return b, false
	case string(value) == "NULL": // as a text it would be quoted
		return append(b, "null"...), true
	}
	return a.ts.appendValue(b, a.t.elem, value), true
}

// quoted reads "…", in which a backslash stands before quotes and backslashes.
func (a *arrayReader) quoted() ([]byte, bool) {
	value := []byte{}
	for a.i++; a.i < len(a.text); a.i++ {
		switch c := a.text[a.i]; c {
		case '"':
			a.i++
			return value, true
		case '\\':
			if a.i++; a.i == len(a.text) {
				return nil, false
			}
			value = append(value, a.text[a.i])
		default:
			value = append(value, c)
		}
	}
	return nil, false
}

// bare reads a value without quotes, which is never empty.
func (a *arrayReader) bare() ([]byte, bool) {
	from := a.i
	for a.i < len(a.text) {
		switch c := a.text[a.i]; c {
		case a.t.delim, '}':
			return a.text[from:a.i], a.i > from
		case '{', '"', '\\':
			return nil, false
		}
		a.i++
	}
	return nil, false
}
