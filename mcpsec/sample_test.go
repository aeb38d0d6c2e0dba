//lint:file-ignore SA1019 the protocol has deprecated it, and clients of both eras have it

package mcpsec_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// asksAll asks for three things at once.
var asksAll = tool("all", func(ctx context.Context, in echoIn) (echoOut, error) {
	a, err1 := mcpsec.Elicit[addressForm](ctx, "address", "Where?")
	s, err2 := mcpsec.Sample(ctx, "s", "Go on: "+in.Text, 10)
	roots, err3 := mcpsec.Roots(ctx)
	return echoOut{fmt.Sprintf("%s|%+q|%s", a.Street, s, roots)}, errors.Join(err1, err2, err3)
})

// A client's model and its roots are asked for like its person, and all at once.
// What the model has written is untrusted text, and the prompt leaves clean.
func TestSampleAndRoots(t *testing.T) {
	t.Parallel()
	secret := "sk_live_" + strings.Repeat("a1B2", 8)
	for way, connect := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			f := newHTTP(t, withSessions, nil, asksAll)
			var prompt string
			o := &mcp.ClientOptions{
				ElicitationHandler: answers("accept", home),
				CreateMessageHandler: func(_ context.Context, r *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
					prompt = r.Params.Messages[0].Content.(*mcp.TextContent).Text
					return &mcp.CreateMessageResult{Role: "assistant", Model: "m", Content: &mcp.TextContent{Text: "ok\u202e\u200bay"}}, nil
				},
			}
			cs := connect(t, f, o)
			text := attempt(t, cs, "all", echoIn{"x\u202ey " + secret})
			if text != `{"text":"Elm|\"okay\"|[]"}` || prompt != "Go on: xy "+strings.TrimPrefix(prompt, "Go on: xy ") || strings.Contains(prompt, secret) {
				t.Errorf("got %s, asked %q", text, prompt)
			}
			kind, _, _ := strings.Cut(way, " ")
			if got := f.story(t); got != "allowed; "+kind+" asked input; allowed; ok" {
				t.Errorf("recorded %s", got)
			}
		})
	}
}

// What is no text of bounded size, and no list of file URIs, is asked for anew.
func TestOddAnswersAreAskedAnew(t *testing.T) {
	t.Parallel()
	meta := strings.Replace(modernMeta, `clientCapabilities":{}`, `clientCapabilities":{"sampling":{},"roots":{"listChanged":true}}`, 1)
	one := tool("one", func(ctx context.Context, _ none) (echoOut, error) {
		s, err := mcpsec.Sample(ctx, "s", "Go on", 10)
		return echoOut{s}, err
	})
	two := tool("two", func(ctx context.Context, _ none) (echoOut, error) {
		roots, err := mcpsec.Roots(ctx)
		return echoOut{strings.Join(roots, " ")}, err
	})
	for name, tc := range map[string]struct{ tool, answer, want string }{
		"a text":         {"one", `"s":{"role":"assistant","model":"m","content":{"type":"text","text":"fine"}}`, "fine"},
		"a picture":      {"one", `"s":{"role":"assistant","model":"m","content":{"type":"image","data":"AAAA","mimeType":"image/png"}}`, "input_required"},
		"a long text":    {"one", `"s":{"role":"assistant","model":"m","content":{"type":"text","text":"` + strings.Repeat("x", 16<<10+1) + `"}}`, "input_required"},
		"no content":     {"one", `"s":{"role":"assistant","model":"m","content":[]}`, "input_required"},
		"a form":         {"one", `"s":{"action":"accept","content":{"text":"x"}}`, "input_required"},
		"roots":          {"two", `"roots":{"roots":[{"uri":"file:///srv"},{"uri":"file:///tmp"}]}`, "file:///srv file:///tmp"},
		"a web root":     {"two", `"roots":{"roots":[{"uri":"https://example.com"}]}`, "input_required"},
		"a hidden root":  {"two", `"roots":{"roots":[{"uri":"file:///s\u200brv"}]}`, "input_required"},
		"a long root":    {"two", `"roots":{"roots":[{"uri":"file:///` + strings.Repeat("x", 2<<10) + `"}]}`, "input_required"},
		"too many roots": {"two", `"roots":{"roots":[` + strings.TrimSuffix(strings.Repeat(`{"uri":"file:///srv"},`, 101), ",") + `]}`, "input_required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newHTTP(t, withSessions, nil, one, two)
			send := func(members string) string {
				_, body := f.do(t, strings.Replace(callBody(tc.tool, `"arguments":{}`+members), askingMeta, meta, 1), modernHeaders("tools/call", tc.tool))
				return body
			}
			asked := strings.Trim(strings.SplitN(tc.answer, ":", 2)[0], `"`)
			state := inputState(t, send(""), asked)
			if got := send("," + withState(state) + `,"inputResponses":{` + tc.answer + `}`); !strings.Contains(got, tc.want) {
				t.Errorf("got %s", got)
			}
		})
	}
}

