package mcpsec_test

import (
	"context"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type topicIn struct {
	Topic string `json:"topic" validate:"required,max=20"`
}

// asksFor is a prompt and a resource, of the name of the tool "remove" beside
// them, on a server that asks a person about whatever is not a list.
func asksFor(t testing.TB) *httpFixture {
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) {
		o.Mode = mcpsec.Destroy
		o.Guards = []mcpsec.Guard{func(context.Context, *mcpsec.Call) error { return mcpsec.Ask("") }}
	}, newRemover(nil).Tool)
	f.AddPrompt(mcpsec.NewPrompt(mcpsec.PromptSpec{
		Name: "remove", Description: "For tests.",
		Complete: map[string]func(context.Context, string) ([]string, error){"topic": func(context.Context, string) ([]string, error) { return []string{"cats"}, nil }},
	}, func(_ context.Context, in topicIn) ([]mcpsec.Message, error) {
		return []mcpsec.Message{{Content: mcpsec.Content{Text: "on " + in.Topic}}}, nil
	}))
	f.AddResource(mcpsec.NewResource(mcpsec.ResourceSpec{Name: "remove", Description: "For tests.", URI: "notes:///{topic}"},
		func(_ context.Context, in topicIn) ([]mcpsec.Content, error) {
			return []mcpsec.Content{{Text: "note on " + in.Topic}}, nil
		}))
	return f
}

// A person is asked about prompts and resources as about tools.
func TestConfirmationOfPromptsAndResources(t *testing.T) {
	t.Parallel()
	eras(t, func(t *testing.T, modern bool) {
		f := asksFor(t)
		var asked []string
		cs := f.fixture.connectAs(t, modern, func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			asked = append(asked, req.Params.Message)
			return &mcp.ElicitResult{Action: "accept", Content: yes}, nil
		})
		prompt, err := cs.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "remove", Arguments: map[string]string{"topic": "cats"}})
		if err != nil || prompt.Messages[0].Content.(*mcp.TextContent).Text != "on cats" {
			t.Errorf("prompt: %v, %v", prompt, err)
		}
		note, err := cs.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "notes:///cats"})
		if err != nil || note.Contents[0].Text != "note on cats" {
			t.Errorf("resource: %v, %v", note, err)
		}
		want := "Allow test to use the prompt remove?\n• topic: \"cats\"|Allow test to read the resource remove?\n• topic: \"cats\""
		if got := strings.Join(asked, "|"); got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
		if modern { // no answer to a completion can be a question, so it is refused
			_, err := cs.Complete(t.Context(), &mcp.CompleteParams{
				Ref: &mcp.CompleteReference{Type: "ref/prompt", Name: "remove"}, Argument: mcp.CompleteParamsArgument{Name: "topic", Value: "c"},
			})
			if err == nil || !strings.Contains(err.Error(), "a person must confirm it first") {
				t.Errorf("completion: %v", err)
			}
		}
	})
}

// A yes to a tool is none to a prompt or a resource of its name.
func TestConfirmationIsOfOneMethod(t *testing.T) {
	t.Parallel()
	f := asksFor(t)
	post := func(method, name, params string) string {
		_, body := f.do(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+params+`,`+askingMeta+`}}`, modernHeaders(method, name))
		return body
	}
	const args = `"name":"remove","arguments":{"topic":"cats"}`
	state := stateOf(t, post("prompts/get", "remove", args))
	if body := post("resources/read", "notes:///cats", `"uri":"notes:///cats",`+withState(state)+`,`+accept); !strings.Contains(body, "of another tool") {
		t.Errorf("a prompt's yes for a resource: %s", body)
	}
	state = stateOf(t, post("prompts/get", "remove", args))
	if body := post("tools/call", "remove", `"name":"remove","arguments":{"name":"cats","rows":0},`+withState(state)+`,`+accept); !strings.Contains(body, "of another tool") {
		t.Errorf("a prompt's yes for a tool: %s", body)
	}
	state = stateOf(t, post("prompts/get", "remove", args))
	if body := post("prompts/get", "remove", args+`,`+withState(state)+`,`+accept); !strings.Contains(body, "on cats") {
		t.Errorf("the honest answer: %s", body)
	}
}
