package mcpsec_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// An observation is what an Observer was told of.
type observation struct {
	mu       sync.Mutex
	begun    []mcpsec.Request
	requests []mcpsec.Request
	events   []mcpsec.Event
}

type spanKey struct{}

func (o *observation) Begin(ctx context.Context, r *mcpsec.Request) context.Context {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begun = append(o.begun, *r)
	return context.WithValue(ctx, spanKey{}, r.Method)
}

func (o *observation) End(ctx context.Context, r *mcpsec.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if ctx.Value(spanKey{}) != r.Method || r.Took <= 0 {
		panic("not the request that began")
	}
	o.requests = append(o.requests, *r)
}

func (o *observation) Event(_ context.Context, e mcpsec.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

// last is the last request of a method, in short.
func (o *observation) last(method string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range slices.Backward(o.requests) {
		if r.Method == method {
			return fmt.Sprintf("%q id=%s v=%s %s http=%t call=%t outcome=%s rule=%q code=%d toolError=%t",
				r.Name, r.ID, r.Version, r.Transport, r.HTTP, r.Call != "", r.Outcome, r.Rule, r.ErrorCode, r.ToolError)
		}
	}
	return ""
}

func (o *observation) heard() []mcpsec.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.events)
}

func observed(o *observation) func(*mcpsec.Options) {
	return func(opts *mcpsec.Options) { opts.Observer, opts.Mode = o, mcpsec.Destroy }
}

// An Observer is told of each request what it was about and how it has ended, in the
// words of the program and of the protocol only.
func TestObserverIsToldOfRequests(t *testing.T) {
	t.Parallel()
	o := &observation{}
	f := newFixture(t, observed(o), echo(),
		tool("broken", func(context.Context, none) (echoOut, error) { return echoOut{}, errors.New("down") }),
		tool("panics", func(context.Context, none) (echoOut, error) { panic("oh") }))
	f.AddPrompt(mcpsec.NewPrompt(mcpsec.PromptSpec{Name: "greet", Description: "For tests."},
		func(_ context.Context, in echoIn) ([]mcpsec.Message, error) { return nil, errors.New("down") }))
	r := f.dial(t)
	for _, tc := range []struct{ method, id, params, want string }{
		{"tools/call", `7`, `{"name":"echo","arguments":{"text":"a"}}`, `"echo" id=7 v=2025-11-25 pipe http=false call=true outcome=ok rule="" code=0 toolError=false`},
		{"tools/call", `"b"`, `{"name":"echo","arguments":{"text":"b"}}`, `"echo" id=b v=2025-11-25 pipe http=false call=true outcome=ok rule="" code=0 toolError=false`}, // the shortcut
		{"tools/call", `"b\n"`, `{"name":"echo","arguments":{"text":"b"}}`, `"echo" id= v=2025-11-25 pipe http=false call=true outcome=ok rule="" code=0 toolError=false`},
		{"tools/call", `8`, `{"name":"echo","arguments":{"nope":1}}`, `"echo" id=8 v=2025-11-25 pipe http=false call=true outcome=refused rule="arguments" code=0 toolError=true`},
		{"tools/call", `9`, `{"name":"broken"}`, `"broken" id=9 v=2025-11-25 pipe http=false call=true outcome=failed rule="handler" code=0 toolError=true`},
		{"tools/call", `10`, `{"name":"panics"}`, `"panics" id=10 v=2025-11-25 pipe http=false call=true outcome=panicked rule="panic" code=0 toolError=true`},
		{"tools/call", `11`, `{"name":"made-up"}`, `"" id=11 v=2025-11-25 pipe http=false call=false outcome= rule="" code=-32602 toolError=false`},
		{"prompts/get", `12`, `{"name":"greet","arguments":{"text":"a"}}`, `"greet" id=12 v=2025-11-25 pipe http=false call=true outcome=failed rule="handler" code=-32603 toolError=false`},
		{"tools/list", `13`, `{"cursor":"x"}`, `"" id=13 v=2025-11-25 pipe http=false call=false outcome= rule="" code=-32602 toolError=false`},
		{"resources/list", `14`, `{}`, `"" id=14 v=2025-11-25 pipe http=false call=false outcome= rule="" code=-32601 toolError=false`},
		{"made/up", `15`, `{}`, ``},
	} {
		r.ask(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, tc.id, tc.method, tc.params))
		if got := o.last(tc.method); got != tc.want {
			t.Errorf("%s %s\n got %s\nwant %s", tc.method, tc.params, got, tc.want)
		}
	}
	if len(o.begun) != len(o.requests) {
		t.Errorf("%d requests have begun, %d ended", len(o.begun), len(o.requests))
	}
}

