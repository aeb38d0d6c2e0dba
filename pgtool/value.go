package pgtool

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// appendValue writes the text form of a value as JSON, without ever passing
// through a float. What does not look as its type has to becomes a string: no
// value can break the answer.
func (ts *types) appendValue(b []byte, oid uint32, text []byte) []byte {
	t, _ := ts.of(oid)
	return ts.appendTyped(b, t, text)
}

func (ts *types) appendTyped(b []byte, t typ, text []byte) []byte {
	if text == nil {
		return append(b, "null"...)
	}
	switch t.kind {
	case boolKind:
		switch string(text) {
		case "t":
			return append(b, "true"...)
		case "f":
			return append(b, "false"...)
		}
	case numberKind:
		if isNumber(text) { // NaN and Infinity are not
			return append(b, text...)
		}
	case jsonKind:
		if embeddable(text) {
			return appendJSON(b, text)
		}
	case byteaKind:
		if out, ok := appendBytea(b, text); ok {
			return out
		}
	case timeKind:
		return appendTime(b, text)
	case arrayKind:
		if out, ok := ts.appendArray(b, t, text); ok {
			return out
		}
	}
	return appendString(b, text)
}

// appendString writes a JSON string. Bytes that are no UTF-8, which a database
// with the encoding SQL_ASCII may hold, become U+FFFD.
func appendString(b, text []byte) []byte {
	if plain(text) {
		return append(append(append(b, '"'), text...), '"')
	}
	b, _ = jsontext.AppendQuote(b, text) // its error tells of the replacement
	return b
}

// plain reports whether text needs no escapes.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// isNumber reports whether text is a number of JSON.
func isNumber(text []byte) bool {
	s := bytes.TrimPrefix(text, []byte("-"))
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	s = s[whole:]
	if len(s) > 0 && s[0] == '.' {
		n := digits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if len(s) > 0 && s[0] == 'e' {
		s = s[1:]
		if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n := digits(s)
		return n > 0 && n == len(s)
	}
	return len(s) == 0
}

// digits counts the digits that text begins with.
func digits(text []byte) int {
	for i, c := range text {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(text)
}

// maxJSONDepth is how deep a json value may nest to be embedded.
const maxJSONDepth = 32

// embeddable reports whether text is JSON that every reader reads alike: valid,
// not deep, without a member that occurs twice.
func embeddable(text []byte) bool {
	d := jsontext.NewDecoder(bytes.NewBuffer(text))
	for {
		if _, err := d.ReadToken(); err != nil || d.StackDepth() > maxJSONDepth {
			return false
		}
		if d.StackDepth() == 0 {
			break
		}
	}
	_, err := d.ReadToken()
	return errors.Is(err, io.EOF)
}

// appendJSON embeds a JSON value that is valid. Those who write JSON line by line
// take a line break in a json for the end of the answer.
func appendJSON(b, text []byte) []byte {
	if bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
		v := jsontext.Value(bytes.Clone(text))
		if v.Compact() != nil {
			return appendString(b, text)
		}
		text = v
	}
	return append(b, text...)
}

func appendBytea(b, text []byte) ([]byte, bool) {
	src, ok := bytes.CutPrefix(text, []byte(`\x`))
	if !ok {
		return b, false
	}
	raw := make([]byte, hex.DecodedLen(len(src)))
	if _, err := hex.Decode(raw, src); err != nil {
		return b, false
	}
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, raw)
	return append(b, '"'), true
}

// appendTime turns 2024-01-31 12:00:00.5+00 into 2024-01-31T12:00:00.5Z, and leaves
// infinity, years before Christ or beyond 9999, and offsets with seconds alone:
// RFC 3339 cannot say them. A timestamp without time zone has no offset, and
// gets none.
func appendTime(b, text []byte) []byte {
	const date, clock = len("2006-01-02"), len("2006-01-02 15:04:05")
	if len(text) < clock || text[date] != ' ' || digits(text) != 4 || bytes.HasSuffix(text, []byte("BC")) {
		return appendString(b, text)
	}
	rest := text[clock:]
	if i := bytes.LastIndexAny(rest, "+-"); i >= 0 {
		rest = rest[i:]
	} else {
		rest = nil
	}
	offset := len(rest)
	if !plain(text) || offset != 0 && offset != len("+00") && offset != len("+00:00") {
		return appendString(b, text)
	}
	b = append(append(append(b, '"'), text[:date]...), 'T')
	b = append(b, text[date+1:len(text)-offset]...)
	switch {
	case string(rest) == "+00":
		b = append(b, 'Z')
	case offset == len("+00"):
		b = append(append(b, rest...), ":00"...)
	default:
		b = append(b, rest...)
	}
	return append(b, '"')
}
