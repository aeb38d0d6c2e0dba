package pgtool

import (
	"encoding/json"
	"reflect"
	"strings"

	v2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpsec/mcpsec-go/internal/schema"
)

// A told is a list in an answer whose elements tell themselves what they are. It
// is written as any list, and shown to a model before as a description only: the
// schemas of all elements of all tools would take more of its context than they
// tell.
type told[T any] []T

// MarshalJSONTo writes the elements.
func (t told[T]) MarshalJSONTo(e *jsontext.Encoder) error { return v2.MarshalEncode(e, []T(t)) }

// brief is the schema of In as it is shown to a model: what it says twice is said
// once, and members in elsewhere are only named, by the tool that has them too.
// The schema that is enforced is that of In, whatever is shown.
func brief(in reflect.Type, elsewhere map[string]string) json.RawMessage {
	plan, err := schema.Input(in)
	if err != nil {
		panic("pgtool: " + err.Error())
	}
	once(plan.Schema)
	for name, tool := range elsewhere {
		plan.Schema.Properties[name] = &jsonschema.Schema{Type: plan.Schema.Properties[name].Type, Description: "as for " + tool}
	}
	b, err := json.Marshal(plan.Schema)
	if err != nil {
		panic("pgtool: " + err.Error())
	}
	return b
}

// once shortens the conditions of an or, which are as those around it.
func once(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if len(s.AnyOf) > 0 { // which says that any is fine
		s.Description = strings.TrimSuffix(strings.TrimSuffix(s.Description, "Any JSON value."), ". ")
	}
	if len(s.Enum) > 0 {
		s.MinLength = nil // none of them is empty
	}
	for name, p := range s.Properties {
		if once(p); name == "or" && p.Items != nil {
			p.Description, p.Items = "conditions of the same form", &jsonschema.Schema{Type: "object"}
		}
	}
	once(s.Items)
	once(s.AdditionalProperties)
}
