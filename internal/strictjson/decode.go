// Package strictjson reads JSON that another program wrote on purpose to be
// read differently by two readers. It accepts one value, of bounded depth, with
// exact member names, each once, in valid UTF-8, and decodes it exactly: no
// null where a value is due, no float for an integer, no rounding. Nothing is
// decoded before its size is known to be within the bounds of its [Shape].
//
// Its errors name the path and the rule and never hold a piece of the input:
// not a value, not a member name that the Go type does not know.
package strictjson

import (
	"encoding"
	"errors"
	"reflect"
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

// Decode decodes data into v, a non-nil pointer to a value of shape s. The
// bounds of s are enforced before anything is built, see [Shape]. Every error
// is an [*Error]; v may be partly filled then.
func Decode(data []byte, v any, s *Shape) error {
	err := walk(data, s)
	if err == nil {
		err = json.Unmarshal(data, v, rejectUnknown)
	}
	if err == nil {
		return nil
	}
	return explain(err, s)
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

func explain(err error, s *Shape) error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) && errors.Is(err, jsontext.ErrDuplicateName) {
		return &Error{Path: locate(syn.JSONPointer.Parent(), s), Rule: "a member occurs twice"}
	}
	var sem *json.SemanticError
	if !errors.As(err, &sem) {
		return &Error{Rule: "not valid JSON"}
	}
	return &Error{Path: locate(sem.JSONPointer, s), Rule: "must be " + Want(sem.GoType)}
}

// locate renders a pointer into a value of shape s with names that the shape
// knows; a map's key is the sender's text and becomes a star.
func locate(p jsontext.Pointer, s *Shape) string {
	var b strings.Builder
	for tok := range p.Tokens() {
		switch s.Kind {
		case Object:
			m, ok := s.Members[tok]
			if !ok {
				return b.String()
			}
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(m.Name)
			s = m
		case List:
			b.WriteString("[" + tok + "]") // the parser's count, not the sender's text
			s = s.Elem
		case Map:
			b.WriteString("[*]")
			s = s.Elem
		default:
			return b.String()
		}
	}
	return b.String()
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

// IsRaw reports whether t holds undecoded JSON.
func IsRaw(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && (t.PkgPath() == "encoding/json" && t.Name() == "RawMessage" ||
		t == reflect.TypeFor[jsontext.Value]())
}
