// Package otelmcp makes OpenTelemetry traces and metrics of what an [mcpsec.Server]
// does, so that an operator sees attacks on it and traces lead to its audit log. It
// takes the interfaces of OpenTelemetry and brings neither an SDK nor an exporter:
// those are the program's.
//
//	observer, err := otelmcp.New(otelmcp.Options{
//		TracerProvider: tracerProvider, MeterProvider: meterProvider,
//	})
//	srv, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: audit, Observer: observer})
//
// A request is a span by OpenTelemetry's conventions for MCP (semantic-conventions-genai,
// docs/gen-ai/mcp.md, in development): "tools/call refund", of kind server. Beside the
// conventions' attributes it has mcpsec.call.id, which names the call in the audit log,
// mcpsec.outcome and mcpsec.rule. What a handler starts is below it. The metrics are
//
//	mcp.server.operation.duration   a histogram, by the same conventions
//	mcpsec.calls                    {method, name, outcome}  calls that ran, by how they ended
//	mcpsec.refusals                 {method, name, rule}     what was refused before it ran: denials, tokens (rule token), limits (rate, busy, size and those of guards), and a person's no (declined)
//	mcpsec.confirmations            {method, name, step}     questions to people: asked and confirmed
//	mcpsec.results.cleaned          {method, name, what}     results that lost a secret or hidden characters
//	mcpsec.audit.failures           records that could not be written
//	mcpsec.deliveries               {receiver, result}       webhooks, where [Observer.CountDeliveries] is called
//
// Those of mcpsec are named and labelled so that OpenTelemetry's exporter for Prometheus
// makes of them the series of [mcpsec.Server.Metrics], and the alerts of
// docs/operations hold for either.
//
// # What is protected
//
// Telemetry goes to more people than an audit log, and costs by the series. So no
// attribute holds arguments, results, addresses of resources, error texts, sessions or
// principals; names are those of tools, prompts and resources that exist, everything
// else is _OTHER; and rules beyond the first 256 are _OTHER, too. The one thing that a
// client can write into a span is the id of its request, up to 64 characters of ASCII.
//
// A client that sends a trace context (SEP-414) is not believed by default, as it can
// have made it up: see [Options]. Of its baggage only members that are asked for are
// taken, into the context and never as attributes.
//
// # What it is not
//
// It is no evidence: spans are sampled and lost, the audit log is neither. The SDK and
// its exporters are not bounded by this package. Sessions are not measured
// (mcp.server.session.duration): requests of the newest protocol have none.
package otelmcp
