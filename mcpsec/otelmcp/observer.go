package otelmcp

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// scope names who measures.
const scope = "github.com/mcpsec/mcpsec-go/mcpsec/otelmcp"

// Options says where traces and metrics go. One of the providers is required.
type Options struct {
	// TracerProvider makes spans. Defaults to none.
	TracerProvider trace.TracerProvider
	// MeterProvider makes metrics. Defaults to none.
	MeterProvider metric.MeterProvider
	// JoinTraces makes the span that a client names in _meta the parent of the
	// request's. Then whoever may call the server chooses what trace a span is in, and
	// a sampler that goes by the parent records as much or as little as the client
	// wants. Set it where all clients are your own. Defaults to false: the request has
	// a trace of its own, which is linked to the client's.
	JoinTraces bool
	// Baggage are the members of a client's baggage that are taken into the context,
	// from where instrumentation can send them on to backends. What they say is up to
	// the client. Defaults to none.
	Baggage []string
}

// An Observer is an [mcpsec.Observer] for one server or several. It is safe for
// concurrent use.
type Observer struct {
	tracer     trace.Tracer
	meter      metric.Meter
	joinTraces bool
	baggage    []string
	duration   metric.Float64Histogram
	counters   map[string]counter // by kind of event
	reasons    bounded
}

// A counter counts the events of one or two kinds.
type counter struct {
	metric.Int64Counter
	label string // of the event's reason, or of its kind
	kind  bool   // the label has the kind
}

// New makes an Observer. It returns an error if there is no provider, if a provider
// refuses an instrument, or if a name in Baggage is none.
func New(o Options) (*Observer, error) {
	if o.TracerProvider == nil && o.MeterProvider == nil {
		return nil, errors.New("otelmcp: a TracerProvider or a MeterProvider is required")
	}
	if o.TracerProvider == nil {
		o.TracerProvider = tracenoop.NewTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = metricnoop.NewMeterProvider()
	}
	if err := checkMembers(o.Baggage); err != nil {
		return nil, err
	}
	ob := &Observer{
		tracer: o.TracerProvider.Tracer(scope), meter: o.MeterProvider.Meter(scope),
		joinTraces: o.JoinTraces, baggage: append([]string(nil), o.Baggage...),
	}
	if err := ob.instruments(); err != nil {
		return nil, fmt.Errorf("otelmcp: %w", err)
	}
	return ob, nil
}

// seconds are the bounds that the conventions give the histogram.
var seconds = []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300}

func (ob *Observer) instruments() error {
	var err error
	ob.duration, err = ob.meter.Float64Histogram("mcp.server.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("How long requests took, as the server saw it."), metric.WithExplicitBucketBoundaries(seconds...))
	errs := []error{err}
	count := func(name, label string, kind bool, description string) counter {
		c, err := ob.meter.Int64Counter(name, metric.WithDescription(description))
		errs = append(errs, err)
		return counter{c, label, kind}
	}
	questions := count("mcpsec.confirmations", "step", true, "Questions to people, and their yes.")
	ob.counters = map[string]counter{
		"ended":      count("mcpsec.calls", "outcome", false, "Calls that ran, by how they ended."),
		"refused":    count("mcpsec.refusals", "rule", false, "What was refused before it ran."),
		"cleaned":    count("mcpsec.results.cleaned", "what", false, "Results that lost a secret or hidden characters."),
		"unrecorded": count("mcpsec.audit.failures", "", false, "Records that could not be written."),
		"asked":      questions, "confirmed": questions,
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	ob.counters["unrecorded"].Add(context.Background(), 0) // an alert on it needs to see it grow
	return nil
}

// Begin implements [mcpsec.Observer]: it begins a span.
func (ob *Observer) Begin(ctx context.Context, r *mcpsec.Request) context.Context {
	ctx, options := ob.parent(ctx, r)
	attrs := about(r)
	if r.ID != "" {
		attrs = append(attrs, requestID.String(r.ID))
	}
	options = append(options, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attrs...))
	ctx, _ = ob.tracer.Start(ctx, spanName(r), options...)
	return ctx
}

// End implements [mcpsec.Observer]: it ends the span, and measures the request.
func (ob *Observer) End(ctx context.Context, r *mcpsec.Request) {
	failure := ending(r)
	ob.duration.Record(ctx, r.Took.Seconds(), metric.WithAttributes(append(about(r), failure...)...))
	span := trace.SpanFromContext(ctx)
	defer span.End()
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(failure...)
	if r.Call != "" {
		span.SetAttributes(callID.String(r.Call), outcome.String(r.Outcome))
	}
	if r.Rule != "" {
		span.SetAttributes(rule.String(ob.reasons.admit(r.Rule)))
	}
	if len(failure) > 0 {
		span.SetStatus(codes.Error, "") // texts of errors are for the caller
	}
}

// Event implements [mcpsec.Observer]: it counts.
func (ob *Observer) Event(ctx context.Context, e mcpsec.Event) {
	c, ok := ob.counters[e.Kind]
	switch {
	case !ok:
	case c.label == "":
		c.Add(ctx, 1)
	default:
		reason := e.Kind
		if !c.kind {
			reason = ob.reasons.admit(e.Reason)
		}
		c.Add(ctx, 1, metric.WithAttributes(
			attribute.String("method", e.Method), attribute.String("name", e.Name), attribute.String(c.label, reason)))
	}
}

// bounded admits a number of different texts: the rules of errors are a user's own,
// and one that was built from data would make a series of each value.
type bounded struct {
	mu   sync.RWMutex
	seen map[string]bool
}

const maxReasons = 256

func (b *bounded) admit(text string) string {
	b.mu.RLock()
	known := b.seen[text]
	b.mu.RUnlock()
	if known {
		return text
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.seen[text]:
		return text
	case len(b.seen) == maxReasons:
		return other
	case b.seen == nil:
		b.seen = map[string]bool{}
	}
	b.seen[text] = true
	return text
}
