package mcpsec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	v2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/schema"
	"github.com/mcpsec/mcpsec-go/internal/text"
)

// An Effect says what a tool can do to the world. The zero Effect is invalid,
// so a forgotten one is a failure at start and not a silent Read.
type Effect uint8

// The effects, each including the ones before.
const (
	Read    Effect = iota + 1 // changes nothing that anyone would notice
	Write                     // changes data in a way that can be undone
	Destroy                   // cannot be undone: needs a person's yes, see Preview
)

// String returns read, write, destroy or invalid.
func (e Effect) String() string {
	switch e {
	case Read:
		return "read"
	case Write:
		return "write"
	case Destroy:
		return "destroy"
	}
	return "invalid"
}

// A Label says what a tool's data is, beyond its effect. Labels combine with |.
type Label uint8

// The labels.
const (
	Private   Label = 1 << iota // returns what outsiders must not learn
	Untrusted                   // returns text that strangers wrote
	Egress                      // sends data or money out of the caller's reach, or lets others reach in
)

var labelNames = []string{"private", "untrusted", "egress"}

// String lists the labels that are set, as in "private, untrusted".
func (l Label) String() string { return strings.Join(l.names(), ", ") }

// names lists the labels that are set.
func (l Label) names() []string {
	var out []string
	for i, n := range labelNames {
		if l&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}

// A ToolSpec describes a tool. Name, Description and Effect are required.
type ToolSpec struct {
	// Name is 1 to 128 characters of A-Z a-z 0-9 _ - and .
	Name string
	// Title is for people. Defaults to none.
	Title string
	// Description is for the model: what the tool is for, when not to use it,
	// what its limits are.
	Description string
	// Effect is the worst that a call can do.
	Effect Effect
	// Labels say what the results are. Defaults to none.
	Labels Label
	// Scopes are what a caller needs, all of them. Without, the tool does not
	// exist for the caller, see [Options].StepUp. Defaults to none.
	Scopes []string
	// Idempotent tells the client that a repeated call does no more than one
	// does. Defaults to true for Read.
	Idempotent bool
	// Guards run after the server's. Defaults to none.
	Guards []Guard
	// Timeout, MaxResult and MaxConcurrent lower or raise the server's [Limits]
	// for this tool. Default to the server's; MaxConcurrent to no limit of its
	// own.
	Timeout       time.Duration
	MaxResult     int
	MaxConcurrent int
	// InputSchema is a JSON Schema (2020-12) that the model sees in place of the one
	// that is made from the input type, for rules that tags cannot say: one of two
	// members, a member that depends on another. It is enforced beside the type's own
	// rules, which hold whether or not it says them. It must be of an object with
	// additionalProperties false, name no member that the type does not have, refer
	// to nothing outside, and have at most 32 KiB. Defaults to none.
	InputSchema json.RawMessage
	// Narrow says how to ask for less, as in "lower limit or name fewer
	// columns". The model reads it when a result is too large. Defaults to a
	// general advice.
	Narrow string
	// Waive switches protections off, see package insecure. Defaults to none.
	Waive []Waiver
}

// A Tool is a tool that can be added to a [Server]. It is immutable and may be
// added to several servers.
type Tool struct {
	operation
	in, out *schema.Plan // out is nil where the results are contents
	headers map[string]string
	schema  json.RawMessage // written by hand
	listed  *mcp.Tool       // what tools/list shows, with its schemas encoded once
}

// NewTool makes a tool from a handler of typed input and output.
//
// In is a struct. Its validate tags (validator/v10) make both the JSON Schema
// that the model sees and the check that is enforced, its json tags the names
// and its jsonschema tags the descriptions. Strings and slices without an upper
// bound get [DefaultMaxLength] and [DefaultMaxItems]; an unbounded map, any, or
// undecoded JSON without the tag `mcpsec:"any"` is refused. A field tagged
// `mcpsec:"log"` has its value written to the audit log; of the others only the
// shape is. One tagged `mcpsec:"header=Region"` is repeated by clients over HTTP in
// the header Mcp-Param-Region, for proxies, and a call in which the two disagree
// is refused.
//
// Out is a struct or a pointer to one, and a nil pointer is an internal error.
// Its schema is shown to the client and its validate tags are enforced. Or it is
// [Content] or a slice of it: texts, pictures, sounds and resources, without a
// structured result.
//
// The handler must be safe for concurrent use and should return when its
// context ends. NewTool panics, naming the tool, on a spec or type that cannot
// be right: it runs at start, from constants.
func NewTool[In, Out any](spec ToolSpec, handler func(context.Context, In) (Out, error)) *Tool {
	t, err := newTool(spec, handler)
	if err != nil {
		panic(fmt.Sprintf("mcpsec: tool %q: %v", spec.Name, err))
	}
	return t
}

func newTool[In, Out any](spec ToolSpec, handler func(context.Context, In) (Out, error)) (*Tool, error) {
	if handler == nil {
		return nil, errors.New("a handler is required")
	}
	t := &Tool{operation: operation{
		method: methodCall, noun: "tool", spec: spec,
		handle: func(ctx context.Context, v any) (any, error) { return handler(ctx, *v.(*In)) },
	}}
	in, err := takes[In](&t.operation)
	if err != nil {
		return nil, err
	}
	t.in, t.headers = in.Plan, in.Headers()
	if err := t.useSchema(spec.InputSchema); err != nil {
		return nil, err
	}
	if isContent(reflect.TypeFor[Out]()) {
		t.handle = func(ctx context.Context, v any) (any, error) {
			out, err := handler(ctx, *v.(*In))
			return toolContents(out), err
		}
		t.encode = encodeDocument
		return t, t.validate()
	}
	if t.out, err = schema.Output(reflect.TypeFor[Out]()); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	t.encode = t.encodeChecked
	return t, t.validate()
}

// encodeChecked writes a result that keeps to its own schema.
func (t *Tool) encodeChecked(w io.Writer, v any) error {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return errors.New("the handler returned a nil result")
	}
	if err := t.out.Check(v); err != nil {
		return fmt.Errorf("the result breaks its own schema: %w", err)
	}
	return v2.MarshalWrite(w, v, encodeOptions)
}

