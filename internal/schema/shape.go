package schema

import (
	"fmt"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// shapeOf compiles the finished schema s of input type t for the reader, so
// that the bounds that a model is shown are the ones that hold before anything
// is decoded.
func shapeOf(t reflect.Type, s *jsonschema.Schema) *strictjson.Shape {
	null := false
	for t.Kind() == reflect.Pointer {
		t, null = t.Elem(), true
	}
	sh := &strictjson.Shape{Null: null}
	switch k := t.Kind(); {
	case strictjson.IsRaw(t):
		sh.Kind, sh.Null = strictjson.Raw, true
	case s.Type == "string" || s.PropertyNames == nil && k == reflect.String:
		textShape(sh, t, s)
	case k == reflect.Struct:
		objectShape(sh, t, s)
	case k == reflect.Slice || k == reflect.Array:
		sh.Kind, sh.Elem = strictjson.List, shapeOf(t.Elem(), s.Items)
		bind(sh, s.MaxItems, "items")
	case k == reflect.Map:
		sh.Kind, sh.Elem = strictjson.Map, shapeOf(t.Elem(), s.AdditionalProperties)
		if s.PropertyNames != nil {
			sh.Key = shapeOf(t.Key(), s.PropertyNames)
		}
		bind(sh, s.MaxProperties, "items")
	}
	return sh
}

func textShape(sh *strictjson.Shape, t reflect.Type, s *jsonschema.Schema) {
	sh.Kind = strictjson.Text
	unit := "characters"
	if s.ContentEncoding != "" {
		unit = "characters of base64"
	}
	bind(sh, s.MaxLength, unit)
}

func objectShape(sh *strictjson.Shape, t reflect.Type, s *jsonschema.Schema) {
	sh.Kind, sh.Names = strictjson.Object, s.PropertyOrder
	sh.Members = make(map[string]*strictjson.Shape, len(s.PropertyOrder))
	fields, _ := strictjson.Fields(t) // the schema is made of them
	for _, f := range fields {
		m := shapeOf(f.Type, s.Properties[f.JSON])
		m.Name = f.JSON
		sh.Members[f.JSON] = m
	}
}

func bind(sh *strictjson.Shape, most *int, unit string) {
	if most != nil {
		sh.Bounded, sh.Max = true, *most
		sh.TooMuch = fmt.Sprintf("must be at most %d %s", *most, unit)
	}
}
