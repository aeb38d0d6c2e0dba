package mcpsec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/wire"
)

const (
	unknownTool   = "unknown tool: tools/list names those that exist"
	unknownPrompt = "unknown prompt: prompts/list names those that exist"
)

// errNotHere is what the SDK would get from a prompt or a resource: it lists
// them, and [Server.backstop] answers for them.
var errNotHere = errors.New("answered elsewhere")

// AddPrompt serves prompts. It panics on a name that is taken.
func (s *Server) AddPrompt(prompts ...*Prompt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range prompts {
		if p == nil {
			panic(fmt.Sprintf("mcpsec: AddPrompt: prompt %d is nil", i))
		}
		if s.prompts[p.spec.Name] != nil {
			panic(fmt.Sprintf("mcpsec: prompt %q: added twice", p.spec.Name))
		}
		s.logWaivers(&p.operation)
		s.suggests = s.suggests || p.suggests
		s.prompts[p.spec.Name] = p
		s.sdk.AddPrompt(p.definition(), func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return nil, errNotHere
		})
	}
}

// AddResource serves resources. It panics on a name that is taken, and when one
// URI could be of two resources: which rules hold for it must not depend on the
// order.
func (s *Server) AddResource(resources ...*Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range resources {
		if r == nil {
			panic(fmt.Sprintf("mcpsec: AddResource: resource %d is nil", i))
		}
		if err := s.conflict(r); err != nil {
			panic(fmt.Sprintf("mcpsec: resource %q: %v", r.spec.Name, err))
		}
		s.logWaivers(&r.operation)
		s.suggests = s.suggests || r.suggests
		s.resources[r.uri.String()] = r
		unread := func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return nil, errNotHere
		}
		if !r.isTemplate() {
			s.sdk.AddResource(r.definition(), unread)
			continue
		}
		s.templates = append(s.templates, r)
		s.sdk.AddResourceTemplate(r.template(), unread)
	}
}

// conflict says why a resource cannot stand beside those that are served.
func (s *Server) conflict(r *Resource) error {
	for _, other := range s.resources {
		if other.spec.Name == r.spec.Name {
			return errors.New("added twice")
		}
		if other.uri.Overlaps(r.uri) {
			return fmt.Errorf("a URI of %s could be one of %s, which %q has", r.uri, other.uri, other.spec.Name)
		}
	}
	return nil
}

func (s *Server) logWaivers(o *operation) {
	for _, w := range o.spec.Waive {
		s.log.Warn("protection waived", o.noun, o.spec.Name, "waiver", string(w.Kind), "reason", w.Reason)
	}
}

// exists reports whether an operation exists for the principal.
func (s *Server) exists(o *operation, p Principal) bool {
	return s.stepUp || o.lacks(p) == nil
}

// toolFor returns the tool of that name, or nil if it does not exist for the
// principal.
func (s *Server) toolFor(name string, p Principal) *Tool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tools[name]
	if t == nil || !s.exists(&t.operation, p) {
		return nil
	}
	return t
}

// promptFor is toolFor for prompts.
func (s *Server) promptFor(name string, p Principal) *Prompt {
	s.mu.RLock()
	defer s.mu.RUnlock()
	prompt := s.prompts[name]
	if prompt == nil || !s.exists(&prompt.operation, p) {
		return nil
	}
	return prompt
}

// resourceFor returns the resource that has the URI, with what the URI says, or
// nil if it does not exist for the principal.
func (s *Server) resourceFor(uri string, p Principal) (*Resource, json.RawMessage) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, raw := s.find(uri)
	if r == nil || !s.exists(&r.operation, p) {
		return nil, nil
	}
	return r, raw
}

// find returns the only resource that has the URI, if any. The lock is held.
func (s *Server) find(uri string) (*Resource, json.RawMessage) {
	if r := s.resources[uri]; r != nil && !r.isTemplate() {
		return r, nil
	}
	for _, r := range s.templates {
		if raw, ok := r.match(uri); ok {
			return r, raw
		}
	}
	return nil, nil
}

// templateFor returns the resource whose URI or template is written so, or nil
// if it does not exist for the principal.
func (s *Server) templateFor(text string, p Principal) *Resource {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.resources[text]
	if r == nil || !s.exists(&r.operation, p) {
		return nil
	}
	return r
}

// operationFor returns what a request of the method is about, or nil.
func (s *Server) operationFor(method, name, uri string, p Principal) *operation {
	switch method {
	case methodCall:
		if t := s.toolFor(name, p); t != nil {
			return &t.operation
		}
	case methodPrompt:
		if prompt := s.promptFor(name, p); prompt != nil {
			return &prompt.operation
		}
	case methodRead:
		if r, _ := s.resourceFor(uri, p); r != nil {
			return &r.operation
		}
	}
	return nil
}