// Invalid UTF-8 of a backend becomes replacement characters and not a failure.
var encodeOptions = v2.JoinOptions(jsontext.AllowInvalidUTF8(true), v2.Deterministic(true))

// isName reports whether name may be that of a tool, by the specification of MCP.
func isName(name string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	return name != "" && len(name) <= 128 && strings.Trim(name, allowed) == ""
}

func (t *Tool) validate() error {
	if err := t.operation.validate(); err != nil {
		return err
	}
	in, err := visibleSchema(t.in.Schema)
	if err != nil {
		return err
	}
	t.listed = t.definition()
	if t.schema == nil {
		t.listed.InputSchema = in
	}
	if t.out != nil {
		t.listed.OutputSchema, err = visibleSchema(t.out.Schema)
	}
	return err
}

func visible(s string) error {
	if i := text.FirstHidden(s); i >= 0 {
		return fmt.Errorf("an invisible, bidirectional or control character at byte %d of %+q", i, s)
	}
	return nil
}

// visibleSchema is visible for all texts of a schema, which it returns as JSON.
func visibleSchema(s any) (json.RawMessage, error) {
	encode := func() (json.RawMessage, error) { return json.Marshal(s) }
	if own, ok := s.(*jsonschema.Schema); ok {
		encode = func() (json.RawMessage, error) { return schema.JSON(own) }
	}
	b, err := encode()
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if bytes.IndexByte(b, '\\') < 0 { // nothing is escaped
		return b, visible(string(b))
	}
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
		if str, ok := tok.(string); ok {
			if err := visible(str); err != nil {
				return nil, err
			}
		}
	}
}

// Name returns the tool's name.
func (t *Tool) Name() string { return t.spec.Name }

// Labels returns what the tool's data is.
func (t *Tool) Labels() Label { return t.spec.Labels }

// WithLabels returns a copy of the tool with other labels: whoever runs a server knows
// better than a ready-made tool whether strangers write into its tables, or whether what
// is in them is secret.
func (t *Tool) WithLabels(l Label) *Tool {
	return t.with(func(s *ToolSpec) { s.Labels = l })
}

// Effect returns the worst that a call can do.
func (t *Tool) Effect() Effect { return t.spec.Effect }

// WithName returns a copy of the tool under another name. It panics on an
// invalid one.
func (t *Tool) WithName(name string) *Tool {
	return t.with(func(s *ToolSpec) { s.Name = name })
}

// WithGuards returns a copy of the tool with further guards, which run last.
func (t *Tool) WithGuards(guards ...Guard) *Tool {
	return t.with(func(s *ToolSpec) { s.Guards = slices.Concat(s.Guards, guards) })
}

func (t *Tool) with(change func(*ToolSpec)) *Tool {
	c := &Tool{operation: t.operation, in: t.in, out: t.out, headers: t.headers, schema: t.schema}
	c.running = new(inFlight)
	change(&c.spec)
	if err := c.validate(); err != nil {
		panic(fmt.Sprintf("mcpsec: tool %q: %v", c.spec.Name, err))
	}
	return c
}

// definition is what the SDK is told.
func (t *Tool) definition() *mcp.Tool {
	world, destroys := t.spec.Labels&(Untrusted|Egress) != 0, t.spec.Effect == Destroy
	d := &mcp.Tool{
		Name:        t.spec.Name,
		Title:       t.spec.Title,
		Description: t.spec.Description,
		InputSchema: t.in.Schema,
		Annotations: &mcp.ToolAnnotations{
			ReadOnlyHint:    t.spec.Effect == Read,
			IdempotentHint:  t.spec.Effect == Read || t.spec.Idempotent,
			DestructiveHint: &destroys,
			OpenWorldHint:   &world,
		},
	}
	if t.out != nil {
		d.OutputSchema = t.out.Schema
	}
	if t.schema != nil {
		d.InputSchema = t.schema
	}
	return d
}
