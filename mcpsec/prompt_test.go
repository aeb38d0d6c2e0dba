package mcpsec_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type reviewIn struct {
	Language string `json:"language" validate:"required,oneof=go rust" jsonschema:"what the code is written in"`
	Focus    string `json:"focus" validate:"max=20"`
}

func said(text string) []mcpsec.Message {
	return []mcpsec.Message{{Content: mcpsec.Content{Text: text}}}
}

func review(change func(*mcpsec.PromptSpec)) *mcpsec.Prompt {
	spec := mcpsec.PromptSpec{Name: "review", Description: "Review code."}
	if change != nil {
		change(&spec)
	}
	return mcpsec.NewPrompt(spec, func(_ context.Context, in reviewIn) ([]mcpsec.Message, error) {
		return append(said("Review this "+in.Language+" for "+in.Focus), mcpsec.Message{Role: "assistant", Content: mcpsec.Content{Text: "Gladly."}}), nil
	})
}

// promising makes a prompt without arguments.
func promising(h func(context.Context) ([]mcpsec.Message, error)) *mcpsec.Prompt {
	return mcpsec.NewPrompt(mcpsec.PromptSpec{Name: "p", Description: "For tests."}, func(ctx context.Context, _ none) ([]mcpsec.Message, error) { return h(ctx) })
}

// The SDK's clients of both eras see prompts and get them.
func TestPrompts(t *testing.T) {
	t.Parallel()
	eras(t, func(t *testing.T, modern bool) {
		f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil)
		f.AddPrompt(review(nil), promising(func(context.Context) ([]mcpsec.Message, error) {
			return []mcpsec.Message{
				{Content: mcpsec.Content{URI: "test://e", MIMEType: "text/plain", Text: "embedded"}},
				{Content: mcpsec.Content{Data: decode64(t, png64), MIMEType: "image/png"}},
			}, nil
		}))
		cs := f.connectHTTP(t, "alice-token", modern)
		list, err := cs.ListPrompts(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(list.Prompts)
		want := `[{"description":"For tests.","name":"p"},{"arguments":[{"name":"language","description":"what the code is written in. One of: go, rust","required":true},` +
			`{"name":"focus","description":"At most 20 characters"}],"description":"Review code.","name":"review"}]`
		if string(b) != want {
			t.Errorf("got  %s\nwant %s", b, want)
		}
		res, err := cs.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "review", Arguments: map[string]string{"language": "go", "focus": "races"}})
		if err != nil {
			t.Fatal(err)
		}
		if m := res.Messages; len(m) != 2 || m[0].Role != "user" || m[0].Content.(*mcp.TextContent).Text != "Review this go for races" || m[1].Role != "assistant" {
			t.Errorf("got %+v", m)
		}
		if res, err = cs.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "p"}); err != nil {
			t.Fatal(err)
		}
		if e := res.Messages[0].Content.(*mcp.EmbeddedResource); !reflect.DeepEqual(e.Resource, &mcp.ResourceContents{URI: "test://e", MIMEType: "text/plain", Text: "embedded"}) {
			t.Errorf("got %+v", e.Resource)
		}
		if i := res.Messages[1].Content.(*mcp.ImageContent); i.MIMEType != "image/png" {
			t.Errorf("got %+v", i)
		}
	})
}

// getPrompt asks by hand, with arguments as JSON.
func (r *raw) getPrompt(name, args string) string {
	r.t.Helper()
	return r.ask(`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"` + name + `","arguments":` + args + `}}`)
}

// Arguments are validated, and refused without echo. (PRM-01)
func TestPromptArguments(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.AddPrompt(review(nil))
	r := f.dial(t)
	for args, want := range map[string]string{
		`{"language":"go"}`:               `Review this go for `,
		`{"language":"hunter2"}`:          `"code":-32602,"message":"invalid arguments: language: must be one of`,
		`{}`:                              `"code":-32602,"message":"invalid arguments: language`,
		`{"language":"go","hunter2":"x"}`: `"code":-32602,"message":"invalid arguments: unknown member; known are language, focus"`,
		`{"Language":"go"}`:               `"code":-32602,"message":"invalid arguments: unknown member; known are language, focus"`,
		`{"language":"go","focus":"hunter2hunter2hunter2"}`: `"code":-32602,"message":"invalid arguments: focus: must be at most 20 characters"`,
		`{"language":5}`:                      `"code":-32602,"message":"invalid params`,
		`{"language":"go","language":"rust"}`: `"code":-32600,"message":"a member occurs twice"`,
		`"hunter2"`:                           `"code":-32602,"message":"invalid params`,
		`{"language":"go","focus":"` + strings.Repeat("x", 1000) + `","a":{"b":1}}`: `"code":-32602`,
	} {
		if got := r.getPrompt("review", args); !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
			t.Errorf("%.80s: got %s", args, got)
		}
	}
	if strings.Contains(f.audit.String()+f.log.String(), "hunter2") {
		t.Error("an argument is quoted")
	}
}

