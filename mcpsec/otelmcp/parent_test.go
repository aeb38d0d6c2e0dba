package otelmcp

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const (
	clientTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	ownTrace    = "11111111111111111111111111111111"
	parentText  = "00-" + clientTrace + "-00f067aa0ba902b7-01"
)

// What a client sends is a trace context, exactly, or nothing.
func TestClientSpan(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		parentText: clientTrace,
		"00-" + clientTrace + "-00f067aa0ba902b7-00":      clientTrace,
		"01-" + clientTrace + "-00f067aa0ba902b7-01-more": clientTrace, // a later version has more
		"": "", "00": "", "x": "", parentText + " ": "", " " + parentText: "", parentText + "-more": "", parentText + "\n": "",
		"ff-" + clientTrace + "-00f067aa0ba902b7-01":                      "",
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01":          "",
		"00-" + clientTrace + "-" + strings.Repeat("0", 16) + "-01":       "",
		"00-" + strings.ToUpper(clientTrace) + "-00f067aa0ba902b7-01":     "",
		"00-" + clientTrace + "-00f067aa0ba902b7-ff":                      "",
		"00-" + clientTrace[:31] + "-00f067aa0ba902b7-01":                 "",
		"00-" + strings.Repeat("g", 32) + "-00f067aa0ba902b7-01":          "",
		"00-" + clientTrace + "-00f067aa0ba902b7-01\x00":                  "",
		"00-" + clientTrace + "-'; drop table spans;--":                   "",
		"00-" + clientTrace + "-00f067aa0ba902b7-01,00-" + ownTrace + "-": "",
	} {
		got := ""
		if sc := clientSpan(&mcpsec.Request{TraceParent: sent}); sc.IsValid() {
			got = sc.TraceID().String()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", sent, got, want)
		}
	}
}

// A trace state that is none leaves the parent, and a state without a parent is
// nothing (Trace Context, section 3.3).
func TestClientState(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ parent, state, want string }{
		{parentText, "vendor=1", "vendor=1"},
		{parentText, "vendor=1,vendor=2", ""},
		{parentText, "Vendor=\x00", ""},
		{parentText, strings.Repeat("a=1,", 40), ""},
		{"", "vendor=1", ""},
	} {
		sc := clientSpan(&mcpsec.Request{TraceParent: tc.parent, TraceState: tc.state})
		if got := sc.TraceState().String(); got != tc.want || sc.IsValid() != (tc.parent != "") {
			t.Errorf("%q, %q: got %q, valid: %t", tc.parent, tc.state, got, sc.IsValid())
		}
	}
}

func observer(t testing.TB, o Options) *Observer {
	t.Helper()
	o.MeterProvider = metricnoop.NewMeterProvider()
	ob, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return ob
}

// Whose child a span is, and to whose it is linked.
func TestParent(t *testing.T) {
	t.Parallel()
	id, _ := trace.TraceIDFromHex(ownTrace)
	own := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}}))
	for _, tc := range []struct {
		what         string
		join         bool
		around       context.Context
		sent         string
		parent, link string
	}{
		{"nobody has a trace", false, t.Context(), "", "", ""},
		{"the client is not believed", false, t.Context(), parentText, "", clientTrace},
		{"the program's own span stays the parent", false, own, parentText, ownTrace, clientTrace},
		{"the client's trace is joined", true, t.Context(), parentText, clientTrace, ""},
		{"the program's own span is linked then", true, own, parentText, clientTrace, ownTrace},
		{"a bad context is none", true, own, "x", ownTrace, ""},
	} {
		ctx, options := observer(t, Options{JoinTraces: tc.join}).parent(tc.around, &mcpsec.Request{TraceParent: tc.sent})
		parent, link := "", ""
		if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
			parent = sc.TraceID().String()
		}
		config := trace.NewSpanStartConfig(options...)
		for _, l := range config.Links() {
			link += l.SpanContext.TraceID().String()
		}
		if parent != tc.parent || link != tc.link {
			t.Errorf("%s: parent %q, link %q", tc.what, parent, link)
		}
	}
}

// Of a client's baggage only what is asked for is taken, and nothing of it replaces the
// program's own.
func TestBaggage(t *testing.T) {
	t.Parallel()
	tenant, err := baggage.NewMember("tenant", "own")
	if err != nil {
		t.Fatal(err)
	}
	own, err := baggage.New(tenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		take       []string
		sent, want string
	}{
		{nil, "user=ada,session=1", "tenant=own"},
		{[]string{"session"}, "user=ada,session=1", "session=1,tenant=own"},
		{[]string{"session"}, "session=1;secret=yes", "session=1,tenant=own"},
		{[]string{"tenant"}, "tenant=theirs", "tenant=own"},
		{[]string{"session"}, "session=1,=,", "tenant=own"},
		{[]string{"session"}, strings.Repeat("x", 9000), "tenant=own"},
	} {
		ctx := observer(t, Options{Baggage: tc.take}).carry(baggage.ContextWithBaggage(t.Context(), own), tc.sent)
		got := baggage.FromContext(ctx)
		if n := strings.Count(tc.want, "=") - got.Len(); n != 0 {
			t.Errorf("%v of %.40q: got %q", tc.take, tc.sent, got)
		}
		for _, m := range got.Members() {
			if !strings.Contains(","+tc.want+",", ","+m.String()+",") {
				t.Errorf("%v of %.40q: got %q", tc.take, tc.sent, got)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{}, {MeterProvider: metricnoop.NewMeterProvider(), Baggage: []string{"a b"}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	ob := observer(t, Options{})
	if ob.CountDeliveries("", func() map[string]uint64 { return nil }) == nil || ob.CountDeliveries("stripe", nil) == nil {
		t.Error("deliveries of nobody are counted")
	}
}

// Rules that were built from data make no series without end.
func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	var b bounded
	got := map[string]bool{}
	for i := range 10_000 {
		got[b.admit(fmt.Sprint("over ", i, " EUR"))] = true
	}
	if len(got) != maxReasons+1 || !got[other] {
		t.Errorf("%d reasons", len(got))
	}
	if b.admit("over 1 EUR") != "over 1 EUR" {
		t.Error("a known reason is one no more")
	}
}

// Nothing that a client sends about traces breaks anything, gets past the options, or
// becomes more than it was.
func FuzzClientContext(f *testing.F) {
	f.Add(parentText, "vendor=1", "session=1,user=ada")
	f.Add("01-"+clientTrace+"-00f067aa0ba902b7-03-x", "a@b=c,d=e", "session=%20;p=1")
	f.Add("00--", ",,,=", "session=1,session=2")
	ob := observer(f, Options{Baggage: []string{"session"}, JoinTraces: true})
	f.Fuzz(func(t *testing.T, parent, state, bag string) {
		ctx, _ := ob.parent(t.Context(), &mcpsec.Request{TraceParent: parent, TraceState: state, Baggage: bag})
		if sc := trace.SpanContextFromContext(ctx); sc.IsValid() && !strings.HasPrefix(parent[2:], "-"+sc.TraceID().String()+"-"+sc.SpanID().String()+"-") {
			t.Errorf("%q became %s", parent, sc.TraceID())
		}
		for _, m := range baggage.FromContext(ctx).Members() {
			if m.Key() != "session" || len(m.Properties()) > 0 {
				t.Errorf("%q was taken", m)
			}
		}
	})
}
