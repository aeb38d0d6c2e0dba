package otel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/otelmcp"
)

// A rig is a server, and OpenTelemetry's SDK behind its Observer.
type rig struct {
	*mcpsec.Server
	audit    mcpsectest.Audit
	observer *otelmcp.Observer
	tracing  *sdktrace.TracerProvider
	spans    *tracetest.InMemoryExporter
	reader   *sdkmetric.ManualReader
	metrics  *httptest.Server // what Prometheus scrapes
}

// newRig makes a server of tools that behave in one way each.
func newRig(t testing.TB, change func(*otelmcp.Options, *mcpsec.Options)) *rig {
	t.Helper()
	r := &rig{spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	registry := prometheus.NewRegistry()
	exported, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	r.metrics = httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(r.metrics.Close)
	r.tracing = sdktrace.NewTracerProvider(sdktrace.WithSyncer(r.spans))
	oo := otelmcp.Options{
		TracerProvider: r.tracing,
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(exported), sdkmetric.WithReader(r.reader)),
	}
	o := mcpsec.Options{Audit: &r.audit, Mode: mcpsec.Destroy, Log: slog.DiscardHandler, Limits: mcpsec.Limits{CallsPerSecond: 1e6}}
	if change != nil {
		change(&oo, &o)
	}
	if r.observer, err = otelmcp.New(oo); err != nil {
		t.Fatal(err)
	}
	o.Observer = r.observer
	if r.Server, err = mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1.0.0"}, o); err != nil {
		t.Fatal(err)
	}
	r.Add(r.tools()...)
	return r
}

type textIn struct {
	Text string `json:"text" validate:"max=1000"`
}

type textOut struct {
	Text string `json:"text"`
}

func (r *rig) tools() []*mcpsec.Tool {
	tool := func(name string, effect mcpsec.Effect, f func(context.Context, textIn) (textOut, error), guards ...mcpsec.Guard) *mcpsec.Tool {
		return mcpsec.NewTool(mcpsec.ToolSpec{Name: name, Description: "For tests.", Effect: effect, Guards: guards, MaxConcurrent: 1}, f)
	}
	echo := func(_ context.Context, in textIn) (textOut, error) { return textOut(in), nil }
	return []*mcpsec.Tool{
		tool("echo", mcpsec.Read, echo),
		tool("remove", mcpsec.Destroy, echo),
		tool("guarded", mcpsec.Read, echo, func(context.Context, *mcpsec.Call) error {
			return &mcpsec.Error{Message: "no", Rule: "amount"}
		}),
		tool("leaky", mcpsec.Read, func(context.Context, textIn) (textOut, error) { return textOut{"pass" + "word=hunter2"}, nil }),
		tool("fails", mcpsec.Read, func(_ context.Context, in textIn) (textOut, error) { return textOut{}, errors.New("down: " + in.Text) }),
		tool("panics", mcpsec.Read, func(_ context.Context, in textIn) (textOut, error) { panic(in.Text) }),
		tool("busy", mcpsec.Read, func(ctx context.Context, in textIn) (textOut, error) { // one call within another is one too many
			r.call(ctx, in.Text)
			return textOut{}, nil
		}),
		tool("traced", mcpsec.Read, func(ctx context.Context, _ textIn) (textOut, error) {
			_, span := r.tracing.Tracer("backend").Start(ctx, "SELECT")
			span.End()
			return textOut{}, nil
		}),
	}
}

// call has the server called by one more client.
func (r *rig) call(ctx context.Context, tool string) {
	h, err := r.HTTP(mcpsec.HTTPOptions{})
	if err != nil {
		panic(err)
	}
	local := httptest.NewServer(h)
	defer local.Close()
	res, err := http.DefaultClient.Do(post(local.URL+"/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":{}}}`).WithContext(ctx))
	if err == nil {
		res.Body.Close()
	}
}

func post(url, body string) *http.Request {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	return req
}

// ask calls a tool; an error is an answer, too.
func ask(t testing.TB, cs *mcp.ClientSession, tool string, args map[string]any, meta mcp.Meta) {
	t.Helper()
	if args == nil {
		args = map[string]any{}
	}
	_, _ = cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args, Meta: meta})
}

// scrape is what Prometheus would get.
func (r *rig) scrape(t testing.TB) string {
	t.Helper()
	res, err := http.Get(r.metrics.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// span is the last span of a name.
func (r *rig) span(t testing.TB, name string) tracetest.SpanStub {
	t.Helper()
	var found tracetest.SpanStub
	for _, s := range r.spans.GetSpans() {
		if s.Name == name {
			found = s
		}
	}
	if found.Name == "" {
		t.Errorf("there is no span %q", name)
	}
	return found
}
