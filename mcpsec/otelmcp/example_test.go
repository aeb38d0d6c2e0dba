package otelmcp_test

import (
	"fmt"
	"io"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/otelmcp"
)

// The providers are those of the program's OpenTelemetry SDK: docs/operations.md sets
// them up. These here drop everything.
func Example() {
	observer, err := otelmcp.New(otelmcp.Options{
		TracerProvider: tracenoop.NewTracerProvider(),
		MeterProvider:  metricnoop.NewMeterProvider(),
	})
	if err != nil {
		panic(err)
	}
	_, err = mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
		Audit:    mcpsec.NewAuditLog(io.Discard),
		Observer: observer,
	})
	fmt.Println(err)
	// Output: <nil>
}
