package pgtool

import (
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// args are the parameters of a named statement.
func (n *namedSQL) args(in any) ([][]byte, error) {
	v := reflect.ValueOf(in)
	out := make([][]byte, len(n.params))
	for i, f := range n.params {
		text, err := argOf(v.FieldByIndex(f.Path))
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.JSON, err)
		}
		out[i] = text
	}
	return out, nil
}

// argOf writes a Go value as the text of a parameter, nil as NULL.
func argOf(v reflect.Value) ([]byte, error) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			_, err := argOf(reflect.Zero(v.Type().Elem()))
			return nil, err
		}
		return argOf(v.Elem())
	}
	switch x := v.Interface().(type) {
	case json.RawMessage:
		return x, nil
	case []byte:
		return bytea(x), nil
	case time.Time:
		return []byte(x.Format(time.RFC3339Nano)), nil
	case encoding.TextMarshaler:
		return x.MarshalText()
	}
	switch k := v.Kind(); {
	case k == reflect.String:
		return []byte(v.String()), nil
	case k == reflect.Bool:
		return strconv.AppendBool(nil, v.Bool()), nil
	case v.CanInt():
		return strconv.AppendInt(nil, v.Int(), 10), nil
	case v.CanUint():
		return strconv.AppendUint(nil, v.Uint(), 10), nil
	case v.CanFloat():
		return strconv.AppendFloat(nil, v.Float(), 'g', -1, v.Type().Bits()), nil
	case k == reflect.Slice && v.Type().Elem().Kind() != reflect.Slice:
		return sliceArg(v)
	}
	return nil, fmt.Errorf("type %s is no parameter", v.Type())
}

func bytea(b []byte) []byte {
	if b == nil {
		return nil
	}
	return []byte(`\x` + hex.EncodeToString(b))
}

func sliceArg(v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		_, err := argOf(reflect.Zero(v.Type().Elem()))
		return nil, err
	}
	b := []byte{'{'}
	for i := range v.Len() {
		text, err := argOf(v.Index(i))
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		if text == nil {
			b = append(b, "NULL"...)
		} else {
			b = appendQuoted(b, text)
		}
	}
	return append(b, '}'), nil
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	bytesType       = reflect.TypeFor[[]byte]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// holdsColumn reports whether a member of a row can have a type.
func holdsColumn(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch k := t.Kind(); {
	case strictjson.IsRaw(t), t == bytesType, t == timeType, reflect.PointerTo(t).Implements(textUnmarshaler):
		return true
	case k == reflect.Slice:
		return t.Elem().Kind() != reflect.Slice && holdsColumn(t.Elem())
	default:
		return k == reflect.String || k == reflect.Bool || k >= reflect.Int && k <= reflect.Float64
	}
}

// decodeRows makes rows of a result, exactly or not at all.
func decodeRows[Out any](n *namedSQL, r *result) (out namedOut[Out], err error) {
	order, err := n.order(r.fields)
	if err != nil {
		return out, err
	}
	out.Rows, out.Truncated = []Out{}, r.more
	r.each(func(values [][]byte) bool {
		var row Out
		v := reflect.ValueOf(&row).Elem()
		for i, f := range order {
			if err = setColumn(v.FieldByIndex(f.Path), r.fields[i].oid, values[i]); err != nil {
				err = fmt.Errorf("column %s: %w", f.JSON, err)
				return false
			}
		}
		out.Rows = append(out.Rows, row)
		return true
	})
	return out, err
}

// order finds the member of each column.
func (n *namedSQL) order(columns []field) ([]strictjson.Field, error) {
	members := map[string]strictjson.Field{}
	for _, f := range n.fields {
		members[f.JSON] = f
	}
	out := make([]strictjson.Field, len(columns))
	for i, c := range columns {
		f, ok := members[c.name]
		if !ok {
			return nil, fmt.Errorf("the row's type has no member for column %q, or one for two", c.name)
		}
		delete(members, c.name)
		out[i] = f
	}
	for name := range members {
		return nil, fmt.Errorf("there is no column %q", name)
	}
	return out, nil
}

// setColumn sets a member to a value that it holds exactly.
func setColumn(v reflect.Value, oid uint32, text []byte) error {
	t := v.Type()
	switch {
	case text == nil && t.Kind() == reflect.Pointer:
		return nil
	case text == nil && strictjson.IsRaw(t):
		v.SetBytes([]byte("null"))
		return nil
	case text == nil:
		return errors.New("a NULL needs a pointer")
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		return setColumn(v.Elem(), oid, text)
	case t.Kind() == reflect.Slice && !strictjson.IsRaw(t) && t != bytesType && !v.Addr().Type().Implements(textUnmarshaler):
		return setSlice(v, oid, text)
	}
	b, err := memberJSON(t, oid, text)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v.Addr().Interface())
}

// memberJSON writes a value in the form that is decoded into type t.
func memberJSON(t reflect.Type, oid uint32, text []byte) ([]byte, error) {
	var ts *types
	known := builtin[oid]
	whole := known.name == "int2" || known.name == "int4" || known.name == "int8" || known.name == "oid"
	float := known.name == "float8" || known.name == "float4"
	switch k := t.Kind(); {
	case strictjson.IsRaw(t) && known.kind == jsonKind:
		return text, nil
	case t == bytesType && known.kind == byteaKind,
		t == timeType && known.name == "timestamptz",
		k == reflect.Bool && known.kind == boolKind:
		return ts.appendValue(nil, oid, text), nil
	case strictjson.IsRaw(t), t == bytesType, t == timeType, k == reflect.Bool:
	case k == reflect.String, reflect.PointerTo(t).Implements(textUnmarshaler):
		return appendString(nil, text), nil
	case k >= reflect.Int && k <= reflect.Uint64 && whole, k == reflect.Float64 && float, k == reflect.Float32 && known.name == "float4":
		if isNumber(text) {
			return text, nil
		}
	}
	return nil, fmt.Errorf("a value of type %s does not fit a %s", known.name, t)
}

// setSlice reads an array of one dimension.
func setSlice(v reflect.Value, oid uint32, text []byte) error {
	a := builtin[oid]
	if a.kind != arrayKind {
		a = typ{delim: ','} // of a type that somebody has made, whose elements can be strings
	}
	var texts []*string
	var ts *types
	list, ok := ts.appendArray(nil, typ{kind: arrayKind, elem: textOID, delim: a.delim}, text)
	if !ok || json.Unmarshal(list, &texts) != nil {
		return errors.New("the value is no array of one dimension")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(texts), len(texts)))
	for i, e := range texts {
		var elem []byte
		if e != nil {
			elem = []byte(*e)
		}
		if e != nil && elem == nil {
			elem = []byte{}
		}
		if err := setColumn(v.Index(i), a.elem, elem); err != nil {
			return err
		}
	}
	return nil
}

const textOID = 25
