// Package strictjson reads JSON that another program wrote on purpose to be
// read differently by two readers. It accepts one value, of bounded depth, with
// exact member names, each once, in valid UTF-8, and decodes it exactly: no
// null where a value is due, no float for an integer, no rounding.
//
// Its errors name the path and the rule and never hold a piece of the input:
// not a value, not a member name that the Go type does not know.
package strictjson

import (
	"bytes"
	"encoding"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// An Error says where and why an input was refused. Its text is safe to send
// to whoever sent the input.
type Error struct {
	Path string // such as items[0].name; empty for the whole value
	Rule string // such as "must be an integer"
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Rule
	}
	return e.Path + ": " + e.Rule
}

var rejectUnknown = json.RejectUnknownMembers(true)

// Decode decodes data into v, a non-nil pointer to a struct. Every error is an
// [*Error]; v may be partly filled then.
func Decode(data []byte, v any) error {
	t := reflect.TypeOf(v).Elem()
	if err := json.Unmarshal(data, v, rejectUnknown); err != nil {
		return explain(err, t)
	}
	// The library takes null for any type; the walk is paid by those inputs only.
	if bytes.Contains(data, []byte("null")) {
		return checkNulls(jsontext.NewDecoder(bytes.NewReader(data)), t, "")
	}
	return nil
}

// Depth reports whether data nests arrays and objects deeper than limit. It
// reads bytes only, so it is safe to run before any parser.
func Depth(data []byte, limit int) bool {
	depth, str := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case str && c == '\\':
			i++
		case c == '"':
			str = !str
		case str:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

func explain(err error, t reflect.Type) error {
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return &Error{Path: parentPath(syn.JSONPointer, t), Rule: "a member occurs twice"}
		}
		return &Error{Rule: "not valid JSON"}
	}
	var sem *json.SemanticError
	if !errors.As(err, &sem) {
		return &Error{Rule: "not valid JSON"}
	}
	if errors.Is(err, json.ErrUnknownName) {
		p, at := locate(sem.JSONPointer.Parent(), t)
		return &Error{Path: p, Rule: "unknown member; " + known(at)}
	}
	p, _ := locate(sem.JSONPointer, t)
	return &Error{Path: p, Rule: "must be " + Want(sem.GoType)}
}

func parentPath(p jsontext.Pointer, t reflect.Type) string {
	s, _ := locate(p.Parent(), t)
	return s
}

// locate renders a pointer into values of type t with names that the Go type
// knows; a map's key is the sender's text and becomes a star.
func locate(p jsontext.Pointer, t reflect.Type) (string, reflect.Type) {
	var b strings.Builder
	for tok := range p.Tokens() {
		t = deref(t)
		switch t.Kind() {
		case reflect.Struct:
			f, ok := fieldNamed(t, tok)
			if !ok {
				return b.String(), t
			}
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(f.JSON)
			t = f.Type
		case reflect.Slice, reflect.Array:
			if _, err := strconv.ParseUint(tok, 10, 32); err != nil {
				return b.String(), t
			}
			b.WriteString("[" + tok + "]")
			t = t.Elem()
		case reflect.Map:
			b.WriteString("[*]")
			t = t.Elem()
		default:
			return b.String(), t
		}
	}
	return b.String(), deref(t)
}

func fieldNamed(t reflect.Type, name string) (Field, bool) {
	fields, _ := Fields(t)
	i := slices.IndexFunc(fields, func(f Field) bool { return f.JSON == name })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

// known lists the members that may stand where an unknown one did: the sender
// learns the right name, and its own text is not echoed.
func known(t reflect.Type) string {
	if t.Kind() != reflect.Struct {
		return "none is expected here"
	}
	fields, _ := Fields(t)
	if len(fields) == 0 {
		return "none is expected here"
	}
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		names = append(names, f.JSON)
	}
	return "known are " + strings.Join(names, ", ")
}

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// Want names the JSON value that a Go type takes, as in "must be an integer".
func Want(t reflect.Type) string {
	if t == nil {
		return "of another type"
	}
	t = deref(t)
	switch k := t.Kind(); {
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		return "a string in the form that the schema describes"
	case k == reflect.String:
		return "a string"
	case k == reflect.Bool:
		return "true or false"
	case k >= reflect.Int && k <= reflect.Int64:
		return "an integer of " + strconv.Itoa(t.Bits()) + " bits, without fraction or exponent"
	case k >= reflect.Uint && k <= reflect.Uint64:
		return "a non-negative integer of " + strconv.Itoa(t.Bits()) + " bits, without fraction or exponent"
	case k == reflect.Float32 || k == reflect.Float64:
		return "a number"
	case k == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "a base64 string"
	case k == reflect.Slice || k == reflect.Array:
		return "an array"
	}
	return "an object"
}

func checkNulls(d *jsontext.Decoder, t reflect.Type, path string) error {
	switch d.PeekKind() {
	case 'n':
		if k := t.Kind(); k != reflect.Pointer && k != reflect.Interface && !IsRaw(t) {
			return &Error{Path: path, Rule: "must not be null"}
		}
	case '{':
		return objectNulls(d, deref(t), path)
	case '[':
		return arrayNulls(d, deref(t), path)
	}
	return d.SkipValue()
}

func objectNulls(d *jsontext.Decoder, t reflect.Type, path string) error {
	if IsRaw(t) || t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return d.SkipValue()
	}
	d.ReadToken() // the brace; the text was decoded once already, so reads succeed
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		at, elem := path+"[*]", reflect.Type(nil)
		if t.Kind() == reflect.Map {
			elem = t.Elem()
		} else if f, ok := fieldNamed(t, name.String()); ok {
			elem, at = f.Type, strings.TrimPrefix(path+"."+f.JSON, ".")
		} else {
			return &Error{Path: path, Rule: "unknown member"}
		}
		if err := checkNulls(d, elem, at); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

func arrayNulls(d *jsontext.Decoder, t reflect.Type, path string) error {
	if IsRaw(t) || t.Kind() != reflect.Slice && t.Kind() != reflect.Array {
		return d.SkipValue()
	}
	d.ReadToken()
	for i := 0; d.PeekKind() != ']'; i++ {
		if err := checkNulls(d, t.Elem(), path+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

// IsRaw reports whether t holds undecoded JSON.
func IsRaw(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && (t.PkgPath() == "encoding/json" && t.Name() == "RawMessage" ||
		t == reflect.TypeFor[jsontext.Value]())
}