// Errors of prompts are the protocol's, and only an Error's text leaves.
func TestPromptErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		h    func(context.Context) ([]mcpsec.Message, error)
		want string
		rec  string
	}{
		"plain":        {func(context.Context) ([]mcpsec.Message, error) { return nil, errors.New("dsn hunter2") }, `"code":-32603,"message":"internal error (call `, `"outcome":"failed","rule":"handler"`},
		"for the user": {func(context.Context) ([]mcpsec.Message, error) { return nil, &mcpsec.Error{Message: "later"} }, `"code":-32603,"message":"later"}`, `"outcome":"failed"`},
		"by a rule": {func(context.Context) ([]mcpsec.Message, error) {
			return nil, &mcpsec.Error{Message: "closed", Rule: "hours"}
		}, `"code":4030,"message":"closed"}`, `"outcome":"refused","rule":"hours"`},
		"panic":        {func(context.Context) ([]mcpsec.Message, error) { panic("hunter2") }, `"code":-32603,"message":"internal error (call `, `"outcome":"panicked"`},
		"no messages":  {func(context.Context) ([]mcpsec.Message, error) { return nil, nil }, `"code":-32603`, `"outcome":"failed"`},
		"odd role":     {func(context.Context) ([]mcpsec.Message, error) { return []mcpsec.Message{{Role: "system"}}, nil }, `"code":-32603`, `"outcome":"failed"`},
		"slow":         {func(ctx context.Context) ([]mcpsec.Message, error) { <-ctx.Done(); return nil, ctx.Err() }, `"code":-32603,"message":"the call did not end within 50ms`, `"outcome":"timeout"`},
		"missing file": {func(context.Context) ([]mcpsec.Message, error) { return nil, fs.ErrNotExist }, `"code":-32603,"message":"internal error (call `, `"outcome":"failed"`},
		"too large":    {func(context.Context) ([]mcpsec.Message, error) { return said(strings.Repeat("x", 300<<10)), nil }, `"message":"the result is larger than 262144 bytes: ask for less"`, `"outcome":"failed"`},
		"secret":       {func(context.Context) ([]mcpsec.Message, error) { return said("the key hunter2-hunter2\u202E"), nil }, `{"type":"text","text":"the key [redacted]"}`, `"redacted":true`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(o *mcpsec.Options) {
				o.Secrets, o.Limits.Timeout = []mcpsec.Secret{newSecret("hunter2-hunter2")}, 50*time.Millisecond
			})
			f.AddPrompt(promising(tc.h))
			got := f.dial(t).getPrompt("p", "{}")
			if !strings.Contains(got, tc.want) || strings.Contains(got, "hunter2") {
				t.Errorf("got %s", got)
			}
			if !strings.Contains(f.audit.String(), tc.rec) {
				t.Errorf("recorded %s", f.audit.String())
			}
		})
	}
}

// What guards say, and when they are not asked.
func TestPromptGuards(t *testing.T) {
	t.Parallel()
	var seen []mcpsec.Call
	guard := func(_ context.Context, c *mcpsec.Call) error {
		seen = append(seen, *c)
		if c.Args.(reviewIn).Language == "rust" {
			return &mcpsec.Error{Message: "no rust here", Rule: "language"}
		}
		return nil
	}
	f := newFixture(t, func(o *mcpsec.Options) { o.Guards = []mcpsec.Guard{guard} })
	f.AddPrompt(review(func(s *mcpsec.PromptSpec) { s.Guards = []mcpsec.Guard{guard} }))
	r := f.dial(t)
	if got := r.getPrompt("review", `{"language":"rust"}`); !strings.Contains(got, `"error":{"code":4030,"message":"not allowed: no rust here"}`) {
		t.Errorf("got %s", got)
	}
	if got := r.getPrompt("review", `{"language":"go"}`); !strings.Contains(got, "Review this go") {
		t.Errorf("got %s", got)
	}
	r.getPrompt("review", `{}`)
	if len(seen) != 3 || seen[2].Method != "prompts/get" || seen[2].Tool != "review" || seen[2].Effect != mcpsec.Read || seen[2].Principal.ID != "local" {
		t.Errorf("the guards saw %+v", seen)
	}
}

