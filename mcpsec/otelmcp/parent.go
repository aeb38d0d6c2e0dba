package otelmcp

import (
	"context"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// parent decides whose child a request's span is. A span that is in the context is the
// program's own, say of the HTTP request; a client's is the client's word.
func (ob *Observer) parent(ctx context.Context, r *mcpsec.Request) (context.Context, []trace.SpanStartOption) {
	ctx = ob.carry(ctx, r.Baggage)
	client := clientSpan(r)
	if !client.IsValid() {
		return ctx, nil
	}
	if !ob.joinTraces {
		return ctx, []trace.SpanStartOption{trace.WithLinks(trace.Link{SpanContext: client})}
	}
	around := trace.SpanContextFromContext(ctx)
	ctx = trace.ContextWithRemoteSpanContext(ctx, client)
	if !around.IsValid() {
		return ctx, nil
	}
	return ctx, []trace.SpanStartOption{trace.WithLinks(trace.Link{SpanContext: around})}
}

// clientSpan reads what a client has sent by the W3C's Trace Context. What is not
// exactly that is nothing: a trace state without a good parent, too.
func clientSpan(r *mcpsec.Request) trace.SpanContext {
	if r.TraceParent == "" {
		return trace.SpanContext{}
	}
	sent := propagation.MapCarrier{"traceparent": r.TraceParent, "tracestate": r.TraceState}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), sent))
}

// carry takes the members of a client's baggage that are asked for into the context.
// Baggage that does not parse is dropped whole.
func (ob *Observer) carry(ctx context.Context, sent string) context.Context {
	if len(ob.baggage) == 0 || sent == "" {
		return ctx
	}
	client, err := baggage.Parse(sent)
	if err != nil {
		return ctx
	}
	bag := baggage.FromContext(ctx)
	for _, m := range client.Members() {
		if !slices.Contains(ob.baggage, m.Key()) || bag.Member(m.Key()).Key() != "" { // the program's own stands
			continue
		}
		bare, err := baggage.NewMemberRaw(m.Key(), m.Value()) // without properties, which nobody has asked for
		if err != nil {
			continue
		}
		if with, err := bag.SetMember(bare); err == nil {
			bag = with
		}
	}
	return baggage.ContextWithBaggage(ctx, bag)
}

func checkMembers(names []string) error {
	for i, n := range names {
		if _, err := baggage.NewMember(n, ""); err != nil {
			return fmt.Errorf("otelmcp: Options.Baggage[%d] is no name of a member", i)
		}
	}
	return nil
}
