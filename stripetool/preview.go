package stripetool

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/stripe/stripe-go/v76/form"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type previewIn struct {
	Customer     string     `json:"customer" validate:"max=220"`
	Subscription string     `json:"subscription" validate:"max=220"`
	Items        []lineItem `json:"items" validate:"max=10,dive"`
}

var previewFields = fields("object amount_due currency customer livemode next_payment_attempt period_end period_start subscription subtotal tax total lines.data.amount lines.data.currency lines.data.description lines.data.price.id lines.data.proration lines.data.quantity")

// previews is a change that changes nothing: not everybody who reads invoices needs it,
// and it costs each model context.
var previews = []change{{
	resource: "invoices", action: "preview", effect: mcpsec.Read, name: "stripe_preview_invoice", reads: []string{"subscriptions", "customers", "prices"},
	description: "Tell what the next invoice of a subscription will be, or the first one of a customer's new subscription to items.",
	properties:  []string{`"subscription":{"type":"string"}`, `"customer":{"type":"string"}`, itemsProperty},
	tool:        previewTool,
}}

// previewTool reads what the next invoice would be.
func previewTool(c *Client, ch change) *mcpsec.Tool {
	spec := c.spec(ch.name, ch.description, ch.effect)
	spec.InputSchema = schemaOf(ch.required, ch.properties...)
	return mcpsec.NewTool(spec, func(ctx context.Context, in previewIn) (objectOut, error) {
		var f [][2]string
		switch {
		case in.Subscription != "" && in.Customer == "" && len(in.Items) == 0:
			if err := resources["subscriptions"].id(in.Subscription); err != nil {
				return objectOut{}, err
			}
			f = append(f, [2]string{"subscription", in.Subscription})
		case in.Subscription == "" && in.Customer != "" && len(in.Items) > 0:
			if err := resources["customers"].id(in.Customer); err != nil {
				return objectOut{}, err
			}
			o, err := c.orderOf(ctx, "subscription_items", in.Items)
			if err != nil {
				return objectOut{}, err
			}
			f = append(o.form, [2]string{"customer", in.Customer})
		default:
			return objectOut{}, refuse("give a subscription, or a customer and items", "id")
		}
		raw, _, err := c.upcoming(ctx, f)
		if err != nil {
			return objectOut{}, err
		}
		out, ok := previewFields.trim(raw)
		if !ok {
			return objectOut{}, errAnswer
		}
		return objectOut{out}, nil
	})
}

// upcoming reads what an invoice would be, and what of it would be due.
func (c *Client) upcoming(ctx context.Context, params [][2]string) (json.RawMessage, Money, error) {
	f := &form.Values{}
	for _, kv := range params {
		f.Add(kv[0], kv[1])
	}
	raw, err := c.call(ctx, request{method: http.MethodGet, path: []string{"invoices", "upcoming"}, form: f})
	if err != nil {
		return nil, Money{}, modelError(ctx, err, false)
	}
	var inv invoice
	if json.Unmarshal(raw, &inv) != nil || inv.read() != nil {
		return nil, Money{}, errAnswer
	}
	return raw, inv.due, nil
}