func TestNewPromptRefuses(t *testing.T) {
	t.Parallel()
	ok := func(context.Context, none) ([]mcpsec.Message, error) { return nil, nil }
	spec := mcpsec.PromptSpec{Name: "x", Description: "d"}
	type numbers struct {
		N int `json:"n"`
	}
	type pointers struct {
		S *string `json:"s"`
	}
	type lists struct {
		L []string `json:"l"`
	}
	type bytes struct {
		B []byte `json:"b"`
	}
	type hidden struct {
		S string `json:"s" jsonschema:"a\u202Eb"`
	}
	type odd struct {
		S string `json:"s t"`
	}
	changed := func(change func(*mcpsec.PromptSpec)) func() {
		s := spec
		change(&s)
		return func() { mcpsec.NewPrompt(s, ok) }
	}
	for name, f := range map[string]func(){
		"no name":           changed(func(s *mcpsec.PromptSpec) { s.Name = "" }),
		"odd name":          changed(func(s *mcpsec.PromptSpec) { s.Name = "a b" }),
		"hidden name":       changed(func(s *mcpsec.PromptSpec) { s.Name = "a\u200b" }),
		"no description":    changed(func(s *mcpsec.PromptSpec) { s.Description = "" }),
		"bidi description":  changed(func(s *mcpsec.PromptSpec) { s.Description = "a\u202Eb" }),
		"hidden title":      changed(func(s *mcpsec.PromptSpec) { s.Title = "a\u200bb" }),
		"nil guard":         changed(func(s *mcpsec.PromptSpec) { s.Guards = []mcpsec.Guard{nil} }),
		"wildcard scope":    changed(func(s *mcpsec.PromptSpec) { s.Scopes = []string{"*"} }),
		"negative timeout":  changed(func(s *mcpsec.PromptSpec) { s.Timeout = -1 }),
		"unknown completer": changed(func(s *mcpsec.PromptSpec) { s.Complete = completing("x", nil, nil) }),
		"nil completer": func() {
			mcpsec.NewPrompt(mcpsec.PromptSpec{Name: "x", Description: "d", Complete: map[string]func(context.Context, string) ([]string, error){"focus": nil}},
				func(context.Context, reviewIn) ([]mcpsec.Message, error) { return nil, nil })
		},
		"no handler": func() { mcpsec.NewPrompt[none](spec, nil) },
		"number": func() {
			mcpsec.NewPrompt(spec, func(context.Context, numbers) ([]mcpsec.Message, error) { return nil, nil })
		},
		"pointer": func() {
			mcpsec.NewPrompt(spec, func(context.Context, pointers) ([]mcpsec.Message, error) { return nil, nil })
		},
		"list": func() {
			mcpsec.NewPrompt(spec, func(context.Context, lists) ([]mcpsec.Message, error) { return nil, nil })
		},
		"bytes": func() {
			mcpsec.NewPrompt(spec, func(context.Context, bytes) ([]mcpsec.Message, error) { return nil, nil })
		},
		"hidden words": func() {
			mcpsec.NewPrompt(spec, func(context.Context, hidden) ([]mcpsec.Message, error) { return nil, nil })
		},
		"odd argument": func() {
			mcpsec.NewPrompt(spec, func(context.Context, odd) ([]mcpsec.Message, error) { return nil, nil })
		},
		"no struct": func() {
			mcpsec.NewPrompt(spec, func(context.Context, string) ([]mcpsec.Message, error) { return nil, nil })
		},
		"added twice":   func() { newFixture(t, nil).AddPrompt(review(nil), review(nil)) },
		"added nothing": func() { newFixture(t, nil).AddPrompt(nil) },
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); !strings.HasPrefix(p, "mcpsec: ") {
					t.Errorf("%s: panicked with %q", name, p)
				}
			}()
			f()
		}()
	}
}

// The answer has the form of the protocol's era, and says where it comes from.
func TestPromptWireForm(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.AddPrompt(mcpsec.NewPrompt(mcpsec.PromptSpec{Name: "p", Description: "For tests.", Labels: mcpsec.Untrusted},
		func(context.Context, none) ([]mcpsec.Message, error) { return said("x"), nil }))
	const messages = `,"io.github.mcpsec/labels":["untrusted"]},"messages":[{"role":"user","content":{"type":"text","text":"x"}}]}}`
	if got := f.dial(t).getPrompt("p", "{}"); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result":{"_meta":{"io.github.mcpsec/call":"`) || !strings.HasSuffix(got, messages) {
		t.Errorf("got %s", got)
	}
	got := newRaw(t, f.serve(t, t.Context())).ask(modernBody("prompts/get", `"name":"p"`))
	if !strings.Contains(got, `"io.modelcontextprotocol/serverInfo":{"name":"test","version":"1.0.0"}`) || !strings.HasSuffix(got, `"text":"x"}}],"resultType":"complete"}}`) {
		t.Errorf("got %s", got)
	}
}

// A prompt's records are those of a tool, with its method and name.
func TestPromptRecords(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.AddPrompt(review(nil))
	r := f.dial(t)
	r.getPrompt("review", `{"language":"go","focus":"hunter2"}`)
	r.getPrompt("hunter2", `{}`)
	golden(t, f, ``+
		`decision method=prompts/get prompt=review principal=local effect=read arg_bytes=35 args=language=string/2 focus=string/7 decision=allowed
outcome prompt=review outcome=ok result_bytes=143
decision principal=local decision=refused rule=unknown prompt reason=unknown prompt: prompts/list names those that exist
`)
}