// listVisible leaves out of a list what does not exist for the principal.
func (s *Server) listVisible(res mcp.Result, p Principal) {
	switch list := res.(type) {
	case *mcp.ListToolsResult:
		tools := make([]*mcp.Tool, 0, len(list.Tools))
		for _, d := range list.Tools {
			if t := s.toolFor(d.Name, p); t != nil {
				tools = append(tools, t.listed)
			}
		}
		list.Tools = tools
	case *mcp.ListPromptsResult:
		list.Prompts = slices.DeleteFunc(slices.Clone(list.Prompts), func(d *mcp.Prompt) bool { return s.promptFor(d.Name, p) == nil })
	case *mcp.ListResourcesResult:
		list.Resources = slices.DeleteFunc(slices.Clone(list.Resources), func(d *mcp.Resource) bool { return s.templateFor(d.URI, p) == nil })
	case *mcp.ListResourceTemplatesResult:
		list.ResourceTemplates = slices.DeleteFunc(slices.Clone(list.ResourceTemplates), func(d *mcp.ResourceTemplate) bool {
			return s.templateFor(d.URITemplate, p) == nil
		})
	}
}

// serves reports whether the server has what the method is for.
func (s *Server) serves(ctx context.Context, method string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch method {
	case "prompts/list", methodPrompt:
		return len(s.prompts) > 0
	case "resources/list", "resources/templates/list", methodRead:
		return len(s.resources) > 0
	case methodWatch, methodUnwatch:
		return len(s.resources) > 0 && hasSession(ctx)
	case methodSetLevel:
		return s.clientLog && hasSession(ctx)
	case methodComplete:
		return len(s.prompts)+len(s.resources) > 0
	case methodInitialize, "ping", "server/discover", "tools/list", methodCall, methodListen:
		return true
	}
	return false
}

// unknown meters and records a request for what does not exist for the
// principal, and is the one answer to it.
func (s *Server) unknown(ctx context.Context, p Principal, rule, text string) error {
	if err := s.meter(ctx, p.ID); err != nil {
		return err
	}
	s.recordRefusal(ctx, refusal{principal: p.ID, rule: rule, reason: text})
	return &wire.Vetted{Code: jsonrpc.CodeInvalidParams, Text: text}
}

// getPrompt answers prompts/get.
func (s *Server) getPrompt(ctx context.Context, p Principal, req *mcp.GetPromptRequest) (mcp.Result, error) {
	prompt := s.promptFor(req.Params.Name, p)
	if prompt == nil {
		return nil, s.unknown(ctx, p, "unknown prompt", unknownPrompt)
	}
	c := asCall(req.Session, req.Params.Meta, req.Params.Name)
	c.Params.InputResponses, c.Params.RequestState = req.Params.InputResponses, req.Params.RequestState
	if len(req.Params.Arguments) > 0 {
		var err error
		if c.Params.Arguments, err = json.Marshal(req.Params.Arguments); err != nil {
			return nil, err
		}
	}
	return s.document(ctx, &prompt.operation, c)
}

// readResource answers resources/read.
func (s *Server) readResource(ctx context.Context, p Principal, req *mcp.ReadResourceRequest) (mcp.Result, error) {
	r, raw := s.resourceFor(req.Params.URI, p)
	if r == nil {
		return nil, s.unknown(ctx, p, "unknown resource", unknownResource)
	}
	c := asCall(req.Session, req.Params.Meta, req.Params.URI)
	c.Params.Arguments, c.Params.InputResponses, c.Params.RequestState = raw, req.Params.InputResponses, req.Params.RequestState
	return s.document(ctx, &r.operation, c)
}

// asCall begins to put a request into the form that the pipeline takes. The name
// is that of a prompt, or the URI of a resource.
func asCall(session *mcp.ServerSession, meta mcp.Meta, name string) *mcp.CallToolRequest {
	return &mcp.CallToolRequest{Session: session, Params: &mcp.CallToolParamsRaw{Meta: meta, Name: name}}
}

// document takes a request whose result is a document through the pipeline.
func (s *Server) document(ctx context.Context, o *operation, req *mcp.CallToolRequest) (mcp.Result, error) {
	res := s.serve(ctx, o, req)
	if o.method != methodWatch { // of which one request can make many
		s.became(ctx, res)
	}
	if res.member == "" && res.ask == nil {
		return nil, &wire.Vetted{Code: res.code, Text: res.text, Data: res.data}
	}
	return &reply{CallToolResult: &mcp.CallToolResult{}, res: res, info: s.info, modern: req.ProtocolVersion() >= firstModern}, nil
}
