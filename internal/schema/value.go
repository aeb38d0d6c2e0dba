package schema

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	v2 "github.com/go-json-experiment/json"
	"github.com/go-playground/validator/v10"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// value plans a value of type t under the rules tg, to which it adds the
// default bounds.
func (b *builder) value(t reflect.Type, tg *tag, anyOK bool) (*jsonschema.Schema, error) {
	if t.Kind() == reflect.Pointer {
		return b.pointer(t, tg, anyOK)
	}
	if ownForm(t) {
		s, err := b.special(t)
		if err != nil {
			return nil, err
		}
		return b.finish(s, t, tg)
	}
	if err := formless(t); err != nil {
		return nil, err
	}
	switch k := t.Kind(); {
	case strictjson.IsRaw(t) || k == reflect.Interface:
		return b.raw(t, tg, anyOK)
	case k == reflect.String, k == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		s := &jsonschema.Schema{Type: "string"}
		if k == reflect.Slice {
			s.ContentEncoding = "base64"
		}
		return b.finish(s, t, tg)
	case k == reflect.Bool:
		return b.finish(&jsonschema.Schema{Type: "boolean"}, t, tg)
	case k >= reflect.Int && k <= reflect.Uint64:
		return b.finish(integer(t), t, tg)
	case k == reflect.Float32 || k == reflect.Float64:
		return b.finish(&jsonschema.Schema{Type: "number"}, t, tg)
	case k == reflect.Struct:
		s, err := b.object(t)
		if err != nil {
			return nil, err
		}
		return b.finish(s, t, tg)
	case k == reflect.Slice || k == reflect.Array:
		return b.array(t, tg, anyOK)
	case k == reflect.Map:
		return b.dict(t, tg, anyOK)
	}
	return nil, fmt.Errorf("type %s has no JSON form", t)
}

func (b *builder) pointer(t reflect.Type, tg *tag, anyOK bool) (*jsonschema.Schema, error) {
	// On a pointer, required means not nil, and says nothing of the value.
	required := tg.has("required")
	tg.rules = slices.DeleteFunc(tg.rules, func(r rule) bool { return r.text == "required" })
	optional, n := !required && !tg.has("omitempty", "omitnil"), len(tg.rules)
	s, err := b.value(t.Elem(), tg, anyOK)
	if err != nil {
		return nil, err
	}
	if required {
		tg.rules = slices.Insert(tg.rules, 0, parseRule("required"))
	} else if optional && len(tg.rules) > n { // default bounds were added: they must not refuse nil
		tg.rules = slices.Insert(tg.rules, n, parseRule("omitempty"))
	}
	// An input's member may just be left out: null is taken too, but a union of
	// types is more than some clients understand.
	if s.Type != "" && !required && !b.input {
		d := s.Description
		s.Description = ""
		return &jsonschema.Schema{Description: d, AnyOf: []*jsonschema.Schema{s, {Type: "null"}}}, nil
	}
	return s, nil
}

// raw plans undecoded JSON, which a tool must ask for.
func (b *builder) raw(t reflect.Type, tg *tag, anyOK bool) (*jsonschema.Schema, error) {
	if !b.input && tg.String() == "" {
		return &jsonschema.Schema{Description: "Any JSON value."}, nil
	}
	if !b.input {
		return nil, fmt.Errorf("validate tags do not apply to %s, which holds any value", t)
	}
	if t.Kind() == reflect.Interface {
		return nil, fmt.Errorf("type %s accepts anything and rounds large integers: name the type, or use json.RawMessage with the tag `mcpsec:\"any\"`", t)
	}
	if !anyOK {
		return nil, errors.New("undecoded JSON accepts anything: name the type, or say so with the tag `mcpsec:\"any\"`")
	}
	if tg.String() != "" {
		return nil, errors.New("validate tags do not apply to undecoded JSON")
	}
	s := &jsonschema.Schema{Description: "Any JSON value."}
	for _, t := range []string{"string", "number", "boolean", "object", "array", "null"} {
		s.AnyOf = append(s.AnyOf, &jsonschema.Schema{Type: t})
	}
	return s, nil
}

func (b *builder) array(t reflect.Type, tg *tag, anyOK bool) (*jsonschema.Schema, error) {
	if tg.dive == nil {
		tg.dive = &tag{}
	}
	items, err := b.value(t.Elem(), tg.dive, anyOK)
	if err != nil {
		return nil, err
	}
	b.trimDive(t, tg)
	s := &jsonschema.Schema{Type: "array", Items: items}
	if t.Kind() == reflect.Array {
		s.MinItems, s.MaxItems = ptr(t.Len()), ptr(t.Len())
	}
	return b.finish(s, t, tg)
}

