package pgtool

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// jsonArg writes a JSON value as the text of a parameter of type oid: the way back
// of appendValue. It never passes a number through a float, and takes only the
// form of JSON that the type has, so that a text is not taken for a number or an
// array. null is NULL.
func (ts *types) jsonArg(oid uint32, raw []byte) ([]byte, error) {
	t, _ := ts.of(oid)
	switch {
	case len(raw) == 0 || raw[0] == 'n':
		return nil, nil
	case t.kind == jsonKind:
		return raw, nil
	case t.kind == arrayKind:
		return ts.arrayArg(nil, t, raw, maxDimensions)
	case t.kind == boolKind:
		if raw[0] != 't' && raw[0] != 'f' {
			return nil, errors.New("must be true or false")
		}
		return raw[:1], nil
	case raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, errors.New("must be a string")
		}
		return textOf(t, s)
	case numeric(t) && (raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9'):
		return raw, nil
	case numeric(t):
		return nil, errors.New("must be a number, or a string that holds one")
	}
	return nil, errors.New("must be a string")
}

// numeric reports whether a type's values may be written as JSON numbers.
func numeric(t typ) bool {
	return t.kind == numberKind || t.name == "int8" || t.name == "numeric" || t.name == "oid"
}

// The server drops without a word what these find: a zone, a date or a clock that a
// type does not have, digits of a second beyond the sixth, and of a "char" all but
// the first byte.
var (
	zoned   = lazy.Regexp(`\d:?\d\d.*(Z|z|[-+]\d\d(:?\d\d)*)( BC)?$`)
	clocked = lazy.Regexp(`^\d+-\d+-\d+[Tt ]+\d`)
	nano    = lazy.Regexp(`\.\d{7}`)
	octal   = lazy.Regexp(`^\\[0-7]{3}$`)
)

func textOf(t typ, s string) ([]byte, error) {
	if strings.ContainsRune(s, 0) {
		return nil, errors.New("must not hold the character U+0000")
	}
	if t.kind == byteaKind {
		raw, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil || strings.ContainsAny(s, "\r\n") {
			return nil, errors.New("must be base64")
		}
		return bytea(raw), nil
	}
	return []byte(s), dropped(t, s)
}

// dropped is the refusal of a text of which the server would keep a part.
func dropped(t typ, s string) error {
	clock := t.name == "time" || t.name == "timetz"
	stamp := t.name == "timestamp" || t.name == "timestamptz"
	switch {
	case (t.name == "timestamp" && clocked().MatchString(s) || t.name == "time") && zoned().MatchString(s):
		return errors.New("must not have a time zone: the column has none, and it would be dropped")
	case t.name == "date" && clocked().MatchString(s):
		return errors.New("must be a date without a time, which would be dropped")
	case clock && clocked().MatchString(s):
		return errors.New("must be a time without a date, which would be dropped")
	case (clock || stamp) && nano().MatchString(s):
		return errors.New("must have at most six digits of a second: others would be dropped")
	case t.name == "name" && len(s) > maxName, t.name == "char" && len(s) > 1 && !octal().MatchString(s):
		return errors.New("is too long for its type, and its end would be dropped")
	}
	return nil
}

// arrayArg writes {…}. An array of json has one dimension: an element that is a
// list could not be told from a second one.
func (ts *types) arrayArg(b []byte, t typ, raw []byte, depth int) ([]byte, error) {
	if raw[0] != '[' || depth == 0 {
		return nil, errors.New("must be an array of at most 6 dimensions")
	}
	elem, _ := ts.of(t.elem)
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := d.ReadToken(); err != nil {
		return nil, errors.New("must be an array")
	}
	b = append(b, '{')
	for i := 0; d.PeekKind() != ']'; i++ {
		v, err := d.ReadValue()
		if err != nil {
			return nil, errors.New("must be an array")
		}
		if i > 0 {
			b = append(b, t.delim)
		}
		if v[0] == '[' && elem.kind != jsonKind {
			b, err = ts.arrayArg(b, t, v, depth-1)
		} else {
			b, err = ts.elementArg(b, t.elem, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func (ts *types) elementArg(b []byte, oid uint32, raw []byte) ([]byte, error) {
	text, err := ts.jsonArg(oid, raw)
	switch {
	case err != nil:
		return nil, errors.New("each element " + err.Error())
	case text == nil:
		return append(b, "NULL"...), nil
	}
	return appendQuoted(b, text), nil
}

// appendQuoted writes an element of an array.
func appendQuoted(b, text []byte) []byte {
	b = append(b, '"')
	for _, c := range text {
		if c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}
