package otel

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/mcpsec/mcpsec-go/docs"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// busyDay lets everything happen that is counted: each thing in the comment's words.
func busyDay(t *testing.T) *rig {
	t.Helper()
	failing := false
	r := newRig(t, nil)
	r.audit.Fail = func(map[string]any) error {
		if failing {
			return errors.New("no space left")
		}
		return nil
	}
	nobody := mcpsectest.Connect(t, r.Server, mcpsectest.ClientOptions{})
	for _, tool := range []string{"echo", "leaky", "guarded", "fails", "panics", "remove", "made-up"} {
		ask(t, nobody, tool, nil, nil)
	}
	ask(t, nobody, "echo", map[string]any{"text": 7}, nil)
	ask(t, nobody, "busy", map[string]any{"text": "busy"}, nil)
	for _, answer := range []bool{true, false} {
		person := mcpsectest.Connect(t, r.Server, mcpsectest.ClientOptions{Confirm: func(string) bool { return answer }})
		ask(t, person, "remove", nil, nil)
	}
	r.strangers(t)
	failing = true
	ask(t, nobody, "echo", nil, nil)
	return r
}

// strangers come without a good token, and over a foreign name.
func (r *rig) strangers(t *testing.T) {
	t.Helper()
	h, err := r.HTTP(mcpsec.HTTPOptions{Verifier: func(context.Context, string) (mcpsec.Principal, error) {
		return mcpsec.Principal{}, mcpsec.ErrInvalidToken
	}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer made-up") },
		func(r *http.Request) {},
		func(r *http.Request) { r.Host = "evil.example" },
		func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
	} {
		req := post(srv.URL+"/mcp", `{}`)
		change(req)
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}

// Each thing that happens is a series of its own, in a real scrape.
func TestMetricsByScrape(t *testing.T) {
	t.Parallel()
	r := busyDay(t)
	got := r.scrape(t)
	for _, want := range []string{
		`mcpsec_calls_total{method="tools/call",name="echo",outcome="ok"} 1`,
		`mcpsec_calls_total{method="tools/call",name="fails",outcome="failed"} 1`,
		`mcpsec_calls_total{method="tools/call",name="panics",outcome="panicked"} 1`,
		`mcpsec_refusals_total{method="tools/call",name="guarded",rule="amount"} 1`,
		`mcpsec_refusals_total{method="tools/call",name="echo",rule="arguments"} 1`,
		`mcpsec_refusals_total{method="tools/call",name="busy",rule="busy"} 1`,
		`mcpsec_refusals_total{method="tools/call",name="remove",rule="confirmation"} 1`,
		`mcpsec_refusals_total{method="tools/call",name="remove",rule="declined"} 1`,
		`mcpsec_refusals_total{method="",name="",rule="unknown tool"} 1`,
		`mcpsec_refusals_total{method="",name="",rule="token"} 2`,
		`mcpsec_refusals_total{method="",name="",rule="host"} 1`,
		`mcpsec_refusals_total{method="",name="",rule="origin"} 1`,
		`mcpsec_confirmations_total{method="tools/call",name="remove",step="asked"} 2`,
		`mcpsec_confirmations_total{method="tools/call",name="remove",step="confirmed"} 1`,
		`mcpsec_results_cleaned_total{method="tools/call",name="leaky",what="secret"} 1`,
		`mcpsec_audit_failures_total 1`,
	} {
		if !slices.Contains(ours(got), want) {
			t.Errorf("there is no %s", want)
		}
	}
	duration := regexp.MustCompile(`(?m)^mcp_server_operation_duration_seconds_count\{(.*gen_ai_tool_name="echo".*)\} \d+$`)
	if m := duration.FindString(got); !strings.Contains(m, `mcp_method_name="tools/call"`) || !strings.Contains(m, `gen_ai_operation_name="execute_tool"`) {
		t.Errorf("the duration of echo is %q", m)
	}
	if t.Failed() {
		t.Log(strings.Join(ours(got), "\n"))
	}
}

// ours are the series of a scrape that begin with mcpsec, without what the exporter
// adds to each.
func ours(scrape string) []string {
	scope := regexp.MustCompile(`,?otel_scope_[a-z_]+="[^"]*"`)
	var out []string
	for line := range strings.Lines(scrape) {
		if strings.HasPrefix(line, "mcpsec_") {
			line = scope.ReplaceAllString(strings.TrimSpace(line), "")
			out = append(out, strings.Replace(strings.Replace(line, "{,", "{", 1), "{}", "", 1))
		}
	}
	slices.Sort(out)
	return out
}

// By either way the same is counted: what Server.Metrics shows, the exporter for
// Prometheus shows, by the same names.
func TestMetricsAreOneSystem(t *testing.T) {
	t.Parallel()
	r := busyDay(t)
	w := httptest.NewRecorder()
	r.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	own := regexp.MustCompile(`^mcpsec_(calls|refusals|confirmations|results_cleaned|audit_failures)_total`)
	want := slices.DeleteFunc(ours(w.Body.String()), func(line string) bool { return !own.MatchString(line) })
	if got := ours(r.scrape(t)); !slices.Equal(got, want) || len(want) < 10 {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The alerts find their metrics, and the labels that they ask for, behind the exporter.
func TestAlertsHaveTheirMetrics(t *testing.T) {
	t.Parallel()
	r := busyDay(t)
	got := r.scrape(t)
	exprs := regexp.MustCompile(`(mcpsec_[a-z_]+)(?:\{([^}]*)\})?\[`).FindAllStringSubmatch(docs.PrometheusRules, -1)
	if len(exprs) == 0 {
		t.Fatal("the alerts ask for nothing")
	}
	label := regexp.MustCompile(`([a-z]+)(?:=|!)`)
	for _, e := range exprs {
		line := regexp.MustCompile(`(?m)^` + e[1] + `\{.*`).FindString(got)
		if line == "" {
			t.Errorf("there is no %s", e[1])
		}
		for _, l := range label.FindAllStringSubmatch(e[2], -1) {
			if !regexp.MustCompile(`[{,]` + l[1] + `="`).MatchString(line) {
				t.Errorf("%s has no label %s: %s", e[1], l[1], line)
			}
		}
	}
}

// An alert on growth sees the first failure grow from nothing.
func TestAuditFailuresBeginAtZero(t *testing.T) {
	t.Parallel()
	if got := ours(newRig(t, nil).scrape(t)); !slices.Contains(got, "mcpsec_audit_failures_total 0") {
		t.Errorf("got %q", got)
	}
}

// Prometheus' own tool finds nothing to say against the names.
func TestPromtoolAgrees(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	r := busyDay(t)
	if err := r.observer.CountDeliveries("stripe", func() map[string]uint64 { return map[string]uint64{"handled": 1} }); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(r.scrape(t)) {
		if strings.HasPrefix(line, "mcp") || strings.HasPrefix(line, "# HELP mcp") || strings.HasPrefix(line, "# TYPE mcp") {
			lines = append(lines, line)
		}
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(strings.Join(lines, ""))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// The histogram has the conventions' bounds, and errors are told apart.
func TestDuration(t *testing.T) {
	t.Parallel()
	r := busyDay(t)
	var all metricdata.ResourceMetrics
	if err := r.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			h, ok := m.Data.(metricdata.Histogram[float64])
			if !ok {
				continue
			}
			for _, p := range h.DataPoints {
				if want := []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300}; m.Name != "mcp.server.operation.duration" || m.Unit != "s" || !slices.Equal(p.Bounds, want) {
					t.Errorf("%s in %s has the bounds %v", m.Name, m.Unit, p.Bounds)
				}
				kind, _ := p.Attributes.Value("error.type")
				kinds[kind.String()] = true
				for _, secret := range []attribute.Key{"jsonrpc.request.id", "mcpsec.call.id"} {
					if p.Attributes.HasValue(secret) {
						t.Errorf("%s is a series each", secret)
					}
				}
			}
		}
	}
	for _, want := range []string{"tool_error", "-32602"} {
		if !kinds[want] {
			t.Errorf("no error.type is %s: %v", want, kinds)
		}
	}
}

// Whatever names clients make up, of tools or members, no series comes
// of it.
func TestSeriesDoNotGrowByClients(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	cs := mcpsectest.Connect(t, r.Server, mcpsectest.ClientOptions{})
	attack := func(i int) {
		ask(t, cs, fmt.Sprint("tool", i), nil, nil)
		if i%100 == 0 {
			ask(t, cs, "echo", map[string]any{fmt.Sprint("member", i): i}, nil)
		}
	}
	attack(0)
	before := strings.Count(r.scrape(t), "\n")
	for i := range 10_000 {
		attack(i + 1)
	}
	if after := strings.Count(r.scrape(t), "\n"); after != before {
		t.Errorf("%d lines became %d", before, after)
	}
	names := map[string]bool{}
	for _, s := range r.spans.GetSpans() {
		names[s.Name] = true
	}
	if !names["tools/call _OTHER"] || len(names) > 10 {
		t.Errorf("%d names of spans", len(names))
	}
}

// Forged webhooks are counted beside genuine ones, and repeated scrapes do not count
// them again.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	secret := redact.NewSecret("whsec" + "_" + strings.Repeat("aB3d", 8))
	verifier, err := webhook.Stripe(secret)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := webhook.NewReceiver(verifier, nil, func(context.Context, webhook.Event) error { return nil },
		webhook.Options{Log: slog.New(slog.DiscardHandler)})
	if err := r.observer.CountDeliveries("stripe", endpoint.Stats); err != nil {
		t.Fatal(err)
	}
	event := mcpsectest.Sender{Secret: secret}.Stripe(`{"id":"evt_1","type":"invoice.paid"}`)
	event.Post(t, endpoint)
	event.Body = []byte(`{"id":"evt_2","type":"invoice.paid"}`)
	event.Post(t, endpoint)
	r.scrape(t)
	got := ours(r.scrape(t))
	for result, n := range map[string]int{"handled": 1, "signature": 1, "repeated": 0} {
		if want := fmt.Sprintf(`mcpsec_deliveries_total{receiver="stripe",result="%s"} %d`, result, n); !slices.Contains(got, want) {
			t.Errorf("there is no %s in %q", want, got)
		}
	}
}

// What docs/operations.md tells to write is what is run here, and brings spans and
// series to a collector.
func TestOTLP(t *testing.T) { // not parallel: it sets the environment
	var mu sync.Mutex
	got := map[string]string{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got[req.URL.Path] += string(b)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	observer, shutdown, err := telemetry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{Audit: &r.audit, Observer: observer})
	if err != nil {
		t.Fatal(err)
	}
	ask(t, mcpsectest.Connect(t, srv, mcpsectest.ClientOptions{}), "made-up", nil, nil)
	if err := shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for path, want := range map[string]string{"/v1/traces": "tools/call _OTHER", "/v1/metrics": "mcpsec.refusals"} {
		if !strings.Contains(got[path], want) {
			t.Errorf("%s got no %s", path, want)
		}
	}
}

//go:embed doc.go
var source string

// The page shows what runs.
func TestOperationsShowsTelemetry(t *testing.T) {
	t.Parallel()
	_, function, _ := strings.Cut(source, "\nfunc telemetry")
	if !strings.Contains(docs.Operations, "\nfunc telemetry"+function) || function == "" {
		t.Error("docs/operations.md shows another function telemetry than doc.go has")
	}
}
