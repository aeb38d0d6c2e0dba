package mcpsec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/schema"
	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

var (
	// ErrDeclined is what [Elicit] returns when the person did not fill in the
	// form. Returned by a handler, the model reads that.
	ErrDeclined error = &Error{Message: "the person who was asked did not answer", Rule: "declined"}
	// ErrCannotAsk is in the error of [Elicit], [Sample] and [Roots] when the
	// client has not declared that it can be asked for this. A handler can do
	// without then. Returned by a handler, the client is told what it lacks.
	ErrCannotAsk = errors.New("mcpsec: the client cannot be asked for this")
)

// Elicit asks the client's person to fill in a form, and returns what they have
// entered. T is a flat struct of strings, numbers, booleans and lists of choices,
// whose tags are those of [NewTool]; `default:"..."` fills a field in beforehand,
// and `titles:"One|Two"` names the values of oneof to the person (enumNames, for
// clients of versions before 2025-11-25). The name tells the answer from others of
// the call.
//
// Where there is no answer yet it returns an error that the handler must return,
// by itself, wrapped, or joined with that of other questions, which are then
// asked at once. The client is asked, and the handler runs again, from its start:
// what stands before Elicit is done once for each time the call asks, so let it
// change nothing. A call asks at most eight times, and its answers have at most
// 24 KiB together. The client keeps them for the server until then, sealed, bound
// to the caller, the arguments and the questions, until [Limits].Confirm has
// passed, and used once.
//
// The person sees the message as one line of at most 4,000 bytes, without
// secrets and with hidden characters spelled out. The answer is what the client
// says that it is: check it as any input; T's rules were checked, and integers
// beyond 2^53 are refused, since they do not come through exactly. A field whose
// name speaks of a secret is an error: forms are no place for one.
//
// The error is [ErrDeclined] if the person does not want to, and one that is
// [ErrCannotAsk] if the client shows no forms, or speaks an older version over
// HTTP without [HTTPOptions].Sessions. Elicit works in the handlers of tools, prompts
// and resources; in a guard it refuses, see [Ask].
func Elicit[T any](ctx context.Context, name, message string) (T, error) {
	var out T
	f, err := formOf(reflect.TypeFor[T]())
	if err != nil {
		return out, fmt.Errorf("mcpsec: Elicit: %w", err)
	}
	r, err := asker(ctx, name)
	if err != nil {
		return out, err
	}
	message = r.server.forPerson(message)
	if message == "" || len(message) > maxQuestion {
		return out, fmt.Errorf("mcpsec: Elicit: the message must have 1 to %d bytes", maxQuestion)
	}
	n, err := newNeed(name, canElicit, &mcp.ElicitParams{Mode: "form", Message: message, RequestedSchema: f.schema})
	if err != nil {
		return out, fmt.Errorf("mcpsec: Elicit: %w", err)
	}
	return out, r.want(n, func(raw json.RawMessage) error {
		var v T
		if err := f.read(raw, &v); err != nil {
			return err
		}
		out = v
		return nil
	})
}

// asker returns the call that asks.
func asker(ctx context.Context, name string) (*run, error) {
	r := runFrom(ctx)
	if r == nil {
		return nil, errors.New("mcpsec: a client can be asked within a call only")
	}
	if !isName(name) {
		return nil, errors.New("mcpsec: the name of a question must be 1 to 128 characters of A-Z a-z 0-9 _ . -")
	}
	return r, nil
}

// A form is what a person fills in.
type form struct {
	*schema.Plan
	schema json.RawMessage
}

type elicited struct {
	Action  string         `json:"action"`
	Content map[string]any `json:"content,omitempty"`
}

// forms keeps the form of each type, of which a program has few.
var forms sync.Map

func formOf(t reflect.Type) (*form, error) {
	if f, ok := forms.Load(t); ok {
		return f.(*form), nil
	}
	plan, raw, err := schema.Form(t)
	if err != nil {
		return nil, err
	}
	if _, err := visibleSchema(raw); err != nil {
		return nil, err
	}
	f := &form{plan, raw}
	forms.Store(t, f)
	return f, nil
}

// read decodes an answer into v, which points to the form's type. Members that
// were not asked for are dropped.
func (f *form) read(raw json.RawMessage, v any) error {
	var res elicited
	if json.Unmarshal(raw, &res) != nil {
		return errUnfit
	}
	switch res.Action {
	case "accept":
	case "decline", "cancel":
		return ErrDeclined
	default:
		return errUnfit
	}
	for name, value := range res.Content {
		p := f.Schema.Properties[name]
		if p == nil {
			delete(res.Content, name)
			continue
		}
		// The SDK has made a float64 of it, which is exact up to here only.
		if n, ok := value.(float64); ok && p.Type == "integer" && math.Abs(n) > 1<<53-1 {
			return errUnfit
		}
	}
	content, err := json.Marshal(res.Content)
	if err != nil || strictjson.Decode(content, v, f.Shape) != nil || f.Check(v) != nil {
		return errUnfit
	}
	return nil
}

// incapable is the error of a client that cannot be asked.
type incapable struct{ capability }

func (e *incapable) Error() string {
	return ErrCannotAsk.Error() + ": it declares no " + string(e.capability)
}

// Is makes it an [ErrCannotAsk].
func (e *incapable) Is(target error) bool { return target == ErrCannotAsk }

// codeMissingCapability is MCP 2026-07-28's MissingRequiredClientCapability.
const codeMissingCapability = -32021

// lacksCapability is the refusal of a call that a client without the capability
// makes.
func (r *run) lacksCapability(c capability) *failure {
	f := refused("capability", "not done: it needs a client with the capability "+string(c))
	if r.modern() {
		f.wire = codeMissingCapability
		f.data = json.RawMessage(`{"requiredCapabilities":{"` + string(c) + `":{}}}`)
	}
	return f
}