// The same over HTTP, where nobody without a token is told of as a request.
func TestObserverIsToldOfHTTP(t *testing.T) {
	t.Parallel()
	o := &observation{}
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, observed(o), echo())
	call(t, f.fixture.connect(t), "echo", echoIn{"a"})
	begun := len(o.begun)
	f.do(t, `{"jsonrpc":"2.0","id":"h","method":"tools/call","params":{"name":"echo","arguments":{"text":"a"}}}`, nil)
	if got, want := o.last("tools/call"), `"echo" id=h v=2025-03-26 tcp http=true call=true outcome=ok rule="" code=0 toolError=false`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	f.do(t, `{}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") })
	if n := len(o.begun) - begun; n != 1 {
		t.Errorf("%d requests were told of", n)
	}
	if want := (mcpsec.Event{Kind: "refused", Reason: "token"}); !slices.Contains(o.heard(), want) {
		t.Errorf("got %v", o.heard())
	}
}

// A Unix socket is told from a network.
func TestObserverIsToldOfUnixSockets(t *testing.T) {
	t.Parallel()
	o := &observation{}
	f := newFixture(t, observed(o), echo())
	h, err := f.HTTP(mcpsec.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, w := httptest.NewRequest(http.MethodPost, "http://localhost/mcp", strings.NewReader(listBody)), httptest.NewRecorder()
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	h.ServeHTTP(w, r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "mcp.sock", Net: "unix"})))
	if got := o.last("tools/list"); !strings.Contains(got, " unix http=true ") {
		t.Errorf("status %d, got %s", w.Code, got)
	}
}

// The Observer hears each thing that is counted, once.
func TestObserverHearsWhatIsCounted(t *testing.T) {
	t.Parallel()
	leaky := tool("leaky", func(context.Context, none) (echoOut, error) { return echoOut{"pass" + "word=hunter2\u200b"}, nil })
	on := func(kind, name, reason string) mcpsec.Event {
		return mcpsec.Event{Kind: kind, Method: "tools/call", Name: name, Reason: reason}
	}
	var nobody answerer
	for name, tc := range map[string]struct {
		tool   string
		args   any
		person answerer
		want   []mcpsec.Event
	}{
		"ok":        {"echo", echoIn{"a"}, nobody, []mcpsec.Event{on("ended", "echo", "ok")}},
		"refused":   {"echo", none{}, nobody, []mcpsec.Event{on("refused", "echo", "arguments")}},
		"unknown":   {"made-up", none{}, nobody, []mcpsec.Event{{Kind: "refused", Reason: "unknown tool"}}},
		"cleaned":   {"leaky", none{}, nobody, []mcpsec.Event{on("ended", "leaky", "ok"), on("cleaned", "leaky", "secret"), on("cleaned", "leaky", "hidden characters")}},
		"no way":    {"remove", removeIn{Name: "a"}, nobody, []mcpsec.Event{on("refused", "remove", "confirmation")}},
		"yes":       {"remove", removeIn{Name: "a"}, answers("accept", yes), []mcpsec.Event{on("asked", "remove", "WAY"), on("confirmed", "remove", "WAY"), on("ended", "remove", "ok")}},
		"no":        {"remove", removeIn{Name: "a"}, answers("decline", nil), []mcpsec.Event{on("asked", "remove", "WAY"), on("refused", "remove", "declined")}},
		"undecided": {"remove", removeIn{Name: "a"}, answers("cancel", nil), []mcpsec.Event{on("asked", "remove", "WAY"), on("refused", "remove", "declined")}},
	} {
		for _, modern := range []bool{false, true} {
			o := &observation{}
			f := newFixture(t, observed(o), echo(), leaky, newRemover(nil).Tool)
			cs := f.connectAs(t, modern, tc.person)
			_, _ = cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tc.tool, Arguments: tc.args}) // an error is in the events
			got := fmt.Sprint(o.heard())
			want := strings.ReplaceAll(fmt.Sprint(tc.want), "WAY", map[bool]string{false: "elicitation", true: "mrtr"}[modern])
			if got != want {
				t.Errorf("%s, modern %t:\n got %s\nwant %s", name, modern, got, want)
			}
			if confirmed := strings.Contains(scrape(t, f.Server), `mcpsec_confirmations_total{method="tools/call",name="remove",step="confirmed"} 1`); confirmed != (name == "yes") {
				t.Errorf("%s, modern %t: the metrics say confirmed: %t", name, modern, confirmed)
			}
		}
	}
}

// What cannot be recorded is heard of, too.
func TestObserverHearsOfAudit(t *testing.T) {
	t.Parallel()
	o := &observation{}
	f := newFixture(t, func(opts *mcpsec.Options) { opts.Audit, opts.Observer = mcpsec.NewAuditLog(full{}), o }, echo())
	call(t, f.connect(t), "echo", echoIn{"a"})
	if want := (mcpsec.Event{Kind: "unrecorded"}); !slices.Contains(o.heard(), want) {
		t.Errorf("got %v", o.heard())
	}
}

// Nothing that a client or a backend has said reaches an Observer, but for what it
// says about traces, within bounds.
func TestObserverIsToldNoContents(t *testing.T) {
	t.Parallel()
	const canary = "canary-5f1e"
	o := &observation{}
	f := newFixture(t, func(opts *mcpsec.Options) {
		opts.Observer, opts.Principal = o, mcpsec.Principal{ID: canary}
	}, echo(), tool("fails", func(_ context.Context, in echoIn) (echoOut, error) {
		return echoOut{}, &mcpsec.Error{Message: in.Text, Err: errors.New(in.Text)}
	}))
	r := f.dial(t)
	for _, params := range []string{
		`{"name":"echo","arguments":{"text":"C"}}`, `{"name":"fails","arguments":{"text":"C"}}`, `{"name":"echo","arguments":{"C":1}}`, `{"name":"C"}`,
		`{"name":"echo","_meta":{"C":"C","traceparent":["C"],"tracestate":{"C":1},"baggage":7}}`,
		`{"name":"echo","_meta":{"traceparent":"` + strings.Repeat("C", 12) + `","tracestate":"` + strings.Repeat("C", 47) + `","baggage":"` + strings.Repeat("C", 745) + `"}}`,
	} {
		r.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + strings.ReplaceAll(params, "C", canary) + `}`)
	}
	if got := fmt.Sprintf("%+v %+v %+v", o.begun, o.requests, o.events); strings.Contains(got, canary) {
		t.Errorf("got %s", got)
	}
	r.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"traceparent":"p","tracestate":"s","baggage":"b"}}}`)
	if got := o.begun[len(o.begun)-1]; got.TraceParent != "p" || got.TraceState != "s" || got.Baggage != "b" {
		t.Errorf("got %+v", got)
	}
}

