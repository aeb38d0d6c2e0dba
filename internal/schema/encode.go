package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// JSON encodes a schema that this package has made, as its own MarshalJSON does, without
// the reflection over sixty fields that a server would pay for when it starts.
func JSON(s *jsonschema.Schema) (json.RawMessage, error) {
	e := encoder{}
	e.schema(s)
	return e.b, e.err
}

type encoder struct {
	b   []byte
	err error
}

// name begins a member.
func (e *encoder) name(n string) {
	if last := e.b[len(e.b)-1]; last != '{' {
		e.b = append(e.b, ',')
	}
	e.text(n)
	e.b = append(e.b, ':')
}

func (e *encoder) text(s string) {
	var err error
	if e.b, err = jsontext.AppendQuote(e.b, s); err != nil {
		e.err = err
	}
}

func (e *encoder) value(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		e.err = err
	}
	e.b = append(e.b, b...)
}

func (e *encoder) schema(s *jsonschema.Schema) {
	start := len(e.b)
	e.b = append(e.b, '{')
	e.words(s)
	e.bounds(s)
	e.parts(s)
	for _, n := range slices.Sorted(maps.Keys(s.Extra)) {
		e.name(n)
		e.value(s.Extra[n])
	}
	e.b = append(e.b, '}')
	switch string(e.b[start:]) { // the short forms of what allows everything, and nothing
	case `{}`:
		e.b = append(e.b[:start], "true"...)
	case `{"not":true}`:
		e.b = append(e.b[:start], "false"...)
	}
}

func (e *encoder) words(s *jsonschema.Schema) {
	for _, m := range []struct{ name, text string }{
		{"type", s.Type}, {"title", s.Title}, {"description", s.Description}, {"format", s.Format}, {"pattern", s.Pattern}, {"contentEncoding", s.ContentEncoding},
	} {
		if m.text != "" {
			e.name(m.name)
			e.text(m.text)
		}
	}
	if s.Default != nil {
		e.name("default")
		e.b = append(e.b, s.Default...)
	}
	if s.Const != nil {
		e.name("const")
		e.value(*s.Const)
	}
	if len(s.Enum) > 0 {
		e.name("enum")
		e.value(s.Enum)
	}
}

func (e *encoder) bounds(s *jsonschema.Schema) {
	for _, m := range []struct {
		name string
		n    *int
	}{
		{"minLength", s.MinLength}, {"maxLength", s.MaxLength}, {"minItems", s.MinItems}, {"maxItems", s.MaxItems},
		{"minProperties", s.MinProperties}, {"maxProperties", s.MaxProperties},
	} {
		if m.n != nil {
			e.name(m.name)
			e.b = fmt.Append(e.b, *m.n)
		}
	}
	for _, m := range []struct {
		name string
		x    *float64
	}{
		{"minimum", s.Minimum}, {"maximum", s.Maximum}, {"exclusiveMinimum", s.ExclusiveMinimum}, {"exclusiveMaximum", s.ExclusiveMaximum},
	} {
		if m.x != nil {
			e.name(m.name)
			e.value(*m.x)
		}
	}
	if s.UniqueItems {
		e.name("uniqueItems")
		e.b = append(e.b, "true"...)
	}
}

func (e *encoder) parts(s *jsonschema.Schema) {
	if s.Properties != nil {
		e.name("properties")
		e.b = append(e.b, '{')
		for _, n := range ordered(s) {
			e.name(n)
			e.schema(s.Properties[n])
		}
		e.b = append(e.b, '}')
	}
	if len(s.Required) > 0 {
		e.name("required")
		e.value(s.Required)
	}
	for _, m := range []struct {
		name string
		s    *jsonschema.Schema
	}{
		{"additionalProperties", s.AdditionalProperties}, {"propertyNames", s.PropertyNames}, {"items", s.Items}, {"not", s.Not},
	} {
		if m.s != nil {
			e.name(m.name)
			e.schema(m.s)
		}
	}
	for _, m := range []struct {
		name string
		list []*jsonschema.Schema
	}{{"allOf", s.AllOf}, {"anyOf", s.AnyOf}, {"oneOf", s.OneOf}} {
		if len(m.list) == 0 {
			continue
		}
		e.name(m.name)
		e.b = append(e.b, '[')
		for i, x := range m.list {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			e.schema(x)
		}
		e.b = append(e.b, ']')
	}
}

// ordered are the names of the members, those first that have a place.
func ordered(s *jsonschema.Schema) []string {
	var names []string
	for _, n := range s.PropertyOrder {
		if s.Properties[n] != nil {
			names = append(names, n)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(s.Properties)) {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}
