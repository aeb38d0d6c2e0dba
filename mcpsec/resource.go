package mcpsec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/uritemplate"
)

// A ResourceSpec describes a resource, or a family of them. Name, Description
// and URI are required.
type ResourceSpec struct {
	// Name is 1 to 128 characters of A-Z a-z 0-9 _ - and . It names the resource
	// in lists and records.
	Name string
	// Title is for people. Defaults to none.
	Title string
	// Description says what the resource holds.
	Description string
	// URI is the resource's address, or a template of addresses (RFC 6570):
	// {name} stands for one path segment or a part of it, and {+name} at the end
	// for all segments that are left.
	URI string
	// MIMEType is that of the contents, where they name none. Defaults to none.
	MIMEType string
	// Labels say what the contents are. Defaults to none.
	Labels Label
	// Scopes are what a caller needs, all of them. Without, the resource does not
	// exist for the caller, see [Options].StepUp. Defaults to none.
	Scopes []string
	// Guards run after the server's. Defaults to none.
	Guards []Guard
	// Complete suggests values of a variable, by its name: those that begin with
	// the prefix. The first hundred are used. Guards and Scopes hold here too.
	// Defaults to no suggestions.
	Complete map[string]func(ctx context.Context, prefix string) ([]string, error)
	// Watch, if it is not nil, runs for each subscription, on a goroutine of its own,
	// from when a client has subscribed until ctx ends, which is when the client has
	// unsubscribed or gone, and then it must return. It calls updated when what the
	// subscriber may read has changed: that tells this subscriber and no other, returns
	// at once, and changes that come meanwhile become one notification. [PrincipalFrom]
	// says who has subscribed. A panic ends the Watch and is logged. Defaults to none:
	// [Server.ResourceUpdated] tells all subscribers.
	Watch func(ctx context.Context, uri string, updated func())
	// Timeout, MaxResult and MaxConcurrent lower or raise the server's [Limits]
	// for this resource. Default to the server's; MaxConcurrent to no limit of its
	// own.
	Timeout       time.Duration
	MaxResult     int
	MaxConcurrent int
	// Waive switches protections off, see package insecure. Defaults to none.
	Waive []Waiver
}

// A Resource is what can be read at a URI, or at each URI of a template. It can
// be added to a [Server], is immutable and may be added to several servers.
type Resource struct {
	operation
	in       input
	uri      *uritemplate.Template
	mimeType string
	complete map[string]*operation // by variable
	suggests bool                  // for some variable
	watch    *operation            // a subscription to it
	notice   func(ctx context.Context, uri string, updated func())
}

const (
	unknownResource = "unknown resource: the lists name those that exist"
	ruleNotFound    = "not found"
)

// NewResource makes a resource from a handler that reads it.
//
// The variables of spec.URI are exactly the members of In, which are strings; a
// resource without variables takes struct{}. A variable's value was
// percent-decoded once and holds no slash, backslash, control or hidden
// character, no second layer of escapes, and is no run of dots; one of {+name}
// is segments of that kind with slashes between them. The validate tags are
// checked after that.
//
// Out is [Content] or a slice of it. A handler says that there is nothing at a
// URI by an error that is [fs.ErrNotExist]: the answer is that of a URI that no
// resource has. Otherwise refusals are as in [NewPrompt], and so are panics.
func NewResource[In any, Out Content | []Content](spec ResourceSpec, handler func(context.Context, In) (Out, error)) *Resource {
	r, err := newResource(spec, handler)
	if err != nil {
		panic(fmt.Sprintf("mcpsec: resource %q: %v", spec.Name, err))
	}
	return r
}

