package mcpsec_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func scrape(t testing.TB, s *mcpsec.Server) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if got := w.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	return w.Body.String()
}

// What was counted is shown, each series once and in order.
func TestMetrics(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil,
		echo(),
		tool("leaky", func(context.Context, none) (echoOut, error) { return echoOut{"pass" + "word=hunter2\u200b"}, nil }),
		tool("broken", func(context.Context, none) (echoOut, error) { return echoOut{}, errors.New("down") }))
	cs := f.fixture.connect(t)
	call(t, cs, "echo", echoIn{"a"})
	call(t, cs, "echo", echoIn{"b"})
	call(t, cs, "echo", map[string]any{"nope": 1})
	call(t, cs, "leaky", nil)
	call(t, cs, "broken", nil)
	if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "no\"such\ntool"}); err == nil {
		t.Error("an unknown tool was called")
	}
	if res, _ := f.do(t, "{}", func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") }); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", res.StatusCode)
	}
	got := regexp.MustCompile(`(,le="[^"]*"} |_sum{[^}]*} )[0-9.e-]+`).ReplaceAllString(scrape(t, f.fixture.Server), "${1}N")
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Names that clients make up are no labels: they would be a series each.
func TestMetricsDoNotGrowByRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	cs := f.connect(t)
	lines := func() int { return strings.Count(scrape(t, f.Server), "\n") }
	_, _ = cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "x"})
	before := lines()
	for _, name := range []string{"y", "z", "echo2", strings.Repeat("n", 1000)} {
		_, _ = cs.CallTool(t.Context(), &mcp.CallToolParams{Name: name})
	}
	if got := lines(); got != before {
		t.Errorf("%d lines became %d", before, got)
	}
	if strings.Contains(scrape(t, f.Server), "echo2") {
		t.Error("a made-up name is a label")
	}
}

// full is a disk that takes nothing more.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// A record that cannot be written is what an operator must hear of.
func TestMetricsOfAudit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *mcpsec.Options) { o.Audit = mcpsec.NewAuditLog(full{}) }, echo())
	call(t, f.connect(t), "echo", echoIn{"a"})
	if !strings.Contains(scrape(t, f.Server), "\nmcpsec_audit_failures_total 1\n") {
		t.Errorf("got %s", scrape(t, f.Server))
	}
}

// Alerts and dashboards speak of metrics that exist, and their rules of labels
// that do.
func TestOperationsNameMetrics(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`mcpsec_[a-z_]+`)
	known := map[string]bool{}
	for _, n := range name.FindAllString(string(golden), -1) {
		known[n] = true
	}
	for _, file := range []string{"prometheus-rules.yml", "prometheus-rules-test.yml", "grafana-dashboard.json"} {
		text, err := os.ReadFile("../docs/operations/" + file)
		if err != nil {
			t.Fatal(err)
		}
		names := name.FindAllString(string(text), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, n := range names {
			if !known[n] {
				t.Errorf("%s names %s, which the server does not count", file, n)
			}
		}
	}
}

// A rule that was built from data breaks no scrape and floods no label.
func TestMetricsOfOddRules(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"over 50 EUR": "over 50 EUR", strings.Repeat("x", 64): strings.Repeat("x", 64),
		strings.Repeat("x", 65): "unnamed", "to \xff": "unnamed", "to\nada": "unnamed", "to \u202eada": "unnamed",
	} {
		refuses := &mcpsec.Error{Message: "no", Rule: rule}
		f := newFixture(t, nil,
			mcpsec.NewTool(mcpsec.ToolSpec{Name: "guarded", Description: "For tests.", Effect: mcpsec.Read, Guards: []mcpsec.Guard{
				func(context.Context, *mcpsec.Call) error { return refuses },
			}}, func(context.Context, none) (echoOut, error) { return echoOut{}, nil }),
			tool("handled", func(context.Context, none) (echoOut, error) { return echoOut{}, refuses }))
		cs := f.connect(t)
		call(t, cs, "guarded", none{})
		call(t, cs, "handled", none{})
		if got := scrape(t, f.Server); !strings.Contains(got, `name="guarded",rule="`+want+`"} 1`) {
			t.Errorf("%q: got %s", rule, got)
		}
		if n := strings.Count(f.audit.String(), `"rule":"`+want+`"`); n != 2 {
			t.Errorf("%q: %d records name %q: %s", rule, n, want, f.audit.String())
		}
	}
}
