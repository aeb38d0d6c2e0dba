package mcpsec_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// These tests pin what the package relies on in the SDK, or works around: an
// upgrade that changes it fails here first.

// bareServer serves one raw tool without this package.
func bareServer(t *testing.T, h mcp.ToolHandler, mw ...mcp.Middleware) *mcp.ClientSession {
	t.Helper()
	srv := mcp.NewServer(impl, nil)
	srv.AddTool(&mcp.Tool{Name: "x", InputSchema: json.RawMessage(`{"type":"object"}`)}, h)
	for _, m := range mw {
		srv.AddReceivingMiddleware(m)
	}
	ct, st := mcp.NewInMemoryTransports()
	if _, err := srv.Connect(t.Context(), st, nil); err != nil {
		t.Fatal(err)
	}
	cs, err := mcp.NewClient(impl, nil).Connect(t.Context(), ct, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

func TestSDKPassesArgumentsAsSent(t *testing.T) {
	t.Parallel()
	const args = `{ "n" : 9007199254740993, "a":"\u0041" }`
	var got json.RawMessage
	cs := bareServer(t, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		got = req.Params.Arguments
		return &mcp.CallToolResult{}, nil
	})
	if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "x", Arguments: json.RawMessage(args)}); err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(args, " ", ""); string(got) != want { // the client compacts
		t.Errorf("got %s, want %s", got, want)
	}
}

// The middleware that is added last surrounds the others, the SDK's own
// included: the backstop sees every request first and every result last.
func TestSDKMiddlewareOrder(t *testing.T) {
	t.Parallel()
	var order []string
	mark := func(name string) mcp.Middleware {
		return func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				if method == "tools/call" {
					order = append(order, name)
				}
				return next(ctx, method, req)
			}
		}
	}
	cs := bareServer(t, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		order = append(order, "handler")
		return &mcp.CallToolResult{}, nil
	}, mark("first"), mark("last"))
	if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "last first handler" {
		t.Errorf("got %q", got)
	}
}

type customResult struct{ *mcp.CallToolResult }

func (customResult) MarshalJSON() ([]byte, error) {
	return []byte(`{"content":[{"type":"text","text":"mine"}]}`), nil
}

// A result that embeds the SDK's and writes its own JSON leaves as written.
func TestSDKTakesEmbeddedResults(t *testing.T) {
	t.Parallel()
	cs := bareServer(t, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{}, nil
	},
		func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				res, err := next(ctx, method, req)
				if r, ok := res.(*mcp.CallToolResult); ok && r != nil {
					return customResult{r}, err
				}
				return res, err
			}
		})
	if text, _ := call(t, cs, "x", none{}); text != "mine" {
		t.Errorf("got %q", text)
	}
}

// The SDK still sends a raw handler's error to the client; that is why handlers
// never return one. (P5)
func TestSDKLeaksHandlerErrors(t *testing.T) {
	t.Parallel()
	cs := bareServer(t, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return nil, errors.New("open /etc/shadow")
	})
	if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "x"}); err == nil || !strings.Contains(err.Error(), "/etc/shadow") {
		t.Errorf("the SDK changed: %v", err)
	}
}

// The era of the protocol is told from the request.
func TestBothProtocolEras(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	legacy := f.dial(t)
	if got := legacy.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`); strings.Contains(got, "resultType") || !strings.Contains(got, `"structuredContent":{"text":"x"}`) {
		t.Errorf("legacy: got %s", got)
	}
	modern := newRaw(t, f.serve(t, t.Context()))
	meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
	got := modern.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"},` + meta + `}}`)
	if !strings.Contains(got, `"resultType":"complete"`) || !strings.Contains(got, `"io.modelcontextprotocol/serverInfo":{"name":"test","version":"1.0.0"}`) {
		t.Errorf("modern: got %s", got)
	}
	if got := modern.ask(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":""},` + meta + `}}`); !strings.Contains(got, `"isError":true,"resultType":"complete"`) {
		t.Errorf("modern error: got %s", got)
	}
}

