package otelmcp

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// CountDeliveries makes the metric mcpsec.deliveries of what a receiver of webhooks
// counts: stats is the method Stats of a webhook.Receiver, stripetool.Webhook or
// mailtool.Feedback. It is read whenever metrics are, until the program ends. Forged
// deliveries have the result signature. Name the receiver by a constant, and no two the
// same.
func (ob *Observer) CountDeliveries(receiver string, stats func() map[string]uint64) error {
	if receiver == "" || stats == nil {
		return errors.New("otelmcp: CountDeliveries needs a receiver's name and its Stats")
	}
	_, err := ob.meter.Int64ObservableCounter("mcpsec.deliveries", metric.WithDescription("Webhooks, by how they ended."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			for result, n := range stats() {
				o.Observe(int64(n), metric.WithAttributes(attribute.String("receiver", receiver), attribute.String("result", result)))
			}
			return nil
		}))
	if err != nil {
		return fmt.Errorf("otelmcp: %w", err)
	}
	return nil
}
