package mcpsec_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
)

// What a spec says of a prompt or a resource holds for it, as for a tool.
func TestSpecsHold(t *testing.T) {
	t.Parallel()
	raw := []mcpsec.Waiver{insecure.RawOutput("a test")}
	slow := func(ctx context.Context) { <-ctx.Done() }
	quick := func(context.Context) {}
	for name, tc := range map[string]struct {
		prompt   mcpsec.PromptSpec
		resource mcpsec.ResourceSpec
		do       func(context.Context)
		want     string
	}{
		"timeout":    {mcpsec.PromptSpec{Timeout: time.Millisecond}, mcpsec.ResourceSpec{Timeout: time.Millisecond}, slow, "the call did not end within 1ms"},
		"max result": {mcpsec.PromptSpec{MaxResult: 20}, mcpsec.ResourceSpec{MaxResult: 20}, quick, "the result is larger than 20 bytes"},
		"labels":     {mcpsec.PromptSpec{Labels: mcpsec.Private}, mcpsec.ResourceSpec{Labels: mcpsec.Private}, quick, `"io.github.mcpsec/labels":["private"]`},
		"waiver":     {mcpsec.PromptSpec{Waive: raw}, mcpsec.ResourceSpec{Waive: raw}, quick, "a\u202Eb"},
		"no waiver":  {mcpsec.PromptSpec{}, mcpsec.ResourceSpec{}, quick, `"ab"`},
	} {
		f := newFixture(t, nil)
		tc.prompt.Name, tc.prompt.Description = "x", "For tests."
		tc.resource.Name, tc.resource.Description, tc.resource.URI = "x", "For tests.", "test://x"
		f.AddPrompt(mcpsec.NewPrompt(tc.prompt, func(ctx context.Context, _ none) ([]mcpsec.Message, error) {
			tc.do(ctx)
			return said("a\u202Eb"), ctx.Err()
		}))
		f.AddResource(mcpsec.NewResource(tc.resource, func(ctx context.Context, _ none) (mcpsec.Content, error) {
			tc.do(ctx)
			return mcpsec.Content{Text: "a\u202Eb"}, ctx.Err()
		}))
		r := f.dial(t)
		if got := r.getPrompt("x", "{}"); !strings.Contains(got, tc.want) {
			t.Errorf("%s of a prompt: got %s", name, got)
		}
		if got := r.read1("test://x"); !strings.Contains(got, tc.want) {
			t.Errorf("%s of a resource: got %s", name, got)
		}
		if waived := strings.Count(f.audit.String(), `"waived_raw-output":"a test"`); waived != 2 && name == "waiver" || waived != 0 && name != "waiver" {
			t.Errorf("%s: %d waivers recorded", name, waived)
		}
	}
}

// One more than a resource's own limit is refused.
func TestResourceConcurrency(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	entered, leave := make(chan struct{}), make(chan struct{})
	f.AddResource(mcpsec.NewResource(mcpsec.ResourceSpec{Name: "x", Description: "For tests.", URI: "test://x", MaxConcurrent: 1},
		func(context.Context, none) (mcpsec.Content, error) {
			close(entered)
			<-leave
			return mcpsec.Content{}, nil
		}))
	first := make(chan string, 1)
	go func() { first <- f.dial(t).read1("test://x") }()
	<-entered
	if got := f.dial(t).read1("test://x"); !strings.Contains(got, `"code":4290,"message":"too many calls at once`) {
		t.Errorf("got %s", got)
	}
	close(leave)
	if got := <-first; !strings.Contains(got, `"result"`) {
		t.Errorf("got %s", got)
	}
}

// Everything at once, for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) {
		o.Limits.CallsPerSecond, o.Limits.MaxConcurrent, o.Limits.MaxConcurrentPerPrincipal = 1e6, 1000, 1000
	}, echo())
	watched(f.fixture)
	f.AddPrompt(review(func(s *mcpsec.PromptSpec) { s.Complete = completing("focus", []string{"a"}, nil) }))
	var wg sync.WaitGroup
	for i := range 8 {
		cs := f.connectHTTP(t, "alice-token", i%2 == 0)
		wg.Go(func() {
			ctx := t.Context()
			for n := range 10 {
				name := fmt.Sprintf("p%d-%d", i, n)
				f.AddPrompt(mcpsec.NewPrompt(mcpsec.PromptSpec{Name: name, Description: "d"}, func(context.Context, none) ([]mcpsec.Message, error) { return said(name), nil }))
				f.AddResource(page(func(s *mcpsec.ResourceSpec) { s.Name, s.URI = name, "test://at-once/"+name }))
				res, err := cs.GetPrompt(ctx, &mcp.GetPromptParams{Name: name})
				if err != nil || res.Messages[0].Content.(*mcp.TextContent).Text != name {
					t.Errorf("%s: %v", name, err)
				}
				for _, err := range []error{
					second(cs.ListPrompts(ctx, nil)), second(cs.ListResources(ctx, nil)), second(cs.ListResourceTemplates(ctx, nil)),
					second(cs.ReadResource(ctx, &mcp.ReadResourceParams{URI: "test://at-once/" + name})),
					second(cs.ReadResource(ctx, &mcp.ReadResourceParams{URI: "test://orders/1/data"})),
					second(cs.Complete(ctx, &mcp.CompleteParams{Ref: &mcp.CompleteReference{Type: "ref/prompt", Name: "review"}, Argument: mcp.CompleteParamsArgument{Name: "focus", Value: "a"}})),
					f.ResourceUpdated("test://page"),
				} {
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func second[T any](_ T, err error) error { return err }
