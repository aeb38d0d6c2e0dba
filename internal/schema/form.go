package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// Form plans the form t, which must be a flat struct of strings, numbers,
// booleans and lists of choices, and returns its schema as the elicitation of MCP
// takes it, a small part of JSON Schema. A rule that is neither in this part nor
// in words is refused. Tags of its own are default, titles and enumNames.
func Form(t reflect.Type) (*Plan, json.RawMessage, error) {
	p, err := planWith(t, &builder{input: true, form: true})
	if err != nil {
		return nil, nil, err
	}
	fields, err := strictjson.Fields(t)
	if err != nil {
		return nil, nil, err
	}
	if len(fields) == 0 {
		return nil, nil, fmt.Errorf("type %s: a form needs a field", t)
	}
	out := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}, PropertyOrder: p.Schema.PropertyOrder, Required: p.Schema.Required}
	for _, f := range fields {
		if Secretive(f.JSON) {
			return nil, nil, fmt.Errorf("type %s: field %s: a form is no place for a secret", t, f.JSON)
		}
		s, err := formField(f, p.Schema.Properties[f.JSON])
		if err != nil {
			return nil, nil, fmt.Errorf("type %s: field %s: %w", t, f.JSON, err)
		}
		out.Properties[f.JSON] = s
	}
	raw, err := json.Marshal(out)
	return p, raw, err
}

// formFormats are those that a form may name.
var formFormats = []string{"", "email", "uri", "date", "date-time"}

// formField is the part of s that a form may show.
func formField(f strictjson.Field, s *jsonschema.Schema) (*jsonschema.Schema, error) {
	out := &jsonschema.Schema{Type: s.Type, Description: s.Description}
	switch {
	case s.Pattern != "" || s.Not != nil || s.Const != nil || s.UniqueItems || s.ContentEncoding != "" || s.AnyOf != nil || s.AllOf != nil || s.ExclusiveMinimum != nil || s.ExclusiveMaximum != nil:
		return nil, errors.New("a form cannot show this rule: it has min, max, oneof, email, url and dates")
	case !slices.Contains(formFormats, s.Format):
		return nil, fmt.Errorf("a form cannot show the format %s", s.Format)
	case s.Type == "array":
		if s.Items.Type != "string" || s.Items.Enum == nil {
			return nil, errors.New("a list must be of choices: give its elements a oneof")
		}
		out.MinItems, out.MaxItems, out.Items = s.MinItems, s.MaxItems, &jsonschema.Schema{Type: "string", Enum: s.Items.Enum}
		if _, ok := f.Tag.Lookup("default"); ok {
			return nil, errors.New("a list of choices has no default")
		}
		return out, choices(out.Items, f, true)
	case s.Type == "string" && s.Enum != nil:
		out.Enum = s.Enum
		if err := choices(out, f, false); err != nil {
			return nil, err
		}
	case slices.Contains([]string{"string", "integer", "number", "boolean"}, s.Type) && s.Enum == nil:
		if f.Tag.Get("titles")+f.Tag.Get("enumNames") != "" {
			return nil, errors.New("titles and enumNames are for the values of oneof")
		}
		out.MinLength, out.MaxLength, out.Format, out.Minimum, out.Maximum = s.MinLength, s.MaxLength, s.Format, s.Minimum, s.Maximum
	default:
		return nil, errors.New("a form has strings, numbers, booleans and lists of choices")
	}
	return out, setDefault(out, f)
}

// choices writes the titles of an enumeration, in the way of the newest versions
// or, by the tag enumNames, in that of those before 2025-11-25.
func choices(s *jsonschema.Schema, f strictjson.Field, list bool) error {
	tag, old := f.Tag.Lookup("enumNames")
	if _, both := f.Tag.Lookup("titles"); both && old || old && list {
		return errors.New("enumNames is for single values, and not beside titles")
	}
	if !old {
		tag = f.Tag.Get("titles")
	}
	if tag == "" {
		return nil
	}
	titles := strings.Split(tag, "|")
	if len(titles) != len(s.Enum) || slices.Contains(titles, "") {
		return fmt.Errorf("there are %d values and %d titles", len(s.Enum), len(titles))
	}
	var named []*jsonschema.Schema
	for i, t := range titles {
		named = append(named, &jsonschema.Schema{Const: ptr(s.Enum[i]), Title: t})
	}
	switch {
	case old:
		s.Extra = map[string]any{"enumNames": titles}
	case list:
		s.Type, s.AnyOf, s.Enum = "", named, nil
	default:
		s.OneOf, s.Enum = named, nil
	}
	return nil
}

// setDefault writes the tag default, which must be a value of the field's own
// type.
func setDefault(s *jsonschema.Schema, f strictjson.Field) error {
	tag, ok := f.Tag.Lookup("default")
	if !ok {
		return nil
	}
	raw := json.RawMessage(tag)
	if s.Type == "string" {
		raw, _ = json.Marshal(tag)
	}
	s.Default = raw
	r, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err == nil {
		var v any
		if err = json.Unmarshal(raw, &v); err == nil {
			err = r.Validate(v)
		}
	}
	if err != nil {
		return errors.New("the default is no value of the field")
	}
	return nil
}
