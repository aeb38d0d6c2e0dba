package mcpsec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"github.com/mcpsec/mcpsec-go/internal/schema"
	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// The methods whose requests go through the pipeline.
const (
	methodCall     = "tools/call"
	methodPrompt   = "prompts/get"
	methodRead     = "resources/read"
	methodWatch    = "resources/subscribe"
	methodComplete = "completion/complete"
)

const (
	methodUnwatch = "resources/unsubscribe"
	methodListen  = "subscriptions/listen"
	methodUpdated = "notifications/resources/updated"

	methodInitialize = "initialize"
	methodSetLevel   = "logging/setLevel"
)

// methodOf tells by a noun what its things are asked for with.
var methodOf = map[string]string{"tool": methodCall, "prompt": methodPrompt, "resource": methodRead}

// An operation is what a client can ask for by name: a call of a tool, a prompt,
// the contents of a resource. The pipeline sees no other difference between them.
type operation struct {
	method string
	noun   string   // what its name is the name of, in records: tool, prompt or resource
	spec   ToolSpec // of a prompt or a resource, what these have in common with a tool
	// The typed handler, behind one untyped door.
	decode  func(json.RawMessage) (in any, err error)
	value   func(in any) any // what guards see
	handle  func(context.Context, any) (any, error)
	encode  func(io.Writer, any) error
	logged  []loggedField
	running *inFlight
}

// An input is what an operation takes.
type input struct {
	*schema.Plan
	typ     reflect.Type
	partial func(json.RawMessage) (in any, err error) // decodes without checking for what is missing
}

// takes makes In what the operation takes.
func takes[In any](o *operation) (input, error) {
	plan, err := schema.Input(reflect.TypeFor[In]())
	if err != nil {
		return input{}, fmt.Errorf("input: %w", err)
	}
	partial := func(raw json.RawMessage) (any, error) {
		v := new(In)
		return v, strictjson.Decode(raw, v, plan.Shape)
	}
	o.value = func(v any) any { return *v.(*In) }
	o.decode = func(raw json.RawMessage) (any, error) {
		v, err := partial(raw)
		if err != nil {
			return nil, err
		}
		return v, plan.Check(v)
	}
	o.logged = loggedFields(reflect.TypeFor[In]())
	o.running = new(inFlight)
	return input{plan, reflect.TypeFor[In](), partial}, nil
}

// takesTexts is takes for what the protocol gives as texts: the members of In
// must be strings.
func takesTexts[In any](o *operation) (input, error) {
	in, err := takes[In](o)
	if err != nil {
		return in, err
	}
	fields, err := strictjson.Fields(reflect.TypeFor[In]())
	for _, f := range fields {
		if p := in.Schema.Properties[f.JSON]; f.Type.Kind() != reflect.String || p.Type != "string" {
			return in, fmt.Errorf("field %s: must be a string: the protocol has no other arguments here", f.JSON)
		}
		if len(in.Headers()) > 0 {
			return in, errors.New("only the arguments of tools can stand in headers")
		}
		if !isName(f.JSON) {
			return in, fmt.Errorf("field %s: the name must be 1 to 128 characters of A-Z a-z 0-9 _ . -", f.JSON)
		}
	}
	return in, err
}

// validate refuses a declaration that is incomplete or that reads differently
// to a person than to a model.
func (o *operation) validate() error {
	s := &o.spec
	switch {
	case !isName(s.Name):
		return errors.New("the name must be 1 to 128 characters of A-Z a-z 0-9 _ . -")
	case s.Description == "":
		return errors.New("a description is required: it is what the model chooses by")
	case s.Effect < Read || s.Effect > Destroy:
		return errors.New("an Effect is required: Read, Write or Destroy")
	case slices.ContainsFunc(s.Guards, func(g Guard) bool { return g == nil }):
		return errors.New("a guard is nil")
	case s.Timeout < 0 || s.MaxResult < 0 || s.MaxConcurrent < 0:
		return errors.New("limits must not be negative")
	}
	if err := checkScopes(s.Scopes); err != nil {
		return err
	}
	s.Guards, s.Waive, s.Scopes = slices.Clone(s.Guards), slices.Clone(s.Waive), slices.Clone(s.Scopes)
	for _, text := range []string{s.Title, s.Description, s.Narrow} {
		if err := visible(text); err != nil {
			return err
		}
	}
	return nil
}
