package schema

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

type everyRule struct {
	ID     string            `json:"id" validate:"required,uuid" jsonschema:"with <marks> & \"quotes\""`
	Status string            `json:"status" validate:"oneof=open paid"`
	Code   string            `json:"code" validate:"len=3,alpha"`
	Name   string            `json:"name" validate:"startswith=a,endswith=z,max=9"`
	Limit  int               `json:"limit" validate:"min=1,max=100"`
	Share  float64           `json:"share" validate:"gt=0,lt=1.5"`
	Not    int               `json:"not" validate:"ne=0"`
	Tags   []string          `json:"tags" validate:"max=5,unique,dive,max=20"`
	Map    map[string]string `json:"map" validate:"max=3,dive,keys,max=5,endkeys,max=9"`
	Bytes  []byte            `json:"bytes" validate:"max=10"`
	At     time.Time         `json:"at"`
	Raw    json.RawMessage   `json:"raw" mcpsec:"any"`
	Maybe  *struct {
		Inner bool `json:"inner"`
	} `json:"maybe,omitempty"`
	Region string `json:"region" validate:"max=20"`
}

// What is encoded here is what the schema's own encoder writes, in the same order of
// members.
func TestJSONIsTheSame(t *testing.T) {
	t.Parallel()
	in, err := Input(reflect.TypeFor[everyRule]())
	if err != nil {
		t.Fatal(err)
	}
	out, err := Output(reflect.TypeFor[everyRule]())
	if err != nil {
		t.Fatal(err)
	}
	one, tenth := 1, 0.1
	constant := any(nil)
	for name, s := range map[string]*jsonschema.Schema{
		"an input": in.Schema, "a result": out.Schema, "everything": {}, "nothing": {Not: &jsonschema.Schema{}},
		"no members": {Type: "object", Properties: map[string]*jsonschema.Schema{}, Required: []string{}},
		"null":       {Const: &constant, Enum: []any{nil, 1, "a"}, MinLength: &one, Maximum: &tenth, Extra: map[string]any{"x-b": 1, "x-a": "<"}},
		"choices":    {OneOf: []*jsonschema.Schema{{Type: "null"}, {Not: &jsonschema.Schema{Pattern: "a"}}}, Default: json.RawMessage(`{"a":1}`)},
	} {
		got, err := JSON(s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := json.Unmarshal(got, &a); err != nil {
			t.Fatalf("%s: %v in %s", name, err, got)
		}
		if err := json.Unmarshal(want, &b); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	// The order of members is what a model reads first.
	var first, second jsonschema.Schema
	got, _ := JSON(in.Schema)
	want, _ := json.Marshal(in.Schema)
	if err1, err2 := json.Unmarshal(got, &first), json.Unmarshal(want, &second); err1 != nil || err2 != nil || !reflect.DeepEqual(first.PropertyOrder, second.PropertyOrder) {
		t.Errorf("order %v, want %v (%v, %v)", first.PropertyOrder, second.PropertyOrder, err1, err2)
	}
}
