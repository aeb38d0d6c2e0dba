package strictjson

import (
	"fmt"
	"reflect"
	"strings"
)

// A Field is one JSON member of a struct, embedded structs flattened.
type Field struct {
	reflect.StructField
	JSON     string       // the member's exact name
	OmitZero bool         // omitempty or omitzero: may be absent from an output
	Owner    reflect.Type // the struct that declares it
}

// Fields lists the JSON members of struct type t in order of declaration. It
// refuses what would make decoding less than strict or exact: a case-insensitive
// or quoted member, a catch-all for unknown ones, an embedded pointer, and two
// fields of one name.
func Fields(t reflect.Type) ([]Field, error) {
	var out []Field
	seen := map[string]bool{}
	var walk func(reflect.Type) error
	walk = func(t reflect.Type) error {
		for i := range t.NumField() {
			f := t.Field(i)
			name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Tag.Get("json") == "-" || !f.IsExported() && !f.Anonymous:
				continue
			case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
				if err := walk(f.Type); err != nil {
					return err
				}
				continue
			case f.Anonymous && name == "":
				return fmt.Errorf("field %s: an embedded field must be a struct or have a json name", f.Name)
			case strings.ContainsAny(name, `'"\`):
				return fmt.Errorf("field %s: quotes and backslashes are not accepted in a json name", f.Name)
			}
			field := Field{StructField: f, JSON: name, Owner: t}
			if name == "" {
				field.JSON = f.Name
			}
			if seen[field.JSON] {
				return fmt.Errorf("field %s: a second member is named %q", f.Name, field.JSON)
			}
			seen[field.JSON] = true
			for opt := range strings.SplitSeq(opts, ",") {
				switch opt {
				case "":
				case "omitempty", "omitzero":
					field.OmitZero = true
				default:
					return fmt.Errorf("field %s: json option %q is not accepted", f.Name, opt)
				}
			}
			out = append(out, field)
		}
		return nil
	}
	return out, walk(t)
}
