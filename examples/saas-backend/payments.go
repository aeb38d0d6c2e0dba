package main

import (
	"context"
	"encoding/json"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

type paymentsIn struct {
	User string `json:"user" validate:"required,len=15,alphanum" jsonschema:"the user's id, as user_find tells it"`
}

type paymentsOut struct {
	Payments []payment `json:"payments" validate:"max=20"`
}

type payment struct {
	ID       string `json:"id"`
	Amount   int64  `json:"amount" jsonschema:"in cents"`
	Refunded int64  `json:"refunded" jsonschema:"in cents"`
	Currency string `json:"currency"`
	Created  string `json:"created"`
}

// listPayments reads payments, with the rights that PocketBase's rules give the caller.
func (b *backend) listPayments() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "payment_list", Description: "Lists a user's last 20 payments.",
		Effect: mcpsec.Read, Labels: mcpsec.Private, Scopes: []string{readBilling},
	}, func(ctx context.Context, in paymentsIn) (out paymentsOut, err error) {
		by, err := pbtool.Bind("user = {:user}", map[string]any{"user": in.User})
		if err != nil {
			return out, err
		}
		page, err := b.users.List(ctx, "payments", pbtool.Query{Filter: by, Fields: []string{"id", "amount", "refunded", "currency", "created"}, Sort: []string{"-created"}, PerPage: 20})
		if err != nil {
			return out, err
		}
		out.Payments = make([]payment, len(page.Items))
		for i, item := range page.Items {
			if err := json.Unmarshal(item, &out.Payments[i]); err != nil {
				return out, err
			}
		}
		return out, nil
	})
}
