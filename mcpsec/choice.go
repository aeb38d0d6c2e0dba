package mcpsec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	v2 "github.com/go-json-experiment/json"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// Choice returns one tool for several that are of the same kind, such as a query
// tool for each of several databases: a required argument says which of them is
// meant, by its key. The tools must have the same name, effect, labels and schemas,
// and neither guards nor headers of their own; the rest of the spec is that of the
// first by key, with the longest Timeout and the largest MaxResult. Scopes that all of them need the tool needs; a call of one needs its
// others, too. The argument stands in the record. Guards see the input of the tool that was chosen. Choice panics on
// what cannot be right: it runs at start, from constants.
func Choice(argument, description string, tools map[string]*Tool) *Tool {
	t, err := newChoice(argument, description, tools)
	if err != nil {
		panic("mcpsec: Choice: " + err.Error())
	}
	return t
}

// A chosen is the decoded input of one of the tools.
type chosen struct {
	tool  *Tool
	in    any
	named string // as in database="orders", for the record
}

func newChoice(argument, description string, tools map[string]*Tool) (*Tool, error) {
	keys := slices.Sorted(maps.Keys(tools))
	if len(keys) == 0 || !isName(argument) {
		return nil, errors.New("it needs tools, and the name of an argument")
	}
	if err := visible(description + strings.Join(keys, "")); err != nil {
		return nil, err
	}
	first := tools[keys[0]]
	for _, k := range keys {
		if err := alike(first, tools[k]); err != nil {
			return nil, fmt.Errorf("tool %q of %q: %w", first.spec.Name, k, err)
		}
	}
	c := first.with(func(s *ToolSpec) {
		for _, t := range tools {
			s.Timeout, s.MaxResult = max(s.Timeout, t.spec.Timeout), max(s.MaxResult, t.spec.MaxResult)
			s.Scopes = slices.DeleteFunc(slices.Clone(s.Scopes), func(x string) bool { return !slices.Contains(t.spec.Scopes, x) })
		}
	})
	schema, err := withChoice(first.definition().InputSchema, argument, description, keys)
	if err != nil {
		return nil, err
	}
	c.schema, c.listed.InputSchema = schema, schema
	c.decode = func(raw json.RawMessage) (any, error) { return choose(raw, argument, tools) }
	c.value = func(in any) any { return in.(chosen).tool.value(in.(chosen).in) }
	c.handle = func(ctx context.Context, in any) (any, error) {
		return in.(chosen).tool.handle(ctx, in.(chosen).in)
	}
	return c, nil
}

// alike refuses a tool that one definition cannot stand for.
func alike(a, b *Tool) error {
	switch {
	case b == nil:
		return errors.New("there is none")
	case len(b.spec.Guards) > 0 || len(b.headers) > 0:
		return errors.New("it has guards or headers of its own")
	case a.spec.Name != b.spec.Name || a.spec.Effect != b.spec.Effect || a.spec.Labels != b.spec.Labels:
		return errors.New("its name, effect or labels are others")
	}
	x, y := a.definition(), b.definition()
	one, err := json.Marshal([]any{x.InputSchema, x.OutputSchema})
	two, err2 := json.Marshal([]any{y.InputSchema, y.OutputSchema})
	if err != nil || err2 != nil || !bytes.Equal(one, two) {
		return errors.New("its schemas are others")
	}
	return nil
}

// withChoice adds the argument to a schema.
func withChoice(made any, argument, description string, keys []string) (json.RawMessage, error) {
	raw, err := json.Marshal(made)
	if err != nil {
		return nil, err
	}
	s := &jsonschema.Schema{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, err
	}
	if s.Properties[argument] != nil {
		return nil, fmt.Errorf("the tools have an argument %q already", argument)
	}
	enum := make([]any, len(keys))
	for i, k := range keys {
		enum[i] = k
	}
	if s.Properties == nil {
		s.Properties = map[string]*jsonschema.Schema{}
	}
	s.Properties[argument] = &jsonschema.Schema{Type: "string", Description: description, Enum: enum}
	s.Required = append([]string{argument}, s.Required...)
	return json.Marshal(s)
}

// choose takes the argument out, and has the tool that it names decode the rest.
func choose(raw json.RawMessage, argument string, tools map[string]*Tool) (any, error) {
	members := map[string]json.RawMessage{}
	if err := v2.Unmarshal(raw, &members); err != nil { // a member twice, too
		return nil, &strictjson.Error{Rule: "must be an object whose members have different names"}
	}
	var key string
	value, ok := members[argument]
	if !ok || v2.Unmarshal(value, &key) != nil || tools[key] == nil {
		return nil, &strictjson.Error{Path: argument, Rule: "must be one of " + strings.Join(slices.Sorted(maps.Keys(tools)), ", ")}
	}
	delete(members, argument)
	rest, err := v2.Marshal(members, v2.Deterministic(true))
	if err != nil {
		return nil, err
	}
	in, err := tools[key].decode(rest)
	return chosen{tools[key], in, argument + "=" + strconv.Quote(key)}, err
}
