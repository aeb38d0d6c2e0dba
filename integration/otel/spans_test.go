package otel

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/otelmcp"
)

// A request is one span of kind server with the conventions' attributes and ours, and
// no others.
func TestSpans(t *testing.T) {
	t.Parallel()
	const common = "mcp.method.name=tools/call network.protocol.name=http network.transport=unix gen_ai.operation.name=execute_tool mcp.protocol.version=2026-07-28 jsonrpc.request.id=N mcpsec.call.id=ID "
	for tool, tc := range map[string]struct {
		name, attributes string
		status           codes.Code
	}{
		"echo":    {"tools/call echo", common + "gen_ai.tool.name=echo mcpsec.outcome=ok", codes.Unset},
		"leaky":   {"tools/call leaky", common + "gen_ai.tool.name=leaky mcpsec.outcome=ok", codes.Unset},
		"guarded": {"tools/call guarded", common + "gen_ai.tool.name=guarded mcpsec.outcome=refused mcpsec.rule=amount error.type=tool_error", codes.Error},
		"fails":   {"tools/call fails", common + "gen_ai.tool.name=fails mcpsec.outcome=failed mcpsec.rule=handler error.type=tool_error", codes.Error},
		"panics":  {"tools/call panics", common + "gen_ai.tool.name=panics mcpsec.outcome=panicked mcpsec.rule=panic error.type=tool_error", codes.Error},
		"remove":  {"tools/call remove", common + "gen_ai.tool.name=remove mcpsec.outcome=refused mcpsec.rule=confirmation error.type=tool_error", codes.Error},
		"made-up": {"tools/call _OTHER", strings.ReplaceAll(common, "mcpsec.call.id=ID ", "") + "gen_ai.tool.name=_OTHER error.type=-32602 rpc.response.status_code=-32602", codes.Error},
	} {
		r := newRig(t, nil)
		ask(t, mcpsectest.Connect(t, r.Server, mcpsectest.ClientOptions{}), tool, nil, nil)
		s := r.span(t, tc.name)
		var got []string
		for _, a := range s.Attributes {
			switch text := a.Value.String(); a.Key {
			case "jsonrpc.request.id":
				got = append(got, "jsonrpc.request.id=N")
			case "mcpsec.call.id":
				if !strings.Contains(fmt.Sprint(r.audit.Records()), text) {
					t.Errorf("%s: the audit log does not know the call %s", tool, text)
				}
				got = append(got, "mcpsec.call.id=ID")
			default:
				got = append(got, string(a.Key)+"="+text)
			}
		}
		want := strings.Fields(tc.attributes)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || s.SpanKind != trace.SpanKindServer || s.Status.Code != tc.status || s.Status.Description != "" || len(s.Events) > 0 {
			t.Errorf("%s: kind %s, status %v, events %v\n got %q\nwant %q", tool, s.SpanKind, s.Status, s.Events, got, want)
		}
	}
}

// What a handler starts is below the request's span, and that below the program's own
// of the HTTP request, which stays the parent and open if there are only metrics.
func TestSpansNest(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	outer := r.around(t)
	call, inner := r.span(t, "tools/call traced"), r.span(t, "SELECT")
	if inner.Parent.SpanID() != call.SpanContext.SpanID() || call.Parent.SpanID() != outer.SpanContext.SpanID() {
		t.Errorf("the parents are %s and %s", inner.Parent.SpanID(), call.Parent.SpanID())
	}
	r = newRig(t, func(o *otelmcp.Options, _ *mcpsec.Options) { o.TracerProvider = nil })
	outer = r.around(t)
	if inner := r.span(t, "SELECT"); inner.Parent.SpanID() != outer.SpanContext.SpanID() || len(r.spans.GetSpans()) != 2 {
		t.Errorf("with metrics only, the parent is %s", inner.Parent.SpanID())
	}
	if value := attribute.Bool("after", true); !slices.Contains(outer.Attributes, value) {
		t.Error("the program's span was ended for it")
	}
}

