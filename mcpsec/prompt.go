package mcpsec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A PromptSpec describes a prompt. Name and Description are required.
type PromptSpec struct {
	// Name is 1 to 128 characters of A-Z a-z 0-9 _ - and .
	Name string
	// Title is for people. Defaults to none.
	Title string
	// Description says what the prompt is for.
	Description string
	// Labels say what the messages are. Defaults to none.
	Labels Label
	// Scopes are what a caller needs, all of them. Without, the prompt does not
	// exist for the caller, see [Options].StepUp. Defaults to none.
	Scopes []string
	// Guards run after the server's. Defaults to none.
	Guards []Guard
	// Complete suggests values of an argument, by its name: those that begin with
	// the prefix. The first hundred are used. Guards and Scopes hold here too.
	// Defaults to no suggestions.
	Complete map[string]func(ctx context.Context, prefix string) ([]string, error)
	// Timeout and MaxResult lower or raise the server's [Limits] for this prompt.
	// Default to the server's.
	Timeout   time.Duration
	MaxResult int
	// Waive switches protections off, see package insecure. Defaults to none.
	Waive []Waiver
}

// A Prompt is a template of messages that a person chooses, which can be added
// to a [Server]. It is immutable and may be added to several servers.
type Prompt struct {
	operation
	in       input
	complete map[string]*operation // by argument
	suggests bool                  // for some argument
}

// NewPrompt makes a prompt from a handler of typed arguments.
//
// In is a struct of strings, since the protocol has no other arguments here. Its
// tags are those of [NewTool]; arguments pass through the same pipeline as those
// of tools. The messages leave as contents do, see [Content]. What the handler
// copies from an argument into a message is the caller's text.
//
// A refusal is an error of the protocol, which holds the text of an [*Error] and
// of no other error. NewPrompt panics, naming the prompt, on a spec or type that
// cannot be right.
func NewPrompt[In any](spec PromptSpec, handler func(context.Context, In) ([]Message, error)) *Prompt {
	p, err := newPrompt(spec, handler)
	if err != nil {
		panic(fmt.Sprintf("mcpsec: prompt %q: %v", spec.Name, err))
	}
	return p
}

func newPrompt[In any](spec PromptSpec, handler func(context.Context, In) ([]Message, error)) (*Prompt, error) {
	if handler == nil {
		return nil, errors.New("a handler is required")
	}
	p := &Prompt{suggests: len(spec.Complete) > 0, operation: operation{
		method: methodPrompt, noun: "prompt", encode: encodeDocument,
		spec: ToolSpec{
			Name: spec.Name, Title: spec.Title, Description: spec.Description, Effect: Read, Labels: spec.Labels, Scopes: spec.Scopes,
			Guards: spec.Guards, Timeout: spec.Timeout, MaxResult: spec.MaxResult, Waive: spec.Waive,
		},
		handle: func(ctx context.Context, v any) (any, error) {
			m, err := handler(ctx, *v.(*In))
			return conversation(m), err
		},
	}}
	var err error
	if p.in, err = takesTexts[In](&p.operation); err != nil {
		return nil, err
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	if _, err := visibleSchema(p.in.Schema); err != nil {
		return nil, err
	}
	p.complete, err = completers(&p.operation, p.in, spec.Complete)
	return p, err
}

type wireMessage struct {
	Role    string    `json:"role"`
	Content wireBlock `json:"content"`
}

func conversation(messages []Message) *document {
	d := &document{member: "messages", parts: make([]Content, len(messages))}
	for i, m := range messages {
		d.parts[i] = m.Content
	}
	d.form = func(parts []Content) (any, error) {
		blocks, err := each(parts, Content.block)
		if len(parts) == 0 {
			err = errors.New("the handler returned no messages")
		}
		if err != nil {
			return nil, err
		}
		out := make([]wireMessage, len(blocks))
		for i, b := range blocks {
			role := messages[i].Role
			if role == "" {
				role = "user"
			}
			if role != "user" && role != "assistant" {
				return nil, fmt.Errorf("message %d: Role must be user or assistant", i)
			}
			out[i] = wireMessage{role, b}
		}
		return out, nil
	}
	return d
}

// definition is what prompts/list shows.
func (p *Prompt) definition() *mcp.Prompt {
	d := &mcp.Prompt{Name: p.spec.Name, Title: p.spec.Title, Description: p.spec.Description}
	for _, name := range p.in.Schema.PropertyOrder {
		s := p.in.Schema.Properties[name]
		d.Arguments = append(d.Arguments, &mcp.PromptArgument{
			Name: name, Description: inWords(s), Required: slices.Contains(p.in.Schema.Required, name),
		})
	}
	return d
}

// inWords tells an argument's rules, for which the protocol has no schema here.
func inWords(s *jsonschema.Schema) string {
	parts := []string{}
	if s.Description != "" {
		parts = append(parts, strings.TrimSuffix(s.Description, "."))
	}
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i] = fmt.Sprint(v)
		}
		parts = append(parts, "One of: "+strings.Join(values, ", "))
	}
	if s.Format != "" {
		parts = append(parts, "Format: "+s.Format)
	}
	if s.Pattern != "" {
		parts = append(parts, "Pattern: "+s.Pattern)
	}
	if s.MaxLength != nil {
		parts = append(parts, "At most "+strconv.Itoa(*s.MaxLength)+" characters")
	}
	return strings.Join(parts, ". ")
}
