package mcpsec

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// maxSuggestions is how many values one answer may hold: MCP, Completion.
const maxSuggestions = 100

// A completer suggests values of an argument.
type completer = func(ctx context.Context, prefix string) ([]string, error)

// completers makes an operation of each argument's completion. It has the name,
// scopes, guards and limits of what the argument is for, so whoever may not use
// that learns nothing here either; its guards get the handler's type of input, in
// which only the argument is set. An argument without a completer has no values.
func completers(o *operation, in input, given map[string]completer) (map[string]*operation, error) {
	fields, err := strictjson.Fields(in.typ)
	if err != nil {
		return nil, err
	}
	ops := map[string]*operation{}
	for _, f := range fields {
		ops[f.JSON] = &operation{
			method: methodComplete, noun: o.noun, spec: o.spec, value: o.value, logged: o.logged,
			decode: in.partial, encode: encodeDocument, running: new(inFlight),
			handle: suggest(given[f.JSON], f.Path),
		}
	}
	for name, c := range given {
		if ops[name] == nil || c == nil {
			return nil, fmt.Errorf("the completer of %q is nil or for an argument that does not exist", name)
		}
	}
	return ops, nil
}

type wireCompletion struct {
	Values  []string `json:"values"`
	HasMore bool     `json:"hasMore,omitzero"`
}

// suggest is the handler of a completion: of the argument at path.
func suggest(c completer, path []int) func(context.Context, any) (any, error) {
	return func(ctx context.Context, in any) (any, error) {
		var values []string
		if c != nil {
			var err error
			if values, err = c(ctx, reflect.ValueOf(in).Elem().FieldByIndex(path).String()); err != nil {
				return nil, err
			}
		}
		d := &document{member: "completion"}
		for _, v := range values[:min(len(values), maxSuggestions)] {
			d.parts = append(d.parts, Content{Text: v})
		}
		d.form = func(parts []Content) (any, error) {
			out := wireCompletion{Values: []string{}, HasMore: len(values) > len(parts)}
			for _, p := range parts {
				out.Values = append(out.Values, p.Text)
			}
			return out, nil
		}
		return d, nil
	}
}

const (
	unknownArgument  = "unknown argument: the list names those that exist"
	unknownReference = "unknown prompt or resource template: the lists name those that exist"
)

// complete answers completion/complete. What the caller may not use is unknown.
func (s *Server) complete(ctx context.Context, p Principal, req *mcp.CompleteRequest) (mcp.Result, error) {
	var ops map[string]*operation
	switch ref := req.Params.Ref; {
	case ref == nil:
	case ref.Type == "ref/prompt":
		if prompt := s.promptFor(ref.Name, p); prompt != nil {
			ops = prompt.complete
		}
	default:
		if r := s.templateFor(ref.URI, p); r != nil {
			ops = r.complete
		}
	}
	if ops == nil {
		return nil, s.unknown(ctx, p, "unknown reference", unknownReference)
	}
	o := ops[req.Params.Argument.Name]
	if o == nil {
		return nil, s.unknown(ctx, p, "unknown argument", unknownArgument)
	}
	c := asCall(req.Session, req.Params.Meta, o.spec.Name)
	var err error
	if c.Params.Arguments, err = json.Marshal(map[string]string{req.Params.Argument.Name: req.Params.Argument.Value}); err != nil {
		return nil, err
	}
	return s.document(ctx, o, c)
}