// A call that is not a well-formed MCP request is answered without echo. (P6)
func TestMalformedCallsAreNotEchoed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	r := f.dial(t)
	for name, params := range map[string]string{
		"name of wrong type": `{"name":5,"arguments":{"token":"hunter2"}}`,
		"array arguments":    `{"name":"echo","arguments":["hunter2"]}`,
		"string arguments":   `{"name":"echo","arguments":"hunter2"}`,
		"no name":            `{"arguments":{"token":"hunter2"}}`,
		"unknown tool":       `{"name":"hunter2"}`,
		"meta of wrong type": `{"name":"echo","_meta":"hunter2"}`,
	} {
		got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params + `}`)
		if strings.Contains(got, "hunter2") || !strings.Contains(got, "rror") {
			t.Errorf("%s: got %s", name, got)
		}
	}
	for _, method := range []string{"hunter2/x", "tools/hunter2", "resources/read", "prompts/get", "completion/complete"} {
		if got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"uri":"hunter2","name":"hunter2"}}`); strings.Contains(got, "hunter2") || !strings.Contains(got, `"error"`) {
			t.Errorf("%s: got %s", method, got)
		}
	}
	if got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"hunter2":1}}`); strings.Contains(got, "hunter2") {
		t.Errorf("second initialize: got %s", got)
	}
	if got := f.audit.String(); strings.Contains(got, "hunter2") {
		t.Errorf("recorded %s", got)
	}
}

// Before initialize only a modern request is served, and the error says so.
func TestUninitialized(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	r := newRaw(t, f.serve(t, t.Context()))
	if got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); !strings.Contains(got, "initialize the session first") {
		t.Errorf("got %s", got)
	}
}

// A client that goes away ends the stream, its calls and all goroutines.
func TestDisconnectEndsCalls(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan struct{})
	f := newFixture(t, func(o *mcpsec.Options) { o.Limits.Grace = time.Millisecond }, failing(func(ctx context.Context) error {
		close(started)
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}))
	conn := f.serve(t, t.Context())
	r := newRaw(t, conn)
	r.ask(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
	r.send(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"x"}}`)
	<-started
	conn.Close()
	<-ended
	if err := <-f.served; err != nil {
		t.Errorf("got %v", err)
	}
}

// The SDK answers methods of features that no server here has: they are unknown.
func TestOnlyServedMethodsAreAnswered(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	r := f.dial(t)
	for _, method := range []string{
		"prompts/list", "prompts/get", "resources/list", "resources/templates/list", "resources/read", "resources/subscribe",
		"completion/complete", "logging/setLevel", "tasks/list",
	} {
		params := `{"uri":"file:///x","name":"x","level":"info","ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"x","value":"x"}}`
		if got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`); !strings.Contains(got, `"code":-32601`) {
			t.Errorf("%s: got %s", method, got)
		}
	}
	for _, method := range []string{"ping", "tools/list"} {
		if got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"` + method + `"}`); !strings.Contains(got, `"result"`) {
			t.Errorf("%s: got %s", method, got)
		}
	}
}

// A handler on the bare SDK sees answers to questions that nobody asked, and of
// two spellings of a member the last: that is why the pipeline seals its state and
// the transport reads answers by exact names. (P14)
func TestSDKBelievesAnswers(t *testing.T) {
	t.Parallel()
	var got mcp.InputResponseMap
	var state string
	cs := bareServer(t, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		got, state = req.Params.InputResponses, req.Params.RequestState
		return &mcp.CallToolResult{}, nil
	})
	var forged mcp.InputResponseMap
	if err := json.Unmarshal([]byte(`{"confirm":{"action":"decline","Action":"accept"}}`), &forged); err != nil {
		t.Fatal(err)
	}
	if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "x", InputResponses: forged, RequestState: "forged"}); err != nil {
		t.Fatal(err)
	}
	if res, ok := got["confirm"].(*mcp.ElicitResult); !ok || res.Action != "accept" || state != "forged" {
		t.Errorf("the SDK changed: %v, %q", got, state)
	}
}