// A tool runs under the context that the Observer has made.
func TestObserverContextReachesHandlers(t *testing.T) {
	t.Parallel()
	o := &observation{}
	f := newFixture(t, observed(o), tool("traced", func(ctx context.Context, _ none) (echoOut, error) {
		method, _ := ctx.Value(spanKey{}).(string)
		return echoOut{method}, nil
	}))
	if got, _ := call(t, f.connect(t), "traced", none{}); !strings.Contains(got, "tools/call") {
		t.Errorf("got %s", got)
	}
}

// Requests without parameters, or with none that make sense, are described, too.
func TestObserverSurvivesOddRequests(t *testing.T) {
	t.Parallel()
	o := &observation{}
	f := newFixture(t, observed(o), echo())
	f.AddResource(mcpsec.NewResource(mcpsec.ResourceSpec{Name: "doc", Description: "For tests.", URI: "doc:///a"},
		func(context.Context, struct{}) (mcpsec.Content, error) { return mcpsec.Content{Text: "a"}, nil }))
	r := f.dial(t)
	for _, method := range []string{
		"tools/call", "tools/list", "prompts/get", "prompts/list", "resources/read", "resources/list", "resources/templates/list", "resources/subscribe",
		"resources/unsubscribe", "completion/complete", "logging/setLevel", "ping", "server/discover", "initialize",
	} {
		for _, params := range []string{``, `,"params":null`, `,"params":{}`, `,"params":{"_meta":null}`, `,"params":{"_meta":{"traceparent":null}}`} {
			r.ask(`{"jsonrpc":"2.0","id":1,"method":"` + method + `"` + params + `}`)
		}
	}
	if got := f.log.String(); strings.Contains(got, "panic") {
		t.Errorf("the log says %s", got)
	}
}

// panicking is an Observer that is broken in one place.
type panicking struct {
	observation
	where string
	ended atomic.Int32
}

func (p *panicking) at(where string) {
	if p.where == where {
		panic(where)
	}
}

func (p *panicking) Begin(ctx context.Context, r *mcpsec.Request) context.Context {
	p.at("begin")
	return p.observation.Begin(ctx, r)
}

func (p *panicking) End(ctx context.Context, r *mcpsec.Request) {
	p.ended.Add(1)
	p.at("end")
	p.observation.End(ctx, r)
}

func (p *panicking) Event(ctx context.Context, e mcpsec.Event) {
	p.at("event")
	p.observation.Event(ctx, e)
}

// A broken Observer changes nothing for callers, and what has not begun does not end:
// an Observer that ends what is in the context would end another's.
func TestObserverPanics(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"begin", "end", "event"} {
		o := &panicking{where: where}
		f := newFixture(t, func(opts *mcpsec.Options) { opts.Observer = o }, echo())
		if got, failed := call(t, f.connect(t), "echo", echoIn{"a"}); failed {
			t.Errorf("%s: got %s", where, got)
		}
		if !strings.Contains(f.log.String(), "the Observer panicked\" error="+where) {
			t.Errorf("%s: the log says %s", where, f.log.String())
		}
		if n := o.ended.Load(); (n > 0) == (where == "begin") {
			t.Errorf("%s: End was told of %d requests", where, n)
		}
	}
}
