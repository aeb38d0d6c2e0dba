// Package otel runs servers whose Observer is otelmcp's with OpenTelemetry's own SDK,
// its exporter for Prometheus, and its OTLP exporters: what spans and series come out of
// honest calls and of attacks.
package otel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/mcpsec/mcpsec-go/mcpsec/otelmcp"
)

// telemetry is what docs/operations.md tells to write.
func telemetry(ctx context.Context) (observer *otelmcp.Observer, shutdown func(context.Context) error, err error) {
	spans, err1 := otlptracehttp.New(ctx) // to where OTEL_EXPORTER_OTLP_ENDPOINT says
	numbers, err2 := otlpmetrichttp.New(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	tracing := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans))
	metering := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(numbers)))
	observer, err = otelmcp.New(otelmcp.Options{TracerProvider: tracing, MeterProvider: metering})
	return observer, func(ctx context.Context) error { return errors.Join(tracing.Shutdown(ctx), metering.Shutdown(ctx)) }, err
}
