package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// An invoice has the members of Stripe's that matter here.
type invoice struct {
	ID         string `json:"id"`
	Customer   string `json:"customer"`
	Charge     string `json:"charge"`
	AmountPaid int64  `json:"amount_paid"` // in cents
	Currency   string `json:"currency"`
}

// A receipt is a payment on record, and a letter about it.
type receipt struct {
	Invoice invoice
	Email   string
}

func (b *backend) receiptFlow() *kind[receipt] {
	return newKind(&b.journal, "receipt",
		step[receipt]{name: "payment", do: here(recordPayment)},
		step[receipt]{name: "receipt mail", after: true, do: there(never, b.sendReceipt)},
		step[receipt]{name: "analytics", after: true, do: there(always, func(ctx context.Context, key string, d *receipt) error {
			return b.count(ctx, key, "payment", d.Invoice.AmountPaid)
		})},
	)
}

// webhooks is what Stripe's events come to.
func (b *backend) webhooks(secret mcpsec.Secret) (http.Handler, error) {
	return stripetool.NewWebhook(stripetool.WebhookOptions{
		Secrets: []mcpsec.Secret{secret},
		State:   b.state,
		Handlers: []stripetool.WebhookHandler{
			stripetool.On("invoice.paid", b.paid),
			stripetool.On("customer.subscription.updated", b.settle).InOrder(),
			stripetool.On("customer.subscription.deleted", b.settle).InOrder(),
		},
		Receiver: webhook.Options{Log: b.log},
	})
}

// paid is run once for an event. The invoice names the flow: Stripe may send two events
// about one.
func (b *backend) paid(ctx context.Context, _ stripetool.WebhookEvent, in invoice) error {
	_, _, err := b.receipts.start(ctx, in.ID, receipt{Invoice: in})
	return err // and Stripe delivers it again
}

func recordPayment(tx core.App, d *receipt) error {
	u, err := tx.FindFirstRecordByData("users", "customer", d.Invoice.Customer)
	if err != nil {
		return fmt.Errorf("finding the customer's user: %w", err)
	}
	c, err := tx.FindCollectionByNameOrId("payments")
	if err != nil {
		return err
	}
	p := core.NewRecord(c)
	p.Load(map[string]any{"user": u.Id, "invoice": d.Invoice.ID, "charge": d.Invoice.Charge, "amount": d.Invoice.AmountPaid, "currency": strings.ToUpper(d.Invoice.Currency)})
	if err := tx.Save(p); err != nil {
		return err
	}
	d.Email = u.Email()
	if u.GetString("status") != "starting" {
		return nil // a payment that is told late starts nothing again
	}
	u.Set("status", "active")
	return tx.Save(u)
}

func (b *backend) sendReceipt(ctx context.Context, _ string, d *receipt) error {
	paid := stripetool.Money{Amount: d.Invoice.AmountPaid, Currency: strings.ToUpper(d.Invoice.Currency)}
	return b.write(ctx, d.Email, "Your receipt", fmt.Sprintf("You have paid %s, invoice %s. Thank you.\n", paid, d.Invoice.ID))
}

// settle records that a subscription has ended, also when somebody ended it at Stripe. It
// reads the subscription as it is now, because events are late, and do not say what still
// holds.
func (b *backend) settle(ctx context.Context, ev stripetool.WebhookEvent, _ struct{}) error {
	var now struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}
	if err := b.facts.Fetch(ctx, ev, &now); err != nil {
		return err
	}
	if now.Status != "canceled" {
		return nil
	}
	return b.pb.RunInTransaction(func(tx core.App) error { return endSubscription(tx, now.ID) })
}

// endSubscription records the end of a subscription, once. One that is nobody's was undone
// before it was anybody's.
func endSubscription(tx core.App, subscription string) error {
	r, err := tx.FindFirstRecordByData("users", "subscription", subscription)
	if err != nil || r.GetString("status") == "ended" {
		return ignore(err, sql.ErrNoRows)
	}
	r.Load(map[string]any{"status": "ended", "plan": "", "ended": r.GetInt("ended") + 1})
	return tx.Save(r)
}