func (b *builder) dict(t reflect.Type, tg *tag, anyOK bool) (*jsonschema.Schema, error) {
	if t.Key().Kind() != reflect.String {
		return nil, fmt.Errorf("map keys must be strings, not %s", t.Key())
	}
	if b.input && (!tg.has("max", "len", "lt", "lte", "eq") || tg.keys == nil) {
		return nil, errors.New(`a map takes any member: use a struct, or bound it, as in validate:"max=20,dive,keys,max=64,endkeys,max=200"`)
	}
	if tg.dive == nil {
		tg.dive = &tag{}
	}
	elem, err := b.value(t.Elem(), tg.dive, anyOK)
	if err != nil {
		return nil, err
	}
	s := &jsonschema.Schema{Type: "object", AdditionalProperties: elem}
	if tg.keys != nil {
		if s.PropertyNames, err = b.value(t.Key(), tg.keys, false); err != nil {
			return nil, err
		}
		s.PropertyNames.Type = "" // a name is always a string
	}
	b.trimDive(t, tg)
	return b.finish(s, t, tg)
}

// trimDive drops a dive that was made for an element without rules. Structs
// keep it: the validator looks into elements only when told to.
func (b *builder) trimDive(t reflect.Type, tg *tag) {
	e := t.Elem()
	for e.Kind() == reflect.Pointer {
		e = e.Elem()
	}
	if tg.keys == nil && tg.dive.String() == "" && (e.Kind() != reflect.Struct || ownForm(e)) {
		tg.dive = nil
	}
}

func integer(t reflect.Type) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "integer"}
	k := t.Kind()
	if k >= reflect.Uint {
		s.Minimum = ptr(0.0)
	}
	// The extremes of 64 bits are no exact floats, which schema bounds are here.
	if bits := t.Bits(); bits < 64 && k >= reflect.Uint {
		s.Maximum = ptr(float64(uint64(1)<<bits - 1))
	} else if bits < 64 {
		s.Minimum, s.Maximum = ptr(-float64(int64(1)<<(bits-1))), ptr(float64(int64(1)<<(bits-1)-1))
	}
	return s
}

var (
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	textAppender    = reflect.TypeFor[encoding.TextAppender]()
	ownJSON         = []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[v2.MarshalerTo](),
		reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[v2.UnmarshalerFrom](),
	}
)

// ownForm reports whether t says itself how it is written.
func ownForm(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return !strictjson.IsRaw(t) && (slices.ContainsFunc(ownJSON, p.Implements) ||
		p.Implements(textMarshaler) || p.Implements(textAppender) || p.Implements(textUnmarshaler))
}

// maxTime bounds how a time is written: the longest honest way, with nine digits
// of a second and an offset, takes 35 characters.
const maxTime = 64

// special returns the schema of type t, which has a JSON form of its own in the
// direction that it is used in, or refuses it.
func (b *builder) special(t reflect.Type) (*jsonschema.Schema, error) {
	can := reflect.PointerTo(t).Implements
	switch {
	case slices.ContainsFunc(ownJSON, can) && t != reflect.TypeFor[time.Time]():
		if b.input {
			return nil, fmt.Errorf("type %s decodes its own JSON, so its shape is not known", t)
		}
		if !can(ownJSON[0]) && !can(ownJSON[1]) {
			return nil, fmt.Errorf("type %s decodes its own JSON but does not encode it", t)
		}
		return &jsonschema.Schema{}, nil
	case b.input && !can(textUnmarshaler):
		return nil, fmt.Errorf("type %s is written as a text but cannot be read from one: it needs UnmarshalText", t)
	case !b.input && !can(textMarshaler) && !can(textAppender):
		return nil, fmt.Errorf("type %s is read from a text but cannot be written as one: it needs MarshalText", t)
	}
	s := &jsonschema.Schema{Type: "string"}
	if t == reflect.TypeFor[time.Time]() {
		s.Format = "date-time"
	}
	if b.input { // the text that UnmarshalText sees: no rule looks at it before
		s.MaxLength = ptr(DefaultMaxLength)
		if s.Format != "" {
			s.MaxLength = ptr(maxTime)
		}
	}
	return s, nil
}

// formless refuses types that encode otherwise than their kind says, or that
// are checked by another value than their own.
func formless(t reflect.Type) error {
	k := t.Kind()
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return errors.New("a time.Duration has no JSON form: use a number and say the unit in its name, as in timeout_seconds")
	case k == reflect.Array && t.Elem().Kind() == reflect.Uint8:
		return fmt.Errorf("type %s is written as base64: use []byte with validate:\"len=%d\"", t, t.Len())
	case isBytes(t) && !strictjson.IsRaw(t) && t.Elem() != reflect.TypeFor[byte]():
		return fmt.Errorf("type %s: use []byte", t)
	case reflect.PointerTo(t).Implements(reflect.TypeFor[validator.Valuer]()):
		return fmt.Errorf("type %s puts another value in its place when it is checked", t)
	}
	return nil
}

func ptr[T any](v T) *T { return &v }
