package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// What refunds may come to: of one call, and of all calls of a day that begins at midnight
// UTC.
var (
	perRefund = stripetool.Money{Amount: 30_00, Currency: "EUR"}
	perDay    = state.Allowance{Limit: 100_00, Per: 24 * time.Hour, Calendar: true}
)

type refundIn struct {
	Payment string `json:"payment" validate:"required,len=15,alphanum" jsonschema:"the payment's id, as payment_list tells it"`
	Amount  string `json:"amount" validate:"required,max=20" jsonschema:"as in EUR 5.00"`
	Case    string `json:"case" validate:"required,max=40,alphanum" jsonschema:"the support case: a payment is refunded once for each"`
}

type refundOut struct {
	Refund string   `json:"refund" jsonschema:"its id at Stripe"`
	Flow   progress `json:"flow" jsonschema:"how it went"`
}

// Refunding reserves the amount of the payment, so that refunds never come to more, takes
// it of the day's, and has Stripe pay.
type refunding struct {
	Payment, Case string
	Cents         int64
	Charge, Email string
	Refund        string
}

func (b *backend) refundFlow() *kind[refunding] {
	return newKind(&b.journal, "refund",
		step[refunding]{name: "reserve", do: here(reserveRefund), undo: here(releaseRefund)},
		step[refunding]{name: "cap", do: there(always, b.takeOfCap)}, // is not given back: rather too little than too much
		step[refunding]{name: "refund", do: there(stripeKeys, b.payBack)},
		step[refunding]{name: "refund mail", after: true, do: there(never, func(ctx context.Context, _ string, d *refunding) error {
			return b.write(ctx, d.Email, "Your refund", fmt.Sprintf("You get %s back, within ten days.\n", euros(d.Cents)))
		})},
		step[refunding]{name: "analytics", after: true, do: there(always, func(ctx context.Context, key string, d *refunding) error {
			return b.count(ctx, key, "refund", -d.Cents)
		})},
	)
}

// refund is the tool. The payment and the support case name the flow.
func (b *backend) refund() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "payment_refund", Description: fmt.Sprintf("Refunds up to %s of a payment, with a mail. A person confirms it. An equal call does no more.", perRefund),
		Effect: mcpsec.Destroy, Labels: mcpsec.Egress, Scopes: []string{writeBilling}, Idempotent: true,
		Guards: []mcpsec.Guard{mcpsec.Preview(func(_ context.Context, in refundIn) (string, error) {
			money, err := b.refundable(in)
			if err != nil {
				return "", err
			}
			p, u, err := paymentOf(b.pb, in.Payment)
			if err != nil {
				return "", err
			}
			paid, before := int64(p.GetInt("amount")), int64(p.GetInt("refunded"))
			return fmt.Sprintf("refunds %s to %s, who paid %s, of which %s went back before", money, u.Email(), euros(paid), euros(before)), nil
		})},
	}, func(ctx context.Context, in refundIn) (refundOut, error) {
		money, err := b.refundable(in)
		if err != nil {
			return refundOut{}, err
		}
		d, f, err := b.refunding.start(ctx, in.Payment+"/"+in.Case, refunding{Payment: in.Payment, Case: in.Case, Cents: money.Amount})
		if err != nil {
			return refundOut{}, err
		}
		return refundOut{d.Refund, f.progress()}, nil
	})
}

func euros(cents int64) stripetool.Money { return stripetool.Money{Amount: cents, Currency: "EUR"} }

// refundable is the amount of a call, if one call may move it.
func (b *backend) refundable(in refundIn) (stripetool.Money, error) {
	money, err := stripetool.ParseMoney(in.Amount)
	switch {
	case err != nil || money.Currency != perRefund.Currency || money.Amount == 0:
		return money, refuse("amount is written as in EUR 5.00", err)
	case money.Amount > perRefund.Amount:
		return money, refuse(fmt.Sprintf("one call refunds %s at most", perRefund), nil)
	}
	return money, nil
}

// paymentOf is a payment, and the user who made it.
func paymentOf(app core.App, id string) (p, u *core.Record, err error) {
	if p, err = app.FindRecordById("payments", id); errors.Is(err, sql.ErrNoRows) {
		err = refuse("there is no such payment: find the id with payment_list", err)
	}
	if err != nil {
		return nil, nil, err
	}
	u, err = app.FindRecordById("users", p.GetString("user"))
	return p, u, err
}

func reserveRefund(tx core.App, d *refunding) error {
	p, u, err := paymentOf(tx, d.Payment)
	if err != nil {
		return err
	}
	refunded := int64(p.GetInt("refunded")) + d.Cents
	if refunded > int64(p.GetInt("amount")) || p.GetString("currency") != perRefund.Currency {
		return refuse("that is more than is left of the payment", nil)
	}
	d.Charge, d.Email = p.GetString("charge"), u.Email()
	p.Set("refunded", refunded)
	return tx.Save(p)
}

func releaseRefund(tx core.App, d *refunding) error {
	p, _, err := paymentOf(tx, d.Payment)
	if err != nil {
		return err
	}
	p.Set("refunded", int64(p.GetInt("refunded"))-d.Cents)
	return tx.Save(p)
}

func (b *backend) takeOfCap(ctx context.Context, _ string, d *refunding) error {
	wait, err := b.state.Take(ctx, "refunds", d.Cents, perDay)
	if err == nil && wait > 0 {
		err = refuse("that is more than may be refunded today", nil)
	}
	return err
}

func (b *backend) payBack(ctx context.Context, key string, d *refunding) (err error) {
	d.Refund, err = b.stripe.refund(ctx, key, d.Charge, d.Cents)
	return err
}