func newResource[In any, Out Content | []Content](spec ResourceSpec, handler func(context.Context, In) (Out, error)) (*Resource, error) {
	if handler == nil {
		return nil, errors.New("a handler is required")
	}
	r := &Resource{notice: spec.Watch, mimeType: spec.MIMEType, suggests: len(spec.Complete) > 0, operation: operation{
		method: methodRead, noun: "resource", encode: encodeDocument,
		spec: ToolSpec{
			Name: spec.Name, Title: spec.Title, Description: spec.Description, Effect: Read, Labels: spec.Labels, Scopes: spec.Scopes,
			Guards: spec.Guards, Timeout: spec.Timeout, MaxResult: spec.MaxResult, MaxConcurrent: spec.MaxConcurrent, Waive: spec.Waive,
		},
		handle: func(ctx context.Context, v any) (any, error) {
			out, err := handler(ctx, *v.(*In))
			if err != nil {
				return nil, absent(err)
			}
			return resourceContents(contents(out), runFrom(ctx).req.Params.Name, spec.MIMEType), nil
		},
	}}
	var err error
	if r.in, err = takesTexts[In](&r.operation); err != nil {
		return nil, err
	}
	if err := r.validate(spec.URI); err != nil {
		return nil, err
	}
	r.watch = r.subscription()
	r.complete, err = completers(&r.operation, r.in, spec.Complete)
	return r, err
}

// validate checks the URI and what it has to agree with.
func (r *Resource) validate(uri string) error {
	if err := r.operation.validate(); err != nil {
		return err
	}
	var err error
	if r.uri, err = uritemplate.Parse(uri); err != nil {
		return fmt.Errorf("URI: %w", err)
	}
	variables, members := slices.Sorted(slices.Values(r.uri.Variables())), slices.Sorted(slices.Values(r.in.Schema.PropertyOrder))
	if !slices.Equal(variables, members) {
		return fmt.Errorf("the URI's variables are %q and the input's members %q: they must be the same", variables, members)
	}
	if m := r.mimeType; m != "" && !mediaType().MatchString(m) {
		return errors.New("the MIMEType is no media type, as in image/png")
	}
	_, err = visibleSchema(r.in.Schema)
	return err
}

// absent gives an error that says that there is nothing the answer of a URI that
// no resource has.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{Message: unknownResource, Rule: ruleNotFound}
	}
	return err
}

func resourceContents(parts []Content, uri, mimeType string) *document {
	for i := range parts {
		if parts[i].URI == "" {
			parts[i].URI = uri
		}
		if parts[i].MIMEType == "" {
			parts[i].MIMEType = mimeType
		}
	}
	return &document{member: "contents", parts: parts, form: func(parts []Content) (any, error) {
		if len(parts) == 0 {
			return nil, errors.New("the handler returned no contents: fs.ErrNotExist says that there is nothing")
		}
		return each(parts, Content.resource)
	}}
}

// subscription is the operation of subscribing to the resource: who may not
// read it must not learn when it changes. It does nothing but pass.
func (r *Resource) subscription() *operation {
	return &operation{
		method: methodWatch, noun: r.noun, spec: r.spec, decode: r.decode, value: r.value, logged: r.logged,
		encode: encodeDocument, running: new(inFlight),
		handle: func(context.Context, any) (any, error) { return granted(), nil },
	}
}

// granted is the result of a subscription, which the SDK replaces by its own.
func granted() *document {
	return &document{member: "granted", form: func([]Content) (any, error) { return true, nil }}
}

// match returns the arguments that the URI gives a template.
func (r *Resource) match(uri string) (json.RawMessage, bool) {
	vars, ok := r.uri.Match(uri)
	if !ok {
		return nil, false
	}
	raw, err := json.Marshal(vars)
	return raw, err == nil
}

// isTemplate reports whether the resource is a family of them.
func (r *Resource) isTemplate() bool { return len(r.uri.Variables()) > 0 }

// definition is what resources/list shows.
func (r *Resource) definition() *mcp.Resource {
	return &mcp.Resource{Name: r.spec.Name, Title: r.spec.Title, Description: r.spec.Description, URI: r.uri.String(), MIMEType: r.mimeType}
}

// template is what resources/templates/list shows.
func (r *Resource) template() *mcp.ResourceTemplate {
	return &mcp.ResourceTemplate{
		Name: r.spec.Name, Title: r.spec.Title, Description: r.spec.Description, URITemplate: r.uri.String(), MIMEType: r.mimeType,
	}
}
