package schema

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	v2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-playground/validator/v10"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// The trials find at start what would go wrong in a call: the validator panics
// on a rule that it does not know or cannot apply, the decoder errors on a type
// without a JSON form. Each is tried on the zero value and on one in which
// every pointer is set and every list has an element.

// tryRule runs one rule by itself: in a tag, a rule that fails hides those
// behind it.
func (b *builder) tryRule(t reflect.Type, text string) (err error) {
	defer rescue(&err)
	for _, v := range []reflect.Value{reflect.New(t).Elem(), filled(t)} {
		b.check.Var(v.Interface(), text)
	}
	return nil
}

// tryStructs runs all rules of every struct type in the plan by itself: a
// failing rule may keep the validator from looking into a nested one.
func (b *builder) tryStructs() (err error) {
	defer rescue(&err)
	for _, t := range b.structs {
		for _, v := range []reflect.Value{reflect.New(t), filled(reflect.PointerTo(t))} {
			err := b.check.Struct(v.Interface())
			var broken validator.ValidationErrors
			if err != nil && !errors.As(err, &broken) {
				return err
			}
		}
	}
	return nil
}

func rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("validate tag: %v", r)
	}
}

// tryJSON encodes values of t and, for an input, decodes them again. Types with
// a text or JSON form of their own are stood in for: they may refuse a value
// that is made up.
func tryJSON(t reflect.Type, input bool) (err error) {
	defer rescue(&err)
	for _, v := range []reflect.Value{reflect.New(t), filled(reflect.PointerTo(t))} {
		text, err := v2.Marshal(v.Interface(), standIns)
		if err != nil {
			return fmt.Errorf("encoding a sample: %w", err)
		}
		if !input {
			continue
		}
		if err := v2.Unmarshal(text, reflect.New(t).Interface(), v2.RejectUnknownMembers(true), standIns); err != nil {
			return fmt.Errorf("decoding a sample: %w", err)
		}
	}
	return nil
}

var standIns = v2.JoinOptions(
	v2.WithMarshalers(v2.JoinMarshalers(
		v2.MarshalFunc(func(encoding.TextMarshaler) ([]byte, error) { return []byte(`""`), nil }),
		v2.MarshalFunc(func(json.Marshaler) ([]byte, error) { return []byte(`null`), nil }),
		v2.MarshalToFunc(func(e *jsontext.Encoder, _ v2.MarshalerTo) error { return e.WriteToken(jsontext.Null) }),
	)),
	v2.WithUnmarshalers(v2.JoinUnmarshalers(
		v2.UnmarshalFunc(func([]byte, encoding.TextUnmarshaler) error { return nil }),
		v2.UnmarshalFunc(func([]byte, json.Unmarshaler) error { return nil }),
		v2.UnmarshalFromFunc(func(d *jsontext.Decoder, _ v2.UnmarshalerFrom) error { return d.SkipValue() }),
	)),
)

func filled(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	fill(v)
	return v
}

// fill sets v, whose type the builder has accepted, to something that is not
// zero where that can be known.
func fill(v reflect.Value) {
	t := v.Type()
	switch k := t.Kind(); {
	case k == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		fill(v.Elem())
	case t == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1, 0).UTC()))
	case strictjson.IsRaw(t):
		v.SetBytes([]byte("{}"))
	case ownForm(t):
	case k == reflect.Struct:
		fields, _ := strictjson.Fields(t)
		for _, f := range fields {
			fill(v.FieldByIndex(f.Path))
		}
	case k == reflect.Slice:
		v.Set(reflect.MakeSlice(t, 1, 1))
		fill(v.Index(0))
	case k == reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case k == reflect.Map:
		key := filled(t.Key())
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(key, filled(t.Elem()))
	default:
		fillScalar(v)
	}
}

func fillScalar(v reflect.Value) {
	switch k := v.Kind(); {
	case k == reflect.String:
		v.SetString("a")
	case k == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case v.CanFloat():
		v.SetFloat(1)
	}
}
