package mcpsec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

const (
	maxSchema      = 32 << 10 // bytes
	maxSchemaDepth = 32
	dialect        = "https://json-schema.org/draft/2020-12/schema"
)

// compileSchema checks [ToolSpec].InputSchema against the schema of the input type,
// and makes a check of it. All references are to within: there is nobody who would
// fetch others.
func compileSchema(raw json.RawMessage, made *jsonschema.Schema) (func(json.RawMessage) error, error) {
	switch depth, err := depthOf(raw); {
	case err != nil:
		return nil, err
	case len(raw) > maxSchema || depth > maxSchemaDepth:
		return nil, fmt.Errorf("it must have at most %d bytes and %d levels", maxSchema, maxSchemaDepth)
	}
	s := &jsonschema.Schema{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, err
	}
	switch {
	case s.Schema != "" && s.Schema != dialect:
		return nil, errors.New("its $schema must be that of 2020-12")
	case s.Type != "object" || s.AdditionalProperties == nil || !isFalse(s.AdditionalProperties):
		return nil, errors.New("it must be an object with additionalProperties false")
	case s.ID != "":
		return nil, errors.New("it must have no $id")
	}
	for name := range s.Properties {
		if made.Properties[name] == nil {
			return nil, fmt.Errorf("the input type has no member %q", name)
		}
	}
	if _, err := visibleSchema(raw); err != nil {
		return nil, err
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return nil, err
	}
	return func(arguments json.RawMessage) error {
		d := json.NewDecoder(bytes.NewReader(arguments))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return err // it was decoded before
		}
		if resolved.Validate(floats(v)) != nil { // whose text quotes the arguments
			return &strictjson.Error{Rule: "they do not fit the tool's schema"}
		}
		return nil
	}, nil
}

// floats makes numbers what the validator takes for such: one beyond a float64,
// which undecoded JSON may hold, becomes the largest.
func floats(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64() // infinite if it is beyond
		return max(-math.MaxFloat64, min(f, math.MaxFloat64))
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = floats(v[k])
		}
	}
	return v
}

func isFalse(s *jsonschema.Schema) bool {
	b, err := json.Marshal(s)
	return err == nil && string(b) == "false"
}

// depthOf returns how deep a JSON text nests. Two members of one name are an error.
func depthOf(raw []byte) (deepest int, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		if _, err := d.ReadToken(); err != nil {
			return deepest, fmt.Errorf("reading JSON: %w", err)
		}
		deepest = max(deepest, d.StackDepth())
		if d.StackDepth() == 0 {
			break
		}
	}
	if rest := bytes.TrimSpace(raw[d.InputOffset():]); len(rest) > 0 {
		return 0, errors.New("reading JSON: there is more behind it")
	}
	return deepest, nil
}

// useSchema makes a tool show a schema that was written by hand, and hold to it.
func (t *Tool) useSchema(raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil
	}
	if len(t.headers) > 0 {
		return errors.New("InputSchema: arguments in headers need the schema of the input type")
	}
	check, err := compileSchema(raw, t.in.Schema)
	if err != nil {
		return fmt.Errorf("InputSchema: %w", err)
	}
	decode := t.decode
	t.decode = func(arguments json.RawMessage) (any, error) {
		in, err := decode(arguments)
		if err != nil {
			return nil, err
		}
		return in, check(arguments)
	}
	t.schema = bytes.Clone(raw)
	return nil
}