// around calls a tool within a span of the program's own, and returns that.
func (r *rig) around(t *testing.T) tracetest.SpanStub {
	t.Helper()
	h, err := r.HTTP(mcpsec.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, span := r.tracing.Tracer("http").Start(req.Context(), "POST /mcp")
		defer span.End()
		h.ServeHTTP(w, req.WithContext(ctx))
		span.SetAttributes(attribute.Bool("after", true))
	}))
	res, err := srv.Client().Do(post(srv.URL+"/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"traced","arguments":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	srv.Close() // and so the span has ended
	return r.span(t, "POST /mcp")
}

const clientTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// A client neither puts a call into a trace of its choice nor keeps it from being
// sampled, unless all clients are trusted with that.
func TestClientTraces(t *testing.T) {
	t.Parallel()
	sampled, unsampled := "00-"+clientTrace+"-00f067aa0ba902b7-01", "00-"+clientTrace+"-00f067aa0ba902b7-00"
	for _, tc := range []struct {
		join           bool
		sent           any
		kept           bool
		inTrace, links bool
	}{
		{false, sampled, true, false, true},
		{false, unsampled, true, false, true},
		{true, sampled, true, true, false},
		{true, unsampled, false, false, false},
		{true, "00-" + clientTrace + "-00f067aa0ba902b7-01-more", true, false, false},
		{true, strings.Repeat("0", 1<<20/2), true, false, false},
		{true, []string{sampled}, true, false, false},
		{true, map[string]any{"traceparent": sampled}, true, false, false},
	} {
		r := newRig(t, func(o *otelmcp.Options, _ *mcpsec.Options) { o.JoinTraces = tc.join })
		cs := mcpsectest.Connect(t, r.Server, mcpsectest.ClientOptions{})
		r.spans.Reset()
		ask(t, cs, "echo", nil, mcp.Meta{"traceparent": tc.sent, "tracestate": "vendor=1", "baggage": "user=ada"})
		if !tc.kept {
			if n := len(r.spans.GetSpans()); n != 0 {
				t.Errorf("%d spans", n)
			}
			continue
		}
		s := r.span(t, "tools/call echo")
		if inTrace := s.SpanContext.TraceID().String() == clientTrace; inTrace != tc.inTrace || (len(s.Links) == 1) != tc.links {
			t.Errorf("join %t, %.80v: in the client's trace: %t, links %v", tc.join, tc.sent, inTrace, s.Links)
		}
	}
}

// Neither arguments nor results, errors, addresses, principals or baggage are in any
// span or series.
func TestTelemetryHasNoContents(t *testing.T) {
	t.Parallel()
	const canary = "canary-5f1e"
	r := newRig(t, nil)
	type pathIn struct {
		Path string `json:"path" validate:"max=100"`
	}
	r.AddResource(mcpsec.NewResource(mcpsec.ResourceSpec{Name: "doc", Description: "For tests.", URI: "doc:///{path}"},
		func(_ context.Context, in pathIn) (mcpsec.Content, error) { return mcpsec.Content{Text: in.Path}, nil }))
	cs := mcpsectest.Connect(t, r.Server, mcpsectest.ClientOptions{Principal: mcpsec.Principal{ID: canary}})
	for _, tool := range []string{"echo", "fails", "panics", "guarded", "remove", canary} {
		ask(t, cs, tool, map[string]any{"text": canary}, mcp.Meta{"baggage": "user=" + canary, canary: canary})
		ask(t, cs, tool, map[string]any{canary: 1}, nil)
	}
	for _, uri := range []string{"doc:///" + canary, "nothing:///" + canary} {
		_, _ = cs.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
	}
	_, _ = cs.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: canary})
	spans, err := json.Marshal(r.spans.GetSpans())
	if err != nil {
		t.Fatal(err)
	}
	if got := r.span(t, "resources/read"); !strings.Contains(string(spans), `"mcpsec.resource.name"`) || got.Name == "" {
		t.Error("the resource was not read")
	}
	for what, text := range map[string]string{"spans": string(spans), "series": r.scrape(t)} {
		if i := strings.Index(text, canary); i >= 0 {
			t.Errorf("the %s have it: %s", what, text[max(0, i-200):i+50])
		}
	}
}