// Prompts and resources ask like tools, and outside of a call nobody is asked.
func TestElicitElsewhere(t *testing.T) {
	t.Parallel()
	where := func(ctx context.Context) (mcpsec.Content, error) {
		a, err := mcpsec.Elicit[addressForm](ctx, "address", "Where?")
		return mcpsec.Content{Text: a.Street}, err
	}
	for way, connect := range ways {
		f := newHTTP(t, withSessions, nil)
		f.AddPrompt(mcpsec.NewPrompt(mcpsec.PromptSpec{Name: "p", Description: "For tests."}, func(ctx context.Context, _ none) ([]mcpsec.Message, error) {
			c, err := where(ctx)
			return []mcpsec.Message{{Content: c}}, err
		}))
		f.AddResource(mcpsec.NewResource(mcpsec.ResourceSpec{Name: "r", Description: "For tests.", URI: "test://r"}, func(ctx context.Context, _ none) (mcpsec.Content, error) {
			return where(ctx)
		}))
		cs := connect(t, f, &mcp.ClientOptions{ElicitationHandler: answers("accept", home)})
		p, err := cs.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "p"})
		if err != nil || p.Messages[0].Content.(*mcp.TextContent).Text != "Elm" {
			t.Errorf("%s: got %v, %v", way, p, err)
		}
		r, err := cs.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "test://r"})
		if err != nil || r.Contents[0].Text != "Elm" {
			t.Errorf("%s: got %v, %v", way, r, err)
		}
	}
	if _, err := where(t.Context()); err == nil {
		t.Error("asked outside of a call")
	}
}

// What a handler says reaches a client that the operator lets have it and that
// asks for it, clean, and not in floods. (LOG-01, LOG-02)
func TestLogToClient(t *testing.T) {
	t.Parallel()
	secret := "sk_live_" + strings.Repeat("a1B2", 8)
	talks := tool("talks", func(ctx context.Context, in echoIn) (echoOut, error) {
		mcpsec.LogToClient(ctx, slog.LevelDebug, "detail")
		mcpsec.LogToClient(ctx, slog.LevelWarn, "careful\u202e: "+secret)
		for range 100 {
			mcpsec.LogToClient(ctx, slog.LevelError, strings.Repeat("x", 1000))
		}
		return echoOut{"ok"}, nil
	})
	mcpsec.LogToClient(t.Context(), slog.LevelError, "nobody hears this")
	for name, tc := range map[string]struct {
		on    bool
		level string
		most  int
	}{
		"off": {false, "debug", 0}, "no level": {true, "", 0}, "warning": {true, "warning", 9}, "debug": {true, "debug", 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newHTTP(t, withSessions, func(o *mcpsec.Options) { o.ClientLog = tc.on }, talks)
			meta := modernMeta
			if tc.level != "" {
				meta = strings.Replace(meta, `"_meta":{`, `"_meta":{"io.modelcontextprotocol/logLevel":"`+tc.level+`",`, 1)
			}
			_, got := f.do(t, strings.Replace(callBody("talks", `"arguments":{"text":"x"}`), askingMeta, meta, 1), modernHeaders("tools/call", "talks"))
			n := strings.Count(got, "notifications/message")
			if n < tc.most || n > tc.most+5 || strings.Contains(got, secret) || strings.Contains(got, "\u202e") || strings.Contains(got, strings.Repeat("x", 501)) {
				t.Errorf("%d messages: %s", n, got)
			}
			if tc.most > 0 && (!strings.Contains(got, `"careful: `) || strings.Contains(got, "detail") != (tc.level == "debug")) {
				t.Errorf("got %s", got)
			}
		})
	}
}
